//! Units: what is applied, waited for, recorded and undone together; and where an object was written.
//!
//! ```text
//! main/-            cluster    cluster-scoped plain objects of source `main`
//! main/dev-a        namespace  what template lists and plain manifests put into one namespace
//! main/dev-a/web    folder     a folder whose bowline.yaml names a unit, as far as it goes to this namespace
//! main/dev-a/kafka  release    one chart installation
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a unit: `source/namespace[/name]`; `-` stands for "no namespace".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UnitName {
    /// Source the unit comes from; at most 20 characters.
    pub source: String,
    /// Namespace; empty for the cluster unit.
    pub namespace: String,
    /// Name of a folder unit or release; empty for namespace and cluster units.
    pub name: String,
}

impl UnitName {
    /// The unit of cluster-scoped plain objects of a source.
    pub fn cluster(source: &str) -> Self {
        UnitName { source: source.to_owned(), namespace: String::new(), name: String::new() }
    }

    /// The unit of what lists and manifests put into one namespace.
    pub fn namespace(source: &str, namespace: &str) -> Self {
        UnitName { source: source.to_owned(), namespace: namespace.to_owned(), name: String::new() }
    }

    /// A folder unit or release in a namespace (empty: the cluster-scoped part of a folder unit).
    pub fn named(source: &str, namespace: &str, name: &str) -> Self {
        UnitName { source: source.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = if self.namespace.is_empty() { "-" } else { &self.namespace };
        write!(out, "{}/{}", self.source, namespace)?;
        if self.name.is_empty() { Ok(()) } else { write!(out, "/{}", self.name) }
    }
}

/// Why a text is not a unit name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a unit: write source/namespace or source/namespace/name, with - for cluster-scoped objects")]
pub struct NotAUnit(String);

impl FromStr for UnitName {
    type Err = NotAUnit;

    fn from_str(text: &str) -> Result<Self, NotAUnit> {
        let parts: Vec<&str> = text.split('/').collect();
        let (source, namespace, name) = match parts.as_slice() {
            [source, namespace] => (*source, *namespace, ""),
            [source, namespace, name] if !name.is_empty() => (*source, *namespace, *name),
            _ => return Err(NotAUnit(text.to_owned())),
        };
        if source.is_empty() || namespace.is_empty() {
            return Err(NotAUnit(text.to_owned()));
        }
        let namespace = if namespace == "-" { "" } else { namespace };
        Ok(UnitName::named(source, namespace, name))
    }
}

impl From<UnitName> for String {
    fn from(unit: UnitName) -> String {
        unit.to_string()
    }
}

impl TryFrom<String> for UnitName {
    type Error = NotAUnit;

    fn try_from(text: String) -> Result<Self, NotAUnit> {
        text.parse()
    }
}

/// What kind of unit it is; decides where its record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitKind {
    /// Cluster-scoped plain objects of a source.
    Cluster,
    /// What template lists and plain manifests put into one namespace.
    Namespace,
    /// A folder whose `bowline.yaml` names a unit.
    Folder,
    /// One chart installation.
    Release,
}

/// Where in the repository something was written. Lines and columns count from 1; 0 means the whole file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Path inside the source's tree, with `/`.
    pub file: String,
    /// Line.
    #[serde(default)]
    pub line: usize,
    /// Column.
    #[serde(default)]
    pub column: usize,
}

impl Origin {
    /// A place in a file.
    pub fn new(file: &str, line: usize, column: usize) -> Self {
        Origin { file: file.to_owned(), line, column }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(out, "{}", self.file),
            (line, 0) => write!(out, "{}:{line}", self.file),
            (line, column) => write!(out, "{}:{line}:{column}", self.file),
        }
    }
}

/// Something wrong in the repository or in a rendering: where, what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// What is wrong: subject first, lower case, no final dot.
    pub message: String,
    /// What would help; empty when the message says it already.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(origin: Origin, message: impl Into<String>) -> Self {
        Problem { origin, message: message.into(), hint: String::new() }
    }

    /// The same problem with a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.origin, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(out, "\n  hint: {}", self.hint) }
    }
}
