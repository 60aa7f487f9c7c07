//! Turns what the repository asks for into the objects of each unit.
//!
//! ```text
//! Desired + Facts  ->  Rendered { unit -> objects with their origin and policy }, problems
//! ```
//! Rendering is pure: the same inputs give the same bytes. What it needs to know of the cluster comes as [`Facts`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::object::{Gvk, Object, ObjectId};
use crate::unit::{Origin, Problem, UnitKind, UnitName};

/// What rendering may know of the cluster. Offline renderings implement it from flags.
pub trait Facts {
    /// Namespaces that exist now, by name.
    fn namespaces(&self) -> &BTreeMap<String, Namespace>;
    /// Whether objects of this kind have a namespace.
    fn scope(&self, gvk: &Gvk) -> Scope;
    /// A live object that a list copies from.
    fn lookup(&self, id: &ObjectId) -> Lookup;
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
    /// Units by name. A unit that Git no longer asks for is absent.
    pub units: BTreeMap<UnitName, Unit>,
    /// What is wrong and belongs to no single unit.
    pub problems: Vec<Problem>,
    /// Files that could not be read or parsed. While there is one, nothing of the source is pruned, and units that such
    /// a file fed at the last good commit (see [`Unit::files`], kept in the record) are held back.
    pub unreadable: BTreeSet<String>,
    /// Copies whose source object was deleted: kept as they are, reported as stale. Id of the copy, and the source.
    pub stale: BTreeMap<ObjectId, ObjectId>,
    /// Live objects that lists copy from: to be watched.
    pub copied: BTreeSet<ObjectId>,
}

/// The desired state of one unit.
#[derive(Debug, Clone)]
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
    /// The object, with its namespace set, `status` and nulls as Git has them; marks are added when it is applied.
    pub object: Object,
    /// Where it is written.
    pub origin: Origin,
    /// Name of the template list it comes from; empty for plain manifests.
    pub list: String,
    /// How it is treated.
    pub policy: Policy,
}

/// How one object is treated when it is first met, drifts, or leaves the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What happens when Git no longer asks for it.
    pub prune: Prune,
    /// Whether an existing object that is not ours may be taken over.
    pub adopt: bool,
    /// What happens when somebody changes it in the cluster.
    pub drift: Drift,
    /// Fields left to others, as JSON pointers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
}

impl Default for Policy {
    /// Plain manifests: pruned when gone from Git, never taken over, corrected.
    fn default() -> Self {
        Policy { prune: Prune::Delete, adopt: false, drift: Drift::Correct, ignore: Vec::new() }
    }
}

/// What happens to an object that Git no longer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prune {
    /// It is deleted, by the deletion protocol.
    Delete,
    /// It stays and is listed as an orphan.
    Keep,
}

/// What happens when an owned field is changed in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// Put back to what Git says.
    Correct,
    /// Reported, not touched.
    Report,
    /// Neither.
    Ignore,
}

/// Settings of a unit, from the nearest `bowline.yaml` that names each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Nothing is applied unless everything of the unit is valid.
    pub atomic: bool,
    /// Wait for health after applying.
    pub wait: bool,
    /// How long a wait may take, in seconds.
    pub timeout_seconds: u64,
    /// Largest share of objects of the source that one commit may take away, and the least number always allowed.
    pub budget: Budget,
    /// Account that reads and writes of the unit are done as: namespace and name. `None`: bowline's own.
    pub service_account: Option<(String, String)>,
    /// Users' own health rules, as written; read by `health::Rules`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            atomic: false,
            wait: true,
            timeout_seconds: 300,
            budget: Budget::default(),
            service_account: None,
            health: Vec::new(),
        }
    }
}

/// How much one commit may take away before it stops and asks: more than `max(objects, percent of all)` objects of a
/// source, or more than `max(units, unit_percent of all)` of its units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Objects that may always go.
    pub objects: usize,
    /// Share of the source's objects that may go, in percent.
    pub percent: usize,
    /// Units that may always go.
    pub units: usize,
    /// Share of the source's units that may go, in percent.
    pub unit_percent: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { objects: 20, percent: 10, units: 2, unit_percent: 20 }
    }
}
