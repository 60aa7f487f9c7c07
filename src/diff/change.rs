//! Decides what happens to each object of a unit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compare::{FieldChange, compare, essence};
use super::entry::{Entry, State};
use super::fields::{self, Author};
use super::marks::manager;
use super::mask::mask_pair;
use super::text::unified;
use crate::object::ObjectId;
use crate::render::{Drift, Prune, Unit};
use crate::unit::{Origin, UnitName};

/// What happens, or happened, to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there and is made.
    Created,
    /// Fields are changed, or ownership of them is taken.
    Configured,
    /// It is as wanted.
    Unchanged,
    /// It is deleted and made again.
    Recreated,
    /// It is handed over from another unit; nothing is written for the hand-over itself.
    Moved,
    /// It is no longer wanted and is deleted.
    Pruned,
    /// It is no longer wanted and stays.
    Released,
    /// It is no longer wanted, and its deletion waits for something.
    Held,
    /// It differs, and Git says to leave it so.
    Drifted,
    /// Somebody else owns it or a field of it.
    Conflict,
    /// It is not valid, not allowed, or could not be looked at.
    Failed,
}

impl Action {
    /// All actions, in the order of summaries.
    pub const ALL: [Action; 11] = [
        Action::Created,
        Action::Configured,
        Action::Recreated,
        Action::Moved,
        Action::Pruned,
        Action::Released,
        Action::Held,
        Action::Drifted,
        Action::Conflict,
        Action::Failed,
        Action::Unchanged,
    ];

    /// The word in output and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Configured => "configured",
            Action::Unchanged => "unchanged",
            Action::Recreated => "recreated",
            Action::Moved => "moved",
            Action::Pruned => "pruned",
            Action::Released => "released",
            Action::Held => "held",
            Action::Drifted => "drifted",
            Action::Conflict => "conflict",
            Action::Failed => "failed",
        }
    }

    /// Whether carrying it out sends a write for the object.
    pub fn writes(self) -> bool {
        matches!(self, Action::Created | Action::Configured | Action::Recreated | Action::Pruned)
    }
}

/// One field that others own, as a 409 of the API server names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldConflict {
    /// Path in managed-fields syntax, such as `.spec.replicas`.
    pub field: String,
    /// Manager's name.
    pub manager: String,
    /// The manager writes by update (PUT, PATCH), not by apply.
    #[serde(default)]
    pub by_update: bool,
    /// Subresource it wrote through, such as `scale`; empty for the object itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

impl std::fmt::Display for FieldConflict {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} is owned by {}", self.field.trim_start_matches('.'), self.manager)
    }
}

/// Why something did not work out, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// What is wrong.
    pub message: String,
    /// The way out; may be empty.
    pub hint: String,
    /// It may pass by itself: try again with back-off.
    pub temporary: bool,
}

/// What a look at the cluster showed of one wanted object.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// The record and the metadata say that it is as it was applied, and Git wants the same: nothing was asked.
    Untouched,
    /// It is not there; what the server would make of it.
    Absent(Box<Value>),
    /// It is there.
    Present(Box<Present>),
    /// It is there, is not ours, and may not be taken over.
    Foreign(Box<Value>, Vec<FieldConflict>),
    /// It is there, and its marks name another unit of bowline's.
    Claimed(Claim),
    /// A field of it is held by somebody whom we do not overrule.
    Held {
        /// The fields, each with its holder.
        conflicts: Vec<FieldConflict>,
        /// A word on the object in Git would overrule them.
        may_force: bool,
    },
    /// A field that cannot be changed in place is to change, and Git lets it be deleted and made anew for that.
    Replaced(Box<Replacement>),
    /// It cannot be checked yet: its kind or its namespace comes in the same commit.
    Unverified(String),
    /// A field that cannot be changed in place is to change.
    Immutable(Failure),
    /// It is not valid, not allowed, or could not be asked for.
    Failed(Failure),
}

/// Another unit's claim on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The unit that the marks of the object name.
    pub unit: UnitName,
    /// The object's uid.
    pub uid: String,
    /// Git says that it may be taken over: if the other unit has given it up.
    pub adopt: bool,
    /// Git says that it may be taken over even when nobody knows the other unit: it may be another bowline's.
    pub force: bool,
}

/// A live object that is deleted and made anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// The object now.
    pub live: Value,
    /// What the server makes of ours.
    pub result: Value,
    /// Why, and what becomes of the objects that it owns.
    pub why: String,
    /// The objects that it owns stay, and the new one takes them.
    pub keeps_dependents: bool,
}

/// A live object and what the server would make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// The object now.
    pub live: Value,
    /// The object after our apply.
    pub result: Value,
    /// Fields that are taken from others by this apply: needs force.
    pub taken: Vec<FieldConflict>,
    /// Fields that are left to their owners, such as an autoscaler's replicas.
    pub left: Vec<FieldConflict>,
    /// It is not ours yet and may be taken over.
    pub adopt: bool,
    /// Its fields are not all owned by us although they have our values.
    pub ownership_lost: bool,
    /// Git wants what it wanted when the object was last applied: a difference is the cluster's doing.
    pub wanted_before: bool,
    /// Claims that were made in a version of the kind which the server cannot read them in any more are brought up to date
    /// first; `result` is then what it should come to, not what the server says.
    pub outdated_claims: bool,
}

/// All that was seen of a unit.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Per wanted object.
    pub items: BTreeMap<ObjectId, Observation>,
}

/// What one commit does to one unit, beyond its own objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Objects of this unit's inventory that another unit of the source now wants, and which.
    pub moved_to: BTreeMap<ObjectId, UnitName>,
    /// Wanted objects that come from another unit's inventory, and which.
    pub moved_from: BTreeMap<ObjectId, UnitName>,
    /// Why nothing may be deleted in this unit now; `None` when it may.
    pub keep_all: Option<String>,
    /// People have asked for what was left in the cluster to go.
    pub orphans_go: bool,
}

/// One object with what happens to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which object.
    #[serde(serialize_with = "as_text")]
    pub id: ObjectId,
    /// Its `apiVersion`.
    pub api_version: String,
    /// What happens.
    pub action: Action,
    /// Where it is written; the whole of an unknown file for objects that Git no longer has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Fields that differ, Secrets masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// The same as unified diff of YAML.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Why: for conflicts, failures and whatever is out of the ordinary.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Fields of others that this change takes or stumbles over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<FieldConflict>,
    /// The difference is the cluster's doing: Git wants what it wanted before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drifted: bool,
    /// The server has seen it in a dry run.
    pub verified: bool,
    /// A failure that may pass by itself.
    #[serde(skip)]
    pub temporary: bool,
}

fn as_text<S: serde::Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl Change {
    fn new(id: &ObjectId, api_version: &str, action: Action) -> Self {
        Change {
            id: id.clone(),
            api_version: api_version.to_owned(),
            action,
            origin: None,
            fields: Vec::new(),
            text: String::new(),
            message: String::new(),
            hint: String::new(),
            conflicts: Vec::new(),
            drifted: false,
            verified: true,
            temporary: false,
        }
    }

    /// The fields that others wrote, each with who did.
    pub fn authors(&self) -> impl Iterator<Item = (&str, &Author)> {
        self.fields.iter().filter_map(|field| Some((field.path.as_str(), field.by.as_ref()?)))
    }

    fn failed(mut self, action: Action, failure: &Failure) -> Self {
        self.action = action;
        self.message.clone_from(&failure.message);
        self.hint.clone_from(&failure.hint);
        self.temporary = failure.temporary;
        self
    }

    /// Fills fields and text from two states.
    fn differing(mut self, before: Option<&Value>, after: Option<&Value>) -> Self {
        self.text = unified(&self.id.to_string(), before, after);
        let (mut before, mut after) = (before.map(essence), after.map(essence));
        mask_pair(before.as_mut(), after.as_mut());
        if let (Some(before), Some(after)) = (&before, &after) {
            self.fields = compare(before, after);
        }
        self
    }
}

/// What happens to all objects of a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// The unit.
    pub unit: UnitName,
    /// Wanted objects in order of id, then those that are no longer wanted.
    pub changes: Vec<Change>,
    /// Why nothing is deleted in this unit now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_all: Option<String>,
}

impl Changes {
    /// How many objects have each action.
    pub fn count(&self) -> BTreeMap<Action, usize> {
        let mut count = BTreeMap::new();
        for change in &self.changes {
            *count.entry(change.action).or_insert(0) += 1;
        }
        count
    }

    /// Whether carrying the changes out writes anything.
    pub fn writes(&self) -> bool {
        self.changes.iter().any(|change| change.action.writes() || change.action == Action::Moved)
    }
}

/// Decides what happens to each object of a unit: those it wants, and those of its inventory that it no longer wants.
pub fn diff(unit: &Unit, last: &[Entry], observed: &Observed, context: &Context) -> Changes {
    let entries: BTreeMap<&ObjectId, &Entry> = last.iter().map(|entry| (&entry.id, entry)).collect();
    let own = manager(&unit.name);
    let mut changes = Vec::with_capacity(unit.items.len());
    let mut wanted = BTreeSet::new();
    for item in &unit.items {
        let id = item.object.id();
        let mut change = Change::new(&id, item.object.api_version(), Action::Unchanged);
        change.origin = Some(item.origin.clone());
        let observation = observed.items.get(&id);
        let entry = entries.get(&id).copied();
        let mut change = decide(change, observation, entry, item.policy.drift, &own);
        if let Some(from) = context.moved_from.get(&id) {
            change.message = format!("comes from unit {from}");
            if change.action == Action::Unchanged {
                change.action = Action::Moved;
            }
        }
        changes.push(change);
        wanted.insert(id);
    }
    let gone = last.iter().filter(|entry| !wanted.contains(&entry.id));
    changes.extend(gone.filter_map(|entry| leave(entry, context)));
    Changes { unit: unit.name.clone(), changes, keep_all: context.keep_all.clone() }
}

/// Decides for a wanted object.
fn decide(change: Change, observation: Option<&Observation>, entry: Option<&Entry>, drift: Drift, own: &str) -> Change {
    let unobserved =
        Observation::Failed(Failure { message: "was not looked at".to_owned(), temporary: true, ..Failure::default() });
    match observation.unwrap_or(&unobserved) {
        Observation::Untouched => change,
        Observation::Absent(result) => created(change, result, entry),
        Observation::Present(present) => present_change(change, present, entry, drift, own),
        Observation::Foreign(live, conflicts) => foreign(change, live, conflicts),
        Observation::Held { conflicts, may_force } => {
            let owners: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
            let mut change = change;
            change.action = Action::Conflict;
            change.message = owners.join("; ");
            let otherwise =
                if *may_force { "take it with bowline.dev/force: \"true\"" } else { "end the other owner's claim" };
            change.hint =
                format!("leave the field to its owner with the annotation bowline.dev/ignore, or {otherwise}");
            change.conflicts.clone_from(conflicts);
            change
        }
        Observation::Claimed(claim) => {
            let mut change = change;
            change.action = Action::Conflict;
            change.message = format!("belongs to unit {}", claim.unit);
            "take it out of one of the two; what the other unit leaves in the cluster (`prune: keep`) can then be adopted"
                .clone_into(&mut change.hint);
            change
        }
        Observation::Replaced(replacement) => {
            let mut change = change.differing(Some(&replacement.live), Some(&replacement.result));
            change.action = Action::Recreated;
            change.message.clone_from(&replacement.why);
            change
        }
        Observation::Unverified(why) => {
            let mut change = change;
            change.action = Action::Created;
            change.message.clone_from(why);
            change.verified = false;
            change
        }
        Observation::Immutable(failure) | Observation::Failed(failure) => change.failed(Action::Failed, failure),
    }
}

fn created(change: Change, result: &Value, entry: Option<&Entry>) -> Change {
    let mut change = change.differing(None, Some(result));
    change.action = Action::Created;
    if entry.is_some_and(|entry| entry.state == State::Applied) {
        change.drifted = true;
        "was deleted in the cluster".clone_into(&mut change.message);
    }
    change
}

fn present_change(change: Change, present: &Present, entry: Option<&Entry>, drift: Drift, own: &str) -> Change {
    let mut change = change.differing(Some(&present.live), Some(&present.result));
    change.conflicts.clone_from(&present.taken);
    let applied_before = entry.is_some_and(|entry| entry.state == State::Applied);
    if present.outdated_claims {
        change.action = Action::Configured;
        change.verified = false;
        "claims on fields of an older version of its kind are brought up to date first".clone_into(&mut change.message);
        return change;
    }
    if change.text.is_empty() && change.fields.is_empty() {
        if present.adopt {
            change.action = Action::Configured;
            "is taken over as it is".clone_into(&mut change.message);
        } else if present.ownership_lost {
            change.action = Action::Configured;
            "ownership of unchanged fields is taken back".clone_into(&mut change.message);
        }
        return change;
    }
    let is_drift = applied_before && present.wanted_before;
    change.drifted = is_drift;
    change.action = if is_drift && drift != Drift::Correct { Action::Drifted } else { Action::Configured };
    for field in &mut change.fields {
        field.by = fields::author(&present.live, own, &field.path);
    }
    if present.adopt {
        "is taken over".clone_into(&mut change.message);
    } else if is_drift || !present.taken.is_empty() {
        change.message = changed_by(&change, &present.taken);
    }
    change
}

/// Who changed an object, as far as its managed fields tell: what was removed has no owner.
fn changed_by(change: &Change, taken: &[FieldConflict]) -> String {
    let of_conflicts = taken.iter().map(|conflict| conflict.manager.as_str());
    let of_fields = change.fields.iter().filter_map(|field| field.by.as_ref()).map(|author| author.manager.as_str());
    let who: BTreeSet<&str> = of_conflicts.chain(of_fields).collect();
    if who.is_empty() {
        return "was changed in the cluster".to_owned();
    }
    format!("was changed by {}", who.into_iter().collect::<Vec<_>>().join(", "))
}

fn foreign(mut change: Change, live: &Value, conflicts: &[FieldConflict]) -> Change {
    change.action = Action::Conflict;
    let owner = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .and_then(|entries| entries.iter().find(|entry| entry.get("subresource").is_none()))
        .and_then(|entry| entry.get("manager").and_then(Value::as_str))
        .unwrap_or("somebody else");
    let fields: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    let fields = if fields.is_empty() { "it has our values".to_owned() } else { fields.join("; ") };
    change.message = format!("exists and is not ours: made by {owner} ({fields})");
    "set `adopt: true` (or the annotation bowline.dev/adopt) to take it over, or give yours another name"
        .clone_into(&mut change.hint);
    change.conflicts = conflicts.to_vec();
    change
}

/// Decides for an object of the inventory that is no longer wanted; `None` when it never was in the cluster or has
/// been left on purpose before.
fn leave(entry: &Entry, context: &Context) -> Option<Change> {
    let mut change = Change::new(&entry.id, &entry.api_version, Action::Pruned);
    if let Some(unit) = context.moved_to.get(&entry.id) {
        change.action = Action::Moved;
        change.message = format!("goes to unit {unit}");
        return Some(change);
    }
    if !entry.may_exist() {
        return None;
    }
    // What people have allowed to go is not kept by an older word of Git.
    let allowed = entry.state == State::Pruning || (entry.state == State::Orphaned && context.orphans_go);
    if entry.state == State::Orphaned && (entry.adopted || !allowed) {
        return None;
    }
    if entry.adopted {
        change.action = Action::Released;
        "was there before bowline".clone_into(&mut change.message);
    } else if entry.policy.prune == Prune::Keep && !allowed {
        change.action = Action::Released;
        "its list or settings say to keep it".clone_into(&mut change.message);
    } else if let Some(reason) = &context.keep_all {
        change.action = Action::Held;
        change.message.clone_from(reason);
    }
    Some(change)
}
