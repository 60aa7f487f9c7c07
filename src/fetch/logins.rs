//! Who we are in registries: the configuration files of Docker and Helm, read each time, so that they can be renewed.
//!
//! Programs that such a file names as helpers are not run; an error says so when it matters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::error::Error;

const MAX_BYTES: u64 = 4 << 20;

/// Files with credentials for registries; the first that knows a registry counts, and files that are not there are as
/// good as empty.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    files: Vec<PathBuf>,
}

/// What a file knows of a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// Nothing.
    Unknown,
    /// User and password.
    User { username: String, password: String },
    /// A token that is exchanged for others.
    Identity(String),
    /// A token that is shown as it is.
    Registry(String),
    /// That a program, which we do not run, would know.
    Helper { program: String, file: PathBuf },
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Logins {
    /// Credentials from these files.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Logins { files: files.into_iter().collect() }
    }

    /// What the files know of a registry (`host` or `host:port`).
    pub(super) fn find(&self, registry: &str) -> Result<Login, Error> {
        let mut helper = Login::Unknown;
        for path in &self.files {
            let Some(file) = read(path)? else { continue };
            match file.find(registry, path) {
                Login::Unknown => {}
                found @ Login::Helper { .. } => helper = found,
                found => return Ok(found),
            }
        }
        Ok(helper)
    }
}

fn read(path: &Path) -> Result<Option<File>, Error> {
    let wrong = |message: String| Error::File { path: path.to_owned(), message };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        Ok(data) if data.len() > MAX_BYTES => return Err(wrong("is too long for a registry configuration".to_owned())),
        Ok(_) => {}
    }
    let text = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    // The parser's words may quote the text, and the text holds passwords.
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        wrong(format!("is no registry configuration: line {}, column {}", error.line(), error.column()))
    })
}

impl File {
    fn find(&self, registry: &str, path: &Path) -> Login {
        let entry = self.auths.iter().find(|(key, _)| names(key, registry)).map(|(_, entry)| entry);
        if let Some(login) = entry.and_then(Entry::login) {
            return login;
        }
        let helper = self.cred_helpers.iter().find(|(key, _)| names(key, registry)).map(|(_, program)| program);
        // A store keeps the passwords of entries that are empty in the file.
        let store = Some(&self.creds_store).filter(|store| entry.is_some() && !store.is_empty());
        match helper.or(store) {
            Some(program) => Login::Helper { program: program.clone(), file: path.to_owned() },
            None => Login::Unknown,
        }
    }
}

impl Entry {
    fn login(&self) -> Option<Login> {
        if !self.registrytoken.is_empty() {
            return Some(Login::Registry(self.registrytoken.clone()));
        }
        let (mut username, mut password) = (self.username.clone(), self.password.clone());
        if let Some((user, word)) = decode(&self.auth) {
            (username, password) = (user, word);
        }
        let identity =
            if self.identitytoken.is_empty() && username == "<token>" { &password } else { &self.identitytoken };
        if !identity.is_empty() {
            return Some(Login::Identity(identity.clone()));
        }
        let is_known = !username.is_empty() && !password.is_empty();
        is_known.then_some(Login::User { username, password })
    }
}

/// `user:password` in base64, some writers leave zero bytes at the end.
fn decode(auth: &str) -> Option<(String, String)> {
    let auth = auth.trim();
    let bytes = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Whether a key of such a file means a registry: with or without scheme and path; Docker's own has an old name.
fn names(key: &str, registry: &str) -> bool {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let registry = if matches!(registry, "docker.io" | "registry-1.docker.io") { "index.docker.io" } else { registry };
    host == registry || (host == "docker.io" && registry == "index.docker.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, registry: &str) -> Result<Login, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        Logins::new([folder.path().join("none.json"), path]).find(registry).map_err(|error| error.to_string())
    }

    fn user(username: &str, password: &str) -> Result<Login, String> {
        Ok(Login::User { username: username.to_owned(), password: password.to_owned() })
    }

    impl std::fmt::Debug for Login {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Login::Unknown => out.write_str("unknown"),
                Login::User { username, .. } => write!(out, "user {username}"),
                Login::Identity(_) => out.write_str("identity"),
                Login::Registry(_) => out.write_str("registry"),
                Login::Helper { program, .. } => write!(out, "helper {program}"),
            }
        }
    }

    #[test]
    fn every_way_to_write_a_login_is_read() {
        let auth = STANDARD.encode("me:a:b");
        let text = format!(
            r#"{{"auths": {{
                "one.example.org": {{"auth": "{auth}"}},
                "https://two.example.org:5000/v2/": {{"username": "you", "password": "word"}},
                "three.example.org": {{"identitytoken": "x"}},
                "four.example.org": {{"registrytoken": "y"}},
                "five.example.org": {{}},
                "https://index.docker.io/v1/": {{"auth": "{auth}"}}
            }}, "credHelpers": {{"six.example.org": "cloud"}}, "credsStore": "desktop", "more": 1}}"#
        );
        assert_eq!(find(&text, "one.example.org"), user("me", "a:b"));
        assert_eq!(find(&text, "two.example.org:5000"), user("you", "word"));
        assert_eq!(find(&text, "two.example.org"), Ok(Login::Unknown));
        assert_eq!(find(&text, "three.example.org"), Ok(Login::Identity("x".to_owned())));
        assert_eq!(find(&text, "four.example.org"), Ok(Login::Registry("y".to_owned())));
        assert!(matches!(find(&text, "five.example.org"), Ok(Login::Helper { program, .. }) if program == "desktop"));
        assert!(matches!(find(&text, "six.example.org"), Ok(Login::Helper { program, .. }) if program == "cloud"));
        assert_eq!(find(&text, "docker.io"), user("me", "a:b"));
        assert_eq!(find(&text, "example.org"), Ok(Login::Unknown));
        assert_eq!(find(" ", "example.org"), Ok(Login::Unknown));
    }

    #[test]
    fn what_a_broken_file_holds_is_not_told() {
        let error = find(r#"{"auths": {"a": {"password": canary}}}"#, "a").unwrap_err();
        assert!(error.contains("no registry configuration: line 1, column") && !error.contains("canary"), "{error}");
    }
}
