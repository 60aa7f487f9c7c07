//! Visits and changes the fields that field specs name: labels, annotations, images.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::resources::{Resource, Selected};
use super::spec::Image;
use super::tables::{FIELDS, FieldSpec};

/// Whether fields that are missing on the way are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// No: the object does not have the field.
    Skip,
    /// As mappings, where the field spec says so.
    Mapping,
}

/// Calls `change` for every field that a spec names in an object of its kind.
pub(super) fn visit(
    object: &mut Value,
    spec: &FieldSpec,
    missing: Missing,
    change: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let path = split(&spec.path);
    let missing = if spec.create { missing } else { Missing::Skip };
    descend(object, &path, missing, change).map_err(|message| format!("field {}: {message}", spec.path))
}

/// The names of a path; a backslash keeps a slash inside a name.
fn split(path: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut joined = false;
    for part in path.split('/') {
        let (text, joins) = part.strip_suffix('\\').map_or((part, false), |part| (part, true));
        match names.last_mut().filter(|_| joined) {
            Some(name) => {
                name.push('/');
                name.push_str(text);
            }
            None => names.push(text.to_owned()),
        }
        joined = joins;
    }
    names
}

fn descend(
    value: &mut Value,
    path: &[String],
    missing: Missing,
    change: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some((name, rest)) = path.split_first() else { return change(value) };
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.iter_mut().try_for_each(|item| descend(item, path, missing, change)),
        Value::Object(map) => {
            let (name, is_list) = name.strip_suffix("[]").map_or((name.as_str(), false), |name| (name, true));
            if missing == Missing::Mapping && !is_list {
                let field = map.entry(name).or_insert(Value::Null);
                if field.is_null() {
                    *field = Value::Object(Map::new());
                }
            }
            map.get_mut(name).map_or(Ok(()), |field| descend(field, rest, missing, change))
        }
        _ => Err("a mapping or list is expected on the way".to_owned()),
    }
}

/// Writes texts into the mappings that the specs name.
pub(super) fn set_entries(
    resources: &mut [Resource],
    entries: &BTreeMap<String, String>,
    specs: &[&FieldSpec],
) -> Result<(), String> {
    if entries.is_empty() {
        return Ok(());
    }
    for resource in resources {
        for spec in specs {
            if !resource.gvk().is_selected(&spec.group, &spec.version, &spec.kind) {
                continue;
            }
            let changed = visit(&mut resource.value, spec, Missing::Mapping, &mut |field| {
                let Value::Object(map) = field else { return Err("is not a mapping".to_owned()) };
                for (key, text) in entries {
                    map.insert(key.clone(), Value::from(text.clone()));
                }
                Ok(())
            });
            changed.map_err(|message| format!("{}: {message}", resource.subject()))?;
        }
    }
    Ok(())
}

/// Gives the images of a name another name, tag or digest.
pub(super) fn set_image(resources: &mut [Resource], image: &Image) -> Result<(), String> {
    let pattern = format!(r"^(?:{})(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let pattern = Regex::new(&pattern).map_err(|error| format!("name {:?}: {error}", image.name))?;
    for resource in resources.iter_mut().filter(|resource| resource.gvk().kind != "CustomResourceDefinition") {
        let mut rename = |field: &mut Value| {
            let Value::String(text) = field else { return Err("an image is not a text".to_owned()) };
            if pattern.is_match(text) {
                *text = renamed(text, image);
            }
            Ok(())
        };
        let mut changed = containers(&mut resource.value, &mut rename);
        for spec in &FIELDS.images {
            changed = changed.and_then(|()| visit(&mut resource.value, spec, Missing::Skip, &mut rename));
        }
        changed.map_err(|message| format!("{}: {message}", resource.subject()))?;
    }
    Ok(())
}

/// The images of everything called `containers` or `initContainers`, however deep.
fn containers(value: &mut Value, change: &mut dyn FnMut(&mut Value) -> Result<(), String>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| containers(item, change)),
        Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| {
            containers(value, change)?;
            let Value::Array(items) = value else { return Ok(()) };
            if key != "containers" && key != "initContainers" {
                return Ok(());
            }
            items
                .iter_mut()
                .filter_map(|item| item.get_mut("image"))
                .filter(|image| !image.is_null())
                .try_for_each(&mut *change)
        }),
        _ => Ok(()),
    }
}

fn renamed(text: &str, image: &Image) -> String {
    let (mut name, mut tag, mut digest) = parts(text);
    if !image.new_name.is_empty() {
        name = &image.new_name;
    }
    let suffixed;
    match (image.new_tag.is_empty(), image.digest.is_empty()) {
        (false, _) => (tag, digest) = (image.new_tag.as_str(), image.digest.as_str()),
        (true, false) => (tag, digest) = ("", image.digest.as_str()),
        (true, true) if !image.tag_suffix.is_empty() => {
            suffixed = format!("{tag}{}", image.tag_suffix);
            (tag, digest) = (suffixed.as_str(), "");
        }
        (true, true) => {}
    }
    let mut renamed = name.to_owned();
    for (mark, part) in [(':', tag), ('@', digest)] {
        if !part.is_empty() {
            renamed.push(mark);
            renamed.push_str(part);
        }
    }
    renamed
}

/// Name, tag and digest. A colon before the first slash belongs to a host.
fn parts(text: &str) -> (&str, &str, &str) {
    let host = text.find('/').unwrap_or(0);
    let (rest, digest) = match text[host..].find('@') {
        Some(at) => (&text[..host + at], &text[host + at + 1..]),
        None => (text, ""),
    };
    match rest[host..].find(':') {
        Some(at) => (&rest[..host + at], &rest[host + at + 1..], digest),
        None => (rest, "", digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_keeps_a_slash_in_a_name() {
        assert_eq!(split(r"metadata/annotations/a\/b\/c/d"), ["metadata", "annotations", "a/b/c", "d"]);
    }

    #[test]
    fn images_are_taken_apart_at_tag_and_digest() {
        assert_eq!(parts("r:5000/x/y:1@sha256:2"), ("r:5000/x/y", "1", "sha256:2"));
        assert_eq!(parts("r:5000/x"), ("r:5000/x", "", ""));
        assert_eq!(parts("x@sha256:2"), ("x", "", "sha256:2"));
        assert_eq!(parts("x:1"), ("x", "1", ""));
    }
}
