//! Follows what changes in the cluster, as digests of metadata and as health.
//!
//! ```text
//! one watch per kind in use, selected by our label    ->  Store: id -> Look { digests, health }
//! one watch on all Namespaces, one per copied object  ->  facts
//! ```
//! Kinds whose health lies in their status are watched whole and reduced at once; all others as metadata alone, Secrets
//! among them. Watches begin with WatchList, go on by resourceVersion, and start over after 410 or any doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::client::{Actor, Call, METADATA, Verb};
use super::{Cluster, Error};
use crate::diff::Seen;
use crate::diff::marks::{self, UNIT_LABEL};
use crate::health::{self, Health};
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
pub fn is_plain(gvk: &Gvk) -> bool {
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

impl Look {
    /// Reduces a live object. `rules` are the users' own health rules.
    pub fn of(gvk: &Gvk, object: &Value) -> Option<(ObjectId, Look)> {
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
            health: (!is_plain(gvk)).then(|| health::check(&object)),
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
    watches: BTreeMap<(String, String), JoinHandle<()>>,
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
        let key = (gvk.group.clone(), gvk.kind.clone());
        let mut state = self.state();
        if state.watches.contains_key(&key) {
            return;
        }
        let store = self.clone();
        let gvk = gvk.clone();
        let task = tokio::spawn(async move {
            let cluster = store.cluster.clone();
            let selection = Selection { labels: UNIT_LABEL.to_owned(), ..Selection::all(is_plain(&gvk)) };
            let mut round = BTreeSet::new();
            follow(&cluster, &gvk, &selection, |signal| store.take(&gvk, &mut round, signal)).await;
        });
        state.watches.insert(key, task);
    }

    fn take(&self, gvk: &Gvk, round: &mut BTreeSet<ObjectId>, signal: Signal) {
        match signal {
            Signal::Began => round.clear(),
            Signal::Put(object) => {
                if let Some((id, look)) = Look::of(gvk, &object) {
                    round.insert(id.clone());
                    self.put(id, look);
                }
            }
            Signal::Gone(object) => {
                if let Some((id, _)) = Look::of(gvk, &object) {
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

    /// Notes what is known of an object: from a watch, or from the answer of our own write.
    pub fn put(&self, id: ObjectId, look: Look) {
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
        for task in self.state().watches.values() {
            task.abort();
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

/// What a watch selects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Label selector.
    pub labels: String,
    /// Field selector.
    pub fields: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// Metadata alone.
    pub metadata: bool,
}

impl Selection {
    /// All objects of a kind.
    pub fn all(metadata: bool) -> Self {
        Selection { metadata, ..Selection::default() }
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Signal {
    /// A full account begins; all that exists is told again.
    Began,
    /// An object is there, with this content.
    Put(Value),
    /// An object left the selection: it was deleted, or lost the label.
    Gone(Value),
    /// The full account is complete.
    Synced,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// How a watch ended.
enum End {
    /// Its time was up or the connection closed: go on from this resourceVersion.
    At(String),
    /// The place is lost: begin a new account.
    Lost(String),
}

/// Follows all objects of a selection for ever: a full account first, then each change. Errors are waited out with
/// back-off; a place that the server has forgotten means a new account.
pub async fn follow(cluster: &Cluster, gvk: &Gvk, selection: &Selection, mut tell: impl FnMut(Signal) + Send) {
    let backoff = || {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(30))
            .without_max_times()
            .with_jitter()
            .build()
    };
    let mut delays = backoff();
    let mut place: Option<String> = None;
    loop {
        match watch_once(cluster, gvk, selection, place.as_deref(), &mut tell).await {
            Ok(End::At(version)) => {
                place = Some(version);
                delays = backoff();
                continue;
            }
            Ok(End::Lost(why)) => {
                debug!(kind = %gvk, why, "watch starts over");
                place = None;
            }
            Err(error) if error.refusal().is_some_and(|refusal| refusal.is_kind_missing()) => {
                debug!(kind = %gvk, "kind is not served; its watch waits");
                place = None;
            }
            Err(error) => warn!(kind = %gvk, %error, "watch failed; trying again"),
        }
        tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(30))).await;
    }
}

async fn watch_once(
    cluster: &Cluster,
    gvk: &Gvk,
    selection: &Selection,
    place: Option<&str>,
    tell: &mut (impl FnMut(Signal) + Send),
) -> Result<End, Error> {
    let Some(resource) = cluster.resource(gvk).await else {
        return Ok(End::Lost("the kind is not served".to_owned()));
    };
    // Watches of different kinds should not all end in the same second.
    let seconds = 240 + u64::from(gvk.kind.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)));
    let path = format!("{}?{}", resource.collection(&selection.namespace), query(selection, seconds, place));
    let accept = if selection.metadata { METADATA } else { "application/json" };
    let call = Call { verb: Verb::Watch, path, accept, body: None, actor: &Actor::Own };
    let mut stream = Box::pin(cluster.client.watch(&call).await?);
    if place.is_none() {
        tell(Signal::Began);
    }
    let mut version = place.map(str::to_owned);
    let mut complete = place.is_some();
    let mut lines = Lines::default();
    let idle = Duration::from_secs(seconds + 30);
    loop {
        let chunk = match tokio::time::timeout(idle, stream.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(cause))) => {
                debug!(kind = %gvk, cause, "watch was cut");
                break;
            }
            Ok(None) | Err(_) => break,
        };
        for line in lines.push(&chunk) {
            let Ok(line) = serde_json::from_slice::<Line>(&line) else {
                return Ok(End::Lost("a line of the watch is not JSON".to_owned()));
            };
            let now = line.object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
            match take_line(line, tell) {
                Ok(ends_account) => complete |= ends_account,
                Err(why) => return Ok(End::Lost(why)),
            }
            if complete && now.is_some() {
                version = now;
            }
        }
    }
    Ok(match version {
        Some(version) => End::At(version),
        None => End::Lost("the watch ended before it told all".to_owned()),
    })
}

fn query(selection: &Selection, seconds: u64, place: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
    query.append_pair("timeoutSeconds", &seconds.to_string());
    if !selection.labels.is_empty() {
        query.append_pair("labelSelector", &selection.labels);
    }
    if !selection.fields.is_empty() {
        query.append_pair("fieldSelector", &selection.fields);
    }
    match place {
        Some(version) => query.append_pair("resourceVersion", version),
        None => query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan"),
    };
    query.finish()
}

/// Handles one line; says whether it ends the full account.
fn take_line(line: Line, tell: &mut impl FnMut(Signal)) -> Result<bool, String> {
    match line.kind.as_str() {
        "ADDED" | "MODIFIED" => tell(Signal::Put(line.object)),
        "DELETED" => tell(Signal::Gone(line.object)),
        "BOOKMARK" => {
            let annotations = line.object.pointer("/metadata/annotations");
            let end = annotations.and_then(|annotations| annotations.get("k8s.io/initial-events-end"));
            if end.and_then(Value::as_str) == Some("true") {
                tell(Signal::Synced);
                return Ok(true);
            }
        }
        "ERROR" => {
            let message = line.object.get("message").and_then(Value::as_str).unwrap_or("no message");
            return Err(message.to_owned());
        }
        _ => {}
    }
    Ok(false)
}

/// Cuts a byte stream into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                lines.push(std::mem::take(&mut self.rest));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"ab"), Vec::<Vec<u8>>::new());
        assert_eq!(lines.push(b"c\nd\ne"), [b"abc\n".to_vec(), b"d\n".to_vec()]);
        assert_eq!(lines.push(b"\n"), [b"e\n".to_vec()]);
    }

    #[test]
    fn resource_versions_compare_as_numbers() {
        assert!(newer("10", "9"));
        assert!(!newer("9", "9"));
        assert!(!newer("x", "9"));
    }
}
