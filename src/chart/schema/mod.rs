//! Checks values against the `values.schema.json` of a chart and of the charts below it, with Helm's messages.
//!
//! JSON Schema, drafts 4 to 2020-12, evaluated in the order of the library that Helm uses, because its messages follow
//! that order. Nothing is ever fetched: a reference that leads out of the file is an error. Whether a schema is one at
//! all is asked of the `jsonschema` crate.

mod failure;
mod references;

use std::collections::BTreeSet;

use serde_json::{Map as JsonMap, Value as Json};

use self::failure::{Failure, Kind, count, display, number, quote, quote_all};
use self::references::Document;
use super::coalesce::Scope;
use super::dependencies::Member;
use crate::template::{Map, Value, json};

/// Rules that are looked at for one file; a schema that needs more is taken for hostile.
const MAX_STEPS: usize = 5_000_000;
/// Nesting of rules.
const MAX_DEPTH: usize = 500;

/// Everything that is wrong with the values, chart by chart; empty when nothing is.
pub(super) fn validate(member: &Member, values: &Map) -> String {
    let mut broken = String::new();
    if let Some(schema) = member.chart.schema() {
        let json = Value::Map(values.clone()).to_json().map_err(|error| error.to_string());
        if let Err(words) = json.and_then(|json| check(&schema.data, &json)) {
            broken.push_str(&format!("{}:\n{words}", member.name()));
        }
    }
    for below in member.dependencies() {
        match values.get(below.name().as_bytes()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(values)) => broken.push_str(&validate(below, &values)),
            Some(other) => {
                let (name, kind) = (below.name(), other.type_name());
                broken.push_str(&format!("{name}:\ninvalid type for values: expected object (map), got {kind}\n"));
            }
        }
    }
    broken
}

/// Checks one value against the text of one schema.
pub(super) fn check(schema: &[u8], value: &Json) -> Result<(), String> {
    let schema: Json = serde_json::from_slice(schema).map_err(|error| in_go(schema, &error))?;
    // The crate also refuses dialects it does not know; for those there is nothing to check against.
    if let Err(error) = jsonschema::meta::options().validate(&schema)
        && !matches!(error.kind(), jsonschema::error::ValidationErrorKind::Referencing(_))
    {
        let file = "'file:///values.schema.json#' is not valid against metaschema: jsonschema validation failed with";
        let path = quote(error.instance_path().as_str());
        return Err(format!("{file} {}\n- at {path}: {error}", quote(&Document::dialect_of(&schema))));
    }
    let document = Document::new(&schema);
    let mut check = Check { document: &document, path: Vec::new(), steps: 0, active: Vec::new() };
    match check.schema(&schema, value) {
        Ok(_) => Ok(()),
        Err(failure) => Err(format!("{}\n", failure.print())),
    }
}

/// Why a text is no JSON, in Go's words.
fn in_go(text: &[u8], error: &serde_json::Error) -> String {
    match json::read(text) {
        _ if error.is_eof() => if text.trim_ascii().is_empty() { "EOF" } else { "unexpected EOF" }.to_owned(),
        Err(failure) => failure.to_string(),
        Ok(_) => error.to_string(),
    }
}

/// What no rule has looked at so far, for the `unevaluated` rules.
#[derive(Debug, Clone, Default)]
struct Unseen {
    properties: BTreeSet<String>,
    items: BTreeSet<usize>,
}

impl Unseen {
    fn of(value: &Json) -> Self {
        match value {
            Json::Object(map) => Unseen { properties: map.keys().cloned().collect(), items: BTreeSet::new() },
            Json::Array(items) => Unseen { properties: BTreeSet::new(), items: (0..items.len()).collect() },
            _ => Unseen::default(),
        }
    }

    /// What neither of two schemas of the same value has looked at.
    fn and(&mut self, other: &Unseen) {
        self.properties.retain(|property| other.properties.contains(property));
        self.items.retain(|item| other.items.contains(item));
    }
}

struct Check<'s> {
    document: &'s Document<'s>,
    path: Vec<String>,
    steps: usize,
    /// Schemas that are being looked at, each with the length of the path: one twice at the same place is a cycle.
    active: Vec<(*const Json, usize)>,
}

type Outcome = Result<Unseen, Failure>;

impl<'s> Check<'s> {
    fn fail(&self, words: impl Into<String>) -> Failure {
        Failure { path: self.path.clone(), kind: Kind::Words(words.into()), causes: Vec::new() }
    }

    fn fail_because(&self, words: &str, causes: Vec<Failure>) -> Failure {
        Failure { causes, ..self.fail(words) }
    }

    /// Kept only where a rule will ask for it.
    fn unseen(&self, value: &Json) -> Unseen {
        if self.document.asks_for_unseen { Unseen::of(value) } else { Unseen::default() }
    }

    fn schema(&mut self, schema: &'s Json, value: &Json) -> Outcome {
        let rules = match schema {
            Json::Bool(true) => return Ok(self.unseen(value)),
            Json::Bool(false) => return Err(self.fail("false schema")),
            Json::Object(rules) => rules,
            _ => return Ok(self.unseen(value)),
        };
        self.steps += 1;
        if self.steps > MAX_STEPS || self.active.len() > MAX_DEPTH {
            return Err(self.fail("schema needs more steps than any chart's does"));
        }
        let here = (std::ptr::from_ref(schema), self.path.len());
        if self.active.contains(&here) {
            return Err(self.fail("schema refers to itself without end"));
        }
        self.active.push(here);
        let outcome = self.rules(rules, value);
        self.active.pop();
        outcome
    }

    fn rules(&mut self, rules: &'s JsonMap<String, Json>, value: &Json) -> Outcome {
        let mut unseen = self.unseen(value);
        self.whole_value(rules, value)?;
        let mut failures = Vec::new();
        if let Some(Json::String(reference)) = rules.get("$ref") {
            let outcome = self.reference(reference, value);
            if self.document.draft < 2019 {
                return outcome;
            }
            gather(outcome, &mut unseen, &mut failures);
        }
        match value {
            Json::Object(map) => self.object(rules, map, value, &mut unseen, &mut failures),
            Json::Array(items) => self.array(rules, items, &mut unseen, &mut failures),
            Json::String(text) => self.text(rules, text, &mut failures),
            Json::Number(found) => self.number(rules, found.as_f64().unwrap_or(0.0), &mut failures),
            _ => {}
        }
        if self.document.draft >= 2019 {
            for keyword in ["$recursiveRef", "$dynamicRef"] {
                if let Some(Json::String(reference)) = rules.get(keyword) {
                    gather(self.reference(reference, value), &mut unseen, &mut failures);
                }
            }
        }
        self.combinations(rules, value, &mut unseen, &mut failures);
        if self.document.draft >= 2019 {
            self.unevaluated(rules, value, &mut unseen, &mut failures);
        }
        match failures.len() {
            0 => Ok(unseen),
            1 => Err(failures.remove(0)),
            _ => Err(Failure { path: self.path.clone(), kind: Kind::Group, causes: failures }),
        }
    }

    /// `type`, `const`, `enum`, `format`: the first that is broken ends it.
    fn whole_value(&self, rules: &'s JsonMap<String, Json>, value: &Json) -> Result<(), Failure> {
        let wanted: Vec<&str> = match rules.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        };
        let found = type_name(value);
        let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
        if !(wanted.is_empty() || wanted.contains(&found) || whole && wanted.contains(&"integer")) {
            let order = ["null", "boolean", "number", "integer", "string", "array", "object"];
            let wanted: Vec<&str> = order.into_iter().filter(|name| wanted.contains(name)).collect();
            return Err(self.fail(format!("got {found}, want {}", wanted.join(" or "))));
        }
        if let Some(wanted) = rules.get("const").filter(|wanted| !equal(wanted, value)) {
            let words = match wanted {
                Json::Array(_) | Json::Object(_) => "'const' failed".to_owned(),
                scalar => format!("value must be {}", display(scalar)),
            };
            return Err(self.fail(words));
        }
        if let Some(Json::Array(wanted)) = rules.get("enum")
            && !wanted.iter().any(|wanted| equal(wanted, value))
        {
            let words = match wanted.as_slice() {
                several if several.iter().any(|wanted| wanted.is_array() || wanted.is_object()) => {
                    "'enum' failed".to_owned()
                }
                [one] => format!("value must be {}", display(one)),
                several => {
                    let several: Vec<String> = several.iter().map(display).collect();
                    format!("value must be one of {}", several.join(", "))
                }
            };
            return Err(self.fail(words));
        }
        match rules.get("format") {
            Some(Json::String(format)) if self.document.draft < 2019 => self.format(format, value),
            _ => Ok(()),
        }
    }

    fn format(&self, format: &str, value: &Json) -> Result<(), Failure> {
        let rule = serde_json::json!({"type": "string", "format": format});
        let checked =
            jsonschema::options().should_validate_formats(true).should_ignore_unknown_formats(true).build(&rule);
        let valid = !value.is_string() || checked.is_ok_and(|rule| rule.is_valid(value));
        if valid {
            Ok(())
        } else {
            Err(self.fail(format!("{} is not valid {format}: invalid {format}", display(value))))
        }
    }

    fn reference(&mut self, reference: &str, value: &Json) -> Outcome {
        let Some(target) = self.document.resolve(reference) else {
            let hint = "references out of values.schema.json are not followed";
            return Err(self.fail(format!("{} is not in the schema: {hint}", quote(reference))));
        };
        self.schema(target, value).map_err(|failure| {
            let causes = match failure.kind {
                Kind::Group => failure.causes,
                _ => vec![failure],
            };
            Failure { path: self.path.clone(), kind: Kind::Reference, causes }
        })
    }

    /// A part of the value against its own schema.
    fn below(&mut self, schema: &'s Json, value: &Json, token: impl ToString) -> Result<(), Failure> {
        self.path.push(token.to_string());
        let outcome = self.schema(schema, value);
        self.path.pop();
        outcome.map(|_| ())
    }

    fn object(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        map: &JsonMap<String, Json>,
        value: &Json,
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        self.limits(rules, map.len(), "minProperties", "maxProperties", failures);
        let missing = missing_from(map, rules.get("required"));
        match missing.as_slice() {
            [] => {}
            [one] => failures.push(self.fail(format!("missing property {}", quote(one)))),
            several => {
                let several = quote_all(several.iter().copied());
                failures.push(self.fail(format!("missing properties {several}")));
            }
        }
        for keyword in ["dependencies", "dependentSchemas", "dependentRequired"] {
            for (property, rule) in entries(rules, keyword).filter(|(property, _)| map.contains_key(*property)) {
                if rule.is_array() {
                    let missing = missing_from(map, Some(rule));
                    if !missing.is_empty() {
                        let missing = quote_all(missing);
                        let words = format!("properties {missing} required, if {} exists", quote(property));
                        failures.push(self.fail(words));
                    }
                } else {
                    gather(self.schema(rule, value), unseen, failures);
                }
            }
        }
        self.properties(rules, map, unseen, failures);
        if let Some(names) = rules.get("propertyNames") {
            for name in map.keys() {
                if let Err(failure) = self.schema(names, &Json::String(name.clone())) {
                    let causes = match failure.kind {
                        Kind::Group => failure.causes,
                        _ => vec![failure],
                    };
                    failures.push(self.fail_because(&format!("invalid propertyName {}", quote(name)), causes));
                }
            }
        }
    }

    fn properties(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        map: &JsonMap<String, Json>,
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        let patterns: Vec<_> = entries(rules, "patternProperties")
            .filter_map(|(pattern, schema)| Some((regex::Regex::new(pattern).ok()?, schema)))
            .collect();
        let known = rules.get("properties").and_then(Json::as_object);
        let mut additional = Vec::new();
        let mut names: Vec<&String> = map.keys().collect();
        names.sort_unstable();
        for name in names {
            let value = &map[name];
            let mut seen = false;
            let named = known.and_then(|known| known.get(name)).into_iter();
            let matched = patterns.iter().filter(|(pattern, _)| pattern.is_match(name)).map(|(_, schema)| *schema);
            for schema in named.chain(matched) {
                seen = true;
                failures.extend(self.below(schema, value, name).err());
            }
            match rules.get("additionalProperties") {
                Some(Json::Bool(false)) if !seen => additional.push(name.as_str()),
                Some(schema) if !seen => {
                    seen = true;
                    failures.extend(self.below(schema, value, name).err());
                }
                _ => {}
            }
            if seen {
                unseen.properties.remove(name);
            }
        }
        if !additional.is_empty() {
            failures.push(self.fail(format!("additional properties {} not allowed", quote_all(additional))));
        }
    }

    fn array(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        items: &[Json],
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        self.limits(rules, items.len(), "minItems", "maxItems", failures);
        if rules.get("uniqueItems") == Some(&Json::Bool(true))
            && let Some((first, second)) = duplicate(items)
        {
            failures.push(self.fail(format!("items at {first} and {second} are equal")));
        }
        let (first, rest) = if self.document.draft < 2020 {
            match rules.get("items") {
                Some(Json::Array(first)) => (first.as_slice(), rules.get("additionalItems")),
                all => (&[][..], all),
            }
        } else {
            let first = rules.get("prefixItems").and_then(Json::as_array);
            (first.map_or(&[][..], Vec::as_slice), rules.get("items"))
        };
        for (index, (schema, item)) in first.iter().zip(items).enumerate() {
            unseen.items.remove(&index);
            failures.extend(self.below(schema, item, index).err());
        }
        let extra = items.len().saturating_sub(first.len());
        match rest {
            Some(Json::Bool(false)) if self.document.draft < 2020 && !first.is_empty() && extra == 0 => {}
            Some(Json::Bool(false)) if self.document.draft < 2020 && !first.is_empty() => {
                failures.push(self.fail(format!("last {} additionalItem(s) not allowed", count(extra))));
            }
            Some(schema) => {
                for (index, item) in items.iter().enumerate().skip(first.len()) {
                    unseen.items.remove(&index);
                    failures.extend(self.below(schema, item, index).err());
                }
            }
            None => {}
        }
        if let Some(schema) = rules.get("contains") {
            self.contains(rules, schema, items, unseen, failures);
        }
    }

    fn contains(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        schema: &'s Json,
        items: &[Json],
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        let (mut matched, mut causes) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match self.below(schema, item, index) {
                Err(failure) => causes.push(failure),
                Ok(()) => {
                    matched.push(index.to_string());
                    if self.document.draft >= 2020 {
                        unseen.items.remove(&index);
                    }
                }
            }
        }
        let found = matched.len();
        let at = format!("matched {} items at {}", count(found), matched.join(" "));
        match size(rules, "minContains") {
            Some(least) if found < least => {
                let but = if found == 0 { "none matched".to_owned() } else { at.clone() };
                let words = format!("min {} items required to match contains schema, but {but}", count(least));
                failures.push(self.fail_because(&words, causes));
            }
            None if found == 0 => failures.push(self.fail_because("no items match contains schema", causes)),
            _ => {}
        }
        if let Some(most) = size(rules, "maxContains").filter(|most| found > *most) {
            let most = count(most);
            failures.push(self.fail(format!("max {most} items required to match contains schema, but {at}")));
        }
    }

    fn limits(
        &self,
        rules: &JsonMap<String, Json>,
        found: usize,
        least: &str,
        most: &str,
        failures: &mut Vec<Failure>,
    ) {
        for (keyword, broken) in [
            (least, size(rules, least).is_some_and(|least| found < least)),
            (most, size(rules, most).is_some_and(|most| found > most)),
        ] {
            if broken {
                let wanted = size(rules, keyword).unwrap_or_default();
                failures.push(self.fail(format!("{keyword}: got {}, want {}", count(found), count(wanted))));
            }
        }
    }

    fn text(&self, rules: &JsonMap<String, Json>, text: &str, failures: &mut Vec<Failure>) {
        self.limits(rules, text.chars().count(), "minLength", "maxLength", failures);
        if let Some(Json::String(pattern)) = rules.get("pattern") {
            match regex::Regex::new(pattern) {
                Ok(regex) if regex.is_match(text) => {}
                Ok(_) => {
                    failures.push(self.fail(format!("{} does not match pattern {}", quote(text), quote(pattern))));
                }
                Err(_) => failures.push(self.fail(format!("{} is not valid regex", quote(pattern)))),
            }
        }
    }

    fn number(&self, rules: &JsonMap<String, Json>, found: f64, failures: &mut Vec<Failure>) {
        let exclusive = |keyword: &str| rules.get(keyword) == Some(&Json::Bool(true));
        let limit = |keyword: &str| rules.get(keyword).and_then(Json::as_f64);
        let (least, most) = (limit("minimum"), limit("maximum"));
        let (over, under) = (
            if exclusive("exclusiveMinimum") { least } else { limit("exclusiveMinimum") },
            if exclusive("exclusiveMaximum") { most } else { limit("exclusiveMaximum") },
        );
        type Rule = (&'static str, Option<f64>, fn(f64, f64) -> bool);
        let rules: [Rule; 4] = [
            ("minimum", least.filter(|_| !exclusive("exclusiveMinimum")), |found, want| found < want),
            ("maximum", most.filter(|_| !exclusive("exclusiveMaximum")), |found, want| found > want),
            ("exclusiveMinimum", over, |found, want| found <= want),
            ("exclusiveMaximum", under, |found, want| found >= want),
        ];
        for (keyword, wanted, broken) in rules {
            if let Some(wanted) = wanted.filter(|wanted| broken(found, *wanted)) {
                failures.push(self.fail(format!("{keyword}: got {}, want {}", number(found), number(wanted))));
            }
        }
        if let Some(wanted) = limit("multipleOf").filter(|wanted| *wanted != 0.0) {
            let quotient = found / wanted;
            if (quotient - quotient.round()).abs() > 1e-9 * quotient.abs().max(1.0) {
                failures.push(self.fail(format!("multipleOf: got {}, want {}", number(found), number(wanted))));
            }
        }
    }

    fn combinations(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        value: &Json,
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        if let Some(schema) = rules.get("not")
            && self.schema(schema, value).is_ok()
        {
            failures.push(self.fail("'not' failed"));
        }
        if let Some(Json::Array(schemas)) = rules.get("allOf") {
            let mut causes = Vec::new();
            schemas.iter().for_each(|schema| gather(self.schema(schema, value), unseen, &mut causes));
            if !causes.is_empty() {
                failures.push(self.fail_because("'allOf' failed", causes));
            }
        }
        if let Some(Json::Array(schemas)) = rules.get("anyOf") {
            let mut causes = Vec::new();
            schemas.iter().for_each(|schema| gather(self.schema(schema, value), unseen, &mut causes));
            if causes.len() == schemas.len() {
                failures.push(self.fail_because("'anyOf' failed", causes));
            }
        }
        if let Some(Json::Array(schemas)) = rules.get("oneOf") {
            self.one_of(schemas, value, unseen, failures);
        }
        if let Some(condition) = rules.get("if") {
            let outcome = self.schema(condition, value);
            let branch = if outcome.is_ok() { "then" } else { "else" };
            gather(outcome, unseen, &mut Vec::new());
            if let Some(schema) = rules.get(branch) {
                gather(self.schema(schema, value), unseen, failures);
            }
        }
    }

    fn one_of(&mut self, schemas: &'s [Json], value: &Json, unseen: &mut Unseen, failures: &mut Vec<Failure>) {
        let (mut matched, mut causes) = (None, Vec::new());
        for (index, schema) in schemas.iter().enumerate() {
            match (self.schema(schema, value), matched) {
                (Err(failure), _) => causes.push(failure),
                (Ok(seen), None) => {
                    unseen.and(&seen);
                    matched = Some(index);
                }
                (Ok(_), Some(first)) => {
                    failures.push(self.fail(format!("'oneOf' failed, subschemas {first}, {index} matched")));
                    return;
                }
            }
        }
        if matched.is_none() {
            failures.push(self.fail_because("'oneOf' failed, none matched", causes));
        }
    }

    fn unevaluated(
        &mut self,
        rules: &'s JsonMap<String, Json>,
        value: &Json,
        unseen: &mut Unseen,
        failures: &mut Vec<Failure>,
    ) {
        if let (Json::Object(map), Some(schema)) = (value, rules.get("unevaluatedProperties")) {
            for name in std::mem::take(&mut unseen.properties) {
                failures.extend(self.below(schema, &map[&name], &name).err());
            }
        }
        if let (Json::Array(items), Some(schema)) = (value, rules.get("unevaluatedItems")) {
            for index in std::mem::take(&mut unseen.items) {
                failures.extend(self.below(schema, &items[index], index).err());
            }
        }
    }
}

/// Notes what another schema of the same value has looked at, or why it failed.
fn gather(outcome: Outcome, unseen: &mut Unseen, failures: &mut Vec<Failure>) {
    match outcome {
        Ok(seen) => unseen.and(&seen),
        Err(failure) => failures.push(failure),
    }
}

fn entries<'s>(rules: &'s JsonMap<String, Json>, keyword: &str) -> impl Iterator<Item = (&'s String, &'s Json)> {
    rules.get(keyword).and_then(Json::as_object).into_iter().flatten()
}

fn missing_from<'s>(map: &JsonMap<String, Json>, required: Option<&'s Json>) -> Vec<&'s str> {
    let required = required.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    required.filter(|name| !map.contains_key(*name)).collect()
}

fn size(rules: &JsonMap<String, Json>, keyword: &str) -> Option<usize> {
    let size = rules.get(keyword)?.as_f64().filter(|size| *size >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; the cast saturates")]
    Some(size as usize)
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// Equality in which `1` and `1.0` are the same.
fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn duplicate(items: &[Json]) -> Option<(usize, usize)> {
    let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        // Numbers that are equal are written alike once whole floats lose their `.0`.
        let key = canonical(item).to_string();
        if let Some(first) = seen.insert(key, index) {
            return Some((first, index));
        }
    }
    None
}

fn canonical(value: &Json) -> Json {
    match value {
        Json::Number(number) => number.as_f64().map_or_else(|| value.clone(), Json::from),
        Json::Array(items) => items.iter().map(canonical).collect(),
        Json::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            sorted
                .into_iter()
                .map(|(key, value)| Json::Array(vec![Json::from(key.as_str()), canonical(value)]))
                .collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
