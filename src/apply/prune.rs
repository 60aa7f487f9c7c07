//! Deletes what is no longer wanted, by a protocol whose every step may say no.
//!
//! ```text
//! the record says it is ours  ->  everything wanted is applied and healthy  ->  no newer commit has come
//!   ->  the live object says so too (uid, marks, manager) and nobody protects it  ->  nothing else would go with it
//!   ->  DELETE with uid and resourceVersion  ->  it is gone  ->  it leaves the inventory
//! ```
//! Whether there is a complete render, and the approvals, were settled before: see `diff::commit`. What others need goes
//! last: the tiers of `order.yaml`, backwards.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::guard::{self, Answer, Case};
use super::inside::in_use;
use super::{Outcome, SIDE_BY_SIDE, Target, order};
use crate::cluster::objects::{Propagation, explain};
use crate::cluster::store::Looked;
use crate::cluster::{Error, Resource};
use crate::diff::{Action, Change, Changes, Entry, Observation, Observed, State};
use crate::failpoint::{Point, reach};
use crate::object::ObjectId;
use crate::render::Scope;
use crate::unit::UnitName;

/// How long a deletion may take before its finalizers are reported.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// How often an object is looked at that the watch does not tell of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a deletion must know besides the objects.
#[derive(Debug, Clone, Copy)]
pub struct Deletion<'a> {
    /// The unit.
    pub unit: &'a UnitName,
    /// bowline's own namespace.
    pub own_namespace: &'a str,
    /// Told when a newer commit came, or the program stops: what is not deleted yet waits then.
    pub cancel: &'a CancellationToken,
}

/// What became of one deletion.
enum End {
    /// It is not there any more.
    Gone,
    /// What is there is none of ours, and why.
    Lost(String),
    /// It stays for good, and why.
    Released(String),
    /// It could not be deleted now, and why; the inventory keeps it.
    Stays(String, String),
}

/// Deletes the objects whose change says `pruned`, unless something of the unit failed: then they wait.
pub async fn prune(target: Target<'_>, deletion: Deletion<'_>, outcome: &mut Outcome, healthy: bool) {
    let may = healthy && !outcome.failed();
    let mut places = Vec::new();
    for (place, change) in outcome.changes.iter_mut().enumerate() {
        match change.action {
            Action::Pruned if may => places.push(place),
            Action::Pruned => {
                change.action = Action::Held;
                "is deleted when everything of the unit is applied and healthy".clone_into(&mut change.message);
            }
            _ => settle_without(change, &mut outcome.entries),
        }
    }
    let wanted: BTreeSet<String> =
        outcome.entries.iter().filter(|entry| entry.is_wanted()).map(|entry| entry.uid().to_owned()).collect();
    let case = Case { unit: deletion.unit, own_namespace: deletion.own_namespace, wanted: &wanted };
    for tier in (0..order::tiers().len()).rev() {
        let of_tier = places.iter().filter(|place| order::tier_of(&outcome.changes[**place].id) == tier);
        let of_tier: Vec<usize> = of_tier.copied().collect();
        let ends = delete_side_by_side(target, case, deletion.cancel, outcome, &of_tier).await;
        for (place, end) in of_tier.into_iter().zip(ends) {
            settle(&mut outcome.changes[place], &mut outcome.entries, end);
        }
    }
    forget_gone_orphans(target, outcome).await;
}

async fn delete_side_by_side(
    target: Target<'_>,
    case: Case<'_>,
    cancel: &CancellationToken,
    outcome: &Outcome,
    places: &[usize],
) -> Vec<Option<End>> {
    let entry = |id: &ObjectId| outcome.entries.iter().find(|entry| entry.id == *id);
    let deletions: Vec<BoxFuture<'_, Option<End>>> = places
        .iter()
        .map(|place| {
            let entry = entry(&outcome.changes[*place].id);
            async move {
                let entry = entry?;
                // The newer commit may want it again.
                if cancel.is_cancelled() { None } else { Some(delete(target, case, entry).await) }
            }
            .boxed()
        })
        .collect();
    stream::iter(deletions).buffered(SIDE_BY_SIDE).collect().await
}

/// Brings the inventory up to a change that deletes nothing.
fn settle_without(change: &Change, entries: &mut Vec<Entry>) {
    let Some(place) = entries.iter().position(|entry| entry.id == change.id) else { return };
    match change.action {
        // What was allowed once stays allowed.
        Action::Held if entries[place].state != State::Pruning => entries[place].state = State::Held,
        Action::Released => {
            entries[place].state = State::Orphaned;
            entries[place].note.clone_from(&change.message);
        }
        // Handed over: the other unit's record has it.
        Action::Moved if change.origin.is_none() => drop(entries.remove(place)),
        _ => {}
    }
}

fn settle(change: &mut Change, entries: &mut Vec<Entry>, end: Option<End>) {
    let Some(place) = entries.iter().position(|entry| entry.id == change.id) else { return };
    match end {
        Some(End::Gone) => drop(entries.remove(place)),
        Some(End::Lost(why)) => {
            change.action = Action::Released;
            change.message = why;
            entries.remove(place);
        }
        Some(End::Released(why)) => {
            change.action = Action::Released;
            change.message.clone_from(&why);
            entries[place].state = State::Orphaned;
            entries[place].note = why;
        }
        Some(End::Stays(why, hint)) => {
            change.action = Action::Failed;
            change.temporary = true;
            change.message = why;
            change.hint = hint;
        }
        None => {
            change.action = Action::Held;
            "waits: a newer commit came first".clone_into(&mut change.message);
        }
    }
}

/// Says of each object that would be deleted what it will say then, so that a plan shows what happens.
pub async fn preview(
    target: Target<'_>,
    deletion: Deletion<'_>,
    last: &[Entry],
    observed: &Observed,
    changes: &mut Changes,
) {
    let wanted: BTreeSet<String> = observed
        .items
        .iter()
        .filter_map(|(id, observation)| match observation {
            Observation::Present(present) => present.live.pointer("/metadata/uid")?.as_str().map(str::to_owned),
            Observation::Untouched => last.iter().find(|entry| entry.id == *id).map(|entry| entry.uid().to_owned()),
            _ => None,
        })
        .collect();
    let case = Case { unit: deletion.unit, own_namespace: deletion.own_namespace, wanted: &wanted };
    let looks: Vec<BoxFuture<'_, Option<End>>> = changes
        .changes
        .iter()
        .map(|change| {
            let entry = last.iter().find(|entry| entry.id == change.id).filter(|_| change.action == Action::Pruned);
            async move { look(target, case, entry?).await.err() }.boxed()
        })
        .collect();
    let ends: Vec<Option<End>> = stream::iter(looks).buffered(SIDE_BY_SIDE).collect().await;
    for (change, end) in changes.changes.iter_mut().zip(ends) {
        match end {
            Some(End::Gone) => "is not there any more".clone_into(&mut change.message),
            Some(End::Lost(why) | End::Released(why)) => {
                change.action = Action::Released;
                change.message = why;
            }
            Some(End::Stays(why, hint)) => {
                change.message = why;
                change.hint = hint;
            }
            None => {}
        }
    }
}

/// A live object that may be deleted.
struct Doomed {
    resource: Resource,
    live: Value,
}

/// Looks whether an object of the inventory may be deleted; if not, what becomes of it.
async fn look(target: Target<'_>, case: Case<'_>, entry: &Entry) -> Result<Doomed, End> {
    let id = &entry.id;
    let Some(resource) = resource(target, entry).await else {
        return Err(match target.cluster.discovery().scope(&entry.gvk()) {
            Scope::Unknown => {
                End::Stays(format!("what the server serves of {} is not known now", id.kind), String::new())
            }
            // The kind's definition went, and its objects with it.
            _ => End::Gone,
        });
    };
    let live = match target.cluster.get(&resource, id, target.actor).await {
        Ok(Some(live)) => live,
        Ok(None) => return Err(End::Gone),
        Err(error) => return Err(stays(&error, id)),
    };
    match guard::ask(case, entry, &live) {
        Answer::Yes => {}
        Answer::Keep(why) => return Err(End::Released(why)),
        Answer::NotOurs(why) => return Err(End::Lost(why)),
        Answer::Wait(why, hint) => return Err(End::Stays(why, hint)),
    }
    let going = live.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    match in_use(target, id, &live).await.filter(|_| !going) {
        Some(why) => Err(End::Stays(why, "delete what is inside first".to_owned())),
        None => Ok(Doomed { resource, live }),
    }
}

async fn delete(target: Target<'_>, case: Case<'_>, entry: &Entry) -> End {
    let id = &entry.id;
    for _ in 0..3 {
        let Doomed { resource, live } = match look(target, case, entry).await {
            Ok(doomed) => doomed,
            Err(end) => return end,
        };
        let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let uid = text("/metadata/uid");
        if !text("/metadata/deletionTimestamp").is_empty() {
            return gone(target, &resource, id, uid).await;
        }
        let version = text("/metadata/resourceVersion");
        reach(Point::PruneDeleting);
        let deleted = target.cluster.delete(&resource, id, uid, version, Propagation::Background, target.actor).await;
        reach(Point::PruneDeleted);
        match deleted {
            Ok(true) => return End::Gone,
            Ok(false) => return gone(target, &resource, id, uid).await,
            // It was written between the look and the deletion: look again.
            Err(Error::Refused(refusal)) if refusal.code == 409 => {}
            Err(error) => return stays(&error, id),
        }
    }
    End::Stays("is written too often to be deleted safely".to_owned(), "it is tried again with back-off".to_owned())
}

/// The resource in the recorded version, or in whichever the server has now.
async fn resource(target: Target<'_>, entry: &Entry) -> Option<Resource> {
    match target.cluster.resource(&entry.gvk()).await {
        Some(resource) => Some(resource),
        None => target.cluster.discovery().preferred(&entry.id).cloned(),
    }
}

fn stays(error: &Error, id: &ObjectId) -> End {
    match error {
        Error::Refused(refusal) => {
            let failure = explain(refusal, id);
            End::Stays(format!("cannot be deleted: {}", failure.message), failure.hint)
        }
        Error::Unreachable { .. } | Error::Fenced { .. } => {
            End::Stays(format!("cannot be deleted: {error}"), String::new())
        }
    }
}

/// Waits until a deleted object is gone, and names what it waits for when it is not.
async fn gone(target: Target<'_>, resource: &Resource, id: &ObjectId, uid: &str) -> End {
    match wait_gone(target, resource, id, uid).await {
        Ok(None) => End::Gone,
        Ok(Some(live)) => End::Stays(
            format!("is being deleted and waits for {}", holders(&live)),
            "whoever set the finalizer must remove it; bowline never does".to_owned(),
        ),
        Err(error) => stays(&error, id),
    }
}

/// Waits until the object of this uid is gone; the object as it is when it stays too long.
///
/// The watch says when to look, and a look says what is so: an object that lost its label leaves the watch too.
pub(super) async fn wait_gone(
    target: Target<'_>,
    resource: &Resource,
    id: &ObjectId,
    uid: &str,
) -> Result<Option<Value>, Error> {
    let deadline = tokio::time::Instant::now() + GONE_WITHIN;
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let told = target.store.until(left.min(LOOK_AGAIN), || match target.store.look(id) {
            Looked::There(look) if look.seen.uid == uid => None,
            Looked::There(_) | Looked::Gone => Some(()),
            Looked::NotYet => None,
        });
        let told = told.await.is_some();
        match target.cluster.get(resource, id, target.actor).await? {
            None => return Ok(None),
            Some(live) if live.pointer("/metadata/uid").and_then(Value::as_str) != Some(uid) => return Ok(None),
            Some(live) if tokio::time::Instant::now() >= deadline => return Ok(Some(live)),
            Some(_) if told => tokio::time::sleep(LOOK_AGAIN).await,
            Some(_) => {}
        }
    }
}

/// What a terminating object waits for: finalizers by name, and what a namespace says of its content.
pub(super) fn holders(live: &Value) -> String {
    let finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<String> = finalizers.filter_map(Value::as_str).map(str::to_owned).collect();
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    for condition in conditions.filter(|_| live.get("kind") == Some(&"Namespace".into())) {
        let text = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default();
        if text("status") == "True" {
            names.push(text("message").to_owned());
        }
    }
    if names.is_empty() { "its dependents".to_owned() } else { names.join(", ") }
}

/// Orphans that somebody deleted are listed no longer.
async fn forget_gone_orphans(target: Target<'_>, outcome: &mut Outcome) {
    let gone = |entry: &Entry| entry.state == State::Orphaned && target.store.look(&entry.id) == Looked::Gone;
    let orphans: Vec<Entry> = outcome.entries.iter().filter(|entry| gone(entry)).cloned().collect();
    for entry in orphans {
        let Some(resource) = resource(target, &entry).await else { continue };
        if matches!(target.cluster.get(&resource, &entry.id, target.actor).await, Ok(None)) {
            outcome.entries.retain(|known| known.id != entry.id);
        }
    }
}
