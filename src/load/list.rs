//! Template lists: objects that every matching namespace gets, in our spelling and in the three older ones.
//!
//! ```text
//! TemplateList       spec: namespaces, exclude, selector, allowDelete, adopt, templates [object | file | copyFrom | template | "file"]
//! NamespaceExporter  items: objects with annotations | spec.templates: [{namespaces, object}] | spec.templates: ["file"]
//! crd                the same with spec.templates, as the note that proposed it writes it
//! ```

use std::sync::Arc;

use serde_json::{Map, Value};

use super::fields::{Fault, Fields, below, path_text, what};
use super::manifest::{Manifest, Spelling};
use super::select::Select;
use super::text::TextTemplate;
use super::words::{self, ListWords};
use crate::object::{Gvk, ObjectId};
use crate::unit::Origin;
use crate::yaml::Step;

/// A template list as written.
#[derive(Debug, Clone, PartialEq)]
pub struct ListSpec {
    /// `metadata.name`.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// Which namespaces it fills, as far as the list itself says.
    pub select: Select,
    /// Whether what is no longer listed, or no longer matches, is deleted.
    pub allow_delete: Option<bool>,
    /// Whether objects that exist and are not ours are taken over.
    pub adopt: Option<bool>,
    /// Its templates, in order.
    pub entries: Vec<Entry>,
    /// kustomize's words of the list, when it has some.
    pub words: Option<Arc<ListWords>>,
}

/// One template of a list as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it is written.
    pub origin: Origin,
    /// Narrows the list's own selection.
    pub select: Select,
    /// What it puts into the namespaces.
    pub body: Body,
}

/// What a template puts into namespaces.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// An object, written in place.
    Object(Arc<Manifest>),
    /// The objects of a file, or of all files that a glob matches; relative to the list's own file.
    Files(String),
    /// A live object of another namespace.
    Copy(CopyFrom),
    /// Text for the template engine.
    Text(Arc<TextTemplate>),
}

/// A live object that is copied into namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFrom {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Which object.
    pub id: ObjectId,
}

/// A spec and what needs its place in the text: faults of the list, and of each entry's object.
pub(super) struct Draft {
    pub(super) spec: ListSpec,
    /// kustomize's words, which `spec` gets when their places are known.
    pub(super) words: Option<words::Draft>,
    /// Faults of the list itself.
    pub(super) faults: Vec<Fault>,
    /// Per entry: its path in the document, and the faults of its object, relative to the object at `object`.
    pub(super) entries: Vec<EntryDraft>,
}

/// Where an entry is written and what is wrong with its object.
pub(super) struct EntryDraft {
    pub(super) object: Vec<Step>,
    pub(super) faults: Vec<Fault>,
}

/// Reads a `TemplateList`.
pub(super) fn template_list(value: &Value) -> Draft {
    let mut draft = Draft::new();
    let mut faults = Vec::new();
    if let Some(mut root) = Fields::open(value, &[], &mut faults) {
        root.take("apiVersion");
        root.take("kind");
        draft.spec.name = metadata_name(&mut root);
        match root.take("spec") {
            Some(spec) => {
                let path = root.path("spec");
                draft.read_spec(spec, &path, root.faults());
            }
            None => root.fault("spec", "is missing", "write namespaces and templates below it"),
        }
        root.end();
    }
    draft.faults = faults;
    draft
}

/// Reads one of the older spellings.
pub(super) fn older(value: &Value) -> Draft {
    let mut draft = Draft::new();
    let mut faults = Vec::new();
    if let Some(mut root) = Fields::open(value, &[], &mut faults) {
        root.take("apiVersion");
        root.take("kind");
        draft.spec.name = metadata_name(&mut root);
        let items = root.list("items");
        for (index, item) in items.into_iter().flatten().enumerate() {
            let path = below(&root.path("items"), Step::Index(index));
            draft.object(item, path, Select::default(), Spelling::Older, root.faults());
        }
        let spec = root.take("spec");
        if let Some(spec) = spec {
            let path = root.path("spec");
            draft.read_older_spec(spec, &path, root.faults());
        }
        if items.is_none() && spec.is_none() {
            root.fault("spec", "is missing", "write `items:` or `spec.templates:`");
        }
        root.end();
    }
    draft.faults = faults;
    draft
}

fn metadata_name(root: &mut Fields<'_, '_>) -> String {
    let mut name = String::new();
    if let Some(metadata) = root.take("metadata") {
        let path = root.path("metadata");
        if let Some(mut fields) = Fields::open(metadata, &path, root.faults()) {
            name = fields.text("name").unwrap_or_default().to_owned();
            for known in ["namespace", "labels", "annotations"] {
                fields.take(known);
            }
            fields.end();
        }
    }
    if name.is_empty() {
        root.fault("metadata", "a list needs a name", "write metadata: {name: ...}");
    }
    name
}

impl Draft {
    fn new() -> Self {
        let spec = ListSpec {
            name: String::new(),
            origin: Origin::default(),
            select: Select::default(),
            allow_delete: None,
            adopt: None,
            entries: Vec::new(),
            words: None,
        };
        Draft { spec, words: None, faults: Vec::new(), entries: Vec::new() }
    }

    fn read_spec(&mut self, spec: &Value, path: &[Step], faults: &mut Vec<Fault>) {
        let Some(mut fields) = Fields::open(spec, path, faults) else { return };
        self.spec.select = Select::read(&mut fields);
        self.spec.allow_delete = fields.flag("allowDelete");
        self.spec.adopt = fields.flag("adopt");
        let mut words = Map::new();
        for (word, _) in words::WORDS {
            if let Some(value) = fields.take(word) {
                words.insert((*word).to_owned(), value.clone());
            }
        }
        if !words.is_empty() {
            self.words = Some(words::read(&words, path, fields.faults()));
        }
        let templates = fields.list("templates");
        if templates.is_none() && self.words.is_none() && !fields.has("templates") {
            fields.fault("templates", "is missing", "list what every matching namespace gets");
        }
        let path = fields.path("templates");
        for (index, value) in templates.into_iter().flatten().enumerate() {
            self.read_entry(value, &below(&path, Step::Index(index)), fields.faults());
        }
        if self.spec.select.is_open() {
            self.unselected(&mut fields);
        }
        fields.end();
    }

    /// A list that does not say where its objects go is refused unless each of its templates says it.
    fn unselected(&self, fields: &mut Fields<'_, '_>) {
        let all_say =
            self.spec.entries.iter().all(|entry| entry.select.names.is_some() || entry.select.selector.is_some());
        if self.spec.entries.is_empty() || !all_say {
            let hint = "write namespaces: [\"*\"] for all but the system's, or a selector";
            fields.fault("namespaces", "is missing, and there is no selector", hint);
        }
    }

    fn read_entry(&mut self, value: &Value, path: &[Step], faults: &mut Vec<Fault>) {
        if let Some(file) = value.as_str() {
            self.push(Select::default(), Body::Files(file.to_owned()), path.to_vec(), Vec::new());
            return;
        }
        let Some(mut fields) = Fields::open(value, path, faults) else { return };
        let select = Select::read(&mut fields);
        let object = fields.take("object");
        let file = fields.text("file").map(str::to_owned);
        let copy = fields.take("copyFrom");
        let text = fields.text("template");
        let bodies = [object.is_some(), file.is_some(), copy.is_some(), text.is_some()];
        match bodies.iter().filter(|given| **given).count() {
            1 => {}
            0 => fields.fault("object", "is missing", "a template is one of object, file, copyFrom, template"),
            _ => fields.fault("object", "one of object, file, copyFrom, template is allowed", "make it two templates"),
        }
        if let Some(object) = object {
            let path = fields.path("object");
            self.object(object, path, select, Spelling::Ours, fields.faults());
        } else if let Some(file) = file {
            self.push(select, Body::Files(file), path.to_vec(), Vec::new());
        } else if let Some(copy) = copy {
            let path = fields.path("copyFrom");
            if let Some(copy) = CopyFrom::read(copy, &path, fields.faults()) {
                self.push(select, Body::Copy(copy), path, Vec::new());
            }
        } else if let Some(text) = text {
            let text = Arc::new(TextTemplate::new(text));
            self.push(select, Body::Text(text), fields.path("template"), Vec::new());
        }
        fields.end();
    }

    fn read_older_spec(&mut self, spec: &Value, path: &[Step], faults: &mut Vec<Fault>) {
        let Some(mut fields) = Fields::open(spec, path, faults) else { return };
        let Some(templates) = fields.list("templates") else {
            if !fields.has("templates") {
                fields.fault("templates", "is missing", "");
            }
            return fields.end();
        };
        let path = fields.path("templates");
        for (index, value) in templates.iter().enumerate() {
            let path = below(&path, Step::Index(index));
            if let Some(file) = value.as_str() {
                self.push(Select::default(), Body::Files(file.to_owned()), path, Vec::new());
                continue;
            }
            let Some(mut entry) = Fields::open(value, &path, fields.faults()) else { continue };
            let select = Select::read(&mut entry);
            let object = entry.take("object");
            if object.is_none() {
                entry.fault("object", "is missing", "");
            }
            let object_path = entry.path("object");
            entry.end();
            if let Some(object) = object {
                self.object(object, object_path, select, Spelling::Older, fields.faults());
            }
        }
        fields.end();
    }

    /// Takes an object written in place.
    fn object(&mut self, value: &Value, path: Vec<Step>, select: Select, spelling: Spelling, faults: &mut Vec<Fault>) {
        // The note writes `object: ...` where its reader is to imagine one.
        if spelling == Spelling::Older && value.as_str() == Some("...") {
            let message = format!("{}: is `...`, no object; left out", path_text(&path));
            faults.push(Fault::warning(&path, message, "write the object or remove the template"));
            return;
        }
        if !value.is_object() {
            let message = format!("{}: expected an object, this is {}", path_text(&path), what(value));
            faults.push(Fault::error(&path, message, ""));
            return;
        }
        let (manifest, object_faults) = Manifest::read(value.clone(), spelling);
        self.push(select, Body::Object(Arc::new(manifest)), path, object_faults);
    }

    fn push(&mut self, select: Select, body: Body, object: Vec<Step>, faults: Vec<Fault>) {
        self.spec.entries.push(Entry { origin: Origin::default(), select, body });
        self.entries.push(EntryDraft { object, faults });
    }
}

impl CopyFrom {
    fn read(value: &Value, path: &[Step], faults: &mut Vec<Fault>) -> Option<Self> {
        let mut fields = Fields::open(value, path, faults)?;
        let mut needed = |name: &'static str| {
            let text = fields.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
            if text.is_none() {
                fields.fault(name, "is missing", "copyFrom needs namespace, kind and name");
            }
            text
        };
        let (namespace, kind, name) = (needed("namespace"), needed("kind"), needed("name"));
        let api_version = fields.text("apiVersion").map(str::to_owned);
        let kind = kind?;
        let api_version = api_version.or_else(|| super::kinds::api_version(&kind).map(str::to_owned));
        if api_version.is_none() {
            fields.fault(
                "apiVersion",
                "is missing",
                format!("`{kind}` is no kind that every cluster has in one group"),
            );
        }
        let known = api_version.as_deref().map(|version| Gvk::new(version, &kind));
        if known.as_ref().and_then(super::kinds::find).is_some_and(|known| !known.namespaced) {
            fields.fault("kind", format!("`{kind}` objects have no namespace: they cannot be copied into one"), "");
        }
        fields.end();
        let gvk = known?;
        let id = ObjectId { group: gvk.group.clone(), kind, namespace: namespace?, name: name? };
        Some(CopyFrom { gvk, id })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(draft: &Draft) -> Vec<String> {
        let all = draft.faults.iter().chain(draft.entries.iter().flat_map(|entry| &entry.faults));
        all.map(|fault| fault.message.clone()).collect()
    }

    #[test]
    fn every_wrong_field_of_a_list_is_said_at_once() {
        let draft = template_list(&json!({
            "apiVersion": "bowline.dev/v1", "kind": "TemplateList", "metadata": {"name": "a", "nam": 1},
            "spec": {"namespace": ["*"], "allowDelete": "yes", "templates": [
                {"file": "a.yaml", "object": {}},
                {"copyFrom": {"kind": "Secret", "name": "x"}},
                {"copyFrom": {"namespace": "a", "kind": "ClusterRole", "name": "x"}},
                {"namespaces": ["a"]},
                7,
            ]},
            "status": {},
        }));
        assert_eq!(
            messages(&draft),
            [
                "metadata.nam: unknown field",
                "spec.allowDelete: expected true or false, this is a text",
                "spec.templates[0].object: one of object, file, copyFrom, template is allowed",
                "spec.templates[1].copyFrom.namespace: is missing",
                "spec.templates[2].copyFrom.kind: `ClusterRole` objects have no namespace: they cannot be copied into one",
                "spec.templates[3].object: is missing",
                "spec.templates[4]: expected a mapping, this is a number",
                "spec.namespaces: is missing, and there is no selector",
                "spec.namespace: unknown field",
                "status: unknown field",
                "apiVersion: is missing",
                "kind: is missing",
                "metadata.name: is missing",
            ]
        );
    }

    #[test]
    fn a_short_form_is_a_file() {
        let draft = template_list(
            &json!({"metadata": {"name": "a"}, "spec": {"namespaces": ["*"], "templates": ["a/*.yaml"]}}),
        );
        assert_eq!(messages(&draft), [""; 0]);
        assert_eq!(draft.spec.entries[0].body, Body::Files("a/*.yaml".to_owned()));
    }
}
