//! Addresses fields in the two syntaxes of server-side apply: managed-fields paths in conflicts, and `fieldsV1` trees.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Removes the field that a conflict names, such as `.spec.template.spec.containers[name="c1"].image`; says whether it was
/// there. Whole list elements can be named too.
pub fn remove_conflicting(object: &mut Value, path: &str) -> bool {
    let Some(steps) = parse(path) else { return false };
    remove(object, &steps)
}

/// Removes what a JSON pointer names; says whether it was there.
pub fn remove_pointer(object: &mut Value, pointer: &str) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    match object.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&unescape(last)).is_some(),
        Some(Value::Array(list)) => match last.parse::<usize>() {
            Ok(index) if index < list.len() => {
                list.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Sets what a JSON pointer names to a value; the parent must exist.
pub fn set_pointer(object: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = object.pointer_mut(pointer) {
        *place = value;
    } else if let Some((parent, last)) = pointer.rsplit_once('/')
        && let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        map.insert(unescape(last), value);
    }
}

/// Who wrote a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Field manager, such as `kubectl-edit`.
    pub manager: String,
    /// RFC 3339, to the second; empty when the server did not note it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time: String,
}

impl std::fmt::Display for Author {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Author { manager, time } = self;
        if time.is_empty() { write!(out, "{manager}") } else { write!(out, "{manager} at {time}") }
    }
}

/// One object laid over another: what both have comes from above, lists as a whole.
pub fn overlaid(below: &Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            let mut both = below.clone();
            for (key, value) in above {
                let laid = below.get(key).map_or_else(|| value.clone(), |known| overlaid(known, value));
                both.insert(key.clone(), laid);
            }
            Value::Object(both)
        }
        (_, above) => above.clone(),
    }
}

/// The fields that a manager holds by apply, as `fieldsV1`; `None` when it has no claim on the object.
pub fn applied<'a>(live: &'a Value, manager: &str) -> Option<&'a Value> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let entry = entries.into_iter().flatten().find(|entry| {
        entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
            && entry.get("subresource").is_none()
    });
    entry?.get("fieldsV1")
}

/// Whether a manager's apply entry owns the field that a JSON pointer names in the live object.
pub fn owns(live: &Value, manager: &str, pointer: &str) -> bool {
    applied(live, manager).is_some_and(|fields| covers(fields, live, pointer))
}

/// Who wrote a field last: a manager of the object that is not `own`, and when. `None` when nobody claims it, as after a
/// removal.
pub fn author(live: &Value, own: &str, pointer: &str) -> Option<Author> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let others = entries.into_iter().flatten().filter(|entry| {
        let is_own = text(entry, "manager") == own && text(entry, "operation") == "Apply";
        !is_own && entry.get("fieldsV1").is_some_and(|fields| covers(fields, live, pointer))
    });
    let latest = others.max_by_key(|entry| text(entry, "time"))?;
    Some(Author { manager: text(latest, "manager"), time: text(latest, "time") })
}

/// Whether a `fieldsV1` tree holds the field that a JSON pointer names in the live object.
fn covers(mut fields: &Value, live: &Value, pointer: &str) -> bool {
    let mut value = live;
    for step in pointer.split('/').skip(1).map(unescape) {
        let Some(map) = fields.as_object() else { return false };
        let next = match value {
            Value::Array(list) => {
                let Some(item) = step.parse::<usize>().ok().and_then(|index| list.get(index)) else { return false };
                value = item;
                map.iter().find(|(key, _)| names_item(key, item)).map(|(_, below)| below)
            }
            _ => {
                value = value.get(&step).unwrap_or(&Value::Null);
                map.get(&format!("f:{step}"))
            }
        };
        match next {
            Some(below) => fields = below,
            // An atomic map or list is owned as a whole by an empty entry above.
            None => return map.is_empty(),
        }
    }
    true
}

/// Whether a `fieldsV1` key such as `k:{"name":"a"}` or `v:"x"` names this list item.
fn names_item(key: &str, item: &Value) -> bool {
    if let Some(keys) = key.strip_prefix("k:") {
        let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
        return !keys.is_empty() && keys.iter().all(|(key, value)| item.get(key) == Some(value));
    }
    key.strip_prefix("v:").is_some_and(|value| serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item))
}

enum Step {
    Field(String),
    /// Item of an associative list, by its keys.
    Item(Map<String, Value>),
    /// Item of a set, by its value.
    Value(Value),
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Field(after[..end].to_owned()));
            rest = &after[end..];
        } else {
            let after = rest.strip_prefix('[')?;
            let end = closing(after)?;
            let inside = &after[..end];
            steps.push(match inside.strip_prefix('=') {
                Some(value) => Step::Value(serde_json::from_str(value).ok()?),
                None => Step::Item(keys(inside)?),
            });
            rest = &after[end + 1..];
        }
    }
    Some(steps)
}

/// The place of the bracket that closes, quotes respected.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (place, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(place),
            _ => {}
        }
    }
    None
}

/// Reads `containerPort=80,protocol="TCP"`.
fn keys(text: &str) -> Option<Map<String, Value>> {
    let mut keys = Map::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        keys.insert(key.to_owned(), values.next()?.ok()?);
        rest = after[values.byte_offset()..].trim_start_matches(',');
    }
    Some(keys)
}

fn remove(value: &mut Value, steps: &[Step]) -> bool {
    let Some((step, below)) = steps.split_first() else { return false };
    match (step, value) {
        (Step::Field(field), Value::Object(map)) if below.is_empty() => map.remove(field).is_some(),
        (Step::Field(field), Value::Object(map)) => map.get_mut(field).is_some_and(|value| remove(value, below)),
        (step, Value::Array(list)) => {
            let place = list.iter().position(|item| match step {
                Step::Item(keys) => keys.iter().all(|(key, value)| item.get(key) == Some(value)),
                Step::Value(value) => item == value,
                Step::Field(_) => false,
            });
            match place {
                Some(place) if below.is_empty() => {
                    list.remove(place);
                    true
                }
                Some(place) => remove(&mut list[place], below),
                None => false,
            }
        }
        _ => false,
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conflict_paths_find_fields_in_maps_and_lists() {
        let mut object = json!({"spec": {"replicas": 1, "containers": [
            {"name": "a.b", "image": "x", "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}]}]}});
        assert!(remove_conflicting(&mut object, ".spec.replicas"));
        assert!(remove_conflicting(
            &mut object,
            ".spec.containers[name=\"a.b\"].ports[containerPort=80,protocol=\"TCP\"].name"
        ));
        assert!(!remove_conflicting(&mut object, ".spec.containers[name=\"c\"].image"));
        assert_eq!(
            object,
            json!({"spec": {"containers": [{"name": "a.b", "image": "x", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}})
        );
    }

    #[test]
    fn ownership_is_read_from_the_apply_entry() {
        let live = json!({
            "metadata": {"managedFields": [
                {"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {},
                    "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:command": {}}}}}},
                {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:paused": {}}}}]},
            "spec": {"replicas": 1, "paused": true, "containers": [{"name": "a", "command": ["x"]}]},
        });
        assert!(owns(&live, "m", "/spec/replicas"));
        assert!(!owns(&live, "m", "/spec/paused"));
        assert!(owns(&live, "m", "/spec/containers/0/command"));
        assert!(owns(&live, "m", "/spec/containers/0/command/0"), "an atomic list is owned as a whole");
        assert!(!owns(&live, "other", "/spec/replicas"));
    }
}
