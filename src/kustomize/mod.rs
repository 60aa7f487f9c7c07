//! kustomize's words: generators, patches, names, labels, annotations and images for a list of objects.
//!
//! All functions are pure: files come through a closure, objects go in and come out. [`build`] applies the words in
//! kustomize's order, and its results are kustomize's, its quirks included; [`strategic_merge`], [`json_patch`] and
//! [`merge_patch`] are the patches of kubectl and the API server.
//!
//! ```text
//! objects -> generate -> patch -> prefix, suffix -> labels -> annotations -> images -> hashes -> references -> objects
//! ```
//!
//! Start at [`build`]; the words are in [`spec`].

pub mod spec;

mod fields;
mod generate;
mod json_patch;
mod names;
mod overlay;
mod patch;
mod resources;
mod select;
mod strategic;
mod tables;

use serde_json::Value;

use crate::object::Object;

use generate::Kind;
use resources::Resource;
use spec::{Behavior, Generator, Labels, Words};
use tables::{FIELDS, FieldSpec as Spec};

pub use json_patch::{json_patch, merge_patch};
pub use overlay::overlay;
pub use strategic::{strategic_merge, strategic_merge_as};
pub use tables::FieldSpec;

/// Reads a file that the words name, relative to where they are written.
pub type Files<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

/// Why the words cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word}: {message}")]
pub struct Error {
    /// The word at fault, `patches[0]`.
    pub word: String,
    /// What is wrong with it.
    pub message: String,
}

/// Applies the words to objects; the generated ones come last.
///
/// # Errors
/// The first word that cannot be applied.
///
/// ```
/// use bowline::kustomize::{build, spec::Words};
/// use bowline::object::Object;
/// let words: Words = serde_json::from_value(serde_json::json!({
///     "namePrefix": "dev-",
///     "configMapGenerator": [{"name": "settings", "literals": ["level=info"]}],
/// })).unwrap();
/// let pod = Object::new(serde_json::json!({
///     "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
///     "spec": {"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]},
/// })).unwrap();
/// let objects = build(&words, vec![pod], &mut |path| Err(format!("{path} does not exist"))).unwrap();
/// assert_eq!(objects[0].name(), "dev-web");
/// assert_eq!(objects[1].name(), "dev-settings-k4b9tgf9m9");
/// assert_eq!(objects[0].value()["spec"]["volumes"][0]["configMap"]["name"], "dev-settings-k4b9tgf9m9");
/// ```
pub fn build(words: &Words, objects: Vec<Object>, files: Files<'_>) -> Result<Vec<Object>, Error> {
    Ok(build_traced(words, objects, files)?.into_iter().map(|(_, object)| object).collect())
}

/// Where an object that comes out of the words began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// As one of the objects that went in, by its place.
    Object(usize),
    /// As an entry of `configMapGenerator` or `secretGenerator`.
    Generator {
        /// The word.
        word: &'static str,
        /// Place of the entry.
        at: usize,
    },
}

/// Applies the words as [`build`] does, and tells of each object where it began.
///
/// # Errors
/// The first word that cannot be applied.
pub fn build_traced(words: &Words, objects: Vec<Object>, files: Files<'_>) -> Result<Vec<(Source, Object)>, Error> {
    let objects = objects.into_iter().enumerate();
    let mut resources: Vec<Resource> =
        objects.map(|(at, object)| Resource::new(object.into_value(), Source::Object(at))).collect();
    generate_all(&mut resources, words, files)?;
    for (at, patch) in words.patches.iter().enumerate() {
        patch::apply(&mut resources, patch, files).map_err(|message| failed(&format!("patches[{at}]"), message))?;
    }
    if !words.name_prefix.is_empty() {
        names::add_prefix(&mut resources, &words.name_prefix);
    }
    if !words.name_suffix.is_empty() {
        names::add_suffix(&mut resources, &words.name_suffix);
    }
    for (at, labels) in words.labels.iter().enumerate() {
        fields::set_entries(&mut resources, &labels.pairs, &label_fields(labels))
            .map_err(|message| failed(&format!("labels[{at}]"), message))?;
    }
    let common_labels: Vec<&Spec> = FIELDS.common_labels.iter().collect();
    fields::set_entries(&mut resources, &words.common_labels, &common_labels)
        .map_err(|message| failed("commonLabels", message))?;
    let annotations: Vec<&Spec> = FIELDS.common_annotations.iter().collect();
    fields::set_entries(&mut resources, &words.common_annotations, &annotations)
        .map_err(|message| failed("commonAnnotations", message))?;
    for (at, image) in words.images.iter().enumerate() {
        fields::set_image(&mut resources, image).map_err(|message| failed(&format!("images[{at}]"), message))?;
    }
    names::add_hashes(&mut resources);
    names::fix_references(&mut resources).map_err(|message| failed("name reference", message))?;
    resources.into_iter().map(finished).collect()
}

fn failed(word: &str, message: String) -> Error {
    Error { word: word.to_owned(), message }
}

fn finished(resource: Resource) -> Result<(Source, Object), Error> {
    let subject = resource.subject();
    let object = Object::new(resource.value);
    object
        .map(|object| (resource.source, object))
        .map_err(|error| failed(&subject, format!("is no object any more: {error}")))
}

/// The fields that an entry of `labels` sets.
fn label_fields(labels: &Labels) -> Vec<&Spec> {
    let known: &[Spec] = match (labels.include_selectors, labels.include_templates) {
        (true, _) => &FIELDS.common_labels,
        (false, true) => &FIELDS.template_labels,
        (false, false) => FIELDS.template_labels.get(..1).unwrap_or_default(),
    };
    labels.fields.iter().chain(known).collect()
}

fn generate_all(resources: &mut Vec<Resource>, words: &Words, files: Files<'_>) -> Result<(), Error> {
    let general = words.generator_options.clone().unwrap_or_default();
    let lists = [
        ("configMapGenerator", Kind::ConfigMap, &words.config_map_generator),
        ("secretGenerator", Kind::Secret, &words.secret_generator),
    ];
    for (word, kind, generators) in lists {
        for (at, generator) in generators.iter().enumerate() {
            let options = generator.options.clone().unwrap_or_default().over(&general);
            generate::generate(kind, generator, &options, files)
                .and_then(|value| {
                    let mut resource = Resource::new(value, Source::Generator { word, at });
                    resource.needs_hash = !options.disable_name_suffix_hash;
                    absorb(resources, resource, generator)
                })
                .map_err(|message| failed(&format!("{word}[{at}]"), message))?;
        }
    }
    Ok(())
}

/// Takes a generated object in, or lays it over the one that is there.
fn absorb(resources: &mut Vec<Resource>, mut resource: Resource, generator: &Generator) -> Result<(), String> {
    let id = resource.id();
    let known = resources.iter_mut().find(|known| known.is_known_as(&id));
    let known = match (known, generator.behavior) {
        (None, Behavior::Create) => {
            resources.push(resource);
            return Ok(());
        }
        (None, _) => return Err(format!("{} does not exist; cannot merge or replace", resource.subject())),
        (Some(_), Behavior::Create) => {
            return Err(format!("{} exists; behavior must be merge or replace", resource.subject()));
        }
        (Some(known), _) => known,
    };
    let mut parts = vec!["/metadata/labels", "/metadata/annotations"];
    if generator.behavior == Behavior::Merge {
        parts.extend(["/data", "/binaryData"]);
    }
    for pointer in parts {
        underlay(&mut resource.value, &known.value, pointer);
    }
    resource.set_name(known.name());
    resource.set_in_metadata("namespace", known.namespace());
    resource.previous.clone_from(&known.previous);
    resource.needs_hash = known.needs_hash;
    resource.source = known.source;
    *known = resource;
    Ok(())
}

/// Completes a mapping by what another object has in the same place.
fn underlay(value: &mut Value, below: &Value, pointer: &str) {
    let Some(Value::Object(below)) = below.pointer(pointer) else { return };
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let Some(parent) = value.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    let own = parent.entry(name).or_insert_with(|| Value::Object(serde_json::Map::new()));
    let Value::Object(own) = own else { return };
    for (key, value) in below {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
