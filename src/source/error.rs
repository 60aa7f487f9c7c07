//! Why a source has no new commit. Whatever it is, the last good checkout stays what is wanted.

use std::path::PathBuf;

use crate::net;

/// What failed, with the way out in [`Error::hint`]. No variant holds a password, a token or an address with one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error("source.{field}: {message}")]
    Invalid {
        /// Field of [`super::Config`].
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A file that the configuration names cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    UnreadableFile {
        /// File as configured.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An address that does not encrypt, without the option that allows it.
    #[error("{url}: neither encrypts nor proves who answers")]
    Plaintext {
        /// Address.
        url: String,
    },
    /// No answer: name not found, connection refused or lost, certificate not trusted.
    #[error("{url}: not reached: {message}")]
    Unreachable {
        /// Address.
        url: String,
        /// What happened.
        message: String,
    },
    /// The server stopped answering.
    #[error("{url}: silent for {seconds} s while {action}")]
    TimedOut {
        /// Address.
        url: String,
        /// What was being done.
        action: &'static str,
        /// How long nothing came.
        seconds: u64,
    },
    /// The server wants other credentials.
    #[error("{url}: the server refused access: {message}")]
    Refused {
        /// Address.
        url: String,
        /// What it said.
        message: String,
    },
    /// The server knows no such repository, or does not tell us of it.
    #[error("{url}: no repository there that these credentials may read")]
    NoRepository {
        /// Address.
        url: String,
    },
    /// The server sent us to another place where we do not go.
    #[error("{url}: redirects to {target}, which is not followed: {reason}")]
    Redirected {
        /// Address.
        url: String,
        /// Where it points, cut to scheme, host and port.
        target: String,
        /// Why not.
        reason: &'static str,
    },
    /// No entry in known_hosts for this server.
    #[error("{host}: its host key is not known (it shows {key_type} {fingerprint})")]
    UnknownHost {
        /// Host as written in known_hosts: `host` or `[host]:port`.
        host: String,
        /// Such as `ssh-ed25519`.
        key_type: String,
        /// `SHA256:..`
        fingerprint: String,
    },
    /// The server shows another key than the known one.
    #[error("{host}: shows another host key ({key_type} {fingerprint}) than {file}:{line} says")]
    ChangedHost {
        /// Host as written in known_hosts.
        host: String,
        /// Key type shown.
        key_type: String,
        /// Fingerprint shown.
        fingerprint: String,
        /// File of the known key.
        file: String,
        /// Its line.
        line: usize,
    },
    /// The reference is not there, or not any more.
    #[error("{url}: there is no {reference}{}", named(.known))]
    NoReference {
        /// Address.
        url: String,
        /// What was looked for.
        reference: String,
        /// What there is, nearest names first.
        known: Vec<String>,
    },
    /// The commit has no such folder.
    #[error("{path}: commit {commit} has no such folder")]
    NoPath {
        /// Folder as configured.
        path: String,
        /// Commit.
        commit: String,
    },
    /// The commit has no file at all below the path.
    #[error("{}: commit {commit} holds no file", if .path.is_empty() { "repository" } else { .path })]
    Empty {
        /// Folder as configured.
        path: String,
        /// Commit.
        commit: String,
    },
    /// The branch no longer holds the last commit, and the source is to wait for consent.
    #[error("{reference} was rewritten: {found} does not descend from {last}")]
    Held {
        /// Reference.
        reference: String,
        /// Commit that is followed on.
        last: String,
        /// Commit that waits.
        found: String,
    },
    /// What the server sent is not a sound answer of Git's protocol.
    #[error("{url}: broken answer: {message}")]
    BadAnswer {
        /// Address.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// The server reports an error of its own.
    #[error("{url}: the server reports: {message}")]
    Server {
        /// Address.
        url: String,
        /// Its words.
        message: String,
    },
    /// More than the limits allow.
    #[error("{what}: more than the limit of {limit}")]
    TooMuch {
        /// What there is too much of.
        what: String,
        /// Limit.
        limit: String,
    },
    /// The local copy cannot be used; the next fetch makes a new one.
    #[error("the local copy of the repository is damaged: {message}")]
    Damaged {
        /// What the object database says.
        message: String,
    },
    /// The folder for local copies cannot be written.
    #[error("{}: {message}", path.display())]
    Cache {
        /// Folder.
        path: PathBuf,
        /// What failed.
        message: String,
    },
    /// A plain folder cannot be read.
    #[error("{}: {message}", path.display())]
    Folder {
        /// Folder or file.
        path: PathBuf,
        /// What failed.
        message: String,
    },
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Self {
        match error {
            net::Error::Invalid { field, message } => Error::Invalid { field, message },
            net::Error::UnreadableFile { path, source } => Error::UnreadableFile { path, source },
        }
    }
}

impl Error {
    /// The way out; `None` where the message says it or where waiting is all there is to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Plaintext { .. } => "use https or ssh, or set allowHTTP for this source".to_owned(),
            Error::Unreachable { .. } | Error::TimedOut { .. } => {
                "the last good commit stays in force; it is tried again at the next poll".to_owned()
            }
            Error::Refused { .. } => "check that the credentials are valid and may read this repository".to_owned(),
            Error::NoRepository { .. } => {
                "check the address, and that the credentials may read the repository: servers answer the same for both"
                    .to_owned()
            }
            Error::Redirected { .. } => "write the address it redirects to, if it is right".to_owned(),
            Error::UnknownHost { host, .. } => {
                let name = host.trim_start_matches('[').replace("]:", " -p ");
                let (name, port) = name.split_once(" -p ").map_or((name.as_str(), ""), |(name, port)| (name, port));
                let port = if port.is_empty() { String::new() } else { format!("-p {port} ") };
                format!("compare the fingerprint, then add the line that `ssh-keyscan {port}{name}` prints to known_hosts")
            }
            Error::ChangedHost { file, line, .. } => {
                format!("if the server's key was renewed on purpose, replace line {line} of {file}; if not, somebody is in between")
            }
            Error::NoReference { .. } => {
                "the last good commit stays in force; nothing is deleted because a reference is gone".to_owned()
            }
            Error::NoPath { .. } => "correct the source's path; nothing is deleted because a folder is gone".to_owned(),
            Error::Empty { .. } => {
                "nothing is deleted because of an empty folder; to take everything away, keep one file (a README will do)"
                    .to_owned()
            }
            Error::Held { found, .. } => format!("look at it, then allow commit {found}, or push the old history again"),
            Error::TooMuch { .. } => "narrow the source's path, or raise the limit".to_owned(),
            Error::Cache { .. } => "give the process a writable folder with enough room".to_owned(),
            Error::Invalid { .. }
            | Error::UnreadableFile { .. }
            | Error::BadAnswer { .. }
            | Error::Server { .. }
            | Error::Damaged { .. }
            | Error::Folder { .. } => return None,
        })
    }
}

fn named(names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!(" (there are: {shown}{more})")
}
