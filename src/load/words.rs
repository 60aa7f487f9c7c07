//! kustomize's words in a list: checked field by field, with the place of each and the files that they name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fields::{Fault, below, did_you_mean, key, path_text, what};
use crate::kustomize::spec::Words;
use crate::unit::Origin;
use crate::yaml::Step;

/// kustomize's words of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListWords {
    /// The words.
    pub words: Words,
    /// Files that they name, as written, each with its place.
    pub files: Vec<(String, Origin)>,
    /// Where each word is written, by what the errors of [`crate::kustomize`] call it: `patches[0]`.
    pub places: BTreeMap<String, Origin>,
}

/// The words, and what of them still needs its place.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) words: Words,
    pub(super) files: Vec<(String, Vec<Step>)>,
    pub(super) places: Vec<(String, Vec<Step>)>,
}

/// What a field may hold.
pub(super) enum Shape {
    Text,
    Flag,
    Word(&'static [&'static str]),
    /// Texts by name.
    Texts,
    List(&'static Shape),
    Fields(&'static [(&'static str, Shape)]),
}

use Shape::{Fields, Flag, List, Text, Texts, Word};

/// The words that a list may have.
pub(super) const WORDS: &[(&str, Shape)] = &[
    ("commonAnnotations", Texts),
    ("commonLabels", Texts),
    ("configMapGenerator", List(&Fields(GENERATOR))),
    ("generatorOptions", Fields(GENERATOR_OPTIONS)),
    ("images", List(&Fields(IMAGE))),
    ("labels", List(&Fields(LABELS))),
    ("namePrefix", Text),
    ("nameSuffix", Text),
    ("patches", List(&Fields(PATCH))),
    ("secretGenerator", List(&Fields(GENERATOR))),
];

const GENERATOR: &[(&str, Shape)] = &[
    ("name", Text),
    ("namespace", Text),
    ("behavior", Word(&["create", "replace", "merge", "unspecified"])),
    ("literals", List(&Text)),
    ("files", List(&Text)),
    ("envs", List(&Text)),
    ("env", Text),
    ("type", Text),
    ("options", Fields(GENERATOR_OPTIONS)),
];

const GENERATOR_OPTIONS: &[(&str, Shape)] =
    &[("labels", Texts), ("annotations", Texts), ("disableNameSuffixHash", Flag), ("immutable", Flag)];

const IMAGE: &[(&str, Shape)] =
    &[("name", Text), ("newName", Text), ("newTag", Text), ("tagSuffix", Text), ("digest", Text)];

const LABELS: &[(&str, Shape)] = &[
    ("pairs", Texts),
    ("includeSelectors", Flag),
    ("includeTemplates", Flag),
    ("fields", List(&Fields(&[("group", Text), ("version", Text), ("kind", Text), ("path", Text), ("create", Flag)]))),
];

const PATCH: &[(&str, Shape)] = &[
    ("patch", Text),
    ("path", Text),
    ("target", Fields(TARGET)),
    ("options", Fields(&[("allowNameChange", Flag), ("allowKindChange", Flag)])),
];

const TARGET: &[(&str, Shape)] = &[
    ("group", Text),
    ("version", Text),
    ("kind", Text),
    ("name", Text),
    ("namespace", Text),
    ("labelSelector", Text),
    ("annotationSelector", Text),
];

/// Reads the words of a list, which stand below `path`.
pub(super) fn read(words: &Map<String, Value>, path: &[Step], faults: &mut Vec<Fault>) -> Draft {
    let mut draft = Draft::default();
    for (name, value) in words {
        let path = key(path, name);
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let path = below(&path, Step::Index(index));
            draft.files.extend(files(name, item, &path));
            draft.places.push((format!("{name}[{index}]"), path));
        }
        draft.places.push((name.clone(), path));
    }
    let before = faults.len();
    for (name, shape) in WORDS {
        if let Some(value) = words.get(*name) {
            check(value, shape, &key(path, name), faults);
        }
    }
    if faults.len() == before {
        match serde_json::from_value(without_null(&Value::Object(words.clone()))) {
            Ok(read) => draft.words = read,
            Err(error) => faults.push(Fault::error(path, format!("{}: {error}", path_text(path)), "")),
        }
    }
    draft
}

/// The files that one item of a word names, with their places.
fn files(word: &str, item: &Value, path: &[Step]) -> Vec<(String, Vec<Step>)> {
    let mut files = Vec::new();
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let single = match word {
        "patches" => "path",
        "configMapGenerator" | "secretGenerator" => "env",
        _ => return files,
    };
    files.extend(text(single).map(|file| (file.to_owned(), key(path, single))));
    for (name, keyed) in [("envs", false), ("files", true)] {
        for (index, file) in item.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some(file) = file.as_str() else { continue };
            let file = file.split_once('=').filter(|_| keyed).map_or(file, |(_, file)| file);
            // What is no source at all is said by the generator.
            if !file.is_empty() && !file.contains('=') {
                files.push((file.to_owned(), below(&key(path, name), Step::Index(index))));
            }
        }
    }
    files
}

/// Checks a value; every fault is said at once.
fn check(value: &Value, shape: &Shape, path: &[Step], faults: &mut Vec<Fault>) {
    let mut wrong = |expected: &str, hint: &str| {
        let message = format!("{}: expected {expected}, this is {}", path_text(path), what(value));
        faults.push(Fault::error(path, message, hint));
    };
    let quote = if matches!(value, Value::Number(_) | Value::Bool(_)) { "put it in quotes" } else { "" };
    match (shape, value) {
        (_, Value::Null) | (Text, Value::String(_)) | (Flag, Value::Bool(_)) => {}
        (Text, _) => wrong("a text", quote),
        (Flag, _) => wrong("true or false", ""),
        (Word(words), Value::String(text)) => {
            if !words.contains(&text.as_str()) {
                let message = format!("{}: `{text}` is none of {}", path_text(path), words.join(", "));
                faults.push(Fault::error(path, message, did_you_mean(text, words.iter().copied())));
            }
        }
        (Word(_), _) => wrong("a text", ""),
        (Texts, Value::Object(map)) => {
            map.iter().for_each(|(name, value)| check(value, &Text, &key(path, name), faults));
        }
        (List(shape), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(item, shape, &below(path, Step::Index(index)), faults);
            }
        }
        (Fields(known), Value::Object(map)) => {
            for (name, value) in map {
                let path = key(path, name);
                match known.iter().find(|(known, _)| known == name) {
                    Some((_, shape)) => check(value, shape, &path, faults),
                    None => {
                        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                        let near = did_you_mean(name, names.iter().copied());
                        let hint = if near.is_empty() { format!("known here: {}", names.join(", ")) } else { near };
                        faults.push(Fault::error(&path, format!("{}: unknown field", path_text(&path)), hint));
                    }
                }
            }
        }
        (Texts | Fields(_), _) => wrong("a mapping", ""),
        (List(_), _) => wrong("a list", ""),
    }
}

/// A field that is null is a field that is not there.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), without_null(value)))
            .collect(),
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(without_null).collect(),
        other => other.clone(),
    }
}
