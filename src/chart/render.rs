//! Renders a chart: the one function that everything else in this module prepares for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map as JsonMap, Value as Json};

use super::capabilities::Capabilities;
use super::coalesce::{self, Nulls, Scope, coalesce_values};
use super::dependencies::{self, Member};
use super::error::Error;
use super::manifest::{self, Hook, Manifest};
use super::version::is_compatible;
use super::{Chart, File, is_crd, objects, paths, schema};
use crate::template::funcs::Functions;
use crate::template::{
    self, Context, Limits, Lookup, Map, MissingKey, Moment, Numbers, Seeded, State, Templates, Value, on_large_stack,
};

/// What a release is called, where it goes, how often it was made: `.Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Revision; 1 for a first installation.
    pub revision: i64,
    /// Whether it replaces an earlier revision.
    pub is_upgrade: bool,
}

/// How to render, beside values, release and capabilities.
#[derive(Clone)]
pub struct Options {
    /// Leave `values.schema.json` aside.
    pub skip_schema: bool,
    /// Put the notes of charts below into the notes, too.
    pub sub_notes: bool,
    /// Render as Helm's lint does: `required` and `fail` pass, the release is neither installed nor upgraded, no version
    /// of Kubernetes is too old, and values are laid over the chart's twice, so that null brings a default back.
    pub lint: bool,
    /// What functions that draw random texts and keys draw from.
    pub seed: [u8; 32],
    /// What time it is for templates.
    pub now: Moment,
    /// What `lookup` finds; nothing without it.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// What a rendering may cost.
    pub limits: Limits,
    /// Asked now and then whether the time is up.
    pub expired: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

/// Answers the template function `lookup`.
pub trait Cluster: Send + Sync {
    /// One object, or a list when the name is empty; `None` when there is none.
    ///
    /// # Errors
    /// The cluster could not answer; the text says why.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Option<Json>, String>;
}

impl Options {
    /// Everything as `helm template` has it, with a seed and a time for what would change from run to run.
    pub fn new(seed: [u8; 32], now: Moment) -> Self {
        Options {
            skip_schema: false,
            sub_notes: false,
            lint: false,
            seed,
            now,
            cluster: None,
            limits: Limits::default(),
            expired: None,
        }
    }
}

/// What a chart renders to.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// Objects, in the order in which Helm installs them.
    pub manifests: Vec<Manifest>,
    /// Hooks, in the same order.
    pub hooks: Vec<Hook>,
    /// What `NOTES.txt` says.
    pub notes: String,
    /// What is in `crds/` of the charts that take part: name with the charts in front, and the file.
    pub crds: Vec<(String, File)>,
    /// What Helm would warn about.
    pub warnings: Vec<String>,
    /// What every template rendered to, partials aside, by name; kept for `--debug` when a document cannot be read.
    pub files: BTreeMap<String, String>,
}

/// Renders a chart with a user's values.
///
/// A pure function: the same arguments give the same result.
///
/// # Errors
/// Helm's errors in Helm's order: installable, dependencies there, values, schema, version of Kubernetes, templates,
/// documents.
pub fn render(
    chart: &Chart,
    values: &JsonMap<String, Json>,
    release: &Release,
    capabilities: &Capabilities,
    options: &Options,
) -> Result<Rendered, Error> {
    check_installable(chart)?;
    if chart.metadata().api_version == "v3" {
        return Err(Error::Version);
    }
    check_release_name(&release.name)?;
    on_large_stack(|| {
        let mut failures = Vec::new();
        let mut rendered = run(chart, values, release, capabilities, options, &mut |error| {
            failures.push(error);
            Next::Stop
        })?;
        if let Some(error) = failures.pop() {
            return Err(error);
        }
        let sorted = manifest::sort(&rendered.files);
        let (hooks, manifests) = sorted.map_err(|error| Error::split(&error, std::mem::take(&mut rendered.files)))?;
        (rendered.hooks, rendered.manifests) = (hooks, manifests);
        Ok(rendered)
    })
}

/// What every template renders to, with the error of each that fails: one bad template does not hide another.
///
/// # Errors
/// Whatever keeps all templates from being executed.
pub fn render_each(
    chart: &Chart,
    values: &JsonMap<String, Json>,
    release: &Release,
    capabilities: &Capabilities,
    options: &Options,
) -> Result<(Rendered, Vec<Error>), Error> {
    on_large_stack(|| {
        let mut failures = Vec::new();
        let rendered = run(chart, values, release, capabilities, options, &mut |error| {
            failures.push(error);
            Next::GoOn
        })?;
        Ok((rendered, failures))
    })
}

/// Helm's rule for release names.
///
/// # Errors
/// The name is empty, longer than 53 characters, or not of lower case letters, digits, `-` and `.`.
pub fn check_release_name(name: &str) -> Result<(), Error> {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    match name {
        "" => Err(Error::NoReleaseName),
        _ if name.len() > 53 || !name.split('.').all(label) => Err(Error::ReleaseName(name.to_owned())),
        _ => Ok(()),
    }
}

fn check_installable(chart: &Chart) -> Result<(), Error> {
    let metadata = chart.metadata();
    if !matches!(metadata.kind.as_str(), "" | "application") {
        return Err(Error::NotInstallable(metadata.kind.clone()));
    }
    let present = |name: &str| chart.dependencies().iter().any(|below| below.name() == name);
    let missing: Vec<String> =
        metadata.dependencies.iter().map(|wanted| wanted.name.clone()).filter(|name| !present(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::MissingDependencies(missing)) }
}

/// What happens after one template failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Stop,
    GoOn,
}

fn run(
    chart: &Chart,
    values: &JsonMap<String, Json>,
    release: &Release,
    capabilities: &Capabilities,
    options: &Options,
    failed: &mut dyn FnMut(Error) -> Next,
) -> Result<Rendered, Error> {
    let mut rendered = Rendered::default();
    let user = coalesce::to_map(values);
    let root = dependencies::members(chart, &user, &mut rendered.warnings).map_err(Error::Dependencies)?;
    let mut coalesce = |over: &Map| coalesce_values(&root, over, Nulls::Remove, &mut rendered.warnings);
    let mut values = coalesce(&user).map_err(Error::Mismatch)?;
    if options.lint {
        values = coalesce(&values).map_err(Error::Mismatch)?;
    }
    if !options.skip_schema {
        let broken = schema::validate(&root, &values);
        if !broken.is_empty() {
            return Err(Error::Schema(broken));
        }
    }
    if !options.lint {
        check_kubernetes(chart, capabilities)?;
    }

    let mut plan = Plan {
        templates: BTreeMap::new(),
        release: objects::release(release, !options.lint),
        capabilities: objects::capabilities(capabilities),
    };
    plan.add(&root, "", &values);
    let names = plan.names();
    let parsed = chart.parsed().get(&names, &plan.templates);
    for (name, error) in &parsed.broken {
        if failed(Error::parse(error, name)) == Next::Stop {
            return Ok(rendered);
        }
    }
    let mut context = context(options);
    let mut state = State::new(&parsed.templates, &mut context);
    let is_broken = |name: &String| parsed.broken.iter().any(|(broken, _)| broken == name);
    for name in names.iter().filter(|name| !paths::base(name).starts_with('_') && !is_broken(name)) {
        let template = &plan.templates[name];
        let place = [("Name", Value::from(name.as_str())), ("BasePath", Value::from(template.base_path.as_str()))];
        template.dot.insert("Template", Value::map(place));
        match state.execute(name, Value::Map(template.dot.clone())) {
            Ok(text) => {
                // Go prints "<no value>" for what is missing, and Helm takes it out again (engine.go, render).
                let text = String::from_utf8_lossy(&text).replace("<no value>", "");
                rendered.files.insert(name.clone(), text);
            }
            // What a template that does not parse defines is missing elsewhere: that is no error of its own.
            Err(error) if !parsed.broken.is_empty() && error.lacks_template() => {}
            Err(error) => {
                if failed(Error::execute(&error, name, &values)) == Next::Stop {
                    return Ok(rendered);
                }
            }
        }
    }
    rendered.notes = take_notes(&mut rendered.files, root.name(), options.sub_notes);
    collect_crds(&root, root.name(), &mut rendered.crds);
    let mut seen = std::collections::BTreeSet::new();
    rendered.warnings.retain(|warning| seen.insert(warning.clone()));
    Ok(rendered)
}

fn check_kubernetes(chart: &Chart, capabilities: &Capabilities) -> Result<(), Error> {
    let wanted = &chart.metadata().kube_version;
    let kube = &capabilities.kube_version;
    if !wanted.is_empty() && !is_compatible(wanted, &kube.normalized) {
        return Err(Error::Incompatible { wanted: wanted.clone(), version: kube.version.clone() });
    }
    Ok(())
}

fn context(options: &Options) -> Context {
    Context {
        missing_key: MissingKey::Zero,
        random: Box::new(Seeded::from_bytes(options.seed)),
        clock: Box::new(options.now),
        lookup: match &options.cluster {
            Some(cluster) => Box::new(Asked(cluster.clone())),
            None => Box::new(()),
        },
        lint: options.lint,
        limits: options.limits,
        expired: options.expired.clone().map(|expired| Box::new(move || expired()) as Box<dyn Fn() -> bool>),
    }
}

struct Asked(Arc<dyn Cluster>);

impl Lookup for Asked {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let found = self.0.lookup(api_version, kind, namespace, name)?;
        Ok(found.map_or_else(|| Value::map::<&str>([]), |found| Value::from_json_with(&found, Numbers::Int64)))
    }
}

/// Every template of a release with the dot it gets.
struct Plan {
    templates: BTreeMap<String, Planned>,
    release: Value,
    capabilities: Value,
}

struct Planned {
    file: File,
    /// One map for all templates of a chart: what one of them sets, the next one sees.
    dot: Map,
    base_path: String,
}

impl Plan {
    /// Adds a chart and those below it; gives its dot, which the parent has under `.Subcharts`.
    fn add(&mut self, member: &Member, parent: &str, values: &Map) -> Map {
        let folder =
            if parent.is_empty() { member.name().to_owned() } else { format!("{parent}/charts/{}", member.name()) };
        let below = Map::new();
        let dot: Map = [
            ("Chart", objects::chart(member, parent.is_empty())),
            ("Files", objects::files(member.chart.files())),
            ("Release", self.release.clone()),
            ("Capabilities", self.capabilities.clone()),
            ("Values", Value::Map(objects::named_values(values))),
            ("Subcharts", Value::Map(below.clone())),
        ]
        .into_iter()
        .collect();
        for dependency in member.dependencies() {
            let name = dependency.name();
            // Helm takes the name for a path, so that a dot in it finds nothing.
            let own = name.split('.').try_fold(values.clone(), |map, key| match map.get(key.as_bytes()) {
                Some(Value::Map(table)) => Some(table),
                _ => None,
            });
            let dot = self.add(dependency, &folder, &own.unwrap_or_default());
            below.insert(name, Value::Map(dot));
        }
        let base_path = paths::clean(&format!("{folder}/templates"));
        for file in member.chart.templates() {
            if member.chart.is_library() && !paths::base(&file.name).starts_with('_') {
                continue;
            }
            let planned = Planned { file: file.clone(), dot: dot.clone(), base_path: base_path.clone() };
            self.templates.insert(paths::clean(&format!("{folder}/{}", file.name)), planned);
        }
        dot
    }

    /// The names in the order of parsing and executing: deep ones first, so that a parent's definitions win.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.templates.keys().cloned().collect();
        names.sort_by_cached_key(|name| std::cmp::Reverse((name.matches('/').count(), name.clone())));
        names
    }
}

/// Parsed templates of a chart, for each set of templates that took part so far.
#[derive(Default)]
pub(crate) struct Parsed(Mutex<Vec<(Vec<String>, Arc<ParsedSet>)>>);

struct ParsedSet {
    templates: Templates,
    /// The files that do not parse, each with its error.
    broken: Vec<(String, template::Error)>,
}

/// Sets of dependencies that are kept at the same time.
const KEPT: usize = 8;

impl Parsed {
    fn get(&self, names: &[String], planned: &BTreeMap<String, Planned>) -> Arc<ParsedSet> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, parsed)) = kept.iter().find(|(known, _)| known == names) {
            return parsed.clone();
        }
        let mut templates = Templates::new("gotpl", Functions::all());
        let mut broken = Vec::new();
        for name in names {
            if let Err(error) = templates.parse(name, &planned[name].file.data) {
                broken.push((name.clone(), error));
            }
        }
        let parsed = Arc::new(ParsedSet { templates, broken });
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((names.to_vec(), parsed.clone()));
        parsed
    }
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Parsed")
    }
}

/// Takes all notes out of the rendered files and gives those that are asked for.
fn take_notes(files: &mut BTreeMap<String, String>, chart: &str, sub_notes: bool) -> String {
    let own = format!("{chart}/templates/NOTES.txt");
    let (notes, rest) = std::mem::take(files).into_iter().partition(|(name, _)| name.ends_with("NOTES.txt"));
    *files = rest;
    let notes: BTreeMap<String, String> = notes;
    let wanted: Vec<String> =
        notes.into_iter().filter(|(name, _)| sub_notes || *name == own).map(|(_, text)| text).collect();
    wanted.join("\n")
}

fn collect_crds(member: &Member, folder: &str, crds: &mut Vec<(String, File)>) {
    for file in member.chart.files().iter().filter(|file| is_crd(&file.name)) {
        crds.push((paths::clean(&format!("{folder}/{}", file.name)), file.clone()));
    }
    for below in member.dependencies() {
        collect_crds(below, &format!("{folder}/charts/{}", below.name()), crds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_names_follow_helms_rule() {
        for name in ["a", "a-b", "a.b-c", "0", &"x".repeat(53)] {
            assert!(check_release_name(name).is_ok(), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a_b", &"x".repeat(54)] {
            assert!(check_release_name(name).is_err(), "{name}");
        }
    }
}
