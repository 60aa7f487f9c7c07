//! JSON patches (RFC 6902) and merge patches (RFC 7386) as kubectl, the API server and kustomize apply them.
//!
//! The library they share departs from the RFCs, and patches rely on it: `replace` of a missing key adds it, `add`
//! without a value adds null, a negative index counts from the end, `test` of a missing key against null passes.

use serde_json::{Map, Value};

/// Most bytes that `copy` may add to one document.
const MAX_COPIED: usize = 16 << 20;

/// Applies the operations of a JSON patch; all of them, or none when one fails.
///
/// # Errors
/// The first operation that does not apply.
///
/// ```
/// use bowline::kustomize::json_patch;
/// let patch = serde_json::json!([{"op": "add", "path": "/list/-", "value": 3}]);
/// let patched = json_patch(&serde_json::json!({"list": [1, 2]}), &patch).unwrap();
/// assert_eq!(patched, serde_json::json!({"list": [1, 2, 3]}));
/// ```
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, String> {
    let Value::Array(operations) = patch else { return Err("a JSON patch is a list of operations".to_owned()) };
    let mut document = document.clone();
    let mut copied = 0;
    for (at, operation) in operations.iter().enumerate() {
        apply(&mut document, operation, &mut copied)
            .map_err(|message| format!("operation {} of the patch: {message}", at + 1))?;
    }
    Ok(document)
}

fn apply(document: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), String> {
    let text = |key: &str| {
        operation.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing or not a text"))
    };
    let value = operation.get("value");
    match text("op")? {
        "add" => add(document, text("path")?, value.cloned().unwrap_or_default()),
        "remove" => remove(document, text("path")?).map(|_| ()),
        "replace" => replace(document, text("path")?, value),
        "move" => {
            let path = text("path")?;
            let moved = remove(document, text("from")?)?;
            add(document, path, moved)
        }
        "copy" => {
            let path = text("path")?;
            let value = get(document, text("from")?)?.cloned().unwrap_or_default();
            *copied += size_of(&value);
            if *copied > MAX_COPIED {
                return Err(format!("copies add more than {MAX_COPIED} bytes"));
            }
            add(document, path, value)
        }
        "test" => {
            let path = text("path")?;
            let found = if path.is_empty() { Some(&*document) } else { get(document, path)? };
            if found.unwrap_or(&Value::Null) == value.unwrap_or(&Value::Null) {
                return Ok(());
            }
            Err(format!("test of {path} fails"))
        }
        other => Err(format!("unknown operation {other:?}")),
    }
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size_of).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + size_of(value) + 4).sum::<usize>() + 2,
        _ => 8,
    }
}

/// The names of a path, decoded. What stands before the first slash is not looked at.
fn names(path: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = path.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    if names.is_empty() { Err(format!("path {path:?} leads nowhere")) } else { Ok(names) }
}

/// What holds the last name of a path, and that name.
fn holder<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let mut names = names(path)?;
    let last = names.pop().unwrap_or_default();
    let mut holder = document;
    for name in &names {
        let next = match holder {
            Value::Object(map) => map.get_mut(name),
            Value::Array(items) => index(items.len(), name).ok().and_then(|at| items.get_mut(at)),
            _ => None,
        };
        holder = next.ok_or_else(|| format!("{path} does not exist"))?;
    }
    if holder.is_object() || holder.is_array() { Ok((holder, last)) } else { Err(format!("{path} does not exist")) }
}

/// The place that a text names in a list of this length; negative numbers count from the end.
fn index(length: usize, text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is not an index of a list with {length} items");
    let number: i64 = text.parse().map_err(|_| wrong())?;
    let length = i64::try_from(length).map_err(|_| wrong())?;
    let number = if number < 0 { number + length } else { number };
    if (0..length).contains(&number) { usize::try_from(number).map_err(|_| wrong()) } else { Err(wrong()) }
}

fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, String> {
    let (holder, name) = holder(document, path)?;
    match holder {
        Value::Array(items) => index(items.len(), &name).map(|at| items.get(at)),
        holder => Ok(holder.get(&name)),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (holder, name) = holder(document, path)?;
    match holder {
        Value::Array(items) if name == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(items.len() + 1, &name)?;
            items.insert(at, value);
        }
        Value::Object(map) => {
            map.insert(name, value);
        }
        _ => return Err(format!("{path} does not exist")),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let (holder, name) = holder(document, path)?;
    match holder {
        Value::Array(items) => {
            let at = index(items.len(), &name)?;
            Ok(items.remove(at))
        }
        Value::Object(map) => map.remove(&name).ok_or_else(|| format!("{path} does not exist")),
        _ => Err(format!("{path} does not exist")),
    }
}

fn replace(document: &mut Value, path: &str, value: Option<&Value>) -> Result<(), String> {
    let value = value.cloned().unwrap_or_default();
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("the whole document can only become a mapping or a list".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let (holder, name) = holder(document, path)?;
    match holder {
        Value::Array(items) => {
            let at = index(items.len(), &name)?;
            items[at] = value;
        }
        Value::Object(map) => {
            map.insert(name, value);
        }
        _ => return Err(format!("{path} does not exist")),
    }
    Ok(())
}

/// Applies a merge patch: mappings are merged, a null takes a key away, everything else replaces.
///
/// # Errors
/// The patch is a scalar.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, String> {
    match (document, patch) {
        (Value::Object(document), Value::Object(patch)) => {
            let mut merged = document.clone();
            merge(&mut merged, patch);
            Ok(Value::Object(merged))
        }
        (_, Value::Object(_) | Value::Array(_)) => Ok(without_nulls(patch)),
        _ => Err("a merge patch is a mapping or a list".to_owned()),
    }
}

fn merge(document: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match (document.get_mut(key), value) {
            (_, Value::Null) => {
                document.remove(key);
            }
            (Some(Value::Object(known)), Value::Object(patch)) => merge(known, patch),
            // What replaces a mapping is taken as it is, everything else loses its nulls.
            (Some(known @ Value::Object(_)), value) => *known = value.clone(),
            (_, value) => {
                document.insert(key.clone(), without_nulls(value));
            }
        }
    }
}

/// Nulls in mappings go, nulls that are items of lists stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
