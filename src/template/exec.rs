//! Executes templates: walks nodes, evaluates pipelines, writes bytes.
//!
//! Follows Go's rules on what an `interface {}` is step by step: an element of a map or list is one until a pipeline has
//! taken it out, and errors name its type accordingly.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{At, Branch, Call, Command, Ideal, Node, Number, Operand, Pipe, Term, Tree};
use super::context::{Context, MissingKey};
use super::error::{Error, Failure};
use super::format;
use super::funcs::Function;
use super::limits::Meter;
use super::parser;
use super::set::{Templates, Trees};
use super::strconv::quote;
use super::value::{Integer, Kind, Named, Object, Text, Type, Under, Value};

/// One run of templates: what functions get to see of it.
pub struct State<'r> {
    templates: &'r Templates,
    /// What texts given to `tpl` have defined, while they are executed.
    overlays: Vec<Trees>,
    context: &'r mut Context,
    meter: Meter,
    out: Vec<u8>,
    variables: Vec<(u32, Held)>,
    /// How deep each name is included in itself.
    included: BTreeMap<Arc<str>, usize>,
    depth: usize,
    parsed: BTreeMap<Text, Vec<Arc<Tree>>>,
    spare: Vec<Vec<Value>>,
}

// A value, and whether Go would have it in an `interface {}` still. Nil outside of one is Go's invalid value.
#[derive(Clone)]
struct Held {
    value: Value,
    boxed: bool,
}

impl Held {
    const NOTHING: Held = Held { value: Value::Nil, boxed: false };

    fn plain(value: Value) -> Self {
        Held { value, boxed: false }
    }

    fn element(value: Value, of: Type) -> Self {
        Held { value, boxed: of == Type::Any }
    }

    fn is_nothing(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    // The value for a function that does not look into interfaces.
    fn opaque(self) -> Value {
        if self.boxed { Value::object(Boxed) } else { self.value }
    }

    fn type_name(&self) -> String {
        if self.boxed { "interface {}".to_owned() } else { self.value.type_name() }
    }
}

struct Boxed;

static BOXED: Named = Named { name: "interface {}", under: Under::Struct, methods: &[] };

impl Object for Boxed {
    fn type_of(&self) -> Type {
        Type::Named(&BOXED)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<'r> State<'r> {
    /// A run of these templates.
    pub fn new(templates: &'r Templates, context: &'r mut Context) -> Self {
        let meter = Meter::new(context.limits);
        State {
            templates,
            overlays: Vec::new(),
            context,
            meter,
            out: Vec::new(),
            variables: Vec::new(),
            included: BTreeMap::new(),
            depth: 0,
            parsed: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    /// Executes a named template and gives what it wrote.
    ///
    /// # Errors
    /// There is no such template, or it fails.
    pub fn execute(&mut self, name: &str, data: Value) -> Result<Vec<u8>, Error> {
        match self.lookup(name) {
            Some(tree) => self.run(&tree, data),
            None => Err(Error::no_template(name, self.templates.root())),
        }
    }

    /// The surroundings: random, clock, lookup, lint.
    pub fn context(&mut self) -> &mut Context {
        self.context
    }

    /// What `include` does: executes a named template with the data as dot.
    ///
    /// # Errors
    /// There is no such template, it fails, or it is nested too deeply.
    pub fn include(&mut self, name: &[u8], data: Value) -> Result<Text, Failure> {
        let name: Arc<str> = String::from_utf8_lossy(name).into();
        let nested = self.included.entry(name.clone()).or_default();
        if *nested > self.context.limits.includes {
            let why = "unable to execute template";
            return Err(format!("rendering template has a nested reference name: {name}: {why}").into());
        }
        *nested += 1;
        let outcome = self.execute(&name, data);
        if let Some(nested) = self.included.get_mut(&name) {
            *nested -= 1;
        }
        Ok(outcome?.into())
    }

    /// What `tpl` does: parses the text, with the templates of this run in reach, and executes it.
    ///
    /// # Errors
    /// The text is no template, or it fails.
    pub fn tpl(&mut self, text: &Text, data: Value) -> Result<Text, Failure> {
        if !text.windows(2).any(|pair| pair == b"{{") {
            return Ok(without_no_value(text));
        }
        let trees = match self.parsed.get(text) {
            Some(trees) => trees.clone(),
            None => {
                let trees = parser::parse(self.templates.root(), text, self.templates.functions())
                    .map_err(|error| Failure::because(format!("cannot parse template {}: ", quote(text)), error))?;
                self.parsed.insert(text.clone(), trees.clone());
                trees
            }
        };
        let Some(main) = trees.iter().rfind(|tree| *tree.name == *self.templates.root()).cloned() else {
            return Ok(Text::default());
        };
        let visible = trees.into_iter().filter(|tree| !tree.is_blank() || self.lookup(&tree.name).is_none());
        let overlay = visible.map(|tree| (tree.name.clone(), tree)).collect();
        self.overlays.push(overlay);
        let outcome = self.run(&main, data);
        self.overlays.pop();
        match outcome {
            Ok(out) => Ok(without_no_value(&out.into())),
            Err(error) => {
                let words = format!("error during tpl function execution for {}: ", quote(text));
                Err(Failure::because(words, error))
            }
        }
    }

    fn lookup(&self, name: &str) -> Option<Arc<Tree>> {
        let overlaid = self.overlays.iter().rev().find_map(|overlay| overlay.get(name));
        overlaid.or_else(|| self.templates.get(name)).cloned()
    }

    fn run(&mut self, tree: &Tree, data: Value) -> Result<Vec<u8>, Error> {
        let outer = std::mem::take(&mut self.out);
        let outcome = self.enter(tree, &Held::plain(data));
        let written = std::mem::replace(&mut self.out, outer);
        outcome.map(|()| written)
    }

    fn enter(&mut self, tree: &Tree, dot: &Held) -> Result<(), Error> {
        let base = self.variables.len();
        self.variables.push((0, dot.clone()));
        let outcome = Walk { state: self, tree, at: None, base }.nodes(dot, &tree.root);
        self.variables.truncate(base);
        outcome.map(|_| ())
    }
}

// Helm prints nothing where Go prints `<no value>` (engine.go, tplFun).
fn without_no_value(text: &Text) -> Text {
    const WORD: &[u8] = b"<no value>";
    let mut out = Vec::new();
    let mut rest: &[u8] = text;
    while let Some(at) = rest.windows(WORD.len()).position(|window| window == WORD) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + WORD.len()..];
    }
    if rest.len() == text.len() {
        return text.clone();
    }
    out.extend_from_slice(rest);
    out.into()
}

// What goes on after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

// The execution of one template.
struct Walk<'w, 'r, 't> {
    state: &'w mut State<'r>,
    tree: &'t Tree,
    /// The node that an error would be at.
    at: Option<At<'t>>,
    /// Where the template's variables begin.
    base: usize,
}

impl<'t> Walk<'_, '_, 't> {
    #[cold]
    fn error(&self, message: impl Into<String>) -> Error {
        self.error_because(message, None)
    }

    #[cold]
    fn error_because(&self, message: impl Into<String>, cause: Option<Error>) -> Error {
        let at = self.at.or(self.tree.root.first().map(At::Node));
        match at {
            Some(at) => Error::execute(at.place(self.tree), message, cause),
            None => Error::plain(super::error::ErrorKind::Execute, format!("template: {}: ", self.tree.name), None),
        }
    }

    fn step(&mut self) -> Result<(), Error> {
        if let Err(message) = self.state.meter.step(self.state.out.len()) {
            return Err(self.error(message));
        }
        if self.state.meter.is_due() && self.state.context.expired.as_ref().is_some_and(|expired| expired()) {
            return Err(self.error("exceeded the time limit"));
        }
        Ok(())
    }

    fn too_deep(&self) -> Error {
        self.error(format!("exceeded maximum template depth ({})", self.state.context.limits.depth))
    }

    // ---- nodes ----

    fn nodes(&mut self, dot: &Held, nodes: &'t [Node]) -> Result<Flow, Error> {
        if self.state.meter.stack.is_low() {
            return Err(self.too_deep());
        }
        for node in nodes {
            let flow = self.node(dot, node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, dot: &Held, node: &'t Node) -> Result<Flow, Error> {
        self.at = Some(At::Node(node));
        self.step()?;
        match node {
            Node::Text(span) => self.state.out.extend_from_slice(span.of(&self.tree.source.text)),
            Node::Action(pipe) => {
                let held = self.pipeline(dot, pipe)?;
                if pipe.declared.is_empty() {
                    self.at = Some(At::Node(node));
                    self.print(&held)?;
                }
            }
            Node::If(branch) => return self.if_or_with(dot, branch, false),
            Node::With(branch) => return self.if_or_with(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template(call) => self.template(dot, call)?,
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, held: &Held) -> Result<(), Error> {
        let out = &mut self.state.out;
        match &held.value {
            Value::String(text) => out.extend_from_slice(text),
            Value::Nil => out.extend_from_slice(b"<no value>"),
            value => format::print_to(out, value).map_err(|failure| self.error(failure.to_string()))?,
        }
        Ok(())
    }

    fn if_or_with(&mut self, dot: &Held, branch: &'t Branch, with: bool) -> Result<Flow, Error> {
        let mark = self.state.variables.len();
        let held = self.pipeline(dot, &branch.pipe)?;
        let flow = if held.value.truth() {
            self.nodes(if with { &held } else { dot }, &branch.body)
        } else if let Some(otherwise) = &branch.otherwise {
            self.nodes(dot, otherwise)
        } else {
            Ok(Flow::On)
        };
        self.state.variables.truncate(mark);
        flow
    }

    fn range(&mut self, dot: &Held, branch: &'t Branch) -> Result<Flow, Error> {
        let mark = self.state.variables.len();
        let held = self.pipeline(dot, &branch.pipe)?;
        let flow = match self.turns(&held, branch)? {
            Some(flow) => flow,
            None => match &branch.otherwise {
                Some(otherwise) => self.nodes(dot, otherwise)?,
                None => Flow::On,
            },
        };
        self.state.variables.truncate(mark);
        // Go lets a break inside the else end this range, not the one around it.
        Ok(if flow == Flow::Break { Flow::On } else { flow })
    }

    // `None` when there was nothing to iterate over.
    fn turns(&mut self, held: &Held, branch: &'t Branch) -> Result<Option<Flow>, Error> {
        let value = held.value.underlying().into_owned();
        match &value {
            Value::Nil => Ok(None),
            Value::List(list) if list.is_empty() => Ok(None),
            Value::List(list) => {
                let element = list.element();
                let items = list.iter().enumerate();
                self.each(branch, items.map(|(at, item)| (at_index(at), Held::element(item.clone(), element))))
            }
            Value::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Value::Bytes(bytes) => {
                let byte = |byte: &u8| Held::plain(Value::Integer(Integer::Uint8(*byte)));
                self.each(branch, bytes.iter().enumerate().map(|(at, item)| (at_index(at), byte(item))))
            }
            Value::Map(map) if map.is_empty() => Ok(None),
            Value::Map(map) => {
                let element = map.element();
                let entries = map.entries().into_iter();
                let entry = |(key, value)| (Held::plain(Value::String(key)), Held::element(value, element));
                self.each(branch, entries.map(entry))
            }
            Value::Int(_) | Value::Int64(_) | Value::Integer(_) => {
                if branch.pipe.declared.len() > 1 {
                    let value = &held.value;
                    return Err(self.error(format!("can't use {value} to iterate over more than one variable")));
                }
                let count = value.as_integer().unwrap_or(0);
                if count <= 0 {
                    return Ok(None);
                }
                let turns = (0..count).map(|at| (Held::NOTHING, Held::plain(like(&value, at))));
                self.each(branch, turns)
            }
            _ => {
                let value = &held.value;
                Err(self.error(format!("range can't iterate over {value}")))
            }
        }
    }

    fn each(&mut self, branch: &'t Branch, items: impl Iterator<Item = (Held, Held)>) -> Result<Option<Flow>, Error> {
        let mark = self.state.variables.len();
        for (index, item) in items {
            self.step()?;
            self.set_range_variables(&branch.pipe, index, &item)?;
            let flow = self.nodes(&item, &branch.body)?;
            self.state.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Some(Flow::On))
    }

    fn set_range_variables(&mut self, pipe: &'t Pipe, index: Held, item: &Held) -> Result<(), Error> {
        match (pipe.declared.as_slice(), pipe.is_assign) {
            ([], _) => {}
            ([only], true) => self.assign(*only, item.clone())?,
            ([first, second, ..], true) => {
                self.assign(*first, index)?;
                self.assign(*second, item.clone())?;
            }
            (declared, false) => {
                let top = self.state.variables.len();
                self.state.variables[top - 1].1 = item.clone();
                if declared.len() > 1 {
                    self.state.variables[top - 2].1 = index;
                }
            }
        }
        Ok(())
    }

    fn template(&mut self, dot: &Held, call: &'t Call) -> Result<(), Error> {
        let Some(tree) = self.state.lookup(&call.name) else {
            return Err(self.error(format!("template {} not defined", quote(call.name.as_bytes()))));
        };
        if self.state.depth >= self.state.context.limits.depth {
            return Err(self.too_deep());
        }
        let dot = match &call.pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Held::NOTHING,
        };
        self.state.depth += 1;
        let outcome = self.state.enter(&tree, &dot);
        self.state.depth -= 1;
        outcome
    }

    // ---- variables ----

    fn assign(&mut self, variable: u32, held: Held) -> Result<(), Error> {
        match self.state.variables[self.base..].iter_mut().rev().find(|(number, _)| *number == variable) {
            Some((_, place)) => *place = held,
            None => return Err(self.undefined(variable)),
        }
        Ok(())
    }

    fn variable(&self, variable: u32) -> Result<Held, Error> {
        let found = self.state.variables[self.base..].iter().rev().find(|(number, _)| *number == variable);
        found.map(|(_, held)| held.clone()).ok_or_else(|| self.undefined(variable))
    }

    fn undefined(&self, variable: u32) -> Error {
        let name = self.tree.source.variables.get(variable as usize).map_or("$", |name| name);
        self.error(format!("undefined variable: {name}"))
    }

    // ---- pipelines ----

    fn pipeline(&mut self, dot: &Held, pipe: &'t Pipe) -> Result<Held, Error> {
        if self.state.meter.stack.is_low() {
            return Err(self.too_deep());
        }
        self.at = Some(At::Pipe(pipe));
        let mut last = None;
        for command in &pipe.commands {
            let mut held = self.command(dot, command, last)?;
            held.boxed = false;
            last = Some(held);
        }
        let held = last.unwrap_or(Held::NOTHING);
        for variable in &pipe.declared {
            if pipe.is_assign {
                self.assign(*variable, held.clone())?;
            } else {
                self.state.variables.push((*variable, held.clone()));
            }
        }
        Ok(held)
    }

    fn command(&mut self, dot: &Held, command: &'t Command, last: Option<Held>) -> Result<Held, Error> {
        let [first, arguments @ ..] = command.operands.as_slice() else { return Ok(Held::NOTHING) };
        match &first.term {
            Term::Function(function) => {
                self.at = Some(At::Operand(first));
                let site = Site { at: At::Command(command), arguments, last };
                return self.call(dot, function, site, None);
            }
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => return self.chain(dot, first, arguments, last),
            Term::Pipe(pipe) => {
                self.refuse_arguments(first, arguments, last.as_ref())?;
                return self.pipeline(dot, pipe);
            }
            _ => {}
        }
        self.at = Some(At::Operand(first));
        self.refuse_arguments(first, arguments, last.as_ref())?;
        match &first.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Err(self.error("nil is not a command")),
            _ => self.constant(first),
        }
    }

    fn refuse_arguments(&self, first: &Operand, arguments: &[Operand], last: Option<&Held>) -> Result<(), Error> {
        if arguments.is_empty() && last.is_none() {
            return Ok(());
        }
        let text = super::ast::operand_text(&self.tree.source, first);
        Err(self.error(format!("can't give argument to non-function {text}")))
    }

    fn constant(&self, operand: &Operand) -> Result<Held, Error> {
        Ok(Held::plain(match &operand.term {
            Term::Bool(truth) => Value::Bool(*truth),
            Term::String(_, text) => Value::String(text.clone()),
            Term::Number(number) => match number.ideal() {
                Ideal::Int(int) => Value::Int(int),
                Ideal::Float(float) => Value::Float(float),
                Ideal::Overflow => return Err(self.error(format!("{} overflows int", number.text))),
            },
            _ => Value::Nil,
        }))
    }

    // ---- fields and methods ----

    // A field, a variable with its fields, or a term in front of fields.
    fn chain(
        &mut self,
        dot: &Held,
        operand: &'t Operand,
        arguments: &'t [Operand],
        last: Option<Held>,
    ) -> Result<Held, Error> {
        self.at = Some(At::Operand(operand));
        let (mut receiver, fields) = match &operand.term {
            Term::Field(fields) => (dot.clone(), fields),
            Term::Variable(variable, fields) => (self.variable(*variable)?, fields),
            Term::Chain(base, fields) => (self.base_of_chain(dot, operand, base)?, fields),
            _ => return Ok(Held::NOTHING),
        };
        // `.a.b`: what is before the first dot is no field.
        let tree = self.tree;
        let mut names = fields.of(&tree.source.text).split(|byte| *byte == b'.').skip(1).peekable();
        if names.peek().is_none() {
            self.refuse_arguments(operand, arguments, last.as_ref())?;
            return Ok(receiver);
        }
        let mut last = last;
        while let Some(name) = names.next() {
            let site = match names.peek() {
                Some(_) => Site::alone(operand),
                None => Site { at: At::Operand(operand), arguments, last: last.take() },
            };
            receiver = self.field(dot, receiver, name, site)?;
        }
        Ok(receiver)
    }

    fn base_of_chain(&mut self, dot: &Held, whole: &Operand, base: &'t Operand) -> Result<Held, Error> {
        if matches!(base.term, Term::Nil) {
            let text = super::ast::operand_text(&self.tree.source, whole);
            return Err(self.error(format!("indirection through explicit nil in {text}")));
        }
        self.at = Some(At::Operand(base));
        match &base.term {
            Term::Pipe(pipe) => self.pipeline(dot, pipe),
            Term::Function(function) => self.call(dot, function, Site::alone(base), None),
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => self.chain(dot, base, &[], None),
            Term::Dot => Ok(dot.clone()),
            _ => self.constant(base),
        }
    }

    fn field(&mut self, dot: &Held, receiver: Held, name: &[u8], site: Site<'t>) -> Result<Held, Error> {
        let missing_key = self.state.context.missing_key;
        if matches!(receiver.value, Value::Nil) {
            if receiver.boxed {
                return Err(self.error(format!("nil pointer evaluating interface {{}}.{}", shown(name))));
            }
            if missing_key == MissingKey::Error {
                return Err(self.error(format!("nil data; no entry for key {}", quote(name))));
            }
            return Ok(Held::NOTHING);
        }
        if let Some(method) = method_of(&receiver.value, name) {
            return self.call(dot, method, site, Some(receiver.value));
        }
        let has_arguments = !site.arguments.is_empty() || site.last.is_some();
        if let Value::Object(object) = &receiver.value
            && let Some(value) = object.field(&shown(name))
        {
            if has_arguments {
                return Err(self.error(format!("{} has arguments but cannot be invoked as function", shown(name))));
            }
            return Ok(Held::plain(value));
        }
        if let Value::Map(map) = &*receiver.value.underlying() {
            if has_arguments {
                return Err(self.error(format!("{} is not a method but has arguments", shown(name))));
            }
            let element = map.element();
            return match (map.get(name), missing_key) {
                (Some(value), _) => Ok(Held::element(value, element)),
                (None, MissingKey::Default) => Ok(Held::NOTHING),
                (None, MissingKey::Zero) => Ok(Held::element(Value::zero(element), element)),
                (None, MissingKey::Error) => Err(self.error(format!("map has no entry for key {}", quote(name)))),
            };
        }
        Err(self.error(format!("can't evaluate field {} in type {}", shown(name), receiver.type_name())))
    }

    // ---- calls ----

    fn call(
        &mut self,
        dot: &Held,
        function: &'static Function,
        site: Site<'t>,
        receiver: Option<Value>,
    ) -> Result<Held, Error> {
        let Site { at, arguments, last } = site;
        let name = function.name;
        let fixed = function.params.len();
        let given = arguments.len() + usize::from(last.is_some());
        if function.variadic.is_some() {
            if given < fixed {
                let got = arguments.len();
                return Err(self.error(format!("wrong number of args for {name}: want at least {fixed} got {got}")));
            }
        } else if given != fixed {
            return Err(self.error(format!("wrong number of args for {name}: want {fixed} got {given}")));
        }
        if function.is_lazy() {
            return self.first_decisive(dot, name == "or", arguments, last);
        }
        let parameter = |at: usize| function.params.get(at).copied().or(function.variadic).unwrap_or(Type::Any);
        let mut values = self.state.spare.pop().unwrap_or_default();
        values.extend(receiver);
        // Functions do not see what was in an interface. It shows with two only: `len` of nothing, and Go's own `slice`,
        // which does not look for indexes inside of one.
        let is_go_slice = name == "slice" && function.family == "Go";
        let mut of_nothing = false;
        for (at, argument) in arguments.iter().enumerate() {
            let held = self.argument(dot, argument, parameter(at))?;
            of_nothing |= held.is_nothing();
            values.push(if at > 0 && is_go_slice { held.opaque() } else { held.value });
        }
        if let Some(last) = last {
            let held = self.checked(last, parameter(arguments.len()))?;
            of_nothing |= held.is_nothing();
            values.push(held.value);
        }
        if function.name == "call" {
            self.at = Some(at);
            return Err(self.not_callable(&values, arguments));
        }
        let outcome = match name {
            "len" if of_nothing => Err("reflect: call of reflect.Value.Type on zero Value".into()),
            _ => (function.body)(self.state, &values),
        };
        values.clear();
        self.state.spare.push(values);
        match outcome {
            Ok(value) => Ok(Held::plain(value)),
            Err(failure) => {
                self.at = Some(at);
                Err(self.error_because(format!("error calling {name}: "), Some(failure.into_error())))
            }
        }
    }

    // There are no values that are functions, so `call` can only say what it was given.
    fn not_callable(&self, values: &[Value], arguments: &[Operand]) -> Error {
        let callee = match (arguments.first(), values.first()) {
            (Some(first), _) => super::ast::operand_text(&self.tree.source, first),
            (None, Some(Value::String(text))) => text.to_string(),
            (None, value) => format!("<{} Value>", value.map_or_else(String::new, Value::type_name)),
        };
        let message = match values.first() {
            None | Some(Value::Nil) => "call of nil".to_owned(),
            Some(value) => format!("non-function {callee} of type {}", value.type_name()),
        };
        self.error_because("error calling call: ", Some(Failure::new(message).into_error()))
    }

    // `and` and `or` evaluate no more of their arguments than they need.
    fn first_decisive(
        &mut self,
        dot: &Held,
        decisive: bool,
        arguments: &'t [Operand],
        last: Option<Held>,
    ) -> Result<Held, Error> {
        let mut held = Held::NOTHING;
        for argument in arguments {
            held = self.argument(dot, argument, Type::Reflect)?;
            if held.value.truth() == decisive {
                return Ok(held);
            }
        }
        Ok(last.unwrap_or(held))
    }

    fn argument(&mut self, dot: &Held, operand: &'t Operand, kind: Type) -> Result<Held, Error> {
        self.at = Some(At::Operand(operand));
        let held = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Field(_) | Term::Variable(..) | Term::Chain(..) => self.chain(dot, operand, &[], None)?,
            Term::Pipe(pipe) => self.pipeline(dot, pipe)?,
            Term::Function(function) => self.call(dot, function, Site::alone(operand), None)?,
            Term::Nil if kind.can_be_nil() => return Ok(Held::plain(Value::zero(kind))),
            Term::Nil => return Err(self.error(format!("cannot assign nil to {kind}"))),
            Term::Number(number) if !matches!(kind, Type::Any | Type::Reflect) => {
                return self.number(operand, number, kind);
            }
            Term::Bool(_) | Term::Number(_) | Term::String(..) => return self.literal(operand, kind),
        };
        self.checked(held, kind)
    }

    fn literal(&self, operand: &Operand, kind: Type) -> Result<Held, Error> {
        let fits = match (kind.kind(), &operand.term) {
            (Kind::Bool, Term::Bool(_)) | (Kind::String, Term::String(..)) => true,
            _ => matches!(kind, Type::Any | Type::Reflect),
        };
        if fits { self.constant(operand) } else { Err(self.misfit(operand, kind)) }
    }

    fn number(&self, operand: &Operand, number: &Number, kind: Type) -> Result<Held, Error> {
        let value = match kind.kind() {
            Kind::Float64 => number.float.map(Value::Float),
            Kind::Int => number.int.map(Value::Int),
            Kind::Int64 => number.int.map(Value::Int64),
            Kind::Int32 => number.int.map(|int| Value::Integer(Integer::Int32(int as i32))),
            Kind::Uint => number.uint.map(|uint| Value::Integer(Integer::Uint(uint))),
            Kind::Uint8 => number.uint.map(|uint| Value::Integer(Integer::Uint8(uint as u8))),
            Kind::Uint32 => number.uint.map(|uint| Value::Integer(Integer::Uint32(uint as u32))),
            Kind::Uint64 => number.uint.map(|uint| Value::Integer(Integer::Uint64(uint))),
            _ => None,
        };
        value.map(Held::plain).ok_or_else(|| self.misfit(operand, kind))
    }

    fn misfit(&self, operand: &Operand, kind: Type) -> Error {
        let text = super::ast::operand_text(&self.tree.source, operand);
        let wanted = match kind.kind() {
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Float64 => "float",
            Kind::Int | Kind::Int32 | Kind::Int64 => "integer",
            Kind::Uint | Kind::Uint8 | Kind::Uint32 | Kind::Uint64 => "unsigned integer",
            _ => return self.error(format!("can't handle {text} for arg of type {kind}")),
        };
        self.error(format!("expected {wanted}; found {text}"))
    }

    // The value, if a parameter of that type takes it.
    fn checked(&self, held: Held, kind: Type) -> Result<Held, Error> {
        if matches!(kind, Type::Reflect | Type::Any) {
            return Ok(held);
        }
        match held.value.type_of() {
            Some(actual) if actual.is_assignable_to(kind) => Ok(held),
            Some(actual) => Err(self.error(format!("wrong type for value; expected {kind}; got {actual}"))),
            None if held.boxed => Err(self.error(format!("wrong type for value; expected {kind}; got interface {{}}"))),
            None if kind.can_be_nil() => Ok(Held::plain(Value::zero(kind))),
            None => Err(self.error(format!("invalid value; expected {kind}"))),
        }
    }
}

// Where a function or method is called, and with what.
struct Site<'t> {
    /// What an error of the function points at.
    at: At<'t>,
    arguments: &'t [Operand],
    /// The value of the pipeline's stage before.
    last: Option<Held>,
}

impl<'t> Site<'t> {
    fn alone(operand: &'t Operand) -> Self {
        Site { at: At::Operand(operand), arguments: &[], last: None }
    }
}

fn shown(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

fn method_of(value: &Value, name: &[u8]) -> Option<&'static Function> {
    match value {
        Value::Object(object) => object.method(&shown(name)),
        Value::Map(map) if matches!(map.type_of(), Type::Named(_)) => map.type_of().method(&shown(name)),
        Value::List(list) if matches!(list.type_of(), Type::Named(_)) => list.type_of().method(&shown(name)),
        _ => None,
    }
}

fn at_index(at: usize) -> Held {
    Held::plain(Value::Int(at as i64))
}

// A number of the kind of another one.
fn like(value: &Value, number: i128) -> Value {
    match value {
        Value::Int64(_) => Value::Int64(number as i64),
        Value::Integer(integer) => Value::Integer(match integer {
            Integer::Int32(_) => Integer::Int32(number as i32),
            Integer::Uint(_) => Integer::Uint(number as u64),
            Integer::Uint8(_) => Integer::Uint8(number as u8),
            Integer::Uint32(_) => Integer::Uint32(number as u32),
            Integer::Uint64(_) => Integer::Uint64(number as u64),
        }),
        _ => Value::Int(number as i64),
    }
}

impl Tree {
    /// Nothing but space: such a definition does not replace another one.
    pub(super) fn is_blank(&self) -> bool {
        self.root.iter().all(|node| node.is_blank(&self.source.text))
    }
}
