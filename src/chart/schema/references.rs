//! Finds what `$ref` points at, inside one schema file and nowhere else.

use std::collections::BTreeMap;

use serde_json::Value;

/// A schema file with the names that references may use.
pub(super) struct Document<'s> {
    root: &'s Value,
    /// 4, 6, 7, 2019 or 2020.
    pub(super) draft: u32,
    /// Whether an `unevaluated` rule occurs.
    pub(super) asks_for_unseen: bool,
    /// Schemas with an identifier or anchor of their own, under it.
    named: BTreeMap<String, &'s Value>,
}

impl<'s> Document<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        let mut named = BTreeMap::new();
        let mut asks_for_unseen = false;
        collect(root, &mut named, &mut asks_for_unseen, 0);
        let draft = match root.get("$schema").and_then(Value::as_str).unwrap_or_default() {
            url if url.contains("draft-04") => 4,
            url if url.contains("draft-06") => 6,
            url if url.contains("draft-07") => 7,
            url if url.contains("2019-09") => 2019,
            _ => 2020,
        };
        Document { root, draft, asks_for_unseen, named }
    }

    /// The URL of the dialect, for messages.
    pub(super) fn dialect_of(schema: &Value) -> String {
        let written = schema.get("$schema").and_then(Value::as_str);
        let known = written.filter(|url| url.contains("json-schema.org/draft"));
        known.unwrap_or("https://json-schema.org/draft/2020-12/schema").trim_end_matches('#').to_owned() + "#"
    }

    /// The schema a reference names; `None` when it is not in this file.
    pub(super) fn resolve(&self, reference: &str) -> Option<&'s Value> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let own = self.root.get("$id").or_else(|| self.root.get("id")).and_then(Value::as_str).unwrap_or_default();
        let schema = match base {
            "" => self.root,
            base if base == own.trim_end_matches('#') => self.root,
            base => self.named.get(base).copied().or_else(|| {
                let suffix = format!("/{base}");
                self.named.iter().find(|(name, _)| name.ends_with(&suffix)).map(|(_, schema)| *schema)
            })?,
        };
        if fragment.is_empty() {
            return Some(schema);
        }
        let fragment = decode_percent(fragment);
        if fragment.starts_with('/') {
            schema.pointer(&fragment)
        } else {
            self.named.get(&format!("#{fragment}")).copied()
        }
    }
}

fn collect<'s>(value: &'s Value, named: &mut BTreeMap<String, &'s Value>, unseen: &mut bool, depth: usize) {
    if depth > 200 {
        return;
    }
    match value {
        Value::Object(map) => {
            for (keyword, prefix) in [("$id", ""), ("id", ""), ("$anchor", "#"), ("$dynamicAnchor", "#")] {
                if let Some(Value::String(name)) = map.get(keyword) {
                    named.insert(format!("{prefix}{name}"), value);
                }
            }
            *unseen |= map.contains_key("unevaluatedProperties") || map.contains_key("unevaluatedItems");
            map.values().for_each(|below| collect(below, named, unseen, depth + 1));
        }
        Value::Array(items) => items.iter().for_each(|below| collect(below, named, unseen, depth + 1)),
        _ => {}
    }
}

fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
