//! The pipeline of one unit: the only place that knows all stages.
//!
//! ```text
//! observe -> diff -> | record planned -> apply -> wait -> prune -> record
//!                    ^ a plan stops here
//! ```
//! A whole commit is prepared by [`commit::prepare`] before the first unit is reconciled.

mod claims;
pub mod commit;
pub mod undelete;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::apply::prune::Deletion;
use crate::apply::wait::NotReady;
use crate::apply::{self, Outcome, Target, prune, wait};
use crate::cluster::client::Verb;
use crate::cluster::observe::{self, Coming};
use crate::cluster::store::Store;
use crate::cluster::{Actor, Cluster, ServiceAccount, cause};
use crate::diff::change::{Context, Failure};
use crate::diff::{self, Action, Changes, Digest, Entry, Observation, Observed};
use crate::failpoint::{Point, reach};
use crate::object::ObjectId;
use crate::record::{self, Commit, Revision, Status};
use crate::render::Unit;
use crate::unit::UnitName;

/// When a unit that is not ready yet is first asked why.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// The longest pause between two such looks.
const LAST_LOOK: Duration = Duration::from_secs(30);

/// What reconciling needs of the world.
#[derive(Debug, Clone)]
pub struct World {
    /// The cluster.
    pub cluster: Cluster,
    /// What its watches tell.
    pub store: Arc<Store>,
    /// Revisions.
    pub records: record::Store,
    /// bowline's own namespace.
    pub namespace: String,
}

impl World {
    /// Watches all kinds that the units of a commit want or have, and judges their objects by the units' own rules.
    pub fn watch(&self, prepared: &commit::Prepared, revisions: &BTreeMap<UnitName, Arc<Revision>>) {
        for (name, unit) in &prepared.units {
            self.store.judge_by(name, &unit.settings.health);
        }
        for gvk in &prepared.kinds(revisions) {
            self.store.watch(gvk);
        }
    }
}

/// Tells how far a unit has come while it waits: its name, and what is not ready yet.
pub type Progress = mpsc::UnboundedSender<(UnitName, Vec<NotReady>)>;

/// One unit at one commit.
#[derive(Debug, Clone)]
pub struct Task {
    /// What is wanted; a unit that Git no longer asks for wants nothing.
    pub unit: Arc<Unit>,
    /// Its current revision.
    pub last: Option<Arc<Revision>>,
    /// What the plan of the commit says of it.
    pub context: Context,
    /// What the commit brings that others may need.
    pub coming: Arc<Coming>,
    /// The commit.
    pub commit: Commit,
    /// Why it runs.
    pub trigger: Trigger,
    /// Ends waits early: a newer commit came, or the program stops.
    pub cancel: CancellationToken,
    /// Every object is looked at, also those of which the watches say that nobody touched them.
    pub thorough: bool,
    /// Is told what is waited for.
    pub progress: Option<Progress>,
}

/// Why a reconcile runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A poll found a new commit.
    Poll,
    /// A schedule said so.
    Cron,
    /// A local repository or folder changed.
    File,
    /// A forge called.
    Webhook,
    /// A namespace appeared, went, or changed its labels; or a copied object changed.
    Namespace,
    /// An object was changed or deleted in the cluster.
    Drift,
    /// A unit that this one depends on is ready.
    Dependency,
    /// A person asked for it.
    Request,
    /// The last try failed.
    Retry,
    /// The program started.
    Start,
}

impl Trigger {
    /// The word in records, logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Trigger::Poll => "poll",
            Trigger::Cron => "cron",
            Trigger::File => "file",
            Trigger::Webhook => "webhook",
            Trigger::Namespace => "namespace",
            Trigger::Drift => "drift",
            Trigger::Dependency => "dependency",
            Trigger::Request => "request",
            Trigger::Retry => "retry",
            Trigger::Start => "start",
        }
    }
}

/// What became of a unit.
#[derive(Debug, Clone)]
pub struct Done {
    /// Every object with what happened.
    pub outcome: Outcome,
    /// Objects that are not ready.
    pub not_ready: Vec<NotReady>,
    /// The current revision, if the unit has one.
    pub revision: Option<Arc<Revision>>,
    /// A new revision was made.
    pub is_new: bool,
    /// Something was written to the cluster or to the record.
    pub wrote: bool,
}

impl Done {
    /// Whether everything is in the cluster as wanted, and ready.
    pub fn succeeded(&self) -> bool {
        !self.outcome.failed() && self.not_ready.is_empty()
    }
}

/// Decides what would happen to a unit. Reads the cluster and sends dry runs; writes nothing.
pub async fn plan(world: &World, task: &Task) -> (Observed, Changes) {
    let look = look(world, task).await;
    (look.observed, look.changes)
}

/// What a plan is made of.
struct Look {
    /// As whom the unit is read and written; without an account nothing is.
    actor: Option<Actor>,
    observed: Observed,
    changes: Changes,
}

async fn look(world: &World, task: &Task) -> Look {
    let last = last_entries(task);
    let actor = match account(world, &task.unit).await {
        Ok(actor) => actor,
        Err(failure) => {
            let observed = all_failed(&task.unit, &failure);
            let context = Context { keep_all: Some(failure.message), ..task.context.clone() };
            return Look { actor: None, changes: diff::diff(&task.unit, last, &observed, &context), observed };
        }
    };
    let World { cluster, store, .. } = world;
    let observed = claims::observe(world, task, last, &actor).await;
    let mut changes = diff::diff(&task.unit, last, &observed, &task.context);
    let target = Target { cluster, store, actor: &actor };
    prune::preview(target, deletion(world, task), last, &observed, &mut changes).await;
    Look { actor: Some(actor), observed, changes }
}

fn last_entries(task: &Task) -> &[Entry] {
    task.last.as_ref().map_or(&[], |last| &last.entries)
}

/// What the deletions of a unit must know.
fn deletion<'a>(world: &'a World, task: &'a Task) -> Deletion<'a> {
    Deletion { unit: &task.unit.name, own_namespace: &world.namespace, cancel: &task.cancel }
}

/// Brings a unit to what is wanted, and records it.
///
/// `slot` is dropped when all is written and only waits are left, so that a slow unit takes no place from others.
///
/// # Errors
/// The record could not be written: then nothing was written to the cluster, or what was written is in the planned
/// record. Everything else that goes wrong is part of the result.
pub async fn reconcile<S>(world: &World, task: &Task, slot: S) -> Result<Done, record::Error> {
    let Look { actor, observed, changes } = look(world, task).await;
    let last = last_entries(task);
    let Some(actor) = actor else {
        let outcome = Outcome { changes: changes.changes, entries: last.to_vec(), warnings: Vec::new() };
        return Ok(Done { outcome, not_ready: Vec::new(), revision: task.last.clone(), is_new: false, wrote: false });
    };
    let target = Target { cluster: &world.cluster, store: &world.store, actor: &actor };
    let planned = apply::planned(&task.unit, last, &observed, &changes);
    reach(Point::ReconcileObserved);

    let mut revision = begin(world, task, &changes, &planned).await?;
    let mut outcome = apply::apply(target, &task.unit, planned, &observed, &changes, &task.coming).await;
    drop(slot);
    let not_ready = health(world, task, &outcome, &actor).await;
    reach(Point::ApplyWaited);
    prune::prune(target, deletion(world, task), &mut outcome, not_ready.is_empty()).await;
    reach(Point::PruneDone);
    let (is_new, wrote) = finish(world, task, &mut revision, &outcome, &not_ready).await?;

    let revision = revision.current.map(Arc::new);
    Ok(Done { outcome, not_ready, revision, is_new, wrote })
}

/// The account that a unit is read and written as. The server would take any name: an account that does not exist is a
/// mistake, not an account without rights.
async fn account(world: &World, unit: &Unit) -> Result<Actor, Failure> {
    let Some((namespace, name)) = &unit.settings.service_account else { return Ok(Actor::Own) };
    let Some(account) = ServiceAccount::new(namespace, name) else {
        return Err(Failure {
            message: format!("serviceAccount `{namespace}/{name}` is not a name of a service account"),
            hint: "give its name, or take the field out".to_owned(),
            temporary: false,
        });
    };
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}");
    match world.cluster.own(Verb::Get, &path, None).await {
        Ok(_) => Ok(Actor::ServiceAccount(account)),
        Err(error) if error.is_not_found() => Err(Failure {
            message: format!("ServiceAccount/{namespace}/{name} does not exist, and the unit acts as no other"),
            hint: "make the account, with the rights that the unit needs".to_owned(),
            temporary: true,
        }),
        Err(error) => Err(Failure {
            message: format!("ServiceAccount/{namespace}/{name} cannot be looked up: {error}"),
            hint: "it is tried again with back-off".to_owned(),
            temporary: true,
        }),
    }
}

/// A record that is being written.
struct Writing {
    /// The revision as it stands in the cluster; `None` while there is nothing to record.
    current: Option<Revision>,
    is_new: bool,
}

/// The digest of everything a unit wants.
pub fn desired(unit: &Unit) -> Digest {
    let mut text = String::new();
    for item in &unit.items {
        text.push_str(&format!("{} {}\n", item.object.id().key(), observe::desired(item, &unit.name)));
    }
    Digest::of(text.as_bytes())
}

/// Records what is about to happen, before the first write.
async fn begin(world: &World, task: &Task, changes: &Changes, planned: &[Entry]) -> Result<Writing, record::Error> {
    let desired = desired(&task.unit);
    let last = task.last.as_deref();
    if let Some(last) = last.filter(|last| last.desired == desired) {
        // The same as before: drift, a retry, or nothing at all. The inventory must hold what may be written now.
        let mut current = last.clone();
        let known = |entry: &Entry| {
            last.entry(&entry.id).is_some_and(|known| (known.state, known.adopted) == (entry.state, entry.adopted))
        };
        let grows = !planned.iter().all(known);
        if grows && changes.writes() {
            current.entries = planned.to_vec();
            date(&mut current.entries, Some(last), last.number);
            current.status = Status::Planned;
            world.records.update(&mut current).await?;
            reach(Point::RecordGrown);
        }
        return Ok(Writing { current: Some(current), is_new: false });
    }
    if last.is_none() && !changes.writes() && task.unit.items.is_empty() {
        return Ok(Writing { current: None, is_new: false });
    }
    let mut revision = Revision {
        format: 1,
        unit: task.unit.name.clone(),
        kind: task.unit.kind,
        number: last.map_or(1, |last| last.number + 1),
        status: Status::Planned,
        commit: task.commit.clone(),
        trigger: task.trigger.word().to_owned(),
        reason: String::new(),
        started: jiff::Timestamp::now().to_string(),
        finished: String::new(),
        desired,
        entries: planned.to_vec(),
        files: task.unit.files.clone(),
        depends_on: depends_on(task),
        account: task.unit.settings.service_account.clone(),
        results: Vec::new(),
        problems: Vec::new(),
        place: record::revision::Place::default(),
    };
    date(&mut revision.entries, last, revision.number);
    let objects: Vec<Value> = task.unit.items.iter().map(|item| item.object.value().clone()).collect();
    world.records.create(&mut revision, &json!(objects)).await?;
    reach(Point::RecordPlanned);
    if let Some(last) = last {
        world.records.supersede(last).await?;
    }
    Ok(Writing { current: Some(revision), is_new: true })
}

/// Waits for what was written, as the unit's settings say.
async fn health(world: &World, task: &Task, outcome: &Outcome, actor: &Actor) -> Vec<NotReady> {
    let settings = &task.unit.settings;
    let applied: Vec<_> = outcome
        .changes
        .iter()
        .filter(|change| {
            change.origin.is_some()
                && matches!(change.action, Action::Created | Action::Configured | Action::Unchanged | Action::Moved)
        })
        .map(|change| change.id.clone())
        .collect();
    if !settings.wait {
        return Vec::new();
    }
    let deadline = Instant::now() + Duration::from_secs(settings.timeout_seconds);
    tokio::select! {
        not_ready = until_healthy(world, task, &applied, actor, deadline) => not_ready,
        () = task.cancel.cancelled() => wait::not_ready(&world.store, &applied),
    }
}

/// Follows objects until they are ready, have failed, or the time is up. What holds them back is looked for while it
/// waits, soon at first and then ever more seldom: an image that cannot be pulled is known after seconds, not at the end.
async fn until_healthy(
    world: &World,
    task: &Task,
    ids: &[ObjectId],
    actor: &Actor,
    deadline: Instant,
) -> Vec<NotReady> {
    let mut pause = FIRST_LOOK;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let not_ready = wait::healthy(&world.store, ids, pause.min(left)).await;
        let ended = pause >= left || not_ready.iter().all(|object| object.failed);
        let not_ready = explained(world, not_ready, actor).await;
        if ended {
            return not_ready;
        }
        if let Some(progress) = &task.progress {
            // Nobody listens any more when the program stops.
            let _ = progress.send((task.unit.name.clone(), not_ready));
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Adds to each workload that is not ready what its pods say, if they say anything.
async fn explained(world: &World, not_ready: Vec<NotReady>, actor: &Actor) -> Vec<NotReady> {
    let explained = not_ready.into_iter().map(|mut object| async move {
        if let Some(cause) = cause::find(&world.cluster, &object.id, actor).await {
            let said = if object.message.is_empty() { String::new() } else { format!("{}; ", object.message) };
            object.message = format!("{said}{}: {}", cause.reason, cause.message);
        }
        object
    });
    stream::iter(explained).buffered(8).collect().await
}

/// Records what has happened, if it differs from what is recorded.
async fn finish(
    world: &World,
    task: &Task,
    writing: &mut Writing,
    outcome: &Outcome,
    not_ready: &[NotReady],
) -> Result<(bool, bool), record::Error> {
    let Some(revision) = writing.current.as_mut() else { return Ok((false, false)) };
    let before = revision.clone();
    revision.entries.clone_from(&outcome.entries);
    date(&mut revision.entries, task.last.as_deref(), revision.number);
    revision.files.clone_from(&task.unit.files);
    revision.account.clone_from(&task.unit.settings.service_account);
    revision.depends_on = depends_on(task);
    let problems = &task.unit.problems;
    let failed = outcome.failed() || !not_ready.is_empty() || !problems.is_empty();
    revision.status = if failed { Status::Failed } else { Status::Applied };
    if writing.is_new || failed || before.status != Status::Applied {
        revision.results = results(outcome, not_ready);
        revision.problems.clone_from(problems);
    } else {
        tell_departures(&mut revision.results, outcome);
    }
    let unchanged = before.status == revision.status
        && before.results == revision.results
        && before.problems == revision.problems
        && before.files == revision.files
        && before.account == revision.account
        && before.depends_on == revision.depends_on
        && same_inventory(&before.entries, &revision.entries);
    let wrote = outcome.changes.iter().any(|change| change.action.writes());
    if unchanged && !wrote {
        return Ok((writing.is_new, writing.is_new));
    }
    revision.finished = jiff::Timestamp::now().to_string();
    world.records.update(revision).await?;
    reach(Point::RecordFinished);
    Ok((writing.is_new, true))
}

/// What a unit needs, as the record says it: what Git says, and while the unit goes, what Git said last.
fn depends_on(task: &Task) -> Vec<UnitName> {
    match &task.last {
        Some(last) if task.unit.items.is_empty() => last.depends_on.clone(),
        _ => task.unit.depends_on.clone(),
    }
}

/// Dates an inventory: what was wanted before keeps its number, what is new or wanted again gets this revision's.
fn date(entries: &mut [Entry], last: Option<&Revision>, number: u64) {
    for entry in entries {
        let known = last.and_then(|last| last.entry(&entry.id));
        entry.since = match known {
            Some(known) if known.is_wanted() || !entry.is_wanted() => known.since,
            _ => number,
        };
    }
}

/// Whether two inventories say the same, but for what a write of the status alone moves.
fn same_inventory(before: &[Entry], after: &[Entry]) -> bool {
    let key = |entry: &Entry| {
        (entry.state, entry.desired, entry.adopted, entry.seen.as_ref().map(|seen| (seen.uid.clone(), seen.own)))
    };
    let before: BTreeMap<_, _> = before.iter().map(|entry| (&entry.id, key(entry))).collect();
    let after: BTreeMap<_, _> = after.iter().map(|entry| (&entry.id, key(entry))).collect();
    before == after
}

fn results(outcome: &Outcome, not_ready: &[NotReady]) -> Vec<record::Result> {
    let mut results: Vec<record::Result> = outcome
        .changes
        .iter()
        .filter(|change| change.action != Action::Unchanged)
        .map(|change| record::Result { id: change.id.key(), action: change.action, message: change.message.clone() })
        .collect();
    for object in not_ready {
        let message = format!("{}: {}", object.health, object.message);
        match results.iter_mut().find(|result| result.id == object.id.key()) {
            Some(result) => result.message = message,
            None => results.push(record::Result { id: object.id.key(), action: Action::Unchanged, message }),
        }
    }
    results
}

/// Brings results up to what has gone since they were written: a deletion that was held may go on much later.
fn tell_departures(results: &mut Vec<record::Result>, outcome: &Outcome) {
    for change in outcome.changes.iter().filter(|change| matches!(change.action, Action::Pruned | Action::Released)) {
        let told = record::Result { id: change.id.key(), action: change.action, message: change.message.clone() };
        match results.iter_mut().find(|result| result.id == told.id) {
            Some(result) => *result = told,
            None => results.push(told),
        }
    }
}

/// The same failure for every object: the look could not begin.
fn all_failed(unit: &Unit, failure: &Failure) -> Observed {
    let failed = |item: &crate::render::Item| (item.object.id(), Observation::Failed(failure.clone()));
    Observed { items: unit.items.iter().map(failed).collect() }
}
