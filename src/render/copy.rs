//! Copies a live object of another namespace: what makes it that one object stays behind.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Lookup;
use crate::load::{CopyFrom, Lenient, Manifest, Overrides, Pattern, tidy};
use crate::object::Object;
use crate::unit::{Origin, Problem};

/// Annotation by which the owner of an object lets other teams' lists copy it: names or patterns of namespaces.
const COPY_TO: &str = "bowline.dev/copy-to";

/// Labels and annotations that belong to whoever made the original.
const FOREIGN: [&str; 13] = [
    "app.kubernetes.io/managed-by",
    "argocd.argoproj.io/",
    "bowline.dev/",
    "control-plane.alpha.kubernetes.io/",
    "deployment.kubernetes.io/",
    "helm.sh/",
    "kubectl.kubernetes.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/",
];

/// What came of looking for the object to copy.
pub(super) enum Source {
    /// The copy, and the namespaces that its owner allows; `None`: all.
    Found(Arc<Manifest>, Option<Vec<Pattern>>),
    /// It must not be copied.
    Refused(Problem),
    /// It is not there.
    Absent,
    /// Nobody knows; the text says why.
    Unknown(String),
}

/// Makes a copy of a live object. For `tenant`, a list that acts under an account of its own, the owner must have allowed it:
/// bowline reads the object with its own rights.
pub(super) fn source(copy: &CopyFrom, found: Lookup, origin: &Origin, tenant: bool) -> Source {
    let object = match found {
        Lookup::Found(object) => object,
        Lookup::Absent => return Source::Absent,
        Lookup::Unknown(why) => return Source::Unknown(why),
    };
    let refused = |message: String, hint: &str| {
        Source::Refused(Problem::new(origin.clone(), format!("{}: {message}", copy.id)).with_hint(hint))
    };
    if object.value().get("type").and_then(Value::as_str) == Some("kubernetes.io/service-account-token") {
        return refused("is a token of a service account and is of no use elsewhere".to_owned(), "");
    }
    let granted = match (tenant, object.annotation(COPY_TO)) {
        (false, _) => None,
        (true, None) => {
            let message = "its owner does not let other teams copy it".to_owned();
            return refused(message, "annotate the original with bowline.dev/copy-to: the namespaces that may have it");
        }
        (true, Some(text)) => {
            let patterns: Result<Vec<Pattern>, String> =
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Pattern::new).collect();
            match patterns {
                Ok(patterns) => Some(patterns),
                Err(reason) => return refused(format!("{COPY_TO}: `{text}` {reason}"), "correct the annotation"),
            }
        }
    };
    Source::Found(Arc::new(stripped(copy, *object, origin)), granted)
}

fn stripped(copy: &CopyFrom, object: Object, origin: &Origin) -> Manifest {
    let mut value = object.into_value();
    if let Some(root) = value.as_object_mut() {
        root.remove("status");
        let metadata = root.remove("metadata").unwrap_or_default();
        let mut kept = Map::new();
        for name in ["name", "labels", "annotations"] {
            let Some(mut field) = metadata.get(name).cloned() else { continue };
            if let Some(entries) = field.as_object_mut() {
                entries.retain(|key, _| !FOREIGN.iter().any(|foreign| key.starts_with(foreign)));
                if entries.is_empty() {
                    continue;
                }
            }
            kept.insert(name.to_owned(), field);
        }
        root.insert("metadata".to_owned(), Value::Object(kept));
        match copy.gvk.kind.as_str() {
            "ServiceAccount" => drop(root.remove("secrets")),
            "Service" => remove_below(root, &["clusterIP", "clusterIPs", "healthCheckNodePort"]),
            "PersistentVolumeClaim" => remove_below(root, &["volumeName"]),
            "Pod" => remove_below(root, &["nodeName"]),
            _ => {}
        }
    }
    if let Some(ports) =
        value.pointer_mut("/spec/ports").and_then(Value::as_array_mut).filter(|_| copy.gvk.kind == "Service")
    {
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            port.remove("nodePort");
        }
    }
    // What the server holds is valid; putting it right here only keeps its form the same as that of Git's objects.
    tidy(&mut value, Lenient::No);
    let value = Arc::new(value);
    Manifest {
        origin: origin.clone(),
        written: value.clone(),
        value,
        gvk: copy.gvk.clone(),
        name: copy.id.name.clone(),
        namespace: String::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
        overrides: Overrides::default(),
        namespaces: None,
        allow_delete: None,
    }
}

fn remove_below(root: &mut Map<String, Value>, names: &[&str]) {
    if let Some(spec) = root.get_mut("spec").and_then(Value::as_object_mut) {
        for name in names {
            spec.remove(*name);
        }
    }
}
