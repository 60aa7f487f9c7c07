//! `bowline pull`

use std::path::{Path, PathBuf};

use super::charts::Origin;
use super::{Exit, output};
use crate::chart::Chart;
use crate::error::Error;
use crate::fetch::Fetched;

/// Bring charts from a repository or registry and keep them packed, or unpack them
///
/// A chart is named as `template` takes it: oci://HOST/PATH/CHART, the address of a packed chart, REPOSITORY/CHART for a
/// repository of the repositories file, or its plain name with --repo. What the repository says of its digest is checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The charts
    #[arg(value_name = "CHART", required = true)]
    charts: Vec<String>,

    /// Write into this folder
    #[arg(short, long, value_name = "FOLDER", default_value = ".")]
    destination: PathBuf,

    /// Unpack, and keep nothing packed
    #[arg(long)]
    untar: bool,

    /// Unpack below this folder of the destination
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    untardir: PathBuf,

    /// Bring the provenance file, too
    #[arg(long)]
    prov: bool,

    #[command(flatten)]
    origin: Origin,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let fetcher = args.origin.reach.fetcher();
    for name in &args.charts {
        let fetched = args.origin.bring_with(&fetcher, name, args.prov)?;
        if let (Some(manifest), Some(reference)) = (&fetched.manifest, fetched.from.strip_prefix("oci://")) {
            output::data(&format!("Pulled: {}\nDigest: {manifest}\n", reference.replace('+', "_")));
        }
        if args.prov && fetched.provenance.is_none() {
            output::words(&format!("warning: {name} has no provenance file"));
        }
        if args.untar {
            unpack(&fetched.chart, &args.destination.join(&args.untardir))?;
        } else {
            keep(&fetched, &args.destination)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes the packed chart and its provenance file.
fn keep(fetched: &Fetched, folder: &Path) -> Result<(), Error> {
    let Some(archive) = &fetched.archive else {
        return Err(Error::new(format!("{}: is a folder, and there is nothing to bring", fetched.from)));
    };
    let name = file_name(fetched);
    write(&folder.join(&name), archive)?;
    match &fetched.provenance {
        Some(text) => write(&folder.join(format!("{name}.prov")), text),
        None => Ok(()),
    }
}

/// As the file is called where it comes from, if that is a plain name, else as Helm calls packed charts.
fn file_name(fetched: &Fetched) -> String {
    let metadata = fetched.chart.metadata();
    let last = fetched.from.rsplit('/').next().unwrap_or_default();
    let is_plain =
        last.ends_with(".tgz") && last.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte));
    if is_plain && last.len() > ".tgz".len() && fetched.manifest.is_none() {
        last.to_owned()
    } else {
        format!("{}-{}.tgz", metadata.name, metadata.version)
    }
}

/// Writes a chart's files into a new folder of its name.
fn unpack(chart: &Chart, folder: &Path) -> Result<(), Error> {
    let place = folder.join(chart.name());
    if place.exists() {
        let message = format!("failed to untar: a file or directory with the name {} already exists", place.display());
        return Err(Error::new(message));
    }
    for file in chart.raw() {
        write(&place.join(&*file.name), &file.data)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(format!("{}: cannot be written", path.display())).because(error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}
