//! CEL over one object: what an expression may name, how it is compiled once, and how it forgives what objects lack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::common::ast::operators::{
    CONDITIONAL, INDEX, LOGICAL_AND, LOGICAL_NOT, LOGICAL_OR, OPT_INDEX, OPT_SELECT,
};
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value as Cel};
use serde_json::Value;

use super::fields::{conditions, integer};
use crate::object::Object;

/// What expressions see of one object.
pub(super) struct Facts<'a> {
    object: &'a Object,
    conditions: BTreeMap<&'a str, [&'a str; 3]>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(object: &'a Object) -> Self {
        let mut found = BTreeMap::new();
        for condition in conditions(object) {
            found.entry(condition.kind).or_insert([condition.said, condition.reason, condition.message]);
        }
        Facts { object, conditions: found }
    }
}

/// A CEL expression, compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Expression {
    source: String,
    compiled: OnceLock<Result<Compiled, String>>,
}

#[derive(Debug)]
struct Compiled {
    root: IdedExpr,
    uses: Uses,
}

/// Refuses what would take the parser or the evaluator, which both recurse, deeper than a thread's stack.
fn bounded(source: &str) -> Result<(), String> {
    const NESTED: usize = 24;
    const OPERATORS: usize = 300;
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    let mut quote = None;
    let mut before = ' ';
    for sign in source.chars() {
        match (quote, sign) {
            (Some(open), _) if sign == open && before != '\\' => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(sign),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '.' | '?' | '+' | '-' | '*' | '/' | '%' | '!' | '|' | '&' | '<' | '>' | '=') => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
        before = sign;
    }
    if deepest > NESTED {
        return Err(format!("has more than {NESTED} brackets inside each other"));
    }
    if operators > OPERATORS {
        return Err(format!("has more than {OPERATORS} operators"));
    }
    Ok(())
}

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
    pub(super) fn new(source: &str) -> Self {
        Expression { source: source.to_owned(), compiled: OnceLock::new() }
    }

    /// Says what is wrong with the text.
    pub(super) fn error(&self) -> Option<&str> {
        self.compiled().as_ref().err().map(String::as_str)
    }

    fn compiled(&self) -> &Result<Compiled, String> {
        self.compiled.get_or_init(|| {
            bounded(&self.source)?;
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

    pub(super) fn is_true(&self, facts: &Facts<'_>) -> bool {
        matches!(self.value(facts), Some(Cel::Bool(true)))
    }

    pub(super) fn text(&self, facts: &Facts<'_>) -> Option<String> {
        match self.value(facts)? {
            Cel::String(text) if !text.is_empty() => Some(text.to_string()),
            _ => None,
        }
    }

    /// Words for a decision: the message of a condition it looked at, else the status field it looked at.
    pub(super) fn words(&self, facts: &Facts<'_>) -> String {
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
        let part = |name: &str| object.get(name).map_or_else(|| map(std::iter::empty()), cel);
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
        map(absent.chain(present))
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

/// CEL knows its maps only in this form; nothing is read from them in order.
#[expect(clippy::disallowed_types, reason = "the map type of the CEL crate")]
fn map(entries: impl Iterator<Item = (String, Cel)>) -> Cel {
    Cel::from(entries.collect::<std::collections::HashMap<String, Cel>>())
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
        Value::Object(fields) => map(fields.iter().map(|(name, field)| (name.clone(), cel(field)))),
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
        map(fields.into_iter().map(|(name, text)| (name.to_owned(), Cel::from(text))))
    };
    Cel::from(conditions(object).map(entry).collect::<Vec<Cel>>())
}
