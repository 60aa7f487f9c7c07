//! `bowline push`

use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};

use super::charts::Reach;
use super::{Exit, output};
use crate::chart::{self, Limits};
use crate::error::Error;
use crate::fetch::Parcel;

/// Bring a packed chart into a registry, under its own name and version
///
/// A provenance file beside it (`.prov`) goes with it. The same file gives the same digest as `helm push`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The packed chart
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,

    /// Registry, and the path below which the chart is kept
    #[arg(value_name = "oci://HOST/PATH")]
    remote: String,

    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let path = &args.archive;
    if !args.remote.starts_with("oci://") {
        let error = Error::new(format!("{}: is no registry", args.remote.split('@').next_back().unwrap_or_default()));
        return Err(error.hint("write oci://HOST/PATH"));
    }
    if path.is_dir() {
        let error = Error::new(format!("{}: is a folder", path.display()));
        return Err(error.hint("pack it first: bowline package"));
    }
    let (archive, modified) = read(path)?;
    let chart =
        chart::read_archive(archive.as_slice()).map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
    let provenance = Path::new(&format!("{}.prov", path.display())).to_owned();
    let provenance = if provenance.exists() { Some(read(&provenance)?.0) } else { None };
    let parcel =
        Parcel { archive: &archive, metadata: chart.metadata(), provenance: provenance.as_deref(), created: &modified };
    let pushed = args.reach.fetcher().push(&parcel, &args.remote, &args.reach.access(None)?)?;
    let name = pushed.name.to_string().replace('+', "_");
    output::data(&format!("Pushed: {}\nDigest: {}\n", name.trim_start_matches("oci://"), pushed.digest));
    Ok(Exit::Done)
}

/// The bytes of a file, and when it was written: for Helm that is when the chart was made.
fn read(path: &Path) -> Result<(Vec<u8>, String), Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: cannot be read", path.display())).because(error);
    let data = std::fs::metadata(path).map_err(failed)?;
    if data.len() > Limits::default().total {
        return Err(Error::new(format!("{}: has {} bytes, more than any chart may have", path.display(), data.len())));
    }
    let modified: DateTime<Utc> = data.modified().map_err(failed)?.into();
    Ok((std::fs::read(path).map_err(failed)?, modified.to_rfc3339_opts(SecondsFormat::Secs, true)))
}
