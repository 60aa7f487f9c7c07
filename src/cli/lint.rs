//! `bowline lint`

use std::path::{Path, PathBuf};

use super::template::Values;
use super::world::World;
use super::{Exit, output};
use crate::chart::KubeVersion;
use crate::chart::lint::{self, Message, NoChart, Report, Severity, Subject};
use crate::error::Error;

/// Examine charts with the rules of `helm lint`
///
/// Prints what Helm prints, and on the standard error the place of each finding. Where Helm stops at the first template
/// that fails, every failure that has a cause of its own is told. The exit code is 1 when a chart has an error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Charts: folders or packed charts
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<String>,

    /// Count warnings as errors
    #[arg(long)]
    strict: bool,

    /// Examine the charts in `charts/`, too
    #[arg(long)]
    with_subcharts: bool,

    /// Print warnings and errors only
    #[arg(long)]
    quiet: bool,

    /// Leave `values.schema.json` aside
    #[arg(long)]
    skip_schema_validation: bool,

    /// Examine for this version of Kubernetes
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,

    /// Render for this namespace
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    namespace: String,

    /// Say how to print what was found
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,

    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    world: World,
}

/// Form of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// As Helm prints them.
    Text,
    /// For programs, with places.
    Json,
}

/// What came of one path.
#[derive(serde::Serialize)]
struct Outcome {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    messages: Vec<Message>,
    #[serde(skip)]
    notes: Vec<String>,
}

impl Outcome {
    fn new(path: String, examined: Result<Report, NoChart>) -> Self {
        match examined {
            Ok(Report { messages, notes }) => Outcome { path, error: None, messages, notes },
            Err(error) => Outcome { path, error: Some(error.to_string()), messages: Vec::new(), notes: Vec::new() },
        }
    }

    fn has(&self, severity: Severity) -> bool {
        self.error.is_some() || self.messages.iter().any(|message| message.severity >= severity)
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let kube_version = args.kube_version.as_deref().map(KubeVersion::parse).transpose();
    let options = lint::Options {
        namespace: args.namespace.clone(),
        kube_version: kube_version.map_err(|error| Error::new(error.to_string()))?,
        skip_schema: args.skip_schema_validation,
        rendering: args.world.options()?,
    };
    let values = args.values.merge()?;
    let mut paths = args.paths.clone();
    if args.with_subcharts {
        args.paths.iter().for_each(|path| below(&Path::new(path).join("charts"), &mut paths));
    }
    let outcomes = paths.into_iter().map(|path| {
        let examined = read(&path).map(|subject| lint::lint(&subject, &values, &options));
        Outcome::new(path, examined)
    });
    match args.output {
        Form::Text => print_text(outcomes, args),
        Form::Json => print_json(&outcomes.collect::<Vec<_>>(), args),
    }
}

/// The least severity that makes a chart fail.
fn tolerance(args: &Args) -> Severity {
    if args.strict { Severity::Warning } else { Severity::Error }
}

fn read(path: &str) -> Result<Subject, NoChart> {
    let path = Path::new(path);
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // Go's absolute paths are cleaned.
    let absolute: PathBuf = absolute.components().collect();
    if Subject::is_archive(path) { Subject::archive(path, &absolute) } else { Subject::folder(path, &absolute) }
}

/// Adds the charts below a folder, in the order of a walk by names.
fn below(folder: &Path, paths: &mut Vec<String>) {
    let Ok(listing) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        let is_folder = std::fs::symlink_metadata(&entry).is_ok_and(|entry| entry.is_dir());
        if entry.file_name().is_some_and(|name| name == "Chart.yaml") {
            paths.push(folder.display().to_string());
        } else if Subject::is_archive(&entry) {
            paths.push(entry.display().to_string());
        }
        if is_folder {
            below(&entry, paths);
        }
    }
}

fn print_text(outcomes: impl Iterator<Item = Outcome>, args: &Args) -> Result<Exit, Error> {
    let (mut n_charts, mut n_failed, mut has_said) = (0, 0, false);
    for outcome in outcomes {
        n_charts += 1;
        n_failed += usize::from(outcome.has(tolerance(args)));
        let is_worth_saying = outcome.has(Severity::Warning);
        has_said |= is_worth_saying;
        if args.quiet && !is_worth_saying {
            continue;
        }
        print_outcome(&outcome, args.quiet);
    }
    let summary = format!("{n_charts} chart(s) linted, {n_failed} chart(s) failed");
    if n_failed > 0 {
        return Err(Error::new(summary));
    }
    if !args.quiet || has_said {
        output::bytes(format!("{summary}\n").as_bytes());
    }
    Ok(Exit::Done)
}

/// Helm's lines to stdout; below each, to stderr, where it is.
fn print_outcome(outcome: &Outcome, quiet: bool) {
    output::bytes(format!("==> Linting {}\n", outcome.path).as_bytes());
    if let Some(error) = &outcome.error {
        output::bytes(format!("Error {error}\n").as_bytes());
    }
    for message in outcome.messages.iter().filter(|message| !quiet || message.severity > Severity::Info) {
        output::bytes(format!("{message}\n").as_bytes());
        if !message.excerpt.is_empty() {
            output::words(message.excerpt.trim_end());
        } else if let Some(place) = &message.place {
            output::words(&format!("  --> {}", Path::new(&outcome.path).join(place.to_string()).display()));
        }
    }
    outcome.notes.iter().for_each(|note| output::words(&format!("note: {}: {note}", outcome.path)));
    output::bytes(b"\n");
}

fn print_json(outcomes: &[Outcome], args: &Args) -> Result<Exit, Error> {
    let text = serde_json::to_string_pretty(outcomes)
        .map_err(|error| Error::new("the findings cannot be written as JSON").because(error))?;
    output::data(&format!("{text}\n"));
    let failed = outcomes.iter().any(|outcome| outcome.has(tolerance(args)));
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
