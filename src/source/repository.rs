//! Follows one reference of a repository: look, fetch what is missing, walk, move the tip.
//!
//! ```text
//! <cache>/<source>-<hash of the address>/lock       one process at a time
//!                                       /current    which copy is in force
//!                                       /0, /1, ..  copies; a damaged one is followed by a fresh one
//! ```
//! The tip moves last: whatever fails before leaves the old one in force.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use git2::Oid;

use super::address::{Address, Place};
use super::checkout::{Checkout, Tree, content_id};
use super::config::{Config, Reference, Rewritten};
use super::error::Error;
use super::smart::{Advertised, Wants};
use super::store::Store;
use super::{Fetched, History, http, native, tags, walk};
use crate::failpoint::{Point, reach};

const SEEN: &str = "refs/bowline/seen/tip";
/// An update of a shallow copy looks back at least so far, to tell a push from a rewritten history.
const LOOK_BACK: u32 = 32;
const FULL_DEPTH: u32 = i32::MAX as u32;
const MAX_LISTED: usize = 100;
/// Each fetch brings a pack; more than these are made one.
const MAX_PACKS: usize = 40;
/// Packs younger than this stay: somebody may just read them.
const TIDY_AGE: Duration = Duration::from_secs(3600);

/// A repository that is followed, with its local copy.
pub(super) struct Repository {
    config: Config,
    shown: String,
    folder: PathBuf,
    generation: u64,
    store: Arc<Store>,
    remote: Remote,
    /// The commit in force.
    tip: Option<Oid>,
    /// The reference that the tip came by; not known after a restart.
    tip_name: Option<String>,
    last: Option<Checkout>,
    allowed: Option<Oid>,
    live: Vec<(Oid, Weak<Tree>)>,
    lock: File,
}

enum Remote {
    Http(Box<http::Server>),
    Native(Box<native::Server>),
}

/// What the server shows for the reference that is followed.
struct Wanted {
    /// Its full name; `None` for a commit.
    name: Option<String>,
    /// What it names: a commit or an annotated tag.
    id: Oid,
    /// The commit, as far as it is known before the fetch.
    commit: Oid,
}

impl Repository {
    pub(super) fn open(config: Config, address: Address, cache: &Path) -> Result<Self, Error> {
        let shown = address.shown();
        let folder = cache.join(format!("{}-{}", config.name, &content_id(shown.as_bytes())[..12]));
        let failed = |message: String| Error::Cache { path: folder.clone(), message };
        fs::create_dir_all(&folder).map_err(|error| failed(error.to_string()))?;
        let lock = File::create(folder.join("lock")).map_err(|error| failed(error.to_string()))?;
        lock.try_lock().map_err(|_| failed("is in use by another process".to_owned()))?;
        let mut generation =
            fs::read_to_string(folder.join("current")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let store = match Store::open(&folder.join(generation.to_string())) {
            Ok(store) => store,
            Err(error) => {
                tracing::warn!(
                    source = config.name,
                    error = error.message(),
                    "the local copy cannot be opened; a new one is made"
                );
                generation += 1;
                fresh(&folder, generation)?
            }
        };
        remove_others(&folder, generation);
        let remote = match address.place {
            Place::Http(url) => Remote::Http(Box::new(http::Server::new(url, address.credentials, &config))),
            place => Remote::Native(Box::new(native::Server::new(&place, shown.clone(), address.credentials, &config))),
        };
        let tip = store.resolve(&tip_name(&config.reference));
        Ok(Repository {
            config,
            shown,
            folder,
            generation,
            store: Arc::new(store),
            remote,
            tip,
            tip_name: None,
            last: None,
            allowed: None,
            live: Vec::new(),
            lock,
        })
    }

    pub(super) fn fetch(&mut self) -> Result<Fetched, Error> {
        let fetched = if self.store.is_damaged() {
            Err(Error::Damaged { message: "a file could not be read".to_owned() })
        } else {
            self.fetch_once()
        };
        match fetched {
            Err(Error::Damaged { message }) => {
                tracing::warn!(
                    source = self.config.name,
                    error = message,
                    "the local copy is damaged; a new one is fetched"
                );
                self.fetch_anew()
            }
            fetched => fetched,
        }
    }

    /// Fetches into a new folder and swaps when that has worked. Checkouts in memory go on reading the old one.
    fn fetch_anew(&mut self) -> Result<Fetched, Error> {
        let store = Arc::new(fresh(&self.folder, self.generation + 1)?);
        let pins = self.store.pinned().unwrap_or_default();
        let old = std::mem::replace(&mut self.store, store);
        let last = self.last.take();
        match self.fetch_once() {
            Ok(fetched) => {
                self.generation += 1;
                reach(Point::SourceSwapping);
                let (path, next) = (self.folder.join("current"), self.folder.join("current.new"));
                let written = fs::write(&next, self.generation.to_string()).and_then(|()| fs::rename(&next, &path));
                written.map_err(|error| Error::Cache { path, message: error.to_string() })?;
                reach(Point::SourceSwapped);
                old.retire();
                self.pin_again(&pins);
                Ok(fetched)
            }
            Err(error) => {
                std::mem::replace(&mut self.store, old).retire();
                self.last = last;
                Err(match error {
                    Error::Damaged { message } => Error::BadAnswer { url: self.shown.clone(), message },
                    error => error,
                })
            }
        }
    }

    fn fetch_once(&mut self) -> Result<Fetched, Error> {
        let wanted = self.look()?;
        if self.last.as_ref().is_some_and(|last| last.commit.id == wanted.commit.to_string()) {
            return Ok(Fetched::Unchanged);
        }
        reach(Point::SourceLooked);
        let commit = if self.store.has(wanted.commit) { wanted.commit } else { self.download(&wanted)? };
        let path = &self.config.path;
        let (name, limits, last) = (&self.config.name, self.config.limits, self.last.as_ref());
        let checkout = walk::checkout(&self.store, name, path, commit, limits, last)?;
        let history = self.history(commit, &wanted);
        self.check_rewritten(commit, &wanted, &history)?;
        reach(Point::SourceWalked);
        self.store.set(&tip_name(&self.config.reference), commit)?;
        reach(Point::SourceMoved);
        self.tip = Some(commit);
        self.tip_name = wanted.name;
        self.keep(&checkout);
        if self.store.packs() > MAX_PACKS {
            self.tidy(TIDY_AGE);
        }
        Ok(Fetched::Moved(checkout, history))
    }

    /// One request: what does the server show for the reference?
    fn look(&mut self) -> Result<Wanted, Error> {
        if let Reference::Commit(text) = &self.config.reference {
            let id = Oid::from_str(text)
                .map_err(|error| Error::Invalid { field: "reference", message: error.message().to_owned() })?;
            if self.store.has(id) {
                return Ok(Wanted { name: None, id, commit: id });
            }
        }
        let advertised = match &mut self.remote {
            Remote::Http(server) => server.references(&self.config.reference)?,
            Remote::Native(server) => server.references(&self.store)?,
        };
        match pick(&self.config.reference, &advertised) {
            Some(wanted) => Ok(wanted),
            None => Err(self.missing(advertised)),
        }
    }

    /// The error for a reference that is not there, with what there is.
    fn missing(&mut self, mut advertised: Vec<Advertised>) -> Error {
        let is_tag = matches!(self.config.reference, Reference::Tag(_) | Reference::Semver(_));
        let prefix = if is_tag { "refs/tags/" } else { "refs/heads/" };
        if let Remote::Http(server) = &mut self.remote {
            advertised = server.list(&[prefix.to_owned()]).unwrap_or(advertised);
        }
        let wanted = match &self.config.reference {
            Reference::Branch(name) | Reference::Tag(name) => name.clone(),
            _ => String::new(),
        };
        let mut known: Vec<String> =
            advertised.iter().filter_map(|found| found.name.strip_prefix(prefix)).map(str::to_owned).collect();
        known.sort_by_cached_key(|name| (strsim::damerau_levenshtein(name, &wanted), name.clone()));
        known.truncate(MAX_LISTED);
        Error::NoReference { url: self.shown.clone(), reference: self.config.reference.to_string(), known }
    }

    /// Brings what is wanted into the local copy; returns the commit that it turned out to be.
    fn download(&mut self, wanted: &Wanted) -> Result<Oid, Error> {
        let shallow = self.store.shallow();
        let depth = match self.config.depth {
            Some(depth) if self.tip.is_some() => Some(depth.max(LOOK_BACK)),
            Some(depth) => Some(depth),
            None if shallow.is_empty() => None,
            None => Some(FULL_DEPTH),
        };
        let came = match &mut self.remote {
            Remote::Http(server) => {
                server
                    .fetch(&self.store, &Wants { want: vec![wanted.id], have: self.store.haves(), shallow, depth })?;
                wanted.id
            }
            Remote::Native(server) => {
                let what = wanted.name.clone().unwrap_or_else(|| wanted.id.to_string());
                let one = server.fetch(&self.store, &[native::refspec(&what)], depth);
                if wanted.name.is_none() && one.is_err() {
                    server.fetch(&self.store, &native::everything(), None)?;
                    wanted.id
                } else {
                    one?;
                    self.store.resolve(SEEN).unwrap_or(wanted.id)
                }
            }
        };
        let Some(commit) = self.store.commit_of(came) else {
            let message = format!("it does not bring the commit that {} names", self.config.reference);
            return Err(Error::BadAnswer { url: self.shown.clone(), message });
        };
        reach(Point::SourceFetched);
        self.store.set(SEEN, commit)?;
        Ok(commit)
    }

    fn history(&self, commit: Oid, wanted: &Wanted) -> History {
        const MOST: usize = 50;
        let reference = wanted.name.clone().unwrap_or_else(|| wanted.id.to_string());
        let Some(old) = self.tip else {
            return History { previous: None, descendant: true, reference, commits: Vec::new() };
        };
        let commits = self.store.between(old, commit, MOST);
        History { previous: Some(old.to_string()), descendant: self.store.descends(commit, old), reference, commits }
    }

    fn check_rewritten(&self, commit: Oid, wanted: &Wanted, history: &History) -> Result<(), Error> {
        // Another tag of a range is a release, not a rewritten history.
        let is_other_tag = matches!(self.config.reference, Reference::Semver(_)) && self.tip_name != wanted.name;
        let (Some(last), false) = (&history.previous, history.descendant || is_other_tag) else { return Ok(()) };
        tracing::warn!(source = self.config.name, from = last, to = %commit, "history was rewritten: not a descendant");
        if self.config.rewritten == Rewritten::Follow || self.allowed == Some(commit) {
            return Ok(());
        }
        let reference = self.config.reference.to_string();
        Err(Error::Held { reference, last: last.clone(), found: commit.to_string() })
    }

    fn keep(&mut self, checkout: &Checkout) {
        self.live.retain(|(_, tree)| tree.strong_count() > 0);
        if let Ok(id) = Oid::from_str(&checkout.commit.id) {
            self.live.push((id, Arc::downgrade(checkout.tree())));
        }
        self.last = Some(checkout.clone());
    }

    /// The last commit in force, from the local copy alone: for a start while the server is away.
    pub(super) fn cached(&mut self) -> Result<Option<Checkout>, Error> {
        let (Some(tip), None) = (self.tip, &self.last) else { return Ok(self.last.clone()) };
        let checkout =
            walk::checkout(&self.store, &self.config.name, &self.config.path, tip, self.config.limits, None)?;
        self.keep(&checkout);
        Ok(Some(checkout))
    }

    /// An older commit, if it is still here.
    pub(super) fn at(&mut self, revision: &str) -> Result<Checkout, Error> {
        let Some(id) = self.store.find(revision) else {
            let reference = format!("commit {revision} in the local copy");
            return Err(Error::NoReference { url: self.shown.clone(), reference, known: Vec::new() });
        };
        let (name, path) = (&self.config.name, &self.config.path);
        let checkout = walk::checkout(&self.store, name, path, id, self.config.limits, self.last.as_ref())?;
        self.live.push((id, Arc::downgrade(checkout.tree())));
        Ok(checkout)
    }

    pub(super) fn allow(&mut self, commit: &str) {
        self.allowed = Oid::from_str(commit).ok();
    }

    pub(super) fn pin(&mut self, commits: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let ids = commits.iter().filter_map(|id| Oid::from_str(id).ok()).collect();
        Ok(self.store.pin(&ids)?.iter().map(Oid::to_string).collect())
    }

    /// After a fresh copy: brings the pinned commits back, as far as the server still gives them.
    fn pin_again(&mut self, pins: &BTreeSet<Oid>) {
        let missing = self.store.pin(pins).unwrap_or_default();
        if missing.is_empty() {
            return;
        }
        let wants = Wants { want: missing.iter().copied().collect(), have: self.store.haves(), ..Wants::default() };
        let fetched = match &mut self.remote {
            Remote::Http(server) if server.gives_any() => server.fetch(&self.store, &wants),
            _ => Ok(()),
        };
        let lost = fetched.and_then(|()| self.store.pin(pins)).unwrap_or(missing);
        if !lost.is_empty() {
            let commits: Vec<String> = lost.iter().map(Oid::to_string).collect();
            tracing::warn!(source = self.config.name, ?commits, "commits of older revisions are gone from the server");
        }
    }

    /// Makes one pack of what is still needed and deletes what is older than `age` and needed by nobody.
    pub(super) fn tidy(&mut self, age: Duration) {
        self.live.retain(|(_, tree)| tree.strong_count() > 0);
        let live: Vec<Oid> = self.live.iter().map(|(id, _)| *id).collect();
        if let Err(error) = self.store.tidy(&live, age, SystemTime::now()) {
            tracing::warn!(source = self.config.name, %error, "the local copy could not be tidied");
        }
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // Closing alone would leave it to a process that was just forked and has not yet closed its copy.
        let _ = self.lock.unlock();
    }
}

/// Chooses what the reference names among what the server shows.
fn pick(reference: &Reference, advertised: &[Advertised]) -> Option<Wanted> {
    let named = |name: &str| advertised.iter().find(|found| found.name == name);
    let found = match reference {
        Reference::Head => named("HEAD"),
        Reference::Branch(name) => named(&format!("refs/heads/{name}")),
        Reference::Tag(name) => named(&format!("refs/tags/{name}")),
        Reference::Semver(range) => {
            let names = advertised.iter().filter_map(|found| found.name.strip_prefix("refs/tags/"));
            named(&format!("refs/tags/{}", tags::highest(range, names)?))
        }
        Reference::Commit(id) => {
            let id = Oid::from_str(id).ok()?;
            return Some(Wanted { name: None, id, commit: id });
        }
    }?;
    Some(Wanted { name: Some(found.name.clone()), id: found.id, commit: found.peeled.unwrap_or(found.id) })
}

fn tip_name(reference: &Reference) -> String {
    format!("refs/bowline/tip/{}", &content_id(reference.to_string().as_bytes())[..12])
}

/// An empty copy of this number, whatever lies there.
fn fresh(folder: &Path, generation: u64) -> Result<Store, Error> {
    let path = folder.join(generation.to_string());
    let failed = |message: String| Error::Cache { path: path.clone(), message };
    if path.exists() {
        fs::remove_dir_all(&path).map_err(|error| failed(error.to_string()))?;
    }
    Store::open(&path).map_err(|error| failed(error.message().to_owned()))
}

/// Deletes the copies that an end in the middle of a swap left behind.
fn remove_others(folder: &Path, generation: u64) {
    for file in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let number = file.file_name().to_string_lossy().parse::<u64>();
        if number.is_ok_and(|number| number != generation) {
            let _ = fs::remove_dir_all(file.path());
        }
    }
}
