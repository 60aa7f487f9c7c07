//! Judges kinds by rules that are data: CEL expressions, one for each status, users' own before the compiled-in ones.
//!
//! ```yaml
//! - {group: example.com, kind: Database, degraded: c.Ready == "False" && s.phase == "Failed", healthy: c.Ready == "True"}
//! ```
//! The expressions are asked in the order suspended, degraded, progressing, healthy, missing, unknown; the first that is
//! true decides. A comparison with a missing field or a wrong type is false, never an error: `s.ready != true` needs the
//! field, `!(s.ready == true)` does not. Variables:
//!
//! | name | is |
//! |---|---|
//! | `o`, `sp`, `s` | the object, its spec, its status (empty when absent) |
//! | `c.X`, `r.X`, `m.X` | status, reason and message of condition X, `""` when absent; `c["a/b"]` for other names |
//! | `cs` | the conditions as a list of `{type, status, reason, message}`, every field a text |
//! | `g`, `og` | generation, and the observed one (`g` when absent) |
//!
//! `a.?b.orValue(0)` reads a field that may be absent; the functions of Kubernetes' CEL are there.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::cel::{Expression, Facts};
use super::fields::has_status;
use super::{Health, Status};
use crate::object::Object;

/// The rules that come with bowline, as text: commented, in the order in which they are tried.
pub const BUILT_IN: &str = include_str!("rules.yaml");

/// A list of rules; the first that names the kind of an object judges it.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
}

/// Why a rule of a user cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("health[{rule}]{}: {message}", if field.is_empty() { String::new() } else { format!(".{field}") })]
pub struct RuleError {
    /// Which entry of the list, from 0.
    pub rule: usize,
    /// Which field of it; empty when it is the entry as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// The expressions of a rule in the order in which they are asked.
const ASKED: [(&str, Status); 6] = [
    ("suspended", Status::Suspended),
    ("degraded", Status::Degraded),
    ("progressing", Status::Progressing),
    ("healthy", Status::Healthy),
    ("missing", Status::Missing),
    ("unknown", Status::Unknown),
];

/// What happens when no expression is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Is(Status),
    Generic,
}

#[derive(Debug)]
struct Rule {
    groups: Vec<String>,
    kinds: Vec<String>,
    asked: Vec<(Status, Expression)>,
    message: Option<Expression>,
    otherwise: Otherwise,
    any_generation: bool,
}

impl Rules {
    /// Reads a `health:` list; every error of every rule is reported.
    ///
    /// # Errors
    /// A rule without group or kind, an unknown field, a value of a wrong type, an expression that is no CEL.
    ///
    /// ```
    /// use bowline::health::Rules;
    /// let rules = serde_json::json!([{"group": "example.com", "kind": "Database", "healthy": "s.phase =="}]);
    /// assert_eq!(Rules::parse(&rules).unwrap_err()[0].field, "healthy");
    /// ```
    pub fn parse(list: &Value) -> Result<Self, Vec<RuleError>> {
        let (rules, mut errors) = Self::read(list);
        for (index, rule) in &rules {
            for (field, expression) in rule.expressions() {
                if let Some(message) = expression.error() {
                    errors.push(RuleError { rule: *index, field: field.to_owned(), message: message.to_owned() });
                }
            }
        }
        errors.sort_by_key(|error| error.rule);
        if errors.is_empty() { Ok(Self::of(rules)) } else { Err(errors) }
    }

    fn of(rules: Vec<(usize, Rule)>) -> Self {
        Rules { rules: rules.into_iter().map(|(_, rule)| Arc::new(rule)).collect() }
    }

    /// Reads a list without compiling its expressions: the rules with their places in the list, and what is wrong.
    fn read(list: &Value) -> (Vec<(usize, Rule)>, Vec<RuleError>) {
        let Some(entries) = list.as_array() else {
            let message = "must be a list of rules".to_owned();
            return (Vec::new(), vec![RuleError { rule: 0, field: String::new(), message }]);
        };
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (rule, entry) in entries.iter().enumerate() {
            match Rule::read(entry) {
                Ok(read) => rules.push((rule, read)),
                Err(found) => errors.extend(found.into_iter().map(|(field, message)| RuleError {
                    rule,
                    field: field.to_owned(),
                    message,
                })),
            }
        }
        (rules, errors)
    }

    /// These rules first, then others: how the settings of a folder stand before those of the folders above it.
    #[must_use]
    pub fn before(mut self, others: &Rules) -> Self {
        self.rules.extend(others.rules.iter().cloned());
        self
    }

    /// Whether a rule names this kind.
    pub fn names(&self, group: &str, kind: &str) -> bool {
        self.find(group, kind).is_some()
    }

    fn find(&self, group: &str, kind: &str) -> Option<&Rule> {
        self.rules.iter().map(Arc::as_ref).find(|rule| rule.names(group, kind))
    }

    /// Whether a rule wants to be asked although the status is of an older generation.
    pub(super) fn any_generation(&self, object: &Object) -> bool {
        let gvk = object.gvk();
        self.find(&gvk.group, &gvk.kind).is_some_and(|rule| rule.any_generation)
    }

    /// What the rule of the object's kind says; `None` when there is no rule, or it leaves the object to the generic one.
    pub(super) fn judge(&self, object: &Object) -> Verdict {
        let gvk = object.gvk();
        match self.find(&gvk.group, &gvk.kind) {
            Some(rule) => rule.judge(object).map_or(Verdict::Generic, Verdict::Is),
            None => Verdict::NoRule,
        }
    }
}

/// What a list of rules says about an object.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A rule decided.
    Is(Health),
    /// No expression of its rule was true.
    Generic,
    /// No rule names the kind.
    NoRule,
}

/// The compiled-in rules; each expression is compiled when it is first asked.
pub(super) fn built_in() -> &'static Rules {
    static RULES: LazyLock<Rules> = LazyLock::new(|| {
        let list = crate::yaml::read(BUILT_IN.as_bytes(), &crate::yaml::Options::manifests()).unwrap_or_default();
        Rules::of(Rules::read(&list).0)
    });
    &RULES
}

impl Rule {
    fn read(entry: &Value) -> Result<Self, Vec<(&'static str, String)>> {
        let Some(fields) = entry.as_object() else {
            return Err(vec![("", "a rule is a mapping with group, kind and expressions".to_owned())]);
        };
        let mut errors = Vec::new();
        for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            errors.push(("", format!("unknown field {name}; there are {}", FIELDS.join(", "))));
        }
        let texts = |name: &str| texts_of(fields, name);
        let groups = texts("group").filter(|groups| !groups.is_empty());
        if groups.is_none() {
            errors.push((
                "group",
                "must be the API group of the kind, empty for the core group; *.example.com".to_owned(),
            ));
        }
        let kinds = texts("kind").filter(|kinds| !kinds.is_empty() && kinds.iter().all(|kind| !kind.is_empty()));
        if kinds.is_none() {
            errors.push(("kind", "must be a kind, a list of kinds, or * for all of the group".to_owned()));
        }
        let mut expression = |name: &'static str| match fields.get(name) {
            None => None,
            Some(Value::String(text)) => Some(Expression::new(text)),
            Some(Value::Bool(truth)) => Some(Expression::new(&truth.to_string())),
            Some(_) => {
                errors.push((name, "must be a CEL expression, as a text".to_owned()));
                None
            }
        };
        let asked = ASKED.into_iter().filter_map(|(name, status)| Some((status, expression(name)?))).collect();
        let message = expression("message");
        let otherwise = otherwise_of(fields).unwrap_or_else(|message| {
            errors.push(("otherwise", message));
            Otherwise::Generic
        });
        match (groups, kinds) {
            (Some(groups), Some(kinds)) if errors.is_empty() => {
                let any_generation = fields.get("anyGeneration").and_then(Value::as_bool).unwrap_or(false);
                Ok(Rule { groups, kinds, asked, message, otherwise, any_generation })
            }
            _ => Err(errors),
        }
    }

    fn names(&self, group: &str, kind: &str) -> bool {
        let same_group = self.groups.iter().any(|own| match own.strip_prefix('*') {
            Some(ending) => group.ends_with(ending),
            None => own == group,
        });
        same_group && self.kinds.iter().any(|own| own == "*" || own == kind)
    }

    fn expressions(&self) -> impl Iterator<Item = (&'static str, &Expression)> {
        let name = |status: &Status| ASKED.iter().find(|(_, asked)| asked == status).map_or("", |(name, _)| *name);
        let asked = self.asked.iter().map(move |(status, expression)| (name(status), expression));
        asked.chain(self.message.iter().map(|message| ("message", message)))
    }

    fn judge(&self, object: &Object) -> Option<Health> {
        let facts = Facts::of(object);
        let (status, words) = match self.asked.iter().find(|(_, expression)| expression.is_true(&facts)) {
            Some((status, expression)) => (*status, expression.words(&facts)),
            None => {
                let Otherwise::Is(status) = self.otherwise else { return None };
                let words = self.asked.iter().map(|(_, asked)| asked.words(&facts)).find(|words| !words.is_empty());
                (status, words.unwrap_or_default())
            }
        };
        let own = self.message.as_ref().and_then(|message| message.text(&facts));
        Some(Health::new(
            status,
            match own.unwrap_or(words) {
                words if words.is_empty() && status != Status::Healthy && !has_status(object) => {
                    "no status yet".to_owned()
                }
                words => words,
            },
        ))
    }
}

/// The fields of a rule.
const FIELDS: [&str; 11] = [
    "group",
    "kind",
    "suspended",
    "degraded",
    "progressing",
    "healthy",
    "missing",
    "unknown",
    "message",
    "otherwise",
    "anyGeneration",
];

/// A text or a list of texts.
fn texts_of(fields: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    match fields.get(name)? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn otherwise_of(fields: &Map<String, Value>) -> Result<Otherwise, String> {
    let Some(value) = fields.get("otherwise") else { return Ok(Otherwise::Generic) };
    match value.as_str() {
        Some("Generic") => Ok(Otherwise::Generic),
        Some(word) if ASKED.iter().any(|(_, status)| status.to_string() == word) => {
            let (_, status) = ASKED.into_iter().find(|(_, status)| status.to_string() == word).unwrap_or(ASKED[5]);
            Ok(Otherwise::Is(status))
        }
        _ => Err("must be Generic, Suspended, Degraded, Progressing, Healthy, Missing or Unknown".to_owned()),
    }
}
