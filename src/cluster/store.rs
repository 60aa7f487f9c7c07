//! What the watches have told of our objects, reduced to digests of metadata and to health.
//!
//! One watch per kind in use, selected by our label. Kinds whose health lies in their status are watched whole and reduced
//! at once; all others as metadata alone, Secrets among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::Cluster;
use super::watch::{Selection, Signal, follow};
use crate::diff::Seen;
use crate::diff::marks::{self, UNIT_LABEL};
use crate::health::{self, Health, Rules, StatusField};
use crate::object::{Gvk, Object, ObjectId};
use crate::unit::UnitName;

/// Kinds without health in their status: metadata tells all.
const PLAIN: [(&str, &str); 17] = [
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "ServiceAccount"),
    ("", "LimitRange"),
    ("", "Endpoints"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "IngressClass"),
    ("storage.k8s.io", "StorageClass"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("coordination.k8s.io", "Lease"),
];

/// Whether objects of a kind are looked at by metadata alone.
fn is_plain(gvk: &Gvk) -> bool {
    PLAIN.contains(&(gvk.group.as_str(), gvk.kind.as_str()))
}

/// What is known of one live object of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Digests of its metadata.
    pub seen: Seen,
    /// Its health; `None` for kinds looked at by metadata alone.
    pub health: Option<Health>,
    /// It is being deleted.
    pub terminating: bool,
    /// The unit that its marks name, if they name this object.
    pub unit: Option<UnitName>,
}

/// What it takes to judge objects of one kind.
#[derive(Debug)]
struct Judge<'a> {
    own: &'a BTreeMap<UnitName, Own>,
    field: StatusField,
}

impl Judge<'_> {
    fn health(&self, object: &Object, unit: Option<&UnitName>) -> Option<Health> {
        let own = unit.and_then(|unit| self.own.get(unit)).map(|own| &own.rules);
        let gvk = object.gvk();
        let named = own.is_some_and(|rules| rules.names(&gvk.group, &gvk.kind));
        if is_plain(&gvk) && !named {
            return None;
        }
        Some(own.map_or_else(
            || health::check_with(object, &Rules::default(), self.field),
            |rules| health::check_with(object, rules, self.field),
        ))
    }
}

impl Look {
    /// Reduces a live object.
    fn of(gvk: &Gvk, object: &Value, judge: &Judge<'_>) -> Option<(ObjectId, Look)> {
        let mut object = object.clone();
        if let Some(root) = object.as_object_mut() {
            // Metadata answers call themselves PartialObjectMetadata.
            root.insert("apiVersion".to_owned(), Value::String(gvk.api_version()));
            root.insert("kind".to_owned(), Value::String(gvk.kind.clone()));
        }
        let object = Object::new(object).ok()?;
        let unit = marks::unit_of(&object);
        let manager = unit.as_ref().map(marks::manager).unwrap_or_default();
        let look = Look {
            seen: Seen::of(object.value(), &manager),
            health: judge.health(&object, unit.as_ref()),
            terminating: object.value().pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()),
            unit,
        };
        Some((object.id(), look))
    }
}

/// An answer of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Looked {
    /// It is there.
    There(Box<Look>),
    /// It is not among the objects with our label.
    Gone,
    /// The watch of its kind has not told yet.
    NotYet,
}

/// What the watches have told of our objects.
#[derive(Debug)]
pub struct Store {
    cluster: Cluster,
    state: Mutex<State>,
    moved: Notify,
    events: mpsc::UnboundedSender<Event>,
}

#[derive(Debug, Default)]
struct State {
    looks: BTreeMap<ObjectId, Look>,
    synced: BTreeSet<(String, String)>,
    watches: BTreeMap<(String, String), Watched>,
    own: BTreeMap<UnitName, Own>,
}

#[derive(Debug)]
struct Watched {
    gvk: Gvk,
    task: JoinHandle<()>,
}

/// A unit's own health rules.
#[derive(Debug)]
struct Own {
    written: Vec<Value>,
    rules: Rules,
}

/// Something moved in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The object.
    pub id: ObjectId,
    /// The unit its marks name, now or when it was last seen.
    pub unit: Option<UnitName>,
}

impl Store {
    /// An empty store; events come out of the receiver.
    pub fn new(cluster: Cluster) -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (Arc::new(Store { cluster, state: Mutex::default(), moved: Notify::new(), events }), receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Watches a kind, unless it is watched already.
    pub fn watch(self: &Arc<Self>, gvk: &Gvk) {
        let mut state = self.state();
        if !state.watches.contains_key(&(gvk.group.clone(), gvk.kind.clone())) {
            self.begin(&mut state, gvk);
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, gvk: &Gvk) {
        let named = state.own.values().any(|own| own.rules.names(&gvk.group, &gvk.kind));
        let metadata = is_plain(gvk) && !named;
        let (store, watched) = (self.clone(), gvk.clone());
        let task = tokio::spawn(async move {
            let cluster = store.cluster.clone();
            let selection = Selection { labels: UNIT_LABEL.to_owned(), ..Selection::all(metadata) };
            let mut round = BTreeSet::new();
            follow(&cluster, &watched, &selection, |signal| store.take(&watched, &mut round, signal)).await;
        });
        let watched = Watched { gvk: gvk.clone(), task };
        if let Some(before) = state.watches.insert((gvk.group.clone(), gvk.kind.clone()), watched) {
            before.task.abort();
        }
    }

    /// Judges the objects of a unit by these rules of its users first. Objects that are known already are told anew, since
    /// only what was made of them is kept.
    pub fn judge_by(self: &Arc<Self>, unit: &UnitName, rules: &[Value]) {
        let mut state = self.state();
        let before = match state.own.get(unit) {
            Some(own) if own.written == rules => return,
            None if rules.is_empty() => return,
            _ => state.own.remove(unit),
        };
        // Rules with errors have been reported where they were read, and are left out there.
        let now = Rules::parse(&Value::Array(rules.to_vec())).unwrap_or_default();
        let concerned = |gvk: &Gvk| {
            let names = |rules: &Rules| rules.names(&gvk.group, &gvk.kind);
            names(&now) || before.as_ref().is_some_and(|own| names(&own.rules))
        };
        let again: Vec<Gvk> =
            state.watches.values().map(|watched| watched.gvk.clone()).filter(|gvk| concerned(gvk)).collect();
        if !rules.is_empty() {
            state.own.insert(unit.clone(), Own { written: rules.to_vec(), rules: now });
        }
        for gvk in &again {
            self.begin(&mut state, gvk);
        }
    }

    /// Whether objects of a kind are told whole, because their health lies in more than their metadata.
    pub fn is_whole(&self, gvk: &Gvk) -> bool {
        !is_plain(gvk) || self.state().own.values().any(|own| own.rules.names(&gvk.group, &gvk.kind))
    }

    fn reduce(&self, gvk: &Gvk, object: &Value) -> Option<(ObjectId, Look)> {
        let declared = self.cluster.discovery().resource(gvk).is_some_and(|resource| resource.has_status);
        let field = if declared { StatusField::Declared } else { StatusField::NotKnown };
        Look::of(gvk, object, &Judge { own: &self.state().own, field })
    }

    /// Notes the answer of our own write, unless a watch has told of something newer.
    pub fn wrote(&self, gvk: &Gvk, answer: &Value) {
        if let Some((id, look)) = self.reduce(gvk, answer) {
            self.put(id, look);
        }
    }

    fn take(&self, gvk: &Gvk, round: &mut BTreeSet<ObjectId>, signal: Signal) {
        match signal {
            Signal::Began => round.clear(),
            Signal::Put(object) => {
                if let Some((id, look)) = self.reduce(gvk, &object) {
                    round.insert(id.clone());
                    self.put(id, look);
                }
            }
            Signal::Gone(object) => {
                if let Some((id, _)) = self.reduce(gvk, &object) {
                    self.drop_look(&id);
                }
            }
            Signal::Synced => {
                let mut state = self.state();
                let missing: Vec<ObjectId> = state
                    .looks
                    .keys()
                    .filter(|id| id.group == gvk.group && id.kind == gvk.kind && !round.contains(*id))
                    .cloned()
                    .collect();
                state.synced.insert((gvk.group.clone(), gvk.kind.clone()));
                drop(state);
                for id in missing {
                    self.drop_look(&id);
                }
                round.clear();
                self.moved.notify_waiters();
            }
        }
    }

    fn put(&self, id: ObjectId, look: Look) {
        let mut state = self.state();
        if let Some(before) = state.looks.get(&id) {
            // Our own write's answer may be newer than what the watch has told so far.
            if before.seen.uid == look.seen.uid && newer(&before.seen.resource_version, &look.seen.resource_version) {
                return;
            }
            if *before == look {
                return;
            }
        }
        let unit = look.unit.clone();
        state.looks.insert(id.clone(), look);
        drop(state);
        // Nobody listens in one-pass commands.
        let _ = self.events.send(Event { id, unit });
        self.moved.notify_waiters();
    }

    fn drop_look(&self, id: &ObjectId) {
        let gone = self.state().looks.remove(id);
        if let Some(look) = gone {
            let _ = self.events.send(Event { id: id.clone(), unit: look.unit });
            self.moved.notify_waiters();
        }
    }

    /// What is known of an object.
    pub fn look(&self, id: &ObjectId) -> Looked {
        let state = self.state();
        match state.looks.get(id) {
            Some(look) => Looked::There(Box::new(look.clone())),
            None if state.synced.contains(&(id.group.clone(), id.kind.clone())) => Looked::Gone,
            None => Looked::NotYet,
        }
    }

    /// Waits until the watches of these kinds have told all, or the time is up; says whether they have.
    pub async fn synced(&self, gvks: &BTreeSet<Gvk>, at_most: Duration) -> bool {
        let all = || {
            let state = self.state();
            gvks.iter().all(|gvk| state.synced.contains(&(gvk.group.clone(), gvk.kind.clone())))
        };
        self.until(at_most, || all().then_some(())).await.is_some()
    }

    /// Waits until `done` answers, asking again whenever something moved; `None` when the time is up.
    pub async fn until<T>(&self, at_most: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = tokio::time::Instant::now() + at_most;
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if let Some(answer) = done() {
                return Some(answer);
            }
            if tokio::time::timeout_at(deadline, moved).await.is_err() {
                return done();
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for watched in self.state().watches.values() {
            watched.task.abort();
        }
    }
}

/// Whether one resourceVersion is later than another. They are decimal numbers of one store (Kubernetes 1.35 promises
/// that they compare); anything else is never later.
pub fn newer(one: &str, other: &str) -> bool {
    match (one.parse::<u128>(), other.parse::<u128>()) {
        (Ok(one), Ok(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_versions_compare_as_numbers() {
        assert!(newer("10", "9"));
        assert!(!newer("9", "9"));
        assert!(!newer("x", "9"));
    }
}
