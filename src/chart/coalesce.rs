//! Lays values over values as Helm 4 does: the user's over a chart's, a parent's over its dependencies', globals downwards.
//!
//! Null takes a key away, or is kept until later ([`Nulls`]). Maps are shared, not copied, exactly where Helm shares them:
//! what a template writes into one map, and what one dependency's globals do to another's, is then seen where Helm
//! users see it.
//!
//! Start at [`coalesce_values`].

use serde_json::Value as Json;

use crate::template::{Map, Numbers, Value};

/// The key under which values reach every chart of a release.
const GLOBAL: &[u8] = b"global";

/// A chart with its dependencies, as far as values are concerned.
pub(crate) trait Scope: Sized {
    /// The key of its values in its parent's.
    fn name(&self) -> &str;
    /// A fresh copy of its own values.
    fn values(&self) -> Map;
    /// The charts below it.
    fn dependencies(&self) -> &[Self];
}

/// What becomes of null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// It takes away what it stands over, and itself (Helm: coalesce).
    Remove,
    /// It stays, because values are laid over each other once more later (Helm: merge).
    Keep,
}

/// Why values cannot be laid over each other: a dependency's key holds something that is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("type mismatch on {name}: {shown}")]
pub struct Mismatch {
    name: String,
    shown: String,
}

/// Lays a copy of `user` over the values of a chart and of all its dependencies.
pub(crate) fn coalesce_values<S: Scope>(
    chart: &S,
    user: &Map,
    nulls: Nulls,
    warnings: &mut Vec<String>,
) -> Result<Map, Mismatch> {
    let values = deep_copy(user);
    Layers { nulls, warnings }.chart(chart, &values, "")?;
    Ok(values)
}

/// Lays one mapping over another, in place; `over` is the one that counts and the result.
pub(crate) fn merge_tables(over: &Map, under: &Map, warnings: &mut Vec<String>) {
    Layers { nulls: Nulls::Keep, warnings }.tables(over, under, "", Nulls::Keep);
}

/// Lays one mapping over another, in place, where null takes a key away that stands below it.
pub(crate) fn coalesce_tables(over: &Map, under: &Map, warnings: &mut Vec<String>) {
    Layers { nulls: Nulls::Remove, warnings }.tables(over, under, "", Nulls::Remove);
}

/// A copy that shares no mapping with the original.
pub(crate) fn deep_copy(map: &Map) -> Map {
    map.entries().into_iter().map(|(key, value)| (key, deep_copy_value(value))).collect()
}

fn deep_copy_value(value: Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(deep_copy(&map)),
        Value::List(list) => Value::list(list.iter().cloned().map(deep_copy_value).collect()),
        scalar => scalar,
    }
}

/// The mapping of a JSON document; empty for anything else. Whole numbers are `int64`, as `--set` gives them.
pub(crate) fn to_map(json: &serde_json::Map<String, Json>) -> Map {
    json.iter().map(|(key, value)| (key.as_str(), Value::from_json_with(value, Numbers::Int64))).collect()
}

struct Layers<'w> {
    nulls: Nulls,
    warnings: &'w mut Vec<String>,
}

impl Layers<'_> {
    fn warn(&mut self, warning: String) {
        if self.warnings.len() < 100 {
            self.warnings.push(warning);
        }
    }

    fn chart<S: Scope>(&mut self, chart: &S, values: &Map, prefix: &str) -> Result<(), Mismatch> {
        self.own_values(chart, values, prefix);
        for dependency in chart.dependencies() {
            let name = dependency.name();
            let below = match values.get(name.as_bytes()) {
                None => {
                    let fresh = Map::new();
                    values.insert(name, Value::Map(fresh.clone()));
                    fresh
                }
                Some(Value::Map(map)) => map,
                Some(other) => {
                    let shown = crate::template::format::sprintf(b"%t", &[other]);
                    let shown = String::from_utf8_lossy(&shown).into_owned();
                    return Err(Mismatch { name: name.to_owned(), shown });
                }
            };
            let prefix = join(prefix, chart.name());
            self.globals(&below, values, &prefix);
            self.chart(dependency, &below, &prefix)?;
        }
        Ok(())
    }

    /// Puts the globals of a parent over those of a dependency.
    fn globals(&mut self, below: &Map, above: &Map, prefix: &str) {
        let into = match below.get(GLOBAL) {
            None => Map::new(),
            Some(Value::Map(map)) => map,
            Some(_) => return self.warn("skipping globals because destination global is not a table.".to_owned()),
        };
        let from = match above.get(GLOBAL) {
            None => Map::new(),
            Some(Value::Map(map)) => map,
            Some(_) => return self.warn("skipping globals because source global is not a table.".to_owned()),
        };
        for (key, value) in from.entries() {
            let present = into.get(&key);
            match (value, present) {
                (Value::Map(table), None) => into.insert(key, Value::Map(shallow_copy(&table))),
                (Value::Map(table), Some(Value::Map(lower))) => {
                    let copy = shallow_copy(&table);
                    // Nulls stay here whatever is wanted in the end: the result is laid over values once more.
                    self.tables(&copy, &lower, &join(prefix, &key.to_str_lossy()), Nulls::Keep);
                    into.insert(key, Value::Map(copy));
                }
                (Value::Map(_), Some(_)) => {
                    self.warn(format!(
                        "Conflict: cannot merge map onto non-map for {:?}. Skipping.",
                        key.to_str_lossy()
                    ));
                }
                (_, Some(Value::Map(_))) => self.warn(format!("key {key} is table. Skipping")),
                (scalar, _) => into.insert(key, scalar),
            }
        }
        below.insert(GLOBAL, Value::Map(into));
    }

    /// Puts the values of a chart itself below `values`.
    fn own_values<S: Scope>(&mut self, chart: &S, values: &Map, prefix: &str) {
        let prefix = join(prefix, chart.name());
        for (key, own) in chart.values().entries() {
            match values.get(&key) {
                Some(Value::Nil) if self.nulls == Nulls::Remove => {
                    values.remove(&key);
                }
                Some(Value::Map(over)) => match own {
                    Value::Map(under) => {
                        let is_chart = chart.dependencies().iter().any(|below| below.name().as_bytes() == &*key);
                        let nulls = if is_chart { Nulls::Keep } else { self.nulls };
                        if nulls == Nulls::Remove {
                            remove_nulls(&under);
                        }
                        self.tables(&over, &under, &join(&prefix, &key.to_str_lossy()), nulls);
                    }
                    Value::Nil => {}
                    _ => self.warn(format!("skipped value for {prefix}.{key}: Not a table.")),
                },
                Some(_) => {}
                None => {
                    if self.nulls == Nulls::Remove {
                        match &own {
                            Value::Nil => continue,
                            Value::Map(map) => remove_nulls(map),
                            _ => {}
                        }
                    }
                    values.insert(key, own);
                }
            }
        }
    }

    fn tables(&mut self, over: &Map, under: &Map, prefix: &str, nulls: Nulls) {
        // A null above hides what is below; below a null of its own it means nothing and stays.
        let below: Vec<_> = under.entries();
        for (key, value) in over.entries() {
            if matches!(value, Value::Nil) {
                under.insert(key, Value::Nil);
            }
        }
        for (key, value) in under.entries() {
            let above = over.get(&key);
            let was_something = || below.iter().any(|(name, value)| *name == key && !matches!(value, Value::Nil));
            match (above, value) {
                (Some(Value::Nil), _) if nulls == Nulls::Remove && was_something() => {
                    over.remove(&key);
                }
                (None, value) => over.insert(key, value),
                (Some(Value::Map(above)), Value::Map(value)) => {
                    let prefix = join(prefix, &key.to_str_lossy());
                    self.tables(&above, &value, &prefix, nulls);
                }
                (Some(_), Value::Map(value)) => {
                    let path = join(prefix, &key.to_str_lossy());
                    self.warn(format!("cannot overwrite table with non table for {path} ({})", Value::Map(value)));
                }
                (Some(Value::Map(_)), value) if !matches!(value, Value::Nil) => {
                    let path = join(prefix, &key.to_str_lossy());
                    self.warn(format!("destination for {path} is a table. Ignoring non-table value ({value})"));
                }
                _ => {}
            }
        }
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

fn shallow_copy(map: &Map) -> Map {
    map.entries().into_iter().collect()
}

fn remove_nulls(map: &Map) {
    for (key, value) in map.entries() {
        match value {
            Value::Nil => {
                map.remove(&key);
            }
            Value::Map(below) => remove_nulls(&below),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[derive(Clone)]
    struct Chart {
        name: &'static str,
        values: Json,
        dependencies: Vec<Chart>,
    }

    impl Scope for Chart {
        fn name(&self) -> &str {
            self.name
        }
        fn values(&self) -> Map {
            map(&self.values)
        }
        fn dependencies(&self) -> &[Self] {
            &self.dependencies
        }
    }

    fn map(json: &Json) -> Map {
        to_map(json.as_object().unwrap())
    }

    fn coalesced(chart: &Chart, user: &Json) -> Json {
        let result = coalesce_values(chart, &map(user), Nulls::Remove, &mut Vec::new()).unwrap();
        Value::Map(result).to_json().unwrap()
    }

    fn parent(values: Json, child: Json) -> Chart {
        let child = Chart { name: "child", values: child, dependencies: Vec::new() };
        Chart { name: "parent", values, dependencies: vec![child] }
    }

    #[test]
    fn null_follows_the_rules_of_helm_4() {
        let chart = parent(
            json!({"a": {"x": 1, "gone": null}, "dropped": null, "child": {"from-parent": null, "size": null}}),
            json!({"size": 3, "from-parent": 2}),
        );
        // The parent's null does not remove the child's default until the user gives the child anything.
        assert_eq!(
            coalesced(&chart, &json!({})),
            json!({"a": {"x": 1}, "child": {"from-parent": 2, "size": 3, "global": {}}})
        );
        assert_eq!(
            coalesced(&chart, &json!({"child": {"other": 1}, "a": {"x": null}})),
            json!({"a": {}, "child": {"other": 1, "global": {}}})
        );
    }

    #[test]
    fn globals_reach_every_chart_below() {
        let chart =
            parent(json!({"global": {"zone": "a", "deep": {"one": 1}}}), json!({"global": {"deep": {"two": 2}}}));
        let values = coalesced(&chart, &json!({"global": {"zone": "b"}}));
        assert_eq!(values["child"]["global"], json!({"zone": "b", "deep": {"one": 1, "two": 2}}));
        assert_eq!(values["global"], json!({"zone": "b", "deep": {"one": 1}}));
    }

    #[test]
    fn a_dependency_whose_values_are_no_mapping_is_an_error() {
        let chart = parent(json!({}), json!({}));
        let error =
            coalesce_values(&chart, &map(&json!({"child": "x"})), Nulls::Remove, &mut Vec::new()).err().unwrap();
        assert_eq!(error.to_string(), "type mismatch on child: %!t(string=x)");
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::from), (0..3i64).prop_map(Json::from)];
        let tree = leaf.prop_recursive(3, 12, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| json!(map))
        });
        prop::collection::btree_map("[abc]", tree, 0..3).prop_map(|map| json!(map))
    }

    fn without_nulls(value: &Json) -> Json {
        match value {
            Json::Object(map) => map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn without_user_values_a_chart_has_its_own_without_nulls(own in values()) {
            let chart = Chart { name: "c", values: own.clone(), dependencies: Vec::new() };
            prop_assert_eq!(coalesced(&chart, &json!({})), without_nulls(&own));
        }

        #[test]
        fn what_the_user_says_is_never_lost(own in values(), user in values()) {
            let chart = Chart { name: "c", values: own, dependencies: Vec::new() };
            let result = coalesced(&chart, &user);
            for (key, value) in user.as_object().unwrap() {
                if !value.is_null() && !value.is_object() {
                    prop_assert_eq!(&result[key], value);
                }
            }
        }

        #[test]
        fn laying_the_result_over_the_chart_again_changes_nothing(own in values(), user in values()) {
            let chart = Chart { name: "c", values: own, dependencies: Vec::new() };
            let once = coalesced(&chart, &without_nulls(&user));
            prop_assert_eq!(coalesced(&chart, &once), once);
        }
    }
}
