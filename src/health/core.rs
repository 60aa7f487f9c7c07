//! Judges the kinds of the core group and those beside it: Pod, Service, Ingress, Namespace, Node and plain data.

use serde_json::Value;

use super::fields::{Truth, condition, has_status, list, text};
use super::{Health, Status, degraded, healthy, progressing};
use crate::object::Object;

pub(super) fn pod(object: &Object) -> Health {
    let always = !matches!(text(object.value(), "/spec/restartPolicy"), "OnFailure" | "Never");
    if always && let Some(stuck) = waiting(object).find(|waiting| is_stuck(waiting.reason)) {
        return degraded(stuck.words());
    }
    match text(object.value(), "/status/phase") {
        "Pending" => progressing(pending(object)),
        "Succeeded" => healthy("the pod has succeeded"),
        "Failed" => degraded(failure(object)),
        "Running" if !always => progressing("running to its end"),
        "Running" => running(object),
        "" => progressing("no status yet"),
        phase => Health::new(Status::Unknown, format!("phase {phase}")),
    }
}

fn running(object: &Object) -> Health {
    if condition(object, "Ready").is_some_and(|ready| ready.status == Truth::True) {
        return healthy("the pod is ready");
    }
    let crashed = list(object.value(), "/status/containerStatuses")
        .iter()
        .find(|status| status.pointer("/lastState/terminated").is_some_and(Value::is_object) && !is_ready(status));
    match crashed {
        Some(status) => {
            let name = text(status, "/name");
            let code = status.pointer("/lastState/terminated/exitCode").unwrap_or(&Value::Null);
            degraded(format!("container {name} ended with exit code {code} and is not ready again"))
        }
        None => {
            let statuses = list(object.value(), "/status/containerStatuses");
            let ready = statuses.iter().filter(|status| is_ready(status)).count();
            progressing(format!("{ready} of {} containers are ready", statuses.len()))
        }
    }
}

pub(super) fn is_ready(status: &Value) -> bool {
    status.get("ready").and_then(Value::as_bool).unwrap_or(false)
}

fn pending(object: &Object) -> String {
    if let Some(scheduled) = condition(object, "PodScheduled").filter(|state| state.status == Truth::False) {
        return scheduled.words();
    }
    waiting(object).next().map_or_else(|| "the pod is pending".to_owned(), |waiting| waiting.words())
}

pub(super) fn failure(object: &Object) -> String {
    let message = text(object.value(), "/status/message");
    if !message.is_empty() {
        return message.to_owned();
    }
    for status in container_statuses(object) {
        let code = status.pointer("/state/terminated/exitCode").and_then(Value::as_i64).unwrap_or(0);
        if code != 0 {
            let reason = text(status, "/state/terminated/reason");
            let why = if reason == "OOMKilled" { " (out of memory)" } else { "" };
            return format!("container {} failed with exit code {code}{why}", text(status, "/name"));
        }
    }
    match text(object.value(), "/status/reason") {
        "" => "the pod has failed".to_owned(),
        reason => reason.to_owned(),
    }
}

/// A container that does not run, and why.
pub(super) struct Waiting<'a> {
    pub(super) container: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) status: &'a Value,
}

impl Waiting<'_> {
    /// `container web: ImagePullBackOff: Back-off pulling image "x"`
    pub(super) fn words(&self) -> String {
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("container {}: {}{message}", self.container, self.reason)
    }
}

fn container_statuses(object: &Object) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .flat_map(|pointer| list(object.value(), pointer))
}

/// The containers that wait, init containers first.
pub(super) fn waiting(object: &Object) -> impl Iterator<Item = Waiting<'_>> {
    container_statuses(object).filter_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        Some(Waiting {
            container: text(status, "/name"),
            reason: text(waiting, "/reason"),
            message: text(waiting, "/message"),
            status,
        })
    })
}

/// The kubelet's reasons for a container that will not start by itself: `ErrImagePull`, `CrashLoopBackOff`,
/// `CreateContainerConfigError`; unlike `ContainerCreating` and `PodInitializing`.
pub(super) fn is_stuck(reason: &str) -> bool {
    reason.starts_with("Err")
        || reason.ends_with("Error")
        || reason.ends_with("BackOff")
        || reason == "InvalidImageName"
}

pub(super) fn service(object: &Object) -> Health {
    let spec = |pointer: &str| text(object.value(), pointer);
    if spec("/spec/type") != "LoadBalancer" {
        return healthy("");
    }
    if !list(object.value(), "/status/loadBalancer/ingress").is_empty() {
        return healthy("the load balancer has an address");
    }
    if !list(object.value(), "/spec/externalIPs").is_empty() {
        return healthy("external addresses are given");
    }
    progressing("waits for an address of the load balancer")
}

/// Many ingress controllers never write an address; the annotation of [`super::IGNORE`] turns the rule off.
pub(super) fn ingress(object: &Object) -> Health {
    if list(object.value(), "/status/loadBalancer/ingress").is_empty() {
        // Not every controller writes the address, and none may be there: shown, and not waited for (as Helm and Flux do).
        return Health { ready: true, ..progressing("waits for an address of the load balancer") };
    }
    healthy("the load balancer has an address")
}

pub(super) fn namespace(object: &Object) -> Health {
    match text(object.value(), "/status/phase") {
        "Terminating" => {
            let held = super::fields::conditions(object).find(|condition| condition.status == Truth::True);
            let why = held.map_or_else(|| "the namespace is being deleted".to_owned(), |held| held.words());
            Health::new(Status::Terminating, why)
        }
        _ => healthy(""),
    }
}

pub(super) fn node(object: &Object) -> Health {
    match condition(object, "Ready") {
        Some(ready) if ready.status == Truth::True => healthy(ready.words()),
        Some(ready) => degraded(ready.words()),
        None => progressing("the kubelet has not reported yet"),
    }
}

/// A full quota is no fault of its own, but worth a word.
pub(super) fn resource_quota(object: &Object) -> Health {
    let hard = object.value().pointer("/status/hard").and_then(Value::as_object);
    let used = object.value().pointer("/status/used");
    let full: Vec<&str> = hard
        .into_iter()
        .flatten()
        .filter(|(name, limit)| used.and_then(|used| used.get(name.as_str())) == Some(limit))
        .map(|(name, _)| name.as_str())
        .collect();
    if full.is_empty() { healthy("") } else { healthy(format!("used up: {}", full.join(", "))) }
}

/// Data that works as soon as it is stored.
pub(super) fn plain(_object: &Object) -> Health {
    healthy("")
}

/// A disruption budget works once its controller has counted the pods; that it allows no disruption is its purpose.
pub(super) fn pod_disruption_budget(object: &Object) -> Health {
    if !has_status(object) {
        return progressing("no status yet");
    }
    let failed = super::fields::conditions(object)
        .find(|condition| condition.kind == "DisruptionAllowed" && condition.reason == "SyncFailed");
    if let Some(failed) = failed {
        return degraded(failed.words());
    }
    let count = |pointer: &str| super::fields::count(object, pointer);
    healthy(format!(
        "{} of {} wanted pods are healthy, {} disruptions allowed",
        count("/status/currentHealthy"),
        count("/status/desiredHealthy"),
        count("/status/disruptionsAllowed"),
    ))
}
