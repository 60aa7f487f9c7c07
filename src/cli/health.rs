//! `bowline health`

use std::fmt::Write as _;
use std::io::Read as _;

use serde_json::{Map, Value};

use super::{Exit, output};
use crate::error::Error;
use crate::health::{Rules, StatusField, check_with};
use crate::object::Object;
use crate::yaml;

/// Say how the objects of a file are, from the objects alone
///
/// Prints one line per object: status, Kind/namespace/name, message, with tabs between them. The objects are read as the
/// API server gives them, for example by `kubectl get -o yaml`; lists are taken apart.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Read objects from FILE, in YAML or JSON; `-` is the standard input
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<String>,

    /// Ask the `health` rules of this `bowline.yaml` first
    #[arg(long, value_name = "FILE")]
    rules: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let rules = match &args.rules {
        Some(file) => read_rules(file)?,
        None => Rules::default(),
    };
    let mut exit = Exit::Done;
    for file in &args.files {
        let problems = match read_file(file) {
            Ok(text) => judge_text(file, &text, &rules),
            Err(error) => vec![error],
        };
        for problem in problems {
            output::error(&problem);
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Prints a line for each object of a text; what is not an object comes back as an error.
fn judge_text(file: &str, text: &[u8], rules: &Rules) -> Vec<Error> {
    let mut problems = Vec::new();
    let mut lines = String::new();
    for document in yaml::read_all(text, &yaml::Options::helm()) {
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                let place = error.position;
                problems.push(Error::new(format!("{file}:{}:{}: {}", place.line, place.column, error.message)));
                continue;
            }
        };
        let mut values = Vec::new();
        flatten(document.value, &mut values);
        for value in values {
            match object(value) {
                Ok(object) => write_line(&mut lines, &object, rules),
                Err(malformed) => {
                    let place = document.position;
                    problems.push(Error::new(format!("{file}:{}:{}: {malformed}", place.line, place.column)));
                }
            }
        }
    }
    output::data(&lines);
    problems
}

fn write_line(lines: &mut String, object: &Object, rules: &Rules) {
    let health = check_with(object, rules, StatusField::NotKnown);
    let message = health.message.split_whitespace().collect::<Vec<&str>>().join(" ");
    let _ = writeln!(lines, "{}\t{}\t{message}", health.status, object.id());
}

/// The objects of a document: itself, or the items of a list; nothing for an empty one.
fn flatten(value: Value, found: &mut Vec<Value>) {
    match value {
        Value::Null => {}
        Value::Object(mut fields) if is_list(&fields) => {
            let Some(Value::Array(items)) = fields.remove("items") else { return };
            for item in items {
                flatten(item, found);
            }
        }
        value => found.push(value),
    }
}

fn is_list(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("List") && fields.get("items").is_some_and(Value::is_array)
}

/// An object that was cut down by hand may lack its name; its health does not depend on it.
fn object(mut value: Value) -> Result<Object, crate::object::Malformed> {
    if let Value::Object(fields) = &mut value {
        let metadata = fields.entry("metadata").or_insert(Value::Null);
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        if let Value::Object(metadata) = metadata
            && metadata.get("name").and_then(Value::as_str).unwrap_or_default().is_empty()
        {
            metadata.insert("name".to_owned(), Value::String("-".to_owned()));
        }
    }
    Object::new(value)
}

fn read_file(file: &str) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    let read = match file {
        "-" => std::io::stdin().read_to_end(&mut text).map(|_| text),
        file => std::fs::read(file),
    };
    read.map_err(|error| Error::new(format!("cannot read {file}")).because(error))
}

fn read_rules(file: &str) -> Result<Rules, Error> {
    let settings = yaml::read(&read_file(file)?, &yaml::Options::manifests())
        .map_err(|error| Error::new(format!("{file}: {error}")))?;
    let Some(list) = settings.get("health") else {
        return Err(Error::new(format!("{file}: there is no `health` list in it")));
    };
    Rules::parse(list).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("{file}: {error}")).collect();
        Error::new(lines.join("\n"))
    })
}
