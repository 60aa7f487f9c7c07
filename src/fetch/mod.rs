//! Brings charts: from repositories, registries, addresses and this machine, to a value in memory.
//!
//! ```text
//! Wanted --> place --> repository   index.yaml, then the archive          --+--> Fetched: chart, version, digest
//!            name it   registry     tags, manifest, layers (oci://)       --+
//!                      an address, a folder, a packed chart               --+
//!
//! web     one way to ask: redirects, repetition, limits, credentials bound to their server
//! cache   what was brought before, bounded      logins, repositories   files that say who we are where
//! ```
//! What is fetched once is never fetched again while its digest is known; a list is asked for once in a while, and comes
//! only when it changed. All work blocks: run it where that is allowed.
//!
//! Start at [`Fetcher::fetch`].

mod place;

mod registry;
mod repository;

mod cache;
mod error;
mod logins;
mod repositories;
mod web;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use url::Url;

pub use error::Error;
pub use logins::Logins;
pub use place::{Place, web_address};
pub use registry::{Name, Parcel, Pushed};
pub use repositories::{Entry, Repositories};
pub use web::{Access, Credentials, Plaintext, Trusted};

use crate::chart::index::{self, Index, Keep, List, Match, NotFound};
use crate::chart::{self, Chart};
use crate::net::shown;
use cache::Cache;
use registry::Registry;

/// Lists of charts that are kept read, at most.
const MAX_LISTS: usize = 256;

/// How charts are brought.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder for what was brought, or none.
    pub cache: Option<PathBuf>,
    /// Who we are in registries.
    pub logins: Logins,
    /// What is read at most.
    pub limits: Limits,
    /// How long a list is good without asking its server again.
    pub fresh: Duration,
}

/// What is read at most; more is an error, never a cut.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a repository's list.
    pub list_bytes: u64,
    /// Bytes of a packed chart.
    pub archive_bytes: u64,
    /// Bytes of the folder of what was brought.
    pub cache_bytes: u64,
    /// A chart once it is unpacked.
    pub chart: chart::Limits,
}

impl Default for Limits {
    /// 50 MiB of a list, a packed chart as big as an unpacked one may be, 512 MiB kept.
    fn default() -> Self {
        let chart = chart::Limits::default();
        Limits { list_bytes: index::MAX_BYTES as u64, archive_bytes: chart.total, cache_bytes: 512 << 20, chart }
    }
}

/// A chart that somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Where it is.
    pub place: Place,
    /// Range of versions; empty for the newest release. A place that has one version only ignores it.
    pub version: String,
    /// Digest that it must have, with `sha256:`: that of the archive, or in a registry that of the manifest.
    pub digest: Option<String>,
    /// How its server is reached.
    pub access: &'a Access,
    /// Whether its provenance file is brought, too.
    pub provenance: bool,
}

/// A chart that was brought.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The chart, of whatever `apiVersion`.
    pub chart: Chart,
    /// Where it came from, as it may be printed: an address, or a path.
    pub from: String,
    /// Digest of the packed chart, with `sha256:`. For a folder, of all names and contents.
    pub digest: String,
    /// Digest of its manifest, with `sha256:`, if it came from a registry.
    pub manifest: Option<String>,
    /// The packed chart; `None` for a folder.
    pub archive: Option<Vec<u8>>,
    /// The provenance file, if it was asked for and there is one.
    pub provenance: Option<Vec<u8>>,
    /// What was odd on the way.
    pub warnings: Vec<String>,
}

/// Brings charts, and remembers what it brought.
#[derive(Debug)]
pub struct Fetcher {
    settings: Settings,
    cache: Option<Cache>,
    lists: Mutex<BTreeMap<(Url, String), Kept>>,
}

/// A list as it was read, for one chart of it.
#[derive(Debug)]
struct Kept {
    asked: Instant,
    sha256: [u8; 32],
    list: Arc<List>,
}

/// Bytes of a packed chart, and what is known of them.
struct Packed {
    from: String,
    bytes: Vec<u8>,
    manifest: Option<String>,
    provenance: Option<Vec<u8>>,
    warnings: Vec<String>,
}

impl Packed {
    fn new(from: String, bytes: Vec<u8>) -> Self {
        Packed { from, bytes, manifest: None, provenance: None, warnings: Vec::new() }
    }
}

impl Fetcher {
    /// Brings charts in this way.
    pub fn new(settings: Settings) -> Self {
        let cache = settings.cache.clone().map(|folder| Cache::new(folder, settings.limits.cache_bytes));
        Fetcher { settings, cache, lists: Mutex::default() }
    }

    /// Brings one chart.
    ///
    /// # Errors
    /// See [`Error`]; nothing is half brought.
    pub fn fetch(&self, wanted: &Wanted<'_>) -> Result<Fetched, Error> {
        let packed = match &wanted.place {
            Place::Path(path) if path.is_dir() => return folder(path, wanted),
            Place::Path(path) => self.local(path, wanted)?,
            Place::Url(url) => self.remote(url, url, wanted, None)?,
            Place::Repository { url, chart } => self.listed(url, chart, wanted)?,
            Place::Registry(name) => self.registered(name, wanted)?,
        };
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&packed.bytes)));
        check_digest(wanted, &packed.from, &digest, packed.manifest.as_deref())?;
        let chart = chart::read_any_archive_within(packed.bytes.as_slice(), self.settings.limits.chart);
        let chart = chart.map_err(|reason| match wanted.place {
            Place::Path(_) => Error::NotAChart(reason),
            _ => Error::Unreadable { place: packed.from.clone(), reason },
        })?;
        let Packed { from, bytes, manifest, provenance, warnings } = packed;
        Ok(Fetched { chart, from, digest, manifest, archive: Some(bytes), provenance, warnings })
    }

    /// The list of a repository: all of it, or what it says of one chart.
    ///
    /// # Errors
    /// It cannot be brought, or is no list.
    pub fn list(&self, repository: &Url, keep: Keep<'_>, access: &Access) -> Result<Arc<List>, Error> {
        let key = (repository.clone(), if let Keep::Only(name) = keep { name.to_owned() } else { String::new() });
        let now = Instant::now();
        let known = self.lists().get(&key).map(|kept| (kept.asked, kept.sha256, kept.list.clone()));
        if let Some((asked, _, list)) = &known
            && now.duration_since(*asked) < self.settings.fresh
        {
            return Ok(list.clone());
        }
        let max_bytes = self.settings.limits.list_bytes;
        let text = repository::list(access, repository, self.cache.as_ref(), max_bytes)?;
        let list = match known {
            Some((_, sha256, list)) if sha256 == text.sha256 => list,
            _ => {
                let url = shown(&repository::list_address(repository));
                let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
                let read = index::read(&text.bytes, keep, max_bytes);
                Arc::new(read.map_err(|reason| Error::BadIndex { url, reason })?)
            }
        };
        let mut lists = self.lists();
        if lists.len() >= MAX_LISTS {
            lists.clear();
        }
        lists.insert(key, Kept { asked: now, sha256: text.sha256, list: list.clone() });
        Ok(list)
    }

    /// The versions of a chart in a registry, newest first.
    ///
    /// # Errors
    /// The registry does not tell.
    pub fn versions(&self, name: &Name, access: &Access) -> Result<Vec<String>, Error> {
        self.registry(name, access)?.versions()
    }

    /// Brings a chart into a registry, below `folder`, under its own name and version.
    ///
    /// # Errors
    /// The registry does not take it.
    pub fn push(&self, parcel: &Parcel<'_>, folder: &str, access: &Access) -> Result<Pushed, Error> {
        let name = Name::parse(&format!("{}/{}", folder.trim_end_matches('/'), parcel.metadata.name))?;
        self.registry(&name, access)?.push(parcel)
    }

    fn local(&self, path: &Path, wanted: &Wanted<'_>) -> Result<Packed, Error> {
        let from = path.display().to_string();
        let limit = self.settings.limits.archive_bytes;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::NoPath(path.to_owned()),
            _ => Error::File { path: path.to_owned(), message: format!("cannot be read: {error}") },
        };
        if std::fs::metadata(path).map_err(failed)?.len() > limit {
            return Err(Error::TooBig { url: from, limit });
        }
        let mut packed = Packed::new(from, std::fs::read(path).map_err(failed)?);
        if wanted.provenance {
            packed.provenance = std::fs::read(format!("{}.prov", packed.from)).ok();
        }
        Ok(packed)
    }

    /// An archive at an address; one whose digest is known may have been brought before.
    fn remote(&self, url: &Url, home: &Url, wanted: &Wanted<'_>, sha256: Option<&str>) -> Result<Packed, Error> {
        let access = wanted.access;
        let pinned = wanted.digest.as_deref().and_then(registry::sha256);
        let known = sha256.or(pinned);
        let kept = known.and_then(|sha256| self.cache.as_ref()?.archive(sha256));
        let from = shown(url);
        let is_new = kept.is_none();
        let bytes = match kept {
            Some(bytes) => bytes,
            None => repository::file(access, url, home, self.settings.limits.archive_bytes)?,
        };
        repository::check_packed(url, &bytes)?;
        let found = hex::encode(Sha256::digest(&bytes));
        if let Some(expected) = sha256.filter(|expected| !expected.eq_ignore_ascii_case(&found)) {
            return Err(Error::WrongDigest { place: from, expected: format!("sha256:{expected}"), found });
        }
        if let (Some(cache), true) = (&self.cache, is_new) {
            cache.keep_archive(&found, &bytes);
        }
        let mut packed = Packed::new(from, bytes);
        if wanted.provenance {
            let mut url = url.clone();
            url.set_path(&format!("{}.prov", url.path()));
            packed.provenance = match repository::file(access, &url, home, self.settings.limits.archive_bytes) {
                Ok(text) => Some(text),
                Err(Error::Missing { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(packed)
    }

    fn listed(&self, repository: &Url, chart: &str, wanted: &Wanted<'_>) -> Result<Packed, Error> {
        let list = self.list(repository, Keep::Only(chart), wanted.access)?;
        let (entry, how) = find(&list.index, repository, chart, &wanted.version)?;
        let version = &entry.metadata.version;
        let place = format!("{} {chart} {version}", shown(repository));
        let broken = |message: &str| Error::BadAnswer { url: place.clone(), message: message.to_owned() };
        let reference = entry.urls.first().ok_or_else(|| broken("its list names no address for it"))?;
        let url = repository::below(repository, reference).ok_or_else(|| broken("its list names no address for it"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(broken("its list names an address with credentials in it"));
        }
        let mut packed = self.remote(&url, repository, wanted, entry.sha256())?;
        packed.warnings.extend(list.warnings.iter().cloned());
        if how == Match::Nearest {
            packed.warnings.push(format!("chart {chart}: there is no version {}, {version} is taken", wanted.version));
        }
        Ok(packed)
    }

    fn registered(&self, name: &Name, wanted: &Wanted<'_>) -> Result<Packed, Error> {
        let registry = self.registry(name, wanted.access)?;
        let chosen = registry.choose(&wanted.version)?;
        let pulled = registry.pull(&chosen, wanted.provenance, self.settings.limits.archive_bytes)?;
        let mut packed = Packed::new(chosen.to_string(), pulled.archive);
        packed.manifest = Some(pulled.manifest);
        packed.provenance = pulled.provenance;
        packed.warnings = pulled.warnings;
        Ok(packed)
    }

    fn registry<'a>(&'a self, name: &'a Name, access: &'a Access) -> Result<Registry<'a>, Error> {
        Registry::new(access, &self.settings.logins, name, self.cache.as_ref())
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Url, String), Kept>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a chart, or the error that says what there is instead.
fn find<'l>(list: &'l Index, repository: &Url, chart: &str, range: &str) -> Result<(&'l index::Entry, Match), Error> {
    list.find(chart, range).map_err(|why| match why {
        NotFound::Name(near) => Error::NoChart { repository: shown(repository), name: chart.to_owned(), near },
        NotFound::Version(near) => {
            Error::NoVersion { place: format!("{} {chart}", shown(repository)), range: range.to_owned(), near }
        }
        NotFound::Range(message) => Error::BadRange { range: range.to_owned(), message },
    })
}

fn folder(path: &Path, wanted: &Wanted<'_>) -> Result<Fetched, Error> {
    let from = path.display().to_string();
    let chart = chart::read_any_dir(path).map_err(Error::NotAChart)?;
    let digest = digest_of(&chart);
    check_digest(wanted, &from, &digest, None)?;
    Ok(Fetched { chart, from, digest, manifest: None, archive: None, provenance: None, warnings: Vec::new() })
}

/// The digest of a chart that is not packed: of the names and contents of its files, in the order of the names.
fn digest_of(chart: &Chart) -> String {
    let mut files: Vec<&chart::File> = chart.raw().iter().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut digest = Sha256::new();
    for file in files {
        digest.update(format!("{}\0{}\0", file.name, file.data.len()));
        digest.update(&file.data);
    }
    format!("sha256:{}", hex::encode(digest.finalize()))
}

fn check_digest(wanted: &Wanted<'_>, from: &str, digest: &str, manifest: Option<&str>) -> Result<(), Error> {
    let Some(expected) = &wanted.digest else { return Ok(()) };
    if expected.eq_ignore_ascii_case(digest) || manifest.is_some_and(|manifest| expected.eq_ignore_ascii_case(manifest))
    {
        return Ok(());
    }
    let found = digest.trim_start_matches("sha256:").to_owned();
    Err(Error::WrongDigest { place: from.to_owned(), expected: expected.clone(), found })
}
