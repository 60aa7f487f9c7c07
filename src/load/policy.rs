//! How objects and units are treated: what `bowline.yaml`, lists and annotations may say, resolved.

use serde::{Deserialize, Serialize};

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
    /// Whether fields may be taken from managers that nobody knows, when it is taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Whether it may be deleted and made anew when a field that cannot change in place changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recreate: bool,
}

impl Default for Policy {
    /// Plain manifests: pruned when gone from Git, never taken over, corrected, changed in place only.
    fn default() -> Self {
        Policy {
            prune: Prune::Delete,
            adopt: false,
            drift: Drift::Correct,
            ignore: Vec::new(),
            force: false,
            recreate: false,
        }
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

/// The words of [`Drift`] in Git.
pub(super) const DRIFT_WORDS: [(&str, Drift); 3] =
    [("correct", Drift::Correct), ("report", Drift::Report), ("ignore", Drift::Ignore)];

/// The words of [`Prune`] in Git.
pub(super) const PRUNE_WORDS: [(&str, Prune); 2] = [("delete", Prune::Delete), ("keep", Prune::Keep)];
