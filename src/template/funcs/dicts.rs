//! Functions on maps. `set`, `unset` and the merges change the map they are given.

use super::convert::{argument, bytes, is_empty, to_text};
use super::{ANY, Failure, MAP, STRING};
use crate::template::exec::State;
use crate::template::value::{Kind, List, MAX_NESTING, Map, Text, Type, Value};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "dicts";
    "deepCopy"(ANY) = deep_copy, "A copy of which nothing is shared.";
    "mustDeepCopy"(ANY) = deep_copy, "As `deepCopy`.";
    "dict"(; ANY) = dict, "A map of the keys and values in turn.";
    "dig"(; ANY) = dig, "The value under some keys of a map, or a default: keys, default, map.";
    "get"(MAP, STRING) = get, "The value of a key; the empty text if it is not there.";
    "hasKey"(MAP, STRING) = has_key, "Whether the map has the key.";
    "keys"(; MAP) = keys, "The keys of all maps, those of each in order.";
    "merge"(MAP; MAP) = |_, a| merge_all(a, false, Complaint::Swallow), "Fills what is missing in the first map from the others.";
    "mustMerge"(MAP; MAP) = |_, a| merge_all(a, false, Complaint::Fail), "As `merge`.";
    "mergeOverwrite"(MAP; MAP) = |_, a| merge_all(a, true, Complaint::Swallow), "Puts all of the other maps over the first.";
    "mustMergeOverwrite"(MAP; MAP) = |_, a| merge_all(a, true, Complaint::Fail), "As `mergeOverwrite`.";
    "omit"(MAP; STRING) = omit, "A map without some keys.";
    "pick"(MAP; STRING) = pick, "A map of only some keys.";
    "pluck"(STRING; MAP) = pluck, "The values of a key in all maps that have it.";
    "set"(MAP, STRING, ANY) = set, "Sets a key of the map, and gives the map.";
    "unset"(MAP, STRING) = unset, "Takes a key out of the map, and gives the map.";
    "values"(MAP) = values, "The values in order of their keys.";
}

/// The map of an argument; the engine has seen to its type.
fn map(a: &[Value], at: usize) -> Map {
    match argument(a, at) {
        Value::Map(map) => map.clone(),
        _ => Map::nil(Type::MAP),
    }
}

fn dict(_: &mut State<'_>, a: &[Value]) -> Result {
    let map = Map::new();
    for pair in a.chunks(2) {
        map.insert(to_text(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| "".into()));
    }
    Ok(map.into())
}

fn get(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(map(a, 0).get(bytes(a, 1)).unwrap_or_else(|| "".into()))
}

fn has_key(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(map(a, 0).contains(bytes(a, 1)).into())
}

fn set(_: &mut State<'_>, a: &[Value]) -> Result {
    let map = map(a, 0);
    if map.is_nil() {
        return Err(Failure::new("assignment to entry in nil map"));
    }
    map.insert(bytes(a, 1), argument(a, 2).clone());
    Ok(map.into())
}

fn unset(_: &mut State<'_>, a: &[Value]) -> Result {
    let map = map(a, 0);
    map.remove(bytes(a, 1));
    Ok(map.into())
}

fn keys(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::strings((0..a.len()).flat_map(|at| map(a, at).keys())))
}

fn values(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::list(map(a, 0).borrow().values().cloned().collect()))
}

fn pluck(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(Value::list((1..a.len()).filter_map(|at| map(a, at).get(bytes(a, 0))).collect()))
}

fn pick(_: &mut State<'_>, a: &[Value]) -> Result {
    let (source, picked) = (map(a, 0), Map::new());
    for key in a.get(1..).unwrap_or_default() {
        if let Some(value) = source.get(key.text()) {
            picked.insert(key.text(), value);
        }
    }
    Ok(picked.into())
}

fn omit(_: &mut State<'_>, a: &[Value]) -> Result {
    let unwanted = a.get(1..).unwrap_or_default();
    let wanted = |key: &Text| !unwanted.iter().any(|other| other.text() == &**key);
    Ok(Value::map(map(a, 0).entries().into_iter().filter(|(key, _)| wanted(key))))
}

fn dig(_: &mut State<'_>, a: &[Value]) -> Result {
    let [keys @ .., default, source] = a else {
        return Err(Failure::new("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(Failure::new("dig needs at least three arguments"));
    }
    let mut current = dig_map(source)?;
    if let Some(odd) = keys.iter().find(|key| !matches!(key, Value::String(_))) {
        return Err(not_of_type(odd, "string"));
    }
    for (at, key) in keys.iter().enumerate() {
        let Some(value) = current.get(key.text()) else { return Ok(default.clone()) };
        if at + 1 == keys.len() {
            return Ok(value);
        }
        current = dig_map(&value)?;
    }
    Ok(default.clone())
}

/// Go asserts the exact type here: a named map type such as that of `.Values` is none of it.
fn dig_map(value: &Value) -> Result<Map> {
    match value {
        Value::Map(map) if map.type_of() == Type::MAP => Ok(map.clone()),
        _ => Err(not_of_type(value, "map[string]interface {}")),
    }
}

fn not_of_type(value: &Value, wanted: &str) -> Failure {
    let found = match value {
        Value::Nil => "nil".to_owned(),
        _ => value.type_name(),
    };
    Failure::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

/// What becomes of a merge that fails.
#[derive(Clone, Copy)]
enum Complaint {
    Swallow,
    Fail,
}

fn merge_all(a: &[Value], overwrite: bool, complaint: Complaint) -> Result {
    let mut into = map(a, 0);
    for at in 1..a.len() {
        let from = map(a, at);
        // Nil maps are values of their own: what is put into one is seen by nobody else.
        if into.is_nil() && !from.is_nil() {
            into = Map::new();
        }
        match (merge(&into, &from, overwrite, 0), complaint) {
            (Ok(()), _) => {}
            (Err(_), Complaint::Swallow) => return Ok("".into()),
            (Err(failure), Complaint::Fail) => return Err(failure),
        }
    }
    Ok(into.into())
}

/// mergo's merge of maps: maps in both are merged, otherwise what is there stays unless it is empty or `overwrite`.
fn merge(into: &Map, from: &Map, overwrite: bool, depth: usize) -> Result<()> {
    if depth > MAX_NESTING {
        return Err(Failure::new("maps are nested too deeply to be merged"));
    }
    if into.is_same(from) {
        return Ok(());
    }
    for (key, new) in from.entries() {
        let old = into.get(&key);
        if matches!(new, Value::Nil) {
            if overwrite {
                into.insert(key, new);
            }
            continue;
        }
        if let (Some(Value::Map(old)), Value::Map(new)) = (&old, &new)
            && !old.is_nil()
        {
            merge(old, new, overwrite, depth + 1)?;
        }
        // What stays is asked after the merge: an empty map may just have been filled.
        let stays = old.as_ref().is_some_and(|old| !is_empty(old));
        let both_maps = new.kind() == Kind::Map && old.as_ref().is_some_and(|old| old.kind() == Kind::Map);
        if !stays || overwrite && !both_maps {
            into.insert(key, new);
        }
    }
    Ok(())
}

fn deep_copy(_: &mut State<'_>, a: &[Value]) -> Result {
    match argument(a, 0) {
        Value::Nil => Err(Failure::new("reflect: call of reflect.Value.Type on zero Value")),
        value => copy(value, 0),
    }
}

fn copy(value: &Value, depth: usize) -> Result {
    if depth > MAX_NESTING {
        return Err(Failure::new("the value is nested too deeply to be copied"));
    }
    Ok(match value {
        Value::List(list) if list.is_nil() => value.clone(),
        Value::List(list) => {
            let items = list.iter().map(|item| copy(item, depth + 1)).collect::<Result<Vec<_>>>()?;
            List::typed(list.type_of(), items).into()
        }
        Value::Map(map) if map.is_nil() => value.clone(),
        Value::Map(map) => {
            let fresh = Map::typed(map.type_of());
            for (key, item) in map.entries() {
                fresh.insert(key, copy(&item, depth + 1)?);
            }
            fresh.into()
        }
        _ => value.clone(),
    })
}
