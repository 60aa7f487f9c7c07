//! Applies patches to the objects they are for.

use serde_json::Value;

use crate::yaml::{self, Options};

use super::json_patch::json_patch;
use super::overlay::overlay;
use super::resources::{Id, Resource};
use super::select::Selector;
use super::spec::{Patch, PatchOptions};
use super::{Files, Source};

/// Applies one entry of `patches`.
pub(super) fn apply(resources: &mut Vec<Resource>, patch: &Patch, files: Files<'_>) -> Result<(), String> {
    let text = patch.patch.trim();
    let loaded = match (text.is_empty(), patch.path.is_empty()) {
        (false, true) => text.as_bytes().to_vec(),
        (true, false) => files(&patch.path).map_err(|error| format!("{}: {error}", patch.path))?,
        (true, true) => return Err("one of `patch` and `path` is needed".to_owned()),
        (false, false) => return Err("`patch` and `path` exclude each other".to_owned()),
    };
    let documents: Result<Vec<_>, _> = yaml::read_all(&loaded, &Options::manifests()).into_iter().collect();
    let documents = documents.map_err(|error| format!("the patch is not YAML: {error}"))?;
    let documents = documents.into_iter().map(|document| document.value).filter(|value| !value.is_null());
    let mut documents: Vec<Value> = documents.collect();
    let selector = patch.target.as_ref().map(Selector::new).transpose()?;
    match (documents.as_slice(), selector) {
        ([Value::Array(_)], None) => Err("a JSON patch needs a target".to_owned()),
        ([operations @ Value::Array(_)], Some(selector)) => apply_operations(resources, operations, &selector),
        ([], _) => Ok(()),
        ([_, _, ..], Some(_)) => Err("several strategic merge patches in one entry cannot have a target".to_owned()),
        (_, Some(selector)) => {
            let Some(patch_object) = documents.pop() else { return Ok(()) };
            apply_selected(resources, &patch_object, &selector, patch.options)
        }
        (_, None) => documents.iter().try_for_each(|one| apply_named(resources, one, patch.options)),
    }
}

fn apply_operations(resources: &mut [Resource], operations: &Value, selector: &Selector) -> Result<(), String> {
    for resource in resources.iter_mut().filter(|resource| selector.matches(resource)) {
        let patched =
            json_patch(&resource.value, operations).map_err(|error| format!("{}: {error}", resource.subject()))?;
        resource.remember();
        resource.value = patched;
    }
    Ok(())
}

/// A strategic merge patch for all objects that a target selects.
fn apply_selected(
    resources: &mut Vec<Resource>,
    patch: &Value,
    selector: &Selector,
    options: PatchOptions,
) -> Result<(), String> {
    let selected: Vec<usize> = (0..resources.len()).filter(|&at| selector.matches(&resources[at])).collect();
    for at in selected.into_iter().rev() {
        let mut patch = patch.clone();
        if let Value::Object(map) = &mut patch {
            map.insert("apiVersion".to_owned(), resources[at].value["apiVersion"].clone());
        }
        apply_one(resources, at, &patch, options)?;
    }
    Ok(())
}

/// A strategic merge patch for the object that it names itself.
fn apply_named(resources: &mut Vec<Resource>, patch: &Value, options: PatchOptions) -> Result<(), String> {
    let named = Resource::new(patch.clone(), Source::Object(0));
    let id: Id = named.id();
    let found: Vec<usize> = (0..resources.len()).filter(|&at| resources[at].is_known_as(&id)).collect();
    match found.as_slice() {
        [at] => apply_one(resources, *at, patch, options),
        [] => Err(format!("no resource matches strategic merge patch {} {}", id.gvk.api_version(), named.subject())),
        _ => Err(format!("several resources match strategic merge patch {}", named.subject())),
    }
}

fn apply_one(resources: &mut Vec<Resource>, at: usize, patch: &Value, options: PatchOptions) -> Result<(), String> {
    let resource = &mut resources[at];
    let before = resource.id();
    let patched = overlay(&resource.value, patch).map_err(|error| format!("{}: {error}", resource.subject()))?;
    let Some(patched) = patched.filter(|value| value.as_object().is_some_and(|map| !map.is_empty())) else {
        resources.remove(at);
        return Ok(());
    };
    if options.allow_name_change || options.allow_kind_change {
        resource.remember();
    }
    resource.value = patched;
    if !options.allow_kind_change {
        resource.value["kind"] = Value::from(before.gvk.kind);
    }
    if !options.allow_name_change {
        resource.set_name(&before.name);
    }
    resource.set_in_metadata("namespace", &before.namespace);
    Ok(())
}
