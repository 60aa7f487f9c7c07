//! `bowline render`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::facts::Namespaces;
use super::repository::Repository;
use super::{Exit, output};
use crate::error::Error;
use crate::load;
use crate::render::{self, Rendered};
use crate::unit::UnitName;
use crate::yaml;

/// Print the objects that a repository asks for, without a cluster
///
/// The order is fixed: units by name, objects by group, kind and name. What cannot be rendered is said on stderr, and the
/// exit code is 1; what can be is printed all the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    repository: Repository,

    #[command(flatten)]
    namespaces: Namespaces,

    /// Print these units only
    #[arg(long = "unit", value_name = "UNIT")]
    units: Vec<UnitName>,

    /// How the objects are printed
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// One document per object, with its unit and its place in the repository as a comment
    Yaml,
    /// One `List` of all objects
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let facts = args.namespaces.facts()?;
    let checkout = args.repository.checkout()?;
    let desired = load::load(&checkout, &mut load::Cache::default());
    let mut rendered = render::render(&desired, &facts, &args.repository.source);
    if !args.units.is_empty() {
        if let Some(unknown) = args.units.iter().find(|unit| !rendered.units.contains_key(unit)) {
            let known: Vec<String> = rendered.units.keys().map(ToString::to_string).collect();
            return Err(
                Error::new(format!("there is no unit {unknown}")).hint(format!("there are: {}", known.join(", ")))
            );
        }
        rendered.units.retain(|name, _| args.units.contains(name));
    }
    output::data(&match args.output {
        Output::Yaml => documents(&rendered),
        Output::Json => format!("{:#}\n", list(&rendered)),
    });
    let mut problems: Vec<_> = rendered.problems.clone();
    problems.extend(rendered.units.values().flat_map(|unit| unit.problems.iter().cloned()));
    problems.sort();
    problems.dedup();
    for warning in &rendered.warnings {
        output::words(&format!("warning: {warning}"));
    }
    for problem in &problems {
        output::words(&format!("error: {problem}"));
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn documents(rendered: &Rendered) -> String {
    let mut text = String::new();
    for unit in rendered.units.values() {
        for item in &unit.items {
            let _ = writeln!(text, "---\n# Unit: {}\n# Source: {}", unit.name, item.origin);
            text.push_str(&yaml::write(item.object.value()));
        }
    }
    text
}

fn list(rendered: &Rendered) -> Value {
    let items: Vec<&Value> =
        rendered.units.values().flat_map(|unit| &unit.items).map(|item| item.object.value()).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
