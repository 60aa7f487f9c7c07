//! Follows one source: keeps what Git wants, plans each commit, and works its units off.
//!
//! ```text
//! Fetched, facts moved  ->  render  ->  prepare  ->  pending units
//! drift, retries        ->  pending units  ->  gates  ->  running units  ->  records
//! ```
//! One task owns all state of a source, so nothing is locked; units run as tasks of their own, one at a time each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::drift::Drifts;
use super::retry::Retries;
use super::status::{Fetch, Offer, Orphan, Status, UnitStatus};
use super::sweep::{self, Sweep};
use super::tell::Teller;
use crate::apply::wait::{self, NotReady};
use crate::cluster::facts::Live;
use crate::cluster::store::{Event, Looked};
use crate::diff::{Action, Change};
use crate::load::{self, Account};
use crate::object::ObjectId;
use crate::reconcile::commit::{self, Prepared, is_due, prepare};
use crate::reconcile::{Done, Progress, Task, Trigger, World, reconcile};
use crate::record::{self, Revision};
use crate::render::{self, Rendered};

use crate::source::{Checkout, History};
use crate::unit::UnitName;

/// How long a start waits for the watches before it looks object by object.
const SYNC_WITHIN: Duration = Duration::from_secs(20);

/// How often the status of a source that is not at rest is written, when it changed.
const PUBLISH_EVERY: Duration = Duration::from_secs(2);

/// What a follower is told.
#[derive(Debug)]
pub enum Message {
    /// A fetch found another commit.
    Fetched(Box<Checkout>, History, Trigger),
    /// The commit that the local copy had when the process started; the server may have another.
    Cached(Box<Checkout>),
    /// A fetch found nothing new.
    Unchanged,
    /// A fetch failed, in words that hold no secret.
    FetchFailed(String),
    /// Namespaces, copied objects or served kinds changed.
    FactsMoved,
    /// Objects of the source's units changed in the cluster.
    Moved(Vec<Event>),
    /// Something changed that the metadata of our objects does not show.
    Sweep(Sweep),
    /// People approved these deletions.
    Approved(BTreeSet<String>),
    /// This process leads from now on, or no more.
    Leads(bool),
    /// A unit has written everything, and waits for health.
    Written(UnitName),
    /// A unit is done.
    Done(UnitName, Box<Result<Done, record::Error>>),
}

/// One followed source.
pub struct Follower {
    name: String,
    world: World,
    live: Arc<Live>,
    teller: Arc<Teller>,
    /// As whom the source acts, whatever it says itself.
    account: Option<Account>,
    slots: Arc<Semaphore>,
    /// Units of this source side by side.
    share: usize,
    inbox: mpsc::UnboundedReceiver<Message>,
    outbox: mpsc::UnboundedSender<Message>,
    progress: (Progress, mpsc::UnboundedReceiver<(UnitName, Vec<NotReady>)>),
    /// When the status was last looked at, and whether something may have changed since.
    published: Instant,
    unpublished: bool,
    checkout: Option<Checkout>,
    cache: load::Cache,
    render_cache: render::Cache,
    desired: Option<Arc<load::Desired>>,
    rendered: Rendered,
    prepared: Option<Arc<Prepared>>,
    revisions: BTreeMap<UnitName, Arc<Revision>>,
    loaded: bool,
    damaged: Vec<String>,
    approved: BTreeSet<String>,
    pending: BTreeMap<UnitName, Trigger>,
    running: BTreeMap<UnitName, Running>,
    role: Role,
    /// The repository was asked since this process leads.
    confirmed: bool,
    failures: Retries,
    drifts: Drifts,
    /// Units to be looked at whatever the watches say, and when all are.
    thorough: BTreeSet<UnitName>,
    next_sweep: Instant,
    /// When drift that was left alone was last looked at.
    drifts_seen: Instant,
    units: BTreeMap<UnitName, UnitStatus>,
    /// Objects that carry the marks of our units and are in no record.
    strangers: BTreeSet<ObjectId>,
    fetch: Fetch,
}

/// A unit at work.
struct Running {
    cancel: CancellationToken,
    work: AbortHandle,
    began: Instant,
    /// It has not come to its waits yet.
    writes: bool,
}

/// Tells the follower, when it is dropped, that a unit has written everything and only waits from now on.
struct Written(UnitName, mpsc::UnboundedSender<Message>);

impl Drop for Written {
    fn drop(&mut self) {
        // The follower has ended: nobody counts any more.
        let _ = self.1.send(Message::Written(self.0.clone()));
    }
}

/// Whether units are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Leader,
    /// What was begun before the lease was lost must end first.
    Called,
    StandBy,
}

impl Follower {
    /// A follower that has not seen anything yet, and the way to tell it things.
    pub fn new(
        name: &str,
        world: World,
        live: Arc<Live>,
        teller: Arc<Teller>,
        account: Option<Account>,
        slots: Arc<Semaphore>,
        share: usize,
    ) -> (Self, mpsc::UnboundedSender<Message>) {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let follower = Follower {
            name: name.to_owned(),
            world,
            live,
            teller,
            account,
            slots,
            share: share.max(1),
            inbox,
            outbox: outbox.clone(),
            progress: mpsc::unbounded_channel(),
            published: Instant::now(),
            unpublished: false,
            checkout: None,
            cache: load::Cache::default(),
            render_cache: render::Cache::default(),
            desired: None,
            rendered: Rendered::default(),
            prepared: None,
            revisions: BTreeMap::new(),
            loaded: false,
            damaged: Vec::new(),
            approved: BTreeSet::new(),
            pending: BTreeMap::new(),
            running: BTreeMap::new(),
            role: Role::StandBy,
            confirmed: false,
            failures: Retries::default(),
            drifts: Drifts::default(),
            thorough: BTreeSet::new(),
            next_sweep: Instant::now() + sweep::pause(),
            drifts_seen: Instant::now(),
            units: BTreeMap::new(),
            strangers: BTreeSet::new(),
            fetch: Fetch::default(),
        };
        (follower, outbox)
    }

    /// Works until `stop`, then waits for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let retry = self.next_retry();
            let publish = self.published + PUBLISH_EVERY;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message).await,
                    None => break,
                },
                Some((name, not_ready)) = self.progress.1.recv() => self.waits(&name, not_ready),
                () = tokio::time::sleep_until(retry) => self.retry(),
                () = tokio::time::sleep_until(self.next_sweep) => self.sweep(&Sweep::All),
                () = tokio::time::sleep_until(publish), if self.unpublished => {}
            }
            if self.inbox.is_empty() && self.role == Role::Leader {
                self.dispatch();
                self.unpublished = true;
                if self.is_at_rest() || self.published.elapsed() >= PUBLISH_EVERY {
                    self.publish().await;
                }
            }
        }
        self.drain().await;
    }

    /// Lets running units finish what they write; their waits end at once.
    async fn drain(&mut self) {
        for running in self.running.values() {
            running.cancel.cancel();
        }
        while !self.running.is_empty() {
            match self.inbox.recv().await {
                Some(Message::Done(unit, result)) => self.done(&unit, *result),
                Some(_) => {}
                None => return,
            }
        }
        if self.role == Role::Leader {
            self.publish().await;
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Fetched(checkout, history, trigger) => {
                self.confirmed = true;
                self.fetched(*checkout, &history, trigger).await;
            }
            Message::Cached(checkout) => self.read(*checkout, Trigger::Start).await,
            Message::Unchanged => {
                self.fetch.good();
                let was_behind = !std::mem::replace(&mut self.confirmed, true) && self.prepared.is_none();
                if was_behind {
                    self.fetch.note = None;
                    self.render(Trigger::Poll).await;
                }
            }
            Message::FetchFailed(why) => {
                if self.fetch.failed(&why) {
                    warn!(source = self.name, why, "fetch failed; the last good commit stays wanted");
                }
            }
            Message::FactsMoved => self.render(Trigger::Namespace).await,
            Message::Moved(events) => self.moved(&events),
            Message::Sweep(sweep) => self.sweep(&sweep),
            Message::Approved(approved) => {
                if self.approved != approved {
                    self.approved = approved;
                    self.render(Trigger::Request).await;
                }
            }
            Message::Leads(leads) => self.leads(leads).await,
            Message::Written(unit) => {
                if let Some(running) = self.running.get_mut(&unit) {
                    running.writes = false;
                }
            }
            Message::Done(unit, result) => {
                self.done(&unit, *result);
                if self.role == Role::Called && self.running.is_empty() {
                    self.begin().await;
                }
            }
        }
    }

    /// Begins to work, or stops at once: losing the lease is to the units at work what the end of the process is.
    async fn leads(&mut self, leads: bool) {
        if leads && self.running.is_empty() {
            self.begin().await;
        } else if leads {
            self.role = Role::Called;
        } else {
            self.role = Role::StandBy;
            self.unpublished = false;
            self.pending.clear();
            self.failures.clear();
            for running in self.running.values() {
                running.work.abort();
            }
        }
    }

    /// Goes on where the last leader stopped: from the records, which it may have written.
    async fn begin(&mut self) {
        self.role = Role::Leader;
        self.loaded = false;
        self.prepared = None;
        self.confirmed = false;
        self.pending.clear();
        self.units.clear();
        self.render(Trigger::Start).await;
    }

    async fn fetched(&mut self, checkout: Checkout, history: &History, trigger: Trigger) {
        self.fetch.good();
        let commit = &checkout.commit;
        info!(
            source = self.name,
            commit = commit.short_id(),
            subject = commit.subject(),
            trigger = trigger.word(),
            "new commit"
        );
        if !history.descendant && history.previous.is_some() {
            warn!(
                source = self.name,
                commit = commit.short_id(),
                "the new commit does not descend from the last one: history was rewritten"
            );
            self.fetch.note = Some("not a descendant of the last commit: history was rewritten".to_owned());
        } else {
            self.fetch.note = None;
        }
        self.read(checkout, trigger).await;
    }

    /// Reads the files of a commit and renders them.
    async fn read(&mut self, checkout: Checkout, trigger: Trigger) {
        let mut cache = std::mem::take(&mut self.cache);
        let (to_load, account) = (checkout.clone(), self.account.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            let mut desired = load::load(&to_load, &mut cache);
            if let Some(account) = account {
                desired.act_as(&account);
            }
            (desired, cache)
        });
        match loaded.await {
            Ok((desired, cache)) => {
                self.cache = cache;
                self.desired = Some(Arc::new(desired));
                self.checkout = Some(checkout);
                // A new commit always gets its chance at once.
                self.failures.clear();
                self.drifts.forget();
                self.render(trigger).await;
                self.forget_expired().await;
            }
            Err(panic) => {
                error!(source = self.name, %panic, "reading the commit panicked; the last good commit stays wanted");
            }
        }
    }

    /// Reads the records, once; until then nothing is rendered, since nobody knows what is ours.
    async fn load_records(&mut self) -> bool {
        if self.loaded {
            return true;
        }
        match self.world.records.load(Some(&self.name)).await {
            Ok(loaded) => {
                self.revisions =
                    loaded.revisions.into_iter().map(|(name, revision)| (name, Arc::new(revision))).collect();
                self.strangers.retain(|id| !self.revisions.values().any(|revision| revision.entry(id).is_some()));
                self.damaged = loaded.damaged.iter().map(ToString::to_string).collect();
                for damaged in &self.damaged {
                    error!(source = self.name, damaged, "a record cannot be read; its unit is not known");
                }
                if self.role == Role::Leader {
                    self.world.records.close(&loaded.outdated).await;
                }
                self.loaded = true;
                true
            }
            Err(error) => {
                warn!(source = self.name, %error, "the records cannot be read; nothing is done before");
                false
            }
        }
    }

    /// Reads the records again: somebody else has written one.
    fn read_again(&mut self) {
        self.loaded = false;
        // The follower itself holds the other end.
        let _ = self.outbox.send(Message::FactsMoved);
    }

    /// Reads the records again when an object names a unit and is not in its record: a person brought it back.
    fn meet_strangers(&mut self, unit: &UnitName, events: &[Event]) {
        let Some(revision) = self.revisions.get(unit) else { return };
        let is_there = |id: &ObjectId| match self.world.store.look(id) {
            Looked::There(look) => look.unit.as_ref() == Some(unit),
            Looked::Gone | Looked::NotYet => false,
        };
        let unknown = events.iter().map(|event| &event.id).filter(|id| revision.entry(id).is_none() && is_there(id));
        let unknown: Vec<ObjectId> = unknown.cloned().collect();
        // Each is looked up once: marks can be forged, and then no record ever knows the object.
        let news = unknown.into_iter().filter(|id| self.strangers.insert(id.clone())).count();
        if news > 0 {
            self.read_again();
        }
    }

    /// Drops the records of units that are gone for long.
    async fn forget_expired(&mut self) {
        let now = jiff::Timestamp::now();
        let gone = |(name, revision): &(&UnitName, &Arc<Revision>)| {
            revision.is_expired(now) && !self.rendered.units.contains_key(*name)
        };
        let expired: Vec<UnitName> = self.revisions.iter().filter(gone).map(|(name, _)| name.clone()).collect();
        for name in expired {
            match self.world.records.forget(&name).await {
                Ok(()) => drop(self.revisions.remove(&name)),
                Err(error) => debug!(unit = %name, %error, "the record of a unit that is gone stays for now"),
            }
        }
    }

    /// Renders what Git wants with what is known of the cluster, and plans the commit.
    async fn render(&mut self, trigger: Trigger) {
        let Some(desired) = self.desired.clone() else { return };
        if !self.load_records().await {
            let outbox = self.outbox.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let _ = outbox.send(Message::FactsMoved);
            });
            return;
        }
        for _ in 0..3 {
            let facts = self.live.snapshot();
            // A long rendering must not hold up the others, least of all the renewal of the lease.
            self.rendered = tokio::task::block_in_place(|| {
                render::render_again(&desired, &facts, &self.name, &mut self.render_cache)
            });
            let followed = self.live.copied(&self.name);
            if self.rendered.copied == followed {
                break;
            }
            self.live.copy(&self.name, &self.rendered.copied).await;
        }
        let Some(prepared) = self.planned() else { return };
        let first = self.prepared.is_none();
        self.world.watch(&prepared, &self.revisions);
        if first && !self.revisions.is_empty() {
            let had = self
                .revisions
                .values()
                .flat_map(|revision| revision.entries.iter().map(crate::diff::Entry::gvk))
                .collect();
            self.world.store.synced(&had, SYNC_WITHIN).await;
        }
        if self.role == Role::Leader {
            if self.is_behind() {
                warn!(
                    source = self.name,
                    "the records are of a later commit than the local copy: the repository is asked first"
                );
                self.fetch.note = Some("the records are of a later commit than the local copy".to_owned());
                self.prepared = None;
                return;
            }
            self.enqueue(&prepared, if first { Trigger::Start } else { trigger });
        }
        self.prepared = Some(prepared);
    }

    /// Whether another process has applied a commit that this one has not seen. Until the repository was asked, the older
    /// commit is not brought back.
    fn is_behind(&self) -> bool {
        let Some(commit) = self.checkout.as_ref().map(|checkout| &checkout.commit).filter(|_| !self.confirmed) else {
            return false;
        };
        let mut recorded = self.revisions.values().map(|revision| &revision.commit);
        recorded.any(|recorded| recorded.id != commit.id && recorded.time >= commit.time)
    }

    /// The plan of the commit, from what the records say now.
    fn planned(&self) -> Option<Arc<Prepared>> {
        let commit = record::Commit::from(&*self.checkout.as_ref()?.commit);
        let prepare = || prepare(&self.rendered, &self.revisions, &commit, &self.approved);
        Some(Arc::new(tokio::task::block_in_place(prepare)))
    }

    /// Plans the commit again if a unit that is to run has come to own objects that the plan does not know of.
    fn plan_again(&mut self) {
        let Some(prepared) = &self.prepared else { return };
        let outdated = |name: &UnitName| prepared.is_outdated(name, self.revisions.get(name));
        if !self.pending.keys().any(|name| !self.running.contains_key(name) && outdated(name)) {
            return;
        }
        if let Some(prepared) = self.planned() {
            debug!(source = self.name, "planning the commit again: a unit of the last one has ended");
            self.enqueue(&prepared, Trigger::Retry);
            self.prepared = Some(prepared);
        }
    }

    /// Puts every unit that must be looked at into the queue.
    fn enqueue(&mut self, prepared: &Arc<Prepared>, trigger: Trigger) {
        let before = self.prepared.clone();
        for (name, unit) in &prepared.units {
            let same =
                before.as_ref().and_then(|before| before.units.get(name)).is_some_and(|known| Arc::ptr_eq(known, unit));
            let context = |prepared: &Prepared| prepared.plan.contexts.get(name).cloned();
            let context_same = before.as_ref().is_some_and(|before| context(before) == context(prepared));
            if same && context_same && !self.retries_now(name) {
                continue;
            }
            if is_due(&self.world, prepared, name, self.revisions.get(name).map(Arc::as_ref)) {
                if !(same && context_same)
                    && let Some(running) = self.running.get(name)
                {
                    running.cancel.cancel();
                }
                self.pending.insert(name.clone(), trigger);
            } else if let Some(revision) = self.revisions.get(name) {
                // What was said of the unit before, that it is held for instance, was said of another commit.
                self.pending.remove(name);
                self.units.insert(name.clone(), UnitStatus::recorded(revision));
            }
        }
        self.units.retain(|name, _| prepared.units.contains_key(name) || prepared.plan.held.contains_key(name));
        for (name, why) in &prepared.plan.held {
            self.pending.remove(name);
            self.units.insert(name.clone(), UnitStatus::held(why));
        }
    }

    /// A unit that failed before is tried again when the facts changed.
    fn retries_now(&self, name: &UnitName) -> bool {
        self.failures.contains(name)
            || self.revisions.get(name).is_none_or(|revision| revision.status != record::Status::Applied)
    }

    fn moved(&mut self, events: &[Event]) {
        if self.role != Role::Leader {
            return;
        }
        let units: BTreeSet<&UnitName> = events.iter().filter_map(|event| event.unit.as_ref()).collect();
        for name in units {
            if self.pending.contains_key(name) || self.running.contains_key(name) {
                continue;
            }
            self.meet_strangers(name, events);
            let Some(revision) = self.revisions.get(name) else { continue };
            if self.is_restless(revision) {
                self.pending.insert(name.clone(), Trigger::Drift);
                continue;
            }
            let not_ready = wait::not_ready(&self.world.store, &applied(revision));
            let status = self.units.entry(name.clone()).or_insert_with(|| UnitStatus::recorded(revision));
            if not_ready.is_empty() && revision.status == record::Status::Failed && !status.not_ready.is_empty() {
                self.pending.insert(name.clone(), Trigger::Retry);
            }
            status.is_now(not_ready);
        }
    }

    /// Looks at objects anew, whatever the watches say of them.
    fn sweep(&mut self, sweep: &Sweep) {
        if *sweep == Sweep::All {
            self.next_sweep = Instant::now() + sweep::pause();
        }
        for (name, revision) in &self.revisions {
            if revision.entries.iter().any(|entry| sweep.covers(&entry.id.group)) {
                self.thorough.insert(name.clone());
                self.pending.entry(name.clone()).or_insert(Trigger::Drift);
            }
        }
        debug!(source = self.name, ?sweep, units = self.thorough.len(), "looking at objects anew");
    }

    /// Whether objects of a unit were touched, but for those that never settle and are left alone.
    fn is_restless(&self, revision: &Revision) -> bool {
        let now = Instant::now();
        commit::moved(&self.world, revision).any(|id| !self.drifts.rests(id, now))
    }

    /// Why a unit cannot run yet.
    fn gate(&self, prepared: &Prepared, name: &UnitName) -> Option<String> {
        let unit = prepared.units.get(name)?;
        let busy = |other: &UnitName| self.pending.contains_key(other) || self.running.contains_key(other);
        let coming = &prepared.coming;
        if !name.namespace.is_empty()
            && coming.namespaces.contains(&name.namespace)
            && !self.live.has_namespace(&name.namespace)
            && self.makes_namespaces(prepared)
        {
            return Some(format!("waits for namespace {}", name.namespace));
        }
        let cluster = UnitName::cluster(&self.name);
        if *name != cluster && busy(&cluster) {
            let needs = unit
                .items
                .iter()
                .map(|item| item.object.gvk())
                .find(|gvk| coming.kinds.contains(&(gvk.group.clone(), gvk.kind.clone())));
            if let Some(gvk) = needs {
                return Some(format!("waits for the definition of {}", gvk.kind));
            }
        }
        if let Some(context) = prepared.plan.contexts.get(name)
            && let Some(target) = context.moved_to.values().find(|target| {
                busy(target) && *target != name && !(self.moves_to(prepared, target, name) && name < *target)
            })
        {
            return Some(format!("waits for {target}, which takes objects over"));
        }
        let unmet = unit.depends_on.iter().find(|other| {
            // A unit that goes waits until those that needed it are gone.
            let settled = |revision: &Arc<Revision>| match unit.items.is_empty() {
                true => revision.has_gone(),
                false => revision.status == record::Status::Applied,
            };
            busy(other) || prepared.units.contains_key(*other) && !self.revisions.get(*other).is_some_and(settled)
        });
        unmet.map(|other| format!("waits for {other}"))
    }

    fn makes_namespaces(&self, prepared: &Prepared) -> bool {
        prepared.units.keys().any(|unit| {
            unit.namespace.is_empty() && (self.pending.contains_key(unit) || self.running.contains_key(unit))
        })
    }

    fn moves_to(&self, prepared: &Prepared, from: &UnitName, to: &UnitName) -> bool {
        prepared.plan.contexts.get(from).is_some_and(|context| context.moved_to.values().any(|unit| unit == to))
    }

    /// Starts pending units, as many as the source's share allows.
    fn dispatch(&mut self) {
        self.plan_again();
        let Some(prepared) = self.prepared.clone() else { return };
        let names: Vec<(UnitName, Trigger)> =
            self.pending.iter().map(|(name, trigger)| (name.clone(), *trigger)).collect();
        let mut writing = self.running.values().filter(|running| running.writes).count();
        for (name, trigger) in names {
            if writing >= self.share {
                break;
            }
            if self.running.contains_key(&name) {
                continue;
            }
            if let Some(why) = self.gate(&prepared, &name) {
                self.units.entry(name).or_insert_with(UnitStatus::pending).waits = why;
                continue;
            }
            self.pending.remove(&name);
            match prepared.task(&name, self.revisions.get(&name).cloned(), trigger) {
                Some(task) => {
                    writing += 1;
                    self.start(name, task);
                }
                None => debug!(unit = %name, "is no longer wanted"),
            }
        }
        self.teller.metrics.queue(&self.name, self.pending.len());
    }

    fn start(&mut self, name: UnitName, mut task: Task) {
        task.progress = Some(self.progress.0.clone());
        task.thorough = self.thorough.remove(&name);
        let cancel = task.cancel.clone();
        let (world, slots, outbox) = (self.world.clone(), self.slots.clone(), self.outbox.clone());
        self.units.entry(name.clone()).or_insert_with(UnitStatus::pending).waits.clear();
        let written = Written(name.clone(), self.outbox.clone());
        let work = tokio::spawn(async move {
            let slot = slots.acquire_owned().await.ok();
            reconcile(&world, &task, (slot, written)).await
        });
        let running = Running { cancel, work: work.abort_handle(), began: Instant::now(), writes: true };
        self.running.insert(name.clone(), running);
        tokio::spawn(async move {
            let unit = name.clone();
            let result = work.await.unwrap_or_else(|end| {
                // The other end is being stopped because the lease was lost.
                if end.is_panic() {
                    error!(%unit, panic = %end, "a unit's work panicked; the others go on");
                }
                Err(record::Error::Panicked { unit })
            });
            // The follower has ended: nobody needs the result.
            let _ = outbox.send(Message::Done(name, Box::new(result)));
        });
    }

    /// A unit says what it waits for.
    fn waits(&mut self, name: &UnitName, not_ready: Vec<NotReady>) {
        if self.running.contains_key(name)
            && let Some(status) = self.units.get_mut(name)
        {
            status.waits_for(not_ready);
        }
    }

    fn done(&mut self, name: &UnitName, result: Result<Done, record::Error>) {
        let took = self.running.remove(name).map(|running| running.began.elapsed()).unwrap_or_default();
        if self.role != Role::Leader {
            return;
        }
        let ok = result.as_ref().is_ok_and(Done::succeeded);
        self.teller.metrics.reconciled(&self.name, ok, took);
        if ok {
            self.teller.metrics.succeeded(&self.name, std::time::SystemTime::now());
        }
        match result {
            Ok(done) => self.finished(name, &done),
            Err(error) => {
                warn!(unit = %name, %error, "the unit could not be recorded; nothing more is written for it now");
                if matches!(error, record::Error::Taken { .. }) {
                    self.read_again();
                }
                self.units.entry(name.clone()).or_insert_with(UnitStatus::pending).fail(&error.to_string());
                self.failures.failed(name);
            }
        }
    }

    fn finished(&mut self, name: &UnitName, done: &Done) {
        match &done.revision {
            Some(revision) => drop(self.revisions.insert(name.clone(), revision.clone())),
            None => drop(self.revisions.remove(name)),
        }
        let problems = self
            .prepared
            .as_ref()
            .and_then(|prepared| prepared.units.get(name))
            .map_or(&[] as &[_], |unit| &unit.problems);
        self.drifts.note(name, &done.outcome.changes, Instant::now());
        let mut status = UnitStatus::of(done, problems);
        status.messages.extend(self.drifts.restless(name, Instant::now()));
        let told = self.units.get(name).is_some_and(|known| known.says_the_same(&status));
        self.teller.unit(name, done, told);
        self.log(name, done, told);
        let ended = done.revision.as_ref().is_none_or(|revision| revision.is_tombstone());
        if ended && done.outcome.changes.iter().all(|change| change.action != Action::Failed) {
            self.units.remove(name);
        } else {
            self.units.insert(name.clone(), status);
        }
        if done.succeeded() {
            self.failures.forget(name);
        } else {
            self.failures.failed(name);
        }
        // Drift that is reported and left stays different from the record: looking again would never end.
        let now = Instant::now();
        let left = |id: &ObjectId| {
            let drifted = |change: &Change| change.action == Action::Drifted && change.id == *id;
            self.drifts.rests(id, now) || done.outcome.changes.iter().any(drifted)
        };
        if let Some(revision) = &done.revision
            && commit::moved(&self.world, revision).any(|id| !left(id))
            && !self.failures.contains(name)
        {
            self.pending.entry(name.clone()).or_insert(Trigger::Drift);
        }
    }

    /// Logs what was done; what is wrong once, not at every try.
    fn log(&self, name: &UnitName, done: &Done, told: bool) {
        if done.wrote {
            let count =
                crate::diff::Changes { unit: name.clone(), changes: done.outcome.changes.clone(), keep_all: None }
                    .count();
            let words: Vec<String> =
                count.iter().map(|(action, number)| format!("{number} {}", action.word())).collect();
            let revision = done.revision.as_ref().map_or(0, |revision| revision.number);
            info!(unit = %name, revision, changes = words.join(", "), ok = done.succeeded(), "reconciled");
        }
        if told {
            return;
        }
        for change in
            done.outcome.changes.iter().filter(|change| matches!(change.action, Action::Failed | Action::Conflict))
        {
            let origin = change.origin.as_ref().map(ToString::to_string).unwrap_or_default();
            warn!(unit = %name, object = %change.id, origin, hint = change.hint, "{}: {}", change.action.word(), change.message);
        }
        for object in &done.not_ready {
            warn!(unit = %name, object = %object.id, health = object.health, "not ready: {}", object.message);
        }
    }

    fn retry(&mut self) {
        let now = Instant::now();
        for name in self.drifts.due(std::mem::replace(&mut self.drifts_seen, now), now) {
            self.pending.entry(name).or_insert(Trigger::Drift);
        }
        for name in self.failures.due(Instant::now()) {
            if self.running.contains_key(&name) {
                continue;
            }
            if self.prepared.as_ref().is_some_and(|prepared| prepared.units.contains_key(&name)) {
                self.pending.entry(name).or_insert(Trigger::Retry);
            } else {
                self.failures.forget(&name);
            }
        }
    }

    fn next_retry(&self) -> Instant {
        let busy = |name: &UnitName| self.pending.contains_key(name) || self.running.contains_key(name);
        let restless = self.drifts.next(self.drifts_seen);
        let next = self.failures.next(busy).into_iter().chain(restless).min();
        next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    /// Whether nothing is under way but units that wait for others.
    fn is_at_rest(&self) -> bool {
        let waits = |name: &UnitName| self.units.get(name).is_some_and(|status| !status.waits.is_empty());
        self.running.is_empty() && self.pending.keys().all(waits)
    }

    /// Writes the source's status where `bowline status` reads it, when it changed.
    async fn publish(&mut self) {
        (self.published, self.unpublished) = (Instant::now(), false);
        let ready = self.units.values().filter(|status| status.ready).count();
        self.teller.metrics.units(&self.name, "ready", ready);
        self.teller.metrics.units(&self.name, "failing", self.units.len() - ready);
        let (desired, prepared) = (self.desired.as_deref(), self.prepared.as_deref());
        let mut status = Status::of(
            &self.name,
            self.checkout.as_ref(),
            &self.fetch,
            &self.rendered,
            desired,
            prepared,
            &self.units,
            &self.damaged,
        );
        status.at_work(self.pending.keys().chain(self.running.keys()));
        status.orphans = self.orphans();
        status.drift = self.drifts.last();
        if !status.orphans.is_empty() {
            status.orphans_approval = commit::orphans(&self.revisions).as_ref().map(Offer::of);
        }
        self.teller.metrics.orphans(&self.name, status.orphans.len());
        self.teller.source(&status).await;
    }

    /// Objects that Git no longer wants and that were left in the cluster, but for those that somebody deleted since.
    fn orphans(&self) -> Vec<Orphan> {
        let entries =
            self.revisions.iter().flat_map(|(name, revision)| revision.entries.iter().map(move |entry| (name, entry)));
        let orphaned = entries.filter(|(_, entry)| entry.state == crate::diff::State::Orphaned);
        let there = orphaned.filter(|(_, entry)| self.world.store.look(&entry.id) != Looked::Gone);
        there.map(|(name, entry)| Orphan::of(name, entry)).collect()
    }
}

/// The objects that are in the cluster because of a unit.
fn applied(revision: &Revision) -> Vec<ObjectId> {
    let applied = revision.entries.iter().filter(|entry| entry.state == crate::diff::State::Applied);
    applied.map(|entry| entry.id.clone()).collect()
}
