//! Examines a chart with the rules of `helm lint`, in its order and with its words, and adds where each finding is.
//!
//! ```text
//! Subject (a chart as it lies there) -> Chart.yaml -> values.yaml -> templates -> dependencies -> crds -> Report
//!                                       chartfile     values         templates    dependencies    crds
//! ```
//! Helm stops at the first template that fails; here every failure that has a cause of its own is told, and templates
//! that could be rendered are examined all the same. What goes beyond Helm's messages comes after them.
//!
//! Start at [`Subject::folder`], then [`lint`].

mod subject;

mod chartfile;
mod templates;

mod resource;

mod addresses;
mod deprecations;
mod names;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

pub use subject::{NoChart, Subject};

use self::subject::Entry;
use super::coalesce;
use super::decode::WrongType;
use super::{KubeVersion, schema, values};
use crate::{template, yaml};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, and breaks with convention.
    Warning,
    /// Will likely not work.
    Error,
}

/// One finding; prints as Helm prints it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a file or folder of the chart, or the chart's folder.
    pub path: String,
    /// What is wrong, in Helm's words.
    pub message: String,
    /// Where it is written, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The lines at fault and what may help; empty when there is nothing to show.
    #[serde(skip)]
    pub excerpt: String,
}

/// A place in a file of the chart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The file, from the chart's folder.
    pub file: String,
    /// Line from 1.
    pub line: usize,
    /// Column from 1; 0 when only the line is known.
    pub column: usize,
    /// Whether line and column count in what the template renders.
    pub rendered: bool,
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(out, "[{severity}] {}: {}", self.path, self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rendered, self.column) {
            (true, _) => write!(out, "{}, line {} of what it renders", self.file, self.line),
            (false, 0) => write!(out, "{}:{}", self.file, self.line),
            (false, column) => write!(out, "{}:{}:{column}", self.file, self.line),
        }
    }
}

/// How to examine a chart.
#[derive(Clone)]
pub struct Options {
    /// `.Release.Namespace`.
    pub namespace: String,
    /// Version of Kubernetes for capabilities and deprecations; what Helm assumes without it.
    pub kube_version: Option<KubeVersion>,
    /// Leave `values.schema.json` aside.
    pub skip_schema: bool,
    /// Seed, clock and limits of the rendering.
    pub rendering: super::Options,
}

/// What was found in a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings, Helm's first.
    pub messages: Vec<Message>,
    /// What Helm passes over in silence: why some rules could not be applied.
    pub notes: Vec<String>,
}

impl Report {
    /// The worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.messages.iter().map(|message| message.severity).max()
    }

    /// Keeps a finding; tells whether the rule held.
    fn check(&mut self, severity: Severity, path: &str, outcome: Result<(), Finding>) -> bool {
        let Err(Finding { words, place, excerpt }) = outcome else { return true };
        self.messages.push(Message { severity, path: path.to_owned(), message: words, place, excerpt });
        false
    }
}

/// A rule that does not hold.
#[derive(Debug)]
struct Finding {
    words: String,
    place: Option<Place>,
    excerpt: String,
}

impl Finding {
    fn new(words: impl Into<String>) -> Self {
        Finding { words: words.into(), place: None, excerpt: String::new() }
    }

    fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

/// Examines a chart with a user's values.
///
/// A pure function: the same arguments give the same report.
pub fn lint(subject: &Subject, values: &Map<String, Value>, options: &Options) -> Report {
    let mut report = Report::default();
    chartfile::examine(subject, &mut report);
    examine_values(subject, values, options, &mut report);
    templates::examine(subject, values, options, &mut report);
    examine_dependencies(subject, &mut report);
    examine_crds(subject, &mut report);
    report
}

/// `values.yaml` is there, and with the user's values over it keeps to the schema; charts below are not looked at.
fn examine_values(subject: &Subject, user: &Map<String, Value>, options: &Options, report: &mut Report) {
    const FILE: &str = "values.yaml";
    let wrong_type = |value: &Value| WrongType::document(value, "common.Values").to_string();
    let own = match &subject.values {
        Entry::Missing => {
            report.check(Severity::Info, FILE, Err(Finding::new("file does not exist")));
            return;
        }
        Entry::Folder => Err(format!("read {}/{FILE}: is a directory", subject.name)),
        Entry::File(text) => match yaml::read(text, &yaml::Options::helm()) {
            Ok(Value::Object(mut own)) => {
                values::as_floats(&mut own);
                Ok(own)
            }
            Ok(Value::Null) => Ok(Map::new()),
            Ok(other) => Err(wrong_type(&other)),
            Err(error) => Err(error.in_go()),
        },
    };
    let outcome = match own {
        Err(reason) => Err(Finding::new(format!("unable to parse YAML: {reason}"))),
        Ok(own) => match &subject.schema {
            Entry::File(schema) if !schema.is_empty() && !options.skip_schema => {
                let over = coalesce::to_map(user);
                coalesce::coalesce_tables(&over, &coalesce::to_map(&own), &mut report.notes);
                let json = template::Value::Map(over).to_json().map_err(|error| error.to_string());
                json.and_then(|json| schema::check(schema, &json)).map_err(Finding::new)
            }
            _ => Ok(()),
        },
    };
    report.check(Severity::Error, FILE, outcome);
}

/// The charts that `Chart.yaml` lists are those in `charts/`.
fn examine_dependencies(subject: &Subject, report: &mut Report) {
    let chart = match &subject.chart {
        Ok(chart) => chart,
        Err(error) => {
            report.check(Severity::Error, "", Err(Finding::new(format!("unable to load chart\n\t{error}"))));
            return;
        }
    };
    let listed = &chart.metadata().dependencies;
    let present: Vec<&str> = chart.dependencies().iter().map(super::Chart::name).collect();
    let unlisted: Vec<&str> =
        present.iter().filter(|name| !listed.iter().any(|wanted| wanted.name == **name)).copied().collect();
    let missing: Vec<&str> =
        listed.iter().map(|wanted| wanted.name.as_str()).filter(|name| !present.contains(name)).collect();
    let mut keys = BTreeSet::new();
    let repeated: Vec<&str> = listed.iter().map(super::Dependency::key).filter(|key| !keys.insert(*key)).collect();
    let told = |words: &str, names: Vec<&str>| {
        if names.is_empty() { Ok(()) } else { Err(Finding::new(format!("{words}: {}", names.join(",")))) }
    };
    let about = &subject.name;
    report.check(Severity::Error, about, told("chart metadata is missing these dependencies", unlisted));
    report.check(Severity::Error, about, told("multiple dependencies with name or alias", repeated));
    report.check(Severity::Warning, about, told("chart directory is missing these dependencies", missing));
}

/// What is in `crds/`, here and in the charts below, is CustomResourceDefinitions and no template.
fn examine_crds(subject: &Subject, report: &mut Report) {
    const FOLDER: &str = "crds/";
    match &subject.crds {
        Entry::Missing => return,
        Entry::File(_) => {
            report.check(Severity::Error, FOLDER, Err(Finding::new("not a directory")));
            return;
        }
        Entry::Folder => {}
    }
    let chart = match &subject.chart {
        Ok(chart) => chart,
        Err(error) => {
            report.check(Severity::Error, FOLDER, Err(Finding::new(error.to_string())));
            return;
        }
    };
    for crd in chart.crds() {
        for document in resource::decode(&crd.text()) {
            let head = match document {
                Ok(None) => continue,
                Ok(Some(head)) => head,
                Err(error) => {
                    let place =
                        Place { file: crd.name.to_string(), line: error.line, column: error.column, rendered: false };
                    let words = format!("unable to parse YAML: {}", error.reason);
                    report.check(Severity::Error, &crd.name, Err(Finding::new(words).at(Some(place))));
                    return;
                }
            };
            let place = Place { file: crd.name.to_string(), line: head.line, column: 0, rendered: false };
            let told = |holds: bool, words: &str| {
                if holds { Ok(()) } else { Err(Finding::new(words).at(Some(place.clone()))) }
            };
            let in_group = head.api_version.starts_with("apiextensions.k8s.io");
            let words = "apiVersion is not in 'apiextensions.k8s.io'";
            report.check(Severity::Error, &crd.name, told(in_group, words));
            let is_definition = head.kind == "CustomResourceDefinition";
            let words = "object kind is not 'CustomResourceDefinition'";
            report.check(Severity::Error, &crd.name, told(is_definition, words));
        }
    }
}
