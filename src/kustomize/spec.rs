//! kustomize's words as users write them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::tables::FieldSpec;

/// The words that change a list of objects; the same in template lists and in a `kustomization.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Words {
    /// ConfigMaps to make.
    pub config_map_generator: Vec<Generator>,
    /// Secrets to make.
    pub secret_generator: Vec<Generator>,
    /// What holds for all generators.
    pub generator_options: Option<GeneratorOptions>,
    /// Changes to objects, in this order.
    pub patches: Vec<Patch>,
    /// What every name begins with; mentions of the names follow.
    pub name_prefix: String,
    /// What every name ends with; mentions of the names follow.
    pub name_suffix: String,
    /// Labels, with or without selectors.
    pub labels: Vec<Labels>,
    /// Labels on objects, selectors and templates.
    pub common_labels: BTreeMap<String, String>,
    /// Annotations on objects and templates.
    pub common_annotations: BTreeMap<String, String>,
    /// Other names, tags or digests for images.
    pub images: Vec<Image>,
}

/// A ConfigMap or Secret made of texts and files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Generator {
    /// Name, without prefix, suffix and hash.
    pub name: String,
    /// Namespace; empty for the one the object will go to.
    pub namespace: String,
    /// What to do with an object of that name that is there already.
    pub behavior: Behavior,
    /// `key=value`
    pub literals: Vec<String>,
    /// `file` or `key=file`
    pub files: Vec<String>,
    /// Files with `key=value` lines.
    pub envs: Vec<String>,
    /// One more such file; the older spelling.
    pub env: String,
    /// Type of a Secret; `Opaque` when empty.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the object has besides its data.
    pub options: Option<GeneratorOptions>,
}

/// What a generator does when an object of its name is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behavior {
    /// That is an error.
    #[default]
    #[serde(alias = "unspecified")]
    Create,
    /// Its data is replaced.
    Replace,
    /// Its data is added to.
    Merge,
}

/// What generated objects have besides their data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct GeneratorOptions {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Leaves the name as it is: users of the object do not start anew when its data changes.
    pub disable_name_suffix_hash: bool,
    /// Sets `immutable`.
    pub immutable: bool,
}

impl GeneratorOptions {
    /// The options of one generator, completed by those for all.
    pub(super) fn over(&self, general: &GeneratorOptions) -> GeneratorOptions {
        let mut merged = general.clone();
        merged.labels.extend(self.labels.clone());
        merged.annotations.extend(self.annotations.clone());
        merged.disable_name_suffix_hash |= self.disable_name_suffix_hash;
        merged.immutable |= self.immutable;
        merged
    }
}

/// A change to the objects that its target selects, or to the one that it names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// The patch, as YAML or JSON: a mapping merges strategically, a list is a JSON patch.
    pub patch: String,
    /// The file with the patch instead.
    pub path: String,
    /// Which objects; a JSON patch needs it.
    pub target: Option<Target>,
    /// What the patch may change besides.
    pub options: PatchOptions,
}

/// What a patch may change that stays otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchOptions {
    /// The name.
    pub allow_name_change: bool,
    /// The kind.
    pub allow_kind_change: bool,
}

/// Selects objects. Empty parts match everything; all others are anchored regular expressions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name, as written or as it is by now.
    pub name: String,
    /// Namespace, as written or as it is by now; `default` when an object has none.
    pub namespace: String,
    /// Label selector: `a=b,c!=d,e in (f,g),!h`.
    pub label_selector: String,
    /// The same for annotations.
    pub annotation_selector: String,
}

/// Labels for all objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Labels {
    /// The labels.
    pub pairs: BTreeMap<String, String>,
    /// Sets them in selectors and templates, too.
    pub include_selectors: bool,
    /// Sets them in templates, too.
    pub include_templates: bool,
    /// Sets them in these fields, too.
    pub fields: Vec<FieldSpec>,
}

/// Another name, tag or digest for the images of this name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// The image's name without tag and digest, a regular expression.
    pub name: String,
    /// Its new name.
    pub new_name: String,
    /// Its new tag.
    pub new_tag: String,
    /// What is added to its tag.
    pub tag_suffix: String,
    /// Its new digest.
    pub digest: String,
}
