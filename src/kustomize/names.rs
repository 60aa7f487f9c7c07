//! Changes names and lets mentions of them follow.
//!
//! A mention is a field that the table of name references lists for the kind of the referrer. It follows an object of
//! the table's kind that was called so, in a namespace the referrer can see.

use serde_json::Value;

use super::fields::{Missing, visit};
use super::generate::hash;
use super::resources::{Id, Resource, Selected};
use super::tables::{FIELDS, References};

/// Whether a name keeps its form: definitions are named after what they define, namespaces are named by others.
fn keeps_name(id: &Id) -> bool {
    id.gvk.kind == "CustomResourceDefinition"
        || id.gvk.kind == "Namespace"
        || id.gvk.is_selected("apiregistration.k8s.io", "", "APIService")
}

/// Puts a prefix before every name.
pub(super) fn add_prefix(resources: &mut [Resource], prefix: &str) {
    rename(resources, prefix, |resource| resource.prefixes.push(prefix.to_owned()), |name| format!("{prefix}{name}"));
}

/// Puts a suffix behind every name.
pub(super) fn add_suffix(resources: &mut [Resource], suffix: &str) {
    rename(resources, suffix, |resource| resource.suffixes.push(suffix.to_owned()), |name| format!("{name}{suffix}"));
}

fn rename(resources: &mut [Resource], part: &str, record: impl Fn(&mut Resource), renamed: impl Fn(&str) -> String) {
    for resource in resources.iter_mut().filter(|resource| !keeps_name(&resource.original())) {
        record(resource);
        if !part.is_empty() {
            resource.remember();
            let name = renamed(resource.name());
            resource.set_name(&name);
        }
    }
}

/// Puts the hash of its content behind the name of each object that wants it.
pub(super) fn add_hashes(resources: &mut [Resource]) {
    for resource in resources.iter_mut().filter(|resource| resource.needs_hash) {
        let name = format!("{}-{}", resource.name(), hash(&resource.value));
        resource.remember();
        resource.set_name(&name);
    }
}

/// Lets all mentions of names follow the objects that were called so.
///
/// # Errors
/// A mention fits several objects that are called differently now.
pub(super) fn fix_references(resources: &mut [Resource]) -> Result<(), String> {
    if resources.iter().all(|resource| resource.previous.is_empty()) {
        return Ok(());
    }
    let targets: Vec<Target> = resources.iter().map(Target::new).collect();
    for resource in resources.iter_mut() {
        let referrer = Target::new(resource);
        let binding_namespaces = binding_namespaces(resource);
        let seen: Vec<&Target> =
            targets.iter().filter(|target| referrer.can_mention(target, &binding_namespaces)).collect();
        for references in &FIELDS.name_reference {
            for spec in &references.field_specs {
                if !referrer.original.gvk.is_selected(&spec.group, &spec.version, &spec.kind) {
                    continue;
                }
                let role = spec.path.ends_with("roleRef/name").then(|| role_of(&resource.value)).flatten();
                let mention = Mention { referrer: &referrer, references, role, seen: &seen };
                visit(&mut resource.value, spec, Missing::Skip, &mut |field| mention.follow(field))
                    .map_err(|message| format!("{}: {message}", referrer.subject()))?;
            }
        }
    }
    Ok(())
}

/// What of an object counts when it is mentioned, or mentions.
struct Target {
    current: Id,
    original: Id,
    previous: Vec<Id>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Target {
    fn new(resource: &Resource) -> Self {
        Target {
            current: resource.id(),
            original: resource.original(),
            previous: resource.previous.clone(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    fn subject(&self) -> String {
        format!("{}/{}", self.current.gvk.kind, self.current.name)
    }

    /// Objects mention what is in their namespace or in none; those without a namespace mention everything.
    fn can_mention(&self, target: &Target, binding_namespaces: &[String]) -> bool {
        self.current.is_cluster_scoped()
            || target.current.is_cluster_scoped()
            || self.current.effective_namespace() == target.current.effective_namespace()
            || binding_namespaces.contains(&target.current.namespace)
    }

    fn was_selected(&self, group: &str, version: &str, kind: &str) -> bool {
        self.previous.iter().any(|id| id.gvk.is_selected(group, version, kind))
    }

    /// Both went through the same prefixes and suffixes, as far as the shorter history goes.
    fn went_with(&self, other: &Target, empty_fits: bool) -> bool {
        let same = |one: &[String], other: &[String]| {
            if one.is_empty() || other.is_empty() {
                return empty_fits || one.len() == other.len();
            }
            one.iter().rev().zip(other.iter().rev()).all(|(one, other)| one == other)
        };
        same(&self.prefixes, &other.prefixes) && same(&self.suffixes, &other.suffixes)
    }
}

/// The namespaces of the service accounts that a role binding names.
fn binding_namespaces(resource: &Resource) -> Vec<String> {
    let gvk = resource.gvk();
    if gvk.kind != "RoleBinding" && gvk.kind != "ClusterRoleBinding" {
        return Vec::new();
    }
    let subjects = resource.value.get("subjects").and_then(Value::as_array).into_iter().flatten();
    let of_accounts = subjects.filter(|subject| subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount"));
    of_accounts.filter_map(|subject| subject.get("namespace")?.as_str().map(str::to_owned)).collect()
}

/// Group and kind that a binding's `roleRef` names.
fn role_of(binding: &Value) -> Option<(String, String)> {
    let text = |key: &str| binding.pointer(&format!("/roleRef/{key}")).and_then(Value::as_str).map(str::to_owned);
    Some((text("apiGroup")?, text("kind")?))
}

/// One field that may mention an object.
struct Mention<'a> {
    referrer: &'a Target,
    references: &'a References,
    role: Option<(String, String)>,
    seen: &'a [&'a Target],
}

impl Mention<'_> {
    fn follow(&self, field: &mut Value) -> Result<(), String> {
        match field {
            Value::String(name) => {
                let candidates = self.seen.to_vec();
                if let Some(target) = self.target(name, candidates, |one, other| one.name == other.name)? {
                    name.clone_from(&target.current.name);
                }
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.follow(item)),
            Value::Object(_) => self.follow_mapping(field),
            _ => Ok(()),
        }
    }

    /// A mapping with a name and perhaps a namespace, such as the subject of a role binding.
    fn follow_mapping(&self, field: &mut Value) -> Result<(), String> {
        let Some(name) = field.get("name").and_then(Value::as_str).map(str::to_owned) else {
            return Err("a mapping without `name`".to_owned());
        };
        let in_namespace = |wanted: &str, id: fn(&Target) -> &Id| {
            let there = |target: &&Target| id(target).effective_namespace() == wanted;
            self.seen.iter().copied().filter(there).collect::<Vec<_>>()
        };
        let candidates = match field.get("namespace").and_then(Value::as_str) {
            None => self.seen.to_vec(),
            Some(wanted) => match in_namespace(wanted, |target| &target.original) {
                found if found.is_empty() => in_namespace(wanted, |target| &target.current),
                found => found,
            },
        };
        let same = |one: &Id, other: &Id| one.name == other.name && one.namespace == other.namespace;
        let Some(target) = self.target(&name, candidates, same)? else { return Ok(()) };
        let Id { name: new_name, namespace, .. } = &target.current;
        if *new_name == name && namespace.is_empty() {
            return Ok(());
        }
        field["name"] = Value::from(new_name.clone());
        if !namespace.is_empty() {
            field["namespace"] = Value::from(namespace.clone());
        }
        Ok(())
    }

    fn target<'t>(
        &self,
        name: &str,
        mut candidates: Vec<&'t Target>,
        same: impl Fn(&Id, &Id) -> bool,
    ) -> Result<Option<&'t Target>, String> {
        let References { group, version, kind, .. } = self.references;
        candidates.retain(|target| {
            target.previous.iter().any(|id| id.name == name)
                && target.was_selected(group, version, kind)
                && self.role.as_ref().is_none_or(|(group, kind)| target.was_selected(group, "", kind))
                && self.in_sight(target)
        });
        if candidates.len() > 1 {
            candidates.retain(|target| target.went_with(self.referrer, true));
        }
        if candidates.len() > 1 {
            candidates.retain(|target| target.went_with(self.referrer, false));
        }
        let Some(first) = candidates.first() else { return Ok(None) };
        if candidates.iter().all(|target| same(&target.current, &first.current)) {
            return Ok(Some(first));
        }
        let subjects: Vec<String> = candidates.iter().map(|target| target.subject()).collect();
        Err(format!("{name:?} may be any of {}", subjects.join(", ")))
    }

    fn in_sight(&self, target: &Target) -> bool {
        self.referrer.current.is_cluster_scoped()
            || target.current.is_cluster_scoped()
            || target.current.gvk.kind == "ServiceAccount"
            || self.referrer.current.effective_namespace() == target.current.effective_namespace()
    }
}
