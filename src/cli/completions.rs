//! `bowline completions`

use clap::CommandFactory as _;

use super::{Exit, output};
use crate::error::Error;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Args::command(), "bowline", &mut script);
    output::data(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
