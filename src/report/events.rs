//! Tells the cluster's people what happened, as Kubernetes Events.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::client::Verb;
use crate::object::ObjectId;
use crate::unit::UnitName;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What an event is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The object.
    pub id: ObjectId,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its uid, when it is known.
    pub uid: String,
}

impl Subject {
    /// The Namespace of a unit, or bowline's own for cluster units.
    pub fn namespace_of(unit: &UnitName, own: &str) -> Self {
        let name = if unit.namespace.is_empty() { own } else { &unit.namespace };
        Subject {
            id: ObjectId {
                group: String::new(),
                kind: "Namespace".to_owned(),
                namespace: String::new(),
                name: name.to_owned(),
            },
            api_version: "v1".to_owned(),
            uid: String::new(),
        }
    }

    /// A Lease of bowline's own.
    pub fn lease(own: &str, name: &str) -> Self {
        Subject {
            id: ObjectId {
                group: "coordination.k8s.io".to_owned(),
                kind: "Lease".to_owned(),
                namespace: own.to_owned(),
                name: name.to_owned(),
            },
            api_version: "coordination.k8s.io/v1".to_owned(),
            uid: String::new(),
        }
    }
}

/// Sends one event; a cluster that does not take it is not a reason to fail.
pub async fn send(
    cluster: &Cluster,
    own: &str,
    unit: &UnitName,
    subject: &Subject,
    weight: Weight,
    reason: &str,
    message: &str,
) {
    let namespace = match (subject.id.namespace.as_str(), unit.namespace.as_str()) {
        ("", "") => own,
        ("", namespace) | (namespace, _) => namespace,
    };
    let event = event(namespace, &unit.to_string(), subject, weight, reason, message);
    let path = format!("/api/v1/namespaces/{namespace}/events");
    if let Err(error) = cluster.own(Verb::Create, &path, Some(&event)).await {
        tracing::debug!(%unit, %error, "the event was not taken");
    }
}

/// Sends one event about the program itself, from its own namespace; `instance` is who says it.
pub async fn send_own(cluster: &Cluster, own: &str, instance: &str, subject: &Subject, reason: &str, message: &str) {
    let event = event(own, instance, subject, Weight::Normal, reason, message);
    let path = format!("/api/v1/namespaces/{own}/events");
    if let Err(error) = cluster.own(Verb::Create, &path, Some(&event)).await {
        tracing::debug!(%error, "the event was not taken");
    }
}

fn event(namespace: &str, instance: &str, subject: &Subject, weight: Weight, reason: &str, message: &str) -> Value {
    let now = jiff::Timestamp::now();
    let mut message = message.to_owned();
    if message.len() > 1000 {
        let end = (0..=1000).rev().find(|place| message.is_char_boundary(*place)).unwrap_or(0);
        message.truncate(end);
        message.push_str(" ...");
    }
    let seconds = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // The server takes an event only if both namespaces are equal (measured on 1.36), also when the object has none.
    let of_object = if subject.id.namespace.is_empty() { namespace } else { &subject.id.namespace };
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": "bowline-", "namespace": namespace},
        "involvedObject": {
            "apiVersion": subject.api_version, "kind": subject.id.kind, "name": subject.id.name,
            "namespace": of_object, "uid": subject.uid,
        },
        "type": if weight == Weight::Normal { "Normal" } else { "Warning" },
        "reason": reason, "message": message, "action": "Reconcile",
        "source": {"component": "bowline"}, "reportingComponent": "bowline", "reportingInstance": instance,
        "firstTimestamp": seconds, "lastTimestamp": seconds, "count": 1,
    })
}
