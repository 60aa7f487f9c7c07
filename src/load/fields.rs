//! Reads the fields of our own kinds: wrong types, unknown names and missing values become faults with their place.
//!
//! ```text
//! Fields::open(value) -> text / flag / texts / sub .. each marks its name as known -> end(): the rest is unknown
//! ```

use serde_json::{Map, Value};

use crate::unit::{Origin, Problem};
use crate::yaml::{self, Step};

/// One thing wrong inside a document, by the path of the field; it gets its line when the document is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the document.
    pub path: Vec<Step>,
    /// What is wrong.
    pub message: String,
    /// The way out; may be empty.
    pub hint: String,
    /// Worth a word, but what is written can be used.
    pub warning: bool,
}

impl Fault {
    /// An error at a path.
    pub fn error(path: &[Step], message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { path: path.to_vec(), message: message.into(), hint: hint.into(), warning: false }
    }

    /// A warning at a path.
    pub fn warning(path: &[Step], message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { path: path.to_vec(), message: message.into(), hint: hint.into(), warning: true }
    }

    /// Finds the line of the fault in the text that the document was read from.
    pub(super) fn place(&self, file: &str, text: &[u8], document: usize) -> Problem {
        // A field that is missing has no place: its nearest parent stands for it.
        let found = (0..=self.path.len())
            .rev()
            .find_map(|length| yaml::locate(text, document, self.path.get(..length).unwrap_or_default()));
        let origin = found.map_or_else(|| Origin::new(file, 0, 0), |at| Origin::new(file, at.line, at.column));
        Problem { origin, message: self.message.clone(), hint: self.hint.clone() }
    }
}

/// Writes a path as people write it: `spec.templates[0].file`.
pub(super) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Joins a path and one more step.
pub(super) fn below(path: &[Step], step: Step) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(step);
    path
}

/// Joins a path and a key.
pub(super) fn key(path: &[Step], name: &str) -> Vec<Step> {
    below(path, Step::Key(name.to_owned()))
}

/// Says what kind of value it is, in words that fit after "this is".
pub(super) fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The nearest of some names, when it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= (known.len().min(name.len()) / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// One mapping that is being read.
pub(super) struct Fields<'a, 'f> {
    map: &'a Map<String, Value>,
    path: Vec<Step>,
    known: Vec<&'static str>,
    faults: &'f mut Vec<Fault>,
}

impl<'a, 'f> Fields<'a, 'f> {
    /// Opens a mapping; anything else is a fault.
    pub(super) fn open(value: &'a Value, path: &[Step], faults: &'f mut Vec<Fault>) -> Option<Self> {
        let Some(map) = value.as_object() else {
            let name = path_text(path);
            let name = if name.is_empty() { "document".to_owned() } else { name };
            faults.push(Fault::error(path, format!("{name}: expected a mapping, this is {}", what(value)), ""));
            return None;
        };
        Some(Fields { map, path: path.to_vec(), known: Vec::new(), faults })
    }

    /// The path of a field.
    pub(super) fn path(&self, name: &str) -> Vec<Step> {
        key(&self.path, name)
    }

    /// Reports a fault at a field.
    pub(super) fn fault(&mut self, name: &str, message: impl AsRef<str>, hint: impl Into<String>) {
        let path = self.path(name);
        self.faults.push(Fault::error(&path, format!("{}: {}", path_text(&path), message.as_ref()), hint));
    }

    /// All faults so far, for readers of deeper values.
    pub(super) fn faults(&mut self) -> &mut Vec<Fault> {
        self.faults
    }

    /// The value of a field; `None` when absent or null.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is written at all, null included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    fn wrong(&mut self, name: &str, expected: &str, value: &Value) {
        self.fault(name, format!("expected {expected}, this is {}", what(value)), "");
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.take(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(name, "a text", value);
        }
        text
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.take(name)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong(name, "true or false", value);
        }
        flag
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, name: &'static str) -> Option<usize> {
        let value = self.take(name)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        if number.is_none() {
            self.fault(name, "expected a whole number from 0", "");
        }
        number
    }

    /// A list.
    pub(super) fn list(&mut self, name: &'static str) -> Option<&'a Vec<Value>> {
        let value = self.take(name)?;
        let list = value.as_array();
        if list.is_none() {
            self.wrong(name, "a list", value);
        }
        list
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &'static str) -> Option<Vec<&'a str>> {
        let list = self.list(name)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(text) => texts.push(text),
                None => {
                    let path = below(&self.path(name), Step::Index(index));
                    let message = format!("{}: expected a text, this is {}", path_text(&path), what(value));
                    self.faults.push(Fault::error(&path, message, "put it in quotes"));
                }
            }
        }
        Some(texts)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, format!("`{text}` is none of {}", all.join(", ")), did_you_mean(text, all));
        }
        found
    }

    /// Reports every field that nobody asked for, with the nearest known name.
    pub(super) fn end(self) {
        for name in self.map.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let path = key(&self.path, name);
            let known: Vec<&str> = self.known.clone();
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.faults.push(Fault::error(&path, format!("{}: unknown field", path_text(&path)), hint));
        }
    }
}

/// The hint that names the nearest of some words; empty when none is near.
pub(super) fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, known).map(|near| format!("did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_name_the_nearest_known_one() {
        let value = json!({"namespace": "dev", "allowDeletes": true, "zzz": 1, "count": -1});
        let mut faults = Vec::new();
        let mut fields = Fields::open(&value, &[Step::Key("spec".into())], &mut faults).unwrap();
        assert_eq!(fields.text("namespace"), Some("dev"));
        assert_eq!(fields.flag("allowDelete"), None);
        assert_eq!(fields.number("count"), None);
        fields.end();
        let faults: Vec<String> = faults.iter().map(|fault| format!("{} ({})", fault.message, fault.hint)).collect();
        assert_eq!(
            faults,
            [
                "spec.count: expected a whole number from 0 ()",
                "spec.allowDeletes: unknown field (did you mean `allowDelete`?)",
                "spec.zzz: unknown field (known here: namespace, allowDelete, count)",
            ]
        );
    }
}
