//! Finds early why a roll-out will not finish: what its newest pods, or the controller that cannot make them, say.
//!
//! A Deployment that cannot pull its image says so only after its deadline of ten minutes; its new pods say so at once.

use serde_json::Value;

use super::core::{Waiting, waiting};
use super::fields::{Truth, condition, conditions, count, integer, list, text};
use crate::object::Object;

/// Why a workload will hardly get further by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// One word: `ImagePull`, `CrashLoop`, `Unschedulable`, `Quota`, `Denied`, `Config`, `PodFailed`, `CreateFailed`, `Volume`,
    /// or `WaitForFirstConsumer` for a claim that is in order and only waits for a pod.
    pub reason: String,
    /// What the cluster says, with the object that says it in front.
    pub message: String,
    /// Since when (RFC 3339, as the cluster wrote it); the caller decides how long is too long.
    pub since: Option<String>,
}

impl Cause {
    fn new(reason: &str, by: &Object, message: &str, since: &str) -> Self {
        Cause {
            reason: reason.to_owned(),
            message: format!("{}/{}: {message}", by.kind(), by.name()),
            since: Some(since.to_owned()).filter(|since| !since.is_empty()),
        }
    }
}

/// Finds the cause for which a workload will not finish, from it and the objects around it.
///
/// `related` may hold anything: its pods, ReplicaSets, claims, StorageClasses and Events are picked out. Pods of an older
/// revision do not count. `None` means that nothing is known that speaks against waiting on.
///
/// ```
/// use bowline::health::cause;
/// use bowline::object::Object;
/// let pod = Object::new(serde_json::json!({
///     "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1"},
///     "status": {"phase": "Pending", "containerStatuses": [
///         {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
///     ]},
/// })).unwrap();
/// assert_eq!(cause(&pod, &[]).unwrap().reason, "ImagePull");
/// ```
pub fn cause(workload: &Object, related: &[Object]) -> Option<Cause> {
    match (workload.gvk().group.as_str(), workload.kind()) {
        ("", "Pod") => of_pod(workload, related),
        ("", "PersistentVolumeClaim") => of_claim(workload, related),
        ("apps", "Deployment") => {
            let newest = newest_replica_set(workload, related);
            let refused = newest.and_then(replica_failure).or_else(|| replica_failure(workload));
            refused.or_else(|| of_pods(related.iter().filter(|pod| newest.is_some_and(|set| owns(set, pod))), related))
        }
        ("apps", "StatefulSet" | "DaemonSet") => {
            let hash = text(workload.value(), "/status/updateRevision");
            let newest = |pod: &&Object| {
                owns(workload, pod)
                    && (hash.is_empty() || pod.label("controller-revision-hash").is_none_or(|own| own == hash))
            };
            of_pods(related.iter().filter(newest), related).or_else(|| refused_by_event(workload, related))
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") | ("batch", "Job") => {
            let pods = related.iter().filter(|pod| owns(workload, pod));
            replica_failure(workload).or_else(|| of_pods(pods, related)).or_else(|| refused_by_event(workload, related))
        }
        _ => None,
    }
}

/// The pods that are not ready, the worst cause first.
fn of_pods<'a>(pods: impl Iterator<Item = &'a Object>, related: &[Object]) -> Option<Cause> {
    let mut causes: Vec<Cause> =
        pods.filter(|pod| pod.kind() == "Pod").filter_map(|pod| of_pod(pod, related)).collect();
    causes.sort_by_key(|cause| (rank(&cause.reason), cause.message.clone()));
    causes.into_iter().next()
}

/// What somebody has to repair comes before what time may heal.
fn rank(reason: &str) -> usize {
    ["ImagePull", "Config", "CrashLoop", "PodFailed", "Volume", "Unschedulable"]
        .iter()
        .position(|known| *known == reason)
        .unwrap_or(usize::MAX)
}

fn of_pod(pod: &Object, related: &[Object]) -> Option<Cause> {
    if pod.value().pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return None;
    }
    if let Some(stuck) = waiting(pod).find_map(|waiting| of_container(pod, &waiting)) {
        return Some(stuck);
    }
    if text(pod.value(), "/status/phase") == "Failed" {
        let since = condition(pod, "Ready").map_or("", |ready| ready.since);
        return Some(Cause::new("PodFailed", pod, &super::core::failure(pod), since));
    }
    let scheduled = condition(pod, "PodScheduled").filter(|state| state.status == Truth::False)?;
    let waits = list(pod.value(), "/spec/volumes").iter().find_map(|volume| {
        let name = text(volume, "/persistentVolumeClaim/claimName");
        let claim = find(related, "PersistentVolumeClaim", pod.namespace(), name)?;
        refused_by_event(claim, related)
    });
    if let Some(claim) = waits {
        return Some(Cause { reason: "Volume".to_owned(), ..claim });
    }
    Some(Cause::new("Unschedulable", pod, &scheduled.words(), scheduled.since))
}

fn of_container(pod: &Object, waiting: &Waiting<'_>) -> Option<Cause> {
    let started = text(pod.value(), "/status/startTime");
    let ended = text(waiting.status, "/lastState/terminated/finishedAt");
    let (reason, since) = match waiting.reason {
        "CrashLoopBackOff" => ("CrashLoop", if ended.is_empty() { started } else { ended }),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed" => ("ImagePull", started),
        reason if super::core::is_stuck(reason) => ("Config", started),
        _ => return None,
    };
    // The kubelet's own words of a crash loop count ("back-off 40s restarting"), and restarts are counted too: the cause
    // is the same as before, and must read the same.
    let said = match waiting.status.pointer("/lastState/terminated").filter(|_| reason == "CrashLoop") {
        Some(ended) => {
            let code = integer(ended, "/exitCode").unwrap_or(-1);
            format!(
                "container {}: {} (last exit code {code}, {})",
                waiting.container,
                waiting.reason,
                text(ended, "/reason")
            )
        }
        None => waiting.words(),
    };
    Some(Cause::new(reason, pod, &said, since))
}

/// A claim that nobody can serve; or one that is in order and waits for the first pod that uses it.
fn of_claim(claim: &Object, related: &[Object]) -> Option<Cause> {
    if text(claim.value(), "/status/phase") != "Pending" {
        return None;
    }
    if let Some(refused) = refused_by_event(claim, related) {
        return Some(Cause { reason: "Volume".to_owned(), ..refused });
    }
    let class = find(related, "StorageClass", "", text(claim.value(), "/spec/storageClassName"))?;
    let waits = text(class.value(), "/volumeBindingMode") == "WaitForFirstConsumer"
        && claim.annotation("volume.kubernetes.io/selected-node").is_none();
    waits.then(|| {
        let since = text(claim.value(), "/metadata/creationTimestamp");
        Cause::new("WaitForFirstConsumer", claim, "is bound when the first pod uses it", since)
    })
}

/// The controller's own condition that it may not make pods: quota, admission, limits.
fn replica_failure(workload: &Object) -> Option<Cause> {
    let failure = conditions(workload).find(|condition| condition.is("ReplicaFailure", Truth::True))?;
    Some(Cause::new(kind_of_refusal(failure.message), workload, &failure.words(), failure.since))
}

/// Controllers without such a condition (StatefulSet, DaemonSet, Job, provisioners) only write an Event.
fn refused_by_event(subject: &Object, related: &[Object]) -> Option<Cause> {
    let event = related
        .iter()
        .filter(|event| event.kind() == "Event" && is_about(event, subject))
        .filter(|event| matches!(text(event.value(), "/reason"), "FailedCreate" | "ProvisioningFailed"))
        .max_by_key(|event| event_time(event).to_owned())?;
    let note = match text(event.value(), "/message") {
        "" => text(event.value(), "/note"),
        message => message,
    };
    // A workload whose pods all exist has got over what an old event says.
    let exists = count(subject, "/status/replicas").max(count(subject, "/status/active"));
    if exists > 0 && exists >= integer(subject.value(), "/spec/replicas").unwrap_or(1) {
        return None;
    }
    Some(Cause::new(kind_of_refusal(note), subject, note, event_time(event)))
}

fn is_about(event: &Object, subject: &Object) -> bool {
    ["/involvedObject", "/regarding"].into_iter().filter_map(|pointer| event.value().pointer(pointer)).any(|about| {
        text(about, "/kind") == subject.kind()
            && text(about, "/name") == subject.name()
            && text(about, "/namespace") == subject.namespace()
    })
}

fn event_time(event: &Object) -> &str {
    ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .into_iter()
        .map(|pointer| text(event.value(), pointer))
        .find(|time| !time.is_empty())
        .unwrap_or_default()
}

fn kind_of_refusal(message: &str) -> &'static str {
    let message = message.to_lowercase();
    if message.contains("exceeded quota") || message.contains("failed quota") {
        "Quota"
    } else if message.contains("forbidden") || message.contains("denied") {
        "Denied"
    } else {
        "CreateFailed"
    }
}

/// The ReplicaSet of the revision that is being rolled out: the owned one with the highest revision.
fn newest_replica_set<'a>(deployment: &Object, related: &'a [Object]) -> Option<&'a Object> {
    let revision = |set: &Object| -> i64 {
        set.annotation("deployment.kubernetes.io/revision").and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    related
        .iter()
        .filter(|set| set.kind() == "ReplicaSet" && owns(deployment, set))
        .max_by_key(|set| (revision(set), text(set.value(), "/metadata/creationTimestamp").to_owned()))
}

/// Whether `child` names `owner` as its controller: by uid, or by kind and name where a uid is absent.
fn owns(owner: &Object, child: &Object) -> bool {
    owner.namespace() == child.namespace()
        && list(child.value(), "/metadata/ownerReferences").iter().any(|reference: &Value| {
            let uid = text(reference, "/uid");
            if owner.uid().is_empty() || uid.is_empty() {
                text(reference, "/kind") == owner.kind() && text(reference, "/name") == owner.name()
            } else {
                uid == owner.uid()
            }
        })
}

fn find<'a>(related: &'a [Object], kind: &str, namespace: &str, name: &str) -> Option<&'a Object> {
    related.iter().find(|object| object.kind() == kind && object.namespace() == namespace && object.name() == name)
}

/// Where a roll-out stands, in one line: `2 of 3 updated, 1 available`; `None` for what has no roll-out.
pub fn progress(workload: &Object) -> Option<String> {
    match (workload.gvk().group.as_str(), workload.kind()) {
        ("batch", "Job") => Some(super::batch::progress(workload)),
        ("", "Pod") => {
            let statuses = list(workload.value(), "/status/containerStatuses");
            let ready = statuses.iter().filter(|status| super::core::is_ready(status)).count();
            let all = statuses.len().max(list(workload.value(), "/spec/containers").len());
            Some(format!("{ready} of {all} containers ready"))
        }
        _ => super::apps::progress(workload),
    }
}
