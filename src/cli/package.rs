//! `bowline package`

use std::path::{Path, PathBuf};

use super::{Exit, output};
use crate::chart::{self, Packed, Packing};
use crate::error::Error;

/// Pack chart folders into archives that Helm reads, too
///
/// The same chart gives the same bytes, whenever and wherever it is packed: all files in the archive have the time in the
/// environment variable `SOURCE_DATE_EPOCH`, or 1980-01-01 without it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Chart folders
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,

    /// Give the chart this version
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,

    /// Say that the chart installs this version of the application
    #[arg(long, value_name = "VERSION")]
    app_version: Option<String>,

    /// Write archives to this folder
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    destination: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let packing =
        Packing { version: args.version.clone(), app_version: args.app_version.clone(), time: source_date()? };
    for path in &args.paths {
        let chart = chart::read_dir(Path::new(path)).map_err(|error| Error::new(error.to_string()))?;
        let packed = chart::pack(&chart, &packing).map_err(|error| failed(&error, path))?;
        let file = write(&packed, &args.destination)?;
        output::data(&format!("Successfully packaged chart and saved it to: {}\n", file.display()));
    }
    Ok(Exit::Done)
}

fn failed(error: &chart::Unpackable, path: &str) -> Error {
    let failed = Error::new(error.to_string());
    match error {
        chart::Unpackable::MissingDependencies(_) => {
            failed.hint(format!("put them into {}", Path::new(path).join("charts").display()))
        }
        _ => failed,
    }
}

/// Writes the archive; gives its path as Helm prints it.
fn write(packed: &Packed, destination: &Path) -> Result<PathBuf, Error> {
    let folder = if destination == Path::new(".") {
        std::env::current_dir().map_err(|error| Error::new("there is no current folder").because(error))?
    } else {
        destination.components().collect()
    };
    let failed = |error| Error::new(format!("{}: cannot be made a folder", folder.display())).because(error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let file = folder.join(&packed.file_name);
    output::file(&file, &packed.bytes)?;
    Ok(file)
}

/// The time that reproducible builds agree on.
#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
fn source_date() -> Result<Option<u64>, Error> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    match std::env::var(NAME) {
        Err(_) => Ok(None),
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => match text.parse() {
            Ok(seconds) => Ok(Some(seconds)),
            Err(error) => {
                let words = format!("invalid {NAME}: {text:?} is no number of seconds since 1970");
                Err(Error::new(words).because(error))
            }
        },
    }
}
