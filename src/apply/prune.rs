//! Deletes what is no longer wanted, by a protocol whose every step may say no.
//!
//! ```text
//! the record says it is ours  ->  the live object says so too (uid, marks)  ->  nobody protects it
//!   ->  DELETE with uid and resourceVersion  ->  it is gone  ->  it leaves the inventory
//! ```
//! Whether there is a complete render, and the approvals, were settled before: see `diff::commit`.

use std::time::Duration;

use serde_json::Value;

use super::{Outcome, Target};
use crate::cluster::client::{Call, METADATA_LIST, Verb};
use crate::cluster::objects::explain;
use crate::cluster::watch::Looked;
use crate::cluster::{Actor, Error, Resource};
use crate::diff::marks::unit_of;
use crate::diff::{Action, Change, Entry, State};
use crate::object::{Gvk, Object, ObjectId};
use crate::render::Scope;
use crate::unit::UnitName;

/// How long a deletion may take before its finalizers are reported.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// Namespaces that are never deleted.
const PROTECTED: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];

/// What became of one deletion.
enum End {
    /// It is not there any more.
    Gone,
    /// It stays and is none of ours from now on, and why.
    Released(String),
    /// It could not be deleted now, and why; the inventory keeps it.
    Stays(String, String),
}

/// Deletes the objects whose change says `pruned`, unless something of the unit failed: then they wait.
pub async fn prune(target: Target<'_>, unit: &UnitName, own_namespace: &str, outcome: &mut Outcome, healthy: bool) {
    let may = healthy && !outcome.failed();
    for change in &mut outcome.changes {
        let entry = outcome.entries.iter().position(|entry| entry.id == change.id);
        match change.action {
            Action::Pruned if !may => {
                change.action = Action::Held;
                "is deleted when everything of the unit is applied and healthy".clone_into(&mut change.message);
                if let Some(entry) = entry {
                    outcome.entries[entry].state = State::Pruning;
                }
            }
            Action::Held => {
                if let Some(entry) = entry {
                    outcome.entries[entry].state = State::Pruning;
                }
            }
            Action::Pruned => {
                let Some(entry) = entry else { continue };
                let end = delete(target, unit, own_namespace, &outcome.entries[entry]).await;
                settle(change, &mut outcome.entries, entry, end);
            }
            Action::Released => {
                if let Some(entry) = entry {
                    outcome.entries[entry].state = State::Orphaned;
                }
            }
            Action::Moved => {
                // Handed over: the other unit's record has it.
                let wanted_here = change.origin.is_some();
                if let Some(entry) = entry.filter(|_| !wanted_here) {
                    outcome.entries.remove(entry);
                }
            }
            _ => {}
        }
    }
}

fn settle(change: &mut Change, entries: &mut Vec<Entry>, entry: usize, end: End) {
    match end {
        End::Gone => drop(entries.remove(entry)),
        End::Released(why) => {
            change.action = Action::Released;
            change.message = why;
            entries[entry].state = State::Orphaned;
        }
        End::Stays(why, hint) => {
            change.action = Action::Failed;
            change.temporary = true;
            change.message = why;
            change.hint = hint;
            entries[entry].state = State::Pruning;
        }
    }
}

async fn delete(target: Target<'_>, unit: &UnitName, own_namespace: &str, entry: &Entry) -> End {
    let id = &entry.id;
    let Some(resource) = resource(target, entry).await else {
        return match target.cluster.discovery().scope(&entry.gvk()) {
            Scope::Unknown => {
                End::Stays(format!("what the server serves of {} is not known now", id.kind), String::new())
            }
            // The kind's definition went, and its objects with it.
            _ => End::Gone,
        };
    };
    if id.kind == "Namespace"
        && id.group.is_empty()
        && (PROTECTED.contains(&id.name.as_str()) || id.name == own_namespace)
    {
        return End::Released("is a namespace that bowline never deletes".to_owned());
    }
    for _ in 0..3 {
        let live = match target.cluster.get(&resource, id, target.actor).await {
            Ok(Some(live)) => live,
            Ok(None) => return End::Gone,
            Err(error) => return stays(&error, id),
        };
        if let Some(why) = protected(unit, entry, &live) {
            return End::Released(why);
        }
        if let Some(why) = in_use(target, id, &live).await {
            return End::Stays(why, "delete what is inside first".to_owned());
        }
        let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if !text("/metadata/deletionTimestamp").is_empty() {
            return gone(target, id, &live).await;
        }
        let (uid, version) = (text("/metadata/uid"), text("/metadata/resourceVersion"));
        match target.cluster.delete(&resource, id, uid, Some(version), target.actor).await {
            Ok(true) => return End::Gone,
            Ok(false) => return gone(target, id, &live).await,
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
        Error::Unreachable { .. } => End::Stays(format!("cannot be deleted: {error}"), String::new()),
    }
}

/// Why the live object is not to be deleted, read from the object itself.
fn protected(unit: &UnitName, entry: &Entry, live: &Value) -> Option<String> {
    let object = Object::new(live.clone()).ok()?;
    if entry.seen.as_ref().is_some_and(|seen| seen.uid != object.uid()) {
        return Some("was replaced by another object of the same name".to_owned());
    }
    if unit_of(&object).as_ref() != Some(unit) {
        return Some("no longer carries the mark of this unit".to_owned());
    }
    let keeps = [
        ("helm.sh/resource-policy", "keep"),
        ("cli-utils.sigs.k8s.io/on-remove", "keep"),
        ("client.lifecycle.config.k8s.io/deletion", "detach"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ("bowline.dev/prune", "keep"),
    ];
    if let Some((key, value)) = keeps.iter().find(|(key, value)| object.annotation(key) == Some(value)) {
        return Some(format!("is kept by its annotation {key}: {value}"));
    }
    let argo = object.annotation("argocd.argoproj.io/sync-options").unwrap_or_default();
    if argo.split(',').any(|option| option.trim() == "Prune=false") {
        return Some("is kept by its annotation argocd.argoproj.io/sync-options: Prune=false".to_owned());
    }
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let controller = owners.into_iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |field: &str| controller.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(format!("belongs to {}/{} now", text("kind"), text("name")))
}

/// Why something is not deleted although it is ours: what is inside would go with it.
async fn in_use(target: Target<'_>, id: &ObjectId, live: &Value) -> Option<String> {
    match (id.group.as_str(), id.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let versions = live.pointer("/spec/versions").and_then(Value::as_array)?;
            let served = versions.iter().find(|version| version.get("served") == Some(&Value::Bool(true)))?;
            let version = served.get("name").and_then(Value::as_str)?;
            let path = format!("/apis/{}/{version}/{}", text("/spec/group"), text("/spec/names/plural"));
            holds(target, &path, &format!("objects of kind {} exist", text("/spec/names/kind"))).await
        }
        ("", "Namespace") => {
            let claims = Gvk::new("v1", "PersistentVolumeClaim");
            let resource = target.cluster.resource(&claims).await?;
            holds(target, &resource.collection(&id.name), "it holds PersistentVolumeClaims").await
        }
        _ => None,
    }
}

/// `message` when the collection has at least one object, or a reason why that cannot be told.
async fn holds(target: Target<'_>, collection: &str, message: &str) -> Option<String> {
    let path = format!("{collection}?limit=1");
    let call = Call { verb: Verb::List, path, accept: METADATA_LIST, body: None, actor: &Actor::Own };
    match target.cluster.client().send(&call).await {
        Ok(reply) => {
            let items = reply.value.get("items").and_then(Value::as_array).map_or(0, Vec::len);
            (items > 0).then(|| message.to_owned())
        }
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(format!("what is inside cannot be told: {error}")),
    }
}

/// Waits until a deleted object is gone, and names its finalizers when it is not.
async fn gone(target: Target<'_>, id: &ObjectId, live: &Value) -> End {
    let went = target
        .store
        .until(GONE_WITHIN, || match target.store.look(id) {
            Looked::There(_) => None,
            Looked::Gone | Looked::NotYet => Some(()),
        })
        .await;
    if went.is_some() {
        return End::Gone;
    }
    let finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> = finalizers.filter_map(Value::as_str).collect();
    End::Stays(
        format!(
            "is being deleted and waits for {}",
            if names.is_empty() { "its dependents".to_owned() } else { names.join(", ") }
        ),
        "whoever set the finalizer must remove it; bowline never does".to_owned(),
    )
}
