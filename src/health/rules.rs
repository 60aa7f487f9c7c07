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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, OnceLock};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::common::ast::operators::{
    CONDITIONAL, INDEX, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, OPT_INDEX, OPT_SELECT,
};
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value as Cel};
use serde_json::{Map, Value};

use super::fields::{conditions, has_status, integer};
use super::{Health, Status};
use crate::object::Object;

/// The rules that come with bowline, as text: commented, in the order in which they are tried.
pub const BUILT_IN: &str = include_str!("rules.yaml");

/// A list of rules; the first that names the kind of an object judges it.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    with_status: BTreeSet<(String, String)>,
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
                if let Err(message) = expression.compiled() {
                    errors.push(RuleError { rule: *index, field: field.to_owned(), message: message.clone() });
                }
            }
        }
        errors.sort_by_key(|error| error.rule);
        if errors.is_empty() { Ok(Self::of(rules)) } else { Err(errors) }
    }

    fn of(rules: Vec<(usize, Rule)>) -> Self {
        Rules { rules: rules.into_iter().map(|(_, rule)| Arc::new(rule)).collect(), with_status: BTreeSet::new() }
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
        self.with_status.extend(others.with_status.iter().cloned());
        self
    }

    /// Names kinds (group, kind) whose definitions declare a status, so that one without a status is Progressing.
    #[must_use]
    pub fn with_status_of(mut self, kinds: impl IntoIterator<Item = (String, String)>) -> Self {
        self.with_status.extend(kinds);
        self
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
            None if self.with_status.contains(&(gvk.group, gvk.kind)) => Verdict::Generic,
            None => Verdict::NoRule,
        }
    }
}

/// What a list of rules says about an object.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A rule decided.
    Is(Health),
    /// The kind is known to have a status, and no expression of its rule was true.
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

/// What expressions see of one object.
struct Facts<'a> {
    object: &'a Object,
    conditions: BTreeMap<&'a str, [&'a str; 3]>,
}

impl<'a> Facts<'a> {
    fn of(object: &'a Object) -> Self {
        let mut found = BTreeMap::new();
        for condition in conditions(object) {
            found.entry(condition.kind).or_insert([condition.said, condition.reason, condition.message]);
        }
        Facts { object, conditions: found }
    }
}

/// A CEL expression, compiled when it is first needed.
#[derive(Debug)]
struct Expression {
    source: String,
    compiled: OnceLock<Result<Compiled, String>>,
}

#[derive(Debug)]
struct Compiled {
    root: IdedExpr,
    uses: Uses,
}

/// The longest expression; the parser goes as deep as its text asks for.
const LONGEST: usize = 4_096;

/// What an expression may name.
const VARIABLES: [&str; 9] = ["o", "sp", "s", "c", "r", "m", "cs", "g", "og"];

/// Which variables, conditions and status fields an expression names.
#[derive(Debug, Default)]
struct Uses {
    variables: BTreeSet<String>,
    bound: BTreeSet<String>,
    conditions: Vec<String>,
    status: Vec<Vec<String>>,
}

impl Expression {
    fn new(source: &str) -> Self {
        Expression { source: source.to_owned(), compiled: OnceLock::new() }
    }

    fn compiled(&self) -> &Result<Compiled, String> {
        self.compiled.get_or_init(|| {
            if self.source.len() > LONGEST {
                return Err(format!("is longer than {LONGEST} bytes"));
            }
            let parsed = Parser::default().enable_optional_syntax(true).parse(&self.source);
            let mut root = parsed.map_err(|errors| format!("is not a CEL expression: {errors}"))?;
            forgive(&mut root);
            let mut uses = Uses::default();
            uses.visit(&root);
            if let Some(unknown) =
                uses.variables.difference(&uses.bound).find(|name| !VARIABLES.contains(&name.as_str()))
            {
                return Err(format!("names an unknown variable `{unknown}`; there are {}", VARIABLES.join(", ")));
            }
            Ok(Compiled { root, uses })
        })
    }

    fn value(&self, facts: &Facts<'_>) -> Option<Cel> {
        let compiled = self.compiled().as_ref().ok()?;
        let mut scope = FUNCTIONS.new_inner_scope();
        compiled.uses.fill(&mut scope, facts);
        scope.resolve(&compiled.root).ok()
    }

    fn is_true(&self, facts: &Facts<'_>) -> bool {
        matches!(self.value(facts), Some(Cel::Bool(true)))
    }

    fn text(&self, facts: &Facts<'_>) -> Option<String> {
        match self.value(facts)? {
            Cel::String(text) if !text.is_empty() => Some(text.to_string()),
            _ => None,
        }
    }

    /// Words for a decision: the message of a condition it looked at, else the status field it looked at.
    fn words(&self, facts: &Facts<'_>) -> String {
        let Ok(compiled) = self.compiled().as_ref() else { return String::new() };
        let conditions =
            || compiled.uses.conditions.iter().filter_map(|kind| Some((kind, facts.conditions.get(kind.as_str())?)));
        if let Some((_, [_, _, message])) = conditions().find(|(_, [_, _, message])| !message.is_empty()) {
            return (*message).to_owned();
        }
        if let Some((kind, [status, reason, _])) = conditions().next() {
            return if reason.is_empty() { format!("{kind} is {status}") } else { format!("{kind}: {reason}") };
        }
        compiled.uses.status.iter().find_map(|path| status_words(facts.object, path)).unwrap_or_default()
    }
}

/// `status.phase is Failed`, with the message that stands beside it.
fn status_words(object: &Object, path: &[String]) -> Option<String> {
    let pointer = format!("/status/{}", path.join("/"));
    let word = match object.value().pointer(&pointer)? {
        Value::String(text) if text.len() > 40 && text.contains(' ') => return Some(text.clone()),
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let beside = ["/status/message", "/status/errorMessage", "/status/failureMessage", "/status/reason"]
        .into_iter()
        .filter(|message| *message != pointer)
        .map(|message| super::fields::text(object.value(), message))
        .find(|message| !message.is_empty());
    let beside = beside.map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("status.{} is {word}{beside}", path.join(".")))
}

/// The functions of CEL and of Kubernetes' additions.
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut functions = Context::default().with_all();
    functions.add_function(SURE, |call: &FunctionContext<'_, '_>| -> Result<Cel, ExecutionError> {
        let value = call.args.first().and_then(|argument| call.ptx.resolve(argument).ok());
        Ok(Cel::Bool(matches!(value, Some(Cel::Bool(true)))))
    });
    functions
});

/// A function no expression can name: its argument, or false where that meets a missing field.
const SURE: &str = "@sure";

/// Makes a parsed expression two-valued: what meets a missing field is false there and then, not an error of the whole.
///
/// The operands of `!`, `&&`, `||` and `?:` and the predicates of macros are wrapped in [`SURE`]; `a.?b` becomes `a[?"b"]`,
/// since the evaluator knows only that form for a missing b.
fn forgive(node: &mut IdedExpr) {
    match &mut node.expr {
        Expr::Select(select) => forgive(&mut select.operand),
        Expr::Call(call) => {
            if call.func_name == OPT_SELECT {
                call.func_name = OPT_INDEX.to_owned();
            }
            call.target.iter_mut().for_each(|target| forgive(target));
            call.args.iter_mut().for_each(forgive);
            let conditions = match call.func_name.as_str() {
                LOGICAL_NOT | CONDITIONAL => 1,
                LOGICAL_AND | LOGICAL_OR => 2,
                _ => 0,
            };
            call.args.iter_mut().take(conditions).for_each(make_sure);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(forgive),
        Expr::Comprehension(comprehension) => {
            forgive(&mut comprehension.iter_range);
            forgive(&mut comprehension.loop_step);
            forgive(&mut comprehension.result);
        }
        _ => {}
    }
}

fn make_sure(node: &mut IdedExpr) {
    let (id, own) = (node.id, std::mem::take(node));
    let call = CallExpr { func_name: SURE.to_owned(), target: None, args: vec![own] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}

impl Uses {
    fn visit(&mut self, node: &IdedExpr) {
        match &node.expr {
            Expr::Ident(name) => {
                self.variables.insert(name.clone());
            }
            Expr::Select(select) => {
                self.note_path(node);
                self.visit(&select.operand);
            }
            Expr::Call(call) => {
                self.note_path(node);
                call.target.iter().for_each(|target| self.visit(target));
                call.args.iter().for_each(|argument| self.visit(argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.visit(element)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.visit_entry(&entry.expr)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.visit_entry(&entry.expr)),
            Expr::Comprehension(comprehension) => {
                let second = comprehension.iter_var2.iter();
                self.bound
                    .extend([&comprehension.iter_var, &comprehension.accu_var].into_iter().chain(second).cloned());
                let parts = [
                    &comprehension.iter_range,
                    &comprehension.accu_init,
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ];
                parts.into_iter().for_each(|part| self.visit(part));
            }
            Expr::Unspecified | Expr::Literal(_) => {}
        }
    }

    fn visit_entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    fn note_path(&mut self, node: &IdedExpr) {
        let Some(mut path) = path_of(node) else { return };
        let variable = path.remove(0);
        match (variable.as_str(), path.as_slice()) {
            ("c" | "r" | "m", [kind]) if !self.conditions.contains(kind) => self.conditions.push(kind.clone()),
            ("s", [_, ..]) => self.status.push(path),
            _ => {}
        }
    }

    /// Puts the variables an expression uses into its scope.
    fn fill(&self, scope: &mut Context<'_>, facts: &Facts<'_>) {
        let object = facts.object.value();
        let part = |name: &str| object.get(name).map_or_else(empty, cel);
        for variable in &self.variables {
            let value = match variable.as_str() {
                "o" => cel(object),
                "sp" => part("spec"),
                "s" => part("status"),
                "c" => self.condition_map(facts, 0),
                "r" => self.condition_map(facts, 1),
                "m" => self.condition_map(facts, 2),
                "cs" => condition_list(facts.object),
                "g" => Cel::Int(integer(object, "/metadata/generation").unwrap_or(0)),
                "og" => Cel::Int(
                    integer(object, "/status/observedGeneration")
                        .or_else(|| integer(object, "/metadata/generation"))
                        .unwrap_or(0),
                ),
                _ => continue,
            };
            scope.add_variable_from_value(variable.as_str(), value);
        }
    }

    /// One property of all conditions; those the expression names are there in any case.
    fn condition_map(&self, facts: &Facts<'_>, property: usize) -> Cel {
        let absent = self.conditions.iter().map(|kind| (kind.clone(), Cel::from("")));
        let present = facts.conditions.iter().map(|(kind, found)| ((*kind).to_owned(), Cel::from(found[property])));
        Cel::from(absent.chain(present).collect::<std::collections::HashMap<String, Cel>>())
    }
}

/// The field names of `a.b["c"]`, variable first; `None` for anything else.
fn path_of(node: &IdedExpr) -> Option<Vec<String>> {
    match &node.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) => {
            let mut path = path_of(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (INDEX | OPT_INDEX, [operand, index]) => {
                let mut path = path_of(operand)?;
                let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
                path.push(name.inner().to_owned());
                Some(path)
            }
            _ => None,
        },
        _ => None,
    }
}

fn empty() -> Cel {
    Cel::from(std::collections::HashMap::<String, Cel>::new())
}

/// Every whole number is an int, so that numbers of an object compare with numbers of an expression.
fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(list) => Cel::from(list.iter().map(cel).collect::<Vec<Cel>>()),
        Value::Object(fields) => Cel::from(
            fields.iter().map(|(name, field)| (name.clone(), cel(field))).collect::<std::collections::HashMap<_, _>>(),
        ),
    }
}

fn condition_list(object: &Object) -> Cel {
    let entry = |condition: super::fields::Condition<'_>| {
        let fields = [
            ("type", condition.kind),
            ("status", condition.said),
            ("reason", condition.reason),
            ("message", condition.message),
        ];
        Cel::from(
            fields
                .into_iter()
                .map(|(name, text)| (name.to_owned(), Cel::from(text)))
                .collect::<std::collections::HashMap<_, _>>(),
        )
    };
    Cel::from(conditions(object).map(entry).collect::<Vec<Cel>>())
}
