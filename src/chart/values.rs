//! Values: what a chart brings, what files say, what `--set` and its sisters add, merged in Helm's order.

use std::path::Path;

use serde_json::{Map, Value};

use super::decode::WrongType;
use super::documents::documents;
use super::set::{self, Flag};
use crate::yaml;

/// Why values cannot be used; prints as Helm prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// What a user gives to a chart, in the order Helm lays it over each other: files first, literals last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Values files.
    pub files: Vec<String>,
    /// `--set-json`.
    pub json: Vec<String>,
    /// `--set`.
    pub set: Vec<String>,
    /// `--set-string`.
    pub strings: Vec<String>,
    /// `--set-file`.
    pub from_files: Vec<String>,
    /// `--set-literal`.
    pub literals: Vec<String>,
}

impl Given {
    /// Merges everything; `read` brings the bytes of a file that is named, or the reason why not.
    ///
    /// # Errors
    /// A text is not YAML, no mapping, or not of the option's grammar; or a file cannot be read.
    pub fn merge(&self, read: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Result<Map<String, Value>, Unusable> {
        let mut values = Map::new();
        for name in &self.files {
            let text = read(name).map_err(Unusable)?;
            let document =
                self::read(&text).map_err(|error| Unusable(format!("failed to parse {name}: {}", error.0)))?;
            set::merge(&mut values, document);
        }
        let mut read = |name: &str| read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        for text in &self.json {
            // Helm hides the reason of a failure here.
            let whole = if text.trim_start().starts_with('{') { " JSON:" } else { "" };
            set::set(&mut values, Flag::Json, text, &mut read)
                .map_err(|_| Unusable(format!("failed parsing --set-json data{whole} {text}")))?;
        }
        as_floats(&mut values);
        for (flag, lines) in [
            (Flag::Set, &self.set),
            (Flag::Text, &self.strings),
            (Flag::File, &self.from_files),
            (Flag::Literal, &self.literals),
        ] {
            for line in lines {
                set::set(&mut values, flag, line, &mut read).map_err(|error| Unusable(error.to_string()))?;
            }
        }
        Ok(values)
    }
}

/// Reads a values file: the mappings of all its documents, later ones over earlier ones. All numbers are floats.
///
/// # Errors
/// A document is not YAML or not a mapping.
pub fn read(text: &[u8]) -> Result<Map<String, Value>, Unusable> {
    let mut values = Map::new();
    for document in documents(text) {
        let wrap = |words: String| Unusable(format!("cannot unmarshal yaml document: {words}"));
        let document = document.map_err(|error| Unusable(format!("error reading yaml document: {error}")))?;
        match yaml::read(document.text, &yaml::Options::helm()).map_err(|error| wrap(error.in_go()))? {
            Value::Null => {}
            Value::Object(mut map) => {
                as_floats(&mut map);
                set::merge(&mut values, map);
            }
            other => {
                return Err(wrap(WrongType::document(&other, "map[string]interface {}").to_string()));
            }
        }
    }
    Ok(values)
}

/// Go's JSON decoder makes a float64 of every number; only what `--set` gives is an int64.
pub(super) fn as_floats(values: &mut Map<String, Value>) {
    values.values_mut().for_each(to_float);
}

fn to_float(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_float),
        Value::Object(map) => as_floats(map),
        _ => {}
    }
}

/// What Go says when a file cannot be opened: `open a/b: no such file or directory`.
pub fn io_words(what: &str, path: &Path, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let reason = match error.kind() {
        ErrorKind::NotFound => "no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "is a directory".to_owned(),
        ErrorKind::NotADirectory => "not a directory".to_owned(),
        _ => error.to_string(),
    };
    format!("{what} {}: {reason}", path.display())
}
