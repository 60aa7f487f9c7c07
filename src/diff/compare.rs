//! Finds the fields in which two states of an object differ.

use super::fields::Author;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One field that differs; paths are JSON pointers. Secrets are masked before they come here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// JSON pointer.
    pub path: String,
    /// Value before; absent when the field is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Value after; absent when the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Who wrote the value before, when that was not us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Author>,
}

/// Metadata that the server keeps and that says nothing about what anybody wants.
const SERVER_METADATA: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionGracePeriodSeconds",
];

/// An object without status and without the metadata that the server keeps: what a person compares.
pub fn essence(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(root) = object.as_object_mut() {
        root.remove("status");
        if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in SERVER_METADATA {
                metadata.remove(field);
            }
        }
    }
    object
}

/// Lists the fields in which `after` differs from `before`, in order of path.
///
/// Lists of mappings of equal length are compared item by item; other lists as a whole.
pub fn compare(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(&mut String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => walk_maps(path, before, after, changes),
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if before.len() == after.len() && before.iter().chain(after).all(Value::is_object) =>
        {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                step(path, &index.to_string(), Some(before), Some(after), changes);
            }
        }
        (before, after) if before == after => {}
        (before, after) => {
            changes.push(FieldChange { path: path.clone(), before: before.cloned(), after: after.cloned(), by: None });
        }
    }
}

fn walk_maps(
    path: &mut String,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        step(path, &key.replace('~', "~0").replace('/', "~1"), before.get(key), after.get(key), changes);
    }
}

fn step(path: &mut String, key: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    let length = path.len();
    path.push('/');
    path.push_str(key);
    walk(path, before, after, changes);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_named_by_pointer_with_old_and_new_value() {
        let before = json!({"spec": {"replicas": 1, "gone": true, "list": [{"name": "a", "image": "x"}]}});
        let after = json!({"spec": {"replicas": 2, "a/b": 1, "list": [{"name": "a", "image": "y"}]}});
        let changes = compare(&before, &after);
        let lines: Vec<String> = changes
            .iter()
            .map(|change| {
                format!(
                    "{} {:?} {:?}",
                    change.path,
                    change.before.as_ref().map(Value::to_string),
                    change.after.as_ref().map(Value::to_string)
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"/spec/a~1b None Some("1")"#,
                r#"/spec/gone Some("true") None"#,
                r#"/spec/list/0/image Some("\"x\"") Some("\"y\"")"#,
                r#"/spec/replicas Some("1") Some("2")"#,
            ]
        );
    }

    #[test]
    fn status_and_server_metadata_do_not_count() {
        let before = json!({"metadata": {"name": "a", "uid": "1", "resourceVersion": "1"}, "status": {"x": 1}});
        let after = json!({"metadata": {"name": "a", "uid": "2", "generation": 1}});
        assert_eq!(compare(&essence(&before), &essence(&after)), []);
    }
}
