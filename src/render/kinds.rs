//! Whether a kind's objects have a namespace: by the definitions of the same commit first, then by the cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Facts, Scope};
use crate::load::{Desired, kinds};
use crate::object::Gvk;

/// Kinds that a commit defines, and what the cluster was asked already.
pub(super) struct Kinds<'a> {
    defined: BTreeMap<(String, String), Definition>,
    asked: BTreeMap<Gvk, Scope>,
    facts: &'a dyn Facts,
}

struct Definition {
    namespaced: bool,
    served: Vec<String>,
}

impl<'a> Kinds<'a> {
    pub(super) fn new(desired: &Desired, facts: &'a dyn Facts) -> Self {
        let definitions = desired.manifests.iter().filter(|(manifest, _)| {
            manifest.gvk.group == "apiextensions.k8s.io"
                && manifest.gvk.kind == "CustomResourceDefinition"
                && manifest.problems.is_empty()
        });
        let defined = definitions.filter_map(|(manifest, _)| define(&manifest.value)).collect();
        Kinds { defined, asked: BTreeMap::new(), facts }
    }

    pub(super) fn scope(&mut self, gvk: &Gvk) -> Scope {
        if let Some(scope) = self.asked.get(gvk) {
            return scope.clone();
        }
        let scope = match self.defined.get(&(gvk.group.clone(), gvk.kind.clone())) {
            Some(definition) if definition.served.contains(&gvk.version) => {
                if definition.namespaced {
                    Scope::Namespaced
                } else {
                    Scope::Cluster
                }
            }
            Some(definition) => Scope::NotServed(
                definition.served.iter().map(|version| Gvk { version: version.clone(), ..gvk.clone() }).collect(),
            ),
            None => self.facts.scope(gvk),
        };
        self.asked.insert(gvk.clone(), scope.clone());
        scope
    }
}

/// What a CustomResourceDefinition defines.
fn define(value: &Value) -> Option<((String, String), Definition)> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let served = value.pointer("/spec/versions").and_then(Value::as_array)?;
    let served = served
        .iter()
        .filter(|version| version.get("served").and_then(Value::as_bool) == Some(true))
        .filter_map(|version| version.get("name").and_then(Value::as_str).map(str::to_owned))
        .collect();
    let namespaced = text("/spec/scope")? == "Namespaced";
    Some(((text("/spec/group")?, text("/spec/names/kind")?), Definition { namespaced, served }))
}

/// What to say of a kind that is not served: message and way out.
pub(super) fn not_served(gvk: &Gvk, nearest: &[Gvk]) -> (String, String) {
    let message = format!("no matches for kind {} in version {}", gvk.kind, gvk.api_version());
    let hint = match (kinds::retired(gvk), nearest.first()) {
        (Some(gone), _) => match gone.replacement {
            Some(replacement) => {
                format!(
                    "Kubernetes {} removed it; write apiVersion: {replacement}, and check its fields",
                    gone.removed_in
                )
            }
            None => format!("Kubernetes {} removed it, and nothing replaces it", gone.removed_in),
        },
        (None, Some(near)) if near.kind == gvk.kind => {
            format!("{} is served: write apiVersion: {0}", near.api_version())
        }
        (None, Some(near)) => format!("did you mean {} ({})?", near.kind, near.api_version()),
        (None, None) => "install its CustomResourceDefinition, or add it to the repository".to_owned(),
    };
    (message, hint)
}
