//! The flags that stand in for a cluster's namespaces.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::render::{Namespace, Offline};

/// Namespaces that exist, besides those that the repository makes.
#[derive(Debug, clap::Args)]
pub(super) struct Namespaces {
    /// Names of namespaces that the cluster has, besides those of the repository
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    namespaces: Vec<String>,

    /// Labels of a namespace: `dev-a:team=shop,stage=dev`; may be given several times, and makes the namespace exist
    #[arg(long, value_name = "NAME:KEY=VALUE,..")]
    namespace_labels: Vec<String>,
}

impl Namespaces {
    /// A stand-in for the cluster.
    pub(super) fn facts(&self) -> Result<Offline, Error> {
        let mut namespaces: BTreeMap<String, Namespace> = BTreeMap::new();
        for name in self.namespaces.iter().filter(|name| !name.is_empty()) {
            namespaces.entry(name.clone()).or_default();
        }
        for text in &self.namespace_labels {
            let wrong = || {
                Error::new(format!("--namespace-labels: `{text}` is not understood"))
                    .hint("write dev-a:team=shop,stage=dev")
            };
            let (name, labels) = text.split_once(':').ok_or_else(wrong)?;
            let namespace = namespaces.entry(name.to_owned()).or_default();
            for label in labels.split(',') {
                let (key, value) = label.split_once('=').ok_or_else(wrong)?;
                namespace.labels.insert(key.to_owned(), value.to_owned());
            }
        }
        for (name, namespace) in &mut namespaces {
            namespace.labels.insert("kubernetes.io/metadata.name".to_owned(), name.clone());
        }
        Ok(Offline::new(namespaces))
    }
}
