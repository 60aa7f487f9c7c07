//! Finds the unit of each plain manifest: by the scope of its kind, its namespace, and the unit of its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Kinds, not_served};
use super::{Drift, Facts, Namespace, Policy, Prune, Scope};
use crate::load::{Desired, Folder, Manifest};
use crate::object::ObjectId;
use crate::unit::{Origin, Problem, UnitKind, UnitName};

/// Units in the making.
pub(super) struct Assembly<'a> {
    pub(super) facts: &'a dyn Facts,
    pub(super) source: &'a str,
    pub(super) kinds: Kinds<'a>,
    /// Namespaces of the cluster and of the commit.
    pub(super) namespaces: BTreeMap<String, Namespace>,
    pub(super) units: BTreeMap<UnitName, Draft>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) unreadable: BTreeSet<String>,
    pub(super) stale: BTreeMap<ObjectId, ObjectId>,
    pub(super) copied: BTreeSet<ObjectId>,
    pub(super) folder_units: BTreeSet<String>,
    pub(super) approvals: BTreeMap<String, Origin>,
}

/// A unit in the making.
pub(super) struct Draft {
    pub(super) kind: UnitKind,
    pub(super) pieces: Vec<Piece>,
    pub(super) problems: Vec<Problem>,
    /// Files that fed it besides those of its pieces.
    pub(super) files: BTreeSet<Arc<str>>,
    /// Settings of the folders that fed it, each once.
    pub(super) folders: Vec<Arc<Folder>>,
}

/// One object of a unit, shared with all other units that get the same one.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) manifest: Arc<Manifest>,
    pub(super) list: Arc<str>,
    pub(super) policy: Arc<Policy>,
    pub(super) folder: Arc<Folder>,
}

impl Draft {
    /// Takes note of the settings of a folder.
    pub(super) fn folder(&mut self, folder: &Arc<Folder>) {
        if !self.folders.iter().any(|known| Arc::ptr_eq(known, folder)) {
            self.folders.push(folder.clone());
        }
    }

    /// Adds a problem once.
    pub(super) fn problem(&mut self, problem: &Problem) {
        if !self.problems.contains(problem) {
            self.problems.push(problem.clone());
        }
    }
}

impl<'a> Assembly<'a> {
    pub(super) fn new(desired: &Desired, facts: &'a dyn Facts, source: &'a str) -> Self {
        Assembly {
            facts,
            source,
            kinds: Kinds::new(desired, facts),
            namespaces: namespaces(desired, facts),
            units: BTreeMap::new(),
            problems: desired.problems.clone(),
            warnings: desired.warnings.clone(),
            unreadable: desired.unreadable.clone(),
            stale: BTreeMap::new(),
            copied: BTreeSet::new(),
            folder_units: desired.folder_units.clone(),
            approvals: desired.approvals.clone(),
        }
    }

    /// The unit of a folder in a namespace; empty for cluster-scoped objects.
    pub(super) fn unit(&mut self, folder: &Arc<Folder>, namespace: &str) -> &mut Draft {
        let (name, kind) = match &folder.unit {
            Some(unit) => (UnitName::named(self.source, namespace, &unit.name), UnitKind::Folder),
            None if namespace.is_empty() => (UnitName::cluster(self.source), UnitKind::Cluster),
            None => (UnitName::namespace(self.source, namespace), UnitKind::Namespace),
        };
        let draft = self.units.entry(name).or_insert_with(|| Draft {
            kind,
            pieces: Vec::new(),
            problems: Vec::new(),
            files: BTreeSet::new(),
            folders: Vec::new(),
        });
        draft.folder(folder);
        draft
    }

    /// Puts a plain manifest into its unit.
    pub(super) fn place(&mut self, manifest: &Arc<Manifest>, folder: &Arc<Folder>) {
        self.warnings.extend(manifest.warnings.iter().cloned());
        let written = manifest.namespace.as_str();
        let default = folder.namespace.as_deref().unwrap_or_default();
        let namespace = if written.is_empty() { default } else { written };
        match self.kinds.scope(&manifest.gvk) {
            Scope::Namespaced if namespace.is_empty() => self.without_namespace(manifest),
            Scope::Namespaced => self.put(manifest, folder, namespace),
            Scope::Cluster if !written.is_empty() => {
                let message =
                    format!("{}: has a namespace, and {} objects have none", manifest.subject(), manifest.gvk.kind);
                let problem = Problem::new(manifest.origin.clone(), message).with_hint("remove metadata.namespace");
                self.refuse(manifest, folder, &[""], &problem);
            }
            Scope::Cluster => self.put(manifest, folder, ""),
            Scope::NotServed(nearest) => {
                let (message, hint) = not_served(&manifest.gvk, &nearest);
                let message = format!("{}: {message}", manifest.subject());
                let problem = Problem::new(manifest.origin.clone(), message).with_hint(hint);
                let units = if written.is_empty() && !default.is_empty() { vec!["", default] } else { vec![written] };
                self.refuse(manifest, folder, &units, &problem);
            }
            Scope::Unknown if !written.is_empty() || self.facts.is_offline() => self.put(manifest, folder, namespace),
            // A guess would give one object two identities, and the other one would look as if it had left Git.
            Scope::Unknown => {
                let message = format!(
                    "{}: whether {} objects have a namespace cannot be asked for now",
                    manifest.subject(),
                    manifest.gvk.kind
                );
                let problem = Problem::new(manifest.origin.clone(), message)
                    .with_hint("write metadata.namespace, or wait until the server answers for this group");
                let units = if default.is_empty() { vec![""] } else { vec!["", default] };
                self.refuse(manifest, folder, &units, &problem);
            }
        }
    }

    /// A namespaced object that names no namespace may have been in any unit: its file is set aside.
    fn without_namespace(&mut self, manifest: &Arc<Manifest>) {
        let message = format!("{}: has no namespace, and no bowline.yaml above it names one", manifest.subject());
        let hint = "write metadata.namespace, or `namespace:` in a bowline.yaml";
        self.problems.push(Problem::new(manifest.origin.clone(), message).with_hint(hint));
        self.problems.extend(manifest.problems.iter().cloned());
        self.unreadable.insert(manifest.origin.file.clone());
    }

    /// Leaves an object out; the units it may belong to know that they are not complete.
    fn refuse(&mut self, manifest: &Arc<Manifest>, folder: &Arc<Folder>, namespaces: &[&str], problem: &Problem) {
        let file: Arc<str> = manifest.origin.file.as_str().into();
        for namespace in namespaces {
            let unit = self.unit(folder, namespace);
            unit.problem(problem);
            unit.problems.extend(manifest.problems.iter().cloned());
            unit.files.insert(file.clone());
        }
    }

    fn put(&mut self, manifest: &Arc<Manifest>, folder: &Arc<Folder>, namespace: &str) {
        if !manifest.problems.is_empty() {
            let file: Arc<str> = manifest.origin.file.as_str().into();
            let unit = self.unit(folder, namespace);
            unit.problems.extend(manifest.problems.iter().cloned());
            unit.files.insert(file);
            return;
        }
        if self.namespaces.get(namespace).is_some_and(|namespace| namespace.terminating) {
            let message = format!("{}: namespace {namespace} is being deleted", manifest.subject());
            let problem = Problem::new(manifest.origin.clone(), message).with_hint(
                "it is applied again when the namespace is back; `kubectl get namespace` tells what it waits for",
            );
            return self.refuse(manifest, folder, &[namespace], &problem);
        }
        let policy = policy(manifest, folder, folder.prune.unwrap_or(Prune::Delete), None);
        let piece =
            Piece { manifest: manifest.clone(), list: "".into(), policy: Arc::new(policy), folder: folder.clone() };
        self.unit(folder, namespace).pieces.push(piece);
    }
}

/// How an object is treated: what it says itself, then what its list says, then its folder.
pub(super) fn policy(manifest: &Manifest, folder: &Folder, prune: Prune, adopt: Option<bool>) -> Policy {
    let overrides = &manifest.overrides;
    let mut ignore: Vec<String> = overrides.ignore.clone().unwrap_or_default();
    for rule in folder.ignore.iter().flat_map(|rules| rules.iter()) {
        ignore.extend(rule.paths(&manifest.gvk, &manifest.name).iter().cloned());
    }
    ignore.sort();
    ignore.dedup();
    Policy {
        prune: overrides.prune.unwrap_or(prune),
        adopt: overrides.adopt.or(adopt).or(folder.adopt).unwrap_or(false),
        drift: overrides.drift.or(folder.drift).unwrap_or(Drift::Correct),
        ignore,
        force: overrides.force.unwrap_or(false),
        recreate: overrides.recreate.unwrap_or(false),
    }
}

/// Namespaces of the cluster, and those that the commit makes, with the labels they will have.
fn namespaces(desired: &Desired, facts: &dyn Facts) -> BTreeMap<String, Namespace> {
    let mut namespaces = facts.namespaces().clone();
    for (manifest, _) in &desired.manifests {
        if manifest.gvk.kind != "Namespace" || !manifest.gvk.group.is_empty() || !manifest.problems.is_empty() {
            continue;
        }
        let namespace = namespaces.entry(manifest.name.clone()).or_default();
        namespace.labels.insert("kubernetes.io/metadata.name".to_owned(), manifest.name.clone());
        extend(&mut namespace.labels, manifest.value.pointer("/metadata/labels"));
        extend(&mut namespace.annotations, manifest.value.pointer("/metadata/annotations"));
    }
    namespaces
}

fn extend(map: &mut BTreeMap<String, String>, written: Option<&Value>) {
    for (key, value) in written.and_then(Value::as_object).into_iter().flatten() {
        if let Some(text) = value.as_str() {
            map.insert(key.clone(), text.to_owned());
        }
    }
}
