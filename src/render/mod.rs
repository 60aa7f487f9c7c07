//! Turns what the repository asks for into the objects of each unit.
//!
//! ```text
//! Desired + Facts -> place    each object's unit: scope of its kind, its namespace, the folder's unit
//!                 -> fill     template lists: which namespaces match, copies of live objects
//!                 -> settle   settings, dependencies, one id wanted twice
//!                 -> Rendered { unit -> objects with their origin and policy }, problems
//! ```
//! Rendering is pure: the same inputs give the same bytes. What it needs to know of the cluster comes as [`Facts`].
//! A unit whose inputs are those of the last rendering is not made again: see [`Cache`].
//!
//! Start at [`render`].

mod copy;
mod fill;
mod kinds;
mod offline;
mod place;
mod settle;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

// Policies are read where Git is read; here they are resolved, and this is where everybody right of us finds them.
pub use crate::load::{Budget, Drift, Policy, Prune, Settings};
pub use offline::Offline;
pub use settle::Cache;

use crate::load::Desired;
use crate::object::{Gvk, Object, ObjectId};
use crate::unit::{Origin, Problem, UnitKind, UnitName};

/// Namespace that bowline runs in when nobody says otherwise.
pub const OWN_NAMESPACE: &str = "bowline-system";

/// Renders every unit of a source.
///
/// ```
/// use bowline::load::{Cache, load};
/// use bowline::render::{Offline, render};
/// use bowline::source::{Checkout, Commit};
/// let commit = Commit { id: "c0ffee".into(), author: String::new(), message: String::new(), time: 0 };
/// let list = b"apiVersion: bowline.dev/v1
/// kind: TemplateList
/// metadata: {name: defaults}
/// spec:
///   namespaces: [dev-.*]
///   templates:
///   - object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
/// ";
/// let files = [("list.yaml".to_owned(), list.to_vec())].into();
/// let desired = load(&Checkout::from_files("main", commit, files), &mut Cache::default());
/// let rendered = render(&desired, &Offline::with_namespaces(["dev-a", "prod"]), "main");
/// let units: Vec<String> = rendered.units.keys().map(ToString::to_string).collect();
/// assert_eq!(units, ["main/dev-a"]);
/// ```
pub fn render(desired: &Desired, facts: &dyn Facts, source: &str) -> Rendered {
    render_again(desired, facts, source, &mut Cache::default())
}

/// Renders every unit of a source; units whose inputs are those of the last rendering with this cache are the same `Arc`.
pub fn render_again(desired: &Desired, facts: &dyn Facts, source: &str, cache: &mut Cache) -> Rendered {
    let mut assembly = place::Assembly::new(desired, facts, source);
    for (manifest, folder) in &desired.manifests {
        assembly.place(manifest, folder);
    }
    for list in &desired.lists {
        fill::fill(&mut assembly, list);
    }
    settle::settle(assembly, cache)
}

/// What rendering may know of the cluster. Offline renderings implement it from flags.
pub trait Facts {
    /// Namespaces that exist now, by name.
    fn namespaces(&self) -> &BTreeMap<String, Namespace>;
    /// Whether objects of this kind have a namespace.
    fn scope(&self, gvk: &Gvk) -> Scope;
    /// A live object that a list copies from.
    fn lookup(&self, id: &ObjectId) -> Lookup;
    /// Namespace that bowline itself runs in: it belongs to the system.
    fn own_namespace(&self) -> &str {
        OWN_NAMESPACE
    }
    /// Whether nobody is asked at all, so that what is not known is no sign of trouble.
    fn is_offline(&self) -> bool {
        false
    }
}

/// A namespace as template lists see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespace {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The namespace is being deleted: nothing is rendered into it.
    pub terminating: bool,
}

/// Whether a kind's objects live in namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Objects have a namespace.
    Namespaced,
    /// Objects have none.
    Cluster,
    /// The server does not serve this group, version and kind; nearest served ones, best first (may be empty).
    NotServed(Vec<Gvk>),
    /// Not known: offline, or discovery of that group failed. Never a reason to conclude that the kind is gone.
    Unknown,
}

/// The answer to a question for one live object.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// It is there.
    Found(Box<Object>),
    /// It is surely not there.
    Absent,
    /// It could not be asked for; the text says why. Never the same as absent.
    Unknown(String),
}

/// The desired state of one source at one commit, for every unit.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// Units by name. A unit that Git no longer asks for is absent. A unit whose inputs did not change since the last
    /// rendering is the same `Arc`, so that nobody looks at it again.
    pub units: BTreeMap<UnitName, Arc<Unit>>,
    /// What is wrong and belongs to no single unit.
    pub problems: Vec<Problem>,
    /// What is worth a word, but was understood.
    pub warnings: Vec<Problem>,
    /// Files that could not be read or parsed. While there is one, nothing of the source is pruned, and units that such
    /// a file fed at the last good commit (see [`Unit::files`], kept in the record) are held back.
    pub unreadable: BTreeSet<String>,
    /// Copies whose source object was deleted: kept as they are, reported as stale. Id of the copy, and the source.
    pub stale: BTreeMap<ObjectId, ObjectId>,
    /// Live objects that lists copy from: to be watched.
    pub copied: BTreeSet<ObjectId>,
    /// Names of the folder units that the repository has, whether or not anything comes of them.
    pub folder_units: BTreeSet<String>,
    /// Approvals of deletions that Git holds, with their places.
    pub approvals: BTreeMap<String, Origin>,
    /// Namespaces that exist, or that the commit makes, and that are not being deleted.
    pub namespaces: BTreeSet<String>,
}

/// The desired state of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// What kind of unit it is.
    pub kind: UnitKind,
    /// Objects in order of id. Ids are normalised: a namespace for namespaced kinds, none for cluster-scoped ones.
    pub items: Vec<Item>,
    /// What is wrong in this unit; the valid items are there all the same. Nothing is pruned while this is not empty.
    pub problems: Vec<Problem>,
    /// Files that fed this unit.
    pub files: BTreeSet<String>,
    /// Units that must be applied and healthy first.
    pub depends_on: Vec<UnitName>,
    /// Settings that hold for the whole unit.
    pub settings: Settings,
}

/// One desired object with where it comes from and how it is to be treated.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The object, put right by [`crate::load::tidy`] and with its namespace set; marks are added when it is applied.
    pub object: Object,
    /// Where it is written.
    pub origin: Origin,
    /// Name of the template list it comes from; empty for plain manifests.
    pub list: String,
    /// How it is treated.
    pub policy: Policy,
}
