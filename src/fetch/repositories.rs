//! Names for repositories: the file that `helm repo add` writes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::Error;
use crate::yaml;

/// A repository with a name.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
    /// User name, or nothing.
    pub username: String,
    /// Password, or nothing.
    pub password: String,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Authorities whose certificates are believed.
    pub ca_file: Option<PathBuf>,
    /// Whether everybody's certificates are.
    pub insecure: bool,
    /// Whether the servers that the list leads to are told the password, too.
    pub pass_credentials: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.name, self.url)
    }
}

/// Repositories with names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repositories(Vec<Entry>);

impl Repositories {
    /// Reads the file; one that is not there names nothing.
    ///
    /// # Errors
    /// It cannot be read, or is not what Helm writes.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |message: String| Error::File { path: path.to_owned(), message };
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Repositories::default()),
            Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        };
        // The reader's words may quote the text, and the text holds passwords.
        let value = yaml::read(&text, &yaml::Options::helm())
            .map_err(|error| wrong(format!("is no list of repositories: {}", error.position)))?;
        let entries = match value.get("repositories") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(wrong("`repositories` is no list".to_owned())),
        };
        let read = entries.iter().enumerate().map(|(at, entry)| {
            Entry::read(entry).ok_or_else(|| wrong(format!("repositories[{at}] needs a name and an address")))
        });
        read.collect::<Result<_, _>>().map(Repositories)
    }

    /// The repository of a name.
    ///
    /// # Errors
    /// None has it.
    pub fn named(&self, name: &str) -> Result<&Entry, Error> {
        let found = self.0.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| Error::NoRepository {
            name: name.to_owned(),
            known: self.0.iter().map(|entry| entry.name.clone()).collect(),
        })
    }

    /// The repository at an address.
    pub fn at(&self, url: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| is_same(&entry.url, url))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

impl Entry {
    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = |name: &str| Some(text(name)).filter(|path| !path.is_empty()).map(PathBuf::from);
        let is = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
        let entry = Entry {
            name: text("name"),
            url: text("url"),
            username: text("username"),
            password: text("password"),
            identity: path("certFile").zip(path("keyFile")),
            ca_file: path("caFile"),
            insecure: is("insecure_skip_tls_verify"),
            pass_credentials: is("pass_credentials_all"),
        };
        (!entry.name.is_empty() && !entry.url.is_empty()).then_some(entry)
    }
}

/// Whether two addresses are one but for slashes at the end, as Helm compares them.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
apiVersion: ""
generated: "0001-01-01T00:00:00Z"
repositories:
- {name: one, url: "https://one.example.org/charts/", username: me, password: canary, caFile: "", certFile: c, keyFile: k}
- {name: two, url: "https://two.example.org", caFile: ca.pem, insecure_skip_tls_verify: true, pass_credentials_all: true}
"#;

    fn read(text: &str) -> Result<Repositories, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repositories.yaml");
        std::fs::write(&path, text).unwrap();
        Repositories::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn repositories_have_names() {
        let repositories = read(FILE).unwrap();
        let one = repositories.named("one").unwrap();
        assert_eq!((one.username.as_str(), one.password.as_str()), ("me", "canary"));
        assert_eq!(one.identity, Some(("c".into(), "k".into())));
        assert_eq!((one.ca_file.clone(), one.insecure, one.pass_credentials), (None, false, false));
        let two = repositories.at("https://two.example.org/").unwrap();
        assert_eq!((two.name.as_str(), two.insecure, two.pass_credentials), ("two", true, true));
        let error = repositories.named("three").unwrap_err().to_string();
        assert_eq!(error, "no repository is called \"three\" (there are: one, two)");
        assert!(!format!("{repositories:?}").contains("canary"));
        assert_eq!(Repositories::read(Path::new("/nowhere/at/all")).unwrap(), Repositories::default());
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        assert!(read("a: [canary").unwrap_err().contains("is no list of repositories: line 1"));
        assert!(read("repositories: 7").unwrap_err().contains("`repositories` is no list"));
        assert!(read("repositories: [{url: x}]").unwrap_err().contains("repositories[0] needs"));
        assert_eq!(read("").unwrap(), Repositories::default());
    }
}
