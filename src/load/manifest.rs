//! One object as Git has it: put right, with its place, and what its annotations say about its treatment.

use std::sync::Arc;

use serde_json::Value;

use super::fields::{Fault, key, path_text, what};
use super::policy::{DRIFT_WORDS, Drift, PRUNE_WORDS, Prune};
use super::select::{Pattern, pattern};
use super::tidy::{Lenient, tidy};
use crate::object::Gvk;
use crate::unit::{Origin, Problem};
use crate::yaml::Step;

/// Annotations of the older spellings.
const NAMESPACES: &str = "namespaces.ns-exporter.io";
const ALLOW_DELETE: &str = "allow-delete.ns-exporter.io";

/// Annotations that say how one object is treated, whatever the folder says.
const DRIFT: &str = "bowline.dev/drift";
const PRUNE: &str = "bowline.dev/prune";
const ADOPT: &str = "bowline.dev/adopt";
const IGNORE: &str = "bowline.dev/ignore";
const FORCE: &str = "bowline.dev/force";
const RECREATE: &str = "bowline.dev/recreate";
const OURS: [&str; 6] = [DRIFT, PRUNE, ADOPT, IGNORE, FORCE, RECREATE];
const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];

/// One object as Git has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Where it is written.
    pub origin: Origin,
    /// The object, put right by [`tidy`].
    pub value: Arc<Value>,
    /// The object as written, for patches; the same as `value` when nothing had to be put right.
    pub written: Arc<Value>,
    /// Group, version and kind.
    pub gvk: Gvk,
    /// `metadata.name`; empty when there is a problem with it.
    pub name: String,
    /// `metadata.namespace` as written; empty when absent.
    pub namespace: String,
    /// What is wrong with the object; with a problem it is left out, others go on.
    pub problems: Vec<Problem>,
    /// What is worth a word.
    pub warnings: Vec<Problem>,
    /// How this one object is treated.
    pub overrides: Overrides,
    /// Namespaces that the annotation of the older spellings names.
    pub namespaces: Option<Vec<Pattern>>,
    /// What the annotation of the older spellings allows.
    pub allow_delete: Option<bool>,
}

/// What an object's own annotations say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    /// `bowline.dev/drift`
    pub drift: Option<Drift>,
    /// `bowline.dev/prune`
    pub prune: Option<Prune>,
    /// `bowline.dev/adopt`
    pub adopt: Option<bool>,
    /// `bowline.dev/ignore`
    pub ignore: Option<Vec<String>>,
    /// `bowline.dev/force`
    pub force: Option<bool>,
    /// `bowline.dev/recreate`
    pub recreate: Option<bool>,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A plain manifest or part of a TemplateList.
    Ours,
    /// Part of one of the older spellings: slips that have one meaning are put right.
    Older,
}

impl Manifest {
    /// Makes a manifest of a value; also returns faults, relative to the value, that still need their place.
    pub(super) fn read(mut value: Value, spelling: Spelling) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let namespaces = take_annotation(&mut value, NAMESPACES).and_then(|value| names(&value, &mut faults));
        let allow_delete = take_annotation(&mut value, ALLOW_DELETE).and_then(|value| allow(&value, &mut faults));
        if spelling == Spelling::Older {
            missing_version(&mut value, &mut faults);
        }
        let gvk = Gvk::new(&text(&value, "/apiVersion", &mut faults), &text(&value, "/kind", &mut faults));
        let name = name(&value, &mut faults);
        let namespace = match value.pointer("/metadata/namespace") {
            None | Some(Value::Null) => String::new(),
            Some(_) => text(&value, "/metadata/namespace", &mut faults),
        };
        let lenient = if spelling == Spelling::Older { Lenient::Secrets } else { Lenient::No };
        let written = Arc::new(value.clone());
        faults.extend(tidy(&mut value, lenient));
        let value = if *written == value { written.clone() } else { Arc::new(value) };
        let overrides = Overrides::read(&value, &mut faults);
        let manifest = Manifest {
            origin: Origin::default(),
            value,
            written,
            gvk,
            name,
            namespace,
            problems: Vec::new(),
            warnings: Vec::new(),
            overrides,
            namespaces,
            allow_delete,
        };
        (manifest, faults)
    }

    /// A manifest of an object that was made of others; everything wrong with it is said at one place.
    pub fn made(value: Value, origin: Origin) -> Self {
        let (mut manifest, faults) = Manifest::read(value, Spelling::Ours);
        for fault in faults {
            let message = format!("{}: {}", manifest.subject(), fault.message);
            let problem = Problem::new(origin.clone(), message).with_hint(fault.hint);
            if fault.warning { manifest.warnings.push(problem) } else { manifest.problems.push(problem) }
        }
        manifest.origin = origin;
        manifest
    }

    /// What messages call it: `Deployment/dev/web`.
    pub fn subject(&self) -> String {
        let name = if self.name.is_empty() { "?" } else { &self.name };
        if self.namespace.is_empty() {
            format!("{}/{name}", self.gvk.kind)
        } else {
            format!("{}/{}/{name}", self.gvk.kind, self.namespace)
        }
    }
}

fn steps(pointer: &str) -> Vec<Step> {
    pointer.split('/').skip(1).map(|name| Step::Key(name.to_owned())).collect()
}

/// A text that must be there.
fn text(value: &Value, pointer: &str, faults: &mut Vec<Fault>) -> String {
    let path = steps(pointer);
    match value.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => return text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => {
            let message = format!("{}: expected a text, this is {}", path_text(&path), what(value));
            faults.push(Fault::error(&path, message, "put it in quotes"));
        }
        Some(other) if !other.is_null() && !other.is_string() => {
            let message = format!("{}: expected a text, this is {}", path_text(&path), what(other));
            faults.push(Fault::error(&path, message, ""));
        }
        _ => faults.push(Fault::error(&path, format!("{}: is missing", path_text(&path)), "")),
    }
    String::new()
}

fn name(value: &Value, faults: &mut Vec<Fault>) -> String {
    let generated = value.pointer("/metadata/generateName").is_some_and(|name| !name.is_null());
    let named = value.pointer("/metadata/name").is_some_and(|name| !name.is_null());
    if generated && !named {
        let message = "metadata.generateName: an object of a repository needs a name of its own";
        let hint = "write metadata.name: what is applied twice must be the same object";
        faults.push(Fault::error(&steps("/metadata/generateName"), message, hint));
        return String::new();
    }
    text(value, "/metadata/name", faults)
}

/// An empty `apiVersion` of a kind that every cluster has means that version.
fn missing_version(value: &mut Value, faults: &mut Vec<Fault>) {
    if value.get("apiVersion").is_some_and(|version| !version.is_null()) {
        return;
    }
    let Some(kind) = value.get("kind").and_then(Value::as_str) else { return };
    let Some(version) = super::kinds::api_version(kind) else { return };
    let path = [Step::Key("apiVersion".to_owned())];
    faults.push(Fault::warning(&path, format!("apiVersion: is empty; taken as {version}"), format!("write {version}")));
    if let Some(root) = value.as_object_mut() {
        root.insert("apiVersion".to_owned(), Value::String(version.to_owned()));
    }
}

fn take_annotation(value: &mut Value, name: &str) -> Option<Value> {
    let annotations = value.pointer_mut("/metadata/annotations")?.as_object_mut()?;
    let taken = annotations.remove(name)?;
    if annotations.is_empty()
        && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("annotations");
    }
    Some(taken)
}

fn annotation_path(name: &str) -> Vec<Step> {
    key(&[Step::Key("metadata".to_owned()), Step::Key("annotations".to_owned())], name)
}

/// Reads a list that is a real list, a JSON list in a text, or texts with commas between them.
fn texts(value: &Value) -> Option<Vec<String>> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        Value::String(text) => match serde_json::from_str(text.trim()) {
            Ok(Value::Array(items)) => items.iter().map(scalar).collect(),
            _ => {
                let inner = text.trim();
                // A list in brackets that is not JSON: `[dev-.*, alice]`.
                let inner = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(inner);
                Some(inner.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
        },
        other => scalar(other).map(|text| vec![text]),
    }
}

/// Takes quotes off that stand around or on one side of a text.
fn unquoted<'a>(text: &'a str, annotation: &str, path: &[Step], faults: &mut Vec<Fault>) -> &'a str {
    let bare = text.trim_matches(['"', '\'']);
    if bare.len() != text.len() {
        let message = format!("{annotation}: stray quote in `{text}`; taken as `{bare}`");
        faults.push(Fault::warning(path, message, "quote both sides or none"));
    }
    bare
}

fn names(value: &Value, faults: &mut Vec<Fault>) -> Option<Vec<Pattern>> {
    let path = annotation_path(NAMESPACES);
    let Some(texts) = texts(value) else {
        faults.push(Fault::error(&path, format!("{NAMESPACES}: expected a list of names or regular expressions"), ""));
        return None;
    };
    let mut patterns = Vec::with_capacity(texts.len());
    for text in &texts {
        let bare = unquoted(text, NAMESPACES, &path, faults);
        patterns.extend(pattern(bare, &path, faults));
    }
    Some(patterns)
}

fn allow(value: &Value, faults: &mut Vec<Fault>) -> Option<bool> {
    let path = annotation_path(ALLOW_DELETE);
    let texts = texts(value).unwrap_or_default();
    let mut words: Vec<&str> = texts.iter().map(|text| unquoted(text, ALLOW_DELETE, &path, faults)).collect();
    words.dedup();
    match words.as_slice() {
        ["true"] => Some(true),
        ["false"] => Some(false),
        // The note that proposed the annotation writes the choice itself: `[true|false]`.
        ["true|false" | "false|true"] | ["true", "false"] | ["false", "true"] => {
            let message = format!("{ALLOW_DELETE}: does not choose between true and false; taken as false");
            faults.push(Fault::warning(&path, message, "write one of the two"));
            Some(false)
        }
        _ => {
            let message = format!("{ALLOW_DELETE}: expected true or false");
            faults.push(Fault::error(&path, message, ""));
            None
        }
    }
}

impl Overrides {
    fn read(value: &Value, faults: &mut Vec<Fault>) -> Self {
        let Some(annotations) = value.pointer("/metadata/annotations").and_then(Value::as_object) else {
            return Overrides::default();
        };
        for name in annotations.keys().filter(|name| name.starts_with("bowline.dev/") && !OURS.contains(&name.as_str()))
        {
            let hint = super::fields::did_you_mean(name, OURS);
            let hint = if hint.is_empty() { format!("known: {}", OURS.join(", ")) } else { hint };
            faults.push(Fault::error(&annotation_path(name), format!("{name}: unknown annotation"), hint));
        }
        let text = |name: &str| annotations.get(name).and_then(Value::as_str);
        Overrides {
            drift: text(DRIFT).and_then(|text| word(DRIFT, text, &DRIFT_WORDS, faults)),
            prune: text(PRUNE).and_then(|text| word(PRUNE, text, &PRUNE_WORDS, faults)),
            adopt: text(ADOPT).and_then(|text| word(ADOPT, text, &FLAGS, faults)),
            ignore: text(IGNORE).map(|text| {
                let path = annotation_path(IGNORE);
                let pointers = texts(&Value::String(text.to_owned())).unwrap_or_default();
                pointers.iter().filter_map(|text| pointer(text, IGNORE, &path, faults)).collect()
            }),
            force: text(FORCE).and_then(|text| word(FORCE, text, &FLAGS, faults)),
            recreate: text(RECREATE).and_then(|text| word(RECREATE, text, &FLAGS, faults)),
        }
    }
}

fn word<T: Copy>(name: &str, text: &str, words: &[(&str, T)], faults: &mut Vec<Fault>) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("{name}: `{text}` is none of {}", all.join(", "));
        faults.push(Fault::error(&annotation_path(name), message, super::fields::did_you_mean(text, all)));
    }
    found
}

/// Checks that a text is a JSON pointer.
pub(super) fn pointer(text: &str, name: &str, path: &[Step], faults: &mut Vec<Fault>) -> Option<String> {
    if text.starts_with('/') && text.len() > 1 {
        return Some(text.to_owned());
    }
    let message = format!("{name}: `{text}` is no path to a field");
    let hint = format!("write it with slashes: `/{}`", text.trim_start_matches('.').replace('.', "/"));
    faults.push(Fault::error(path, message, hint));
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn older(annotations: &Value) -> (Manifest, Vec<String>) {
        let value =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": annotations}});
        let (manifest, faults) = Manifest::read(value, Spelling::Older);
        (
            manifest,
            faults
                .into_iter()
                .map(|fault| format!("{}{}", if fault.warning { "w " } else { "" }, fault.message))
                .collect(),
        )
    }

    fn matched(manifest: &Manifest) -> Vec<&'static str> {
        let patterns = manifest.namespaces.as_deref().unwrap_or_default();
        ["dev-a", "alice", "bob", "bigdata-x"]
            .into_iter()
            .filter(|name| patterns.iter().any(|pattern| pattern.matches(name, false)))
            .collect()
    }

    #[test]
    fn the_annotation_of_the_older_spellings_is_read_in_every_form() {
        for list in [
            json!(["bigdata-.*", "alice\"", "bob"]),
            json!("[\"bigdata-.*\", \"alice\", \"bob\"]"),
            json!("bigdata-.*, alice,bob"),
            json!("[bigdata-.*, alice, 'bob']"),
        ] {
            let (manifest, faults) = older(&json!({"namespaces.ns-exporter.io": list}));
            assert_eq!(matched(&manifest), ["alice", "bob", "bigdata-x"], "{list}");
            assert!(
                faults.iter().all(|fault| fault.starts_with("w namespaces.ns-exporter.io: stray quote in")),
                "{faults:?}"
            );
            assert_eq!(manifest.value.pointer("/metadata/annotations"), None);
        }
    }

    #[test]
    fn allow_delete_is_read_in_every_form() {
        for (written, allowed) in [
            (json!(true), true),
            (json!("true"), true),
            (json!([true]), true),
            (json!("[true]"), true),
            (json!(["false"]), false),
        ] {
            let (manifest, faults) = older(&json!({"allow-delete.ns-exporter.io": written}));
            assert_eq!((manifest.allow_delete, faults), (Some(allowed), vec![]), "{written}");
        }
        let (manifest, faults) = older(&json!({"allow-delete.ns-exporter.io": ["true|false"]}));
        assert_eq!(manifest.allow_delete, Some(false));
        assert_eq!(faults, ["w allow-delete.ns-exporter.io: does not choose between true and false; taken as false"]);
        let (manifest, faults) = older(&json!({"allow-delete.ns-exporter.io": "maybe"}));
        assert_eq!((manifest.allow_delete, faults.len()), (None, 1));
    }

    #[test]
    fn our_annotations_are_checked() {
        let (manifest, faults) = older(&json!({
            "bowline.dev/drift": "report", "bowline.dev/prune": "kep", "bowline.dev/adopt": "true",
            "bowline.dev/ignore": "/spec/replicas, .spec.paused", "bowline.dev/drfit": "x",
        }));
        assert_eq!(manifest.overrides.drift, Some(Drift::Report));
        assert_eq!(manifest.overrides.adopt, Some(true));
        assert_eq!(manifest.overrides.ignore, Some(vec!["/spec/replicas".to_owned()]));
        assert_eq!(
            faults,
            [
                "bowline.dev/drfit: unknown annotation",
                "bowline.dev/prune: `kep` is none of delete, keep",
                "bowline.dev/ignore: `.spec.paused` is no path to a field",
            ]
        );
    }

    #[test]
    fn an_object_needs_a_name() {
        let (_, faults) = Manifest::read(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}),
            Spelling::Ours,
        );
        assert_eq!(faults[0].message, "metadata.generateName: an object of a repository needs a name of its own");
        let (_, faults) =
            Manifest::read(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 7}}), Spelling::Ours);
        assert_eq!(faults[0].message, "metadata.name: expected a text, this is a number");
    }
}
