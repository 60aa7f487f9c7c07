//! One commit's files below a source's path, read from the object database; nothing is ever checked out.
//!
//! ```text
//! Checkout  source, commit, and per path an Entry {blob id, size, link, executable}
//!   read    path -> links resolved (inside this tree only, at most 8) -> size checked -> bytes of the blob
//! ```
//! Start at [`Checkout::files`] and [`Checkout::read`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::store::Store;
use crate::unit::Problem;

/// How many symbolic links are followed for one path.
const MAX_HOPS: usize = 8;

/// A commit, as far as a revision's history tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Full object id; for a plain folder a hash of its content.
    pub id: String,
    /// Author as `name <mail>`.
    pub author: String,
    /// Whole message.
    pub message: String,
    /// When it was committed, in seconds since 1970 (committer's time).
    pub time: i64,
}

impl Commit {
    /// The first seven characters of the id, as people write it.
    pub fn short_id(&self) -> &str {
        self.id.get(..7).unwrap_or(&self.id)
    }

    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.trim_start().lines().next().unwrap_or_default()
    }
}

/// One file of a checkout. For a link that leads to a file, `oid` and `size` are those of the file it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Blob id: equal ids mean equal content.
    pub oid: String,
    /// Size in bytes.
    pub size: u64,
    /// A symbolic link.
    pub link: bool,
    /// Marked executable.
    pub executable: bool,
}

/// Why a path of a checkout cannot be read. Every variant concerns this one path, never the whole source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing has this name.
    #[error("{path}: no such file in the source")]
    Missing {
        /// Path as asked for.
        path: String,
    },
    /// The path names a folder.
    #[error("{path}: is a folder, not a file")]
    Folder {
        /// Path as asked for.
        path: String,
    },
    /// The path is not a list of plain names.
    #[error("{path}: {reason} is not allowed in a path")]
    Malformed {
        /// Path as asked for, made printable.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link leads out of the source's tree.
    #[error("{path}: the link {link} -> {target} leads out of the source's path; only files below it are read")]
    Outside {
        /// Path as asked for.
        path: String,
        /// Link on the way.
        link: String,
        /// Where the link points.
        target: String,
    },
    /// Links lead in a circle or through too many steps.
    #[error("{path}: more than {MAX_HOPS} links on the way, or links in a circle")]
    Loop {
        /// Path as asked for.
        path: String,
    },
    /// The file is larger than a source may hold.
    #[error("{path}: {size} bytes, more than the {limit} that are read of one file; ignore it or keep it elsewhere")]
    TooLarge {
        /// Path as asked for.
        path: String,
        /// Size in bytes.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The object database does not give the content; the next fetch makes a new copy of the repository.
    #[error("{path}: the local copy of the repository is damaged ({message}); it is fetched anew")]
    Damaged {
        /// Path as asked for.
        path: String,
        /// What the object database says.
        message: String,
    },
}

/// The tree below a source's path at one commit. Cheap to clone, safe to read from several threads.
#[derive(Clone)]
pub struct Checkout {
    /// Name of the source.
    pub source: String,
    /// Commit the tree belongs to.
    pub commit: Arc<Commit>,
    tree: Arc<Tree>,
}

/// What a tree walk found; shared by the clones of a checkout.
pub(super) struct Tree {
    pub(super) files: BTreeMap<Arc<str>, Arc<Entry>>,
    /// The symbolic links, as written: their entries in `files` are those of the files they lead to.
    pub(super) links: BTreeMap<Arc<str>, Arc<Link>>,
    /// Tree ids by folder: what the next walk can take over unread.
    pub(super) folders: BTreeMap<Arc<str>, git2::Oid>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<Problem>,
    pub(super) blobs: Blobs,
    pub(super) max_file_bytes: u64,
}

/// A symbolic link as written.
pub(super) struct Link {
    pub(super) target: String,
    pub(super) entry: Entry,
}

/// Where the content of files is.
pub(super) enum Blobs {
    Git(Arc<Store>),
    Memory(BTreeMap<Arc<str>, Vec<u8>>),
}

impl Checkout {
    pub(super) fn new(source: &str, commit: Commit, mut tree: Tree) -> Self {
        resolve_links(&mut tree);
        Checkout { source: source.to_owned(), commit: Arc::new(commit), tree: Arc::new(tree) }
    }

    /// Makes a checkout of files in memory.
    ///
    /// ```
    /// use bowline::source::{Checkout, Commit};
    /// let commit = Commit { id: "c0ffee".into(), author: "a <a@example.org>".into(), message: "first".into(), time: 0 };
    /// let files = [("web/service.yaml".to_owned(), b"kind: Service".to_vec())].into();
    /// let checkout = Checkout::from_files("main", commit, files);
    /// assert_eq!(checkout.read("web/service.yaml").unwrap(), b"kind: Service");
    /// ```
    pub fn from_files(source: &str, commit: Commit, files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut entries = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (path, content) in files {
            let path: Arc<str> = path.into();
            let size = content.len() as u64;
            let oid = content_id(&content);
            entries.insert(path.clone(), Arc::new(Entry { oid, size, link: false, executable: false }));
            contents.insert(path, content);
        }
        Checkout::new(source, commit, Tree::in_memory(entries, BTreeMap::new(), contents, u64::MAX))
    }

    /// The files in the order of their paths, which are relative to the source's path and written with `/`.
    ///
    /// A link to a folder is listed as the link it is; what lies in the folder is listed where it lies.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.tree.files.iter().map(|(path, entry)| (&**path, &**entry))
    }

    /// The entry at exactly this path; links on the way are not followed.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.tree.files.get(path).map(|entry| &**entry)
    }

    /// Reads one file; links on the way are followed inside this tree only.
    ///
    /// # Errors
    /// See [`ReadError`]: whatever it is, it concerns this path alone.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let place = self.tree.resolve(path)?;
        let Some((place, entry)) = self.tree.files.get_key_value(place.as_str()) else {
            let path = path.to_owned();
            let below = format!("{place}/");
            let from = (Bound::Included(below.as_str()), Bound::Unbounded);
            let next = self.tree.files.range::<str, _>(from).next();
            let is_folder = place.is_empty() || next.is_some_and(|(next, _)| next.starts_with(&below));
            return Err(if is_folder { ReadError::Folder { path } } else { ReadError::Missing { path } });
        };
        let limit = self.tree.max_file_bytes;
        if entry.size > limit {
            return Err(ReadError::TooLarge { path: path.to_owned(), size: entry.size, limit });
        }
        match &self.tree.blobs {
            Blobs::Memory(contents) => Ok(contents.get(place).cloned().unwrap_or_default()),
            Blobs::Git(store) => {
                store.read_blob(&entry.oid).map_err(|message| ReadError::Damaged { path: path.to_owned(), message })
            }
        }
    }

    /// What in this tree cannot be read at all, such as a name that is not UTF-8. Nothing may be pruned because of what
    /// such a file no longer says.
    pub fn problems(&self) -> &[Problem] {
        &self.tree.problems
    }

    /// What was left out or looks doubtful but harms nothing: submodules, names that differ in case only.
    pub fn notes(&self) -> &[Problem] {
        &self.tree.notes
    }

    pub(super) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Checkout({} at {}, {} files)", self.source, self.commit.id, self.tree.files.len())
    }
}

impl Tree {
    pub(super) fn in_memory(
        files: BTreeMap<Arc<str>, Arc<Entry>>,
        links: BTreeMap<Arc<str>, Arc<Link>>,
        contents: BTreeMap<Arc<str>, Vec<u8>>,
        max_file_bytes: u64,
    ) -> Self {
        Tree {
            files,
            links,
            folders: BTreeMap::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            blobs: Blobs::Memory(contents),
            max_file_bytes,
        }
    }

    /// Follows the links on the way to `path` and returns where it leads; that place need not exist.
    fn resolve(&self, path: &str) -> Result<String, ReadError> {
        if let Some(reason) = malformed(path) {
            return Err(ReadError::Malformed { path: path.escape_debug().to_string(), reason });
        }
        let mut ahead: Vec<&str> = path.rsplit('/').collect();
        let mut place = String::new();
        let mut last_link = (String::new(), "");
        let mut hops = 0;
        while let Some(name) = ahead.pop() {
            match name {
                "" | "." => continue,
                ".." if place.is_empty() => {
                    let (link, target) = last_link;
                    return Err(ReadError::Outside { path: path.to_owned(), link, target: target.to_owned() });
                }
                ".." => {
                    place.truncate(place.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let parent = place.len();
            if !place.is_empty() {
                place.push('/');
            }
            place.push_str(name);
            let Some(link) = self.links.get(place.as_str()) else { continue };
            let target = link.target.as_str();
            hops += 1;
            if hops > MAX_HOPS {
                return Err(ReadError::Loop { path: path.to_owned() });
            }
            if target.starts_with('/') || target.contains('\\') || target.contains('\0') {
                let (link, target) = (place, target.escape_debug().to_string());
                return Err(ReadError::Outside { path: path.to_owned(), link, target });
            }
            last_link = (place.clone(), target);
            place.truncate(parent);
            ahead.extend(target.rsplit('/'));
        }
        Ok(place)
    }
}

/// What makes a path other than a list of plain names; `None` when it is one.
fn malformed(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("an empty name");
    }
    if path.starts_with('/') {
        return Some("a leading `/`");
    }
    if path.contains('\\') {
        return Some("a backslash");
    }
    if path.contains('\0') {
        return Some("a NUL byte");
    }
    path.split('/').find_map(|name| match name {
        "" => Some("an empty name"),
        "." => Some("`.`"),
        ".." => Some("`..`"),
        _ => None,
    })
}

/// Gives links that lead to a file the id and size of that file, so that equal ids mean equal content for them too.
fn resolve_links(tree: &mut Tree) {
    let mut resolved = Vec::new();
    for (path, link) in &tree.links {
        let target = tree.resolve(path).ok().and_then(|place| tree.files.get(place.as_str()));
        let entry = match target {
            Some(target) => Entry { oid: target.oid.clone(), size: target.size, ..link.entry.clone() },
            None => link.entry.clone(),
        };
        resolved.push((path.clone(), Arc::new(entry)));
    }
    tree.files.extend(resolved);
}

/// Names content that no Git blob id names.
pub(super) fn content_id(content: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(content).into();
    hex::encode(&digest[..20])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(files: &[(&str, &str)], links: &[(&str, &str)]) -> Checkout {
        let mut entries = BTreeMap::new();
        let mut contents = BTreeMap::new();
        for (path, text) in files {
            let oid = content_id(text.as_bytes());
            let size = text.len() as u64;
            entries.insert(Arc::from(*path), Arc::new(Entry { oid, size, link: false, executable: false }));
            contents.insert(Arc::from(*path), text.as_bytes().to_vec());
        }
        let mut targets = BTreeMap::new();
        for (path, target) in links {
            let oid = content_id(target.as_bytes());
            let entry = Entry { oid, size: 0, link: true, executable: false };
            targets.insert(Arc::from(*path), Arc::new(Link { target: (*target).to_owned(), entry }));
        }
        let commit = Commit { id: "c0ffee".into(), author: String::new(), message: String::new(), time: 0 };
        Checkout::new("main", commit, Tree::in_memory(entries, targets, contents, 100))
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let checkout = checkout(
            &[("base/web.yaml", "web"), ("top.yaml", "top")],
            &[
                ("dev/web.yaml", "../base/web.yaml"),
                ("prod", "base"),
                ("chain", "dev/web.yaml"),
                ("here", "./top.yaml"),
            ],
        );
        assert_eq!(checkout.read("dev/web.yaml").unwrap(), b"web");
        assert_eq!(checkout.read("prod/web.yaml").unwrap(), b"web", "through a link to a folder");
        assert_eq!(checkout.read("chain").unwrap(), b"web");
        assert_eq!(checkout.read("here").unwrap(), b"top");
        assert_eq!(checkout.entry("chain").unwrap().oid, checkout.entry("base/web.yaml").unwrap().oid);
        assert!(matches!(checkout.read("prod"), Err(ReadError::Folder { .. })));
    }

    #[test]
    fn links_out_of_the_tree_are_refused() {
        let checkout = checkout(
            &[("a/b.yaml", "b")],
            &[("a/passwd", "/etc/passwd"), ("a/up", "../../etc/passwd"), ("a/deep", "up"), ("w", "a\\b.yaml")],
        );
        for path in ["a/passwd", "a/up", "a/deep", "w"] {
            assert!(matches!(checkout.read(path), Err(ReadError::Outside { .. })), "{path}");
        }
        let message = checkout.read("a/deep").unwrap_err().to_string();
        assert!(message.contains("the link a/up -> ../../etc/passwd leads out"), "{message}");
    }

    #[test]
    fn links_in_a_circle_end() {
        let checkout = checkout(&[], &[("a", "b"), ("b", "a"), ("self", "self"), ("grow", "grow/x")]);
        for path in ["a", "b", "self", "grow", "grow/x"] {
            assert!(matches!(checkout.read(path), Err(ReadError::Loop { .. })), "{path}");
        }
    }

    #[test]
    fn paths_are_lists_of_plain_names() {
        let checkout = checkout(&[("a/b.yaml", "b")], &[]);
        for path in ["", "/a/b.yaml", "a/../a/b.yaml", "./a/b.yaml", "a//b.yaml", "a\\b.yaml", "a/b.yaml\0", ".."] {
            assert!(matches!(checkout.read(path), Err(ReadError::Malformed { .. })), "{path:?}");
        }
        assert!(matches!(checkout.read("..%2fa"), Err(ReadError::Missing { .. })));
        assert!(matches!(checkout.read("a"), Err(ReadError::Folder { .. })));
        assert!(matches!(checkout.read("a/c.yaml"), Err(ReadError::Missing { .. })));
    }

    #[test]
    fn a_large_file_fails_alone() {
        let large = "x".repeat(101);
        let checkout = checkout(&[("large", &large), ("small", "x")], &[("link", "large")]);
        assert_eq!(
            checkout.read("large").unwrap_err().to_string(),
            "large: 101 bytes, more than the 100 that are read of one file; ignore it or keep it elsewhere"
        );
        assert!(matches!(checkout.read("link"), Err(ReadError::TooLarge { .. })));
        assert_eq!(checkout.read("small").unwrap(), b"x");
    }
}
