//! Fields that cannot be changed in place, and which objects may be deleted and made anew for that.
//!
//! All of this must hold, because each alone has cost somebody an object: Git says so on the object itself
//! (`bowline.dev/recreate`); the kind is in the table; every cause that the server names is a field of that kind's
//! row, so that an object which is merely invalid is not lost; and the server would accept ours as a new object, asked under
//! a temporary name.

use serde_json::Value;

use super::objects::explain;
use super::observe::{Look, set_uid};
use super::{Error, Refusal, Resource};
use crate::diff::change::{Failure, Replacement};
use crate::diff::marks::manager;
use crate::diff::{Digest, Observation};
use crate::object::{Object, ObjectId};

/// What becomes of what an object owns when it is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependents {
    /// It has none that matter, or they go with it.
    Go,
    /// They stay when the new object selects them, else they go: nobody would ever look after them.
    StayIfSelected,
    /// They must stay: their storage and names belong to them.
    MustStay,
}

/// Kinds that may be made anew: group, kind, the fields that are worth it, and what becomes of their dependents.
const TABLE: [(&str, &str, &[&str], Dependents); 11] = [
    (
        "batch",
        "Job",
        &[
            "spec.template",
            "spec.selector",
            "spec.completions",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.successPolicy",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
        ],
        Dependents::Go,
    ),
    ("", "Pod", &["spec"], Dependents::Go),
    ("rbac.authorization.k8s.io", "RoleBinding", &["roleRef"], Dependents::Go),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["roleRef"], Dependents::Go),
    ("apps", "Deployment", &["spec.selector"], Dependents::StayIfSelected),
    ("apps", "DaemonSet", &["spec.selector"], Dependents::StayIfSelected),
    ("apps", "ReplicaSet", &["spec.selector"], Dependents::StayIfSelected),
    ("apps", "StatefulSet", &["spec"], Dependents::MustStay),
    ("networking.k8s.io", "IngressClass", &["spec.controller"], Dependents::Go),
    (
        "storage.k8s.io",
        "StorageClass",
        &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
        Dependents::Go,
    ),
    ("", "Service", &["spec.clusterIP", "spec.clusterIPs"], Dependents::Go),
];

impl Look<'_> {
    /// An object of ours with a field that the server does not let us change.
    pub(super) async fn immutable(
        &self,
        resource: &Resource,
        payload: &Object,
        live: Value,
        refusal: &Refusal,
    ) -> Observation {
        let mut failure = explain(refusal, &self.id);
        let (fields, keeps_dependents) = match replaceable(&self.id, &live, payload.value(), refusal) {
            Ok(how) => how,
            Err(why) => {
                if self.item.policy.recreate {
                    failure.message = format!("{}; it is not made anew: {why}", failure.message);
                }
                return Observation::Immutable(failure);
            }
        };
        if !self.item.policy.recreate {
            "the field cannot be changed in place: give the object another name, or let it be deleted and made anew with the \
             annotation bowline.dev/recreate: \"true\""
                .clone_into(&mut failure.hint);
            return Observation::Immutable(failure);
        }
        if self.entry.is_some_and(|entry| entry.adopted) {
            let message = format!("{}; it was there before bowline, which never deletes it", failure.message);
            let hint = "delete it by hand: it is made anew at once".to_owned();
            return Observation::Immutable(Failure { message, hint, temporary: false });
        }
        match self.as_new(resource, payload).await {
            Ok(result) => {
                let dependents =
                    if keeps_dependents { "what it owns stays and is taken over" } else { "what it owns goes" };
                let why = format!("{fields} cannot be changed in place: it is deleted and made anew; {dependents}");
                Observation::Replaced(Box::new(Replacement { live, result, why, keeps_dependents }))
            }
            Err(Error::Refused(refusal)) => {
                let Failure { message, hint, temporary } = explain(&refusal, &self.id);
                let message = format!("is not made anew, because the server would not take it: {message}");
                Observation::Failed(Failure { message, hint, temporary })
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Asks the server what it would make of ours as a new object; the old one is in the way of its name.
    async fn as_new(&self, resource: &Resource, payload: &Object) -> Result<Value, Error> {
        let mut fresh = payload.clone();
        set_uid(&mut fresh, "");
        let name = format!("bowline-check-{}", Digest::of(self.id.key().as_bytes()));
        let value = fresh.value_mut();
        value["metadata"]["name"] = Value::String(name);
        for port in value.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
            // The old Service still holds them.
            port.as_object_mut().map(|port| port.remove("nodePort"));
        }
        let applied = self.cluster.dry_run_create(resource, &fresh, &manager(self.unit), self.actor).await?;
        let mut result = applied.object;
        result["metadata"]["name"] = Value::String(self.id.name.clone());
        Ok(result)
    }
}

/// Whether an object may be made anew because of a refusal: which fields want it, and whether its dependents stay; or why not.
fn replaceable(id: &ObjectId, live: &Value, wanted: &Value, refusal: &Refusal) -> Result<(String, bool), String> {
    let row = TABLE.iter().find(|(group, kind, ..)| *group == id.group && *kind == id.kind);
    let Some((_, _, fields, dependents)) = row else {
        return Err(format!("a {} is never deleted for that", id.kind));
    };
    let is_of_row = |field: &str| {
        fields
            .iter()
            .any(|known| field.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    };
    if let Some(other) = refusal.causes.iter().find(|cause| !is_of_row(&cause.field)) {
        return Err(format!("a change of {} is not worth it", other.field));
    }
    let mut names: Vec<&str> = refusal.causes.iter().map(|cause| cause.field.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let selected = selects(wanted, live);
    match dependents {
        Dependents::Go => Ok((names.join(", "), false)),
        Dependents::StayIfSelected => Ok((names.join(", "), selected)),
        Dependents::MustStay if selected => Ok((names.join(", "), true)),
        Dependents::MustStay => Err("its new selector does not match its pods".to_owned()),
    }
}

/// Whether the wanted workload's selector matches the pods of the live one.
fn selects(wanted: &Value, live: &Value) -> bool {
    let labels = live.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let selector = wanted.pointer("/spec/selector").and_then(Value::as_object);
    let (Some(labels), Some(selector)) = (labels, selector) else { return false };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let matches = selector.get("matchLabels").and_then(Value::as_object);
    !expressions && matches.is_some_and(|matches| matches.iter().all(|(key, value)| labels.get(key) == Some(value)))
}
