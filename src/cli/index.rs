//! `bowline index`

use std::path::{Path, PathBuf};

use chrono::{SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use super::{Exit, output};
use crate::chart::index::{self, Index, Keep};
use crate::chart::{self, Limits};
use crate::error::Error;

/// Write the list of a chart repository for a folder of packed charts
///
/// Reads the packed charts (`.tgz`) of the folder and of the folders in it, and writes `index.yaml` beside them: what
/// Helm and bowline read when they look for a chart. Files that are no charts are left out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with packed charts
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Address below which the charts will be found; without it the list holds relative addresses
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,

    /// Take over what this list holds and the folder does not; made empty when it is not there
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,

    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut list = Index::new(now.clone());
    for (folder, path) in archives(&args.folder)? {
        let Some(bytes) = read_chart(&path)? else { continue };
        let chart = match chart::read_archive(bytes.as_slice()) {
            Ok(chart) => chart,
            Err(error) => {
                output::words(&format!("warning: {} is left out: {error}", path.display()));
                continue;
            }
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let url = index::archive_url(&args.url, &folder, &file);
        list.add(chart.metadata().clone(), url, hex::encode(Sha256::digest(&bytes)), now.clone());
    }
    if let Some(other) = &args.merge {
        list.merge(merged(other, args)?);
    }
    list.sort();
    write(&args.folder.join("index.yaml"), &list, args)?;
    Ok(Exit::Done)
}

/// The packed charts of a folder and of the folders in it, each with the name of the folder it lies in.
fn archives(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let here = listing(folder)?;
    let mut found: Vec<(String, PathBuf)> = here.iter().map(|path| (String::new(), path.clone())).collect();
    for path in &here {
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(listing(path)?.into_iter().map(|path| (name.clone(), path)));
    }
    found.retain(|(_, path)| path.extension().is_some_and(|extension| extension == "tgz") && !path.is_dir());
    Ok(found)
}

fn listing(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |error| Error::new(format!("{}: cannot be listed", folder.display())).because(error);
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

/// The bytes of a packed chart; `None` with a warning for one that is bigger than any chart may be.
fn read_chart(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let unreadable = |error| Error::new(format!("{}: cannot be read", path.display())).because(error);
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > Limits::default().total {
        output::words(&format!("warning: {} is left out: it has {size} bytes", path.display()));
        return Ok(None);
    }
    std::fs::read(path).map(Some).map_err(unreadable)
}

fn merged(path: &Path, args: &Args) -> Result<Index, Error> {
    if !path.exists() {
        let empty = Index::new(Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true));
        write(path, &empty, args)?;
        return Ok(empty);
    }
    let text = std::fs::read(path)
        .map_err(|error| Error::new(format!("{}: cannot be read", path.display())).because(error))?;
    let list = index::read(&text, Keep::All, index::MAX_BYTES)
        .map_err(|error| Error::new(format!("{}: is no list of charts: {error}", path.display())))?;
    for warning in list.warnings {
        output::words(&format!("warning: {}: {warning}", path.display()));
    }
    Ok(list.index)
}

fn write(path: &Path, list: &Index, args: &Args) -> Result<(), Error> {
    let text = if args.json { list.to_json() } else { list.to_yaml() };
    output::file(path, text.as_bytes())
}
