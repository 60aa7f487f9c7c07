//! What can go wrong in a template, with Go's words, the place, and the stack of includes that led there.
//!
//! [`Error`] displays as Go's text/template has it, nested errors included; [`Error::helm`] as Helm 4 rewrites that.
//! [`Failure`] is what a function gives back; the engine adds the place.

use std::fmt;
use std::sync::Arc;

use super::value::Text;

/// An error of parsing or executing a template.
#[derive(Debug, Clone)]
pub struct Error(Box<Repr>);

#[derive(Debug, Clone)]
struct Repr {
    kind: ErrorKind,
    place: Option<Place>,
    message: String,
    cause: Option<Error>,
    hint: Option<String>,
}

/// At which stage the error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a template.
    Parse,
    /// Executing a template failed.
    Execute,
    /// A template was asked for that is not there.
    NoTemplate,
    /// A function failed; the error around it says where.
    Function,
}

/// Where in the text of a template an error is. Lines and columns as Go counts them: lines from 1, bytes from 0.
#[derive(Debug, Clone)]
pub struct Place {
    /// The name under which the text was parsed: a file, or `gotpl` for `tpl`.
    pub file: Arc<str>,
    /// Line from 1.
    pub line: usize,
    /// Bytes before the node in its line; `None` for parse errors, of which only the line is known.
    pub column: Option<usize>,
    /// Template being executed: the file or the name of a `define`.
    pub executing: Arc<str>,
    /// The node as Go prints it, for `at <...>`.
    pub node: String,
    /// The whole text, for excerpts.
    pub source: Text,
}

impl Error {
    /// A parse error in a line.
    pub(super) fn parse(place: Place, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Parse, Some(place), message.into(), None)
    }

    /// An error of execution; without a place it has none in the text.
    pub(super) fn execute(place: Place, message: impl Into<String>, cause: Option<Error>) -> Self {
        Self::new(ErrorKind::Execute, Some(place), message.into(), cause)
    }

    /// A template that is not there.
    pub(super) fn no_template(name: &str, root: &str) -> Self {
        let (name, root) = (super::format::quote(name.as_bytes()), super::format::quote(root.as_bytes()));
        let message = format!("template: no template {name} associated with template {root}");
        Self::new(ErrorKind::NoTemplate, None, message, None)
    }

    /// An error with Go's complete text.
    pub(super) fn plain(kind: ErrorKind, message: impl Into<String>, cause: Option<Error>) -> Self {
        Self::new(kind, None, message.into(), cause)
    }

    fn new(kind: ErrorKind, place: Option<Place>, message: String, cause: Option<Error>) -> Self {
        Error(Box::new(Repr { kind, place, message, cause, hint: None }))
    }

    /// The same error with words on what may help.
    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    pub(super) fn given_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// At which stage it came up.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it is: of the outermost template. The innermost place is that of the last [`Error::chain`] that has one.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// What is wrong here, without the place; ends in `: ` or a like word when [`Error::cause`] goes on.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error inside: of the included template, or of the function's own words.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }

    /// This error and those inside it, outermost first.
    pub fn chain(&self) -> impl Iterator<Item = &Error> {
        std::iter::successors(Some(self), |error| error.cause())
    }

    /// Whether it is that a template is asked for by a name that none has.
    pub fn lacks_template(&self) -> bool {
        let is_lack = |error: &Error| {
            let message = error.message();
            error.kind() == ErrorKind::NoTemplate
                || message.starts_with("template \"") && message.ends_with("\" not defined")
        };
        self.chain().any(is_lack)
    }

    /// The text that Helm 4 makes of an error of one of a chart's files (engine.go, cleanupParseError and
    /// reformatExecErrorMsg); it takes Go's text apart again, and so do we.
    pub fn helm(&self, file: &str) -> String {
        let text = self.to_string();
        if self.kind() == ErrorKind::Parse {
            let parts: Vec<&str> = text.split(": ").collect();
            return match parts.as_slice() {
                [_, location, .., last] => format!("parse error at ({location}): {last}"),
                [_, last] => format!("parse error at ({last}): {last}"),
                _ => format!("parse error in ({file}): {text}"),
            };
        }
        if !self.chain().any(|error| error.kind() == ErrorKind::Execute) {
            return text;
        }
        let mut parts = text.splitn(3, ": ");
        let (Some(_), Some(location), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            return format!("execution error in ({file}): {text}");
        };
        if let Some(words) = self.said() {
            return format!("execution error at ({location}): {words}");
        }
        let mut traces: Vec<Trace> = Vec::new();
        for error in self.chain() {
            match Trace::of(&error.to_string()) {
                Some(trace) if traces.last() == Some(&trace) => {}
                Some(trace) => traces.push(trace),
                None => return text,
            }
        }
        let lines: String = traces.iter().map(Trace::to_string).collect();
        lines.trim().to_owned()
    }

    /// What `fail` or `required` said, if the error came from one of them.
    pub fn said(&self) -> Option<String> {
        let text = self.to_string();
        let start = text.find(SAID_START)? + SAID_START.len();
        let end = text.rfind(SAID_END)?;
        text.get(start..end).map(str::to_owned)
    }
}

// One error of a chain, as Helm takes it apart.
#[derive(PartialEq)]
struct Trace {
    location: String,
    executing: String,
    message: String,
}

impl Trace {
    fn of(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        let message_only = |message: &str| message.split(" template:").next().unwrap_or_default().to_owned();
        if rest.starts_with("no template ") {
            return Some(Trace { location: String::new(), executing: String::new(), message: text.to_owned() });
        }
        if let Some((location, after)) = rest.split_once(": executing ")
            && let Some((name, after)) = after.strip_prefix('"').and_then(|after| after.split_once('"'))
            && let Some((node, message)) = after.strip_prefix(" at <").and_then(|after| after.split_once(">: "))
        {
            let executing = format!("executing \"{name}\" at <{node}>:");
            return Some(Trace { location: location.to_owned(), executing, message: message_only(message) });
        }
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Trace { location: location.to_owned(), executing: String::new(), message: message_only(message) })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (text, end) in [(&self.location, "\n  "), (&self.executing, "\n    "), (&self.message, "\n")] {
            if !text.is_empty() {
                write!(out, "{text}{end}")?;
            }
        }
        Ok(())
    }
}

// Helm marks what `fail` and `required` say, to find it again in the text of the whole chain (engine.go, warnWrap).
const SAID_START: &str = "HELM_ERR_START";
const SAID_END: &str = "HELM_ERR_END";

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in self.chain() {
            if let Some(place) = error.place() {
                write!(out, "template: {place}: ")?;
            }
            out.write_str(error.message())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)?;
        let Some(column) = self.column else { return Ok(()) };
        let executing = super::format::quote(self.executing.as_bytes());
        write!(out, ":{column}: executing {executing} at <{}>", self.node)
    }
}

/// What a function gives back when it fails; the engine puts `error calling NAME: ` before it.
#[derive(Debug, Clone)]
pub struct Failure {
    message: String,
    cause: Option<Error>,
}

impl Failure {
    /// A failure in the function's own words.
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), cause: None }
    }

    /// A failure because of an error inside, of whose text the words are the beginning: `cannot parse template "x": `.
    pub fn because(message: impl Into<String>, cause: Error) -> Self {
        Failure { message: message.into(), cause: Some(cause) }
    }

    /// What `fail` and `required` give: Helm shows these words alone.
    pub fn said(words: &str) -> Self {
        Failure::new(format!("{SAID_START}{words}{SAID_END}"))
    }

    /// The error it is inside of another one; `None` when it has no words.
    pub(super) fn into_error(self) -> Error {
        match (self.message.is_empty(), self.cause) {
            (true, Some(cause)) => cause,
            (_, cause) => Error::plain(ErrorKind::Function, self.message, cause),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        self.cause.as_ref().map_or(Ok(()), |cause| cause.fmt(out))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { message: String::new(), cause: Some(error) }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::new(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Failure::new(message)
    }
}
