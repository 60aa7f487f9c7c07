//! What was brought before, in a folder of bounded size: lists with what tells whether they changed, archives by digest.
//!
//! Nothing here is trusted: an archive is hashed when it is read, and a list is used only after its server said that it
//! is still the same. Nothing here is needed: a cache that cannot be read or written only makes things slower.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::debug;

/// A folder of files that may be thrown away.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    max_bytes: u64,
}

/// What a server said of an answer, to be told when it is asked again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) modified: Option<String>,
}

impl Validators {
    pub(super) fn are_none(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }
}

/// First line of a kept list.
#[derive(Serialize, Deserialize)]
struct Head {
    url: String,
    sha256: String,
    #[serde(flatten)]
    validators: Validators,
}

impl Cache {
    pub(super) fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Cache { folder, max_bytes }
    }

    /// The list that came from an address last, if it is whole.
    pub(super) fn list(&self, url: &str) -> Option<(Validators, Vec<u8>)> {
        let mut bytes = self.read(&list_name(url))?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        bytes.drain(..=end);
        let is_whole = head.url == url && head.sha256 == hex::encode(Sha256::digest(&bytes));
        is_whole.then_some((head.validators, bytes))
    }

    /// Keeps a list; one without validators would never be used again.
    pub(super) fn keep_list(&self, url: &str, validators: Validators, bytes: &[u8]) {
        if validators.are_none() {
            return;
        }
        let head = Head { url: url.to_owned(), sha256: hex::encode(Sha256::digest(bytes)), validators };
        let head = serde_json::to_string(&head).unwrap_or_default();
        self.write(&list_name(url), &[head.as_bytes(), b"\n", bytes]);
    }

    /// The archive with this digest.
    pub(super) fn archive(&self, sha256: &str) -> Option<Vec<u8>> {
        let bytes = self.read(&archive_name(sha256))?;
        hex::encode(Sha256::digest(&bytes)).eq_ignore_ascii_case(sha256).then_some(bytes)
    }

    /// Keeps an archive.
    pub(super) fn keep_archive(&self, sha256: &str, bytes: &[u8]) {
        self.write(&archive_name(sha256), &[bytes]);
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(name);
        let bytes = fs::read(&path).ok()?;
        // The time of the last use decides what is thrown away.
        let _ = File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(bytes)
    }

    fn write(&self, name: &str, parts: &[&[u8]]) {
        let written = self.try_write(name, parts).and_then(|()| self.tidy());
        if let Err(error) = written {
            debug!(folder = %self.folder.display(), %error, "a chart is not kept");
        }
    }

    fn try_write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.persist(self.folder.join(name)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Throws away what was not used for longest, until the rest fits.
    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_file() && is_ours(&entry.file_name().to_string_lossy()) {
                files.push((data.modified()?, data.len(), entry.path()));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= self.max_bytes {
                break;
            }
            remove(&path);
            total -= length;
        }
        Ok(())
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        debug!(path = %path.display(), %error, "a kept chart cannot be removed");
    }
}

fn list_name(url: &str) -> String {
    format!("list-{}", hex::encode(Sha256::digest(url)))
}

fn archive_name(sha256: &str) -> String {
    format!("chart-{}.tgz", sha256.to_ascii_lowercase())
}

fn is_ours(name: &str) -> bool {
    name.starts_with("list-") || name.starts_with("chart-") || name.starts_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    #[test]
    fn what_was_changed_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("charts"), 1 << 20);
        let validators = Validators { etag: Some("\"1\"".to_owned()), modified: None };
        cache.keep_list("https://example.org/index.yaml", validators.clone(), b"apiVersion: v1\n");
        cache.keep_archive(&digest(b"archive"), b"archive");
        let list = || cache.list("https://example.org/index.yaml");
        assert_eq!(list(), Some((validators, b"apiVersion: v1\n".to_vec())));
        assert_eq!(cache.archive(&digest(b"archive")).as_deref(), Some(&b"archive"[..]));
        assert_eq!(cache.archive(&digest(b"other")), None);
        cache.keep_list("https://example.org/none", Validators::default(), b"x");
        assert_eq!(cache.list("https://example.org/none"), None);
        for file in fs::read_dir(folder.path().join("charts")).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(list(), None);
        assert_eq!(cache.archive(&digest(b"archive")), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned(), 250);
        let bytes = |letter: u8| vec![letter; 100];
        for (age, letter) in [(3, b'a'), (2, b'b')] {
            cache.keep_archive(&digest(&bytes(letter)), &bytes(letter));
            let path = folder.path().join(archive_name(&digest(&bytes(letter))));
            let file = File::options().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age * 60)).unwrap();
        }
        assert!(cache.archive(&digest(&bytes(b'a'))).is_some());
        cache.keep_archive(&digest(&bytes(b'c')), &bytes(b'c'));
        let kept = [b'a', b'b', b'c'].map(|letter| cache.archive(&digest(&bytes(letter))).is_some());
        assert_eq!(kept, [true, false, true]);
        fs::write(folder.path().join("a file of somebody else"), "x").unwrap();
        cache.keep_archive(&digest(&bytes(b'd')), &[0; 1000]);
        assert!(folder.path().join("a file of somebody else").exists());
    }
}
