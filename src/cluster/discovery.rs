//! What kinds the server serves: two requests of aggregated discovery, kept as a value.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::client::{Actor, Call, Client, Verb};
use super::error::Error;
use crate::object::{Gvk, ObjectId};
use crate::render::Scope;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// How to address the objects of one kind in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Plural in paths.
    pub plural: String,
    /// Objects have a namespace.
    pub namespaced: bool,
    /// Verbs the server offers, such as `watch` and `patch`.
    pub verbs: BTreeSet<String>,
    /// The kind has a status subresource.
    pub has_status: bool,
}

impl Resource {
    /// Path of the collection; an empty namespace means all namespaces.
    pub fn collection(&self, namespace: &str) -> String {
        let root = if self.gvk.group.is_empty() {
            format!("/api/{}", self.gvk.version)
        } else {
            format!("/apis/{}/{}", self.gvk.group, self.gvk.version)
        };
        if self.namespaced && !namespace.is_empty() {
            format!("{root}/namespaces/{namespace}/{}", self.plural)
        } else {
            format!("{root}/{}", self.plural)
        }
    }

    /// Path of one object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), escape(name))
    }
}

/// Escapes what may stand in a name but not in a path segment (RBAC names hold colons and more).
fn escape(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// All kinds a server serves, in its order of preference.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    kinds: BTreeMap<(String, String), Vec<Resource>>,
    /// Groups whose own server did not answer: nothing may be concluded about their kinds.
    pub stale_groups: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Groups {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupName,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
struct GroupName {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    freshness: String,
    #[serde(default)]
    resources: Vec<ServedResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServedResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: BTreeSet<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Subresource {
    subresource: String,
}

impl Discovery {
    /// Asks the server: two requests.
    ///
    /// # Errors
    /// The server refuses or cannot be reached. A group whose own server is down is no error, see
    /// [`Discovery::stale_groups`].
    pub async fn fetch(client: &Client) -> Result<Self, Error> {
        let mut discovery = Discovery::default();
        for path in ["/api", "/apis"] {
            let call =
                Call { verb: Verb::Get, path: path.to_owned(), accept: AGGREGATED, body: None, actor: &Actor::Own };
            let reply = client.send(&call).await?;
            discovery.add(reply.value).map_err(|error| Error::Unreachable {
                doing: format!("get {path}"),
                cause: format!("not an aggregated discovery document (Kubernetes 1.30 or later is needed): {error}"),
            })?;
        }
        Ok(discovery)
    }

    fn add(&mut self, document: Value) -> Result<(), serde_json::Error> {
        let groups: Groups = serde_json::from_value(document)?;
        for group in groups.items {
            for version in group.versions {
                if version.freshness == "Stale" {
                    self.stale_groups.insert(group.metadata.name.clone());
                }
                for served in version.resources {
                    self.add_resource(&group.metadata.name, &version.version, served);
                }
            }
        }
        Ok(())
    }

    fn add_resource(&mut self, group: &str, version: &str, served: ServedResource) {
        let Some(kind) = served.response_kind.map(|kind| kind.kind).filter(|kind| !kind.is_empty()) else { return };
        let resource = Resource {
            gvk: Gvk { group: group.to_owned(), version: version.to_owned(), kind: kind.clone() },
            plural: served.resource,
            namespaced: served.scope == "Namespaced",
            has_status: served.subresources.iter().any(|sub| sub.subresource == "status"),
            verbs: served.verbs,
        };
        self.kinds.entry((group.to_owned(), kind)).or_default().push(resource);
    }

    /// Whether another look shows the same kinds.
    pub fn serves_the_same(&self, other: &Discovery) -> bool {
        self.kinds == other.kinds && self.stale_groups == other.stale_groups
    }

    /// The resource of exactly this version.
    pub fn resource(&self, gvk: &Gvk) -> Option<&Resource> {
        self.versions(&gvk.group, &gvk.kind).iter().find(|resource| resource.gvk.version == gvk.version)
    }

    /// The resource of a kind in the version the server prefers.
    pub fn preferred(&self, id: &ObjectId) -> Option<&Resource> {
        self.versions(&id.group, &id.kind).first()
    }

    /// Every kind whose objects are stored in namespaces, in the version that the server prefers.
    pub fn stored_in_namespaces(&self) -> impl Iterator<Item = &Resource> {
        let preferred = self.kinds.values().filter_map(|versions| versions.first());
        preferred.filter(|kind| kind.namespaced && kind.verbs.contains("list") && kind.verbs.contains("delete"))
    }

    fn versions(&self, group: &str, kind: &str) -> &[Resource] {
        self.kinds.get(&(group.to_owned(), kind.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Whether the kind has a namespace, or what comes nearest to it.
    pub fn scope(&self, gvk: &Gvk) -> Scope {
        if let Some(resource) = self.resource(gvk) {
            return if resource.namespaced { Scope::Namespaced } else { Scope::Cluster };
        }
        if self.stale_groups.contains(&gvk.group) {
            return Scope::Unknown;
        }
        Scope::NotServed(self.nearest(gvk))
    }

    /// Served kinds that resemble one that is not: other versions first, then other groups, then similar names.
    fn nearest(&self, gvk: &Gvk) -> Vec<Gvk> {
        let mut nearest: Vec<Gvk> =
            self.versions(&gvk.group, &gvk.kind).iter().map(|found| found.gvk.clone()).collect();
        let others = self.kinds.iter().filter(|((group, kind), _)| *kind == gvk.kind && *group != gvk.group);
        nearest.extend(others.filter_map(|(_, found)| found.first()).map(|found| found.gvk.clone()));
        if nearest.is_empty() {
            let similar = self.kinds.iter().filter(|((_, kind), _)| strsim::damerau_levenshtein(kind, &gvk.kind) <= 2);
            nearest.extend(similar.filter_map(|(_, found)| found.first()).map(|found| found.gvk.clone()));
        }
        nearest.truncate(3);
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served() -> Discovery {
        let mut discovery = Discovery::default();
        let document = serde_json::json!({"items": [
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "freshness": "Current", "resources": [
                {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced",
                 "verbs": ["patch", "watch"], "subresources": [{"subresource": "status"}]}]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
        ]});
        discovery.add(document).unwrap();
        discovery
    }

    #[test]
    fn a_wrong_version_or_group_or_letter_names_the_served_kind() {
        let discovery = served();
        for (api_version, kind) in
            [("apps/v1beta1", "Deployment"), ("extensions/v1beta1", "Deployment"), ("apps/v1", "Deploymnet")]
        {
            let Scope::NotServed(nearest) = discovery.scope(&Gvk::new(api_version, kind)) else {
                panic!("{kind} is served")
            };
            assert_eq!(nearest, [Gvk::new("apps/v1", "Deployment")], "{api_version} {kind}");
        }
    }

    #[test]
    fn nothing_is_concluded_about_a_group_that_did_not_answer() {
        assert_eq!(served().scope(&Gvk::new("metrics.k8s.io/v1beta1", "PodMetrics")), Scope::Unknown);
    }

    #[test]
    fn paths_have_namespace_and_escaped_name() {
        let discovery = served();
        let resource = discovery.resource(&Gvk::new("apps/v1", "Deployment")).unwrap();
        assert_eq!(resource.object("dev", "a:b"), "/apis/apps/v1/namespaces/dev/deployments/a%3Ab");
        assert_eq!(resource.collection(""), "/apis/apps/v1/deployments");
    }
}
