//! Orders objects so that what others need comes first. The rules are data: `order.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::object::ObjectId;

/// A group of kinds that is applied together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// What people call it.
    pub name: String,
    kinds: Vec<String>,
    /// The next tier begins when the objects of this one are there to be used.
    #[serde(default)]
    pub wait: bool,
    /// This tier begins when everything before it is healthy.
    #[serde(default)]
    pub after_health: bool,
}

static TIERS: LazyLock<Vec<Tier>> = LazyLock::new(|| {
    let rules = crate::yaml::read(include_bytes!("order.yaml"), &crate::yaml::Options::manifests());
    let rules = rules.expect("order.yaml is compiled in and read by a test");
    serde_json::from_value(rules).expect("order.yaml is compiled in and read by a test")
});

/// The tiers in the order they are applied.
pub fn tiers() -> &'static [Tier] {
    &TIERS
}

/// The place of an object's tier.
pub fn tier_of(id: &ObjectId) -> usize {
    let named = if id.group.is_empty() { id.kind.clone() } else { format!("{}/{}", id.group, id.kind) };
    let exact = TIERS.iter().position(|tier| tier.kinds.contains(&named));
    exact
        .or_else(|| {
            TIERS.iter().position(|tier| {
                tier.kinds.iter().any(|kind| kind.strip_prefix('*').is_some_and(|end| id.kind.ends_with(end)))
            })
        })
        .unwrap_or(TIERS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(key: &str) -> &'static str {
        &TIERS[tier_of(&ObjectId::from_key(key).unwrap())].name
    }

    #[test]
    fn what_others_need_comes_first() {
        let order = [
            ("apiextensions.k8s.io/CustomResourceDefinition//c", "definitions"),
            ("storage.k8s.io/StorageClass//fast", "classes"),
            ("gateway.networking.k8s.io/GatewayClass//g", "classes"),
            ("/ConfigMap/a/c", "rights and data"),
            ("/Service/a/s", "services"),
            ("apps/Deployment/a/d", "workloads"),
            ("networking.k8s.io/Ingress/a/i", "everything else"),
            ("example.com/Widget/a/w", "everything else"),
            ("admissionregistration.k8s.io/ValidatingWebhookConfiguration//w", "webhooks"),
        ];
        let mut last = 0;
        for (key, name) in order {
            assert_eq!(tier(key), name, "{key}");
            let place = tier_of(&ObjectId::from_key(key).unwrap());
            assert!(place >= last, "{key} is applied before what it needs");
            last = place;
        }
    }

    #[test]
    fn an_own_kind_named_like_a_built_in_one_is_not_that_kind() {
        assert_eq!(tier("example.com/Namespace/a/n"), "everything else");
    }
}
