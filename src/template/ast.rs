//! Nodes of a parsed template; they print as Go's do, which is what errors show.
//!
//! A tree is immutable and shared: by runs, by threads, by renders of the same chart.

use std::sync::Arc;

use super::error::Place;
use super::funcs::Function;
use super::strconv;
use super::token::Span;
use super::value::Text;

/// The text a tree was parsed from, and under which name.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: Arc<str>,
    pub(super) text: Text,
    /// Names of the variables of all trees of the text; nodes hold their numbers.
    pub(super) variables: Vec<Box<str>>,
}

/// One template: a file, or what a `define` or `block` in it made.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) name: Arc<str>,
    pub(super) source: Arc<Source>,
    pub(super) root: Vec<Node>,
}

/// What a template is made of, one after the other.
#[derive(Debug)]
pub(super) enum Node {
    Text(Span),
    Action(Pipe),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template(Box<Call>),
    Break(u32),
    Continue(u32),
}

/// `if`, `with` or `range`, with its `else`.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Option<Vec<Node>>,
}

/// `{{template "name" pipeline}}`.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) position: u32,
    pub(super) name: Box<str>,
    pub(super) pipe: Option<Pipe>,
}

/// `$a, $b := command | command`.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) position: u32,
    pub(super) is_assign: bool,
    pub(super) declared: Vec<u32>,
    pub(super) commands: Vec<Command>,
}

/// Operands with spaces between them; the first may be a function or method that takes the others.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) position: u32,
    pub(super) operands: Vec<Operand>,
}

/// A word of a command and where it is.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) position: u32,
    pub(super) term: Term,
}

/// What kind of word.
#[derive(Debug)]
pub(super) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number(Box<Number>),
    String(Span, Text),
    /// The dots of the fields included: `.a.b`.
    Field(Span),
    /// The variable's number, and the fields after it.
    Variable(u32, Span),
    Chain(Box<Operand>, Span),
    Function(&'static Function),
    Pipe(Box<Pipe>),
}

/// A number constant: what it is as each kind that can hold it.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) text: Box<str>,
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
}

impl Number {
    /// The value where any type will do: `float64` if it is written like one, else `int`. `None` if that overflows.
    pub(super) fn ideal(&self) -> Ideal {
        let text = self.text.as_bytes();
        let hexadecimal = matches!(text, [b'0', b'x' | b'X', _, ..]) && !self.text.contains(['p', 'P']);
        let float_like = text.first() != Some(&b'\'') && !hexadecimal && self.text.contains(['.', 'e', 'E', 'p', 'P']);
        match (self.float, self.int) {
            (Some(float), _) if float_like => Ideal::Float(float),
            (_, Some(int)) => Ideal::Int(int),
            _ => Ideal::Overflow,
        }
    }
}

/// The value of a number constant where any type will do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ideal {
    Int(i64),
    Float(f64),
    Overflow,
}

/// A node that errors can point at.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'t> {
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Operand(&'t Operand),
}

impl At<'_> {
    /// Where it is, and what it says.
    pub(super) fn place(self, tree: &Tree) -> Place {
        let (position, node) = match self {
            At::Node(node) => (node.position(), shown(&tree.source, |out| out.node(node))),
            At::Pipe(pipe) => (pipe.position, shown(&tree.source, |out| out.pipe(pipe))),
            At::Command(command) => (command.position, shown(&tree.source, |out| out.command(command))),
            At::Operand(operand) => (operand.position, shown(&tree.source, |out| out.operand(operand))),
        };
        let before = tree.source.text.get(..position as usize).unwrap_or_default();
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Place {
            file: tree.source.file.clone(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: Some(before.len() - line_start),
            executing: tree.name.clone(),
            node,
            source: tree.source.text.clone(),
        }
    }
}

/// The text of a node that is no error's, as Go prints it.
pub(super) fn operand_text(source: &Source, operand: &Operand) -> String {
    shown(source, |out| out.operand(operand))
}

/// The text of a whole template, from its nodes.
pub(super) fn tree_text(tree: &Tree) -> String {
    shown(&tree.source, |out| out.nodes(&tree.root))
}

fn shown(source: &Source, print: impl FnOnce(&mut Printer<'_>)) -> String {
    let mut printer = Printer { source, out: Vec::new() };
    print(&mut printer);
    String::from_utf8_lossy(&printer.out).into_owned()
}

impl Node {
    /// Where it begins, as Go has it.
    pub(super) fn position(&self) -> u32 {
        match self {
            Node::Text(span) => span.start,
            Node::Action(pipe) => pipe.position,
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => branch.pipe.position,
            Node::Template(call) => call.position,
            Node::Break(position) | Node::Continue(position) => *position,
        }
    }

    /// Nothing but space: such a definition does not replace another one.
    pub(super) fn is_blank(&self, source: &[u8]) -> bool {
        match self {
            Node::Text(span) => is_blank(span.of(source)),
            _ => false,
        }
    }
}

fn is_blank(text: &[u8]) -> bool {
    !text.iter().any(u8::is_ascii_graphic) && String::from_utf8_lossy(text).trim().is_empty()
}

struct Printer<'a> {
    source: &'a Source,
    out: Vec<u8>,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Text(span) => self.out.extend_from_slice(span.of(&self.source.text)),
            Node::Action(pipe) => {
                self.push("{{");
                self.pipe(pipe);
                self.push("}}");
            }
            Node::If(branch) => self.branch("if", branch),
            Node::With(branch) => self.branch("with", branch),
            Node::Range(branch) => self.branch("range", branch),
            Node::Template(call) => {
                self.push("{{template ");
                self.push(&strconv::quote(call.name.as_bytes()));
                if let Some(pipe) = &call.pipe {
                    self.push(" ");
                    self.pipe(pipe);
                }
                self.push("}}");
            }
            Node::Break(_) => self.push("{{break}}"),
            Node::Continue(_) => self.push("{{continue}}"),
        }
    }

    fn branch(&mut self, keyword: &str, branch: &Branch) {
        self.push("{{");
        self.push(keyword);
        self.push(" ");
        self.pipe(&branch.pipe);
        self.push("}}");
        self.nodes(&branch.body);
        if let Some(otherwise) = &branch.otherwise {
            self.push("{{else}}");
            self.nodes(otherwise);
        }
        self.push("{{end}}");
    }

    fn pipe(&mut self, pipe: &Pipe) {
        for (at, variable) in pipe.declared.iter().enumerate() {
            self.push(if at > 0 { ", " } else { "" });
            self.variable(*variable);
        }
        if !pipe.declared.is_empty() {
            self.push(if pipe.is_assign { " = " } else { " := " });
        }
        for (at, command) in pipe.commands.iter().enumerate() {
            self.push(if at > 0 { " | " } else { "" });
            self.command(command);
        }
    }

    fn command(&mut self, command: &Command) {
        for (at, operand) in command.operands.iter().enumerate() {
            self.push(if at > 0 { " " } else { "" });
            self.in_parens(operand);
        }
    }

    fn in_parens(&mut self, operand: &Operand) {
        let is_pipe = matches!(operand.term, Term::Pipe(_));
        self.push(if is_pipe { "(" } else { "" });
        self.operand(operand);
        self.push(if is_pipe { ")" } else { "" });
    }

    fn operand(&mut self, operand: &Operand) {
        match &operand.term {
            Term::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
            Term::Dot => self.push("."),
            Term::Nil => self.push("nil"),
            Term::Number(number) => self.push(&number.text),
            Term::String(span, _) => self.out.extend_from_slice(span.of(&self.source.text)),
            Term::Field(fields) => self.fields(*fields),
            Term::Variable(variable, fields) => {
                self.variable(*variable);
                self.fields(*fields);
            }
            Term::Chain(base, fields) => {
                self.in_parens(base);
                self.fields(*fields);
            }
            Term::Function(function) => self.push(function.name),
            Term::Pipe(pipe) => self.pipe(pipe),
        }
    }

    fn variable(&mut self, variable: u32) {
        let name = self.source.variables.get(variable as usize).map_or("$", |name| name);
        self.out.extend_from_slice(name.as_bytes());
    }

    fn fields(&mut self, fields: Span) {
        self.out.extend_from_slice(fields.of(&self.source.text));
    }
}
