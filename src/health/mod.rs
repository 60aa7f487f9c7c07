//! Judges from an object alone how it is: healthy, on its way, in trouble.
//!
//! ```text
//! object -> being deleted? -> generation observed? -> users' rules -> kinds in code -> rules.yaml -> generic
//!           Terminating       Progressing             rules.rs        apps, batch, ..  rules.rs      generic.rs
//! ```
//! Pure: no clock, no client; what only several objects together tell (why a roll-out stands still) is [`cause`].
//! Start at [`check`].

mod fields;

mod apps;
mod batch;
mod core;
mod crd;
mod scale;
mod storage;

mod generic;

mod cel;
mod rules;

mod cause;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::Object;
use rules::Verdict;

pub use cause::{Cause, cause, progress};
pub use rules::{BUILT_IN, RuleError, Rules};

/// The annotation that takes an object out of all judgement: `bowline.dev/health: ignore`.
pub const IGNORE: &str = "bowline.dev/health";

/// How an object is, in the words of Argo CD; the order is "which one is worse".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It does what it is there for.
    Healthy,
    /// It stands still because somebody said so.
    Suspended,
    /// It is on its way, and may still arrive.
    Progressing,
    /// It is being deleted.
    Terminating,
    /// What it stands for does not exist.
    Missing,
    /// It failed, and will hardly recover by itself.
    Degraded,
    /// Nothing can be said.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// A status, the words that go with it, and whether a wait may end here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How the object is.
    pub status: Status,
    /// Why, for people; may be empty.
    pub message: String,
    /// Whether a wait counts the object as done: Healthy, Suspended (it will not move by itself), and kinds of which no
    /// health is known.
    pub ready: bool,
}

impl Health {
    /// A status with its words; ready when Healthy or Suspended.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let ready = matches!(status, Status::Healthy | Status::Suspended);
        Health { status, message: message.into(), ready }
    }

    /// Of this kind no health is known: shown as Unknown, counted as ready.
    pub fn not_known() -> Self {
        Health { status: Status::Unknown, message: "no health known for this kind".to_owned(), ready: true }
    }
}

fn healthy(message: impl Into<String>) -> Health {
    Health::new(Status::Healthy, message)
}

fn suspended(message: impl Into<String>) -> Health {
    Health::new(Status::Suspended, message)
}

fn progressing(message: impl Into<String>) -> Health {
    Health::new(Status::Progressing, message)
}

fn degraded(message: impl Into<String>) -> Health {
    Health::new(Status::Degraded, message)
}

/// Whether objects of a kind get a status from somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusField {
    /// The kind's definition declares one (the status subresource): an object without it is on its way.
    Declared,
    /// Nothing is known: an object without it is as good as it gets.
    NotKnown,
}

/// Judges an object by the rules that are built in.
///
/// ```
/// use bowline::health::{Status, check};
/// use bowline::object::Object;
/// let object = Object::new(serde_json::json!({
///     "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "load", "generation": 1},
///     "status": {"conditions": [{"type": "Failed", "status": "True", "message": "backoff limit reached"}]},
/// })).unwrap();
/// let health = check(&object);
/// assert_eq!((health.status, health.message.as_str()), (Status::Degraded, "backoff limit reached"));
/// ```
pub fn check(object: &Object) -> Health {
    check_with(object, &Rules::default(), StatusField::NotKnown)
}

/// Judges an object; the user's own rules come before the built-in ones. `field` decides about objects without a status
/// of kinds that no rule names.
///
/// # Guarantees
/// An object that is being deleted is Terminating, and one whose status is of an older generation is never Healthy,
/// whatever a rule says (unless the rule itself says `anyGeneration`).
pub fn check_with(object: &Object, own: &Rules, field: StatusField) -> Health {
    if let Some(health) = terminating(object) {
        return health;
    }
    if object.annotation(IGNORE) == Some("ignore") {
        let message = format!("not judged: {IGNORE} says ignore");
        return Health { status: Status::Unknown, message, ready: true };
    }
    let verdict = own.judge(object);
    let judge = built_in(object).filter(|_| matches!(verdict, Verdict::NoRule));
    let rules = if matches!(verdict, Verdict::NoRule) { rules::built_in() } else { own };
    if let Some(message) = fields::behind(object).filter(|_| !rules.any_generation(object)) {
        return progressing(message);
    }
    match (verdict, judge) {
        (Verdict::Is(health), _) => current(object, health, rules),
        (Verdict::Generic, _) => generic::check(object, true),
        (Verdict::NoRule, Some(judge)) => judge(object),
        (Verdict::NoRule, None) => match rules::built_in().judge(object) {
            Verdict::Is(health) => current(object, health, rules),
            Verdict::Generic => generic::check(object, true),
            Verdict::NoRule => generic::check(object, field == StatusField::Declared),
        },
    }
}

/// What a rule says counts only when Ready and its like are of this generation; Healthy only when all conditions are.
fn current(object: &Object, health: Health, rules: &Rules) -> Health {
    let older = match health.status {
        _ if rules.any_generation(object) => None,
        Status::Healthy => generic::older(object),
        _ => generic::summary_older(object),
    };
    older.map_or(health, progressing)
}

/// An object with a deletion time is on its way out, whatever its status says.
fn terminating(object: &Object) -> Option<Health> {
    object.value().pointer("/metadata/deletionTimestamp").filter(|time| !time.is_null())?;
    let finalizers: Vec<&str> =
        fields::list(object.value(), "/metadata/finalizers").iter().filter_map(serde_json::Value::as_str).collect();
    let message = match finalizers.as_slice() {
        [] => "is being deleted".to_owned(),
        finalizers => format!("is being deleted, held by {}", finalizers.join(", ")),
    };
    Some(Health::new(Status::Terminating, message))
}

/// The function of a kind whose state lies in counts, restart policies and annotations, or that has none.
fn built_in(object: &Object) -> Option<fn(&Object) -> Health> {
    let gvk = object.gvk();
    Some(match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps" | "extensions", "Deployment") => apps::deployment,
        ("apps", "StatefulSet") => apps::stateful_set,
        ("apps" | "extensions", "DaemonSet") => apps::daemon_set,
        ("apps" | "extensions", "ReplicaSet") | ("", "ReplicationController") => apps::replica_set,
        ("batch", "Job") => batch::job,
        ("batch", "CronJob") => batch::cron_job,
        ("", "Pod") => core::pod,
        ("", "Service") => core::service,
        ("", "Namespace") => core::namespace,
        ("", "Node") => core::node,
        ("", "ResourceQuota") => core::resource_quota,
        ("", "PersistentVolumeClaim") => storage::claim,
        ("", "PersistentVolume") => storage::volume,
        ("storage.k8s.io", "VolumeAttachment") => storage::attachment,
        ("networking.k8s.io" | "extensions", "Ingress") => core::ingress,
        ("policy", "PodDisruptionBudget") => core::pod_disruption_budget,
        ("autoscaling", "HorizontalPodAutoscaler") => scale::autoscaler,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::definition,
        ("apiregistration.k8s.io", "APIService") => crd::api_service,
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints" | "Event" | "PodTemplate")
        | ("apps", "ControllerRevision")
        | ("rbac.authorization.k8s.io", _)
        | ("networking.k8s.io", "NetworkPolicy" | "IngressClass" | "IPAddress")
        | ("discovery.k8s.io", "EndpointSlice")
        | (
            "storage.k8s.io",
            "StorageClass" | "CSIDriver" | "CSINode" | "CSIStorageCapacity" | "VolumeAttributesClass",
        )
        | ("scheduling.k8s.io", "PriorityClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("coordination.k8s.io", "Lease")
        | ("admissionregistration.k8s.io", _)
        | ("flowcontrol.apiserver.k8s.io", _)
        | ("events.k8s.io", "Event") => core::plain,
        _ => return None,
    })
}
