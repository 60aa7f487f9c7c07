//! Values: what a chart brings, what files say, what `--set` and its sisters add, merged in Helm's order.

use std::path::Path;

use serde_json::{Map, Value};

use super::decode::WrongType;
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
        values.values_mut().for_each(as_floats);
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
        match yaml::read(document, &yaml::Options::helm()).map_err(|error| wrap(error.in_go()))? {
            Value::Null => {}
            Value::Object(mut map) => {
                map.values_mut().for_each(as_floats);
                set::merge(&mut values, map);
            }
            other => {
                return Err(wrap(WrongType::document(&other, "map[string]interface {}").to_string()));
            }
        }
    }
    Ok(values)
}

/// Splits a text as Kubernetes' YAML reader does: at lines of `---`, which a comment may follow.
fn documents(text: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let next = at + line.len();
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = rest.trim_ascii();
            if (rest.is_empty() || rest.starts_with(b"#")) && at > start {
                documents.push(&text[start..at]);
                start = next;
            }
        }
        at = next;
    }
    if start < text.len() {
        documents.push(&text[start..]);
    }
    documents
}

/// Go's JSON decoder makes a float64 of every number; only what `--set` gives is an int64.
fn as_floats(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_f64() => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_floats),
        Value::Object(map) => map.values_mut().for_each(as_floats),
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
        _ => error.to_string(),
    };
    format!("{what} {}: {reason}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_at_lines_of_dashes() {
        let texts = |text: &'static str| -> Vec<String> {
            documents(text.as_bytes()).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
        };
        assert_eq!(texts("a: 1\n---\nb: 2"), ["a: 1\n", "b: 2"]);
        assert_eq!(texts("---\na: 1\n--- # x\nb: 2\n"), ["---\na: 1\n", "b: 2\n"]);
        assert_eq!(texts("a: |\n  ---\n"), ["a: |\n  ---\n"]);
        assert!(texts("").is_empty());
    }
}
