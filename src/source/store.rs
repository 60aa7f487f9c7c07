//! The local copy of one repository: a bare object database with references of our own.
//!
//! ```text
//! refs/bowline/tip          the commit in force
//! refs/bowline/seen/<name>  what the last fetch brought, until the walk is done
//! refs/bowline/pin/<id>     commits that revisions still need
//! ```
//! A copy is never repaired: what is inconsistent is fetched into a new folder, and the old one goes when its last
//! reader does.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use git2::{ErrorClass, ErrorCode, ObjectType, Oid, Repository, Sort};

use super::checkout::Commit;
use super::error::Error;
use super::smart::Borders;
use super::walk;
use crate::failpoint::{Point, reach};

const PINS: &str = "refs/bowline/pin/";
/// Commits offered to the server as known: enough to find the last common one after a rewrite of recent history.
const MAX_HAVES: usize = 128;

/// One bare repository on disk, shared by the source and by all checkouts that still read from it.
pub(super) struct Store {
    path: PathBuf,
    /// Handles at rest: libgit2's are for one thread at a time.
    handles: Mutex<Vec<Repository>>,
    damaged: AtomicBool,
    retired: AtomicBool,
}

impl Store {
    /// Opens the repository in a folder, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, git2::Error> {
        let repository = match Repository::open_bare(path) {
            Ok(repository) => repository,
            Err(error) if error.code() == git2::ErrorCode::NotFound => Repository::init_bare(path)?,
            Err(error) => return Err(error),
        };
        Ok(Store {
            path: path.to_owned(),
            handles: Mutex::new(vec![repository]),
            damaged: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Works with a handle that nobody else uses meanwhile.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Repository) -> Result<T, git2::Error>) -> Result<T, git2::Error> {
        let rested = self.handles.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let repository = match rested {
            Some(repository) => repository,
            None => Repository::open_bare(&self.path)?,
        };
        let result = work(&repository);
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(repository);
        result
    }

    /// Reads one blob; a failure marks the copy as damaged, so that the next fetch makes a new one.
    pub(super) fn read_blob(&self, oid: &str) -> Result<Vec<u8>, String> {
        self.with(|repository| Ok(repository.find_blob(Oid::from_str(oid)?)?.content().to_vec())).map_err(|error| {
            self.damaged.store(true, Ordering::Relaxed);
            error.message().to_owned()
        })
    }

    /// Says whether something in this copy could not be read.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Says whether a commit is here. Packs come whole or not at all, so what it holds is here too.
    pub(super) fn has(&self, id: Oid) -> bool {
        self.with(|repository| Ok(repository.find_commit(id).is_ok())).unwrap_or(false)
    }

    /// The commit a reference of ours, or a tag it names, leads to.
    pub(super) fn resolve(&self, reference: &str) -> Option<Oid> {
        let commit = |repository: &Repository| {
            repository.find_reference(reference)?.peel(ObjectType::Commit).map(|object| object.id())
        };
        self.with(commit).ok()
    }

    /// What an object leads to when tags are followed; `None` when that is no commit or not here.
    pub(super) fn commit_of(&self, id: Oid) -> Option<Oid> {
        self.with(|repository| Ok(repository.find_object(id, None)?.peel(ObjectType::Commit)?.id())).ok()
    }

    pub(super) fn set(&self, reference: &str, id: Oid) -> Result<(), Error> {
        let set = self.with(|repository| repository.reference(reference, id, true, "").map(|_| ()));
        set.map_err(|error| self.failed(&error))
    }

    /// Keeps exactly these commits, whatever happens to the branch; returns those that are not here.
    pub(super) fn pin(&self, commits: &BTreeSet<Oid>) -> Result<BTreeSet<Oid>, Error> {
        let pinned = self.pinned()?;
        for id in pinned.difference(commits) {
            let unpin = |repository: &Repository| repository.find_reference(&format!("{PINS}{id}"))?.delete();
            self.with(unpin).map_err(|error| self.failed(&error))?;
        }
        let mut missing = BTreeSet::new();
        for id in commits.difference(&pinned) {
            if self.has(*id) {
                self.set(&format!("{PINS}{id}"), *id)?;
            } else {
                missing.insert(*id);
            }
        }
        Ok(missing)
    }

    /// The commits that [`Store::pin`] keeps.
    pub(super) fn pinned(&self) -> Result<BTreeSet<Oid>, Error> {
        let list = |repository: &Repository| {
            let mut pinned = BTreeSet::new();
            for reference in repository.references_glob(&format!("{PINS}*"))? {
                pinned.extend(reference?.target());
            }
            Ok(pinned)
        };
        self.with(list).map_err(|error| self.failed(&error))
    }

    /// Known commits, newest first: our references and what lies behind them.
    pub(super) fn haves(&self) -> Vec<Oid> {
        let list = |repository: &Repository| {
            let mut walk = repository.revwalk()?;
            walk.set_sorting(Sort::TIME)?;
            walk.push_glob("refs/bowline/*")?;
            Ok(walk.filter_map(Result::ok).take(MAX_HAVES).collect())
        };
        self.with(list).unwrap_or_default()
    }

    /// Says whether `new` is `old` or descends from it, as far as this copy knows.
    pub(super) fn descends(&self, new: Oid, old: Oid) -> bool {
        new == old || self.with(|repository| repository.graph_descendant_of(new, old)).unwrap_or(false)
    }

    /// The commits in `new` that are not in `old`, newest first.
    pub(super) fn between(&self, old: Oid, new: Oid, most: usize) -> Vec<Commit> {
        let list = |repository: &Repository| {
            let mut revwalk = repository.revwalk()?;
            revwalk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
            revwalk.push(new)?;
            revwalk.hide(old)?;
            Ok(revwalk.filter_map(Result::ok).take(most).filter_map(|id| walk::commit(repository, id).ok()).collect())
        };
        self.with(list).unwrap_or_default()
    }

    /// The one commit that a full or shortened id names, with `~N` for an ancestor.
    pub(super) fn find(&self, revision: &str) -> Option<Oid> {
        let id = revision.split(['~', '^']).next().unwrap_or_default();
        if id.len() < 4 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.with(|repository| Ok(repository.revparse_single(revision)?.peel(ObjectType::Commit)?.id())).ok()
    }

    /// Commits here whose parents are not.
    pub(super) fn shallow(&self) -> Vec<Oid> {
        let text = fs::read_to_string(self.path.join("shallow")).unwrap_or_default();
        text.lines().filter_map(|line| Oid::from_str(line.trim()).ok()).collect()
    }

    /// Writes one pack, piece by piece; nothing of it is seen before its last byte was checked.
    pub(super) fn take_pack(
        &self,
        borders: &Borders,
        limit: u64,
        mut next: impl FnMut() -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<(), Error> {
        // New borders first: a border that names nothing harms nothing, a commit without its border lacks parents.
        let old: BTreeSet<Oid> = self.shallow().into_iter().collect();
        let wider: BTreeSet<Oid> = old.iter().chain(&borders.shallow).copied().collect();
        self.write_shallow(&old, &wider)?;
        let mut outcome = Ok(());
        let written = self.with(|repository| {
            let odb = repository.odb()?;
            let mut pack = odb.packwriter()?;
            let mut taken = 0;
            loop {
                match next() {
                    Ok(Some(piece)) => {
                        taken += piece.len() as u64;
                        if taken > limit {
                            outcome =
                                Err(Error::TooMuch { what: "a fetch".to_owned(), limit: format!("{limit} bytes") });
                            return Ok(());
                        }
                        // The stream's own error says nothing; libgit2 keeps the reason.
                        pack.write_all(&piece).map_err(|_| git2::Error::last_error(-1))?;
                    }
                    Ok(None) if taken == 0 => return Ok(()),
                    Ok(None) => {
                        reach(Point::SourcePack);
                        return pack.commit().map(|_| ());
                    }
                    Err(error) => {
                        outcome = Err(error);
                        return Ok(());
                    }
                }
            }
        });
        outcome?;
        written.map_err(|error| self.failed(&error))?;
        let narrower = wider.iter().filter(|id| !borders.unshallow.contains(id)).copied().collect();
        self.write_shallow(&wider, &narrower)?;
        self.forget_handles();
        Ok(())
    }

    fn write_shallow(&self, old: &BTreeSet<Oid>, new: &BTreeSet<Oid>) -> Result<(), Error> {
        if old == new {
            return Ok(());
        }
        let text: String = new.iter().map(|id| format!("{id}\n")).collect();
        let (path, next) = (self.path.join("shallow"), self.path.join("shallow.new"));
        let written = fs::write(&next, text).and_then(|()| fs::rename(&next, &path));
        written.map_err(|error| Error::Cache { path, message: error.to_string() })
    }

    /// Writes what is still needed into one pack and deletes the packs that are older than `age`.
    ///
    /// `live` are commits that checkouts in memory still read.
    pub(super) fn tidy(&self, live: &[Oid], age: Duration, now: SystemTime) -> Result<(), Error> {
        let folder = self.path.join("objects/pack");
        let packed = |repository: &Repository| {
            let mut revwalk = repository.revwalk()?;
            revwalk.push_glob("refs/bowline/*")?;
            for id in live {
                revwalk.push(*id)?;
            }
            let mut pack = repository.packbuilder()?;
            pack.set_threads(1);
            pack.insert_walk(&mut revwalk)?;
            if pack.object_count() == 0 {
                return Ok(None);
            }
            pack.write(&folder, 0)?;
            Ok(pack.name()?.map(str::to_owned))
        };
        let Some(name) = self.with(packed).map_err(|error| self.failed(&error))? else { return Ok(()) };
        reach(Point::SourceTidied);
        let failed = |error: std::io::Error| Error::Cache { path: folder.clone(), message: error.to_string() };
        for file in fs::read_dir(&folder).map_err(failed)? {
            let file = file.map_err(failed)?;
            let changed = file.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
            let is_old = now.duration_since(changed).is_ok_and(|since| since >= age);
            let is_new_pack = file.file_name().to_string_lossy().contains(&name);
            if is_old && !is_new_pack {
                fs::remove_file(file.path()).map_err(failed)?;
            }
        }
        self.forget_handles();
        Ok(())
    }

    /// Closes the handles at rest: they remember packs and borders of before.
    pub(super) fn forget_handles(&self) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many packs there are: each fetch brings one.
    pub(super) fn packs(&self) -> usize {
        let files = fs::read_dir(self.path.join("objects/pack")).into_iter().flatten().filter_map(Result::ok);
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "pack")).count()
    }

    /// Tells a full disk and a broken pack from a damaged copy.
    fn failed(&self, error: &git2::Error) -> Error {
        let message = error.message().to_owned();
        match (error.class(), error.code()) {
            (ErrorClass::Os | ErrorClass::Filesystem, _) | (_, ErrorCode::Locked) => {
                Error::Cache { path: self.path.clone(), message }
            }
            (ErrorClass::Indexer | ErrorClass::Zlib, _) => {
                Error::BadAnswer { url: String::new(), message: format!("its pack is broken: {message}") }
            }
            _ => Error::Damaged { message },
        }
    }

    /// Deletes the folder as soon as the last reader is gone.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Relaxed) {
            self.handles.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if let Err(error) = std::fs::remove_dir_all(&self.path) {
                tracing::warn!(path = %self.path.display(), %error, "an old copy of a repository stays on disk");
            }
        }
    }
}
