//! Strategic merge patches as kubectl and the API server apply them.
//!
//! Mappings are merged, a null takes a key away, and lists of built-in kinds are merged by the key that the API
//! describes for them. Kinds without a description (custom resources) merge as JSON: lists are replaced.
//! kustomize follows rules of its own: see [`super::overlay`].

use serde_json::{Map, Value};

use super::tables::{Field, Fields, fields_of};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";
const ELEMENT_ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object; its kind decides how lists are merged.
///
/// # Errors
/// The patch has an unknown directive or contradicts itself, or a list item lacks its merge key.
///
/// ```
/// use bowline::kustomize::strategic_merge;
/// use serde_json::json;
/// let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
/// let patch = json!({"spec": {"containers": [{"name": "a", "image": "a:2"}, {"name": "b"}]}});
/// let patched = strategic_merge(&pod, &patch).unwrap();
/// assert_eq!(patched["spec"]["containers"], json!([{"name": "a", "image": "a:2"}, {"name": "b"}]));
/// ```
pub fn strategic_merge(original: &Value, patch: &Value) -> Result<Value, String> {
    let text = |key: &str| original.get(key).and_then(Value::as_str).unwrap_or_default();
    strategic_merge_as(text("apiVersion"), text("kind"), original, patch)
}

/// Applies a strategic merge patch to a value, taking it for an object of this kind.
///
/// # Errors
/// As [`strategic_merge`].
pub fn strategic_merge_as(api_version: &str, kind: &str, original: &Value, patch: &Value) -> Result<Value, String> {
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else {
        return Err("a strategic merge patch and what it changes are mappings".to_owned());
    };
    merge_map(original.clone(), patch.clone(), fields_of(api_version, kind)).map(Value::Object)
}

type Object = Map<String, Value>;

fn merge_map(mut original: Object, mut patch: Object, fields: Option<&'static Fields>) -> Result<Object, String> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "replace" => return Ok(patch),
        Some(Value::String(directive)) if directive == "delete" => return Ok(Map::new()),
        Some(directive) => return Err(format!("unknown patch type {directive} in a mapping")),
    }
    retain_keys(&mut original, &mut patch)?;
    order_lists(&mut original, &mut patch, fields)?;
    for (key, value) in patch {
        let (key, deletes) = match key.strip_prefix(DELETE_FROM_LIST) {
            Some(key) => (key.to_owned(), true),
            None => (key, false),
        };
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let field = fields.and_then(|fields| fields.get(&key));
        let merged = match (original.remove(&key), value) {
            (Some(Value::Object(before)), Value::Object(change)) => {
                Some(Value::Object(merge_field(before, change, field)?))
            }
            (Some(Value::Array(before)), Value::Array(change)) => {
                Some(Value::Array(merge_list_field(before, change, field, deletes)?))
            }
            (before, _) if deletes => before,
            (_, value) => cleaned(value),
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
    }
    Ok(original)
}

fn merge_field(before: Object, change: Object, field: Option<&'static Field>) -> Result<Object, String> {
    if field.is_some_and(Field::replaces) {
        return Ok(change);
    }
    merge_map(before, change, field.and_then(Field::fields))
}

fn merge_list_field(
    before: Vec<Value>,
    change: Vec<Value>,
    field: Option<&'static Field>,
    deletes: bool,
) -> Result<Vec<Value>, String> {
    match field {
        Some(field) if field.merges() => merge_list(before, change, &field.key, field.fields(), deletes),
        _ if deletes => merge_list(before, change, "", None, deletes),
        _ => Ok(change),
    }
}

/// What a value that was not there before becomes: without nulls, and without what a directive marks.
fn cleaned(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(kept.filter_map(|(key, value)| Some((key, cleaned(value)?))).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(cleaned).collect())),
        other => Some(other),
    }
}

/// `$retainKeys`: what it does not name goes away, and the patch may not set what it does not name.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), String> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(retained) = retained else { return Err(format!("{RETAIN_KEYS} is not a list")) };
    let is_retained = |key: &String| retained.iter().any(|one| one.as_str() == Some(key));
    for (key, value) in patch.iter() {
        let directive = key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
        if !value.is_null() && !directive && !is_retained(key) {
            return Err(format!("{key} is set but {RETAIN_KEYS} does not name it"));
        }
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// `$setElementOrder/list`: merges the list and puts it into this order.
fn order_lists(original: &mut Object, patch: &mut Object, fields: Option<&'static Fields>) -> Result<(), String> {
    let orders: Vec<String> = patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in orders {
        let Some(Value::Array(order)) = patch.remove(&directive) else {
            return Err(format!("{directive} is not a list"));
        };
        let key = &directive[ELEMENT_ORDER.len()..];
        let field = fields.and_then(|fields| fields.get(key));
        let merge_key = field.map(|field| field.key.as_str()).unwrap_or_default();
        let list = |value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(format!("{key} has {ELEMENT_ORDER} but is not a list")),
        };
        let before = list(original.get(key).cloned())?;
        let change = list(patch.get(key).cloned())?;
        check_order(change.as_deref().unwrap_or_default(), &order, merge_key)?;
        let merged = match (&before, &change) {
            (None, None) => continue,
            (Some(before), None) => before.clone(),
            (None, Some(change)) => change.iter().cloned().filter_map(without_directives).collect(),
            (Some(before), Some(change)) => merge_list_field(before.clone(), change.clone(), field, false)?,
        };
        let sorted = in_order(merged, &order, before.as_deref().unwrap_or_default(), merge_key)?;
        patch.remove(key);
        original.insert(key.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

/// A list item as it is taken over, directives and what they mark left out, nulls kept.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

/// The items of the patch must be named by the order list, in the same sequence.
fn check_order(change: &[Value], order: &[Value], merge_key: &str) -> Result<(), String> {
    if change.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut order = order.iter();
    for item in change.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let identity = identity(item, merge_key)?;
        loop {
            match order.next() {
                None => return Err(format!("{item} is not where {ELEMENT_ORDER} has it")),
                Some(named) if self::identity(named, merge_key)? == identity => break,
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// What tells list items apart: the merge key's value, or the item itself.
fn identity<'a>(item: &'a Value, merge_key: &str) -> Result<&'a Value, String> {
    match item {
        item if merge_key.is_empty() => Ok(item),
        Value::Object(map) => map.get(merge_key).ok_or_else(|| format!("{item} lacks its merge key {merge_key}")),
        item => Err(format!("{item} is not a mapping with merge key {merge_key}")),
    }
}

fn position(list: &[Value], item: &Value, merge_key: &str) -> Option<usize> {
    let wanted = identity(item, merge_key).ok()?;
    list.iter().position(|one| identity(one, merge_key).is_ok_and(|one| one == wanted))
}

fn merge_list(
    mut before: Vec<Value>,
    change: Vec<Value>,
    merge_key: &str,
    fields: Option<&'static Fields>,
    deletes: bool,
) -> Result<Vec<Value>, String> {
    let mut items = before.iter().chain(&change);
    let Some(first) = items.next() else { return Ok(before) };
    if first.is_array() || items.any(|item| std::mem::discriminant(item) != std::mem::discriminant(first)) {
        return Err("the items of a list that is merged are all mappings or all scalars of one kind".to_owned());
    }
    if !first.is_object() {
        if deletes {
            before.retain(|item| !change.contains(item));
            return Ok(before);
        }
        let mut merged: Vec<Value> = Vec::new();
        for item in before.iter().chain(&change) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return in_order(merged, &change, &before, "");
    }
    if merge_key.is_empty() {
        return Err("a list of mappings without a merge key cannot be merged".to_owned());
    }
    let (mut before, change) = special_items(before, change, merge_key)?;
    let mut added = Vec::new();
    for item in &change {
        identity(item, merge_key)?;
        let Value::Object(item_map) = item else { continue };
        match position(&before, item, merge_key) {
            Some(at) => {
                let Value::Object(known) = before[at].take() else { continue };
                before[at] = Value::Object(merge_map(known, item_map.clone(), fields)?);
            }
            None => added.push(item.clone()),
        }
    }
    let merged = before.iter().cloned().chain(added).collect();
    in_order(merged, &change, &before, merge_key)
}

/// Carries out the items that are directives; gives the original and the patch that are left.
fn special_items(
    mut before: Vec<Value>,
    change: Vec<Value>,
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), String> {
    let mut left = Vec::new();
    let mut replaces = false;
    for item in change {
        match item.get(DIRECTIVE).map(|directive| directive.as_str().unwrap_or_default()) {
            None => left.push(item),
            Some("replace") => replaces = true,
            Some("delete") => {
                let gone = identity(&item, merge_key)?;
                before.retain(|one| !identity(one, merge_key).is_ok_and(|one| one == gone));
            }
            Some(other) => return Err(format!("unknown patch type {other:?} in a list")),
        }
    }
    Ok(if replaces { (left, Vec::new()) } else { (before, left) })
}

/// Sorts items: those that `order` names follow it, the others keep their places relative to their old neighbours.
fn in_order(merged: Vec<Value>, order: &[Value], before: &[Value], merge_key: &str) -> Result<Vec<Value>, String> {
    for item in merged.iter().chain(order) {
        identity(item, merge_key)?;
    }
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| position(order, item, merge_key).is_some());
    named.sort_by_key(|item| position(order, item, merge_key));
    others.sort_by_key(|item| position(before, item, merge_key));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(one), Some(other)) = (named.peek(), others.peek()) {
        let earlier = match (position(before, other, merge_key), position(before, one, merge_key)) {
            (Some(other), Some(one)) => other < one,
            _ => false,
        };
        sorted.extend(if earlier { others.next() } else { named.next() });
    }
    sorted.extend(named);
    sorted.extend(others);
    Ok(sorted)
}
