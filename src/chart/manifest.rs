//! Splits rendered files into documents, tells hooks from objects, and puts both into Helm's order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Fields, WrongType};
use super::paths;
use crate::yaml;

/// A document that a chart renders, as text and as what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Template it comes from, with the chart in front: `web/templates/service.yaml`.
    pub source: String,
    /// `kind`; empty for documents of comments only.
    pub kind: String,
    /// `apiVersion`.
    pub api_version: String,
    /// `metadata.name`.
    pub name: String,
    /// The text as rendered, with what follows it up to the next separator.
    pub text: String,
    /// What the text says; null for documents of comments only.
    pub value: Value,
}

/// A document that runs at certain moments instead of being kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The document.
    pub manifest: Manifest,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Lower ones run first.
    pub weight: i64,
    /// When it is deleted, as written: `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<String>,
    /// When its logs are shown: `hook-succeeded`, `hook-failed`.
    pub output_log_policies: Vec<String>,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// Before the objects of a first installation.
    PreInstall,
    /// After them.
    PostInstall,
    /// Before objects are deleted.
    PreDelete,
    /// After them.
    PostDelete,
    /// Before the objects of an upgrade.
    PreUpgrade,
    /// After them.
    PostUpgrade,
    /// Before the objects of a rollback.
    PreRollback,
    /// After them.
    PostRollback,
    /// When tests are asked for.
    Test,
}

impl HookEvent {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_lowercase().as_str() {
            "pre-install" => HookEvent::PreInstall,
            "post-install" => HookEvent::PostInstall,
            "pre-delete" => HookEvent::PreDelete,
            "post-delete" => HookEvent::PostDelete,
            "pre-upgrade" => HookEvent::PreUpgrade,
            "post-upgrade" => HookEvent::PostUpgrade,
            "pre-rollback" => HookEvent::PreRollback,
            "post-rollback" => HookEvent::PostRollback,
            "test" | "test-success" => HookEvent::Test,
            _ => return None,
        })
    }
}

/// A rendered document that is not YAML, or whose head is of the wrong types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {source_file}: {reason}")]
pub struct SplitError {
    /// Template it comes from, with the chart in front.
    pub source_file: String,
    /// Why, in Go's words.
    pub reason: String,
    /// The document.
    pub text: String,
    /// Line and column inside the document; 0 when not known.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Splits the rendered files (name to text), skips partials and empty ones, sorts by kind.
///
/// # Errors
/// The first document that cannot be read.
pub(crate) fn sort(files: &BTreeMap<String, String>) -> Result<(Vec<Hook>, Vec<Manifest>), SplitError> {
    let (mut hooks, mut manifests) = (Vec::new(), Vec::new());
    for (source, text) in files {
        if paths::base(source).starts_with('_') {
            continue;
        }
        for document in split(text) {
            let (manifest, annotations) = read(source, document)?;
            match annotations.get("helm.sh/hook") {
                None => manifests.push(manifest),
                Some(events) => hooks.extend(hook(manifest, events, &annotations)),
            }
        }
    }
    hooks.sort_by(|a, b| by_kind(&a.manifest.kind, &b.manifest.kind));
    manifests.sort_by(|a, b| by_kind(&a.kind, &b.kind));
    Ok((hooks, manifests))
}

/// The documents of a text. A separator is `---` at the beginning of a line, whatever follows it: charts that write
/// `---apiVersion: v1` work.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            documents.push(&text[start..at]);
            let rest = rest.trim_start_matches([' ', '\t']);
            start = at + line.len() - rest.len();
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents.into_iter().map(str::trim_start).filter(|document| !document.is_empty()).collect()
}

/// An annotation of another type than text is written out, as Go's YAML package does.
fn read(source: &str, text: &str) -> Result<(Manifest, BTreeMap<String, String>), SplitError> {
    let failed = |reason: String, line, column| SplitError {
        source_file: source.to_owned(),
        reason,
        text: text.to_owned(),
        line,
        column,
    };
    let value = yaml::read(text.as_bytes(), &yaml::Options::helm())
        .map_err(|error| failed(error.in_go(), error.position.line, error.position.column))?;
    let mut manifest = Manifest {
        source: source.to_owned(),
        kind: String::new(),
        api_version: String::new(),
        name: String::new(),
        text: text.to_owned(),
        value: Value::Null,
    };
    let annotations = head(&value, &mut manifest).map_err(|error| failed(error.to_string(), 1, 0))?;
    manifest.value = value;
    Ok((manifest, annotations))
}

fn head(value: &Value, manifest: &mut Manifest) -> Result<BTreeMap<String, String>, WrongType> {
    let mut annotations = None;
    if let Some(fields) = Fields::document(value, "SimpleHead", "util.SimpleHead")? {
        fields.text("apiVersion", &mut manifest.api_version)?;
        fields.text("kind", &mut manifest.kind)?;
        if let Some(metadata) = fields.nested(
            "metadata",
            "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \"json:\\\"annotations\\\"\" }",
        )? {
            metadata.text("name", &mut manifest.name)?;
            metadata.text_map("annotations", &mut annotations)?;
        }
    }
    Ok(annotations.unwrap_or_default())
}

/// `None` if it names an event that Helm does not know: such a document is left out altogether.
fn hook(manifest: Manifest, events: &str, annotations: &BTreeMap<String, String>) -> Option<Hook> {
    let events = events.split(',').map(HookEvent::parse).collect::<Option<Vec<_>>>()?;
    let listed = |annotation: &str| match annotations.get(annotation) {
        None => Vec::new(),
        Some(list) => list.split(',').map(|word| word.trim().to_lowercase()).collect(),
    };
    let weight = annotations.get("helm.sh/hook-weight").map_or(0, |weight| integer(weight));
    Some(Hook {
        events,
        weight,
        delete_policies: listed("helm.sh/hook-delete-policy"),
        output_log_policies: listed("helm.sh/hook-output-log-policy"),
        manifest,
    })
}

/// As Go's `strconv.Atoi`, and 0 for what that refuses.
fn integer(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

/// Helm's order of installation; kinds it does not know come last, by name.
fn by_kind(a: &str, b: &str) -> std::cmp::Ordering {
    let rank = |kind: &str| INSTALL_ORDER.iter().position(|known| *known == kind).unwrap_or(INSTALL_ORDER.len());
    let (rank_a, rank_b) = (rank(a), rank(b));
    if rank_a == INSTALL_ORDER.len() && rank_b == INSTALL_ORDER.len() { a.cmp(b) } else { rank_a.cmp(&rank_b) }
}

/// What others need comes first.
#[rustfmt::skip]
pub(crate) const INSTALL_ORDER: &[&str] = &[
    "PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy",
    "PodDisruptionBudget", "ServiceAccount", "Secret", "SecretList", "ConfigMap", "StorageClass", "PersistentVolume",
    "PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
    "ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod",
    "ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob",
    "IngressClass", "Ingress", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_wherever_a_line_begins_with_dashes() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n---\n  \n---\n", &[]),
            ("a: 1\n", &["a: 1\n"]),
            ("---\na: 1\n---\nb: 2\n", &["a: 1\n", "b: 2\n"]),
            ("a: 1\n---apiVersion: v1\n", &["a: 1\n", "apiVersion: v1\n"]),
            ("a: 1\n--- # note\nb: 2", &["a: 1\n", "# note\nb: 2"]),
            ("a: 1\n----\nb: 2", &["a: 1\n", "-\nb: 2"]),
            ("a: |\n  ---\n", &["a: |\n  ---\n"]),
            ("  \n  a: 1\n\n\n", &["a: 1\n\n\n"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text), *expected, "{text:?}");
        }
    }

    fn sorted(text: &str) -> Result<(Vec<Hook>, Vec<Manifest>), SplitError> {
        sort(&BTreeMap::from([("c/templates/a.yaml".to_owned(), text.to_owned())]))
    }

    #[test]
    fn kinds_are_sorted_and_unknown_ones_come_last() {
        let kinds = ["Zebra", "Deployment", "", "Namespace", "Alpha", "ServiceAccount"];
        let text: Vec<String> = kinds.iter().map(|kind| format!("kind: {kind:?}\n")).collect();
        let (_, manifests) = sorted(&text.join("---\n")).unwrap();
        let order: Vec<&str> = manifests.iter().map(|manifest| &*manifest.kind).collect();
        assert_eq!(order, ["Namespace", "ServiceAccount", "Deployment", "", "Alpha", "Zebra"]);
    }

    #[test]
    fn hooks_are_told_apart_and_unknown_events_leave_a_document_out() {
        let document = |hook: &str| {
            format!(
                "kind: Job\nmetadata: {{name: j, annotations: {{helm.sh/hook: {hook}, helm.sh/hook-weight: -5}}}}\n"
            )
        };
        let (hooks, manifests) = sorted(&document("\"Pre-Install, test-success\"")).unwrap();
        assert!(manifests.is_empty());
        assert_eq!(hooks[0].events, [HookEvent::PreInstall, HookEvent::Test]);
        assert_eq!(hooks[0].weight, -5);
        let (hooks, manifests) = sorted(&document("crd-install")).unwrap();
        assert!(hooks.is_empty() && manifests.is_empty());
    }
}
