//! Reads a list, chart by chart: only what is wanted of it is kept.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{Entry, Index, Old};
use crate::chart::decode::{Fields, WrongType};
use crate::chart::metadata::Draft;
use crate::yaml;

/// Which charts of a list are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep<'a> {
    /// All of them.
    All,
    /// The one with this name; of the others only the names.
    Only(&'a str),
}

/// A list as it was read.
#[derive(Debug)]
pub struct List {
    /// The list.
    pub index: Index,
    /// What was left out of it, and why.
    pub warnings: Vec<String>,
}

/// Why a text is no list of charts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIndex {
    /// There is no text.
    #[error("the list is empty")]
    Empty,
    /// It does not say `apiVersion`; this is Helm's way to tell a list from any other text.
    #[error("it has no apiVersion; it is no list of charts")]
    NoApiVersion,
    /// It is neither YAML nor JSON.
    #[error("{0}")]
    Text(String),
    /// A field is of another type than it has to be.
    #[error("{0}")]
    Type(String),
    /// A chart is listed in two places.
    #[error("chart {0:?} is listed twice")]
    Twice(String),
}

/// Reads a list of at most `max_bytes`, YAML or JSON. Entries that cannot be used are left out with a warning, as Helm
/// leaves them out.
///
/// # Errors
/// The text as a whole is no list.
pub fn read(text: &[u8], keep: Keep<'_>, max_bytes: usize) -> Result<List, BadIndex> {
    if text.is_empty() {
        return Err(BadIndex::Empty);
    }
    let mut reader = Reader { keep, index: Index::new(String::new()), warnings: Vec::new(), broken: None };
    let rest = if text.trim_ascii_start().starts_with(b"{") {
        json(text, &mut reader).or_else(|_| yaml(text, max_bytes, &mut reader))
    } else {
        yaml(text, max_bytes, &mut reader)
    };
    let rest = rest?;
    if let Some(broken) = reader.broken.take() {
        return Err(broken);
    }
    reader.head(&rest)?;
    let Reader { mut index, warnings, .. } = reader;
    index.sort();
    Ok(List { index, warnings })
}

fn yaml(text: &[u8], max_bytes: usize, reader: &mut Reader<'_>) -> Result<Value, BadIndex> {
    *reader = Reader { keep: reader.keep, index: Index::new(String::new()), warnings: Vec::new(), broken: None };
    let options =
        yaml::Options { further: yaml::Further::Ignore, max_nodes: 5_000_000, max_bytes, ..yaml::Options::manifests() };
    yaml::read_apart(text, &options, "entries", &mut |name, value| reader.chart(name, &value))
        .map_err(|error| BadIndex::Text(error.to_string()))
}

struct Reader<'a> {
    keep: Keep<'a>,
    index: Index,
    warnings: Vec<String>,
    broken: Option<BadIndex>,
}

impl Reader<'_> {
    fn wants(&self, name: &str) -> bool {
        match self.keep {
            Keep::All => true,
            Keep::Only(wanted) => wanted == name,
        }
    }

    /// Takes the versions of one chart.
    fn chart(&mut self, name: String, value: &Value) {
        if self.index.entries.contains_key(&name) || self.index.others.contains(&name) {
            self.broken.get_or_insert(BadIndex::Twice(name));
            return;
        }
        if !self.wants(&name) {
            self.index.others.insert(name);
            return;
        }
        let mut versions = Vec::new();
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    match entry(item) {
                        Ok(entry) => versions.push(entry),
                        Err(reason) => self.warnings.push(format!("chart {name:?}{} is left out: {reason}", at(item))),
                    }
                }
            }
            _ => self.warnings.push(format!("chart {name:?} is left out: its versions are no list")),
        }
        self.index.entries.insert(name, versions);
    }

    /// Takes what stands beside the charts.
    fn head(&mut self, rest: &Value) -> Result<(), BadIndex> {
        let wrong = |error: WrongType| BadIndex::Type(error.to_string());
        let fields = Fields::document(rest, "IndexFile", "repo.IndexFile").map_err(wrong)?;
        let fields = fields.ok_or(BadIndex::NoApiVersion)?;
        let mut annotations = None;
        self.index.api_version.clear();
        fields.text("apiVersion", &mut self.index.api_version).map_err(wrong)?;
        fields.text("generated", &mut self.index.generated).map_err(wrong)?;
        fields.texts("publicKeys", &mut self.index.public_keys).map_err(wrong)?;
        fields.text_map("annotations", &mut annotations).map_err(wrong)?;
        // What the mapping held was taken apart before.
        fields.nested("entries", "map[string]repo.ChartVersions").map_err(wrong)?;
        self.index.annotations = annotations.unwrap_or_default();
        if self.index.api_version.is_empty() {
            return Err(BadIndex::NoApiVersion);
        }
        Ok(())
    }
}

/// ` 1.2.3`, if the entry says that much.
fn at(item: &Value) -> String {
    item.get("version")
        .and_then(Value::as_str)
        .map(|text| format!(" {}", text.chars().take(60).collect::<String>()))
        .unwrap_or_default()
}

fn entry(item: &Value) -> Result<Entry, String> {
    let told = |error: WrongType| error.to_string();
    let fields = Fields::document(item, "ChartVersion", "repo.ChartVersion").map_err(told)?;
    let fields = fields.ok_or("it is empty")?;
    let mut draft = Draft::default();
    draft.decode(item).map_err(told)?;
    let (mut urls, mut created, mut removed, mut digest, mut old) =
        (Vec::new(), String::new(), false, String::new(), Old::default());
    fields.texts("urls", &mut urls).map_err(told)?;
    fields.text("created", &mut created).map_err(told)?;
    fields.boolean("removed", &mut removed).map_err(told)?;
    fields.text("digest", &mut digest).map_err(told)?;
    fields.text("checksum", &mut old.checksum).map_err(told)?;
    fields.text("engine", &mut old.engine).map_err(told)?;
    fields.text("tillerVersion", &mut old.tiller_version).map_err(told)?;
    fields.text("url", &mut old.url).map_err(told)?;
    let metadata = draft.check_listed().map_err(|invalid| invalid.to_string())?;
    let created = if created.is_empty() { ZERO_TIME.to_owned() } else { created };
    Ok(Entry { metadata, urls, created, removed, digest, old })
}

/// What Go writes for a time that was never set.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Reads JSON, chart by chart.
fn json(text: &[u8], reader: &mut Reader<'_>) -> Result<Value, BadIndex> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let rest = Document(reader).deserialize(&mut deserializer);
    let rest = rest.and_then(|rest| deserializer.end().map(|()| rest));
    rest.map_err(|error| BadIndex::Text(error.to_string()))
}

struct Document<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of charts")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
        let mut rest = serde_json::Map::new();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                map.next_value_seed(Charts(self.0))?;
            } else {
                rest.insert(key.clone(), map.next_value()?);
            }
            if !seen.insert(key.clone()) {
                return Err(M::Error::custom(format!("key {key:?} is written twice")));
            }
        }
        Ok(Value::Object(rest))
    }
}

struct Charts<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Charts<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Charts<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a mapping of charts")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value = if self.0.wants(&name) {
                map.next_value()?
            } else {
                map.next_value::<IgnoredAny>().map(|_| Value::Null)?
            };
            self.0.chart(name, &value);
        }
        Ok(())
    }
}
