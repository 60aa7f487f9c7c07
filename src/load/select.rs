//! Which namespaces a template list fills: names, anchored regular expressions, exclusions and label selectors.
//!
//! `*` alone stands for all but the system's namespaces; a regular expression says exactly what it says, so `.*` matches
//! those as well.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::fields::{Fault, Fields, below, path_text, what};
use crate::yaml::Step;

/// A name, a regular expression that must match a whole name, or `*`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    AllButSystem,
    Name,
    Regex(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Reads one pattern.
    ///
    /// # Errors
    /// The text is no regular expression; the message says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let matcher = if text == "*" {
            Matcher::AllButSystem
        } else if plain {
            Matcher::Name
        } else if text.is_empty() {
            return Err("is empty".to_owned());
        } else {
            Matcher::Regex(Regex::new(&format!("^(?:{text})$")).map_err(|error| reason(text, &error))?)
        };
        Ok(Pattern { text: text.to_owned(), matcher })
    }

    /// Whether a name matches; `system` says that it is a namespace of the system.
    pub fn matches(&self, name: &str, system: bool) -> bool {
        match &self.matcher {
            Matcher::AllButSystem => !system,
            Matcher::Name => self.text == name,
            Matcher::Regex(regex) => regex.is_match(name),
        }
    }

    /// The name, when the pattern is a plain one.
    pub fn name(&self) -> Option<&str> {
        matches!(self.matcher, Matcher::Name).then_some(self.text.as_str())
    }
}

/// The crate's message is a drawing over several lines; its last one says what is wrong.
fn reason(text: &str, error: &regex::Error) -> String {
    let all = match Regex::new(text) {
        Err(own) => own.to_string(),
        Ok(_) => error.to_string(),
    };
    let last = all.lines().last().unwrap_or_default().trim();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    format!("is no regular expression: {last}")
}

/// A Kubernetes label selector: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selector {
    labels: BTreeMap<String, String>,
    expressions: Vec<Expression>,
}

#[derive(Debug, Clone, PartialEq)]
struct Expression {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether labels meet every condition.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|expression| expression.matches(labels))
    }

    pub(super) fn read(value: &Value, path: &[Step], faults: &mut Vec<Fault>) -> Self {
        let mut selector = Selector::default();
        let Some(mut fields) = Fields::open(value, path, faults) else { return selector };
        if let Some(labels) = fields.take("matchLabels") {
            let path = fields.path("matchLabels");
            match labels.as_object() {
                Some(labels) => {
                    for (key, value) in labels {
                        match value.as_str() {
                            Some(text) => drop(selector.labels.insert(key.clone(), text.to_owned())),
                            None => {
                                let path = super::fields::key(&path, key);
                                let message =
                                    format!("{}: a label is a text, this is {}", path_text(&path), what(value));
                                fields.faults().push(Fault::error(&path, message, "put it in quotes"));
                            }
                        }
                    }
                }
                None => fields.fault("matchLabels", format!("expected a mapping, this is {}", what(labels)), ""),
            }
        }
        let expressions = fields.list("matchExpressions").map(Vec::as_slice).unwrap_or_default();
        for (index, value) in expressions.iter().enumerate() {
            let path = below(&fields.path("matchExpressions"), Step::Index(index));
            selector.expressions.extend(Expression::read(value, &path, fields.faults()));
        }
        fields.end();
        selector
    }
}

impl Expression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            // As in Kubernetes, a label that is absent is not in any list.
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }

    fn read(value: &Value, path: &[Step], faults: &mut Vec<Fault>) -> Option<Self> {
        const OPERATORS: [(&str, Operator); 4] = [
            ("In", Operator::In),
            ("NotIn", Operator::NotIn),
            ("Exists", Operator::Exists),
            ("DoesNotExist", Operator::DoesNotExist),
        ];
        let mut fields = Fields::open(value, path, faults)?;
        let key = fields.text("key").map(str::to_owned);
        let operator = fields.word("operator", &OPERATORS);
        let values = fields.texts("values").unwrap_or_default();
        let values: Vec<String> = values.into_iter().map(str::to_owned).collect();
        if key.is_none() && !fields.has("key") {
            fields.fault("key", "missing", "write the label's name");
        }
        if operator.is_none() && !fields.has("operator") {
            fields.fault("operator", "missing", "one of In, NotIn, Exists, DoesNotExist");
        }
        if matches!(operator, Some(Operator::In | Operator::NotIn)) && values.is_empty() {
            fields.fault("values", "missing: In and NotIn need at least one", "");
        }
        if matches!(operator, Some(Operator::Exists | Operator::DoesNotExist)) && !values.is_empty() {
            fields.fault("values", "not allowed: Exists and DoesNotExist take none", "remove it");
        }
        fields.end();
        Some(Expression { key: key?, operator: operator?, values })
    }
}

/// All conditions on a namespace; every one that is given must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Select {
    /// Names and patterns of which one must match; `None`: not asked.
    pub names: Option<Vec<Pattern>>,
    /// Names and patterns of which none may match.
    pub exclude: Vec<Pattern>,
    /// Condition on the namespace's labels.
    pub selector: Option<Selector>,
}

impl Select {
    /// Everything but the system's namespaces.
    pub fn all() -> Self {
        let all = Pattern { text: "*".to_owned(), matcher: Matcher::AllButSystem };
        Select { names: Some(vec![all]), ..Select::default() }
    }

    /// Whether nothing is asked.
    pub fn is_open(&self) -> bool {
        self.names.is_none() && self.exclude.is_empty() && self.selector.is_none()
    }

    /// Whether a namespace meets every condition that is given.
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>, system: bool) -> bool {
        let named = match &self.names {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(name, system)),
            None => true,
        };
        named
            && !self.exclude.iter().any(|pattern| pattern.matches(name, system))
            && self.selector.as_ref().is_none_or(|selector| selector.matches(labels))
    }

    /// Reads `namespaces`, `exclude` and `selector` of a list or of one of its templates.
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Self {
        let names = fields.list("namespaces").map(|list| patterns(fields, "namespaces", list));
        let exclude = fields.list("exclude").map(|list| patterns(fields, "exclude", list)).unwrap_or_default();
        let selector = fields.take("selector").map(|value| {
            let path = fields.path("selector");
            Selector::read(value, &path, fields.faults())
        });
        Select { names, exclude, selector }
    }
}

fn patterns(fields: &mut Fields<'_, '_>, name: &str, list: &[Value]) -> Vec<Pattern> {
    let path = fields.path(name);
    let mut patterns = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let path = below(&path, Step::Index(index));
        match value.as_str() {
            Some(text) => patterns.extend(pattern(text, &path, fields.faults())),
            None => {
                let message = format!("{}: expected a text, this is {}", path_text(&path), what(value));
                fields.faults().push(Fault::error(&path, message, "put it in quotes"));
            }
        }
    }
    patterns
}

/// Reads one pattern; what is wrong or looks like a slip becomes a fault.
pub(super) fn pattern(text: &str, path: &[Step], faults: &mut Vec<Fault>) -> Option<Pattern> {
    match Pattern::new(text) {
        Ok(pattern) => {
            // `dev-*` is a shell's pattern: as a regular expression it matches `dev`, `dev-` and `dev--`.
            if text.len() > 1 && text.ends_with("-*") {
                let head = text.trim_end_matches('*');
                let message = format!("{}: `{text}` matches `{head}`, not `{head}a`", path_text(path));
                faults.push(Fault::warning(path, message, format!("these are regular expressions: write `{head}.*`")));
            }
            Some(pattern)
        }
        Err(reason) => {
            let hint = if text.starts_with('*') { format!("write `.{text}`, or `*` alone") } else { String::new() };
            faults.push(Fault::error(path, format!("{}: `{text}` {reason}", path_text(path)), hint));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> (Select, Vec<String>) {
        let mut faults = Vec::new();
        let mut fields = Fields::open(value, &[], &mut faults).unwrap();
        let select = Select::read(&mut fields);
        fields.end();
        (select, faults.into_iter().map(|fault| fault.message).collect())
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn patterns_match_whole_names() {
        let (select, faults) = read(&json!({"namespaces": ["dev-.*", "alice", "a|b"], "exclude": ["dev-x"]}));
        assert_eq!(faults, [""; 0]);
        let matched: Vec<&str> = ["dev-a", "dev-", "my-dev-a", "alice", "alice2", "a", "b", "ab", "dev-x"]
            .into_iter()
            .filter(|name| select.matches(name, &BTreeMap::new(), false))
            .collect();
        assert_eq!(matched, ["dev-a", "dev-", "alice", "a", "b"]);
    }

    #[test]
    fn a_star_alone_spares_the_system() {
        let (star, _) = read(&json!({"namespaces": ["*"]}));
        assert!(star.matches("dev", &BTreeMap::new(), false));
        assert!(!star.matches("kube-system", &BTreeMap::new(), true));
        let (regex, _) = read(&json!({"namespaces": [".*"]}));
        assert!(regex.matches("kube-system", &BTreeMap::new(), true));
    }

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let (select, faults) = read(&json!({"selector": {
            "matchLabels": {"team": "a"},
            "matchExpressions": [
                {"key": "stage", "operator": "NotIn", "values": ["prod"]},
                {"key": "frozen", "operator": "DoesNotExist"},
            ],
        }}));
        assert_eq!(faults, [""; 0]);
        assert!(select.matches("x", &labels(&[("team", "a")]), false));
        assert!(select.matches("x", &labels(&[("team", "a"), ("stage", "dev")]), false));
        assert!(!select.matches("x", &labels(&[("team", "a"), ("stage", "prod")]), false));
        assert!(!select.matches("x", &labels(&[("team", "a"), ("frozen", "")]), false));
        assert!(!select.matches("x", &labels(&[]), false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (_, faults) = read(&json!({
            "namespaces": ["dev-(", "*-dev", "dev-*", 7, ""],
            "selector": {"matchLabels": {"a": 1}, "matchExpressions": [{"key": "a", "operator": "in"}], "matchLabel": {}},
        }));
        assert_eq!(
            faults,
            [
                "namespaces[0]: `dev-(` is no regular expression: unclosed group",
                "namespaces[1]: `*-dev` is no regular expression: repetition operator missing expression",
                "namespaces[2]: `dev-*` matches `dev-`, not `dev-a`",
                "namespaces[3]: expected a text, this is a number",
                "namespaces[4]: `` is empty",
                "selector.matchLabels.a: a label is a text, this is a number",
                "selector.matchExpressions[0].operator: `in` is none of In, NotIn, Exists, DoesNotExist",
                "selector.matchLabel: unknown field",
            ]
        );
    }
}
