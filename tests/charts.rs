//! Every chart of the conformance set renders to what Helm 4.3.1 printed: the same documents, the same text, and the
//! same words where Helm fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bowline::chart::{self, Capabilities, Chart, Error, Given, KubeVersion, Options, Release, Rendered, Show};
use bowline::template::Moment;
use serde::Deserialize;

#[derive(Deserialize)]
struct Set {
    cases: Vec<Case>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Case {
    id: String,
    chart: String,
    values: Vec<String>,
    set_json: Vec<String>,
    set: Vec<String>,
    set_string: Vec<String>,
    set_file: Vec<String>,
    set_literal: Vec<String>,
    name: String,
    namespace: String,
    kube_version: Option<String>,
    api_versions: Vec<String>,
    is_upgrade: bool,
    #[serde(rename = "includeCRDs")]
    include_crds: bool,
    flags: Vec<String>,
    expect: String,
}

/// How near a case came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Text,
    Documents(String),
    Different(String),
}

#[test]
fn charts_render_to_the_documents_and_the_text_of_helm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/charts");
    let Ok(text) = std::fs::read(folder.join("cases.json")) else {
        println!("SKIPPED: ../shared is absent");
        return;
    };
    let set: Set = serde_json::from_slice(&text).unwrap();
    // A few cases while working on them: BOWLINE_CASES=own.errors,cilium cargo test ..
    let only = option_env!("BOWLINE_CASES").unwrap_or_default();
    let wanted = |case: &&Case| only.split(',').any(|part| case.id.contains(part));
    let cases: Vec<&Case> = set.cases.iter().filter(wanted).collect();
    let outcomes = run_all(&folder, &cases);

    let n_text = outcomes.values().filter(|outcome| **outcome == Outcome::Text).count();
    let n_documents = outcomes.values().filter(|outcome| !matches!(outcome, Outcome::Different(_))).count();
    let percent = |n: usize| 100.0 * n as f64 / outcomes.len() as f64;
    for (id, outcome) in &outcomes {
        match outcome {
            Outcome::Text => {}
            Outcome::Documents(why) => println!("text differs: {id}: {why}"),
            Outcome::Different(why) => println!("DIFFERENT: {id}: {why}"),
        }
    }
    println!("{} cases: documents {:.2} %, text {:.2} %", outcomes.len(), percent(n_documents), percent(n_text));
    let excused = excused();
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|(id, outcome)| matches!(outcome, Outcome::Different(_)) && !excused.contains(**id))
        .map(|(id, _)| *id)
        .collect();
    assert!(failed.is_empty(), "{} cases differ from Helm: {failed:?}", failed.len());
}

/// The cases that `docs/compatibility.md` names with a reason: lines of the form "- `case.id`: why".
fn excused() -> BTreeSet<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md"));
    let page = page.unwrap_or_default();
    let named = page.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "));
    named.map(|(id, _)| id.to_owned()).collect()
}

fn run_all<'c>(folder: &Path, cases: &[&'c Case]) -> BTreeMap<&'c str, Outcome> {
    // All cases of a chart are run by one thread, so that the chart is read and parsed once.
    let mut by_chart: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    cases.iter().for_each(|case| by_chart.entry(&case.chart).or_default().push(case));
    let groups: Vec<Vec<&Case>> = by_chart.into_values().collect();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let chart = read_chart(&folder.join(&group[0].chart));
                    for case in group {
                        let outcome = outcome_of(folder, case, chart.as_ref());
                        outcomes.lock().unwrap().insert(case.id.as_str(), outcome);
                    }
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

fn read_chart(path: &PathBuf) -> Result<Chart, String> {
    let chart =
        if path.is_dir() { chart::read_dir(path) } else { chart::read_archive(std::fs::File::open(path).unwrap()) };
    chart.map_err(|error| error.to_string())
}

fn outcome_of(folder: &Path, case: &Case, chart: Result<&Chart, &String>) -> Outcome {
    let found = render(folder, case, chart);
    if case.expect == "error" {
        let golden = std::fs::read_to_string(folder.join(format!("expected/{}.err", case.id))).unwrap();
        return compare_errors(golden.trim_end(), found.err());
    }
    let golden = std::fs::read_to_string(folder.join(format!("expected/{}.yaml", case.id))).unwrap();
    match found {
        Err(error) => Outcome::Different(error.lines().take(6).collect::<Vec<_>>().join(" | ")),
        Ok(text) if text == golden => Outcome::Text,
        Ok(text) => compare_documents(&golden, &text),
    }
}

fn compare_errors(golden: &str, found: Option<String>) -> Outcome {
    let Some(found) = found else { return Outcome::Different("does not fail".to_owned()) };
    let golden = golden.strip_prefix("Error: ").unwrap_or(golden);
    let found = found.trim_end();
    // What a YAML or JSON parser says, and where, is its own.
    let before_parser = |text: &str| text.split("error converting YAML to JSON").next().map(str::to_owned);
    let why = format!("{:.300} instead of {:.300}", found.replace('\n', " | "), golden.replace('\n', " | "));
    if golden == found {
        Outcome::Text
    } else if golden.contains("error converting YAML") && before_parser(golden) == before_parser(found) {
        Outcome::Documents(why)
    } else {
        Outcome::Different(why)
    }
}

fn compare_documents(golden: &str, found: &str) -> Outcome {
    let first = golden.lines().zip(found.lines()).enumerate().find(|(_, (wanted, got))| wanted != got);
    let why = match first {
        Some((number, (wanted, got))) => format!("line {}: {got:.120?} instead of {wanted:.120?}", number + 1),
        None => format!("{} lines instead of {}", found.lines().count(), golden.lines().count()),
    };
    let documents = |text: &str| -> Vec<serde_json::Value> {
        let documents = bowline::yaml::read_all(text.as_bytes(), &bowline::yaml::Options::helm());
        documents.into_iter().map(|document| document.unwrap().value).filter(|value| !value.is_null()).collect()
    };
    if documents(golden) == documents(found) { Outcome::Documents(why) } else { Outcome::Different(why) }
}

/// What `bowline template` does with a case, from its values to its text or its error.
fn render(folder: &Path, case: &Case, chart: Result<&Chart, &String>) -> Result<String, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let mut capabilities = Capabilities::default();
    if let Some(version) = &case.kube_version {
        capabilities.kube_version = KubeVersion::parse(version).map_err(|error| words(&error))?;
    }
    capabilities.api_versions.extend(case.api_versions.iter().cloned());
    let given = Given {
        files: case.values.clone(),
        json: case.set_json.clone(),
        set: case.set.clone(),
        strings: case.set_string.clone(),
        from_files: case.set_file.clone(),
        literals: case.set_literal.clone(),
    };
    let mut read =
        |name: &str| std::fs::read(folder.join(name)).map_err(|error| chart::io_words("open", Path::new(name), &error));
    let values = given.merge(&mut read).map_err(|error| words(&error))?;
    let chart = chart.map_err(Clone::clone)?;
    let release = Release {
        name: case.name.clone(),
        namespace: case.namespace.clone(),
        revision: 1,
        is_upgrade: case.is_upgrade,
    };
    let mut options = Options::new([0; 32], Moment::default());
    let mut show = Show { crds: case.include_crds, ..Show::default() };
    let mut flags = case.flags.iter();
    while let Some(flag) = flags.next() {
        match flag.as_str() {
            "--skip-tests" => show.skip_tests = true,
            "--no-hooks" => show.no_hooks = true,
            "--skip-schema-validation" => options.skip_schema = true,
            "--show-only" => show.only.extend(flags.next().cloned()),
            other => return Err(format!("unknown flag {other}")),
        }
    }
    let rendered: Result<Rendered, Error> = chart::render(chart, &values, &release, &capabilities, &options);
    let rendered = rendered.map_err(|error| {
        let debug = if error.is_rendering() { "\n\nUse --debug flag to render out invalid YAML" } else { "" };
        format!("{error}{debug}")
    })?;
    show.text(&rendered).map_err(|error| words(&error))
}
