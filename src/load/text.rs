//! Template text in lists: parsed once, executed for each namespace, its result read as manifests.
//!
//! ```text
//! text + {Namespace: {Name, Labels, Annotations}} -> template engine -> YAML documents -> manifests
//! ```
//! The same list and namespace give the same bytes: the clock stands still, random values follow from the two names, and
//! nobody is asked about the cluster.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::file;
use super::manifest::Manifest;
use crate::template::funcs::Functions;
use crate::template::{
    self, Clock, Context, Limits, Lookup, MissingKey, Moment, Random, Seeded, State, Templates, Value, on_large_stack,
};
use crate::unit::{Origin, Problem};

/// What one text may cost in one namespace.
const LIMITS: Limits = Limits { includes: 100, depth: 1_000, steps: Some(1_000_000), output: Some(4 << 20) };

/// Name of the text in the engine.
const NAME: &str = "template";

/// A text of a list, ready for the template engine.
#[derive(Debug, Clone)]
pub struct TextTemplate {
    text: String,
    origin: Origin,
    /// Line and column of the text's first line; `None` when its lines are not those of the file.
    start: Option<(usize, usize)>,
    templates: Templates,
}

impl PartialEq for TextTemplate {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.origin, self.start) == (&other.text, &other.origin, other.start)
    }
}

/// What a text makes for one namespace.
#[derive(Debug, Default)]
pub struct TextResult {
    /// Its objects; those with problems are among them.
    pub manifests: Vec<Arc<Manifest>>,
    /// Why there is no result, or why parts of it are no objects.
    pub problems: Vec<Problem>,
    /// What is worth a word.
    pub warnings: Vec<Problem>,
}

impl TextTemplate {
    /// A text whose place is not known yet.
    pub(super) fn new(text: &str) -> Self {
        let templates = Templates::new(NAME, Functions::all());
        TextTemplate { text: text.to_owned(), origin: Origin::default(), start: None, templates }
    }

    /// Parses the text; what is wrong is placed in the file that holds it, at `origin`.
    pub(super) fn parse(&mut self, origin: Origin, file: &[u8]) -> Result<(), Problem> {
        self.start = start(&self.text, &origin, file);
        self.origin = origin;
        self.templates.parse(NAME, &self.text).map_err(|error| self.problem(&error, ""))
    }

    /// Executes the text for a namespace of that name, labels and annotations, and reads what comes of it.
    pub fn render(
        &self,
        list: &str,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> TextResult {
        let (outcome, is_guessable) = on_large_stack(|| {
            let used = Rc::new(Cell::new(false));
            let mut context = context(list, namespace, &used);
            let outcome = State::new(&self.templates, &mut context).execute(NAME, dot(namespace, labels, annotations));
            (outcome, used.get())
        });
        let mut result = match outcome {
            Ok(text) => self.read(namespace, &text),
            Err(error) => {
                let problem = self.problem(&error, &format!("in namespace {namespace}: "));
                TextResult { problems: vec![problem], ..TextResult::default() }
            }
        };
        if is_guessable {
            let message = "template: uses random values or the time, which are fixed here";
            let hint = "anybody can compute them from the names of list and namespace: make no password or key of them";
            result.warnings.push(Problem::new(self.origin.clone(), message).with_hint(hint));
        }
        result
    }

    /// Reads the result as a file of manifests is read; everything wrong in it is said at the template.
    fn read(&self, namespace: &str, text: &[u8]) -> TextResult {
        // Go prints this for a missing label; as in charts, nothing is what was meant.
        let text = String::from_utf8_lossy(text).replace("<no value>", "");
        let file = file::read("", text.as_bytes());
        let moved = |problem: &Problem| {
            let line = problem.origin.line;
            let message = format!("template: in namespace {namespace}: line {line} of its result: {}", problem.message);
            let hint = if problem.hint == file::NOT_AN_OBJECT { "" } else { problem.hint.as_str() };
            Problem::new(self.origin.clone(), message).with_hint(hint)
        };
        let mut problems: Vec<Problem> = file.problems.iter().map(moved).collect();
        for list in &file.lists {
            let problem = Problem::new(list.origin.clone(), "a template makes plain objects, no lists");
            problems.push(moved(&problem));
        }
        let warnings = file.warnings.iter().map(moved).collect();
        let manifests = file.manifests.into_iter().map(|mut manifest| {
            let own = Arc::make_mut(&mut manifest);
            own.origin = self.origin.clone();
            for problem in own.problems.iter_mut().chain(&mut own.warnings) {
                *problem = moved(problem);
            }
            manifest
        });
        TextResult { manifests: manifests.collect(), problems, warnings }
    }

    /// An error of the engine where it is in the file.
    fn problem(&self, error: &template::Error, subject: &str) -> Problem {
        let inner = error.chain().filter(|inner| inner.place().is_some_and(|place| &*place.file == NAME)).last();
        let place = inner.and_then(template::Error::place);
        let mut words = match error.said() {
            Some(words) => words,
            None => error
                .chain()
                .skip_while(|each| inner.is_some_and(|inner| !std::ptr::eq(*each, inner)))
                .fold(String::new(), |words, each| words + each.message()),
        };
        if let Some(place) = place.filter(|place| !place.node.is_empty()) {
            words = format!("at <{}>: {words}", place.node);
        }
        let origin = match (self.start, place) {
            (Some((line, column)), Some(place)) => {
                let column = place.column.map_or(0, |at| column + at);
                Origin::new(&self.origin.file, line + place.line - 1, column)
            }
            _ => self.origin.clone(),
        };
        Problem::new(origin, format!("template: {subject}{words}")).with_hint(error.hint().unwrap_or_default())
    }
}

/// Where the text of a block begins, when its lines are those of the file.
fn start(text: &str, origin: &Origin, file: &[u8]) -> Option<(usize, usize)> {
    let file = String::from_utf8_lossy(file);
    // The origin is the key; the block begins in the line below it.
    let written: Vec<&str> = file.lines().skip(origin.line).take(text.lines().count()).collect();
    let same = text.lines().zip(&written).all(|(line, written)| written.trim() == line.trim());
    if !same || written.len() < text.lines().count() {
        return None;
    }
    let (line, written) = text.lines().zip(&written).find(|(line, _)| !line.trim().is_empty())?;
    let indent = written.len().checked_sub(line.len())?;
    Some((origin.line + 1, indent + 1))
}

/// `{Namespace: {Name, Labels, Annotations}}`
fn dot(namespace: &str, labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Value {
    let texts = |map: &BTreeMap<String, String>| {
        Value::map(map.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str()))))
    };
    let namespace = [("Name", Value::from(namespace)), ("Labels", texts(labels)), ("Annotations", texts(annotations))];
    Value::map([("Namespace", Value::map(namespace))])
}

/// Surroundings that make the result a function of list and namespace; `used` tells whether it drew on random or clock.
fn context(list: &str, namespace: &str, used: &Rc<Cell<bool>>) -> Context {
    let seed = Sha256::new().chain_update(list).chain_update([0]).chain_update(namespace).finalize();
    Context {
        missing_key: MissingKey::Zero,
        random: Box::new(Watched { inner: Seeded::from_bytes(seed.into()), used: used.clone() }),
        clock: Box::new(Watched { inner: Moment::default(), used: used.clone() }),
        lookup: Box::new(Refused),
        limits: LIMITS,
        ..Context::default()
    }
}

/// Notes that something was asked.
struct Watched<T> {
    inner: T,
    used: Rc<Cell<bool>>,
}

impl Random for Watched<Seeded> {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.used.set(true);
        self.inner.fill(buffer);
    }
}

impl Clock for Watched<Moment> {
    fn now(&self) -> Moment {
        self.used.set(true);
        self.inner
    }
}

/// An answer would change with the cluster, and with it what the same commit means.
struct Refused;

impl Lookup for Refused {
    fn lookup(&self, _: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        Err(format!("a template list asks nobody for {kind} {namespace}/{name}: copyFrom brings live objects"))
    }
}
