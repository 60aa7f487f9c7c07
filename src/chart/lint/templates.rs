//! The rules for `templates/`: everything renders, and what it renders to is objects that Kubernetes knows.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::resource::{self, Head};
use super::subject::{Entry, Subject};
use super::{Finding, Options, Place, Report, Severity};
use crate::chart::{Capabilities, Chart, Error, Excerpt, Release, Rendered, paths, render_each};
use crate::template::format::quote;

const FOLDER: &str = "templates/";

/// Applies them in Helm's order. Helm stops at the first template that fails; what is found after that comes last.
pub(super) fn examine(subject: &Subject, values: &Map<String, Value>, options: &Options, report: &mut Report) {
    let fail = |report: &mut Report, severity, finding| {
        report.check(severity, FOLDER, Err(finding));
    };
    match &subject.templates {
        Entry::Missing => return fail(report, Severity::Warning, Finding::new("directory does not exist")),
        Entry::File(_) => return fail(report, Severity::Error, Finding::new("not a directory")),
        Entry::Folder => {}
    }
    let chart = match &subject.chart {
        Ok(chart) => chart,
        Err(error) => return fail(report, Severity::Error, Finding::new(error.to_string())),
    };
    let (rendered, failures) = match render(chart, values, options) {
        Ok(outcome) => outcome,
        Err(error @ (Error::Dependencies(_) | Error::Mismatch(_))) => {
            report.notes.push(format!("templates are not examined: {error}"));
            return;
        }
        Err(error) => return fail(report, Severity::Error, Finding::new(error.to_string())),
    };
    for failure in independent(chart, failures) {
        fail(report, Severity::Error, failure);
    }
    let version = options.kube_version.as_ref().map_or_else(
        || (Capabilities::default().kube_version.major, Capabilities::default().kube_version.minor),
        |version| (version.major.clone(), version.minor.clone()),
    );
    let version = (version.0.parse().unwrap_or(0), version.1.parse().unwrap_or(0));
    for template in chart.templates() {
        let text = rendered.files.get(&paths::clean(&format!("{}/{}", chart.name(), template.name)));
        examine_one(&template.name, text.map_or("", String::as_str), version, report);
    }
}

fn render(chart: &Chart, values: &Map<String, Value>, options: &Options) -> Result<(Rendered, Vec<Error>), Error> {
    let release = Release {
        name: "test-release".to_owned(),
        namespace: options.namespace.clone(),
        revision: 0,
        is_upgrade: false,
    };
    let mut capabilities = Capabilities::default();
    if let Some(version) = &options.kube_version {
        capabilities.kube_version = version.clone();
    }
    let rendering = crate::chart::Options { lint: true, skip_schema: options.skip_schema, ..options.rendering.clone() };
    render_each(chart, values, &release, &capabilities, &rendering)
}

/// One finding for each cause: templates that fail at the same place of the same helper are told once.
fn independent(chart: &Chart, failures: Vec<Error>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut causes: BTreeMap<(String, usize, usize), usize> = BTreeMap::new();
    let mut others = Vec::new();
    for failure in failures {
        let excerpt = failure.excerpt();
        if let Some(Excerpt { file, line, column, .. }) = excerpt {
            let cause = (file.clone(), *line, *column);
            if let Some(index) = causes.get(&cause) {
                others[*index] += 1;
                continue;
            }
            causes.insert(cause, findings.len());
        }
        let mut finding = Finding::new(failure.to_string());
        if let Some(excerpt) = excerpt {
            finding.excerpt.clone_from(&excerpt.text);
            let file = excerpt.file.strip_prefix(&format!("{}/", chart.name())).unwrap_or(&excerpt.file);
            let (line, column) = (excerpt.line, excerpt.column);
            finding.place = Some(Place { file: file.to_owned(), line, column, rendered: excerpt.rendered });
        }
        findings.push(finding);
        others.push(0);
    }
    for (finding, others) in findings.iter_mut().zip(others).filter(|(_, others)| *others > 0) {
        let plural = if others == 1 { "template fails" } else { "templates fail" };
        finding.excerpt.push_str(&format!("  note: {others} more {plural} for the same reason\n"));
    }
    findings
}

fn examine_one(name: &str, text: &str, version: (u32, u32), report: &mut Report) {
    let extension = paths::extension(name);
    let is_known = if matches!(extension, ".yaml" | ".yml" | ".tpl" | ".txt") {
        Ok(())
    } else {
        let words = format!("file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt");
        Err(Finding::new(words))
    };
    report.check(Severity::Error, name, is_known);
    if !matches!(extension.to_lowercase().as_str(), ".yaml" | ".yml") || text.trim().is_empty() {
        return;
    }
    report.check(Severity::Warning, name, begins_at_the_margin(name, text));
    for document in resource::decode(text) {
        match document {
            Ok(None) => {}
            Ok(Some(head)) => examine_object(name, text, &head, version, report),
            Err(broken) => {
                let excerpt = Excerpt::of_rendered(name, text, broken.line, broken.column);
                let place = Place { file: name.to_owned(), line: broken.line, column: broken.column, rendered: true };
                let mut finding = Finding::new(format!("unable to parse YAML: {}", broken.reason)).at(Some(place));
                finding.excerpt = excerpt.text;
                report.check(Severity::Error, name, Err(finding));
            }
        }
    }
}

fn examine_object(name: &str, text: &str, head: &Head, version: (u32, u32), report: &mut Report) {
    let place = Place { file: name.to_owned(), line: head.line, column: 0, rendered: true };
    let told = |outcome: Result<(), String>| outcome.map_err(|words| Finding::new(words).at(Some(place.clone())));
    report.check(Severity::Warning, name, told(head.has_valid_name()));
    report.check(Severity::Warning, name, told(head.is_current(version)));
    report.check(Severity::Error, name, told(head.has_selector(text)));
    report.check(Severity::Error, name, told(head.keeps_annotations(text)));
}

/// The longest line that Go's scanner takes.
const LONGEST_LINE: usize = 64 * 1024;

/// The first line that is not empty is not indented.
fn begins_at_the_margin(name: &str, text: &str) -> Result<(), Finding> {
    for (index, line) in text.split('\n').enumerate() {
        if line.len() >= LONGEST_LINE {
            return Err(Finding::new("bufio.Scanner: token too long"));
        }
        if line.trim().is_empty() {
            continue;
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.starts_with([' ', '\t']) {
            return Ok(());
        }
        let place = Place { file: name.to_owned(), line: index + 1, column: 1, rendered: true };
        let words = format!(
            "document starts with an illegal indent: {}, which may cause parsing problems",
            quote(line.as_bytes())
        );
        return Err(Finding::new(words).at(Some(place)));
    }
    Ok(())
}
