//! Asks the objects around a workload why it is not ready: its pods, their ReplicaSets, what its controller wrote.
//!
//! Requests are sent for a workload that is not ready a while after it was written, and for no other.

use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::client::{Actor, Call, Verb};
use super::{Cluster, Resource};
use crate::health::{Cause, cause};
use crate::object::{Gvk, Object, ObjectId};

/// Related objects read of one kind: the cause is told by any of them.
const AT_MOST: usize = 200;

/// Why a workload does not get ready, as its pods or its controller say; `None` for other kinds, when nothing is known
/// that speaks against waiting on, and when the account may not look.
pub async fn find(cluster: &Cluster, id: &ObjectId, actor: &Actor) -> Option<Cause> {
    let api_version = match (id.group.as_str(), id.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet") => "apps/v1",
        ("batch", "Job") => "batch/v1",
        _ => return None,
    };
    let resource = cluster.resource(&Gvk::new(api_version, &id.kind)).await?;
    let workload = Object::new(cluster.get(&resource, id, actor).await.ok()??).ok()?;
    let labels = selector(workload.value().pointer("/spec/selector")?)?;
    let by_label = format!("labelSelector={}", byte_serialize(labels.as_bytes()).collect::<String>());
    let mut related = list(cluster, &Gvk::new("v1", "Pod"), id, &by_label, actor).await;
    if id.kind == "Deployment" {
        related.extend(list(cluster, &Gvk::new("apps/v1", "ReplicaSet"), id, &by_label, actor).await);
    } else {
        let about = format!("involvedObject.kind={},involvedObject.name={}", id.kind, id.name);
        related.extend(events(cluster, id, &about, actor).await);
    }
    if related.iter().any(waits_for_a_claim) {
        related.extend(list(cluster, &Gvk::new("v1", "PersistentVolumeClaim"), id, "", actor).await);
        related.extend(events(cluster, id, "involvedObject.kind=PersistentVolumeClaim", actor).await);
    }
    cause(&workload, &related)
}

/// Whether a pod has no node yet and names a claim, which may be why.
fn waits_for_a_claim(pod: &Object) -> bool {
    let spec = |pointer: &str| pod.value().pointer(pointer);
    let volumes = spec("/spec/volumes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    pod.kind() == "Pod"
        && spec("/spec/nodeName").is_none()
        && volumes.iter().any(|volume| volume.get("persistentVolumeClaim").is_some())
}

async fn events(cluster: &Cluster, id: &ObjectId, fields: &str, actor: &Actor) -> Vec<Object> {
    let query = format!("fieldSelector={}", byte_serialize(fields.as_bytes()).collect::<String>());
    list(cluster, &Gvk::new("v1", "Event"), id, &query, actor).await
}

/// The objects of a kind beside `id`; none when they cannot be read, since a cause is only a help.
async fn list(cluster: &Cluster, gvk: &Gvk, id: &ObjectId, query: &str, actor: &Actor) -> Vec<Object> {
    let Some(resource) = cluster.resource(gvk).await else { return Vec::new() };
    let path = format!("{}?limit={AT_MOST}&{query}", resource.collection(&id.namespace));
    let call = Call { verb: Verb::List, path, accept: "application/json", body: None, actor };
    match cluster.client().send(&call).await {
        Ok(reply) => items(reply.value, &resource),
        Err(_) => Vec::new(),
    }
}

/// The items of a list, each with the kind that only the list itself states.
fn items(mut list: Value, resource: &Resource) -> Vec<Object> {
    let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else { return Vec::new() };
    let full = items.into_iter().filter_map(|mut item| {
        let fields = item.as_object_mut()?;
        fields.insert("apiVersion".to_owned(), resource.gvk.api_version().into());
        fields.insert("kind".to_owned(), resource.gvk.kind.clone().into());
        Object::new(item).ok()
    });
    full.collect()
}

/// A LabelSelector as a query; `None` when it selects nothing in particular.
fn selector(selector: &Value) -> Option<String> {
    let mut parts = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        parts.push(format!("{key}={}", value.as_str()?));
    }
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = expression.get("key")?.as_str()?;
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match expression.get("operator")?.as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::selector;

    #[test]
    fn a_selector_becomes_a_query() {
        let all = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"},
                {"key": "zone", "operator": "NotIn", "values": ["x"]}, {"key": "team", "operator": "Exists"},
            ],
        });
        assert_eq!(selector(&all).unwrap(), "app=web,tier in (a,b),!old,zone notin (x),team");
        assert_eq!(selector(&json!({})), None, "it would list every pod of the namespace");
        assert_eq!(selector(&json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})), None);
    }
}
