//! Why a chart does not render: Helm's words, and beside them the line, a marker, and the value at fault.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::coalesce::Mismatch;
use super::manifest::SplitError;
use super::{Unreadable, Unusable};
use crate::template::{self, Map, Value};

/// Why a chart could not be rendered; prints Helm's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Values files or options could not be read.
    #[error(transparent)]
    Values(#[from] Unusable),
    /// The release cannot have that name.
    #[error(
        "release name check failed: release name {0:?}: invalid release name, must match regex \
             ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
    )]
    ReleaseName(String),
    /// The release has no name.
    #[error("release name check failed: no name provided")]
    NoReleaseName,
    /// A library, which only defines templates for others.
    #[error("{0} charts are not installable")]
    NotInstallable(String),
    /// Helm 4 reads charts of `apiVersion: v3` but does not render them yet.
    #[error("invalid chart apiVersion")]
    Version,
    /// `Chart.yaml` lists charts that are not in `charts/`.
    #[error(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch \
         missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}", .0.join(", ")
    )]
    MissingDependencies(Vec<String>),
    /// Values and the charts below do not fit together.
    #[error("chart dependencies processing failed: {0}")]
    Dependencies(Mismatch),
    /// Values are no mapping where a chart needs one.
    #[error(transparent)]
    Mismatch(Mismatch),
    /// Values break the rules of a `values.schema.json`.
    #[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
    Schema(String),
    /// The chart does not support this version of Kubernetes.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {version}")]
    Incompatible {
        /// The chart's range.
        wanted: String,
        /// The version.
        version: String,
    },
    /// A template does not parse, or fails.
    #[error("{message}")]
    Template {
        /// Helm's message.
        message: String,
        /// Where, with the line and the value at fault.
        excerpt: Option<Box<Excerpt>>,
    },
    /// A template renders something that is not a Kubernetes document.
    #[error("{message}")]
    Manifest {
        /// Helm's message.
        message: String,
        /// Where in what was rendered.
        excerpt: Box<Excerpt>,
        /// What all templates rendered to, by name.
        files: BTreeMap<String, String>,
    },
}

impl Error {
    /// Whether templates were rendered: Helm has something to show under `--debug` then.
    pub fn is_rendering(&self) -> bool {
        matches!(self, Error::Template { .. } | Error::Manifest { .. } | Error::Incompatible { .. })
    }

    /// The place, the line and what helps; for errors in templates and in what they render.
    pub fn excerpt(&self) -> Option<&Excerpt> {
        match self {
            Error::Template { excerpt, .. } => excerpt.as_deref(),
            Error::Manifest { excerpt, .. } => Some(excerpt),
            _ => None,
        }
    }

    pub(crate) fn parse(error: &template::Error, file: &str) -> Self {
        Error::Template { message: error.helm(file), excerpt: Excerpt::of_template(error, None).map(Box::new) }
    }

    pub(crate) fn execute(error: &template::Error, file: &str, values: &Map) -> Self {
        let excerpt = Excerpt::of_template(error, Some(values)).map(Box::new);
        Error::Template { message: error.helm(file), excerpt }
    }

    pub(crate) fn split(error: &SplitError, files: BTreeMap<String, String>) -> Self {
        let mut excerpt = Excerpt::of_rendered(&error.source_file, &error.text, error.line, error.column);
        excerpt.text.push_str("  hint: `bowline template --debug` prints what was rendered\n");
        Error::Manifest { message: error.to_string(), excerpt: Box::new(excerpt), files }
    }
}

/// Where an error is, as a compiler would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Template, with the chart in front.
    pub file: String,
    /// Whether line and column count in what the template renders, not in the template.
    pub rendered: bool,
    /// Line from 1; 0 when not known.
    pub line: usize,
    /// Column from 1; 0 when not known.
    pub column: usize,
    /// The lines with a marker, the way that led there, and what may help.
    pub text: String,
}

impl Excerpt {
    /// A place in a document that a template renders; line 0 when it is not known.
    pub(crate) fn of_rendered(file: &str, document: &str, line: usize, column: usize) -> Self {
        let mut text = format!("  --> rendered from {file}");
        if line > 0 {
            let _ = writeln!(text, ", line {line} of the document");
            let first = line.saturating_sub(2).max(1);
            for (number, words) in (1..).zip(document.lines()).skip(first - 1).take(line - first + 2) {
                let marker = if number == line { '>' } else { ' ' };
                let words: String = words.chars().take(160).collect();
                let _ = writeln!(text, "{marker}{number:4} | {words}");
            }
        } else {
            text.push('\n');
        }
        Excerpt { file: file.to_owned(), rendered: true, line, column, text }
    }

    /// The innermost place of an error that is in a file.
    fn of_template(error: &template::Error, values: Option<&Map>) -> Option<Self> {
        let places = error.chain().filter_map(template::Error::place);
        let place = places.filter(|place| place.file.contains('/')).last()?;
        let mut text = error.excerpt();
        let note = values.map_or_else(String::new, |values| missing(&place.node, &place.file, values));
        if !note.is_empty() {
            let _ = writeln!(text, "  note: {note}");
        }
        Some(Excerpt {
            file: place.file.to_string(),
            rendered: false,
            line: place.line,
            column: place.column.map_or(0, |column| column + 1),
            text,
        })
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// Which part of a `.Values` path in a node is not there, with its path in the outermost chart's values.
fn missing(node: &str, file: &str, values: &Map) -> String {
    let Some(start) = node.find(".Values.") else { return String::new() };
    let path = node[start + ".Values.".len()..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).next();
    let path = path.unwrap_or_default().trim_end_matches('.');
    // `web/charts/db/templates/x.yaml` sees what lies under `db`.
    let elements: Vec<&str> = file.split('/').collect();
    let below = elements.windows(2).filter(|pair| pair[0] == "charts").map(|pair| pair[1]);
    let mut walked: Vec<&str> = Vec::new();
    let mut here = Value::Map(values.clone());
    for key in below.chain(path.split('.')) {
        let Some(map) = here.as_map().cloned() else {
            return format!("value {} is {}, not a mapping", walked.join("."), describe(&here));
        };
        walked.push(key);
        match map.get(key.as_bytes()) {
            None => return format!("value {} is not set", walked.join(".")),
            Some(value) if value.is_nil() => return format!("value {} is null", walked.join(".")),
            Some(value) => here = value,
        }
    }
    String::new()
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "a boolean",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
        _ => "a number",
    }
}
