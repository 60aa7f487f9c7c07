//! How we speak HTTP with servers that are not the cluster: one way to set a client up, and rules whom it may talk to.
//!
//! ```text
//! secret   a text that is never printed
//! origin   scheme, host and port: credentials go there and nowhere else
//! reach    how near to this machine an address is; a foreign server may not lead nearer than itself
//! client   certificates, proxy, timeouts and reach -> a client, kept until one of them changes
//! ```
//! What is asked of a server, and what an answer means, is the caller's: `source` speaks Git, `fetch` brings charts.

mod client;
mod origin;
mod reach;
mod secret;

pub use client::{Identity, Settings, Timeouts, Trust, Unpack};
pub use secret::Secret;

pub(crate) use client::{Clients, chain};
pub(crate) use origin::{is_loopback, origin, same_origin, shown};
pub(crate) use reach::{Forbidden, Reach};

use std::path::PathBuf;

/// Why no client can be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be used.
    #[error("{field}: {message}")]
    Invalid {
        /// The setting, as configurations name it.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    UnreadableFile {
        /// File as configured.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
