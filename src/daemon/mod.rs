//! The daemon: follows every source, and works until it is told to stop.
//!
//! ```text
//! fetcher per source  --Fetched-->  follower per source  <--facts, drift, approvals--  watches
//!                                        |      ^------- leads, or stands by -------  election
//!                                   units, a bounded number side by side
//! ```
//! Start at [`run`].

pub mod config;
pub mod drift;
pub mod fetcher;
pub mod follower;
pub mod leader;
pub mod retry;
pub mod status;
pub mod sweep;
pub mod telemetry;
pub mod tell;
pub mod triggers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::router::{Readiness, Shared};
use crate::cluster::Cluster;
use crate::cluster::facts::Live;
use crate::cluster::lease::Lease;
use crate::cluster::store::{Event, Store};
use crate::cluster::watch::{Selection, Signal, follow};
use crate::error::Error;
use crate::load::Account;
use crate::object::Gvk;
use crate::reconcile::{Trigger, World};
use crate::record;
use config::Config;
use fetcher::Fetcher;
use follower::{Follower, Message};
use leader::{Election, Role, Standing};
use tell::Teller;

/// Name of the ConfigMap in which people's approvals are kept.
pub const APPROVALS: &str = "bowline-approvals";
/// Changes of the cluster that come within this time are handled together.
const TOGETHER: Duration = Duration::from_millis(50);

/// A source ready to be followed.
pub struct Followed {
    /// Name of the source.
    pub name: String,
    /// As whom it acts, whatever it says itself; `None`: as bowline, or as its settings say.
    pub account: Option<Account>,
    /// Brings its commits.
    pub fetcher: Fetcher,
    /// Calls for a fetch.
    pub kick: mpsc::UnboundedSender<Trigger>,
}

/// Follows all sources until `stop`; what is being written then is finished.
///
/// # Errors
/// The cluster's own namespace cannot be prepared. All later trouble is waited out and reported.
pub async fn run(
    cluster: Cluster,
    config: &Config,
    sources: Vec<Followed>,
    shared: Shared,
    stop: CancellationToken,
) -> Result<(), Error> {
    let metrics = shared.metrics.clone();
    cluster.client().listen(move |verb, code| metrics.request(verb.word(), code));
    let own = record::Store::new(cluster.clone(), &config.namespace, config.history);
    own.prepare().await.map_err(|error| Error::new("bowline's own namespace cannot be prepared").because(error))?;
    let election = election(&cluster, config)?;
    let cluster = election.as_ref().map_or(cluster.clone(), |election| cluster.fenced(election.fence()));
    let records = record::Store::new(cluster.clone(), &config.namespace, config.history);
    let (store, events) = Store::new(cluster.clone());
    let world = World { cluster: cluster.clone(), store, records, namespace: config.namespace.clone() };
    let live = Live::new(cluster.clone(), &config.namespace);
    let teller = Arc::new(Teller::new(cluster.clone(), &config.namespace, shared.metrics));
    let slots = Arc::new(Semaphore::new(config.concurrency.max(1)));
    let share = (config.concurrency / sources.len().max(1)).max(2) * 2;

    live.ready().await;
    shared.readiness.ready("cluster");
    let mut tasks = tokio::task::JoinSet::new();
    let (mut inboxes, mut kicks) = (BTreeMap::new(), Vec::new());
    for source in sources {
        let (world, live, teller) = (world.clone(), live.clone(), teller.clone());
        let (follower, inbox) = Follower::new(&source.name, world, live, teller, source.account, slots.clone(), share);
        tasks.spawn(follower.run(stop.clone()));
        tasks.spawn(source.fetcher.run(inbox.clone(), stop.clone()));
        kicks.push(source.kick);
        inboxes.insert(source.name, inbox);
    }
    let inboxes = Arc::new(inboxes);
    tasks.spawn(pass_events(events, inboxes.clone(), stop.clone()));
    tasks.spawn(pass_facts(live.clone(), inboxes.clone(), stop.clone()));
    tasks.spawn(sweep::pass_sweeps(cluster.clone(), inboxes.clone(), stop.clone()));
    tasks.spawn(pass_definitions(cluster.clone(), live.clone(), stop.clone()));
    tasks.spawn(pass_approvals(cluster, config.namespace.clone(), inboxes.clone(), stop.clone()));
    let (roles, changes) = mpsc::unbounded_channel();
    let lease = election.as_ref().map(Election::lease);
    let telling = tokio::spawn(pass_roles(changes, inboxes, kicks, teller, shared.readiness, lease));
    let standing = Standing::start(election, roles);
    info!(sources = config.sources.len(), "following");
    stop.cancelled().await;
    info!("stopping: what is being written is finished first");
    let finished =
        tokio::time::timeout(Duration::from_secs(25), async { while tasks.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        warn!("some units were still waiting for the cluster; the next start goes on from their records");
    }
    // Last of all: until here the lease was renewed, so that what was being written could be finished.
    standing.end().await;
    let _ = telling.await;
    Ok(())
}

/// This process as a candidate; `None` when it works without asking.
fn election(cluster: &Cluster, config: &Config) -> Result<Option<Election>, Error> {
    let settings = &config.leader_election;
    if !settings.enabled {
        return Ok(None);
    }
    let lease = Lease::new(cluster, &config.namespace, &settings.lease, &leader::identity());
    Ok(Some(Election::new(lease, settings.times()?)))
}

/// Tells everybody when this process begins to lead, and when it stands by.
async fn pass_roles(
    mut roles: mpsc::UnboundedReceiver<Role>,
    inboxes: Arc<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    kicks: Vec<mpsc::UnboundedSender<Trigger>>,
    teller: Arc<Teller>,
    readiness: Readiness,
    lease: Option<Lease>,
) {
    let mut leads = false;
    while let Some(role) = roles.recv().await {
        readiness.ready("lease");
        readiness.role(&match &role {
            Role::Leader => "leader".to_owned(),
            Role::StandBy(leader) if leader.is_empty() => "stand-by".to_owned(),
            Role::StandBy(leader) => format!("stand-by: {leader} leads"),
        });
        if leads != (role == Role::Leader) {
            leads = !leads;
            teller.leads(leads, lease.as_ref());
            for inbox in inboxes.values() {
                // The follower has ended: the program stops.
                let _ = inbox.send(Message::Leads(leads));
            }
            // Calls of forges went to the last leader: what it was told may be news here.
            for kick in kicks.iter().filter(|_| leads) {
                let _ = kick.send(Trigger::Start);
            }
        }
    }
}

/// Hands events of our objects to the follower of their source, those of a short time together.
async fn pass_events(
    mut events: mpsc::UnboundedReceiver<Event>,
    inboxes: Arc<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = events.recv_many(&mut batch, 10_000) => if count == 0 { return },
        }
        tokio::time::sleep(TOGETHER).await;
        while let Ok(event) = events.try_recv() {
            batch.push(event);
        }
        let mut by_source: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in batch.drain(..) {
            if let Some(unit) = &event.unit {
                by_source.entry(unit.source.clone()).or_default().push(event);
            }
        }
        for (source, events) in by_source {
            if let Some(inbox) = inboxes.get(&source) {
                // The follower has ended: the program stops.
                let _ = inbox.send(Message::Moved(events));
            }
        }
    }
}

async fn pass_facts(
    live: Arc<Live>,
    inboxes: Arc<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    stop: CancellationToken,
) {
    let mut moved = live.moved();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = moved.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep(TOGETHER).await;
        moved.mark_unchanged();
        for inbox in inboxes.values() {
            let _ = inbox.send(Message::FactsMoved);
        }
    }
}

/// Asks again what is served whenever a definition or an aggregated API comes, changes or goes.
async fn pass_definitions(cluster: Cluster, live: Arc<Live>, stop: CancellationToken) {
    let (changed, mut changes) = tokio::sync::watch::channel(());
    let watch = |gvk: Gvk| {
        let (cluster, changed) = (cluster.clone(), changed.clone());
        async move {
            let mut telling = true;
            follow(&cluster, &gvk, &Selection::all(true), |signal| {
                match signal {
                    Signal::Began => telling = true,
                    Signal::Synced => telling = false,
                    Signal::Put(_) | Signal::Gone(_) => {}
                }
                if !telling {
                    changed.send_replace(());
                }
            })
            .await;
        }
    };
    let refresh = async {
        while changes.changed().await.is_ok() {
            // A definition is served a moment after it is established.
            for pause in [100, 500, 2000] {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let before = cluster.discovery();
                match cluster.refresh(Duration::ZERO).await {
                    Ok(()) if !before.serves_the_same(&cluster.discovery()) => {
                        live.bump();
                        break;
                    }
                    Ok(()) => {}
                    Err(error) => warn!(%error, "what the server serves cannot be asked"),
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {},
        () = watch(Gvk::new("apiextensions.k8s.io/v1", "CustomResourceDefinition")) => {},
        () = watch(Gvk::new("apiregistration.k8s.io/v1", "APIService")) => {},
        () = refresh => {},
    }
}

async fn pass_approvals(
    cluster: Cluster,
    namespace: String,
    inboxes: Arc<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    stop: CancellationToken,
) {
    let selection = Selection { fields: format!("metadata.name={APPROVALS}"), namespace, ..Selection::all(false) };
    let gvk = Gvk::new("v1", "ConfigMap");
    let following = follow(&cluster, &gvk, &selection, |signal| {
        let Signal::Put(object) = signal else { return };
        let approved: BTreeSet<String> = object
            .get("data")
            .and_then(Value::as_object)
            .map(|data| data.keys().cloned().collect())
            .unwrap_or_default();
        for inbox in inboxes.values() {
            let _ = inbox.send(Message::Approved(approved.clone()));
        }
    });
    tokio::select! {
        () = stop.cancelled() => {},
        () = following => {},
    }
}
