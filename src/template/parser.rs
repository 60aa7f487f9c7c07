//! Makes trees of a text, with all the checks that Go makes before it executes anything.
//!
//! Follows Go's parser step by step, since its error messages tell which token it looked at.

use std::borrow::Cow;
use std::sync::Arc;

use super::ast::{Branch, Call, Command, Node, Number, Operand, Pipe, Source, Term, Tree};
use super::error::{Error, Place};
use super::funcs::Functions;
use super::lexer::Lexer;
use super::stack;
use super::strconv;
use super::token::{Span, Token, TokenKind};
use super::value::Text;

// Nesting that any stack has room for; deeper texts are parsed on a large one.
const SHALLOW: usize = 60;
// Go allows 10,000 parentheses, and any number of nested actions.
const DEEP: usize = 2_000;

/// The templates of a text: those it defines, then itself.
///
/// # Errors
/// The first thing that is wrong, in Go's words.
pub(super) fn parse(name: &str, text: &Text, functions: &'static Functions) -> Result<Vec<Arc<Tree>>, Error> {
    let outcome = match Parser::new(name, text, functions, SHALLOW).run() {
        Err(Stop::TooDeep) => stack::on_large_stack(|| Parser::new(name, text, functions, DEEP).run()),
        outcome => outcome,
    };
    outcome.map_err(|stop| match stop {
        Stop::Wrong(error) => *error,
        Stop::TooDeep => parse_error(name, text, 0, "max expression depth exceeded".to_owned()),
    })
}

enum Stop {
    Wrong(Box<Error>),
    TooDeep,
}

type Parsed<T> = Result<T, Stop>;

// How a list of nodes ended.
enum Close {
    End,
    Else,
}

impl Close {
    fn text(&self) -> &'static str {
        match self {
            Close::End => "{{end}}",
            Close::Else => "{{else}}",
        }
    }
}

// A node, or the end of the list it would be in.
enum Item {
    Node(Node),
    Close(Close),
}

struct Definition {
    name: String,
    root: Vec<Node>,
}

// What is known of the template being parsed; a `define` or `block` inside starts afresh.
#[derive(Default)]
struct Scope {
    variables: Vec<u32>,
    action_line: u32,
    range_depth: usize,
}

struct Parser<'s> {
    name: &'s str,
    text: &'s Text,
    functions: &'static Functions,
    lexer: Lexer<'s>,
    tokens: [Token; 3],
    peeked: usize,
    scope: Scope,
    names: Vec<Box<str>>,
    definitions: Vec<Definition>,
    depth: usize,
    max_depth: usize,
}

fn parse_error(name: &str, text: &Text, line: u32, message: String) -> Error {
    let file: Arc<str> = name.into();
    let place = Place {
        executing: file.clone(),
        file,
        line: line as usize,
        column: None,
        node: String::new(),
        source: text.clone(),
    };
    Error::parse(place, message)
}

impl<'s> Parser<'s> {
    fn new(name: &'s str, text: &'s Text, functions: &'static Functions, max_depth: usize) -> Self {
        Parser {
            name,
            text,
            functions,
            lexer: Lexer::new(text),
            tokens: [Token::default(); 3],
            peeked: 0,
            scope: Scope { variables: vec![0], ..Scope::default() },
            names: vec!["$".into()],
            definitions: Vec::new(),
            depth: 0,
            max_depth,
        }
    }

    fn run(mut self) -> Parsed<Vec<Arc<Tree>>> {
        let root = self.file()?;
        self.add(self.name.to_owned(), root)?;
        let source = Arc::new(Source { file: self.name.into(), text: self.text.clone(), variables: self.names });
        let trees = self.definitions.into_iter().map(|definition| {
            Arc::new(Tree { name: definition.name.into(), source: source.clone(), root: definition.root })
        });
        Ok(trees.collect())
    }

    // ---- tokens ----

    fn next(&mut self) -> Token {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.tokens[0] = self.lexer.next();
        }
        self.tokens[self.peeked]
    }

    fn back_up(&mut self) {
        self.peeked += 1;
    }

    fn back_up_two(&mut self, first: Token) {
        self.tokens[1] = first;
        self.peeked = 2;
    }

    fn back_up_three(&mut self, first: Token, second: Token) {
        self.tokens[1] = second;
        self.tokens[2] = first;
        self.peeked = 3;
    }

    fn peek(&mut self) -> Token {
        if self.peeked == 0 {
            self.peeked = 1;
            self.tokens[0] = self.lexer.next();
        }
        self.tokens[self.peeked - 1]
    }

    fn next_word(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != TokenKind::Space {
                return token;
            }
        }
    }

    fn peek_word(&mut self) -> Token {
        let token = self.next_word();
        self.back_up();
        token
    }

    fn bytes(&self, token: Token) -> &'s [u8] {
        token.span.of(self.text)
    }

    fn string(&self, token: Token) -> Cow<'s, str> {
        String::from_utf8_lossy(self.bytes(token))
    }

    // ---- errors ----

    fn wrong<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Stop::Wrong(Box::new(parse_error(self.name, self.text, self.tokens[0].line, message.into()))))
    }

    fn unexpected<T>(&self, token: Token, context: &str) -> Parsed<T> {
        if token.kind != TokenKind::Error {
            return self.wrong(format!("unexpected {} in {context}", self.describe(token)));
        }
        let line = self.scope.action_line;
        let message = &self.lexer.error;
        if line == 0 || line == token.line {
            return self.wrong(message.as_str());
        }
        // "unclosed action started at", not "unclosed action in action started at".
        let joint = if message.ends_with(" action") { "" } else { " in action" };
        self.wrong(format!("{message}{joint} started at {}:{line}", self.name))
    }

    fn describe(&self, token: Token) -> String {
        let text = self.bytes(token);
        match token.kind {
            TokenKind::End => "EOF".to_owned(),
            TokenKind::Error => self.lexer.error.clone(),
            kind if kind.is_keyword() => {
                // Go's lexer makes the dot a keyword only where it is alone.
                format!("<{}>", String::from_utf8_lossy(text))
            }
            _ if text.len() > 10 => {
                let start: usize = first_chars(text, 10);
                format!("{}...", strconv::quote(&text[..start]))
            }
            _ => strconv::quote(text),
        }
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token> {
        let token = self.next_word();
        if token.kind == kind { Ok(token) } else { self.unexpected(token, context) }
    }

    // Runs one level deeper. Each level costs stack.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= self.max_depth {
            return Err(Stop::TooDeep);
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    // ---- templates ----

    fn file(&mut self) -> Parsed<Vec<Node>> {
        let mut root = Vec::new();
        while self.peek().kind != TokenKind::End {
            if self.peek().kind == TokenKind::LeftDelimiter {
                let delimiter = self.next();
                if self.next_word().kind == TokenKind::Define {
                    self.in_new_scope(Self::definition)?;
                    continue;
                }
                self.back_up_two(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::Close(close) => return self.wrong(format!("unexpected {}", close.text())),
            }
        }
        Ok(root)
    }

    fn in_new_scope<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.scope, Scope { variables: vec![0], ..Scope::default() });
        let parsed = parse(self)?;
        self.scope = outer;
        Ok(parsed)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_word();
        let name = self.template_name(token, CONTEXT)?;
        self.expect(TokenKind::RightDelimiter, CONTEXT)?;
        self.definition_body(name, CONTEXT)
    }

    fn definition_body(&mut self, name: String, context: &str) -> Parsed<()> {
        let (root, close) = self.list()?;
        if let Close::Else = close {
            return self.wrong(format!("unexpected {} in {context}", close.text()));
        }
        self.add(name, root)
    }

    fn add(&mut self, name: String, root: Vec<Node>) -> Parsed<()> {
        let is_blank = |root: &[Node]| root.iter().all(|node| node.is_blank(self.text));
        match self.definitions.iter().position(|definition| definition.name == name) {
            Some(at) if is_blank(&self.definitions[at].root) => self.definitions[at].root = root,
            None => self.definitions.push(Definition { name, root }),
            Some(_) if is_blank(&root) => {}
            Some(_) => {
                let name = strconv::quote(name.as_bytes());
                return self.wrong(format!("template: multiple definition of template {name}"));
            }
        }
        Ok(())
    }

    // ---- nodes ----

    fn list(&mut self) -> Parsed<(Vec<Node>, Close)> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != TokenKind::End {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Close(close) => return Ok((nodes, close)),
            }
        }
        self.wrong("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_word();
        match token.kind {
            TokenKind::Text => Ok(Item::Node(Node::Text(token.span))),
            TokenKind::LeftDelimiter => {
                self.scope.action_line = token.line;
                let item = self.action()?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_word();
        Ok(Item::Node(match token.kind {
            TokenKind::Block => self.block()?,
            TokenKind::Break => Node::Break(self.leave(token, "{{break}}")?),
            TokenKind::Continue => Node::Continue(self.leave(token, "{{continue}}")?),
            TokenKind::Else => return self.else_control().map(|()| Item::Close(Close::Else)),
            TokenKind::EndKeyword => {
                self.expect(TokenKind::RightDelimiter, "end")?;
                return Ok(Item::Close(Close::End));
            }
            TokenKind::If => Node::If(self.control("if")?),
            TokenKind::Range => Node::Range(self.control("range")?),
            TokenKind::With => Node::With(self.control("with")?),
            TokenKind::Template => self.template()?,
            _ => {
                self.back_up();
                self.peek();
                Node::Action(self.pipeline("command", TokenKind::RightDelimiter)?)
            }
        }))
    }

    fn leave(&mut self, keyword: Token, shown: &str) -> Parsed<u32> {
        let token = self.next_word();
        if token.kind != TokenKind::RightDelimiter {
            return self.unexpected(token, shown);
        }
        if self.scope.range_depth == 0 {
            return self.wrong(format!("{shown} outside {{{{range}}}}"));
        }
        Ok(keyword.span.start)
    }

    fn else_control(&mut self) -> Parsed<()> {
        // What follows `else if` and `else with` is for `control` to take.
        if !matches!(self.peek_word().kind, TokenKind::If | TokenKind::With) {
            self.expect(TokenKind::RightDelimiter, "else")?;
        }
        Ok(())
    }

    fn control(&mut self, keyword: &'static str) -> Parsed<Box<Branch>> {
        self.nested(|parser| parser.control_body(keyword))
    }

    fn control_body(&mut self, keyword: &'static str) -> Parsed<Box<Branch>> {
        let visible = self.scope.variables.len();
        let pipe = self.pipeline(keyword, TokenKind::RightDelimiter)?;
        let in_range = usize::from(keyword == "range");
        self.scope.range_depth += in_range;
        let (body, close) = self.list()?;
        self.scope.range_depth -= in_range;
        let otherwise = match close {
            Close::End => None,
            Close::Else => Some(self.otherwise(keyword)?),
        };
        self.scope.variables.truncate(visible);
        Ok(Box::new(Branch { pipe, body, otherwise }))
    }

    // `else if` and `else with` are an `if` or `with` inside the else, whose `end` is that of the whole.
    fn otherwise(&mut self, keyword: &'static str) -> Parsed<Vec<Node>> {
        match (keyword, self.peek().kind) {
            ("if", TokenKind::If) => {
                self.next();
                Ok(vec![Node::If(self.control("if")?)])
            }
            ("with", TokenKind::With) => {
                self.next();
                Ok(vec![Node::With(self.control("with")?)])
            }
            _ => match self.list()? {
                (nodes, Close::End) => Ok(nodes),
                (_, close) => self.wrong(format!("expected end; found {}", close.text())),
            },
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_word();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, TokenKind::RightDelimiter)?;
        self.nested(|parser| parser.in_new_scope(|parser| parser.definition_body(name.clone(), CONTEXT)))?;
        Ok(Node::Template(Box::new(Call { position: token.span.start, name: name.into(), pipe: Some(pipe) })))
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_word();
        let name = self.template_name(token, CONTEXT)?.into();
        let mut pipe = None;
        if self.next_word().kind != TokenKind::RightDelimiter {
            self.back_up();
            pipe = Some(self.pipeline(CONTEXT, TokenKind::RightDelimiter)?);
        }
        Ok(Node::Template(Box::new(Call { position: token.span.start, name, pipe })))
    }

    fn template_name(&mut self, token: Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, TokenKind::String | TokenKind::RawString) {
            return self.unexpected(token, context);
        }
        let name = self.unquoted(token)?;
        Ok(String::from_utf8_lossy(&name).into_owned())
    }

    fn unquoted(&self, token: Token) -> Parsed<Vec<u8>> {
        strconv::unquote(self.bytes(token)).map_or_else(|| self.wrong("invalid syntax"), Ok)
    }

    // ---- pipelines ----

    fn pipeline(&mut self, context: &str, end: TokenKind) -> Parsed<Pipe> {
        let position = self.peek_word().span.start;
        let mut pipe = Pipe { position, is_assign: false, declared: Vec::new(), commands: Vec::new() };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_word();
            if token.kind == end {
                self.check(&pipe, context)?;
                return Ok(pipe);
            }
            if !starts_operand(token.kind) {
                return self.unexpected(token, context);
            }
            self.back_up();
            pipe.commands.push(self.command()?);
        }
    }

    // Takes `$x :=`, `$x =` or `$x,`; whether another variable may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        let variable = self.peek_word();
        if variable.kind != TokenKind::Variable {
            return Ok(false);
        }
        self.next();
        let after = self.peek();
        let next = self.peek_word();
        if matches!(next.kind, TokenKind::Assign | TokenKind::Declare) {
            pipe.is_assign = next.kind == TokenKind::Assign;
            self.next_word();
            self.declare(pipe, variable);
        } else if next.kind == TokenKind::Char && self.bytes(next) == b"," {
            self.next_word();
            self.declare(pipe, variable);
            if context != "range" || pipe.declared.len() >= 2 {
                return self.wrong(format!("too many declarations in {context}"));
            }
            let following = self.peek_word().kind;
            if matches!(following, TokenKind::Variable | TokenKind::RightDelimiter | TokenKind::RightParen) {
                return Ok(true);
            }
            return self.wrong("range can only initialize variables");
        } else if after.kind == TokenKind::Space {
            self.back_up_three(variable, after);
        } else {
            self.back_up_two(variable);
        }
        Ok(false)
    }

    fn declare(&mut self, pipe: &mut Pipe, token: Token) {
        let number = self.variable_number(&self.string(token));
        pipe.declared.push(number);
        self.scope.variables.push(number);
    }

    fn variable_number(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|other| **other == *name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        number as u32
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.wrong(format!("missing value for {context}"));
        }
        for (at, command) in pipe.commands.iter().enumerate().skip(1) {
            let term = command.operands.first().map(|operand| &operand.term);
            if matches!(term, Some(Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String(..))) {
                return self.wrong(format!("non executable command in pipeline stage {}", at + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { position: self.peek_word().span.start, operands: Vec::new() };
        loop {
            self.peek_word();
            if let Some(operand) = self.operand()? {
                command.operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelimiter | TokenKind::RightParen => self.back_up(),
                TokenKind::Pipe => {}
                _ => return self.unexpected(token, "operand"),
            }
            break;
        }
        if command.operands.is_empty() {
            return self.wrong("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != TokenKind::Field {
            return Ok(Some(operand));
        }
        // Fields follow each other without space: together they are one slice of the text.
        let mut fields = first.span;
        while self.peek().kind == TokenKind::Field {
            fields.end = self.next().span.end;
        }
        let position = first.span.start;
        let term = match operand.term {
            Term::Field(start) => Term::Field(Span { start: start.start, end: fields.end }),
            Term::Variable(variable, _) => Term::Variable(variable, fields),
            Term::Bool(_) | Term::String(..) | Term::Number(_) | Term::Nil | Term::Dot => {
                let text = self.text_of(&operand);
                return self.wrong(format!("unexpected . after term {text}"));
            }
            _ => Term::Chain(Box::new(operand), fields),
        };
        Ok(Some(Operand { position, term }))
    }

    fn text_of(&self, operand: &Operand) -> String {
        let source = Source { file: self.name.into(), text: self.text.clone(), variables: Vec::new() };
        strconv::quote(super::ast::operand_text(&source, operand).as_bytes())
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_word();
        let term = match token.kind {
            TokenKind::Identifier => {
                let name = self.string(token);
                match self.functions.get(&name) {
                    Some(function) => Term::Function(function),
                    None => return self.unknown_function(&name),
                }
            }
            TokenKind::Dot => Term::Dot,
            TokenKind::Nil => Term::Nil,
            TokenKind::Variable => self.variable(token)?,
            TokenKind::Field => Term::Field(token.span),
            TokenKind::Bool => Term::Bool(self.bytes(token) == b"true"),
            TokenKind::CharConstant | TokenKind::Complex | TokenKind::Number => {
                Term::Number(Box::new(self.number(token)?))
            }
            TokenKind::LeftParen => {
                let pipe = self.nested(|parser| parser.pipeline("parenthesized pipeline", TokenKind::RightParen))?;
                return Ok(Some(Operand { position: pipe.position, term: Term::Pipe(Box::new(pipe)) }));
            }
            TokenKind::String | TokenKind::RawString => Term::String(token.span, self.unquoted(token)?.into()),
            _ => {
                self.back_up();
                return Ok(None);
            }
        };
        Ok(Some(Operand { position: token.span.start, term }))
    }

    fn unknown_function<T>(&self, name: &str) -> Parsed<T> {
        let message = format!("function {} not defined", strconv::quote(name.as_bytes()));
        let nearest = self.functions.nearest(name).map(|nearest| format!("did you mean `{nearest}`?"));
        let error = parse_error(self.name, self.text, self.tokens[0].line, message).with_hint(nearest);
        Err(Stop::Wrong(Box::new(error)))
    }

    fn variable(&mut self, token: Token) -> Parsed<Term> {
        let name = self.string(token);
        let number = self.variable_number(&name);
        if self.scope.variables.contains(&number) {
            return Ok(Term::Variable(number, Span::default()));
        }
        self.wrong(format!("undefined variable {}", strconv::quote(name.as_bytes())))
    }

    fn number(&self, token: Token) -> Parsed<Number> {
        let text = self.string(token);
        match token.kind {
            TokenKind::CharConstant => self.char_constant(&text),
            TokenKind::Complex => self.wrong(format!("complex number {text} is not supported")),
            _ if text.ends_with('i') => self.wrong(format!("complex number {text} is not supported")),
            _ => plain_number(&text).or_else(|message| self.wrong(message)),
        }
    }

    fn char_constant(&self, text: &str) -> Parsed<Number> {
        let Some((unquoted, tail)) = strconv::unquote_char(&text.as_bytes()[1..], b'\'') else {
            return self.wrong("invalid syntax");
        };
        if tail != b"'" {
            return self.wrong(format!("malformed character constant: {text}"));
        }
        let code = match unquoted {
            strconv::Unquoted::Char(character) => u32::from(character),
            strconv::Unquoted::Byte(byte) => u32::from(byte),
        };
        Ok(Number { text: text.into(), int: Some(code.into()), uint: Some(code.into()), float: Some(code.into()) })
    }
}

fn plain_number(text: &str) -> Result<Number, String> {
    let mut uint = strconv::parse_uint(text);
    let mut int = strconv::parse_int(text);
    if int == Some(0) {
        uint = Some(0); // -0
    }
    let mut float = int.map(|int| int as f64).or(uint.map(|uint| uint as f64));
    if float.is_none() {
        float = strconv::parse_float(text);
        if float.is_some() && !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", strconv::quote(text.as_bytes())));
        }
        // A whole float is an integer too, as far as the integer can be told from its neighbours' casts.
        let whole = float.filter(|float| float.fract() == 0.0);
        int = whole.map(|float| float as i64).filter(|int| whole == Some(*int as f64) && *int != i64::MAX);
        uint = whole.map(|float| float as u64).filter(|uint| whole == Some(*uint as f64) && *uint != u64::MAX);
    }
    if float.is_none() {
        return Err(format!("illegal number syntax: {}", strconv::quote(text.as_bytes())));
    }
    Ok(Number { text: text.into(), int, uint, float })
}

fn starts_operand(kind: TokenKind) -> bool {
    use TokenKind::*;
    matches!(
        kind,
        Bool | CharConstant
            | Complex
            | Dot
            | Field
            | Identifier
            | Number
            | Nil
            | RawString
            | String
            | Variable
            | LeftParen
    )
}

fn first_chars(text: &[u8], count: usize) -> usize {
    (0..count).fold(0, |at, _| at + strconv::decode(&text[at..]).1)
}
