//! Reads one file: documents become manifests and lists, every fault gets its line.
//!
//! A file is a pure function of its path and bytes, so the result is kept by blob id: see [`super::Cache`].

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fields::{Fault, below, did_you_mean, what};
use super::folder::Folder;
use super::json;
use super::list::{self, Body, ListSpec};
use super::manifest::{Manifest, Spelling};
use super::words::ListWords;
use crate::unit::{Origin, Problem};
use crate::yaml::{self, Step};

/// Kinds of ours, in reading order.
const KINDS: [&str; 5] = ["TemplateList", "Settings", "Release", "Project", "ChartRepository"];

/// How a file begins that only points to the real one.
pub(super) const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The way out for such files.
pub(super) const NO_LFS: &str = "LFS is not followed: keep manifests in Git";

/// How deep `List` objects may hold `List` objects.
const MAX_LISTS: usize = 8;

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct File {
    /// What makes the file unusable: it is set aside as a whole.
    pub(super) problems: Vec<Problem>,
    /// What is worth a word.
    pub(super) warnings: Vec<Problem>,
    /// Plain objects.
    pub(super) manifests: Vec<Arc<Manifest>>,
    /// Template lists.
    pub(super) lists: Vec<Arc<ListSpec>>,
    /// Settings, when the file is a `bowline.yaml`.
    pub(super) folder: Folder,
}

struct Reader<'a> {
    path: &'a str,
    /// The text as the walker that finds places may read it.
    text: Cow<'a, [u8]>,
    file: File,
}

impl<'a> Reader<'a> {
    fn new(path: &'a str, text: &'a [u8]) -> Self {
        // JSON may be indented with tabs; a space in their place leaves every column where it is.
        let tabs = path.ends_with(".json") && text.contains(&b'\t');
        let spaced = || text.iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect();
        let text = if tabs { Cow::Owned(spaced()) } else { Cow::Borrowed(text) };
        Reader { path, text, file: File::default() }
    }
}

/// Reads a file of manifests and lists.
pub(super) fn read(path: &str, text: &[u8]) -> File {
    let mut reader = Reader::new(path, text);
    if text.starts_with(LFS) {
        let problem = Problem::new(Origin::new(path, 1, 0), "is a pointer to Git LFS, not the file itself");
        reader.file.problems.push(problem.with_hint(NO_LFS));
        return reader.file;
    }
    for (index, document) in documents(path, text).into_iter().enumerate() {
        match document {
            Ok(document) => reader.document(document.value, document.position, index),
            Err(error) => reader.file.problems.push(syntax(path, &error)),
        }
    }
    reader.file
}

/// Reads a `bowline.yaml`.
pub(super) fn read_folder(path: &str, text: &[u8]) -> File {
    let mut reader = Reader::new(path, text);
    let mut documents = documents(path, text).into_iter().enumerate().filter(|(_, document)| {
        // A comment before the first `---` is a document of its own, and an empty one.
        !matches!(document, Ok(yaml::Document { value: Value::Null, .. }))
    });
    let Some((index, first)) = documents.next() else { return reader.file };
    if let Some((_, further)) = documents.next() {
        let at = further.map_or_else(|error| error.position, |document| document.position);
        let problem = Problem::new(Origin::new(path, at.line, at.column), "a bowline.yaml is one document");
        reader.file.problems.push(problem.with_hint("put other kinds into files of their own"));
    }
    match first {
        Ok(document) => {
            let mut faults = Vec::new();
            let mut folder = Folder::read(&document.value, &mut faults);
            for fault in &faults {
                reader.place(fault, index);
            }
            if let Some(unit) = &mut folder.unit {
                unit.origin = reader.origin(index, &["unit"]);
            }
            for health in &mut folder.health {
                health.origin = reader.origin(index, &["health"]);
            }
            if let Some(account) = &mut folder.service_account {
                account.origin = reader.origin(index, &["serviceAccount"]);
            }
            for (_, origin) in &mut folder.approve {
                *origin = reader.origin(index, &["approve"]);
            }
            reader.file.folder = folder;
        }
        Err(error) => reader.file.problems.push(syntax(path, &error)),
    }
    reader.file
}

fn documents(path: &str, text: &[u8]) -> Vec<Result<yaml::Document, yaml::Error>> {
    let options = yaml::Options::manifests();
    if path.ends_with(".json") { json::read_all(text, &options) } else { yaml::read_all(text, &options) }
}

fn syntax(path: &str, error: &yaml::Error) -> Problem {
    Problem::new(Origin::new(path, error.position.line, error.position.column), error.message.clone())
}

impl Reader<'_> {
    fn origin(&self, document: usize, path: &[&str]) -> Origin {
        let path: Vec<Step> = path.iter().map(|name| Step::Key((*name).to_owned())).collect();
        Fault::error(&path, "", "").place(self.path, &self.text, document).origin
    }

    fn place(&mut self, fault: &Fault, document: usize) {
        let problem = fault.place(self.path, &self.text, document);
        if fault.warning { self.file.warnings.push(problem) } else { self.file.problems.push(problem) }
    }

    fn document(&mut self, value: Value, position: yaml::Position, index: usize) {
        if value.is_null() {
            return;
        }
        let origin = Origin::new(self.path, position.line, position.column);
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if !value.is_object() {
            let problem = Problem::new(origin, format!("a Kubernetes object is a mapping, this is {}", what(&value)));
            self.file.problems.push(problem.with_hint(NOT_AN_OBJECT));
        } else if kind == "NamespaceExporter" || kind == "crd" && matches!(api_version, "" | "v1") {
            self.list(list::older(&value), origin, index);
        } else if api_version.starts_with("bowline.dev/") {
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            self.ours(&api_version, &kind, &value, origin, index);
        } else if kind.ends_with("List") && value.get("items").is_some_and(Value::is_array) {
            self.expand(value, &[], &origin, index, 0);
        } else {
            self.manifest(value, &[], origin, index);
        }
    }

    /// A document with our `apiVersion`.
    fn ours(&mut self, api_version: &str, kind: &str, value: &Value, origin: Origin, index: usize) {
        if api_version != super::API_VERSION {
            let problem = Problem::new(origin, format!("apiVersion {api_version} is not known"));
            return self.file.problems.push(problem.with_hint(format!("write {}", super::API_VERSION)));
        }
        match kind {
            "TemplateList" => self.list(list::template_list(value), origin, index),
            "Release" | "Project" | "ChartRepository" => {
                let problem = Problem::new(origin, format!("{kind}: charts are not installed by this version yet"));
                self.file.problems.push(problem.with_hint("keep it out with .bowlineignore until they are"));
            }
            "Settings" => {
                let problem = Problem::new(origin, "Settings are read from a file named bowline.yaml only");
                self.file.problems.push(problem.with_hint("rename the file"));
            }
            _ => {
                let problem = Problem::new(origin, format!("kind `{kind}` of {api_version} is not known"));
                let near = did_you_mean(kind, KINDS);
                let hint = if near.is_empty() { format!("known: {}", KINDS.join(", ")) } else { near };
                self.file.problems.push(problem.with_hint(hint));
            }
        }
    }

    fn list(&mut self, draft: list::Draft, origin: Origin, index: usize) {
        for fault in &draft.faults {
            self.place(fault, index);
        }
        let mut spec = draft.spec;
        spec.origin = origin;
        for (entry, written) in spec.entries.iter_mut().zip(draft.entries) {
            entry.origin = Fault::error(&written.object, "", "").place(self.path, &self.text, index).origin;
            match &mut entry.body {
                Body::Object(manifest) => {
                    let manifest = Arc::make_mut(manifest);
                    manifest.origin = entry.origin.clone();
                    self.settle(manifest, &written.object, &written.faults, index);
                }
                Body::Text(text) => {
                    let parsed = Arc::make_mut(text).parse(entry.origin.clone(), &self.text);
                    self.file.problems.extend(parsed.err());
                }
                Body::Files(_) | Body::Copy(_) => {}
            }
        }
        if let Some(words) = draft.words {
            let place = |path: &[Step]| Fault::error(path, "", "").place(self.path, &self.text, index).origin;
            spec.words = Some(Arc::new(ListWords {
                words: words.words,
                files: words.files.into_iter().map(|(file, path)| (file, place(&path))).collect(),
                places: words.places.into_iter().map(|(word, path)| (word, place(&path))).collect(),
            }));
        }
        self.file.lists.push(Arc::new(spec));
    }

    /// Takes the objects out of a `List`.
    fn expand(&mut self, mut value: Value, path: &[Step], origin: &Origin, index: usize, depth: usize) {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else { return };
        let path = super::fields::key(path, "items");
        let places = yaml::locate_items(&self.text, index, &path);
        for (number, mut item) in items.into_iter().enumerate() {
            let path = below(&path, Step::Index(number));
            let at = places.get(number);
            let origin = at.map_or_else(|| origin.clone(), |at| Origin::new(self.path, at.line, at.column));
            // `kubectl get -o yaml` writes kind and version on each; typed lists of programs write them on the list only.
            if let (Some(item), Some(kind)) =
                (item.as_object_mut(), kind.strip_suffix("List").filter(|kind| !kind.is_empty()))
            {
                default(item, "apiVersion", &api_version);
                default(item, "kind", kind);
            }
            let nested = item.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
                && item.get("items").is_some_and(Value::is_array);
            if nested && depth < MAX_LISTS {
                self.expand(item, &path, &origin, index, depth + 1);
            } else if item.is_object() {
                self.manifest(item, &path, origin, index);
            } else {
                let message = format!("a Kubernetes object is a mapping, this is {}", what(&item));
                self.file.problems.push(Problem::new(origin, message));
            }
        }
    }

    fn manifest(&mut self, value: Value, path: &[Step], origin: Origin, index: usize) {
        let (mut manifest, faults) = Manifest::read(value, Spelling::Ours);
        manifest.origin = origin;
        if manifest.gvk.kind.is_empty() && manifest.gvk.version.is_empty() {
            let problem = Problem::new(manifest.origin, "is no Kubernetes object: apiVersion and kind are missing");
            return self.file.problems.push(problem.with_hint(NOT_AN_OBJECT));
        }
        self.settle(&mut manifest, path, &faults, index);
        self.file.manifests.push(Arc::new(manifest));
    }

    /// Gives the faults of an object their lines. What leaves its kind open concerns the whole file.
    fn settle(&mut self, manifest: &mut Manifest, path: &[Step], faults: &[Fault], index: usize) {
        let nameless = manifest.gvk.kind.is_empty() || manifest.gvk.version.is_empty();
        for fault in faults {
            let whole: Vec<Step> = path.iter().chain(&fault.path).cloned().collect();
            let mut problem = Fault { path: whole, ..fault.clone() }.place(self.path, &self.text, index);
            problem.message = format!("{}: {}", manifest.subject(), problem.message);
            match (fault.warning, nameless) {
                (true, _) => manifest.warnings.push(problem),
                (false, true) => self.file.problems.push(problem),
                (false, false) => manifest.problems.push(problem),
            }
        }
    }
}

/// The way out for files that are YAML but no manifests.
pub(super) const NOT_AN_OBJECT: &str = "a YAML file that is no manifest goes into .bowlineignore";

fn default(item: &mut Map<String, Value>, name: &str, text: &str) {
    if item.get(name).is_none_or(Value::is_null) {
        item.insert(name.to_owned(), Value::String(text.to_owned()));
    }
}
