//! What `bowline status` shows of a source and its units.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::drift::Drift;
use crate::apply::wait::NotReady;
use crate::diff::{Action, Entry, commit};
use crate::load::Desired;
use crate::reconcile::Done;
use crate::reconcile::commit::Prepared;
use crate::record::{self, Revision};
use crate::render::Rendered;
use crate::source::Checkout;
use crate::unit::{Problem, UnitName};

/// How the last fetches went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// Why fetches fail now; `None` while they succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Since when they fail, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// Something worth a word about the last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Fetch {
    /// A fetch succeeded.
    pub fn good(&mut self) {
        self.error = None;
        self.failing_since = None;
    }

    /// A fetch failed; says whether that is news.
    pub fn failed(&mut self, why: &str) -> bool {
        let news = self.error.as_deref() != Some(why);
        self.error = Some(why.to_owned());
        self.failing_since.get_or_insert_with(|| jiff::Timestamp::now().to_string());
        news
    }
}

/// A source with its units, as it is kept in a ConfigMap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Name of the source.
    pub source: String,
    /// The commit that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<record::Commit>,
    /// How fetches go.
    pub fetch: Fetch,
    /// Everything wrong in the repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// A deletion that waits for people: hash, reason, and what would go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Lines of Git that approve nothing, or nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale_approvals: Vec<Problem>,
    /// Objects that are no longer wanted and were left in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// How those of them that bowline made can go; `None` when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphans_approval: Option<Offer>,
    /// Copies whose source is gone: kept as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// What others changed of late, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// Records that cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// Units that are not at rest, by name; those that are have a record which says all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<UnitName, UnitStatus>,
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What to approve: `bowline approve SUBJECT HASH`.
    pub hash: String,
    /// The source, or the unit when only one is asked about.
    pub subject: String,
    /// Why it is asked.
    pub reason: String,
    /// What would go.
    pub objects: Vec<String>,
    /// The hash of each unit alone.
    pub units: BTreeMap<UnitName, String>,
}

/// An object that was left in the cluster when Git no longer wanted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The unit whose record holds it.
    pub unit: UnitName,
    /// Which object.
    pub object: String,
    /// Why it was left.
    pub note: String,
    /// The line that removes it by hand.
    pub remove: String,
}

/// A hash that people may approve, and need not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The source, or the unit when only one is meant.
    pub subject: String,
    /// What to approve.
    pub hash: String,
}

impl Offer {
    /// The hash of an approval, without what it is about.
    pub fn of(approval: &commit::Approval) -> Self {
        Offer { subject: approval.subject.clone(), hash: approval.hash.clone() }
    }
}

impl Orphan {
    /// Describes an entry of an inventory that was left in the cluster.
    pub fn of(unit: &UnitName, entry: &Entry) -> Self {
        let id = &entry.id;
        let kind = id.kind.to_lowercase();
        let kind = if id.group.is_empty() { kind } else { format!("{kind}.{}", id.group) };
        let place = if id.namespace.is_empty() { String::new() } else { format!(" -n {}", id.namespace) };
        Orphan {
            unit: unit.clone(),
            object: id.to_string(),
            note: entry.note.clone(),
            remove: format!("kubectl delete {kind} {}{place}", id.name),
        }
    }
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitStatus {
    /// Everything is in the cluster as wanted, and ready.
    pub ready: bool,
    /// What it waits for before it can run; empty when for nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub waits: String,
    /// Objects with what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<String>,
    /// Objects that are not ready.
    #[serde(skip)]
    pub not_ready: Vec<NotReady>,
    /// Everything was applied as wanted; what the objects made of it is their health.
    #[serde(skip)]
    applied: bool,
}

impl UnitStatus {
    /// A unit that has not run yet.
    pub fn pending() -> Self {
        UnitStatus::default()
    }

    /// A unit that is held back.
    pub fn held(why: &str) -> Self {
        UnitStatus { messages: vec![format!("held: {why}")], ..UnitStatus::default() }
    }

    /// A unit that is as its record says.
    pub fn recorded(revision: &Revision) -> Self {
        UnitStatus {
            ready: revision.status == record::Status::Applied,
            applied: revision.status == record::Status::Applied,
            messages: revision.problems.iter().map(ToString::to_string).collect(),
            ..UnitStatus::default()
        }
    }

    /// A unit after a reconcile.
    pub fn of(done: &Done, problems: &[Problem]) -> Self {
        let mut messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for change in &done.outcome.changes {
            if matches!(change.action, Action::Failed | Action::Conflict | Action::Drifted | Action::Held) {
                let hint = if change.hint.is_empty() { String::new() } else { format!(" (hint: {})", change.hint) };
                let message = if change.message.is_empty() { String::new() } else { format!(": {}", change.message) };
                messages.push(format!("{} {}{message}{hint}", change.id, change.action.word()));
            }
        }
        messages.extend(done.not_ready.iter().map(words));
        UnitStatus {
            ready: done.succeeded() && problems.is_empty(),
            waits: String::new(),
            messages,
            not_ready: done.not_ready.clone(),
            applied: !done.outcome.failed() && problems.is_empty(),
        }
    }

    /// The unit is being worked on, and these objects are not ready yet.
    pub fn waits_for(&mut self, not_ready: Vec<NotReady>) {
        self.ready = false;
        self.messages = not_ready.iter().map(words).collect();
        self.not_ready = not_ready;
    }

    /// The unit is at rest, and the health of its objects changed.
    pub fn is_now(&mut self, mut not_ready: Vec<NotReady>) {
        for object in &mut not_ready {
            // The cause that was found behind the same words is still the cause.
            let explained = |before: &&NotReady| {
                before.id == object.id && before.health == object.health && before.message.starts_with(&object.message)
            };
            if let Some(before) = self.not_ready.iter().find(explained) {
                object.message.clone_from(&before.message);
            }
        }
        let before: BTreeSet<String> = self.not_ready.iter().map(words).collect();
        self.messages.retain(|message| !before.contains(message));
        self.messages.extend(not_ready.iter().map(words));
        self.ready = self.applied && not_ready.is_empty();
        self.not_ready = not_ready;
    }

    /// The unit failed before it could tell more.
    pub fn fail(&mut self, why: &str) {
        self.ready = false;
        self.messages = vec![why.to_owned()];
    }

    /// Whether people who know the other know this one.
    pub fn says_the_same(&self, other: &UnitStatus) -> bool {
        self.ready == other.ready && self.messages == other.messages
    }
}

impl Status {
    /// Units that are worked on, or soon will be, are not ready, whatever was said of them before.
    pub fn at_work<'a>(&mut self, units: impl Iterator<Item = &'a UnitName>) {
        for name in units {
            let unit = self.units.entry(name.clone()).or_default();
            unit.ready = false;
            if unit.waits.is_empty() {
                "is being worked on".clone_into(&mut unit.waits);
            }
        }
    }

    /// Gathers the status of a source.
    #[expect(clippy::too_many_arguments, reason = "it is the sum of what the follower knows")]
    pub fn of(
        source: &str,
        checkout: Option<&Checkout>,
        fetch: &Fetch,
        rendered: &Rendered,
        desired: Option<&Desired>,
        prepared: Option<&Prepared>,
        units: &BTreeMap<UnitName, UnitStatus>,
        damaged: &[String],
    ) -> Self {
        let mut problems = desired.map(|desired| desired.problems.clone()).unwrap_or_default();
        problems.extend(rendered.problems.iter().cloned());
        problems.extend(rendered.units.values().flat_map(|unit| unit.problems.iter().cloned()));
        problems.sort();
        problems.dedup();
        let approval = prepared.and_then(|prepared| prepared.plan.approval.as_ref()).map(|approval| Approval {
            hash: approval.hash.clone(),
            subject: approval.subject.clone(),
            reason: approval.reason.clone(),
            objects: approval.removals.iter().map(|removal| format!("{} {}", removal.unit, removal.id)).collect(),
            units: approval.units.clone(),
        });
        let restless = units.iter().filter(|(_, status)| !status.ready || !status.messages.is_empty());
        Status {
            source: source.to_owned(),
            commit: checkout.map(|checkout| record::Commit::from(&*checkout.commit)),
            fetch: fetch.clone(),
            problems,
            approval,
            stale_approvals: prepared.map(|prepared| prepared.plan.stale.clone()).unwrap_or_default(),
            orphans: Vec::new(),
            orphans_approval: None,
            stale: rendered.stale.iter().map(|(copy, from)| format!("{copy} (copied from {from})")).collect(),
            drift: Vec::new(),
            damaged: damaged.to_vec(),
            units: restless.map(|(name, status)| (name.clone(), status.clone())).collect(),
        }
    }
}

fn words(object: &NotReady) -> String {
    format!("{} {}: {}", object.id, object.health, object.message)
}
