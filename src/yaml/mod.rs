//! Reads YAML as Kubernetes tools do and writes it byte for byte as they do.
//!
//! Helm, kubectl and kustomize read YAML with Go's `sigs.k8s.io/yaml`: YAML 1.1 syntax, its words (`yes` is true, `0o17`
//! is 15), and the result is JSON. Crates read YAML 1.2, refuse texts that charts hold, and print what others misread;
//! so the way from bytes to values and back is ours.
//!
//! ```text
//! bytes -> tokens -> events -> values          Value -> bytes
//!          scan      parse     build, resolve           write
//! ```
//!
//! Start at [`read_all`] and [`write()`].
//!
//! ```
//! use bowline::yaml;
//! let value = yaml::read(b"on: yes\nmode: 0644\n", &yaml::Options::manifests()).unwrap();
//! assert_eq!(value, serde_json::json!({"true": true, "mode": 420}));
//! assert_eq!(yaml::write(&value), "mode: 420\n\"true\": true\n");
//! ```

mod scan;

mod parse;

mod build;
mod resolve;

mod read;

mod locate;
mod write;

use std::fmt;

use serde_json::Value;

pub use locate::{Step, locate, locate_items};
pub use read::{read, read_all};
pub(crate) use write::in_order;
pub use write::write;

/// A place in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The document as JSON.
    pub value: Value,
    /// Where its first node stands; for an empty document, where it begins.
    pub position: Position,
}

/// What a key that is written twice in one mapping means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It is an error. Overriding a key that came from a merge (`<<`) is not a duplicate.
    Refuse,
    /// The last one counts, as in Helm.
    LastWins,
}

/// What [`read`] makes of documents after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Further {
    /// They are an error.
    Refuse,
    /// They are not looked at, as in Helm.
    Ignore,
}

/// How strictly to read, and the limits for texts nobody vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Keys written twice.
    pub duplicates: Duplicates,
    /// Documents after the first, for [`read`].
    pub further: Further,
    /// Deepest nesting of mappings and lists.
    pub max_depth: usize,
    /// Most nodes in one text, counted after aliases are filled in.
    pub max_nodes: usize,
    /// Longest text in bytes; also the most bytes that aliases may add.
    pub max_bytes: usize,
}

impl Options {
    /// For manifests and our own kinds: what is written twice is refused.
    pub fn manifests() -> Self {
        Options {
            duplicates: Duplicates::Refuse,
            further: Further::Refuse,
            max_depth: 500,
            max_nodes: 1_000_000,
            max_bytes: 16 << 20,
        }
    }

    /// As Go's `sigs.k8s.io/yaml` reads when it is not strict: for charts and values.
    pub fn helm() -> Self {
        Options { duplicates: Duplicates::LastWins, further: Further::Ignore, ..Options::manifests() }
    }
}

/// Why a text is not YAML that stands for JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct Error {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}
