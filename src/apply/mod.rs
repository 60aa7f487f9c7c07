//! Carries changes out: tier by tier, what is valid even when something else is not.
//!
//! ```text
//! Changes  ->  tier: write side by side, wait for definitions  ->  next tier ...  ->  wait for health  ->  prune
//! ```
//! Every change has a result, errors included. Start at [`apply`].

mod guard;
mod inside;
pub mod order;
pub mod prune;
mod replace;
pub mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use crate::cluster::objects::{Answer, explain, is_predecessor, without_fields};
use crate::cluster::observe::{self, Coming, payload, set_uid};
use crate::cluster::store::Store;
use crate::cluster::{Actor, Cluster, Error, Force, Resource};
use crate::diff::change::{Failure, Present};
use crate::diff::marks::{is_ours, manager, unit_of};
use crate::diff::{self, Action, Change, Changes, Entry, FieldConflict, Observation, Observed, State};
use crate::failpoint::{Point, reach};
use crate::object::{Object, ObjectId};
use crate::render::{Item, Unit};

/// Objects of one unit written side by side.
const SIDE_BY_SIDE: usize = 8;
/// How long a kind or namespace of the same commit may take to be served.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// What became of a unit's objects.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// One result per change, in the order of the changes.
    pub changes: Vec<Change>,
    /// The inventory as it is now.
    pub entries: Vec<Entry>,
    /// Warnings of the server, by object.
    pub warnings: Vec<(ObjectId, String)>,
}

impl Outcome {
    /// Whether something did not come out as wanted.
    pub fn failed(&self) -> bool {
        self.changes.iter().any(|change| matches!(change.action, Action::Failed | Action::Conflict))
    }

    /// Whether something failed that may pass by itself.
    pub fn temporary(&self) -> bool {
        self.changes.iter().any(|change| change.action == Action::Failed && change.temporary)
    }
}

/// What applying needs of the world.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What its watches tell.
    pub store: &'a Store,
    /// The account of the unit.
    pub actor: &'a Actor,
}

/// The inventory as it must be recorded before the first write: what was there, and what will be.
///
/// What is taken over says so from the start: it is never deleted, also when the process ends right after the write.
pub fn planned(unit: &Unit, last: &[Entry], observed: &Observed, changes: &Changes) -> Vec<Entry> {
    let known: BTreeMap<&ObjectId, &Entry> = last.iter().map(|entry| (&entry.id, entry)).collect();
    let actions: BTreeMap<&ObjectId, Action> =
        changes.changes.iter().map(|change| (&change.id, change.action)).collect();
    let mut entries = Vec::with_capacity(unit.items.len());
    for item in &unit.items {
        let id = item.object.id();
        let writes = actions.get(&id).is_some_and(|action| action.writes());
        let adopts = writes && matches!(observed.items.get(&id), Some(Observation::Present(present)) if present.adopt);
        match known.get(&id) {
            Some(entry) if actions.get(&id) == Some(&Action::Recreated) => {
                entries.push(Entry { state: State::Replacing, ..(*entry).clone() });
            }
            Some(entry) => entries.push(Entry { adopted: entry.adopted || adopts, ..(*entry).clone() }),
            None if writes => entries.push(Entry {
                id,
                api_version: item.object.api_version().to_owned(),
                state: State::Planned,
                seen: None,
                desired: diff::Digest::default(),
                adopted: adopts,
                since: 0,
                note: String::new(),
                policy: item.policy.clone(),
            }),
            None => {}
        }
    }
    let wanted: BTreeSet<ObjectId> = unit.items.iter().map(|item| item.object.id()).collect();
    let gone = last.iter().filter(|entry| !wanted.contains(&entry.id));
    entries.extend(gone.map(|entry| {
        let pruned = actions.get(&entry.id) == Some(&Action::Pruned);
        Entry { state: if pruned { State::Pruning } else { entry.state }, ..entry.clone() }
    }));
    entries
}

/// Writes what changes, tier by tier. Objects that are no longer wanted are left to [`prune::prune`].
pub async fn apply(
    target: Target<'_>,
    unit: &Unit,
    planned: Vec<Entry>,
    observed: &Observed,
    changes: &Changes,
    coming: &Coming,
) -> Outcome {
    let mut entries: BTreeMap<ObjectId, Entry> = planned.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
    let items: BTreeMap<ObjectId, &Item> = unit.items.iter().map(|item| (item.object.id(), item)).collect();
    let mut outcome = Outcome::default();
    let mut results: BTreeMap<ObjectId, Change> = BTreeMap::new();
    let blocked = unit.settings.atomic
        && changes.changes.iter().any(|change| matches!(change.action, Action::Failed | Action::Conflict));
    for (place, tier) in order::tiers().iter().enumerate() {
        let of_tier: Vec<&Change> = changes
            .changes
            .iter()
            .filter(|change| items.contains_key(&change.id) && order::tier_of(&change.id) == place)
            .collect();
        if tier.after_health && of_tier.iter().any(|change| change.action.writes()) {
            let ids: Vec<ObjectId> = entries.keys().cloned().collect();
            wait::healthy(target.store, &ids, Duration::from_secs(unit.settings.timeout_seconds)).await;
        }
        let mut writes: Vec<BoxFuture<'_, Written>> = Vec::with_capacity(of_tier.len());
        for change in of_tier {
            let Some(item) = items.get(&change.id) else { continue };
            let writer = Writer { target, unit, item, observation: observed.items.get(&change.id) };
            let entry = entries.get(&change.id).cloned();
            let write = async move {
                if blocked && change.action.writes() {
                    return Written::held(change, "not applied: the unit is atomic and something in it is not valid");
                }
                writer.write(change, entry, coming).await
            };
            writes.push(write.boxed());
        }
        let written: Vec<Written> = stream::iter(writes).buffer_unordered(SIDE_BY_SIDE).collect().await;
        let mut made = Vec::new();
        for Written { change, entry, warnings } in written {
            outcome.warnings.extend(warnings.into_iter().map(|warning| (change.id.clone(), warning)));
            if let Some(entry) = entry {
                entries.insert(entry.id.clone(), entry);
            }
            if change.action.writes() {
                made.push(change.id.clone());
            }
            results.insert(change.id.clone(), change);
        }
        if !made.is_empty() {
            reach(Point::ApplyTier);
        }
        if tier.wait && !made.is_empty() {
            wait::healthy(target.store, &made, SERVED_WITHIN).await;
        }
    }
    outcome.changes =
        changes.changes.iter().map(|change| results.remove(&change.id).unwrap_or_else(|| change.clone())).collect();
    outcome.entries = entries.into_values().collect();
    outcome
}

struct Written {
    change: Change,
    entry: Option<Entry>,
    warnings: Vec<String>,
}

impl Written {
    fn held(change: &Change, why: &str) -> Self {
        let mut change = change.clone();
        change.action = Action::Failed;
        why.clone_into(&mut change.message);
        Written { change, entry: None, warnings: Vec::new() }
    }

    fn failed(change: &Change, failure: Failure) -> Self {
        let mut change = change.clone();
        change.action = Action::Failed;
        change.message = failure.message;
        change.hint = failure.hint;
        change.temporary = failure.temporary;
        Written { change, entry: None, warnings: Vec::new() }
    }
}

struct Writer<'a> {
    target: Target<'a>,
    unit: &'a Unit,
    item: &'a Item,
    observation: Option<&'a Observation>,
}

impl Writer<'_> {
    async fn write(&self, change: &Change, entry: Option<Entry>, coming: &Coming) -> Written {
        match (change.action, self.observation) {
            (Action::Created, Some(Observation::Unverified(_))) => self.when_served(change, coming).await,
            (Action::Created, _) => self.create(change).await,
            (Action::Configured, Some(Observation::Present(present))) => self.configure(change, present, entry).await,
            (Action::Recreated, Some(Observation::Replaced(replacement))) => {
                self.replace(change, replacement, entry).await
            }
            _ => self.keep(change, entry),
        }
    }

    /// Nothing is written; the entry is brought up to what was seen.
    fn keep(&self, change: &Change, entry: Option<Entry>) -> Written {
        let entry = match (change.action, self.observation, entry) {
            // It is as wanted: also what a process that ended in between had written and not recorded.
            (Action::Unchanged, Some(Observation::Present(present)), entry) => {
                Some(self.written_entry(&present.live, entry.is_some_and(|entry| entry.adopted)))
            }
            (Action::Unchanged, _, Some(entry)) if entry.state == State::Applied => Some(Entry {
                policy: self.item.policy.clone(),
                desired: observe::desired(self.item, &self.unit.name),
                ..entry
            }),
            (.., entry) => entry,
        };
        Written { change: change.clone(), entry, warnings: Vec::new() }
    }

    /// Waits until the kind and the namespace of the same commit are served, then looks again and writes.
    async fn when_served(&self, change: &Change, coming: &Coming) -> Written {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(25))
            .with_max_delay(Duration::from_millis(800))
            .without_max_times()
            .build();
        let deadline = tokio::time::Instant::now() + SERVED_WITHIN;
        loop {
            let alone = Unit { items: vec![self.item.clone()], ..self.unit.clone() };
            let Target { cluster, store, actor } = self.target;
            let seen = observe::observe(cluster, Some(store), &alone, &[], &BTreeMap::new(), coming, actor).await;
            let observation = seen.items.get(&change.id);
            if !matches!(observation, Some(Observation::Unverified(_))) || tokio::time::Instant::now() > deadline {
                let again = diff::diff(&alone, &[], &seen, &diff::change::Context::default());
                let Some(decided) = again.changes.into_iter().next() else {
                    return Written::held(change, "was not looked at");
                };
                let writer = Writer { observation, ..*self };
                return match (decided.action, observation) {
                    (Action::Created, Some(Observation::Unverified(why))) => Written::failed(
                        &decided,
                        Failure {
                            message: format!("{why}, and is not served after 30 seconds"),
                            temporary: true,
                            ..Failure::default()
                        },
                    ),
                    (Action::Created, _) => writer.create(&decided).await,
                    (Action::Configured, Some(Observation::Present(present))) => {
                        writer.configure(&decided, present, None).await
                    }
                    _ => writer.keep(&decided, None),
                };
            }
            tokio::time::sleep(delays.next().unwrap_or(SERVED_WITHIN)).await;
        }
    }

    async fn create(&self, change: &Change) -> Written {
        let object = payload(self.item, &self.unit.name, None);
        let Some(resource) = self.target.cluster.resource(&object.gvk()).await else {
            return Written::failed(
                change,
                Failure { message: "its kind is not served".to_owned(), temporary: true, ..Failure::default() },
            );
        };
        match self.send(&resource, &object, Force::No).await {
            Ok(applied) if applied.created || is_marked(&applied.object, self.unit) => {
                self.written(change, &applied.object, applied.warnings, false)
            }
            Ok(applied) => self.written(change, &applied.object, applied.warnings, true),
            Err(error) => self.refused(change, &error),
        }
    }

    async fn configure(&self, change: &Change, present: &Present, entry: Option<Entry>) -> Written {
        let Some(resource) = self.target.cluster.resource(&self.item.object.gvk()).await else {
            return Written::failed(
                change,
                Failure { message: "its kind is not served".to_owned(), temporary: true, ..Failure::default() },
            );
        };
        let manager = manager(&self.unit.name);
        let rewritten = match self.rewritten_claims(&resource, present, &manager).await {
            Ok(rewritten) => rewritten,
            Err(error) => return self.refused(change, &error),
        };
        if rewritten.is_some() {
            reach(Point::ApplyAdopted);
        }
        let live = rewritten.as_ref().unwrap_or(&present.live);
        let mut object = without_fields(&payload(self.item, &self.unit.name, Some(live)), &present.left);
        set_uid(&mut object, live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default());
        // What predecessors held is free once their claims have ended; whatever else is taken was allowed.
        let free = |conflict: &FieldConflict| present.adopt && is_predecessor(&conflict.manager);
        let force = if present.taken.iter().all(free) { Force::No } else { Force::Yes };
        let adopted = present.adopt || entry.is_some_and(|entry| entry.adopted);
        match self.send(&resource, &object, force).await {
            Ok(applied) => self.written(change, &applied.object, applied.warnings, adopted),
            Err(error) => self.refused(change, &error),
        }
    }

    /// The object after others' claims on it were ended or brought up to date; `None` when they are in nobody's way.
    async fn rewritten_claims(
        &self,
        resource: &Resource,
        present: &Present,
        manager: &str,
    ) -> Result<Option<Value>, Error> {
        let Target { cluster, actor, .. } = self.target;
        if present.outdated_claims {
            return cluster.update_claims(resource, &present.live, manager, actor).await.map(Some);
        }
        if present.adopt || holds_others_of_ours(&present.live, manager) {
            return cluster.take_over_entries(resource, &present.live, manager, actor).await;
        }
        Ok(None)
    }

    async fn send(&self, resource: &Resource, object: &Object, force: Force) -> Result<crate::cluster::Applied, Error> {
        let Target { cluster, actor, store } = self.target;
        let answer = if store.is_whole(&resource.gvk) { Answer::Object } else { Answer::Metadata };
        reach(Point::ApplyWriting);
        let applied = cluster.apply(resource, object, &manager(&self.unit.name), force, answer, actor).await;
        reach(Point::ApplyWritten);
        applied
    }

    fn written(&self, change: &Change, answer: &Value, warnings: Vec<String>, adopted: bool) -> Written {
        let gvk = self.item.object.gvk();
        self.target.store.wrote(&gvk, answer);
        let entry = Some(self.written_entry(answer, adopted));
        Written { change: change.clone(), entry, warnings }
    }

    /// The entry of an object that is in the cluster as `live` shows.
    fn written_entry(&self, live: &Value, adopted: bool) -> Entry {
        Entry {
            id: self.item.object.id(),
            api_version: self.item.object.api_version().to_owned(),
            state: State::Applied,
            seen: Some(diff::Seen::of(live, &manager(&self.unit.name))),
            desired: observe::desired(self.item, &self.unit.name),
            adopted,
            since: 0,
            note: String::new(),
            policy: self.item.policy.clone(),
        }
    }

    fn refused(&self, change: &Change, error: &Error) -> Written {
        let Some(refusal) = error.refusal() else {
            return Written::failed(
                change,
                Failure {
                    message: error.to_string(),
                    hint: "it is tried again with back-off".to_owned(),
                    temporary: true,
                },
            );
        };
        if refusal.is_other_uid() || refusal.is_gone_uid() || refusal.code == 409 {
            let mut failure = explain(refusal, &change.id);
            failure.temporary = true;
            let mut written = Written::failed(change, failure);
            written.change.conflicts = refusal.conflicts();
            return written;
        }
        Written::failed(change, explain(refusal, &change.id))
    }
}

/// Whether the answer of an apply carries the marks of this unit: then it was ours before.
fn is_marked(answer: &Value, unit: &Unit) -> bool {
    Object::new(answer.clone()).ok().and_then(|object| unit_of(&object)).as_ref() == Some(&unit.name)
}

/// Whether another of our units still has an entry on the object.
fn holds_others_of_ours(live: &Value, manager: &str) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry.get("manager")?.as_str()).any(|name| is_ours(name) && name != manager)
}
