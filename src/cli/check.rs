//! `bowline check`

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::facts::Namespaces;
use super::repository::Repository;
use super::{Exit, output};
use crate::error::Error;
use crate::health::Rules;
use crate::load::{self, Desired};
use crate::render;
use crate::unit::{Origin, Problem};

/// Validate a repository: all errors at once, each with file and line
///
/// Reads the files as the daemon would and renders them without a cluster. Exits with 1 when there is an error; warnings alone
/// are no error. Kinds whose definition is not in the repository are taken as they are.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    repository: Repository,

    #[command(flatten)]
    namespaces: Namespaces,

    /// How the result is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// One line per error and warning
    Text,
    /// An object with `problems` and `warnings`
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let facts = args.namespaces.facts()?;
    let checkout = args.repository.checkout()?;
    let desired = load::load(&checkout, &mut load::Cache::default());
    let rendered = render::render(&desired, &facts, &args.repository.source);
    let mut problems: BTreeSet<Problem> = rendered.problems.iter().cloned().collect();
    problems.extend(rendered.units.values().flat_map(|unit| unit.problems.iter().cloned()));
    problems.extend(health_rules(&desired));
    let objects: usize = rendered.units.values().map(|unit| unit.items.len()).sum();
    match args.output {
        Output::Json => {
            let result = json!({
                "problems": problems, "warnings": rendered.warnings,
                "units": rendered.units.len(), "objects": objects,
            });
            output::data(&format!("{result:#}\n"));
        }
        Output::Text => {
            let lines = problems.iter().map(|problem| line("error", problem));
            let lines = lines.chain(rendered.warnings.iter().map(|problem| line("warning", problem)));
            output::data(&lines.collect::<String>());
            let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
            output::words(&format!(
                "{} in {}, {}, {}",
                count(objects, "object"),
                count(rendered.units.len(), "unit"),
                count(problems.len(), "error"),
                count(rendered.warnings.len(), "warning"),
            ));
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}

/// `file:line:column: error: message`, as compilers write it, so that editors and forges find the place.
fn line(weight: &str, problem: &Problem) -> String {
    let hint = if problem.hint.is_empty() { String::new() } else { format!("\n  hint: {}", problem.hint) };
    format!("{}: {weight}: {}{hint}\n", problem.origin, problem.message)
}

/// What is wrong with the rules of health that folders bring, each list once.
fn health_rules(desired: &Desired) -> Vec<Problem> {
    let folders =
        desired.manifests.iter().map(|(_, folder)| folder).chain(desired.lists.iter().map(|list| &list.folder));
    let mut rules = BTreeMap::new();
    for list in folders.flat_map(|folder| &folder.health) {
        rules.entry(list.origin.clone()).or_insert_with(|| list.rules.clone());
    }
    let mut problems = Vec::new();
    for (origin, rules) in rules {
        let rules = serde_json::Value::Array(rules.to_vec());
        if let Err(errors) = Rules::parse(&rules) {
            problems.extend(errors.iter().map(|error| problem(&origin, &error.to_string())));
        }
    }
    problems
}

fn problem(origin: &Origin, message: &str) -> Problem {
    Problem::new(origin.clone(), format!("health: {message}"))
}
