//! What a source is: address, reference, path, and how the server is reached.

use std::fmt;
use std::path::PathBuf;

use super::error::Error;
use crate::net::{Secret, Timeouts};

/// Longest name of a source: it is part of field manager names and object names.
const MAX_NAME: usize = 20;

/// One source, as the configuration says it. The environment is not read here: values come as values.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name: at most 20 characters, a DNS label.
    pub name: String,
    /// Address: `https://`, `http://`, `ssh://`, `user@host:path`, `git://`, `file://`, or a path.
    pub url: String,
    /// What is followed.
    pub reference: Reference,
    /// Folder of the repository that is read; empty for all of it.
    pub path: String,
    /// How many commits are fetched at first; `None` fetches all.
    pub depth: Option<u32>,
    /// What proves to the server who we are.
    pub credentials: Credentials,
    /// PEM file with the only certificate authorities that are trusted; `None` trusts those of the system.
    pub ca_file: Option<PathBuf>,
    /// `http://`, `https://` or `socks5://` proxy. The environment's proxy is not used.
    pub proxy: Option<Secret>,
    /// Allows addresses that neither encrypt nor prove the server (`http`, `git`) for hosts other than loopback.
    pub allow_http: bool,
    /// Files in the format of OpenSSH's `known_hosts`.
    pub known_hosts: Vec<PathBuf>,
    /// What to do when the branch no longer holds the last commit.
    pub rewritten: Rewritten,
    /// What is read at most.
    pub limits: Limits,
    /// How long the server may be silent.
    pub timeouts: Timeouts,
}

impl Config {
    /// A source that follows the default branch, without credentials, with default limits.
    pub fn new(name: &str, url: &str) -> Self {
        Config {
            name: name.to_owned(),
            url: url.to_owned(),
            reference: Reference::Head,
            path: String::new(),
            depth: None,
            credentials: Credentials::None,
            ca_file: None,
            proxy: None,
            allow_http: false,
            known_hosts: Vec::new(),
            rewritten: Rewritten::Follow,
            limits: Limits::standard(),
            timeouts: Timeouts::standard(),
        }
    }

    /// Checks what can be checked without the server, and brings `path` into its one form.
    pub(super) fn checked(mut self) -> Result<Self, Error> {
        let invalid = |field, message: String| Error::Invalid { field, message };
        let name_fits = !self.name.is_empty()
            && self.name.len() <= MAX_NAME
            && self.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !self.name.starts_with('-')
            && !self.name.ends_with('-');
        if !name_fits {
            let message = format!("`{}` is not 1 to {MAX_NAME} of a-z, 0-9 and inner -", self.name);
            return Err(invalid("name", message));
        }
        let path = self.path.trim_matches('/').to_owned();
        let path = path.strip_prefix("./").map_or(path.clone(), str::to_owned);
        self.path = if path == "." { String::new() } else { path };
        let bad = |name: &str| matches!(name, "" | "." | "..") || name.contains(['\\', '\0']);
        if !self.path.is_empty() && self.path.split('/').any(bad) {
            return Err(invalid("path", format!("`{}` is not a folder inside the repository", self.path)));
        }
        if self.depth == Some(0) {
            return Err(invalid("depth", "0 commits cannot be fetched; leave it out to fetch all".to_owned()));
        }
        self.reference.check().map_err(|message| invalid("reference", message))?;
        Ok(self)
    }
}

/// What a source follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The branch that the server calls its default.
    Head,
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The highest tag inside a range of semantic versions, such as `>=1.2 <2`.
    Semver(String),
    /// One commit, by its full id.
    Commit(String),
}

impl Reference {
    fn check(&self) -> Result<(), String> {
        match self {
            Reference::Head => Ok(()),
            Reference::Branch(name) if git2::Reference::is_valid_name(&format!("refs/heads/{name}")) => Ok(()),
            Reference::Tag(name) if git2::Reference::is_valid_name(&format!("refs/tags/{name}")) => Ok(()),
            Reference::Branch(name) => Err(format!("`{name}` is not a branch name")),
            Reference::Tag(name) => Err(format!("`{name}` is not a tag name")),
            Reference::Semver(range) => super::tags::check_range(range),
            Reference::Commit(id) if id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(()),
            Reference::Commit(id) => Err(format!("`{id}` is not a full commit id of 40 hexadecimal digits")),
        }
    }
}

/// `branch main`, `tag v1.2.0`: how messages name what is followed.
impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Head => write!(out, "default branch"),
            Reference::Branch(name) => write!(out, "branch {name}"),
            Reference::Tag(name) => write!(out, "tag {name}"),
            Reference::Semver(range) => write!(out, "tag in range {range}"),
            Reference::Commit(id) => write!(out, "commit {id}"),
        }
    }
}

/// What to do when the branch no longer holds the last commit: a force push, a moved tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// Follow the tip and say so.
    Follow,
    /// Stay at the last commit until the new one is allowed.
    Hold,
}

/// What proves to the server who we are. Sent to the address's own scheme, host and port only.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing, or what the address itself holds (`https://user:token@host/..`).
    None,
    /// HTTP basic authentication, or an SSH password.
    Basic {
        /// User name; forges that take a token as password accept any.
        username: String,
        /// Password or token.
        password: Secret,
    },
    /// HTTP bearer token.
    Bearer(Secret),
    /// An SSH private key.
    SshKey {
        /// File of the private key.
        file: PathBuf,
        /// Passphrase of the key.
        passphrase: Option<Secret>,
    },
    /// The keys of the running SSH agent.
    SshAgent,
}

/// What is read at most; more is an error, never a cut.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files below the source's path.
    pub files: usize,
    /// Bytes that one fetch may transfer.
    pub fetch_bytes: u64,
    /// Bytes of a plain folder, which is read into memory.
    pub folder_bytes: u64,
}

impl Limits {
    /// 32 MiB a file, 200,000 files, 4 GiB a fetch, 256 MiB a plain folder.
    pub fn standard() -> Self {
        Limits { file_bytes: 32 << 20, files: 200_000, fetch_bytes: 4 << 30, folder_bytes: 256 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_references_are_checked() {
        let change = |edit: &dyn Fn(&mut Config)| {
            let mut config = Config::new("main", "https://example.org/r.git");
            edit(&mut config);
            config.checked().map(|config| config.path).map_err(|error| error.to_string())
        };
        assert_eq!(change(&|c| c.path = "/clusters/dev/".into()), Ok("clusters/dev".into()));
        assert_eq!(change(&|c| c.path = "./clusters".into()), Ok("clusters".into()));
        assert_eq!(change(&|c| c.path = ".".into()), Ok(String::new()));
        for path in ["../other", "a/../b", "a//b", "a\\b"] {
            assert!(change(&|c| c.path = path.into()).is_err(), "{path}");
        }
        for name in ["", "Main", "a_b", "-a", "twenty-one-characters"] {
            assert!(change(&|c| c.name = name.into()).is_err(), "{name}");
        }
        assert!(change(&|c| c.depth = Some(0)).is_err());
        assert!(change(&|c| c.reference = Reference::Branch("a..b".into())).is_err());
        assert!(change(&|c| c.reference = Reference::Commit("abc".into())).is_err());
        assert!(change(&|c| c.reference = Reference::Semver("not a range".into())).is_err());
        assert!(change(&|c| c.reference = Reference::Semver(">=1.2 <2".into())).is_ok());
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut config = Config::new("main", "https://example.org/r.git");
        config.credentials = Credentials::Bearer(Secret::given("canary"));
        config.proxy = Some(Secret::given("http://u:canary@proxy"));
        assert!(!format!("{config:?}").contains("canary"));
    }
}
