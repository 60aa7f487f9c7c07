//! Brings the files that `check` and `render` look at: a folder as it lies there, or a commit of its repository.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::source::{Checkout, Config, Fetched, Reference, Source};

/// Where a repository lies.
#[derive(Debug, clap::Args)]
pub(super) struct Repository {
    /// Folder with the files, as a source's `path` would name it
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,

    /// Read a commit, branch or tag of the repository around PATH instead of the files as they lie there
    #[arg(long, value_name = "REV")]
    revision: Option<String>,

    /// Name of the source, as in the names of units
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(super) source: String,
}

impl Repository {
    /// Reads the files.
    pub(super) fn checkout(&self) -> Result<Checkout, Error> {
        match &self.revision {
            None => self.folder(),
            Some(revision) => self.commit(revision),
        }
    }

    fn folder(&self) -> Result<Checkout, Error> {
        if !self.path.is_dir() {
            let error = Error::new(format!("{}: is no folder", self.path.display()));
            return Err(error.hint("name the folder that holds the manifests"));
        }
        let path = absolute(&self.path)?;
        let config = Config::new(&self.source, &path.to_string_lossy());
        fetch(Source::folder(config).map_err(|error| told(&error))?)
    }

    fn commit(&self, revision: &str) -> Result<Checkout, Error> {
        let path = absolute(&self.path)?;
        let Some(root) = path.ancestors().find(|folder| folder.join(".git").exists()) else {
            return Err(Error::new(format!("{}: lies in no Git repository", path.display())));
        };
        let cache = tempfile::tempdir().map_err(|error| Error::new("cannot make a temporary folder").because(error))?;
        let open = |reference: Reference| {
            let mut config = Config::new(&self.source, &root.to_string_lossy());
            config.path = path.strip_prefix(root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
            config.reference = reference;
            Source::open(config, cache.path()).map_err(|error| told(&error))
        };
        if revision == "HEAD" {
            return fetch(open(Reference::Head)?);
        }
        let whole = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if whole {
            return fetch(open(Reference::Commit(revision.to_owned()))?);
        }
        for reference in [Reference::Branch(revision.to_owned()), Reference::Tag(revision.to_owned())] {
            if let Ok(checkout) = open(reference).and_then(fetch) {
                return Ok(checkout);
            }
        }
        let mut source = open(Reference::Head)?;
        source.fetch().map_err(|error| told(&error))?;
        let revision = revision.replacen("HEAD", "", usize::from(revision.starts_with("HEAD~")));
        let known = if revision.starts_with('~') {
            let head = source.cached().map_err(|error| told(&error))?;
            head.map(|head| head.commit.id.clone() + &revision).unwrap_or(revision)
        } else {
            revision
        };
        source.at(&known).map_err(|error| told(&error))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|error| Error::new(format!("{}: cannot be read", path.display())).because(error))
}

fn fetch(mut source: Source) -> Result<Checkout, Error> {
    match source.fetch().map_err(|error| told(&error))? {
        Fetched::Moved(checkout, _) => Ok(checkout),
        Fetched::Unchanged => {
            let cached = source.cached().map_err(|error| told(&error))?;
            cached.ok_or_else(|| Error::new(format!("{}: has no commit", source.address())))
        }
    }
}

fn told(error: &crate::source::Error) -> Error {
    let told = Error::new(error.to_string());
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
