//! Walks a commit's tree, below a path, into the entries of a checkout.
//!
//! Folders whose tree id is that of the checkout before are taken over unread: the cost follows the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::checkout::{Blobs, Checkout, Commit, Entry, Link, Tree};
use super::config::Limits;
use super::error::Error;
use super::store::Store;
use crate::unit::{Origin, Problem};

const MAX_DEPTH: usize = 64;
const MAX_PATH: usize = 4096;
/// Longest text of a symbolic link; Linux takes no longer one either.
const MAX_LINK: u64 = 4096;

/// Reads what the commit object says.
pub(super) fn commit(repository: &Repository, id: Oid) -> Result<Commit, git2::Error> {
    let commit = repository.find_commit(id)?;
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Commit {
        id: id.to_string(),
        author: format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes())),
        message: text(commit.message_bytes()),
        time: commit.time().seconds(),
    })
}

/// Lists the files below `path` at a commit, taking over from `last` what did not change.
pub(super) fn checkout(
    store: &Arc<Store>,
    source: &str,
    path: &str,
    id: Oid,
    limits: Limits,
    last: Option<&Checkout>,
) -> Result<Checkout, Error> {
    let damaged = |error: git2::Error| Error::Damaged { message: error.message().to_owned() };
    let (commit, tree) = store
        .with(|repository| {
            let commit = commit(repository, id)?;
            Ok((commit, below(repository, store, path, id, limits, last)))
        })
        .map_err(damaged)?;
    let tree = tree?;
    if tree.files.is_empty() && tree.problems.is_empty() {
        return Err(Error::Empty { path: path.to_owned(), commit: id.to_string() });
    }
    Ok(Checkout::new(source, commit, tree))
}

fn below(
    repository: &Repository,
    store: &Arc<Store>,
    path: &str,
    id: Oid,
    limits: Limits,
    last: Option<&Checkout>,
) -> Result<Tree, Error> {
    let damaged = |error: git2::Error| Error::Damaged { message: error.message().to_owned() };
    let root = repository.find_commit(id).and_then(|commit| commit.tree()).map_err(damaged)?;
    let start = if path.is_empty() {
        root.id()
    } else {
        match root.get_path(std::path::Path::new(path)) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => entry.id(),
            Ok(_) => return Err(Error::NoPath { path: path.to_owned(), commit: id.to_string() }),
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(Error::NoPath { path: path.to_owned(), commit: id.to_string() });
            }
            Err(error) => return Err(damaged(error)),
        }
    };
    // Problems and notes are not kept by folder: a tree that has some is walked whole.
    let last = last.map(Checkout::tree).filter(|last| last.problems.is_empty() && last.notes.is_empty());
    let mut walk = Walk {
        odb: repository.odb().map_err(damaged)?,
        repository,
        limits,
        last: last.map(|tree| &**tree),
        tree: Tree {
            blobs: Blobs::Git(store.clone()),
            ..Tree::in_memory(BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), limits.file_bytes)
        },
    };
    walk.folder("", start, 0)?;
    Ok(walk.tree)
}

struct Walk<'a> {
    repository: &'a Repository,
    odb: git2::Odb<'a>,
    limits: Limits,
    last: Option<&'a Tree>,
    tree: Tree,
}

impl Walk<'_> {
    fn folder(&mut self, prefix: &str, id: Oid, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH || prefix.len() > MAX_PATH {
            self.problem(prefix.trim_end_matches('/'), "is too deep to be read", "move it up");
            return Ok(());
        }
        self.tree.folders.insert(prefix.into(), id);
        if self.taken_over(prefix, id) {
            return self.count();
        }
        let damaged = |error: git2::Error| Error::Damaged { message: error.message().to_owned() };
        let tree = self.repository.find_tree(id).map_err(damaged)?;
        let mut folded: BTreeMap<String, String> = BTreeMap::new();
        for entry in &tree {
            let Some(name) = self.name(prefix, entry.name_bytes()) else { continue };
            if let Some(twin) = folded.insert(name.to_lowercase(), name.clone()) {
                let message = format!("differs from {prefix}{twin} in upper and lower case only");
                self.note(&format!("{prefix}{name}"), &message);
            }
            let path = format!("{prefix}{name}");
            match (entry.filemode(), entry.kind()) {
                (_, Some(ObjectType::Tree)) => self.folder(&format!("{path}/"), entry.id(), depth + 1)?,
                (_, Some(ObjectType::Commit)) => self.note(&path, "is a submodule, which is not read"),
                (mode, _) => self.file(path, entry.id(), mode)?,
            }
        }
        self.count()
    }

    /// Takes a folder over from the last checkout when its tree id is the same.
    fn taken_over(&mut self, prefix: &str, id: Oid) -> bool {
        let Some(last) = self.last.filter(|last| last.folders.get(prefix) == Some(&id)) else { return false };
        let inside = |path: &&Arc<str>| path.starts_with(prefix);
        let from = || (std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded);
        for (path, entry) in last.files.range::<str, _>(from()).take_while(|(path, _)| inside(path)) {
            self.tree.files.insert(path.clone(), entry.clone());
        }
        for (path, target) in last.links.range::<str, _>(from()).take_while(|(path, _)| inside(path)) {
            self.tree.links.insert(path.clone(), target.clone());
        }
        for (path, id) in last.folders.range::<str, _>(from()).take_while(|(path, _)| inside(path)) {
            self.tree.folders.insert(path.clone(), *id);
        }
        true
    }

    fn count(&self) -> Result<(), Error> {
        if self.tree.files.len() <= self.limits.files {
            return Ok(());
        }
        Err(Error::TooMuch { what: "files below the source's path".to_owned(), limit: self.limits.files.to_string() })
    }

    /// The name of a tree's entry, or `None` after it was reported.
    fn name(&mut self, prefix: &str, bytes: &[u8]) -> Option<String> {
        let name = String::from_utf8_lossy(bytes).into_owned();
        let wrong = match std::str::from_utf8(bytes) {
            Err(_) => "its name is not UTF-8",
            Ok("" | "." | "..") => "its name is not a file name",
            Ok(name) if name.contains(['/', '\\']) => "its name holds a slash or backslash",
            Ok(name) if name.chars().any(char::is_control) => "its name holds a control character",
            Ok(name) if prefix.len() + name.len() > MAX_PATH => "its path is too long",
            Ok(_) => return Some(name),
        };
        let shown = format!("{prefix}{}", name.escape_debug());
        self.problem(&shown, &format!("cannot be read: {wrong}"), "rename it");
        None
    }

    fn file(&mut self, path: String, id: Oid, mode: i32) -> Result<(), Error> {
        const LINK: i32 = 0o120_000;
        let damaged = |error: git2::Error| Error::Damaged { message: error.message().to_owned() };
        let (size, _) = self.odb.read_header(id).map_err(damaged)?;
        let entry = Entry {
            oid: id.to_string(),
            size: size as u64,
            link: mode == LINK,
            executable: mode & 0o111 != 0 && mode != LINK,
        };
        let path: Arc<str> = path.into();
        if entry.link && entry.size <= MAX_LINK {
            let blob = self.repository.find_blob(id).map_err(damaged)?;
            let target = String::from_utf8_lossy(blob.content()).into_owned();
            self.tree.links.insert(path.clone(), Arc::new(Link { target, entry: entry.clone() }));
        }
        self.tree.files.insert(path, Arc::new(entry));
        Ok(())
    }

    fn problem(&mut self, path: &str, message: &str, hint: &str) {
        let problem = Problem::new(Origin::new(path, 0, 0), message).with_hint(hint);
        self.tree.problems.push(problem);
    }

    fn note(&mut self, path: &str, message: &str) {
        self.tree.notes.push(Problem::new(Origin::new(path, 0, 0), message));
    }
}
