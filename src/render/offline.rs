//! Stands in for a cluster: namespaces by name, Kubernetes' own kinds from a table, nothing to copy from.

use std::collections::BTreeMap;

use super::{Facts, Lookup, Namespace, Scope};
use crate::load::{is_builtin, kinds};
use crate::object::{Gvk, ObjectId};

/// What is known without a cluster.
#[derive(Debug, Clone, Default)]
pub struct Offline {
    namespaces: BTreeMap<String, Namespace>,
}

impl Offline {
    /// A cluster that has these namespaces.
    pub fn new(namespaces: BTreeMap<String, Namespace>) -> Self {
        Offline { namespaces }
    }

    /// A cluster that has namespaces of these names, labelled with their name as the API server does it.
    pub fn with_namespaces<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let namespace = |name: &str| Namespace {
            labels: [("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into(),
            ..Namespace::default()
        };
        Offline { namespaces: names.into_iter().map(|name| (name.to_owned(), namespace(name))).collect() }
    }
}

impl Facts for Offline {
    fn namespaces(&self) -> &BTreeMap<String, Namespace> {
        &self.namespaces
    }

    fn scope(&self, gvk: &Gvk) -> Scope {
        match kinds::find(gvk) {
            Some(kind) if kind.namespaced => Scope::Namespaced,
            Some(_) => Scope::Cluster,
            // Alpha and beta versions are served on request only: not known is not absent.
            None if is_builtin(&gvk.api_version()) && (is_stable(&gvk.version) || kinds::retired(gvk).is_some()) => {
                Scope::NotServed(kinds::nearest_served(gvk))
            }
            None => Scope::Unknown,
        }
    }

    fn lookup(&self, _id: &ObjectId) -> Lookup {
        Lookup::Unknown("there is no cluster to copy from".to_owned())
    }

    fn is_offline(&self) -> bool {
        true
    }
}

fn is_stable(version: &str) -> bool {
    !version.contains("alpha") && !version.contains("beta")
}
