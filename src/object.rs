//! Kubernetes objects as JSON values, and the identities that outlive their versions.
//!
//! ```text
//! Object   the value as written or as the API server sent it; never a typed struct, so no field is lost
//! Gvk      group, version, kind: what `apiVersion` and `kind` say
//! ObjectId group, kind, namespace, name: what an object is, whatever version it is written in
//! ```
//! Start at [`Object::new`].

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize, Serializer};
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
///
/// Copies share their content until one of them is changed. The namespace is kept beside it, so that what a thousand
/// namespaces get is in memory once: see [`Object::set_namespace`].
#[derive(Clone)]
pub struct Object {
    body: Arc<Value>,
    /// What `metadata.namespace` is to be instead of what `body` says; empty: not there.
    namespace: Option<Arc<str>>,
    /// `body` with that namespace, once somebody asked for it.
    whole: OnceLock<Arc<Value>>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.body, &other.body) {
            return self.namespace() == other.namespace();
        }
        self.value() == other.value()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Object").field(self.value()).finish()
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

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
        Object::shared(Arc::new(value))
    }

    /// Takes a value that others hold as well.
    ///
    /// # Errors
    /// As [`Object::new`].
    pub fn shared(value: Arc<Value>) -> Result<Self, Malformed> {
        match &*value {
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
        Ok(Object { body: value, namespace: None, whole: OnceLock::new() })
    }

    /// The whole value.
    pub fn value(&self) -> &Value {
        match &self.namespace {
            None => &self.body,
            Some(namespace) => self.whole.get_or_init(|| {
                let mut value = (*self.body).clone();
                write_namespace(&mut value, namespace);
                Arc::new(value)
            }),
        }
    }

    /// The whole value, for changes that leave the naming fields alone. Content shared with others is copied first.
    pub fn value_mut(&mut self) -> &mut Value {
        if let Some(namespace) = self.namespace.take() {
            match self.whole.take() {
                Some(whole) => self.body = whole,
                None => write_namespace(Arc::make_mut(&mut self.body), &namespace),
            }
        }
        Arc::make_mut(&mut self.body)
    }

    /// Gives the value up.
    pub fn into_value(mut self) -> Value {
        self.value_mut();
        Arc::unwrap_or_clone(self.body)
    }

    /// A text outside of `metadata.namespace`: the same in both forms.
    fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
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
        self.namespace.as_deref().unwrap_or_else(|| self.text("/metadata/namespace"))
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
        self.body.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    /// One annotation; `None` when absent or not a text.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.body.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// Sets a text under `metadata.<map>`, making the maps on the way where they are absent.
    fn set_in_metadata(&mut self, map: &str, key: &str, text: &str) {
        let Some(root) = self.value_mut().as_object_mut() else { return };
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

    /// Puts the object into a namespace; an empty one removes the field. Content shared with others stays shared.
    pub fn set_namespace(&mut self, namespace: &str) {
        if self.namespace() == namespace {
            return;
        }
        self.whole.take();
        self.namespace = Some(namespace.into());
    }
}

fn write_namespace(value: &mut Value, namespace: &str) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}))
            .unwrap()
    }

    #[test]
    fn copies_in_other_namespaces_are_themselves() {
        let original = config();
        let mut dev = original.clone();
        dev.set_namespace("dev");
        assert!(Arc::ptr_eq(&original.body, &dev.body), "the content is shared");
        assert_eq!((dev.namespace(), original.namespace()), ("dev", ""));
        assert_eq!(dev.id().to_string(), "ConfigMap/dev/a");
        assert_eq!(dev.value()["metadata"], json!({"name": "a", "namespace": "dev"}));
        assert_ne!(dev, original);
        dev.set_namespace("");
        assert_eq!(dev, original);
        assert_eq!(dev.value(), original.value());
    }

    #[test]
    fn a_changed_copy_leaves_the_others_alone() {
        let mut dev = config();
        dev.set_namespace("dev");
        let before = dev.clone();
        dev.set_label("team", "a");
        assert_eq!(dev.value()["metadata"], json!({"name": "a", "namespace": "dev", "labels": {"team": "a"}}));
        assert_eq!(dev.label("team"), Some("a"));
        assert_eq!(before.label("team"), None);
        assert_eq!(before.clone().into_value(), *before.value());
        dev.set_namespace("prod");
        assert_eq!(serde_json::to_value(&dev).unwrap()["metadata"]["namespace"], "prod");
        assert_eq!(dev.clone().into_value(), *dev.value());
    }
}
