//! Which objects a patch is for.

use regex::Regex;
use serde_json::Value;

use super::resources::Resource;
use super::spec::Target;

/// A target that is ready to match.
pub(super) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

impl Selector {
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let anchored = |field: &str, pattern: &str| {
            if pattern.is_empty() {
                return Ok(None);
            }
            let regex = Regex::new(&format!("^(?:{pattern})$"));
            regex.map(Some).map_err(|error| format!("target.{field}: {error}"))
        };
        Ok(Selector {
            group: anchored("group", &target.group)?,
            version: anchored("version", &target.version)?,
            kind: anchored("kind", &target.kind)?,
            name: anchored("name", &target.name)?,
            namespace: anchored("namespace", &target.namespace)?,
            labels: parse(&target.label_selector).map_err(|error| format!("target.labelSelector: {error}"))?,
            annotations: parse(&target.annotation_selector)
                .map_err(|error| format!("target.annotationSelector: {error}"))?,
        })
    }

    pub(super) fn matches(&self, resource: &Resource) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let gvk = resource.gvk();
        let (original, current) = (resource.original(), resource.id());
        let metadata = &resource.value["metadata"];
        (fits(&self.namespace, original.effective_namespace()) || fits(&self.namespace, current.effective_namespace()))
            && (fits(&self.name, &original.name) || fits(&self.name, &current.name))
            && fits(&self.group, &gvk.group)
            && fits(&self.version, &gvk.version)
            && fits(&self.kind, &gvk.kind)
            && self.labels.iter().all(|one| one.holds(&metadata["labels"]))
            && self.annotations.iter().all(|one| one.holds(&metadata["annotations"]))
    }
}

/// One comma-separated part of a label selector.
#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    /// Greater (true) or less than a whole number.
    Compare(String, bool, i64),
}

impl Requirement {
    fn holds(&self, entries: &Value) -> bool {
        let get = |key: &String| entries.get(key).and_then(Value::as_str);
        match self {
            Requirement::Exists(key) => get(key).is_some(),
            Requirement::Absent(key) => get(key).is_none(),
            Requirement::In(key, values) => get(key).is_some_and(|text| values.iter().any(|value| value == text)),
            Requirement::NotIn(key, values) => get(key).is_none_or(|text| values.iter().all(|value| value != text)),
            Requirement::Compare(key, greater, limit) => get(key)
                .and_then(|text| text.parse::<i64>().ok())
                .is_some_and(|number| if *greater { number > *limit } else { number < *limit }),
        }
    }
}

/// Reads a label selector in the grammar of the API: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut requirements = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (requirement, after) = requirement(rest)?;
        requirements.push(requirement);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) if !after.trim().is_empty() => rest = after.trim_start(),
            None if rest.is_empty() => {}
            _ => {
                return Err(format!("{text:?} is not a selector: a comma and one more condition expected at {rest:?}"));
            }
        }
    }
    Ok(requirements)
}

fn requirement(text: &str) -> Result<(Requirement, &str), String> {
    if let Some(rest) = text.strip_prefix('!') {
        let (key, rest) = word(rest.trim_start())?;
        return Ok((Requirement::Absent(key), rest));
    }
    let (key, rest) = word(text)?;
    let rest = rest.trim_start();
    for (operator, negative) in [("==", false), ("!=", true), ("=", false)] {
        if let Some(rest) = rest.strip_prefix(operator) {
            let (value, rest) = value(rest.trim_start());
            let values = vec![value];
            return Ok((if negative { Requirement::NotIn(key, values) } else { Requirement::In(key, values) }, rest));
        }
    }
    for (operator, greater) in [(">", true), ("<", false)] {
        if let Some(rest) = rest.strip_prefix(operator) {
            let (number, rest) = value(rest.trim_start());
            let number = number.parse().map_err(|_| format!("{number:?} is not a whole number"))?;
            return Ok((Requirement::Compare(key, greater, number), rest));
        }
    }
    for (operator, negative) in [("in", false), ("notin", true)] {
        let after = rest.strip_prefix(operator).map(str::trim_start);
        if let Some(list) = after.and_then(|after| after.strip_prefix('(')) {
            let (values, rest) = list.split_once(')').ok_or_else(|| "a list lacks its `)`".to_owned())?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            return Ok((if negative { Requirement::NotIn(key, values) } else { Requirement::In(key, values) }, rest));
        }
    }
    Ok((Requirement::Exists(key), rest))
}

fn value(text: &str) -> (String, &str) {
    let end = text.find(|character: char| character == ',' || character.is_whitespace()).unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

fn word(text: &str) -> Result<(String, &str), String> {
    let end = text.find(|character: char| " \t,=!<>()".contains(character)).unwrap_or(text.len());
    if end == 0 { Err(format!("a key is expected at {text:?}")) } else { Ok((text[..end].to_owned(), &text[end..])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_hold_as_in_the_api() {
        let labels = json!({"a": "b", "n": "5", "empty": ""});
        for (selector, holds) in [
            ("", true),
            ("a=b", true),
            ("a==b,n=5", true),
            ("a!=b", false),
            ("missing!=b", true),
            ("a in (x, b)", true),
            ("a notin (x,b)", false),
            ("missing notin (x)", true),
            ("a", true),
            ("!a", false),
            ("!missing", true),
            ("n>4,n<6", true),
            ("n>5", false),
            ("empty=", true),
            (" a = b , n ", true),
        ] {
            let requirements = parse(selector).unwrap();
            assert_eq!(requirements.iter().all(|one| one.holds(&labels)), holds, "{selector:?}");
        }
        for broken in ["a=b,", "=b", "a in (b", "a b", "n>x", ",a"] {
            assert!(parse(broken).is_err(), "{broken:?}");
        }
    }
}
