//! Reads and writes single objects: every write of the program goes through here.

use serde_json::{Value, json};

use super::client::{Actor, Call, METADATA, Reply, Verb};
use super::error::{Error, Refusal};
use super::{Cluster, Resource};
use crate::diff::fields;
use crate::diff::marks::ID_ANNOTATION;
use crate::object::{Object, ObjectId};

const JSON: &str = "application/json";

/// Whether an apply may take fields from other managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// A field that others own makes it fail with a conflict.
    No,
    /// Fields are taken.
    Yes,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    Background,
    /// They stay, without an owner.
    Orphan,
}

impl Propagation {
    fn word(self) -> &'static str {
        match self {
            Propagation::Background => "Background",
            Propagation::Orphan => "Orphan",
        }
    }
}

/// The answer of an apply.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The object as it is now; only metadata when asked so.
    pub object: Value,
    /// It was not there before.
    pub created: bool,
    /// Warnings of the server.
    pub warnings: Vec<String>,
}

impl From<Reply> for Applied {
    fn from(reply: Reply) -> Self {
        Applied { object: reply.value, created: reply.status == 201, warnings: reply.warnings }
    }
}

impl Cluster {
    /// Reads an object; `None` when it is surely not there.
    ///
    /// # Errors
    /// Everything but "not found", which is an answer; a kind that is not served is an error.
    pub async fn get(&self, resource: &Resource, id: &ObjectId, actor: &Actor) -> Result<Option<Value>, Error> {
        let call =
            Call { verb: Verb::Get, path: resource.object(&id.namespace, &id.name), accept: JSON, body: None, actor };
        match self.client.send(&call).await {
            Ok(reply) => Ok(Some(reply.value)),
            Err(Error::Refused(refusal)) if refusal.code == 404 && !refusal.is_kind_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the server what creating an object would give: finds every unknown field, and whether the object exists.
    ///
    /// # Errors
    /// 409 with reason `AlreadyExists` when the object is there; everything else the server says.
    pub async fn dry_run_create(
        &self,
        resource: &Resource,
        object: &Object,
        manager: &str,
        actor: &Actor,
    ) -> Result<Applied, Error> {
        let path = resource.collection(object.namespace());
        let path = format!("{path}?dryRun=All&fieldValidation=Strict&fieldManager={}", encode(manager));
        let call = Call { verb: Verb::Create, path, accept: JSON, body: Some(object.value()), actor };
        self.client.send(&call).await.map(Applied::from)
    }

    /// Asks the server what an apply would give. The object carries the uid it must have, if it must have one.
    ///
    /// # Errors
    /// Conflicts when not forced; everything else the server says.
    pub async fn dry_run_apply(
        &self,
        resource: &Resource,
        object: &Object,
        manager: &str,
        force: Force,
        actor: &Actor,
    ) -> Result<Applied, Error> {
        self.send_apply(
            resource,
            object,
            &format!("{}&dryRun=All&fieldValidation=Strict", query(manager, force)),
            JSON,
            actor,
        )
        .await
    }

    /// Applies an object.
    ///
    /// # Errors
    /// Conflicts when not forced; everything else the server says.
    pub async fn apply(
        &self,
        resource: &Resource,
        object: &Object,
        manager: &str,
        force: Force,
        answer: Answer,
        actor: &Actor,
    ) -> Result<Applied, Error> {
        let accept = match answer {
            Answer::Object => JSON,
            Answer::Metadata => METADATA,
        };
        self.send_apply(resource, object, &query(manager, force), accept, actor).await
    }

    async fn send_apply(
        &self,
        resource: &Resource,
        object: &Object,
        query: &str,
        accept: &str,
        actor: &Actor,
    ) -> Result<Applied, Error> {
        let path = format!("{}?{query}", resource.object(object.namespace(), object.name()));
        let call = Call { verb: Verb::Apply, path, accept, body: Some(object.value()), actor };
        self.client.send(&call).await.map(Applied::from)
    }

    /// Deletes an object if it still has this uid and this resourceVersion.
    ///
    /// Returns whether it is gone at once; an object with finalizers goes later.
    ///
    /// # Errors
    /// A precondition that does not hold is a 409; an object that is not there counts as gone.
    pub async fn delete(
        &self,
        resource: &Resource,
        id: &ObjectId,
        uid: &str,
        resource_version: &str,
        propagation: Propagation,
        actor: &Actor,
    ) -> Result<bool, Error> {
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.word(),
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        });
        let call = Call {
            verb: Verb::Delete,
            path: resource.object(&id.namespace, &id.name),
            accept: JSON,
            body: Some(&body),
            actor,
        };
        match self.client.send(&call).await {
            Ok(reply) => Ok(reply.value.get("kind").and_then(Value::as_str) == Some("Status")),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Removes the managed-fields entries of predecessors, and renames entries of our own other units to `manager`, so
    /// that fields which later leave Git leave the object too. Does nothing when there are none.
    ///
    /// # Errors
    /// 409 when the object was written since `live` was read.
    pub async fn take_over_entries(
        &self,
        resource: &Resource,
        live: &Value,
        manager: &str,
        actor: &Actor,
    ) -> Result<Option<Value>, Error> {
        let Some(entries) = live.pointer("/metadata/managedFields").and_then(Value::as_array) else { return Ok(None) };
        let mut kept = Vec::with_capacity(entries.len());
        let mut changed = false;
        for entry in entries {
            let name = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
            if entry.get("subresource").is_none() && name != manager && crate::diff::marks::is_ours(name) {
                let mut entry = entry.clone();
                entry["manager"] = json!(manager);
                kept.push(entry);
                changed = true;
            } else if entry.get("subresource").is_none() && is_predecessor(name) {
                changed = true;
            } else {
                kept.push(entry.clone());
            }
        }
        if !changed {
            return Ok(None);
        }
        let holds_ours = kept.iter().any(|entry| entry.get("manager").and_then(Value::as_str) == Some(manager));
        if !holds_ours {
            // An object without any entry would get one called `before-first-apply` that claims all its fields.
            kept.push(json!({
                "manager": manager, "operation": "Apply", "apiVersion": live.get("apiVersion"),
                "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": {(format!("f:{ID_ANNOTATION}")): {}}}},
            }));
        }
        let last_applied = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
        let end = live.pointer(last_applied).map(|_| json!({"op": "remove", "path": last_applied}));
        self.write_claims(resource, live, kept, end, manager, actor).await.map(Some)
    }

    /// Rewrites claims that were made in other versions of an object's kind to the version that it is written in now.
    ///
    /// # Errors
    /// 409 when the object was written since `live` was read.
    pub async fn update_claims(
        &self,
        resource: &Resource,
        live: &Value,
        manager: &str,
        actor: &Actor,
    ) -> Result<Value, Error> {
        let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
        let of_this_version = |mut entry: Value| {
            entry["apiVersion"] = json!(resource.gvk.api_version());
            entry
        };
        let entries = entries.into_iter().map(of_this_version).collect();
        self.write_claims(resource, live, entries, None, manager, actor).await
    }

    /// Replaces the managed fields of an object, if it is still as it was read.
    async fn write_claims(
        &self,
        resource: &Resource,
        live: &Value,
        entries: Vec<Value>,
        more: Option<Value>,
        manager: &str,
        actor: &Actor,
    ) -> Result<Value, Error> {
        let version = live.pointer("/metadata/resourceVersion");
        // A replaced resourceVersion makes the server compare it, and its refusal can be told from others.
        let mut patch = vec![
            json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
            json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
        ];
        patch.extend(more);
        let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let path = resource.object(text("/metadata/namespace"), text("/metadata/name"));
        let body = Value::Array(patch);
        let call = Call {
            verb: Verb::Patch,
            path: format!("{path}?fieldManager={}", encode(manager)),
            accept: JSON,
            body: Some(&body),
            actor,
        };
        self.client.send(&call).await.map(|reply| reply.value)
    }

    /// Sends a request for an object of bowline's own, such as a record or a Lease, and returns the object.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn own(&self, verb: Verb, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let call = Call { verb, path: path.to_owned(), accept: JSON, body, actor: &Actor::Own };
        self.client.send(&call).await.map(|reply| reply.value)
    }
}

/// How much of the object an apply answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All of it, for health.
    Object,
    /// Metadata alone.
    Metadata,
}

/// Client-side tools whose objects may be adopted: what they said before is no longer anybody's claim.
pub fn is_predecessor(manager: &str) -> bool {
    manager == "before-first-apply" || manager == "helm" || manager == "Helm" || manager.starts_with("kubectl")
}

/// Other tools that hold objects for their owners from Git: two such tools on one object never end well.
pub fn is_other_tool(manager: &str) -> bool {
    ["argocd-", "kustomize-controller", "helm-controller", "kapp", "fleet", "kluctl", "configsync"]
        .iter()
        .any(|tool| manager.starts_with(tool))
}

/// Controllers that own a field of other people's objects by design, such as autoscalers.
pub fn is_autoscaler(manager: &str, subresource: &str) -> bool {
    let manager = manager.to_ascii_lowercase();
    (subresource == "scale" && !manager.starts_with("kubectl"))
        || ["horizontal-pod-autoscaler", "hpa", "keda", "vpa"].iter().any(|name| manager.starts_with(name))
}

/// Drops fields from a payload that were left to their owners.
pub fn without_fields(object: &Object, dropped: &[crate::diff::FieldConflict]) -> Object {
    let mut object = object.clone();
    for conflict in dropped {
        fields::remove_conflicting(object.value_mut(), &conflict.field);
    }
    object
}

fn query(manager: &str, force: Force) -> String {
    format!("fieldManager={}&force={}", encode(manager), force == Force::Yes)
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The message for people of a refusal, with its way out.
pub fn explain(refusal: &Refusal, id: &ObjectId) -> crate::diff::change::Failure {
    let mut message = refusal.to_string();
    let mut hint = String::new();
    if id.kind == "Secret" && id.group.is_empty() && matches!(refusal.code, 400 | 422 | 500) {
        // Messages of the server may quote values.
        let named: Vec<&str> =
            refusal.causes.iter().map(|cause| cause.field.as_str()).filter(|field| !field.is_empty()).collect();
        message = if named.is_empty() {
            format!(
                "the server refuses the Secret (HTTP {}); its message is withheld because it may quote values",
                refusal.code
            )
        } else {
            format!("the server refuses these fields of the Secret: {}", named.join(", "))
        };
    }
    if refusal.is_namespace_terminating() {
        hint = "the namespace is being deleted: remove what holds it (finalizers), or take it out of Git".to_owned();
    } else if refusal.code == 403 && refusal.message.contains("exceeded quota") {
        hint = "raise the ResourceQuota of the namespace or ask for less".to_owned();
    } else if refusal.code == 403 && refusal.message.contains("cannot impersonate") {
        hint = "bowline's own account may not impersonate this service account: see deploy/rbac.yaml".to_owned();
    } else if refusal.code == 403 {
        hint = "grant the verb to the account, see deploy/rbac.yaml".to_owned();
    } else if refusal.message.contains("denied request") {
        hint = "an admission policy refuses the object: change it, or the policy".to_owned();
    } else if refusal.is_immutable() {
        hint = "the field cannot be changed in place: give the object another name, or delete it by hand".to_owned();
    } else if refusal.is_temporary() {
        hint = "it is tried again with back-off".to_owned();
    }
    crate::diff::change::Failure { message, hint, temporary: refusal.is_temporary() }
}
