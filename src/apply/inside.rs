//! Looks at what a deletion would take along: the objects of a definition's kind, the content of a namespace.
//!
//! Neither is in anybody's plan, so neither goes: a definition or namespace that is not empty stays until it is. What
//! cannot be asked counts as "not empty".

use serde_json::Value;

use super::Target;
use crate::cluster::client::{Call, METADATA_LIST, Verb};
use crate::cluster::{Actor, Error, Resource};
use crate::object::{Gvk, ObjectId};

/// Objects of a list page; a namespace that is to go is near empty.
const PAGE: usize = 500;
/// Objects that a message names.
const NAMED: usize = 3;
/// What a cluster puts into every namespace by itself.
const FURNITURE: [(&str, &str, &str); 3] = [
    ("", "ServiceAccount", "default"),
    ("", "ConfigMap", "kube-root-ca.crt"),
    ("", "ConfigMap", "openshift-service-ca.crt"),
];

/// Why an object is not deleted although it is ours; `None` when nothing but itself would go.
pub(super) async fn in_use(target: Target<'_>, id: &ObjectId, live: &Value) -> Option<String> {
    match (id.group.as_str(), id.kind.as_str()) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") => of_definition(target, live).await,
        ("", "Namespace") => of_namespace(target, &id.name).await,
        _ => None,
    }
}

/// Objects of a kind are the same in all its versions: any version that is served shows them.
async fn of_definition(target: Target<'_>, live: &Value) -> Option<String> {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/spec/names/kind");
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let mut established = conditions.filter(|condition| condition.get("type") == Some(&"Established".into()));
    if !established.any(|condition| condition.get("status") == Some(&"True".into())) {
        // It was never served, so nobody could make an object of it.
        return None;
    }
    let versions = live.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = versions.into_iter().find(|version| version.get("served") == Some(&Value::Bool(true)));
    let Some(version) = served.and_then(|version| version.get("name")?.as_str()) else {
        return Some(format!("whether objects of kind {kind} exist cannot be told: no version of it is served"));
    };
    let path = format!("/apis/{}/{version}/{}?limit=1", text("/spec/group"), text("/spec/names/plural"));
    match list(target, path).await {
        Ok(page) if items(&page).next().is_none() => None,
        Ok(_) => Some(format!("objects of kind {kind} exist, and would go with it")),
        Err(error) => Some(format!("whether objects of kind {kind} exist cannot be told: {error}")),
    }
}

async fn of_namespace(target: Target<'_>, namespace: &str) -> Option<String> {
    let discovery = target.cluster.discovery();
    if let Some(group) = discovery.stale_groups.first() {
        return Some(format!("what it holds cannot be told: the server of {group} does not answer"));
    }
    let mut found = Vec::new();
    for resource in discovery.stored_in_namespaces() {
        // Events tell of what was; Endpoints go with their Service.
        if matches!(resource.gvk.kind.as_str(), "Event" | "Endpoints") {
            continue;
        }
        match contents(target, resource, namespace).await {
            Ok(names) => found.extend(names),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Some(format!("what it holds cannot be told: {error}")),
        }
        if found.len() > NAMED {
            break;
        }
    }
    let more = if found.len() > NAMED { " and more" } else { "" };
    found.truncate(NAMED);
    (!found.is_empty()).then(|| format!("it holds {}{more}, which would go with it", found.join(", ")))
}

/// What somebody put into a namespace: neither its furniture, nor what an owner takes along.
async fn contents(target: Target<'_>, resource: &Resource, namespace: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut more = String::new();
    loop {
        let page = list(target, format!("{}?limit={PAGE}{more}", resource.collection(namespace))).await?;
        let names = names(&page).filter(|name| !is_furniture(&resource.gvk, name));
        found.extend(names.map(|name| format!("{}/{name}", resource.gvk.kind)));
        match page.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(token) if !token.is_empty() && found.len() <= NAMED => {
                let token: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
                more = format!("&continue={token}");
            }
            _ => return Ok(found),
        }
    }
}

fn is_furniture(gvk: &Gvk, name: &str) -> bool {
    FURNITURE.contains(&(gvk.group.as_str(), gvk.kind.as_str(), name))
}

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page.get("items").and_then(Value::as_array).into_iter().flatten()
}

/// Names of the objects of a list that nobody owns.
fn names(page: &Value) -> impl Iterator<Item = &str> {
    let free = items(page).filter(|item| {
        let owners = item.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.is_none_or(Vec::is_empty)
    });
    free.filter_map(|item| item.pointer("/metadata/name")?.as_str())
}

async fn list(target: Target<'_>, path: String) -> Result<Value, Error> {
    let call = Call { verb: Verb::List, path, accept: METADATA_LIST, body: None, actor: &Actor::Own };
    target.cluster.client().send(&call).await.map(|reply| reply.value)
}
