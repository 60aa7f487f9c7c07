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
mod repeated;
mod write;

use std::fmt;

use serde_json::Value;

pub use locate::{Step, locate, locate_items};
pub use read::{read, read_all, read_apart};
pub use repeated::repeated_keys;
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
    /// What Go says, where that follows from more than the message.
    go: Option<Box<str>>,
}

impl Error {
    /// An error at a place.
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Error { position, message: message.into(), go: None }
    }

    /// The same in the words of Go's YAML packages, which charts see (`fromYaml`) and Helm's messages end in: with the
    /// line that Go counts, which is not always the one at fault.
    pub fn in_go(&self) -> String {
        if let Some(words) = &self.go {
            return format!("error converting YAML to JSON: yaml: {words}");
        }
        let known = GO_WORDS.iter().find(|(ours, ..)| self.message.starts_with(ours));
        let (words, shift) = known.map_or((self.message.as_str(), 0), |(_, words, shift)| (*words, *shift));
        let line = self.position.line.saturating_add_signed(shift).max(1);
        format!("error converting YAML to JSON: yaml: line {line}: {words}")
    }
}

/// How our messages begin, what Go says, and how its line differs: its parser counts from 0, its scanner from 1.
const GO_WORDS: &[(&str, &str, isize)] = &[
    ("a line that is neither", "could not find expected ':'", 1),
    ("a tab in the indentation of a text", "found a tab character that violates indentation", 0),
    ("a tab in the indentation", "found character that cannot start any token", 0),
    ("a tab where the indentation", "found a tab character where an indentation space is expected", 0),
    ("this character begins nothing", "found character that cannot start any token", 0),
    ("`%` begins nothing", "found character that cannot start any token", 0),
    ("`@` begins nothing", "found character that cannot start any token", 0),
    ("`` ` `` begins nothing", "found character that cannot start any token", 0),
    ("``` begins nothing", "found character that cannot start any token", 0),
    ("a list cannot begin", "block sequence entries are not allowed in this context", 0),
    ("a key cannot begin", "mapping keys are not allowed in this context", 0),
    ("a mapping cannot begin", "mapping values are not allowed in this context", 0),
    ("a quoted text does not end before", "found unexpected document indicator", 0),
    ("a quoted text does not end", "found unexpected end of stream", 0),
    ("an unknown escape", "found unknown escape character", 0),
    ("an escape of what is no", "found invalid Unicode character escape code", 0),
    ("an escape lacks", "did not find expected hexdecimal number", 0),
    ("a block text begins on", "did not find expected comment or line break", 0),
    ("a document begins with", "did not find expected <document start>", -1),
    ("a value is expected", "did not find expected node content", -1),
    ("the next item of a list", "did not find expected '-' indicator", -1),
    ("the next key of a mapping", "did not find expected key", -1),
    ("`,` or `]` is expected", "did not find expected ',' or ']'", -1),
    ("`,` or `}` is expected", "did not find expected ',' or '}'", -1),
];

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}
