//! What is known about built-in kinds: how their lists are merged, which are cluster-scoped, and which of their fields
//! hold names, labels, annotations and images. The data is made by `tests/kustomize/tables.sh`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// The fields of a type that a merge has to know; others are plain JSON.
pub(super) type Fields = BTreeMap<String, Field>;

/// How one field is merged.
#[derive(Debug, Deserialize)]
pub(super) struct Field {
    /// The type of the field, or of the items of a list.
    #[serde(default, rename = "type")]
    kind: String,
    /// `merge`, `replace`, `retainKeys`, or two of them with a comma.
    #[serde(default)]
    strategy: String,
    /// Which field identifies an item of a list.
    #[serde(default)]
    pub(super) key: String,
    /// Which fields identify it for kustomize.
    #[serde(default)]
    keys: Vec<String>,
}

impl Field {
    /// The fields of the field's type.
    pub(super) fn fields(&self) -> Option<&'static Fields> {
        LISTS.types.get(&self.kind)
    }

    pub(super) fn merges(&self) -> bool {
        self.strategy.split(',').any(|strategy| strategy == "merge")
    }

    pub(super) fn replaces(&self) -> bool {
        self.strategy.split(',').any(|strategy| strategy == "replace")
    }

    /// The keys that kustomize compares.
    pub(super) fn keys(&self) -> Vec<&str> {
        match (self.keys.is_empty(), self.key.is_empty()) {
            (false, _) => self.keys.iter().map(String::as_str).collect(),
            (true, false) => vec![&self.key],
            (true, true) => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Lists {
    types: BTreeMap<String, Fields>,
    kinds: BTreeMap<String, String>,
    cluster: BTreeSet<String>,
}

static LISTS: LazyLock<Lists> =
    LazyLock::new(|| serde_json::from_str(include_str!("lists.json")).expect("the table is compiled in and tested"));

/// The fields of a built-in kind; `None` for custom resources.
pub(super) fn fields_of(api_version: &str, kind: &str) -> Option<&'static Fields> {
    LISTS.types.get(LISTS.kinds.get(&format!("{api_version} {kind}"))?)
}

/// Whether objects of a kind have no namespace; kinds that are not known have one.
pub(super) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    LISTS.cluster.contains(&format!("{api_version} {kind}"))
}

/// Where something stands in objects of a kind; empty parts match every kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// API group.
    #[serde(default)]
    pub group: String,
    /// API version.
    #[serde(default)]
    pub version: String,
    /// Kind.
    #[serde(default)]
    pub kind: String,
    /// Names with slashes between them; lists on the way are entered, `[]` marks them where they must be lists.
    pub path: String,
    /// Whether what is missing on the way is made.
    #[serde(default)]
    pub create: bool,
}

/// Where names of a kind are mentioned.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct References {
    #[serde(default)]
    pub(super) group: String,
    #[serde(default)]
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) field_specs: Vec<FieldSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KnownFields {
    pub(super) common_annotations: Vec<FieldSpec>,
    pub(super) common_labels: Vec<FieldSpec>,
    pub(super) template_labels: Vec<FieldSpec>,
    pub(super) images: Vec<FieldSpec>,
    pub(super) name_reference: Vec<References>,
}

/// The fields that kustomize changes by default.
pub(super) static FIELDS: LazyLock<KnownFields> =
    LazyLock::new(|| serde_json::from_str(include_str!("fields.json")).expect("the table is compiled in and tested"));
