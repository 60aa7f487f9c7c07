//! Repositories in, units and problems out. Each folder below `tests/load` is a case: `in/` is the repository, `facts.yaml` what
//! the cluster knows, `expected.snap` what comes of it (rewritten by `INSTA_UPDATE=always cargo test`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bowline::load::{self, Prune};
use bowline::object::{Gvk, Object, ObjectId};
use bowline::render::{self, Drift, Facts, Lookup, Namespace, Offline, Rendered, Scope, Unit};
use bowline::source::{Checkout, Commit};
use bowline::unit::Problem;
use bowline::yaml;
use serde_json::Value;

/// What a case's `facts.yaml` says.
struct Cluster {
    namespaces: BTreeMap<String, Namespace>,
    live: Vec<Object>,
    unknown: Vec<String>,
    shows_objects: bool,
    offline: Offline,
}

impl Cluster {
    fn read(path: &Path) -> Self {
        let facts = fs::read(path).map_or(Value::Null, |text| yaml::read(&text, &yaml::Options::manifests()).unwrap());
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let namespaces =
            facts["namespaces"].as_object().cloned().unwrap_or_default().into_iter().map(|(name, value)| {
                let map = |field: &str| -> BTreeMap<String, String> {
                    let map = value.get(field).cloned().unwrap_or_else(|| serde_json::json!({}));
                    serde_json::from_value(map).unwrap()
                };
                let (mut labels, annotations) = (map("labels"), map("annotations"));
                labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
                let terminating = value.get("terminating") == Some(&Value::Bool(true));
                (name, Namespace { labels, annotations, terminating })
            });
        Cluster {
            namespaces: namespaces.collect(),
            live: facts["live"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| Object::new(value.clone()).unwrap())
                .collect(),
            unknown: texts(&facts["unknown"]),
            shows_objects: facts["objects"] == Value::Bool(true),
            offline: Offline::default(),
        }
    }
}

impl Facts for Cluster {
    fn namespaces(&self) -> &BTreeMap<String, Namespace> {
        &self.namespaces
    }

    fn scope(&self, gvk: &Gvk) -> Scope {
        match self.offline.scope(gvk) {
            Scope::Unknown if !self.unknown.contains(&gvk.group) => Scope::NotServed(Vec::new()),
            known => known,
        }
    }

    fn lookup(&self, id: &ObjectId) -> Lookup {
        if self.unknown.contains(&id.namespace) {
            return Lookup::Unknown("forbidden".to_owned());
        }
        let found = self.live.iter().find(|object| object.id() == *id);
        found.map_or(Lookup::Absent, |object| Lookup::Found(Box::new(object.clone())))
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(path) = ahead.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn checkout(files: BTreeMap<String, Vec<u8>>) -> Checkout {
    let commit = Commit { id: "c0ffee".to_owned(), author: String::new(), message: String::new(), time: 0 };
    Checkout::from_files("main", commit, files)
}

fn texts(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
}

fn problems(text: &mut String, heading: &str, problems: &[Problem]) {
    if !problems.is_empty() {
        writeln!(text, "{heading}:").unwrap();
    }
    for problem in problems {
        writeln!(text, "  {}", problem.to_string().replace('\n', "\n  ")).unwrap();
    }
}

fn unit(text: &mut String, unit: &Unit, objects: bool) {
    writeln!(text, "{} ({:?})", unit.name, unit.kind).unwrap();
    let names: Vec<String> = unit.depends_on.iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        writeln!(text, "  after {}", names.join(" ")).unwrap();
    }
    if unit.settings != render::Settings::default() {
        writeln!(text, "  settings {}", serde_json::to_string(&unit.settings).unwrap()).unwrap();
    }
    for problem in &unit.problems {
        writeln!(text, "  ! {}", problem.to_string().replace('\n', "\n  ")).unwrap();
    }
    for item in &unit.items {
        write!(text, "  {} from {}", item.object.id(), item.origin).unwrap();
        if !item.list.is_empty() {
            write!(text, " list={}", item.list).unwrap();
        }
        if item.policy.prune == Prune::Keep {
            write!(text, " keep").unwrap();
        }
        if item.policy.adopt {
            write!(text, " adopt").unwrap();
        }
        if item.policy.drift != Drift::Correct {
            write!(text, " drift={:?}", item.policy.drift).unwrap();
        }
        if !item.policy.ignore.is_empty() {
            write!(text, " ignore={}", item.policy.ignore.join(",")).unwrap();
        }
        writeln!(text).unwrap();
        if objects {
            for line in yaml::write(item.object.value()).lines() {
                writeln!(text, "    {line}").unwrap();
            }
        }
    }
    writeln!(text, "  files {}", unit.files.iter().cloned().collect::<Vec<_>>().join(" ")).unwrap();
}

fn shown(rendered: &Rendered, objects: bool) -> String {
    let mut text = String::new();
    problems(&mut text, "problems", &rendered.problems);
    problems(&mut text, "warnings", &rendered.warnings);
    if !rendered.unreadable.is_empty() {
        writeln!(text, "unreadable: {}", rendered.unreadable.iter().cloned().collect::<Vec<_>>().join(" ")).unwrap();
    }
    for (copy, source) in &rendered.stale {
        writeln!(text, "stale: {copy} of {source}").unwrap();
    }
    rendered.units.values().for_each(|each| unit(&mut text, each, objects));
    text
}

#[test]
fn repositories_become_units() {
    let cases = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/load"));
    let mut names: Vec<PathBuf> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for case in names {
        let cluster = Cluster::read(&case.join("facts.yaml"));
        let desired = load::load(&checkout(files(&case.join("in"))), &mut load::Cache::default());
        let text = shown(&render::render(&desired, &cluster, "main"), cluster.shows_objects);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("expected", text));
    }
}

const LIST: &str = "apiVersion: bowline.dev/v1
kind: TemplateList
metadata: {name: defaults}
spec:
  namespaces: [n-.*]
  templates:
  - quota.yaml
  - object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
";

fn repository(quota: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = texts(&[
        ("list.yaml", LIST),
        ("quota.yaml", &format!("{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: quota}}, spec: {quota}}}")),
    ]);
    for index in 0..50 {
        let text = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c, namespace: other-{index}}}}}");
        files.insert(format!("other/{index}.yaml"), text.into_bytes());
    }
    files
}

#[test]
fn only_what_changed_is_read_and_rendered_again() {
    let (mut loaded, mut rendered) = (load::Cache::default(), render::Cache::default());
    let facts = Offline::with_namespaces(["n-a", "n-b"]);
    let desired = load::load(&checkout(repository("{}")), &mut loaded);
    let first = render::render_again(&desired, &facts, "main", &mut rendered);
    assert_eq!((loaded.reads(), rendered.made(), first.units.len()), (52, 52, 52));

    let desired = load::load(&checkout(repository("{}")), &mut loaded);
    let again = render::render_again(&desired, &facts, "main", &mut rendered);
    assert_eq!((loaded.reads(), rendered.made()), (0, 0));
    assert!(first.units.iter().zip(&again.units).all(|(left, right)| std::sync::Arc::ptr_eq(left.1, right.1)));

    let desired = load::load(&checkout(repository("{hard: {pods: '1'}}")), &mut loaded);
    render::render_again(&desired, &facts, "main", &mut rendered);
    assert_eq!((loaded.reads(), rendered.made()), (1, 2), "the two namespaces of the list");

    let more = Offline::with_namespaces(["n-a", "n-b", "n-c"]);
    let last = render::render_again(&desired, &more, "main", &mut rendered);
    assert_eq!((rendered.made(), last.units.len()), (1, 53), "the new namespace");
}

#[test]
fn the_same_inputs_give_the_same_units_with_and_without_cache() {
    let facts = Offline::with_namespaces(["n-a", "n-b"]);
    let mut cache = render::Cache::default();
    let mut loaded = load::Cache::default();
    for quota in ["{}", "{hard: {}}", "{}"] {
        let files = checkout(repository(quota));
        let cached = render::render_again(&load::load(&files, &mut loaded), &facts, "main", &mut cache);
        let fresh = render::render(&load::load(&files, &mut load::Cache::default()), &facts, "main");
        assert_eq!(cached.units, fresh.units);
    }
}

#[test]
fn a_huge_file_is_one_problem_and_is_not_read() {
    let mut files = texts(&[("good.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: x}}")]);
    files.insert("huge.yaml".to_owned(), vec![b'#'; 100 << 20]);
    let rendered =
        render::render(&load::load(&checkout(files), &mut load::Cache::default()), &Offline::default(), "main");
    let problems: Vec<String> = rendered.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        ["huge.yaml: has 104857600 bytes, more than the 16777216 that are read as YAML or JSON\n  \
          hint: split it, or keep it out with .bowlineignore"]
    );
    assert_eq!(rendered.unreadable.iter().collect::<Vec<_>>(), ["huge.yaml"]);
    assert_eq!(rendered.units.len(), 1);
}

#[test]
fn a_thousand_namespaces_share_what_they_get() {
    let mut list = String::from(
        "{apiVersion: bowline.dev/v1, kind: TemplateList, metadata: {name: a}, spec: {namespaces: ['*'], templates: [\n",
    );
    for index in 0..60 {
        list.push_str(&format!(
            "{{object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: c{index}}}, data: {{a: b, c: d}}}}}},\n"
        ));
    }
    list.push_str("]}}\n");
    let names: Vec<String> = (0..1000).map(|index| format!("n-{index}")).collect();
    let facts = Offline::with_namespaces(names.iter().map(String::as_str));
    let desired = load::load(&checkout(texts(&[("list.yaml", &list)])), &mut load::Cache::default());
    let rendered = render::render(&desired, &facts, "main");
    assert_eq!(rendered.problems, []);
    assert_eq!(rendered.units.values().map(|unit| unit.items.len()).sum::<usize>(), 60_000);
}

#[test]
fn links_that_lead_nowhere_or_out_are_problems_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("good.yaml"), "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: x}}").unwrap();
    for (link, target) in [("loop.yaml", "loop.yaml"), ("out.yaml", "/etc/passwd"), ("up.yaml", "../up.yaml")] {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
    }
    let config = bowline::source::Config::new("main", folder.path().to_str().unwrap());
    let mut source = bowline::source::Source::folder(config).unwrap();
    let Ok(bowline::source::Fetched::Moved(checkout, _)) = source.fetch() else { panic!("the folder has files") };
    let rendered = render::render(&load::load(&checkout, &mut load::Cache::default()), &Offline::default(), "main");
    assert_eq!(rendered.unreadable.iter().collect::<Vec<_>>(), ["loop.yaml", "out.yaml", "up.yaml"]);
    let problems: Vec<String> = rendered.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems.iter().all(|problem| !problem.contains("root:")), "{problems:#?}");
    assert_eq!(rendered.units.values().map(|unit| unit.items.len()).sum::<usize>(), 1);
}
