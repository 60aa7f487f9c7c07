//! `bowline config`

use std::path::PathBuf;

use super::{Exit, output};
use crate::daemon::config;
use crate::error::Error;

/// Print an example of the daemon's configuration file, or check one
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Args {
    /// Print a configuration that has every field
    #[arg(long)]
    example: bool,
    /// Check this file
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    match &args.check {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Error::new(format!("{} cannot be read", file.display())).because(error))?;
            let config = config::read(&text, &file.display().to_string())?;
            output::words(&format!("{} is in order: {} sources", file.display(), config.sources.len()));
        }
        None => output::data(config::EXAMPLE),
    }
    Ok(Exit::Done)
}
