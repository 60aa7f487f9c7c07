//! `bowline version`

use super::{Exit, output};
use crate::error::Error;

/// Print the version
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_args: &Args) -> Result<Exit, Error> {
    output::data(concat!("bowline ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(Exit::Done)
}
