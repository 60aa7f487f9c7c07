//! Why a chart could not be brought.

use std::path::PathBuf;

use crate::chart::Unreadable;
use crate::chart::index::BadIndex;
use crate::net;

/// What failed, with the way out in [`Error::hint`]. No variant holds a password, a token or an address with one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be used, or a file that one names cannot be read.
    #[error(transparent)]
    Setting(#[from] net::Error),
    /// A text names no chart.
    #[error("{text:?} names no chart: {reason}")]
    NotAName {
        /// The text, without what may be secret in it.
        text: String,
        /// Why.
        reason: String,
    },
    /// A path where nothing is.
    #[error("path {:?} not found", .0.display().to_string())]
    NoPath(PathBuf),
    /// A name before the slash that no repositories file knows.
    #[error("no repository is called {name:?}{}", listed("there are", .known))]
    NoRepository {
        /// The name.
        name: String,
        /// Names that are known.
        known: Vec<String>,
    },
    /// An address that does not encrypt, without the option that allows it.
    #[error("{0}: neither encrypts nor proves who answers")]
    Plaintext(String),
    /// No answer: name not found, connection refused or lost, certificate not trusted, or the server is in trouble.
    #[error("{url}: not reached: {message}")]
    Unreachable {
        /// Address.
        url: String,
        /// What happened.
        message: String,
    },
    /// The server stopped answering.
    #[error("{url}: silent for {seconds} s")]
    TimedOut {
        /// Address.
        url: String,
        /// How long nothing came, or how long it took before we gave up.
        seconds: u64,
    },
    /// The server wants other credentials.
    #[error("{url}: the server refused access: {message}")]
    Refused {
        /// Address.
        url: String,
        /// What it said.
        message: String,
        /// What is known of the credentials, as a way out.
        hint: Option<String>,
    },
    /// There is nothing at an address.
    #[error("{url}: not found")]
    Missing {
        /// Address.
        url: String,
    },
    /// An address where we do not go.
    #[error("{url}: leads to {target}, which is not followed: {reason}")]
    Forbidden {
        /// The address that was asked for.
        url: String,
        /// Where it leads: scheme, host and port.
        target: String,
        /// Why not.
        reason: &'static str,
    },
    /// What the server sent is not what was asked for.
    #[error("{url}: broken answer: {message}")]
    BadAnswer {
        /// Address.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// More than is read.
    #[error("{url}: more than the limit of {limit} bytes")]
    TooBig {
        /// Address.
        url: String,
        /// Limit.
        limit: u64,
    },
    /// The list of a repository cannot be used.
    #[error("{url}: {reason}")]
    BadIndex {
        /// Address of the list.
        url: String,
        /// Why.
        reason: BadIndex,
    },
    /// A repository lists no chart of that name.
    #[error("{repository}: has no chart {name:?}{}", listed("did you mean", .near))]
    NoChart {
        /// Address of the repository.
        repository: String,
        /// Name of the chart.
        name: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// No version of a chart is in the range.
    #[error("{place}: has no version {}{}", wanted(.range), listed("nearest are", .near))]
    NoVersion {
        /// Address of the repository and name of the chart.
        place: String,
        /// What was asked for.
        range: String,
        /// Versions nearest to it.
        near: Vec<String>,
    },
    /// What was asked for is no range of versions.
    #[error("version {range:?}: {message}")]
    BadRange {
        /// What was asked for.
        range: String,
        /// Why it is none.
        message: String,
    },
    /// The bytes that came are not those that were promised.
    #[error("{place}: has digest sha256:{found}, not {expected}")]
    WrongDigest {
        /// Where they came from.
        place: String,
        /// What was promised.
        expected: String,
        /// What came.
        found: String,
    },
    /// What came is no chart.
    #[error("{place}: {reason}")]
    Unreadable {
        /// Where it came from.
        place: String,
        /// Why.
        reason: Unreadable,
    },
    /// What lies on this machine is no chart.
    #[error(transparent)]
    NotAChart(Unreadable),
    /// A file on this machine cannot be read or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl Error {
    /// The way out; `None` where the message says it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::NotAName { .. } | Error::NoPath(_) => {
                "give a folder, a packed chart, REPOSITORY/CHART, oci://HOST/PATH/CHART or the address of a packed chart"
                    .to_owned()
            }
            Error::NoRepository { .. } => "add it to the repositories file, or give its address by --repo".to_owned(),
            Error::Plaintext(_) => "use https, or allow plain HTTP for this server (--plain-http)".to_owned(),
            Error::Refused { hint, .. } => match hint {
                Some(hint) => hint.clone(),
                None => "check that the credentials are valid and may read this".to_owned(),
            },
            Error::Missing { .. } => {
                "check the address, and that the credentials may read it: servers answer the same for both".to_owned()
            }
            Error::Forbidden { .. } => "allow the host it leads to (--allow-host), if it is right".to_owned(),
            Error::NoVersion { near, range, .. } if near.iter().all(|version| version.contains('-')) => {
                if near.is_empty() {
                    return None;
                }
                format!("pre-releases count only if the range names one: {}", with_prereleases(range))
            }
            Error::BadRange { .. } => "ranges are written 1.2.3, ^1.2, ~1.2, >=1.2 <2, 1.x".to_owned(),
            Error::WrongDigest { .. } => {
                "the archive was replaced, or its repository's list is wrong: ask who keeps it before you use it".to_owned()
            }
            _ => return None,
        })
    }

    /// Whether it may go well the next time.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::TimedOut { .. })
    }
}

impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        let told = crate::error::Error::new(error.to_string());
        match error.hint() {
            Some(hint) => told.hint(hint),
            None => told,
        }
    }
}

fn with_prereleases(range: &str) -> String {
    if range.is_empty() || range == "*" { ">0.0.0-0".to_owned() } else { format!("{range}-0") }
}

fn wanted(range: &str) -> String {
    if range.is_empty() { "that is released".to_owned() } else { format!("in {range}") }
}

fn listed(words: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" ({words}: {})", names.join(", ")) }
}
