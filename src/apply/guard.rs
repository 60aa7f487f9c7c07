//! Asks a live object whether it may be deleted: the answers that the object itself gives.
//!
//! Pure. The record has said that it is ours and that Git no longer wants it; here everything has to agree once more.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diff::marks::{manager, unit_of};
use crate::diff::{Entry, fields};
use crate::object::{Object, ObjectId};
use crate::unit::UnitName;

/// Namespaces that are never deleted.
const PROTECTED: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];

/// Words of other tools for "leave it when it is no longer wanted", and ours. They count as annotations and as labels (Flux
/// reads both), without regard to case and surrounding space (Helm and Flux compare so): in doubt an object stays.
const KEEPS: [(&str, &str); 6] = [
    ("helm.sh/resource-policy", "keep"),
    ("cli-utils.sigs.k8s.io/on-remove", "keep"),
    ("client.lifecycle.config.k8s.io/deletion", "detach"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ("bowline.dev/prune", "keep"),
];

/// Argo CD's words; several may stand in one annotation. `confirm` asks a person in Argo CD's own way, which nobody can
/// answer here.
const ARGO: &str = "argocd.argoproj.io/sync-options";
const ARGO_KEEPS: [&str; 4] = ["Prune=false", "Prune=confirm", "Delete=false", "Delete=confirm"];

/// What a live object says to its own deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing against it.
    Yes,
    /// It stays for good, and why; it is listed as an orphan.
    Keep(String),
    /// What the record means is not there any more, and why: nothing of ours is left to list.
    NotOurs(String),
    /// Not now, and why.
    Wait(String, String),
}

/// What a deletion must know besides the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    /// The unit whose record holds the object.
    pub(super) unit: &'a UnitName,
    /// bowline's own namespace.
    pub(super) own_namespace: &'a str,
    /// Uids of objects that the unit wants, under whatever name: one object may be served in two groups.
    pub(super) wanted: &'a BTreeSet<String>,
}

/// Whether an object of the inventory may be deleted, as far as it says itself.
pub(super) fn ask(case: Case<'_>, entry: &Entry, live: &Value) -> Answer {
    let Ok(object) = Object::new(live.clone()) else {
        return Answer::Wait("what the server shows of it cannot be read".to_owned(), String::new());
    };
    if is_protected(&entry.id, case.own_namespace) {
        return Answer::Keep("is a namespace that bowline never deletes".to_owned());
    }
    if !entry.uid().is_empty() && entry.uid() != object.uid() {
        return Answer::NotOurs("was replaced by another object of the same name, which is not bowline's".to_owned());
    }
    if case.wanted.contains(object.uid()) {
        return Answer::NotOurs("is the same object as one that is wanted, in another group".to_owned());
    }
    match unit_of(&object) {
        Some(unit) if unit == *case.unit => {}
        Some(unit) => return Answer::NotOurs(format!("belongs to unit {unit} now")),
        None => return Answer::Keep("no longer carries the mark of this unit".to_owned()),
    }
    if fields::applied(live, &manager(case.unit)).is_none() {
        return Answer::Keep("holds no field of bowline's any more".to_owned());
    }
    if let Some(why) = kept(&object).or_else(|| controlled(live)) {
        return Answer::Keep(why);
    }
    if object.annotation("bowline.dev/reconcile") == Some("disabled") {
        return Answer::Wait(
            "is stopped by the annotation bowline.dev/reconcile: disabled".to_owned(),
            "remove the annotation to let bowline go on".to_owned(),
        );
    }
    Answer::Yes
}

/// Whether an object is one of the namespaces that no commit takes away.
pub(super) fn is_protected(id: &ObjectId, own_namespace: &str) -> bool {
    id.kind == "Namespace" && id.group.is_empty() && (PROTECTED.contains(&&*id.name) || id.name == own_namespace)
}

fn kept(object: &Object) -> Option<String> {
    for (key, word) in KEEPS {
        let written = [object.annotation(key), object.label(key)].into_iter().flatten();
        if let Some(written) = written.into_iter().find(|written| written.trim().eq_ignore_ascii_case(word)) {
            return Some(format!("is kept by {key}: {written}"));
        }
    }
    let options = object.annotation(ARGO)?.split(',').map(str::trim);
    let keeps = |option: &&str| ARGO_KEEPS.iter().any(|keep| option.eq_ignore_ascii_case(keep));
    options.into_iter().find(keeps).map(|option| format!("is kept by {ARGO}: {option}"))
}

fn controlled(live: &Value) -> Option<String> {
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let controller = owners.into_iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    let text = |field: &str| controller.get(field).and_then(Value::as_str).unwrap_or_default();
    Some(format!("belongs to {}/{} now", text("kind"), text("name")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::marks::marked;
    use crate::diff::{Digest, Seen, State};
    use crate::render::Policy;

    fn unit() -> UnitName {
        UnitName::namespace("main", "dev")
    }

    /// A live object of the unit, changed by `change`, and what it says.
    fn answer(change: impl FnOnce(&mut Value)) -> Answer {
        let object = Object::new(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "a", "namespace": "dev", "uid": "u", "labels": {}, "annotations": {},
                "managedFields": [{"manager": manager(&unit()), "operation": "Apply", "fieldsV1": {}}],
            },
        }));
        let mut live = marked(&object.unwrap(), &unit()).into_value();
        let entry = Entry {
            id: ObjectId::from_key("/ConfigMap/dev/a").unwrap(),
            api_version: "v1".into(),
            state: State::Pruning,
            seen: Some(Seen::of(&live, &manager(&unit()))),
            desired: Digest::default(),
            adopted: false,
            since: 1,
            note: String::new(),
            policy: Policy::default(),
        };
        change(&mut live);
        let wanted = BTreeSet::from(["wanted".to_owned()]);
        ask(Case { unit: &unit(), own_namespace: "bowline-system", wanted: &wanted }, &entry, &live)
    }

    #[test]
    fn nothing_speaks_for_an_object_that_is_as_it_was_applied() {
        assert_eq!(answer(|_| ()), Answer::Yes);
    }

    #[test]
    fn the_words_of_all_tools_keep_an_object() {
        let words = [
            ("helm.sh/resource-policy", " Keep "),
            ("cli-utils.sigs.k8s.io/on-remove", "keep"),
            ("client.lifecycle.config.k8s.io/deletion", "detach"),
            ("kustomize.toolkit.fluxcd.io/prune", "Disabled"),
            ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
            ("bowline.dev/prune", "keep"),
            ("argocd.argoproj.io/sync-options", "ServerSideApply=true, Prune=false"),
            ("argocd.argoproj.io/sync-options", "Prune=confirm"),
            ("argocd.argoproj.io/sync-options", "Delete=false"),
        ];
        for (key, word) in words {
            let answer = answer(|live| live["metadata"]["annotations"][key] = json!(word));
            assert!(matches!(&answer, Answer::Keep(why) if why.contains(key)), "{key}: {word}: {answer:?}");
        }
        let flux = answer(|live| live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/prune"] = json!("disabled"));
        assert!(matches!(flux, Answer::Keep(_)), "Flux reads labels too: {flux:?}");
        let other = answer(|live| live["metadata"]["annotations"]["helm.sh/resource-policy"] = json!("delete"));
        assert_eq!(other, Answer::Yes);
    }

    #[test]
    fn record_annotation_and_manager_must_agree() {
        let replaced = answer(|live| live["metadata"]["uid"] = json!("other"));
        assert!(matches!(replaced, Answer::NotOurs(_)), "{replaced:?}");
        let copied = answer(|live| {
            live["metadata"]["annotations"]["bowline.dev/id"] = json!("main/dev;/ConfigMap/dev/original");
        });
        assert!(matches!(copied, Answer::Keep(_)), "{copied:?}");
        let moved = answer(|live| {
            live["metadata"]["annotations"]["bowline.dev/id"] = json!("main/dev/app;/ConfigMap/dev/a");
        });
        assert_eq!(moved, Answer::NotOurs("belongs to unit main/dev/app now".into()));
        let cleared = answer(|live| live["metadata"]["managedFields"] = json!([{}]));
        assert!(matches!(cleared, Answer::Keep(_)), "{cleared:?}");
        let controlled = answer(|live| {
            live["metadata"]["ownerReferences"] = json!([{"kind": "Widget", "name": "w", "controller": true}]);
        });
        assert_eq!(controlled, Answer::Keep("belongs to Widget/w now".into()));
        let stopped = answer(|live| live["metadata"]["annotations"]["bowline.dev/reconcile"] = json!("disabled"));
        assert!(matches!(stopped, Answer::Wait(..)), "{stopped:?}");
    }

    #[test]
    fn an_object_that_is_wanted_in_another_group_is_not_deleted() {
        let object =
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "a", "namespace": "dev", "uid": "u"}});
        let entry = Entry {
            id: ObjectId::from_key("/Event/dev/a").unwrap(),
            api_version: "v1".into(),
            state: State::Pruning,
            seen: None,
            desired: Digest::default(),
            adopted: false,
            since: 1,
            note: String::new(),
            policy: Policy::default(),
        };
        let wanted = BTreeSet::from(["u".to_owned()]);
        let case = Case { unit: &unit(), own_namespace: "bowline-system", wanted: &wanted };
        assert!(matches!(ask(case, &entry, &object), Answer::NotOurs(_)));
    }

    #[test]
    fn the_namespaces_of_the_system_and_our_own_are_never_deleted() {
        for (name, protected) in [("kube-system", true), ("default", true), ("bowline-system", true), ("dev", false)] {
            let id = ObjectId::from_key(&format!("/Namespace//{name}")).unwrap();
            assert_eq!(is_protected(&id, "bowline-system"), protected, "{name}");
        }
    }
}
