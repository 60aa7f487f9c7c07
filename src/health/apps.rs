//! Judges the workloads of `apps`: Deployment, StatefulSet, DaemonSet, ReplicaSet and ReplicationController.
//!
//! The counts tell, in the order in which a roll-out goes through them: created, updated, old ones gone, ready, available.

use super::fields::{Truth, condition, conditions, count, flag, integer, text, unobserved};
use super::{Health, degraded, healthy, progressing, suspended};
use crate::object::Object;

/// What `spec.replicas` asks for; the API server's default is one.
fn wanted(object: &Object) -> i64 {
    integer(object.value(), "/spec/replicas").unwrap_or(1)
}

pub(super) fn deployment(object: &Object) -> Health {
    if let Some(message) = unobserved(object) {
        return progressing(message);
    }
    if flag(object, "/spec/paused") {
        return suspended("the roll-out is paused");
    }
    if let Some(late) = conditions(object)
        .find(|condition| condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded")
    {
        return degraded(late.words());
    }
    let wanted = wanted(object);
    let (replicas, updated) = (count(object, "/status/replicas"), count(object, "/status/updatedReplicas"));
    let (ready, available) = (count(object, "/status/readyReplicas"), count(object, "/status/availableReplicas"));
    if let Some(failure) = conditions(object).find(|condition| condition.is("ReplicaFailure", Truth::True)) {
        return progressing(failure.words());
    }
    if updated < wanted {
        return progressing(format!("{updated} of {wanted} replicas are updated"));
    }
    if replicas > updated {
        return progressing(format!("{} old replicas are still to end", replicas - updated));
    }
    if available < updated {
        return progressing(format!("{available} of {updated} updated replicas are available"));
    }
    if ready < wanted {
        return progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    match condition(object, "Available") {
        Some(state) if state.status == Truth::False => progressing(state.words()),
        _ => healthy(format!("{available} of {wanted} replicas are available")),
    }
}

pub(super) fn stateful_set(object: &Object) -> Health {
    if let Some(message) = unobserved(object) {
        return progressing(message);
    }
    let wanted = wanted(object);
    let (replicas, updated) = (count(object, "/status/replicas"), count(object, "/status/updatedReplicas"));
    let ready = count(object, "/status/readyReplicas");
    if ready < wanted {
        return progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if replicas > wanted {
        return progressing(format!("{} replicas too many are still to end", replicas - wanted));
    }
    if let Some(available) = integer(object.value(), "/status/availableReplicas").filter(|n| *n < wanted) {
        return progressing(format!("{available} of {wanted} replicas are available"));
    }
    if text(object.value(), "/spec/updateStrategy/type") == "OnDelete" {
        return healthy(format!("{ready} of {wanted} replicas are ready; pods are updated when they are deleted"));
    }
    let partition = integer(object.value(), "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
    if partition > 0 {
        let share = (wanted - partition).max(0);
        return if updated < share {
            progressing(format!("{updated} of {share} replicas above partition {partition} are updated"))
        } else {
            healthy(format!("{updated} replicas above partition {partition} are updated"))
        };
    }
    let current = text(object.value(), "/status/currentRevision");
    if current != text(object.value(), "/status/updateRevision") {
        return progressing(format!("{updated} of {wanted} replicas are updated"));
    }
    healthy(format!("{ready} of {wanted} replicas are ready"))
}

pub(super) fn daemon_set(object: &Object) -> Health {
    if let Some(message) = unobserved(object) {
        return progressing(message);
    }
    let Some(wanted) = integer(object.value(), "/status/desiredNumberScheduled") else {
        return progressing("the number of nodes is not known yet");
    };
    let (updated, current) =
        (count(object, "/status/updatedNumberScheduled"), count(object, "/status/currentNumberScheduled"));
    let (ready, available) = (count(object, "/status/numberReady"), count(object, "/status/numberAvailable"));
    let on_delete = text(object.value(), "/spec/updateStrategy/type") == "OnDelete";
    if current < wanted {
        return progressing(format!("{current} of {wanted} nodes have a pod"));
    }
    if updated < wanted && !on_delete {
        return progressing(format!("{updated} of {wanted} pods are updated"));
    }
    if available < wanted {
        return progressing(format!("{available} of {wanted} pods are available"));
    }
    if ready < wanted {
        return progressing(format!("{ready} of {wanted} pods are ready"));
    }
    if wanted == 0 {
        return healthy("no node matches");
    }
    if on_delete {
        return healthy(format!("{updated} of {wanted} pods are updated; the others are when they are deleted"));
    }
    healthy(format!("{available} of {wanted} pods are available"))
}

/// ReplicaSet and ReplicationController.
pub(super) fn replica_set(object: &Object) -> Health {
    if let Some(message) = unobserved(object) {
        return progressing(message);
    }
    if let Some(failure) = conditions(object).find(|condition| condition.is("ReplicaFailure", Truth::True)) {
        return degraded(failure.words());
    }
    let wanted = wanted(object);
    let (replicas, ready) = (count(object, "/status/replicas"), count(object, "/status/readyReplicas"));
    let available = count(object, "/status/availableReplicas");
    if replicas < wanted {
        return progressing(format!("{replicas} of {wanted} replicas exist"));
    }
    if ready < wanted {
        return progressing(format!("{ready} of {wanted} replicas are ready"));
    }
    if available < wanted {
        return progressing(format!("{available} of {wanted} replicas are available"));
    }
    if replicas > wanted {
        return progressing(format!("{} replicas too many are still to end", replicas - wanted));
    }
    healthy(format!("{available} of {wanted} replicas are available"))
}

/// Where a roll-out stands, in one line of counts; `None` for what has no roll-out.
pub(super) fn progress(object: &Object) -> Option<String> {
    let count = |pointer: &str| count(object, pointer);
    match (object.gvk().group.as_str(), object.kind()) {
        ("apps", "Deployment" | "StatefulSet") => {
            let available =
                integer(object.value(), "/status/availableReplicas").unwrap_or_else(|| count("/status/readyReplicas"));
            let updated = count("/status/updatedReplicas");
            Some(format!("{updated} of {} updated, {available} available", wanted(object)))
        }
        ("apps", "DaemonSet") => Some(format!(
            "{} of {} updated, {} available",
            count("/status/updatedNumberScheduled"),
            count("/status/desiredNumberScheduled"),
            count("/status/numberAvailable"),
        )),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Some(format!(
            "{} of {} ready, {} available",
            count("/status/readyReplicas"),
            wanted(object),
            count("/status/availableReplicas"),
        )),
        _ => None,
    }
}
