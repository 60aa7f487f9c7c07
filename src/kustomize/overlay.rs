//! Strategic merge patches as kustomize applies them, which is not quite as kubectl does.
//!
//! The differences show in files people have: what a patch names comes first in a merged list, lists with two keys
//! (`containerPort` and `protocol`) compare both as far as any item has them, `$patch: replace` has no effect on one
//! item of a list or a whole object, `$setElementOrder` and `$retainKeys` mean nothing.
//!
//! ```text
//! merge     what both are decides: mapping, list with keys, other list, scalar
//! associate merges lists item by item; the items of the patch lead
//! ```

use serde_json::{Map, Value};

use super::tables::{Field, Fields, fields_of};

const DIRECTIVE: &str = "$patch";

/// Lays a patch over an object. `None`: the patch deletes the object.
///
/// # Errors
/// The patch has a mapping where the object has a list or the like, or an unknown directive.
pub fn overlay(object: &Value, patch: &Value) -> Result<Option<Value>, String> {
    if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        return Ok(Some(object.clone())); // kustomize drops what would replace a whole object
    }
    merge(Some(object.clone()), Some(patch.clone()), None, None, &mut Vec::new())
}

fn is_missing(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

/// What a value is for a merge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Mapping,
    List,
    Scalar,
}

fn shape(value: &Value) -> Shape {
    match value {
        Value::Object(_) => Shape::Mapping,
        Value::Array(_) => Shape::List,
        _ => Shape::Scalar,
    }
}

/// Merges one value. `None` says that the field goes away; nulls that nobody touches stay.
fn merge(
    before: Option<Value>,
    change: Option<Value>,
    fields: Option<&'static Fields>,
    field: Option<&'static Field>,
    path: &mut Vec<String>,
) -> Result<Option<Value>, String> {
    let shapes = [&before, &change].map(|value| value.as_ref().filter(|value| !value.is_null()).map(shape));
    if let [Some(one), Some(other)] = shapes
        && one != other
    {
        return Err(format!("{}: the patch has a mapping, list or scalar where another stands", path.join(".")));
    }
    match shapes[0].or(shapes[1]) {
        None if change.is_none() => Ok(before),
        None => Ok(None),
        Some(Shape::Scalar) => Ok(if change.is_some() { change.filter(|value| !value.is_null()) } else { before }),
        Some(Shape::Mapping) => merge_mapping(before, change, fields, path),
        Some(Shape::List) => match field.filter(|field| field.merges()) {
            Some(field) => merge_associative(before, change, field, path),
            None => Ok(if change.is_some() { change.filter(|value| !value.is_null()) } else { before }),
        },
    }
}

/// What a patch says about the whole of a mapping or list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

impl Directive {
    fn new(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("merge") => Ok(Directive::Merge),
            Some("replace") => Ok(Directive::Replace),
            Some("delete") => Ok(Directive::Delete),
            _ => Err(format!("unknown patch strategy '{}'", value.as_str().unwrap_or(&value.to_string()))),
        }
    }

    /// Takes the directive out of a mapping.
    fn of_mapping(mapping: &mut Value) -> Result<Self, String> {
        let taken = mapping.as_object_mut().and_then(|map| map.remove(DIRECTIVE));
        taken.map_or(Ok(Directive::Merge), |value| Directive::new(&value))
    }

    /// Takes an item that is nothing but a directive out of a list.
    fn of_list(list: &mut Value) -> Result<Self, String> {
        let Value::Array(items) = list else { return Ok(Directive::Merge) };
        let Some(item) = items.iter().find(|item| item.get(DIRECTIVE).is_some()) else { return Ok(Directive::Merge) };
        if item.as_object().is_some_and(|map| map.len() > 1) {
            return Ok(Directive::Merge);
        }
        let value = item[DIRECTIVE].clone();
        let directive = Directive::new(&value)?;
        items.retain(|item| item.get(DIRECTIVE) != Some(&value));
        Ok(directive)
    }
}

fn merge_mapping(
    before: Option<Value>,
    mut change: Option<Value>,
    fields: Option<&'static Fields>,
    path: &mut Vec<String>,
) -> Result<Option<Value>, String> {
    let directive = change.as_mut().map_or(Ok(Directive::Merge), Directive::of_mapping);
    let merged = if is_missing(before.as_ref()) {
        match directive {
            Ok(Directive::Delete) => return Ok(None),
            _ => change.clone(),
        }
    } else if change.as_ref().is_some_and(Value::is_null) {
        return Ok(None);
    } else {
        match directive? {
            Directive::Delete => return Ok(None),
            Directive::Replace => change.clone(),
            Directive::Merge => before,
        }
    };
    let Some(Value::Object(mut merged)) = merged else { return Ok(merged) };
    let empty = Map::new();
    let change = change.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let fields = fields.or_else(|| kind_of(&merged)).or_else(|| kind_of(change));
    let mut names: Vec<String> = merged.keys().chain(change.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let field = fields.and_then(|fields| fields.get(&name));
        path.push(name);
        let before = path.last().and_then(|name| merged.get(name)).cloned();
        let patch = path.last().and_then(|name| change.get(name)).cloned();
        let value = merge(before, patch, field.and_then(Field::fields), field, path)?;
        let name = path.pop().unwrap_or_default();
        match value {
            Some(value) => merged.insert(name, value),
            None => merged.remove(&name),
        };
    }
    Ok(Some(Value::Object(merged)))
}

fn kind_of(mapping: &Map<String, Value>) -> Option<&'static Fields> {
    fields_of(mapping.get("apiVersion")?.as_str()?, mapping.get("kind")?.as_str()?)
}

/// A list whose items are merged by their keys, or as a set when they are scalars.
fn merge_associative(
    before: Option<Value>,
    mut change: Option<Value>,
    field: &'static Field,
    path: &mut Vec<String>,
) -> Result<Option<Value>, String> {
    let merged = if is_missing(before.as_ref()) {
        change.clone()
    } else if change.as_ref().is_some_and(Value::is_null) {
        return Ok(None);
    } else {
        match change.as_mut().map_or(Ok(Directive::Merge), Directive::of_list)? {
            Directive::Delete => return Ok(None),
            Directive::Replace => change.clone(),
            Directive::Merge => before,
        }
    };
    let Some(Value::Array(merged)) = merged else { return Ok(None) };
    let change = change.and_then(|value| if let Value::Array(items) = value { Some(items) } else { None });
    let keys = field.keys();
    if keys.is_empty() {
        return Ok(Some(Value::Array(union(merged, change.unwrap_or_default()))));
    }
    let items = associate(merged, &change.unwrap_or_default(), &keys, field.fields(), path)?;
    Ok(Some(Value::Array(items)))
}

/// A list of scalars as a set, the items of the patch first.
fn union(before: Vec<Value>, change: Vec<Value>) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for item in change.into_iter().chain(before) {
        if !merged.contains(&item) {
            merged.push(item);
        }
    }
    merged
}

/// The text of a key's value; empty when an item does not have it.
fn key_text(item: &Value, key: &str) -> String {
    match item.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Whether an item has these keys. An empty text asks only that the key is there.
fn has_keys(item: &Value, keys: &[&str], values: &[String]) -> bool {
    keys.iter()
        .zip(values)
        .all(|(key, wanted)| item.get(key).is_some() && (wanted.is_empty() || key_text(item, key) == *wanted))
}

fn is_empty(item: &Value) -> bool {
    item.is_null() || item.as_object().is_some_and(Map::is_empty)
}

/// Puts an item into a list in the place of those with the same keys, or at the end; `None` takes them out.
fn set_item(list: &mut Vec<Value>, item: Option<Value>, keys: &[&str], values: &[String]) {
    let mut found = false;
    list.retain_mut(|known| {
        if is_empty(known) {
            return false;
        }
        if !known.is_object() || !has_keys(known, keys, values) {
            return true;
        }
        found = true;
        match &item {
            Some(item) => {
                *known = item.clone();
                true
            }
            None => false,
        }
    });
    if !found {
        list.extend(item);
    }
}

fn associate(
    mut before: Vec<Value>,
    change: &[Value],
    keys: &[&str],
    fields: Option<&'static Fields>,
    path: &mut Vec<String>,
) -> Result<Vec<Value>, String> {
    let mut tuples: Vec<Vec<String>> = Vec::new();
    for item in change.iter().chain(&before) {
        let tuple: Vec<String> = keys.iter().map(|key| key_text(item, key)).collect();
        if !tuples.contains(&tuple) {
            tuples.push(tuple);
        }
    }
    if keys.len() > 1 {
        fill_in(&mut tuples);
    }
    let used: Vec<usize> = (0..keys.len()).filter(|&at| tuples.iter().any(|tuple| !tuple[at].is_empty())).collect();
    let used = if used.is_empty() { (0..keys.len()).collect() } else { used };
    let keys: Vec<&str> = used.iter().map(|&at| keys[at]).collect();
    let mut merged: Vec<Value> = Vec::new();
    for tuple in &tuples {
        let values: Vec<String> = used.iter().map(|&at| tuple[at].clone()).collect();
        let (own_keys, own_values): (Vec<&str>, Vec<String>) = keys
            .iter()
            .zip(&values)
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (*key, value.clone()))
            .unzip();
        let find = |list: &[Value]| {
            list.iter()
                .position(|item| item.is_object() && !own_keys.is_empty() && has_keys(item, &own_keys, &own_values))
        };
        let at = find(&before);
        let known = at.map(|at| before[at].clone());
        let patch = find(change).map(|at| change[at].clone());
        let replaced = patch.as_ref().is_some_and(|patch| patch.get(DIRECTIVE) == Some(&Value::from("replace")));
        path.push(values.join(","));
        let value = merge(known, patch, fields, None, path)?;
        path.pop();
        match value.filter(|value| !is_empty(value)) {
            None => set_item(&mut before, None, &keys, &values),
            Some(mut value) => {
                if let Some(map) = value.as_object_mut() {
                    for (key, value) in own_keys.iter().zip(&own_values) {
                        map.entry(*key).or_insert_with(|| Value::from(value.clone()));
                    }
                }
                // An item that is replaced as a whole comes back below: so it is in kustomize.
                if let (Some(at), false) = (at, replaced) {
                    before[at] = value.clone();
                }
                set_item(&mut merged, Some(value), &keys, &values);
            }
        }
    }
    append(&mut merged, before, &keys);
    Ok(merged)
}

/// Takes items with equal or missing keys for the same, and gives all of them the keys that one has.
fn fill_in(tuples: &mut [Vec<String>]) {
    for i in 0..tuples.len() {
        for j in 0..tuples.len() {
            let pairs = || tuples[i].iter().zip(&tuples[j]);
            let same = pairs().any(|(one, other)| one == other);
            if same && pairs().all(|(one, other)| one == other || one.is_empty() || other.is_empty()) {
                let filled: Vec<String> =
                    pairs().map(|(one, other)| if one.is_empty() { other.clone() } else { one.clone() }).collect();
                tuples[i].clone_from(&filled);
                tuples[j] = filled;
            }
        }
    }
}

/// Adds the items that were there before. With several keys they go to the end even when the patch named them.
fn append(merged: &mut Vec<Value>, before: Vec<Value>, keys: &[&str]) {
    for item in before {
        let (own, values): (Vec<&str>, Vec<String>) = keys
            .iter()
            .filter(|key| item.get(**key).is_some_and(|value| !value.is_null()))
            .map(|key| (*key, key_text(&item, key)))
            .unzip();
        if own.is_empty() {
            merged.push(item);
            continue;
        }
        if keys.len() > 1 {
            set_item(merged, None, &own, &values);
        }
        set_item(merged, Some(item), &own, &values);
    }
}
