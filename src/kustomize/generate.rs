//! Makes ConfigMaps and Secrets, and the hash of their content that goes into their names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Files;
use super::spec::{Generator, GeneratorOptions};

/// The two kinds that are generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
}

/// Makes the object that a generator describes, without the hash in its name.
pub(super) fn generate(
    kind: Kind,
    generator: &Generator,
    options: &GeneratorOptions,
    files: Files<'_>,
) -> Result<Value, String> {
    if generator.name.is_empty() {
        return Err("a generator needs a name".to_owned());
    }
    let data = data(generator, files)?;
    let (kind_name, of_type) = match kind {
        Kind::ConfigMap => ("ConfigMap", None),
        Kind::Secret if generator.kind.is_empty() => ("Secret", Some("Opaque")),
        Kind::Secret => ("Secret", Some(generator.kind.as_str())),
    };
    let mut object = json!({"apiVersion": "v1", "kind": kind_name, "metadata": {"name": generator.name}});
    let metadata = &mut object["metadata"];
    if !generator.namespace.is_empty() {
        metadata["namespace"] = Value::from(generator.namespace.clone());
    }
    for (field, entries) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !entries.is_empty() {
            metadata[field] = json!(entries);
        }
    }
    if kind == Kind::Secret {
        object["data"] = json!({}); // a Secret has the field even when it is empty
    }
    for (key, content) in data {
        let (field, text) = match (kind, String::from_utf8(content)) {
            (Kind::ConfigMap, Ok(text)) => ("data", text),
            (Kind::ConfigMap, Err(bytes)) => ("binaryData", base64_lines(bytes.as_bytes())),
            (Kind::Secret, Ok(text)) => ("data", base64_lines(text.as_bytes())),
            (Kind::Secret, Err(bytes)) => ("data", base64_lines(bytes.as_bytes())),
        };
        object[field][key] = Value::from(text);
    }
    if let Some(of_type) = of_type {
        object["type"] = Value::from(of_type);
    }
    if options.immutable {
        object["immutable"] = Value::from(true);
    }
    Ok(object)
}

/// The entries: lines of env files, then literals, then files.
fn data(generator: &Generator, files: Files<'_>) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    let envs = generator.envs.iter().chain(Some(&generator.env).filter(|env| !env.is_empty()));
    for path in envs {
        let content = files(path).map_err(|error| format!("{path}: {error}"))?;
        pairs.extend(env_lines(&content).map_err(|error| format!("{path}: {error}"))?);
    }
    for literal in &generator.literals {
        let (key, value) = literal
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid literal source {literal}, expected key=value"))?;
        pairs.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
    }
    for source in &generator.files {
        let (key, path) = file_source(source)?;
        pairs.push((key.to_owned(), files(path).map_err(|error| format!("{path}: {error}"))?));
    }
    let mut data = BTreeMap::new();
    for (key, value) in pairs {
        check_key(&key)?;
        if data.insert(key.clone(), value).is_some() {
            return Err(format!("{} illegally repeats the key `{key}`", generator.name));
        }
    }
    Ok(data)
}

fn check_key(key: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if key.is_empty() || key.len() > 253 || !key.bytes().all(allowed) || key == "." || key.starts_with("..") {
        return Err(format!("{key:?} is not a valid key name: letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// `file` or `key=file`.
fn file_source(source: &str) -> Result<(&str, &str), String> {
    match source.split_once('=') {
        None => Ok((source.trim_end_matches('/').rsplit('/').next().unwrap_or(source), source)),
        Some(("", path)) => Err(format!("missing key name for file path {path:?} in source {source:?}")),
        Some((key, "")) => Err(format!("missing file path for key name {key:?} in source {source:?}")),
        Some((_, path)) if path.contains('=') => Err(format!("source {source:?} key name or file path contains '='")),
        Some(pair) => Ok(pair),
    }
}

fn env_lines(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut pairs = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        pairs.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    Ok(pairs)
}

/// base64 as kustomize writes it: long texts in lines of 70 characters, each with a line break.
fn base64_lines(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() < LINE {
        return encoded;
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    lines
}

/// The hash of a ConfigMap's or Secret's content, ten letters and digits that make no words.
pub(super) fn hash(object: &Value) -> String {
    let part = |value: Option<&Value>| value.cloned().unwrap_or_else(|| Value::from(""));
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut content = Map::new();
    content.insert("kind".to_owned(), Value::from(kind));
    content.insert("name".to_owned(), Value::from("")); // kustomize looks the name up in the wrong place
    content.insert("data".to_owned(), part(object.get("data")));
    let more = if kind == "Secret" {
        content.insert("type".to_owned(), part(object.get("type")));
        "stringData"
    } else {
        "binaryData"
    };
    if let Some(value) = object.get(more).filter(|value| value.is_object()) {
        content.insert(more.to_owned(), value.clone());
    }
    let digest = Sha256::digest(go_json(&Value::Object(content)));
    let hex = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect::<String>();
    let letter = |digit| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hex.chars().map(letter).collect()
}

/// JSON with the bytes of Go's encoder: sorted keys, and escapes where HTML would need them.
fn go_json(value: &Value) -> String {
    let plain = match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entries = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", go_json(&Value::from(key.clone())), go_json(value)));
            return format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
        }
        Value::Array(items) => {
            return format!("[{}]", items.iter().map(go_json).collect::<Vec<_>>().join(","));
        }
        other => other.to_string(),
    };
    let mut out = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => out.push(other),
        }
    }
    out
}
