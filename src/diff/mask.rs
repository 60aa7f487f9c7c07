//! Hides what is secret before anybody reads it.
//!
//! Values of Secrets (`data`, `stringData`) and of the last-applied annotation never leave in clear. A mask says whether a
//! value changed, and nothing more: equal masks mean equal values within one pair only.

use serde_json::Value;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Masks the secret values of two states of one object, in place. Values that differ between the two are marked
/// `*** (before)` and `*** (after)`, all others `***`.
pub fn mask_pair(before: Option<&mut Value>, after: Option<&mut Value>) {
    match (before, after) {
        (Some(before), Some(after)) => {
            for place in places(before).into_iter().chain(places(after)).collect::<std::collections::BTreeSet<_>>() {
                let changed = at(before, &place) != at(after, &place);
                cover(before, &place, if changed { "*** (before)" } else { "***" });
                cover(after, &place, if changed { "*** (after)" } else { "***" });
            }
        }
        (Some(only), None) | (None, Some(only)) => mask(only),
        (None, None) => {}
    }
}

/// Masks the secret values of one object, in place.
pub fn mask(object: &mut Value) {
    for place in places(object) {
        cover(object, &place, "***");
    }
}

/// Whether messages about objects of this kind may quote values.
pub fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// Where secret values stand: a map and a key in it.
fn places(object: &Value) -> Vec<(Vec<&'static str>, String)> {
    let mut places = Vec::new();
    if is_secret(object) {
        for map in ["data", "stringData"] {
            let keys = object.get(map).and_then(Value::as_object).into_iter().flat_map(|entries| entries.keys());
            places.extend(keys.map(|key| (vec![map], key.clone())));
        }
    }
    if object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(LAST_APPLIED)).is_some() {
        places.push((vec!["metadata", "annotations"], LAST_APPLIED.to_owned()));
    }
    places
}

fn at<'a>(object: &'a Value, (path, key): &(Vec<&'static str>, String)) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| value.get(step))?.get(key)
}

fn cover(object: &mut Value, (path, key): &(Vec<&'static str>, String), mask: &str) {
    let map = path.iter().try_fold(object, |value, step| value.get_mut(step));
    if let Some(value) = map.and_then(|map| map.get_mut(key)) {
        *value = Value::String(mask.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_masks_and_changed_ones_say_so() {
        let secret =
            |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
        let mut before = secret(json!({"a": "Y2FuYXJ5", "b": "Y2FuYXJ5"}));
        let mut after = secret(json!({"a": "Y2FuYXJ5", "b": "bmV3", "c": "bmV3"}));
        mask_pair(Some(&mut before), Some(&mut after));
        assert_eq!(before["data"], json!({"a": "***", "b": "*** (before)"}));
        assert_eq!(after["data"], json!({"a": "***", "b": "*** (after)", "c": "*** (after)"}));
    }

    #[test]
    fn the_last_applied_annotation_is_masked_on_any_kind() {
        let mut object = json!({"kind": "ConfigMap", "metadata": {"annotations": {LAST_APPLIED: "canary", "x": "y"}}});
        mask(&mut object);
        assert_eq!(object["metadata"]["annotations"], json!({LAST_APPLIED: "***", "x": "y"}));
    }
}
