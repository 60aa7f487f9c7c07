//! Chooses which charts below a chart take part, under which names, and what the parent takes over of their values.
//!
//! Helm's order, and its surprises: a child's conditions are looked up in values that its parent's were laid over; a
//! chart without a list of dependencies leaves everything below it as it is.
//!
//! Start at [`members`].

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::coalesce::{self, Mismatch, Nulls, Scope, coalesce_values, merge_tables};
use super::version::is_compatible;
use super::{Chart, Metadata};
use crate::template::{Map, Value};

/// A chart as it takes part in one rendering: renamed, its dependencies chosen, its values completed.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) chart: Chart,
    pub(crate) metadata: Metadata,
    /// Whether the chart has a list of dependencies at all; Helm forgets a list that became empty.
    listed: bool,
    /// Its values once imports were done; until then they are the chart's.
    values: Option<Map>,
    pub(crate) dependencies: Vec<Member>,
}

impl Scope for Member {
    fn name(&self) -> &str {
        &self.metadata.name
    }

    fn values(&self) -> Map {
        self.values.as_ref().map_or_else(|| coalesce::to_map(self.chart.values()), coalesce::deep_copy)
    }

    fn dependencies(&self) -> &[Self] {
        &self.dependencies
    }
}

/// The chart and those below it that take part, given the user's values.
pub(crate) fn members(chart: &Chart, user: &Map, warnings: &mut Vec<String>) -> Result<Member, Mismatch> {
    let mut root = Member::new(chart);
    choose(&mut root, user, "", warnings)?;
    import(&mut root, warnings)?;
    Ok(root)
}

impl Member {
    fn new(chart: &Chart) -> Self {
        Member {
            chart: chart.clone(),
            metadata: chart.metadata().clone(),
            listed: chart.metadata().lists_dependencies,
            values: None,
            dependencies: chart.dependencies().iter().map(Member::new).collect(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }
}

/// Keeps what is wanted: Helm's `processDependencyEnabled`.
fn choose(member: &mut Member, user: &Map, path: &str, warnings: &mut Vec<String>) -> Result<(), Mismatch> {
    if !member.listed {
        return Ok(());
    }
    member.dependencies = resolve(member);
    for wanted in &mut member.metadata.dependencies {
        if !wanted.alias.is_empty() {
            wanted.name.clone_from(&wanted.alias);
        }
        wanted.enabled = true;
    }
    let values = coalesce_values(member, user, Nulls::Remove, warnings)?;
    apply_tags(&mut member.metadata, &values, warnings);
    apply_conditions(&mut member.metadata, &values, path, warnings);

    let disabled: BTreeSet<String> = member
        .metadata
        .dependencies
        .iter()
        .filter(|wanted| !wanted.enabled)
        .map(|wanted| wanted.name.clone())
        .collect();
    member.dependencies.retain(|below| !disabled.contains(below.name()));
    member.metadata.dependencies.retain(|wanted| !disabled.contains(&wanted.name));
    for below in &mut member.dependencies {
        let path = format!("{path}{}.", below.name());
        choose(below, &values, &path, warnings)?;
    }
    member.listed = !member.metadata.dependencies.is_empty();
    Ok(())
}

/// Charts nobody lists come first, then one chart for each entry of the list, under its alias.
fn resolve(member: &Member) -> Vec<Member> {
    let wanted = &member.metadata.dependencies;
    let listed = |below: &&Member| {
        wanted.iter().any(|w| w.name == below.name() && is_compatible(&w.version, &below.metadata.version))
    };
    let mut chosen: Vec<Member> = member.dependencies.iter().filter(|below| !listed(below)).cloned().collect();
    for wanted in wanted {
        let found = member
            .dependencies
            .iter()
            .find(|below| below.name() == wanted.name && is_compatible(&wanted.version, &below.metadata.version));
        if let Some(found) = found {
            let mut found = found.clone();
            if !wanted.alias.is_empty() {
                found.metadata.name.clone_from(&wanted.alias);
            }
            chosen.push(found);
        }
    }
    chosen
}

fn apply_tags(metadata: &mut Metadata, values: &Map, warnings: &mut Vec<String>) {
    let Some(Value::Map(tags)) = values.get(b"tags") else { return };
    for wanted in &mut metadata.dependencies {
        let (mut on, mut off) = (false, false);
        for tag in &wanted.tags {
            match tags.get(tag.as_bytes()) {
                Some(Value::Bool(true)) => on = true,
                Some(Value::Bool(false)) => off = true,
                Some(_) => warnings.push(format!("returned non-bool value tag={tag} chart={}", wanted.name)),
                None => {}
            }
        }
        wanted.enabled = on || !off;
    }
}

fn apply_conditions(metadata: &mut Metadata, values: &Map, path: &str, warnings: &mut Vec<String>) {
    for wanted in &mut metadata.dependencies {
        for condition in wanted.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
            match scalar_at(values, &format!("{path}{condition}")) {
                Some(Value::Bool(enabled)) => {
                    wanted.enabled = enabled;
                    break;
                }
                Some(_) => warnings.push(format!("returned non-bool value path={condition} chart={}", wanted.name)),
                None => {}
            }
        }
    }
}

/// The mapping at a path of keys joined by dots.
fn table_at(values: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(values.clone(), |map, key| match map.get(key.as_bytes()) {
        Some(Value::Map(below)) => Some(below),
        _ => None,
    })
}

/// What is at a path, unless it is a mapping.
fn scalar_at(values: &Map, path: &str) -> Option<Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((folder, key)) => (table_at(values, folder)?, key),
        None => (values.clone(), path),
    };
    table.get(key.as_bytes()).filter(|value| !matches!(value, Value::Map(_)))
}

/// Takes values of children over into their parents, from the bottom up: Helm's `processDependencyImportValues`.
fn import(member: &mut Member, warnings: &mut Vec<String>) -> Result<(), Mismatch> {
    for below in &mut member.dependencies {
        import(below, warnings)?;
    }
    if !member.listed {
        return Ok(());
    }
    let values = coalesce_values(member, &Map::new(), Nulls::Keep, warnings)?;
    let imported = Map::new();
    for wanted in &mut member.metadata.dependencies {
        let mut resolved = Vec::new();
        for rule in &wanted.import_values {
            let Some((child, parent)) = import_rule(rule) else { continue };
            resolved.push(serde_json::json!({"child": child, "parent": parent}));
            match table_at(&values, &format!("{}.{child}", wanted.name)) {
                Some(table) => merge_tables(&imported, &below_path(&parent, table), warnings),
                None => warnings.push(format!("ImportValues missing table from chart chart={}", wanted.name)),
            }
        }
        wanted.import_values = resolved;
    }
    // What the parent says itself wins over what it imports.
    let completed = coalesce::deep_copy(&values);
    merge_tables(&completed, &imported, warnings);
    member.values = Some(completed);
    Ok(())
}

/// Child and parent path of an import; a text is short for `exports.TEXT` to the top.
fn import_rule(rule: &Json) -> Option<(String, String)> {
    match rule {
        Json::String(name) => Some((format!("exports.{name}"), ".".to_owned())),
        Json::Object(map) => {
            let text = |key: &str| match map.get(key) {
                None => "<nil>".to_owned(),
                Some(value) => Value::from_json(value).to_string(),
            };
            Some((text("child"), text("parent")))
        }
        _ => None,
    }
}

/// The mapping that holds `table` at a path.
fn below_path(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |below, key| [(key, Value::Map(below))].into_iter().collect())
}
