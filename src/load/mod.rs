//! Reads what a repository asks for: template lists, plain manifests, settings of folders.
//!
//! ```text
//! Checkout -> tree      which files count
//!          -> file      documents -> manifests and lists, every fault with its line; kept by blob id
//!          -> folder    bowline.yaml, the nearest wins
//!          -> Desired   lists with their files, manifests with their folder's settings, all problems at once
//! ```
//! Loading knows no cluster. What cannot be used is never dropped silently: a file with an error is set aside as a whole
//! ([`Desired::unreadable`]), an object with an error stays there with its problems, so that nobody takes what is missing
//! for what was deleted.
//!
//! Start at [`load`].

mod fields;
mod file;
mod folder;
mod json;
pub mod kinds;
mod list;
mod manifest;
mod policy;
mod select;
mod text;
mod tidy;
mod tree;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use fields::Fault;
pub use folder::{Account, BudgetSpec, Folder, HealthRules, Ignore, UnitSpec};
pub use list::{Body, CopyFrom, Entry, ListSpec};
pub use manifest::{Manifest, Overrides};
pub use policy::{Budget, Drift, Policy, Prune, Settings};
pub use select::{Pattern, Select, Selector};
pub use text::{TextResult, TextTemplate};
pub(crate) use tidy::is_builtin;
pub use tidy::{Lenient, tidy};
pub use words::ListWords;

use crate::source::Checkout;
use crate::unit::{Origin, Problem};

use file::File;
use tree::Tree;

/// `apiVersion` of our own kinds.
pub const API_VERSION: &str = "bowline.dev/v1";

/// Largest file that a word of a list may name: no ConfigMap or Secret holds more.
const MAX_PART: u64 = 1 << 20;

/// Largest file that is read as YAML or JSON.
const MAX_BYTES: u64 = 16 << 20;

/// What the repository asks for at one commit.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Template lists, in order of their files.
    pub lists: Vec<List>,
    /// Plain manifests, in order of their files, with the settings that hold for them.
    pub manifests: Vec<(Arc<Manifest>, Arc<Folder>)>,
    /// What is wrong with whole files and folders; each of those files is in `unreadable`.
    pub problems: Vec<Problem>,
    /// What is worth a word, but was understood.
    pub warnings: Vec<Problem>,
    /// Files that could not be used.
    pub unreadable: BTreeSet<String>,
    /// Names of the folders that are units of their own.
    pub folder_units: BTreeSet<String>,
    /// Hashes of deletions that settings approve, with their places.
    pub approvals: BTreeMap<String, Origin>,
}

impl Desired {
    /// Binds everything to one account, whatever the repository says: who owns the source chose it. A folder that names
    /// another one is a problem, and acts as the source does.
    pub fn act_as(&mut self, account: &Account) {
        let mut bound: BTreeMap<*const Folder, Arc<Folder>> = BTreeMap::new();
        let mut overruled = BTreeMap::new();
        let lists = self.lists.iter_mut().map(|list| &mut list.folder);
        for folder in lists.chain(self.manifests.iter_mut().map(|(_, folder)| folder)) {
            let known = bound.entry(Arc::as_ptr(folder)).or_insert_with(|| {
                let mut own = Folder::clone(folder);
                if let Some(named) = own.act_as(account) {
                    overruled.insert(named.origin, named.name);
                }
                Arc::new(own)
            });
            *folder = known.clone();
        }
        for (origin, name) in overruled {
            let message = format!("serviceAccount: {name} is not used: the source acts under an account of its own");
            self.problems.push(Problem::new(origin, message).with_hint("take the line out"));
        }
    }
}

/// A template list with everything it names.
#[derive(Debug, Clone)]
pub struct List {
    /// The list as written.
    pub spec: Arc<ListSpec>,
    /// Settings of the folder it lies in.
    pub folder: Arc<Folder>,
    /// What it puts into namespaces.
    pub templates: Vec<Template>,
    /// Files that its words name, by the name as written. One that is missing is among the problems.
    pub parts: BTreeMap<String, Part>,
    /// What is wrong with single templates, such as a file that is not there. The others go on.
    pub problems: Vec<Problem>,
}

/// A file that kustomize's words of a list name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its path inside the source.
    pub path: String,
    /// What it holds.
    pub bytes: Arc<[u8]>,
}

/// One thing that a list puts into namespaces.
#[derive(Debug, Clone)]
pub struct Template {
    /// Place of the template in the list.
    pub entry: usize,
    /// What it is.
    pub source: TemplateSource,
}

/// What a template is made from.
#[derive(Debug, Clone)]
pub enum TemplateSource {
    /// An object from Git.
    Object(Arc<Manifest>),
    /// A live object of another namespace.
    Copy(CopyFrom),
    /// Text for the template engine.
    Text(Arc<TextTemplate>),
}

/// Files read before, by path and blob id, so that a commit which changes one file costs reading one file.
#[derive(Debug, Default)]
pub struct Cache {
    files: BTreeMap<String, (String, Arc<File>)>,
    reads: usize,
}

impl Cache {
    /// How many files the last [`load`] had to read.
    pub fn reads(&self) -> usize {
        self.reads
    }
}

/// Reads what a checkout asks for.
///
/// ```
/// use bowline::load::{Cache, load};
/// use bowline::source::{Checkout, Commit};
/// let commit = Commit { id: "c0ffee".into(), author: String::new(), message: String::new(), time: 0 };
/// let files = [("a.yaml".to_owned(), b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".to_vec())].into();
/// let desired = load(&Checkout::from_files("main", commit, files), &mut Cache::default());
/// assert_eq!(desired.manifests[0].0.name, "a");
/// ```
pub fn load(checkout: &Checkout, cache: &mut Cache) -> Desired {
    let mut loader = Loader { checkout, before: std::mem::take(&mut cache.files), cache, desired: Desired::default() };
    loader.cache.reads = 0;
    loader.desired.problems.extend(checkout.problems().iter().cloned());
    loader.desired.unreadable.extend(checkout.problems().iter().map(|problem| problem.origin.file.clone()));
    loader.desired.warnings.extend(checkout.notes().iter().cloned());
    let mut tree = Tree::of(checkout);
    let folders = loader.folders(&mut tree);
    loader.files(&tree, &folders);
    loader.desired.problems.extend(tree.held.into_values());
    let desired = &mut loader.desired;
    for problems in [&mut desired.problems, &mut desired.warnings] {
        problems.sort();
        problems.dedup();
    }
    loader.desired
}

struct Loader<'a> {
    checkout: &'a Checkout,
    before: BTreeMap<String, (String, Arc<File>)>,
    cache: &'a mut Cache,
    desired: Desired,
}

impl Loader<'_> {
    /// One file, from the cache when its content is known.
    fn file(&mut self, path: &str) -> Arc<File> {
        let entry = self.checkout.entry(path);
        let oid = entry.map(|entry| entry.oid.clone()).unwrap_or_default();
        if let Some((known, file)) = self.cache.files.get(path)
            && *known == oid
        {
            return file.clone();
        }
        let file = match self.before.remove(path) {
            // A link that leads nowhere has no content of its own: it is tried again.
            Some((known, file)) if known == oid && !entry.is_none_or(|entry| entry.link) => file,
            _ => {
                self.cache.reads += 1;
                Arc::new(self.read(path, entry.map_or(0, |entry| entry.size)))
            }
        };
        self.cache.files.insert(path.to_owned(), (oid, file.clone()));
        file
    }

    fn read(&self, path: &str, size: u64) -> File {
        let unusable = |message: String, hint: &str| {
            let problem = Problem::new(Origin::new(path, 0, 0), message).with_hint(hint);
            File { problems: vec![problem], ..File::default() }
        };
        if size > MAX_BYTES {
            let message = format!("has {size} bytes, more than the {MAX_BYTES} that are read as YAML or JSON");
            return unusable(message, "split it, or keep it out with .bowlineignore");
        }
        match self.checkout.read(path) {
            Ok(text) if tree::name_of(path) == folder::FILE => file::read_folder(path, &text),
            Ok(text) => file::read(path, &text),
            Err(error) => {
                let message = error.to_string();
                let message = message.strip_prefix(&format!("{path}: ")).unwrap_or(&message).to_owned();
                unusable(message, "")
            }
        }
    }

    /// The settings of every folder that has some. A folder whose settings cannot be used is held with all below it.
    fn folders(&mut self, tree: &mut Tree) -> BTreeMap<String, Arc<Folder>> {
        let mut folders: BTreeMap<String, Arc<Folder>> = BTreeMap::new();
        // Parents sort before what lies below them.
        let mut paths = tree.settings.clone();
        paths.sort();
        for path in paths {
            let name = if path.is_empty() { folder::FILE.to_owned() } else { format!("{path}/{}", folder::FILE) };
            let file = self.file(&name);
            self.desired.warnings.extend(file.warnings.iter().cloned());
            if let Some(first) = file.problems.first() {
                self.desired.problems.extend(file.problems.iter().cloned());
                self.desired.unreadable.insert(name);
                tree.held.entry(path).or_insert_with(|| first.clone());
                continue;
            }
            let parent = folder_above(&folders, tree::folder_of(&path)).filter(|_| !path.is_empty());
            let folder = match parent {
                Some(parent) => file.folder.clone().within(&parent),
                None => file.folder.clone(),
            };
            self.desired.folder_units.extend(folder.unit.iter().map(|unit| unit.name.clone()));
            self.desired.approvals.extend(file.folder.approve.iter().cloned());
            folders.insert(path, Arc::new(folder));
        }
        check_units(&folders, tree);
        folders
    }

    /// Manifests and lists, each with the settings of its folder.
    fn files(&mut self, tree: &Tree, folders: &BTreeMap<String, Arc<Folder>>) {
        let none = Arc::new(Folder::default());
        let folder = |path: &str| folder_above(folders, tree::folder_of(path)).unwrap_or_else(|| none.clone());
        let mut plain = Vec::new();
        let mut claimed = BTreeSet::new();
        let parts = self.parts_of_lists(tree);
        for path in &tree.manifests {
            if tree.held_by(path).is_some() {
                self.desired.unreadable.insert(path.clone());
                continue;
            }
            let file = self.file(path);
            if parts.contains(path) && file.lists.is_empty() {
                continue;
            }
            if !self.accept(path, &file) {
                claimed.extend(self.named_in(path));
                continue;
            }
            for spec in &file.lists {
                let list = self.list(path, spec, folder(path), &mut claimed);
                self.desired.lists.push(list);
            }
            plain.push((path, file));
        }
        for (path, file) in plain {
            if !claimed.contains(path) {
                let folder = folder(path);
                self.desired.manifests.extend(file.manifests.iter().map(|manifest| (manifest.clone(), folder.clone())));
            }
        }
    }

    /// Patches and data of generators, which are no manifests, wherever in the order of files their list comes.
    fn parts_of_lists(&mut self, tree: &Tree) -> BTreeSet<String> {
        let mut parts = BTreeSet::new();
        for path in tree.manifests.iter().filter(|path| tree.held_by(path).is_none()) {
            let file = self.file(path);
            for words in file.lists.iter().filter_map(|list| list.words.as_ref()) {
                parts.extend(words.files.iter().filter_map(|(file, _)| tree::join(tree::folder_of(path), file).ok()));
            }
        }
        parts
    }

    /// Takes over what is to be said about a file; whether it can be used.
    fn accept(&mut self, path: &str, file: &File) -> bool {
        self.desired.warnings.extend(file.warnings.iter().cloned());
        self.desired.problems.extend(file.problems.iter().cloned());
        if !file.problems.is_empty() {
            self.desired.unreadable.insert(path.to_owned());
        }
        file.problems.is_empty()
    }

    /// A list with the objects of the files that it names. Those files are no plain manifests.
    fn list(&mut self, path: &str, spec: &Arc<ListSpec>, folder: Arc<Folder>, claimed: &mut BTreeSet<String>) -> List {
        let mut list =
            List { spec: spec.clone(), folder, templates: Vec::new(), parts: BTreeMap::new(), problems: Vec::new() };
        for (file, origin) in spec.words.iter().flat_map(|words| &words.files) {
            match self.part(path, file) {
                Ok(part) => drop(list.parts.insert(file.clone(), part)),
                Err((message, hint)) => list.problems.push(Problem::new(origin.clone(), message).with_hint(hint)),
            }
        }
        for (index, entry) in spec.entries.iter().enumerate() {
            match &entry.body {
                Body::Object(manifest) => {
                    list.templates.push(Template { entry: index, source: TemplateSource::Object(manifest.clone()) });
                }
                Body::Copy(copy) => {
                    list.templates.push(Template { entry: index, source: TemplateSource::Copy(copy.clone()) });
                }
                Body::Files(pattern) => match self.named(path, pattern) {
                    Ok(files) => {
                        for file in files {
                            self.listed(&file, index, &entry.origin, &mut list);
                            claimed.insert(file);
                        }
                    }
                    Err((message, hint)) => {
                        list.problems.push(Problem::new(entry.origin.clone(), message).with_hint(hint));
                    }
                },
                Body::Text(text) => {
                    list.templates.push(Template { entry: index, source: TemplateSource::Text(text.clone()) });
                }
            }
        }
        list
    }

    /// A file that a word of a list names.
    fn part(&self, list: &str, file: &str) -> Result<Part, (String, String)> {
        let path = tree::join(tree::folder_of(list), file)
            .map_err(|error| (error.to_string(), "files are named relative to the list's own file".to_owned()))?;
        let bytes = self.checkout.read(&path).map_err(|error| {
            let files: Vec<&str> = self.checkout.files().map(|(path, _)| path).collect();
            (error.to_string(), fields::did_you_mean(&path, files))
        })?;
        if bytes.len() as u64 > MAX_PART {
            let message =
                format!("{path}: has {} bytes, more than the {MAX_PART} that an object may hold", bytes.len());
            return Err((message, String::new()));
        }
        if bytes.starts_with(file::LFS) {
            return Err((format!("{path}: is a pointer to Git LFS, not the file itself"), file::NO_LFS.to_owned()));
        }
        Ok(Part { path, bytes: bytes.into() })
    }

    /// The files that a path or glob of a list means.
    fn named(&self, list: &str, pattern: &str) -> Result<Vec<String>, (String, String)> {
        let path = tree::join(tree::folder_of(list), pattern)
            .map_err(|error| (error.to_string(), "files are named relative to the list's own file".to_owned()))?;
        if !tree::is_glob(&path) {
            if self.checkout.entry(&path).is_some() || self.checkout.read(&path).is_ok() {
                return Ok(vec![path]);
            }
            let files: Vec<&str> = self.checkout.files().map(|(path, _)| path).collect();
            let mut hint = fields::did_you_mean(&path, files);
            if hint.is_empty() {
                "files are named relative to the list's own file".clone_into(&mut hint);
            }
            return Err((format!("there is no file `{path}`"), hint));
        }
        let mut files = tree::glob(self.checkout, &path).map_err(|message| (message, String::new()))?;
        files.retain(|file| file != list);
        if files.is_empty() {
            return Err((format!("`{path}` matches no YAML or JSON file"), String::new()));
        }
        Ok(files)
    }

    /// Takes over the objects of a file that a list names.
    fn listed(&mut self, path: &str, entry: usize, origin: &Origin, list: &mut List) {
        let file = self.file(path);
        if !self.accept(path, &file) {
            return;
        }
        if !file.lists.is_empty() {
            let message = format!("`{path}` holds a list of its own: a list names files of plain objects");
            return list.problems.push(Problem::new(origin.clone(), message));
        }
        let objects = file.manifests.iter().cloned().map(TemplateSource::Object);
        list.templates.extend(objects.map(|source| Template { entry, source }));
    }

    /// Files that a broken list may name: they must not be taken for plain manifests while it is broken.
    fn named_in(&self, path: &str) -> Vec<String> {
        let Ok(bytes) = self.checkout.read(path) else { return Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        if !["TemplateList", "NamespaceExporter", "kind: crd"].iter().any(|kind| text.contains(kind)) {
            return Vec::new();
        }
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '{' | '}'))
            .filter(|word| tree::is_manifest_name(word))
            .filter_map(|word| self.named(path, word).ok())
            .flatten()
            .collect()
    }
}

/// The settings of the nearest folder upwards that has some.
fn folder_above(folders: &BTreeMap<String, Arc<Folder>>, folder: &str) -> Option<Arc<Folder>> {
    tree::upwards(folder).find_map(|folder| folders.get(folder)).cloned()
}

/// Checks the dependencies of folder units; folders whose unit is in doubt are held.
///
/// A name may stand in several folders, as long as they go to different namespaces; here it stands for all of them.
fn check_units(folders: &BTreeMap<String, Arc<Folder>>, tree: &mut Tree) {
    let mut units: Units<'_> = BTreeMap::new();
    for (path, folder) in folders {
        // A folder below inherits its parent's unit; the one nearest to the root is where it is written.
        if let Some(unit) = &folder.unit
            && !units
                .get(unit.name.as_str())
                .is_some_and(|known| known.iter().any(|(_, other)| other.origin == unit.origin))
        {
            units.entry(&unit.name).or_default().push((path, unit));
        }
    }
    for (path, unit) in units.values().flatten() {
        for wanted in unit.depends_on.iter().filter(|wanted| !units.contains_key(wanted.as_str())) {
            let hint = fields::did_you_mean(wanted, units.keys().copied());
            let message = format!("unit `{}` depends on `{wanted}`, which no folder is", unit.name);
            hold(tree, path, Problem::new(unit.origin.clone(), message).with_hint(hint));
        }
    }
    for (start, places) in &units {
        let Some(cycle) = cycle_from(start, &units) else { continue };
        let message = format!("units depend on each other in a circle: {}", cycle.join(" -> "));
        for (path, unit) in places {
            let problem = Problem::new(unit.origin.clone(), message.clone());
            hold(tree, path, problem.with_hint("take one of the dependencies out"));
        }
    }
}

/// Folder units by name, with the folders that name them.
type Units<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a UnitSpec)>>;

fn hold(tree: &mut Tree, folder: &str, problem: Problem) {
    tree.held.entry(folder.to_owned()).or_insert(problem);
}

/// The way from a unit back to itself.
fn cycle_from<'a>(start: &'a str, units: &Units<'a>) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut ahead = vec![start];
    while let Some(name) = ahead.pop() {
        for next in units.get(name).into_iter().flatten().flat_map(|(_, unit)| &unit.depends_on) {
            if next == start {
                let mut way = vec![start, name];
                way.extend(std::iter::successors(before.get(name), |name| before.get(*name)));
                way.reverse();
                // The first one is where the search began, unless the unit depends on itself.
                return Some(if name == start { vec![start, start] } else { way });
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, name);
                ahead.push(next);
            }
        }
    }
    None
}
