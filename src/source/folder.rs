//! A plain folder as a source: no history, a hash of its content stands for the commit.
//!
//! It is read into memory as a whole, so that what was hashed is what is rendered. While nothing in it has another size
//! or time than before, no file is opened.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::checkout::{Checkout, Commit, Entry, Link, Tree, content_id};
use super::config::{Config, Limits};
use super::error::Error;
use super::{Fetched, History};
use crate::unit::{Origin, Problem};

const MAX_DEPTH: usize = 64;

/// A folder that is followed.
pub(super) struct Folder {
    config: Config,
    path: PathBuf,
    last: Option<(Listing, Checkout)>,
}

/// What a look without opening any file tells.
#[derive(PartialEq, Eq, Default)]
struct Listing {
    files: BTreeMap<String, Stamp>,
    links: BTreeMap<String, PathBuf>,
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

#[derive(PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
    executable: bool,
}

impl Folder {
    pub(super) fn new(config: Config, path: &Path) -> Self {
        let path = path.join(&config.path);
        Folder { config, path, last: None }
    }

    pub(super) fn last(&self) -> Option<Checkout> {
        self.last.as_ref().map(|(_, checkout)| checkout.clone())
    }

    pub(super) fn fetch(&mut self) -> Result<Fetched, Error> {
        let listing = self.list()?;
        if self.last.as_ref().is_some_and(|(last, _)| *last == listing) {
            return Ok(Fetched::Unchanged);
        }
        let checkout = self.read(&listing)?;
        let previous = self.last.as_ref().map(|(_, last)| last.commit.id.clone());
        let is_same = previous.as_ref() == Some(&checkout.commit.id);
        self.last = Some((listing, checkout.clone()));
        if is_same {
            return Ok(Fetched::Unchanged);
        }
        let reference = self.path.display().to_string();
        Ok(Fetched::Moved(checkout, History { previous, descendant: true, reference, commits: Vec::new() }))
    }

    fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        self.list_folder(&mut listing, &self.path, "", 0)?;
        if listing.files.is_empty() && listing.links.is_empty() && listing.problems.is_empty() {
            let commit = "of a plain folder".to_owned();
            return Err(Error::Empty { path: self.path.display().to_string(), commit });
        }
        Ok(listing)
    }

    fn list_folder(&self, listing: &mut Listing, folder: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let failed = |error: std::io::Error| Error::Folder { path: folder.to_owned(), message: error.to_string() };
        for file in fs::read_dir(folder).map_err(failed)? {
            let file = file.map_err(failed)?;
            let name = file.file_name();
            let shown = format!("{prefix}{}", name.to_string_lossy().escape_debug());
            let Some(name) = name.to_str().filter(|name| !name.contains('\\') && !name.chars().any(char::is_control))
            else {
                listing.problems.push(problem(&shown, "cannot be read: its name is not plain UTF-8"));
                continue;
            };
            if name == ".git" {
                continue;
            }
            let path = format!("{prefix}{name}");
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() && depth < MAX_DEPTH {
                self.list_folder(listing, &file.path(), &format!("{path}/"), depth + 1)?;
            } else if metadata.is_dir() {
                listing.problems.push(problem(&path, "is too deep to be read"));
            } else if metadata.is_symlink() {
                listing.links.insert(path, fs::read_link(file.path()).map_err(failed)?);
            } else if metadata.is_file() {
                listing.files.insert(path, Stamp::of(&metadata).map_err(failed)?);
            } else {
                listing.notes.push(problem(&path, "is no file, folder or link, and not read"));
            }
            if listing.files.len() > self.config.limits.files {
                let limit = self.config.limits.files.to_string();
                return Err(Error::TooMuch { what: format!("files in {}", self.path.display()), limit });
            }
        }
        Ok(())
    }

    fn read(&self, listing: &Listing) -> Result<Checkout, Error> {
        let Limits { file_bytes, folder_bytes, .. } = self.config.limits;
        let (mut entries, mut contents) = (BTreeMap::new(), BTreeMap::new());
        let mut problems = listing.problems.clone();
        let mut total = 0;
        for (path, stamp) in &listing.files {
            let executable = stamp.executable;
            let (oid, size) = if stamp.size > file_bytes {
                (content_id(format!("{} {:?}", stamp.size, stamp.modified).as_bytes()), stamp.size)
            } else {
                let content = match fs::read(self.path.join(path)) {
                    Ok(content) => content,
                    Err(error) => {
                        problems.push(problem(path, &format!("cannot be read: {error}")));
                        continue;
                    }
                };
                total += content.len() as u64;
                if total > folder_bytes {
                    let limit = format!("{folder_bytes} bytes");
                    return Err(Error::TooMuch { what: self.path.display().to_string(), limit });
                }
                let named = (content_id(&content), content.len() as u64);
                contents.insert(Arc::from(path.as_str()), content);
                named
            };
            entries.insert(Arc::from(path.as_str()), Arc::new(Entry { oid, size, link: false, executable }));
        }
        let mut links = BTreeMap::new();
        for (path, target) in &listing.links {
            let target = target.to_string_lossy().into_owned();
            let (oid, size) = (content_id(target.as_bytes()), target.len() as u64);
            let entry = Entry { oid, size, link: true, executable: false };
            entries.insert(Arc::from(path.as_str()), Arc::new(entry.clone()));
            links.insert(Arc::from(path.as_str()), Arc::new(Link { target, entry }));
        }
        let commit = self.commit(listing, &entries, &links);
        let mut tree = Tree::in_memory(entries, links, contents, file_bytes);
        (tree.problems, tree.notes) = (problems, listing.notes.clone());
        Ok(Checkout::new(&self.config.name, commit, tree))
    }

    fn commit(
        &self,
        listing: &Listing,
        entries: &BTreeMap<Arc<str>, Arc<Entry>>,
        links: &BTreeMap<Arc<str>, Arc<Link>>,
    ) -> Commit {
        let mut hash = Sha256::new();
        for (path, entry) in entries {
            let target = links.get(path).map(|link| link.target.as_str()).unwrap_or_default();
            hash.update(format!("{path}\0{}\0{}\0{target}\0", entry.oid, u8::from(entry.executable)));
        }
        let digest: [u8; 32] = hash.finalize().into();
        let newest = listing.files.values().map(|stamp| stamp.modified).max().unwrap_or(UNIX_EPOCH);
        let time = newest.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Commit {
            id: hex::encode(&digest[..20]),
            author: String::new(),
            message: format!("content of {}", self.path.display()),
            time: i64::try_from(time).unwrap_or_default(),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> std::io::Result<Self> {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        Ok(Stamp { size: metadata.len(), modified: metadata.modified()?, executable })
    }
}

fn problem(path: &str, message: &str) -> Problem {
    Problem::new(Origin::new(path, 0, 0), message)
}
