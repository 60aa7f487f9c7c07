//! Reads JSON files: one value or several, keys written twice refused, errors with their place.
//!
//! JSON has no comments, anchors or words that become booleans, and may be indented with tabs, which YAML forbids; so its
//! own reader takes it. Places of fields inside are found by the YAML walker, which reads JSON as well.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::yaml::{Document, Error, Options, Position};

/// Reads all values of a text; one entry each, the last one an error when the text goes wrong.
pub(super) fn read_all(text: &[u8], options: &Options) -> Vec<Result<Document, Error>> {
    let start = Position { line: 1, column: 1 };
    if text.len() > options.max_bytes {
        let message = format!("the text has {} bytes, more than {}", text.len(), options.max_bytes);
        return vec![Err(Error::new(start, message))];
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = text.get(..error.valid_up_to()).unwrap_or_default();
            return vec![Err(Error::new(position(good), "is not UTF-8"))];
        }
    };
    let mut documents = Vec::new();
    let mut at = 0;
    while let Some(skipped) = text.get(at..).and_then(|rest| rest.find(|c: char| !c.is_ascii_whitespace())) {
        at += skipped;
        let Some(rest) = text.get(at..) else { break };
        let position = position(text.get(..at).unwrap_or_default().as_bytes());
        let mut stream = serde_json::Deserializer::from_str(rest);
        match Strict.deserialize(&mut stream) {
            Ok(value) => documents.push(Ok(Document { value, position })),
            Err(error) => {
                documents.push(Err(placed(&error, position)));
                break;
            }
        }
        // The deserializer does not tell how far it came; a stream over raw values does.
        let mut raw = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        raw.next();
        at += raw.byte_offset().max(1);
    }
    documents
}

fn placed(error: &serde_json::Error, start: Position) -> Error {
    let whole = error.to_string();
    let message = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(message, _)| message).to_owned();
    let line = start.line + error.line().saturating_sub(1);
    let column = if error.line() <= 1 { start.column - 1 + error.column() } else { error.column() };
    Error::new(Position { line, column: column.max(1) }, message)
}

/// The place after some text.
fn position(before: &[u8]) -> Position {
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Position { line, column: String::from_utf8_lossy(last).chars().count() + 1 }
}

/// A JSON value in which no mapping has a key twice.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key `{key}` is written twice")));
            }
            let value = entries.next_value_seed(Strict)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<Result<Document, Error>> {
        read_all(text.as_bytes(), &Options::manifests())
    }

    #[test]
    fn several_values_follow_each_other() {
        let documents = read("{\n\t\"a\": [1, 2.5, \"\\ud83d\\ude00\"]}\n  {\"b\": null}\n");
        let documents: Vec<Document> = documents.into_iter().map(Result::unwrap).collect();
        assert_eq!(documents[0].value, json!({"a": [1, 2.5, "\u{1f600}"]}));
        assert_eq!(documents[1].value, json!({"b": null}));
        assert_eq!(documents[1].position, Position { line: 3, column: 3 });
    }

    #[test]
    fn errors_have_their_place() {
        for (text, wanted) in [
            ("{}\n{\"a\": 1,\n \"a\": 2}", "line 3, column 4: key `a` is written twice"),
            ("{\"a\": }", "line 1, column 7: expected value"),
            ("{\"a\": 1", "line 1, column 7: EOF while parsing an object"),
        ] {
            assert_eq!(read(text).pop().unwrap().unwrap_err().to_string(), wanted);
        }
        let error = read_all(b"{\"a\": \"\xff\"}", &Options::manifests()).pop().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 8: is not UTF-8");
    }
}
