//! Objects on their way through kustomize's words: they remember what they were called, so that mentions can follow.

use serde_json::Value;

use crate::object::Gvk;

use super::Source;
use super::tables::is_cluster_scoped;

/// What an object was or is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) gvk: Gvk,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Id {
    pub(super) fn is_cluster_scoped(&self) -> bool {
        is_cluster_scoped(&self.gvk.api_version(), &self.gvk.kind)
    }

    /// The namespace as kustomize compares it: none is `default`, and kinds without one have a word of their own.
    pub(super) fn effective_namespace(&self) -> &str {
        if self.is_cluster_scoped() {
            "_non_namespaceable_"
        } else if self.namespace.is_empty() {
            "default"
        } else {
            &self.namespace
        }
    }

    /// The same object, whatever its namespace is written as.
    pub(super) fn equals(&self, other: &Id) -> bool {
        self.gvk == other.gvk && self.name == other.name && self.effective_namespace() == other.effective_namespace()
    }
}

/// Comparing kinds as field specs do.
pub(super) trait Selected {
    /// Whether the kind fits a description; what is empty fits everything.
    fn is_selected(&self, group: &str, version: &str, kind: &str) -> bool;
}

impl Selected for Gvk {
    fn is_selected(&self, group: &str, version: &str, kind: &str) -> bool {
        let fits = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        fits(group, &self.group) && fits(version, &self.version) && fits(kind, &self.kind)
    }
}

/// An object and its history.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) value: Value,
    pub(super) source: Source,
    /// What it was called before, the oldest first.
    pub(super) previous: Vec<Id>,
    /// Prefixes and suffixes that its name was given, empty ones included.
    pub(super) prefixes: Vec<String>,
    pub(super) suffixes: Vec<String>,
    /// Its name gets a hash of its content at the end.
    pub(super) needs_hash: bool,
}

impl Resource {
    pub(super) fn new(value: Value, source: Source) -> Self {
        Resource { value, source, previous: Vec::new(), prefixes: Vec::new(), suffixes: Vec::new(), needs_hash: false }
    }

    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    pub(super) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    pub(super) fn gvk(&self) -> Gvk {
        Gvk::new(self.text("/apiVersion"), self.text("/kind"))
    }

    /// What it is called now.
    pub(super) fn id(&self) -> Id {
        Id { gvk: self.gvk(), namespace: self.namespace().to_owned(), name: self.name().to_owned() }
    }

    /// What it was called first.
    pub(super) fn original(&self) -> Id {
        self.previous.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Whether it is or was called so.
    pub(super) fn is_known_as(&self, id: &Id) -> bool {
        self.id().equals(id) || self.previous.iter().any(|previous| previous.equals(id))
    }

    /// `Kind/name` or `Kind/namespace/name`, for messages.
    pub(super) fn subject(&self) -> String {
        let id = self.id();
        let parts = [id.gvk.kind.as_str(), &id.namespace, &id.name];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// Keeps the present name for those who mention it.
    pub(super) fn remember(&mut self) {
        let id = self.id();
        self.previous.push(id);
    }

    pub(super) fn set_name(&mut self, name: &str) {
        self.set_in_metadata("name", name);
    }

    pub(super) fn set_in_metadata(&mut self, key: &str, text: &str) {
        if let Some(metadata) = self.value.get_mut("metadata").and_then(Value::as_object_mut) {
            if text.is_empty() {
                metadata.remove(key);
            } else {
                metadata.insert(key.to_owned(), Value::from(text));
            }
        }
    }
}
