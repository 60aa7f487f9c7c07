//! Kubernetes objects as JSON values, and the identities that outlive their versions.
//!
//! ```text
//! Object   the value as written or as the API server sent it; never a typed struct, so no field is lost
//! Gvk      group, version, kind: what `apiVersion` and `kind` say
//! ObjectId group, kind, namespace, name: what an object is, whatever version it is written in
//! ```
//! Start at [`Object::new`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Group, version and kind of an object, as its `apiVersion` and `kind` say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version inside the group, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
}

impl Gvk {
    /// Splits an `apiVersion` such as `apps/v1` and joins it with a kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// Returns the `apiVersion` text: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            write!(out, "{}/{}", self.version, self.kind)
        } else {
            write!(out, "{}/{}/{}", self.group, self.version, self.kind)
        }
    }
}

/// What an object is, whatever API version it is written in.
///
/// The namespace is empty for cluster-scoped kinds. Two objects with the same id are the same object in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// Writes the id as one word that sorts and splits: `apps/Deployment/dev/web`, `/Namespace//dev`.
    pub fn key(&self) -> String {
        format!("{}/{}/{}/{}", self.group, self.kind, self.namespace, self.name)
    }

    /// Reads what [`ObjectId::key`] wrote; `None` for any other text.
    pub fn from_key(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let (group, kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || kind.is_empty() || name.is_empty() {
            return None;
        }
        Some(ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// The subject text of messages: `Deployment/dev/web`, `Namespace/dev`.
impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(out, "{}/{}", self.kind, self.name)
        } else {
            write!(out, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// Why a value is not a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The document is a list, a text or a number.
    #[error("a Kubernetes object is a mapping, this is {0}")]
    NotAMapping(&'static str),
    /// A field that names the object is absent, empty or not a text.
    #[error("{0} is missing or not a text")]
    MissingField(&'static str),
}

/// A Kubernetes object: a JSON mapping with `apiVersion`, `kind` and `metadata.name`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Object(Value);

impl Object {
    /// Takes a value that has the fields which name an object.
    ///
    /// # Errors
    /// `apiVersion`, `kind` or `metadata.name` absent, empty or not a text.
    ///
    /// ```
    /// use bowline::object::Object;
    /// let object = Object::new(serde_json::json!({
    ///     "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "dev"},
    /// })).unwrap();
    /// assert_eq!(object.id().to_string(), "Deployment/dev/web");
    /// ```
    pub fn new(value: Value) -> Result<Self, Malformed> {
        match &value {
            Value::Object(_) => {}
            Value::Null => return Err(Malformed::NotAMapping("empty")),
            Value::Array(_) => return Err(Malformed::NotAMapping("a list")),
            _ => return Err(Malformed::NotAMapping("a scalar")),
        }
        for (pointer, field) in [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
        {
            if value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().is_empty() {
                return Err(Malformed::MissingField(field));
            }
        }
        Ok(Object(value))
    }

    /// The whole value.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The whole value, for changes that leave the naming fields alone.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Gives the value up.
    pub fn into_value(self) -> Value {
        self.0
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `apiVersion` as written.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// `kind` as written.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, empty when absent.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// `metadata.uid`, empty for an object that was not read from a cluster.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// `metadata.resourceVersion`, empty for an object that was not read from a cluster.
    pub fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(self.api_version(), self.kind())
    }

    /// The identity, with the namespace as written: discovery decides whether the kind has one.
    pub fn id(&self) -> ObjectId {
        let gvk = self.gvk();
        ObjectId {
            group: gvk.group,
            kind: gvk.kind,
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// One label; `None` when absent or not a text.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    /// One annotation; `None` when absent or not a text.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// Sets a text under `metadata.<map>`, making the maps on the way where they are absent.
    fn set_in_metadata(&mut self, map: &str, key: &str, text: &str) {
        let Some(root) = self.0.as_object_mut() else { return };
        let metadata = root.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        let Some(metadata) = metadata.as_object_mut() else { return };
        let entries = metadata.entry(map).or_insert(Value::Null);
        if !entries.is_object() {
            *entries = Value::Object(Map::new());
        }
        if let Some(entries) = entries.as_object_mut() {
            entries.insert(key.to_owned(), Value::String(text.to_owned()));
        }
    }

    /// Sets one label.
    pub fn set_label(&mut self, key: &str, text: &str) {
        self.set_in_metadata("labels", key, text);
    }

    /// Sets one annotation.
    pub fn set_annotation(&mut self, key: &str, text: &str) {
        self.set_in_metadata("annotations", key, text);
    }

    /// Puts the object into a namespace; an empty one removes the field.
    pub fn set_namespace(&mut self, namespace: &str) {
        let Some(metadata) = self.0.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        if namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
        }
    }
}
