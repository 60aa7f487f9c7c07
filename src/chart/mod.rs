//! Helm charts: read, given values, rendered, packed. A [`Chart`] is a value in memory that never changes.
//!
//! ```text
//! folder, archive, files -> read -> Chart ---------------------------------\
//! files, --set ...       -> values -> coalesce, dependencies, schema -> render -> manifests, hooks, notes
//! release, capabilities  -> objects (.Release, .Files, ..) -------/
//! ```
//! What Helm 4 does is done exactly, in its order and with its words; where we refuse more (links in archives, remote
//! schemas), `docs/compatibility.md` says so. No cluster, no network, no clock: what is needed comes as a value.
//!
//! Start at [`read_dir`] or [`read_archive`], then [`render`].

mod metadata;
mod read;

mod values;

mod render;

mod archive;
mod capabilities;
mod coalesce;
mod decode;
mod dependencies;
mod documents;
mod error;
mod glob;
pub(crate) mod go_json;
mod ignore;
mod manifest;
mod objects;
mod output;
mod pack;
mod part;
mod paths;
mod schema;
pub(crate) mod version;

pub mod index;
pub mod lint;
pub mod search;
pub mod set;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

pub use archive::Limits;
pub use capabilities::{BadKubeVersion, Capabilities, KubeVersion};
pub use coalesce::Mismatch;
pub use error::{Error, Excerpt};
pub use manifest::{Hook, HookEvent, Manifest, SplitError};
pub use metadata::{Dependency, Invalid, Lock, Maintainer, Metadata};
pub use output::{NoSuchTemplate, Show};
pub use pack::{Packed, Packing, Unpackable, pack};
pub use part::Part;
pub use read::{
    read_any_archive, read_any_archive_within, read_any_dir, read_archive, read_archive_within, read_dir, read_files,
};
pub use render::{Cluster, Options, Release, Rendered, check_release_name, render, render_each};
pub use values::{Given, Unusable, io_words, read as read_values};

use crate::template::Templates;

/// A file of a chart. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name from the chart's folder, with `/`.
    pub name: Arc<str>,
    /// What is in it, without a byte order mark.
    pub data: Arc<[u8]>,
}

impl File {
    pub(crate) fn new(name: String, data: Vec<u8>) -> Self {
        File { name: name.into(), data: data.into() }
    }

    /// As text, with U+FFFD for what is not UTF-8.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }
}

/// A chart with all charts below it. Clones are the same chart.
///
/// Templates are parsed when they are first rendered and kept: rendering it a second time only executes them.
#[derive(Debug, Clone)]
pub struct Chart(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    parsed: render::Parsed,
}

/// What a chart is made of.
#[derive(Debug, Default)]
struct Parts {
    metadata: Metadata,
    lock: Option<Lock>,
    values: serde_json::Map<String, serde_json::Value>,
    schema: Option<File>,
    templates: Vec<File>,
    files: Vec<File>,
    raw: Vec<File>,
    dependencies: Vec<Chart>,
}

impl From<Parts> for Chart {
    fn from(parts: Parts) -> Self {
        Chart(Arc::new(Inner { parts, parsed: render::Parsed::default() }))
    }
}

impl Chart {
    /// What `Chart.yaml` says.
    pub fn metadata(&self) -> &Metadata {
        &self.0.parts.metadata
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.parts.metadata.name
    }

    /// What `Chart.lock` says.
    pub fn lock(&self) -> Option<&Lock> {
        self.0.parts.lock.as_ref()
    }

    /// Its own values, without those of the charts below it. All numbers are floats, as Helm has them.
    pub fn values(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0.parts.values
    }

    /// `values.schema.json`.
    pub fn schema(&self) -> Option<&File> {
        self.0.parts.schema.as_ref()
    }

    /// What is in `templates/`.
    pub fn templates(&self) -> &[File] {
        &self.0.parts.templates
    }

    /// What templates may read through `.Files`: everything that has no role of its own.
    pub fn files(&self) -> &[File] {
        &self.0.parts.files
    }

    /// Every file as it was read.
    pub fn raw(&self) -> &[File] {
        &self.0.parts.raw
    }

    /// The charts in `charts/`, wanted or not, by name of their file or folder.
    pub fn dependencies(&self) -> &[Chart] {
        &self.0.parts.dependencies
    }

    /// The definitions in `crds/`, its own first, then those of the charts below it.
    pub fn crds(&self) -> Vec<&File> {
        let own = self.files().iter().filter(|file| is_crd(&file.name));
        own.chain(self.dependencies().iter().flat_map(Chart::crds)).collect()
    }

    /// Whether it only defines templates for others.
    pub fn is_library(&self) -> bool {
        self.metadata().kind.eq_ignore_ascii_case("library")
    }

    fn parsed(&self) -> &render::Parsed {
        &self.0.parsed
    }
}

fn is_crd(name: &str) -> bool {
    let extension = paths::extension(name).to_ascii_lowercase();
    name.starts_with("crds/") && matches!(extension.as_str(), ".yaml" | ".yml" | ".json")
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Chart>();
    shared_between_threads::<Templates>();
};

/// Why something could not be read as a chart; prints as Helm prints it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The folder has no readable `Chart.yaml`.
    #[error("unable to detect chart at {}: {reason}", folder.display())]
    NotAChart {
        /// The file that was looked for.
        folder: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// None of the files is `Chart.yaml`.
    #[error("Chart.yaml file is missing")]
    NoChartFile,
    /// `apiVersion` is none of v1, v2, v3.
    #[error("unsupported chart version")]
    Version,
    /// `Chart.yaml` says what no chart may say.
    #[error(transparent)]
    Invalid(Invalid),
    /// A file of the chart does not parse.
    #[error("cannot load {name}: {reason}")]
    File {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// `.helmignore` does not parse.
    #[error("{0}")]
    Ignore(String),
    /// A chart below this one cannot be read.
    #[error("error unpacking subchart {name} in {parent}: {error}")]
    Below {
        /// File or folder in `charts/`.
        name: String,
        /// The chart it is in.
        parent: String,
        /// Why.
        error: Box<Unreadable>,
    },
    /// A folder in `charts/` is named like an archive.
    #[error("error unpacking subchart tar in {parent}: expected {name}, got {got}")]
    NotAnArchive {
        /// The name.
        name: String,
        /// The chart it is in.
        parent: String,
        /// What lies there.
        got: String,
    },
    /// The archive holds nothing.
    #[error("no files in chart archive")]
    NoFiles,
    /// A name in the archive starts at the root.
    #[error("chart illegally contains absolute paths")]
    Absolute,
    /// A name in the archive leads out of it.
    #[error("chart illegally references parent directory")]
    Parent,
    /// A file of the archive lies beside the chart's folder.
    #[error("chart illegally contains content outside the base directory: {0:?}")]
    OutsideFolder(String),
    /// `Chart.yaml` lies beside the chart's folder.
    #[error("chart yaml not in base directory")]
    ChartFileOutside,
    /// A name with a drive letter, a zero byte or bytes that are not UTF-8.
    #[error("chart contains illegally named files")]
    IllegalName,
    /// A link, device or pipe in an archive.
    #[error("chart illegally contains {0:?}, which is a link or a device, not a file")]
    NotAFile(String),
    /// A device, socket or pipe in a folder.
    #[error("cannot load irregular file {} as it has file mode type bits set", .0.display())]
    Irregular(PathBuf),
    /// More bytes than allowed, all together.
    #[error("decompressed chart is larger than the maximum size {0}")]
    TooBig(u64),
    /// More bytes than allowed in one file.
    #[error("decompressed chart file {name:?} is larger than the maximum file size {limit}")]
    FileTooBig {
        /// The file.
        name: String,
        /// How many bytes a file may have.
        limit: u64,
    },
    /// More files and folders than allowed.
    #[error("chart holds more than {0} files")]
    TooManyFiles(usize),
    /// Folders in folders, or charts in charts, without end.
    #[error("chart is nested too deeply at {0:?}")]
    TooDeep(String),
    /// The archive is no gzip, no tar, or cut off.
    #[error("unable to load chart archive: {0}")]
    Archive(String),
    /// A file could not be read.
    #[error("error reading {name}: {reason}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Unreadable {
    fn io(name: &str, error: &std::io::Error) -> Self {
        Unreadable::Io { name: name.to_owned(), reason: error.to_string() }
    }

    fn archive(error: &std::io::Error) -> Self {
        let reason = match error.to_string() {
            words if words == "invalid gzip header" => "gzip: invalid header".to_owned(),
            words => words,
        };
        Unreadable::Archive(reason)
    }

    fn file(file: &File, reason: impl ToString) -> Self {
        Unreadable::File { name: file.name.to_string(), reason: reason.to_string() }
    }
}
