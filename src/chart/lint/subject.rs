//! A chart as it lies in a folder or an archive, readable or not: what rules look at before anything is a chart.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::archive::{self, Budget, Limits};
use super::super::{Chart, File, Unreadable, decode::Fields, read, values};
use crate::template::format::quote;
use crate::yaml;

/// A chart that is to be examined.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What findings about the chart as a whole are about: its folder or archive, as an absolute path.
    pub(super) name: String,
    pub(super) chart_file: Entry,
    pub(super) values: Entry,
    pub(super) schema: Entry,
    pub(super) templates: Entry,
    pub(super) crds: Entry,
    pub(super) chart: Result<Chart, std::sync::Arc<Unreadable>>,
}

/// What lies under a name, whatever `.helmignore` says.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Missing,
    Folder,
    File(Vec<u8>),
}

/// Why there is nothing to examine; prints as Helm prints it.
#[derive(Debug, thiserror::Error)]
pub enum NoChart {
    /// There is no `Chart.yaml`.
    #[error("unable to check Chart.yaml file in chart: {0}")]
    NoChartFile(String),
    /// A packed chart cannot be opened.
    #[error("unable to open tarball: {0}")]
    NoArchive(String),
    /// A packed chart cannot be unpacked.
    #[error("unable to extract tarball: {0}")]
    Archive(String),
}

impl Subject {
    /// Whether Helm takes a path for a packed chart when it is to be examined.
    pub fn is_archive(path: &Path) -> bool {
        path.to_str().is_some_and(|path| path.ends_with(".tgz") || path.ends_with(".tar.gz"))
    }

    /// Reads a folder, given as an absolute path for what is said of it.
    ///
    /// # Errors
    /// There is no `Chart.yaml`. Whatever else is wrong is for [`super::lint`] to tell.
    pub fn folder(path: &Path, absolute: &Path) -> Result<Self, NoChart> {
        let chart_file = path.join("Chart.yaml");
        if let Err(error) = std::fs::metadata(&chart_file) {
            return Err(NoChart::NoChartFile(values::io_words("stat", &chart_file, &error)));
        }
        let entry = |name: &str| Entry::read(&path.join(name));
        Ok(Subject {
            name: absolute.display().to_string(),
            chart_file: entry("Chart.yaml"),
            values: entry("values.yaml"),
            schema: entry("values.schema.json"),
            templates: entry("templates"),
            crds: entry("crds"),
            chart: read::read_any_dir(path).map_err(std::sync::Arc::new),
        })
    }

    /// Reads a packed chart; nothing is unpacked to disk.
    ///
    /// # Errors
    /// It is no archive, or not one of a chart with a usable name.
    pub fn archive(path: &Path, absolute: &Path) -> Result<Self, NoChart> {
        let source =
            std::fs::File::open(path).map_err(|error| NoChart::NoArchive(values::io_words("open", path, &error)))?;
        let mut budget = Budget::new(Limits::default());
        let files = archive::files(std::io::BufReader::new(source), &mut budget).map_err(|error| match error {
            Unreadable::Archive(reason) => NoChart::Archive(reason),
            other => NoChart::Archive(other.to_string()),
        })?;
        Subject::packed(files, absolute.to_path_buf())
    }

    fn packed(files: Vec<File>, absolute: PathBuf) -> Result<Self, NoChart> {
        check_name(&files).map_err(NoChart::Archive)?;
        let entry = |name: &str| {
            let inside = format!("{name}/");
            match files.iter().rfind(|file| &*file.name == name) {
                Some(file) => Entry::File(file.data.to_vec()),
                None if files.iter().any(|file| file.name.starts_with(&inside)) => Entry::Folder,
                None => Entry::Missing,
            }
        };
        Ok(Subject {
            name: absolute.display().to_string(),
            chart_file: entry("Chart.yaml"),
            values: entry("values.yaml"),
            schema: entry("values.schema.json"),
            templates: entry("templates"),
            crds: entry("crds"),
            chart: read::read_any_files(files.clone()).map_err(std::sync::Arc::new),
        })
    }
}

impl Entry {
    fn read(path: &Path) -> Entry {
        match std::fs::metadata(path) {
            Err(_) => Entry::Missing,
            Ok(kind) if kind.is_dir() => Entry::Folder,
            Ok(_) => {
                let mut text = Vec::new();
                let limit = Limits::default().file;
                let outcome = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
                // What cannot be read is told by whoever reads the chart as a whole.
                outcome.map_or(Entry::Missing, |_| Entry::File(text))
            }
        }
    }
}

/// Helm unpacks into a folder named by the chart, and refuses names that lead elsewhere.
fn check_name(files: &[File]) -> Result<(), String> {
    let mut name = String::new();
    for file in files.iter().filter(|file| &*file.name == "Chart.yaml") {
        let failed = |reason: String| format!("cannot load Chart.yaml: {reason}");
        let value = yaml::read(&file.data, &yaml::Options::helm()).map_err(|error| failed(error.in_go()))?;
        let fields = Fields::document(&value, "Metadata", "v2.Metadata").map_err(|error| failed(error.to_string()))?;
        name.clear();
        if let Some(fields) = fields {
            fields.text("name", &mut name).map_err(|error| failed(error.to_string()))?;
        }
    }
    match name.as_str() {
        "" => Err("chart name not specified".to_owned()),
        "." | ".." => Err(format!("chart name {} is not allowed", quote(name.as_bytes()))),
        _ if name != super::super::paths::base(&name) => {
            Err(format!("chart name {} must not contain path separators", quote(name.as_bytes())))
        }
        _ => Ok(()),
    }
}
