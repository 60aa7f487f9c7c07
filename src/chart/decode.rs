//! Decodes JSON values into the fields of chart files as Go's JSON package does, with its words when a type is wrong.
//!
//! Numbers and booleans become texts where a text is wanted (`appVersion: 1.16`), names match whatever their case, and
//! null leaves a field as it was.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A value of another type than its field has; prints as Go prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error unmarshaling JSON: while decoding JSON: {}", self.in_json())]
pub(crate) struct WrongType {
    found: &'static str,
    place: String,
    wanted: String,
}

impl WrongType {
    /// What Go's JSON package itself says, when no YAML package is around it.
    pub(crate) fn in_json(&self) -> String {
        format!("json: cannot unmarshal {} into Go {} of type {}", self.found, self.place, self.wanted)
    }

    /// A whole document of the wrong type.
    pub(crate) fn document(value: &Value, wanted: &str) -> Self {
        WrongType { found: kind(value), place: "value".to_owned(), wanted: wanted.to_owned() }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The fields of one struct, with where it lies in the outermost one.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    root: &'static str,
    path: String,
}

impl<'a> Fields<'a> {
    /// Takes a document that must be a mapping; null is one without fields.
    pub(crate) fn document(value: &'a Value, root: &'static str, go_type: &str) -> Result<Option<Self>, WrongType> {
        match value {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Fields { map, root, path: String::new() })),
            other => Err(WrongType::document(other, go_type)),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        let exact = self.map.get(name);
        let found =
            exact.or_else(|| self.map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, name: &str, value: &Value, wanted: &str) -> Result<T, WrongType> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let place = format!("struct field {}.{}{dot}{name}", self.root, self.path);
        Err(WrongType { found: kind(value), place, wanted: wanted.to_owned() })
    }

    /// A text, or a number or boolean written out; leaves the field alone when absent.
    pub(crate) fn text(&self, name: &str, field: &mut String) -> Result<(), WrongType> {
        let Some(value) = self.find(name) else { return Ok(()) };
        match scalar_text(value) {
            Some(text) => *field = text,
            None => return self.wrong(name, value, "string"),
        }
        Ok(())
    }

    /// A boolean.
    pub(crate) fn boolean(&self, name: &str, field: &mut bool) -> Result<(), WrongType> {
        let Some(value) = self.find(name) else { return Ok(()) };
        match value {
            Value::Bool(found) => *field = *found,
            other => return self.wrong(name, other, "bool"),
        }
        Ok(())
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str, field: &mut Vec<String>) -> Result<(), WrongType> {
        let Some(value) = self.find(name) else { return Ok(()) };
        let Value::Array(items) = value else { return self.wrong(name, value, "[]string") };
        field.clear();
        for item in items {
            match scalar_text(item) {
                Some(text) => field.push(text),
                None if item.is_null() => field.push(String::new()),
                None => return self.wrong(name, item, "string"),
            }
        }
        Ok(())
    }

    /// A mapping of texts.
    pub(crate) fn text_map(&self, name: &str, field: &mut Option<BTreeMap<String, String>>) -> Result<(), WrongType> {
        let Some(value) = self.find(name) else { return Ok(()) };
        let Value::Object(map) = value else { return self.wrong(name, value, "map[string]string") };
        let entries = field.get_or_insert_default();
        for (key, item) in map {
            match scalar_text(item) {
                Some(text) => entries.insert(key.clone(), text),
                None if item.is_null() => entries.insert(key.clone(), String::new()),
                None => return self.wrong(name, item, "string"),
            };
        }
        Ok(())
    }

    /// A struct inside this one.
    pub(crate) fn nested(&self, name: &str, go_type: &'static str) -> Result<Option<Fields<'a>>, WrongType> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let Value::Object(map) = value else { return self.wrong(name, value, go_type) };
        let dot = if self.path.is_empty() { "" } else { "." };
        Ok(Some(Fields { map, root: struct_name(go_type), path: format!("{}{dot}{name}", self.path) }))
    }

    /// A list of anything.
    pub(crate) fn values(&self, name: &str, field: &mut Vec<Value>) -> Result<(), WrongType> {
        let Some(value) = self.find(name) else { return Ok(()) };
        let Value::Array(items) = value else { return self.wrong(name, value, "[]interface {}") };
        field.clone_from(items);
        Ok(())
    }

    /// A list of structs; null entries are kept, because Helm refuses them with its own words later.
    pub(crate) fn structs(
        &self,
        name: &str,
        go_type: &'static str,
    ) -> Result<Option<Vec<Option<Fields<'a>>>>, WrongType> {
        let Some(value) = self.find(name) else { return Ok(None) };
        let Value::Array(items) = value else { return self.wrong(name, value, &format!("[]*{go_type}")) };
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{name}", self.path);
        let entries = items.iter().map(|item| match item {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(Fields { map, root: struct_name(go_type), path: path.clone() })),
            other => self.wrong(name, other, go_type),
        });
        entries.collect::<Result<_, _>>().map(Some)
    }
}

/// The name of a Go type without its package; empty for a struct that has none.
fn struct_name(go_type: &'static str) -> &'static str {
    if go_type.starts_with("struct") { "" } else { go_type.rsplit('.').next().unwrap_or(go_type) }
}

/// A scalar as a text field takes it; `None` for null, lists and mappings.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() => float_text(float),
            _ => number.to_string(),
        }),
        _ => None,
    }
}

/// A float as Go's `strconv.FormatFloat(f, 'g', -1, 32)` writes it, which is what the YAML package asks for.
fn float_text(float: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Helm's YAML package writes floats with 32 bits here")]
    let float = float as f32;
    if !float.is_finite() {
        return if float.is_nan() {
            "NaN"
        } else if float > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_become_texts_as_go_writes_them() {
        for (value, expected) in [
            (json!("x"), Some("x")),
            (json!(true), Some("true")),
            (json!(7), Some("7")),
            (json!(1.16), Some("1.16")),
            (json!(1234567.5), Some("1.2345675e+06")),
            (json!(null), None),
            (json!([]), None),
        ] {
            assert_eq!(scalar_text(&value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn wrong_types_are_named_as_go_names_them() {
        let document = json!({"Name": ["x"], "keywords": "a", "deprecated": "no", "deps": [{"tags": {}}]});
        let fields = Fields::document(&document, "Metadata", "chart.Metadata").unwrap().unwrap();
        let mut text = String::new();
        let prefix = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
        let message = |error: WrongType| error.to_string().strip_prefix(prefix).unwrap().to_owned();
        assert_eq!(
            message(fields.text("name", &mut text).unwrap_err()),
            "array into Go struct field Metadata.name of type string"
        );
        assert_eq!(
            message(fields.texts("keywords", &mut Vec::new()).unwrap_err()),
            "string into Go struct field Metadata.keywords of type []string"
        );
        let nested = fields.structs("deps", "chart.Dependency").unwrap().unwrap();
        assert_eq!(
            message(nested[0].as_ref().unwrap().texts("tags", &mut Vec::new()).unwrap_err()),
            "object into Go struct field Dependency.deps.tags of type []string"
        );
    }
}
