//! What rendering may know of the live cluster, kept in step by watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Cluster;
use super::discovery::Discovery;
use super::watch::{Selection, Signal, follow};
use crate::object::{Gvk, Object, ObjectId};
use crate::render::{self, Lookup, Namespace, Scope};

/// Follows namespaces and copied objects; hands out [`Snapshot`]s.
#[derive(Debug)]
pub struct Live {
    cluster: Cluster,
    own_namespace: Arc<str>,
    state: Mutex<State>,
    moved: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    namespaces: Arc<BTreeMap<String, Namespace>>,
    namespaces_told: bool,
    /// Which objects each source copies.
    wanted: BTreeMap<String, BTreeSet<ObjectId>>,
    copied: BTreeMap<ObjectId, Lookup>,
    copy_watches: BTreeMap<ObjectId, JoinHandle<()>>,
    namespace_watch: Option<JoinHandle<()>>,
}

/// What is known at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    own_namespace: Arc<str>,
    namespaces: Arc<BTreeMap<String, Namespace>>,
    discovery: Arc<Discovery>,
    copied: BTreeMap<ObjectId, Lookup>,
}

impl Live {
    /// Begins to follow the namespaces of a cluster, of which one is bowline's own.
    pub fn new(cluster: Cluster, own_namespace: &str) -> Arc<Self> {
        let own_namespace = own_namespace.into();
        let live = Arc::new(Live { cluster, own_namespace, state: Mutex::default(), moved: watch::Sender::new(0) });
        let follower = Arc::downgrade(&live);
        let cluster = live.cluster.clone();
        let task = tokio::spawn(async move {
            let gvk = Gvk::new("v1", "Namespace");
            let mut round: BTreeMap<String, Namespace> = BTreeMap::new();
            let mut telling = true;
            follow(&cluster, &gvk, &Selection::all(true), |signal| {
                let Some(live) = follower.upgrade() else { return };
                match signal {
                    Signal::Began => {
                        round.clear();
                        telling = true;
                    }
                    Signal::Put(object) => {
                        let (name, namespace) = read_namespace(&object);
                        round.insert(name, namespace);
                    }
                    Signal::Gone(object) => {
                        round.remove(&read_namespace(&object).0);
                    }
                    Signal::Synced => telling = false,
                }
                if !telling {
                    live.set_namespaces(&round);
                }
            })
            .await;
        });
        live.state().namespace_watch = Some(task);
        live
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_namespaces(&self, now: &BTreeMap<String, Namespace>) {
        let mut state = self.state();
        if state.namespaces_told && *state.namespaces == *now {
            return;
        }
        state.namespaces = Arc::new(now.clone());
        state.namespaces_told = true;
        drop(state);
        self.moved.send_modify(|count| *count += 1);
    }

    /// Counts up whenever a namespace or a copied object changed.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// Waits until the namespaces are known.
    pub async fn ready(&self) {
        let mut moved = self.moved();
        while !self.state().namespaces_told {
            if moved.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells everybody to look again.
    pub fn bump(&self) {
        self.moved.send_modify(|count| *count += 1);
    }

    /// Whether a namespace exists and is not being deleted.
    pub fn has_namespace(&self, name: &str) -> bool {
        self.state().namespaces.get(name).is_some_and(|namespace| !namespace.terminating)
    }

    /// The objects that are followed for a source.
    pub fn copied(&self, source: &str) -> BTreeSet<ObjectId> {
        self.state().wanted.get(source).cloned().unwrap_or_default()
    }

    /// Follows exactly these objects for a source from now on, and waits until each has been asked for once.
    pub async fn copy(self: &Arc<Self>, source: &str, wanted: &BTreeSet<ObjectId>) {
        let missing: Vec<ObjectId> = {
            let mut state = self.state();
            state.wanted.insert(source.to_owned(), wanted.clone());
            let wanted: BTreeSet<ObjectId> = state.wanted.values().flatten().cloned().collect();
            let dropped: Vec<ObjectId> =
                state.copy_watches.keys().filter(|id| !wanted.contains(*id)).cloned().collect();
            for id in dropped {
                if let Some(task) = state.copy_watches.remove(&id) {
                    task.abort();
                }
                state.copied.remove(&id);
            }
            wanted.iter().filter(|id| !state.copy_watches.contains_key(*id)).cloned().collect()
        };
        for id in missing {
            let Some(resource) = self.cluster.discovery().preferred(&id).cloned() else {
                self.set_copied(&id, Lookup::Unknown(format!("the server serves no kind {}", id.kind)));
                continue;
            };
            let first = match self.cluster.get(&resource, &id, &super::Actor::Own).await {
                Ok(Some(object)) => found(object),
                Ok(None) => Lookup::Absent,
                Err(error) => Lookup::Unknown(error.to_string()),
            };
            self.set_copied(&id, first);
            let task =
                tokio::spawn(follow_copied(Arc::downgrade(self), self.cluster.clone(), resource.gvk, id.clone()));
            self.state().copy_watches.insert(id, task);
        }
    }

    fn set_copied(&self, id: &ObjectId, lookup: Lookup) {
        let before = self.state().copied.insert(id.clone(), lookup.clone());
        if before.as_ref() != Some(&lookup) {
            self.moved.send_modify(|count| *count += 1);
        }
    }

    /// What is known now.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            own_namespace: self.own_namespace.clone(),
            namespaces: state.namespaces.clone(),
            discovery: self.cluster.discovery(),
            copied: state.copied.clone(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut state = self.state();
        let copies = std::mem::take(&mut state.copy_watches);
        for task in copies.into_values().chain(state.namespace_watch.take()) {
            task.abort();
        }
    }
}

async fn follow_copied(live: std::sync::Weak<Live>, cluster: Cluster, gvk: Gvk, id: ObjectId) {
    let selection = Selection {
        fields: format!("metadata.name={}", id.name),
        namespace: id.namespace.clone(),
        ..Selection::all(false)
    };
    let mut last = Lookup::Absent;
    let mut telling = true;
    follow(&cluster, &gvk, &selection, |signal| {
        match signal {
            Signal::Began => {
                last = Lookup::Absent;
                telling = true;
            }
            Signal::Put(object) => last = found(object),
            Signal::Gone(_) => last = Lookup::Absent,
            Signal::Synced => telling = false,
        }
        if let (false, Some(live)) = (telling, live.upgrade()) {
            live.set_copied(&id, last.clone());
        }
    })
    .await;
}

fn found(object: Value) -> Lookup {
    match Object::new(object) {
        Ok(object) => Lookup::Found(Box::new(object)),
        Err(error) => Lookup::Unknown(error.to_string()),
    }
}

fn read_namespace(object: &Value) -> (String, Namespace) {
    let map = |field: &str| {
        let entries = object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_object);
        entries
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let terminating = object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let mut annotations: BTreeMap<String, String> = map("annotations");
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    (name, Namespace { labels: map("labels"), annotations, terminating })
}

impl Snapshot {
    /// Another look at what the server serves.
    #[must_use]
    pub fn with_discovery(mut self, discovery: Arc<Discovery>) -> Self {
        self.discovery = discovery;
        self
    }
}

impl render::Facts for Snapshot {
    fn own_namespace(&self) -> &str {
        &self.own_namespace
    }

    fn namespaces(&self) -> &BTreeMap<String, Namespace> {
        &self.namespaces
    }

    fn scope(&self, gvk: &Gvk) -> Scope {
        self.discovery.scope(gvk)
    }

    fn lookup(&self, id: &ObjectId) -> Lookup {
        match self.copied.get(id) {
            Some(lookup) => lookup.clone(),
            None => Lookup::Unknown("not asked for yet".to_owned()),
        }
    }
}
