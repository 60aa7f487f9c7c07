//! Asks for a look at everything, whatever the metadata of our objects says, when something changed that it cannot show:
//! a definition with other defaults, a policy or webhook that rewrites what others write.
//!
//! Beside that, each source is swept once in half a day, at a time of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng as _;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::follower::Message;
use crate::cluster::Cluster;
use crate::cluster::watch::{Selection, Signal, follow};
use crate::object::Gvk;

/// Changes that come within this time are one.
const TOGETHER: Duration = Duration::from_secs(3);
/// The mean time between two sweeps of a source, in seconds.
const HALF_A_DAY: u64 = 12 * 3600;

/// Kinds whose change may change any object on its way into the store.
const REWRITERS: [&str; 3] =
    ["MutatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"];

/// What a sweep looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sweep {
    /// The objects of these API groups.
    Groups(BTreeSet<String>),
    /// All objects.
    All,
}

impl Sweep {
    /// Whether objects of a group are looked at.
    pub fn covers(&self, group: &str) -> bool {
        match self {
            Sweep::Groups(groups) => groups.contains(group),
            Sweep::All => true,
        }
    }
}

/// How long until the next sweep of a source that nothing else asked for: between 9 and 15 hours.
pub fn pause() -> Duration {
    Duration::from_secs(rand::rng().random_range(HALF_A_DAY * 3 / 4..HALF_A_DAY * 5 / 4))
}

/// What has changed since the followers were told.
#[derive(Debug, Default)]
struct Changed {
    groups: BTreeSet<String>,
    all: bool,
}

/// Tells the followers of changes until `stop`.
pub async fn pass_sweeps(
    cluster: Cluster,
    inboxes: Arc<BTreeMap<String, mpsc::UnboundedSender<Message>>>,
    stop: CancellationToken,
) {
    let (changed, moved) = (Mutex::new(Changed::default()), Notify::new());
    let note = |of: &dyn Fn(&mut Changed)| {
        of(&mut changed.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        moved.notify_one();
    };
    let definitions = generations(&cluster, Gvk::new("apiextensions.k8s.io/v1", "CustomResourceDefinition"), |name| {
        // A definition is named `plural.group`.
        let group = name.split_once('.').map_or("", |(_, group)| group).to_owned();
        note(&|changed| changed.groups.extend([group.clone()]));
    });
    let rewriters = futures::future::join_all(REWRITERS.map(|kind| {
        let note = &note;
        generations(&cluster, Gvk::new("admissionregistration.k8s.io/v1", kind), move |_| {
            note(&|changed| changed.all = true);
        })
    }));
    let telling = async {
        loop {
            moved.notified().await;
            tokio::time::sleep(TOGETHER).await;
            let changed = std::mem::take(&mut *changed.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            let sweep = if changed.all { Sweep::All } else { Sweep::Groups(changed.groups) };
            for inbox in inboxes.values() {
                // The follower has ended: the program stops.
                let _ = inbox.send(Message::Sweep(sweep.clone()));
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {},
        () = telling => {},
        _ = futures::future::join(definitions, rewriters) => {},
    }
}

/// Follows the objects of a kind, and tells the names of those that come, go or change after the first account. A kind that
/// the server does not serve has no objects to follow.
async fn generations(cluster: &Cluster, gvk: Gvk, mut tell: impl FnMut(&str) + Send) {
    if cluster.resource(&gvk).await.is_none() {
        return std::future::pending().await;
    }
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    let mut first = true;
    follow(cluster, &gvk, &Selection::all(true), |signal| match signal {
        Signal::Began => {}
        Signal::Synced => first = false,
        Signal::Put(object) => {
            let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
            let name = name(&object);
            if known.insert(name.clone(), generation) != Some(generation) && !first {
                tell(&name);
            }
        }
        Signal::Gone(object) => {
            let name = name(&object);
            known.remove(&name);
            tell(&name);
        }
    })
    .await;
}

fn name(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}
