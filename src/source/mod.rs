//! Brings a commit's files: from a Git server, a local repository or a plain folder.
//!
//! ```text
//! Config -> Source::open -> fetch --Unchanged--> nothing to do: one request was spent
//!                             |
//!                             +---Moved--------> Checkout: paths and blobs of one commit, History: how it came
//!
//! repository   look, fetch, walk, move the tip      folder   a plain folder, read into memory
//!   http, smart   our transport and protocol
//!   native, known_hosts   ssh, git://, this machine by libgit2
//!   store, walk   the local copy: objects in, entries out
//! schedule, watch   when to look: cron, polls, changes on this machine
//! ```
//! An error is never an empty tree: whatever fails, the last good checkout stays what is wanted.
//!
//! Start at [`Source::fetch`], then [`Checkout`].

mod address;
mod checkout;
mod config;
mod error;
mod folder;
mod http;
mod known_hosts;
mod native;
mod repository;
mod schedule;
mod smart;
mod store;
mod tags;
mod walk;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::printable;
pub use checkout::{Checkout, Commit, Entry, ReadError};
pub use config::{Config, Credentials, Limits, Reference, Rewritten};
pub use error::Error;
pub use schedule::{NotASchedule, Schedule, Timer, until_poll};
pub use watch::{Watch, watch};

use address::{Address, Place};
use folder::Folder;
use repository::Repository;

/// One source that is followed. All its work blocks: run it where that is allowed.
pub struct Source {
    name: String,
    address: String,
    kind: Kind,
}

enum Kind {
    Repository(Box<Repository>),
    Folder(Box<Folder>),
}

/// What a fetch found.
#[derive(Debug)]
pub enum Fetched {
    /// The commit that the last checkout shows is still the one.
    Unchanged,
    /// There is another commit than in the last checkout of this process.
    Moved(Checkout, History),
}

/// How a commit came to be the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The commit that was in force before; `None` for the first one, equal to the new one after a restart.
    pub previous: Option<String>,
    /// The new commit is `previous` or descends from it. False after a force push, for a tag that was moved, for
    /// another tag of a range on another line, and where a shallow copy does not reach back far enough.
    pub descendant: bool,
    /// The reference as the server names it, such as `refs/tags/v1.2.0`.
    pub reference: String,
    /// What came since `previous`, newest first, at most 50.
    pub commits: Vec<Commit>,
}

impl Source {
    /// Prepares a source; nothing is asked of the server yet. Local copies live in `cache`, one folder for each source.
    ///
    /// # Errors
    /// The configuration cannot be used, or the cache folder is not writable or in use by another process.
    pub fn open(config: Config, cache: &Path) -> Result<Source, Error> {
        let config = config.checked()?;
        let address = Address::parse(&config.url)?;
        address.check_plaintext(config.allow_http)?;
        let (name, shown) = (config.name.clone(), address.shown());
        let kind = match &address.place {
            Place::Local(path) if !config.url.starts_with("file:") && !is_repository(path) => {
                Kind::Folder(Box::new(Folder::new(config, path)))
            }
            _ => Kind::Repository(Box::new(Repository::open(config, address, cache)?)),
        };
        Ok(Source { name, address: shown, kind })
    }

    /// Prepares a folder as it lies there, changes that are not committed included, even when it is a repository.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn folder(config: Config) -> Result<Source, Error> {
        let config = config.checked()?;
        let path = PathBuf::from(&config.url);
        let (name, address) = (config.name.clone(), config.url.clone());
        Ok(Source { name, address, kind: Kind::Folder(Box::new(Folder::new(config, &path))) })
    }

    /// Looks whether there is another commit and brings it. An idle look is one request.
    ///
    /// # Errors
    /// See [`Error`]. The last good checkout stays in force and the local copy usable, whatever went wrong.
    pub fn fetch(&mut self) -> Result<Fetched, Error> {
        match &mut self.kind {
            Kind::Repository(repository) => repository.fetch(),
            Kind::Folder(folder) => folder.fetch(),
        }
    }

    /// The last commit in force without asking the server: for a start while it is away.
    ///
    /// # Errors
    /// The local copy is damaged; a fetch makes a new one.
    pub fn cached(&mut self) -> Result<Option<Checkout>, Error> {
        match &mut self.kind {
            Kind::Repository(repository) => repository.cached(),
            Kind::Folder(folder) => Ok(folder.last()),
        }
    }

    /// The checkout of another commit of the local copy: a full or shortened id, with `~N` for an ancestor.
    ///
    /// # Errors
    /// The commit is not in the local copy, or its tree cannot be read. A plain folder has its last content only.
    pub fn at(&mut self, revision: &str) -> Result<Checkout, Error> {
        let folder = match &mut self.kind {
            Kind::Repository(repository) => return repository.at(revision),
            Kind::Folder(folder) => folder,
        };
        let last = folder.last().filter(|last| revision.len() >= 4 && last.commit.id.starts_with(revision));
        let reference = format!("commit {revision}: it is a plain folder");
        last.ok_or(Error::NoReference { url: self.address.clone(), reference, known: Vec::new() })
    }

    /// Keeps exactly these commits in the local copy, whatever happens to the branch; returns those that are not there.
    ///
    /// # Errors
    /// The local copy cannot be read or written.
    pub fn pin(&mut self, commits: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        match &mut self.kind {
            Kind::Repository(repository) => repository.pin(commits),
            Kind::Folder(_) => Ok(commits.clone()),
        }
    }

    /// Allows one commit although the history before it was rewritten, where the source is to wait for that.
    pub fn allow(&mut self, commit: &str) {
        if let Kind::Repository(repository) = &mut self.kind {
            repository.allow(commit);
        }
    }

    /// Makes the local copy small: one pack, and nothing that is older than `age` and needed by nobody. A fetch does it
    /// by itself from time to time.
    pub fn tidy(&mut self, age: Duration) {
        if let Kind::Repository(repository) = &mut self.kind {
            repository.tidy(age);
        }
    }

    /// Name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address as it may be printed.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// A folder that is itself a repository, bare or with a work folder; one that only lies in a repository is not.
fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}
