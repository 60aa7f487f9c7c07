//! Fills namespaces from template lists.
//!
//! ```text
//! list + namespaces -> those that match -> per template: narrower conditions -> a piece, a problem, or a stale copy
//! ```
//! What a template is and whether it can be used is found out once per list, not once per namespace.

use std::sync::Arc;

use super::copy::{self, Source};
use super::kinds::not_served;
use super::place::{Assembly, Draft, Piece, policy};
use super::words::Last;
use super::{Lookup, Namespace, Prune, Scope};
use crate::load::{CopyFrom, Entry, List, Manifest, Pattern, Template, TemplateSource, TextTemplate};
use crate::object::{Object, ObjectId};
use crate::unit::Problem;

/// Namespaces that Kubernetes or its distributions keep for themselves: Kubernetes reserves the prefix `kube-`, OpenShift
/// reserves `openshift-`.
fn is_system(name: &str, own: &str) -> bool {
    name == own || name.starts_with("kube-") || name == "openshift" || name.starts_with("openshift-")
}

/// A template, looked at once for all namespaces.
struct Prepared<'a> {
    entry: &'a Entry,
    /// Names that an annotation of the object asks for.
    names: Option<Vec<Pattern>>,
    /// Names that the object copied from allows; `None`: all.
    granted: Option<Vec<Pattern>>,
    /// Namespace that gets no copy, because the original is there.
    not_in: Option<&'a str>,
    outcome: Outcome,
    matched: bool,
}

enum Outcome {
    Piece(Piece),
    Problem(Vec<Problem>),
    /// The object to copy is gone: copies stay as they are.
    Stale(ObjectId),
    /// The object to copy is gone, and copies are to go too.
    Gone,
    /// An object that kustomize's words of the list apply to.
    Object(Arc<Manifest>),
    /// Each namespace gets its own objects.
    Text(Arc<TextTemplate>),
}

/// Puts what a list says into the units of all matching namespaces.
pub(super) fn fill(assembly: &mut Assembly<'_>, list: &List) {
    let mut prepared: Vec<Prepared<'_>> =
        list.templates.iter().filter_map(|template| prepare(assembly, list, template)).collect();
    let file: Arc<str> = list.spec.origin.file.as_str().into();
    let own = assembly.facts.own_namespace().to_owned();
    let namespaces = std::mem::take(&mut assembly.namespaces);
    let mut selected = false;
    let mut last = Last::default();
    for (name, namespace) in &namespaces {
        let system = is_system(name, &own);
        if !list.spec.select.matches(name, &namespace.labels, system) {
            continue;
        }
        let matching: Vec<&mut Prepared<'_>> =
            prepared.iter_mut().filter(|template| template.matches(list, name, namespace, system)).collect();
        if matching.is_empty() && list.problems.is_empty() && !generates(list, system) {
            continue;
        }
        if namespace.terminating {
            let message = format!("namespace {name} is being deleted: nothing is put into it");
            assembly.warnings.push(Problem::new(list.spec.origin.clone(), message));
            continue;
        }
        let Assembly { stale, .. } = assembly;
        let mut left = Vec::new();
        for template in &matching {
            if let Outcome::Stale(source) = &template.outcome {
                left.push((ObjectId { namespace: name.clone(), ..source.clone() }, source.clone()));
            }
        }
        stale.extend(left);
        selected = true;
        let (pieces, problems) = made(assembly, list, &matching, (name, namespace), &mut last);
        let draft = assembly.unit(&list.folder, name);
        draft.files.insert(file.clone());
        draft.files.extend(list.parts.values().map(|part| Arc::from(part.path.as_str())));
        list.problems.iter().for_each(|problem| draft.problem(problem));
        problems.iter().for_each(|problem| draft.problem(problem));
        draft.pieces.extend(pieces);
        matching.into_iter().for_each(|template| template.add(draft));
    }
    assembly.namespaces = namespaces;
    if !selected {
        assembly.problems.extend(list.problems.iter().cloned());
    }
    // What is wrong with a template that matches nowhere is said all the same.
    if !selected && !prepared.iter().any(|template| matches!(template.outcome, Outcome::Text(_))) {
        let problems = list.spec.words.as_ref().map(|words| last.apply(list, words, objects(&prepared)).problems);
        assembly.problems.extend(problems.into_iter().flatten());
    }
    for template in prepared.into_iter().filter(|template| !template.matched) {
        match template.outcome {
            Outcome::Problem(problems) => assembly.problems.extend(problems),
            Outcome::Object(manifest) => assembly.problems.extend(manifest.problems.iter().cloned()),
            _ => {}
        }
    }
}

impl Prepared<'_> {
    fn matches(&self, list: &List, name: &str, namespace: &Namespace, system: bool) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name, system));
        // A list that names nothing, by selector only, means all but the system's namespaces.
        let named = list.spec.select.names.is_some() || self.entry.select.names.is_some() || self.names.is_some();
        (named || !system)
            && self.not_in != Some(name)
            && self.entry.select.matches(name, &namespace.labels, system)
            && self.names.as_deref().is_none_or(any)
            && self.granted.as_deref().is_none_or(any)
    }

    fn add(&mut self, draft: &mut Draft) {
        self.matched = true;
        match &self.outcome {
            Outcome::Piece(piece) => draft.pieces.push(piece.clone()),
            Outcome::Problem(problems) => problems.iter().for_each(|problem| draft.problem(problem)),
            Outcome::Stale(_) | Outcome::Gone | Outcome::Object(_) | Outcome::Text(_) => {}
        }
    }
}

/// Looks at a template; `None` when its list is at odds with itself, which loading has said.
fn prepare<'a>(assembly: &mut Assembly<'_>, list: &'a List, template: &'a Template) -> Option<Prepared<'a>> {
    let entry = list.spec.entries.get(template.entry)?;
    let mut prepared =
        Prepared { entry, names: None, granted: None, not_in: None, outcome: Outcome::Gone, matched: false };
    match &template.source {
        TemplateSource::Object(manifest) => {
            assembly.warnings.extend(manifest.warnings.iter().cloned());
            prepared.names.clone_from(&manifest.namespaces);
            if list.spec.words.is_some() {
                prepared.outcome = Outcome::Object(manifest.clone());
                return Some(prepared);
            }
            let problems = refusals(assembly, manifest);
            prepared.outcome = if problems.is_empty() {
                Outcome::Piece(piece(list, manifest.clone()))
            } else {
                Outcome::Problem(problems)
            };
        }
        TemplateSource::Text(text) => prepared.outcome = Outcome::Text(text.clone()),
        TemplateSource::Copy(copy) => {
            let found = original(assembly, copy);
            prepared.not_in = Some(&copy.id.namespace);
            let tenant = list.folder.service_account.is_some();
            let problem = |message: String| Problem::new(entry.origin.clone(), message);
            prepared.outcome = match copy::source(copy, found, &entry.origin, tenant) {
                Source::Found(manifest, granted) => {
                    prepared.granted = granted;
                    Outcome::Piece(piece(list, manifest))
                }
                Source::Refused(problem) => Outcome::Problem(vec![problem]),
                Source::Unknown(why) if assembly.facts.is_offline() => {
                    let message = format!("{}: is not shown: {why}", copy.id);
                    assembly.warnings.push(problem(message));
                    Outcome::Gone
                }
                Source::Unknown(why) => {
                    Outcome::Problem(vec![problem(format!("{}: cannot be copied now: {why}", copy.id))])
                }
                Source::Absent => {
                    let keep = list.spec.allow_delete != Some(true);
                    let fate = if keep { "copies stay as they are" } else { "copies are deleted" };
                    assembly.warnings.push(problem(format!("{}: is not there to copy; {fate}", copy.id)));
                    if keep { Outcome::Stale(copy.id.clone()) } else { Outcome::Gone }
                }
            };
        }
    }
    Some(prepared)
}

/// Whether a list makes objects in every namespace that it selects, whatever its templates do.
fn generates(list: &List, system: bool) -> bool {
    let Some(words) = &list.spec.words else { return false };
    let generators = words.words.config_map_generator.len() + words.words.secret_generator.len();
    generators > 0 && !list.spec.select.is_open() && (list.spec.select.names.is_some() || !system)
}

/// The objects among templates that words apply to.
fn objects(templates: &[Prepared<'_>]) -> Vec<Arc<Manifest>> {
    let objects = templates.iter().filter_map(|template| match &template.outcome {
        Outcome::Object(manifest) => Some(manifest.clone()),
        _ => None,
    });
    objects.collect()
}

/// What is made for one namespace: by the texts among some templates, and by kustomize's words.
fn made(
    assembly: &mut Assembly<'_>,
    list: &List,
    templates: &[&mut Prepared<'_>],
    (name, namespace): (&str, &Namespace),
    last: &mut Last,
) -> (Vec<Piece>, Vec<Problem>) {
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    for template in templates {
        match &template.outcome {
            Outcome::Object(manifest) => manifests.push(manifest.clone()),
            Outcome::Text(text) => {
                let result = text.render(&list.spec.name, name, &namespace.labels, &namespace.annotations);
                problems.extend(result.problems);
                assembly.warnings.extend(result.warnings);
                manifests.extend(result.manifests);
            }
            _ => {}
        }
    }
    if let Some(words) = &list.spec.words {
        let made = last.apply(list, words, manifests);
        problems.extend(made.problems);
        manifests = made.manifests;
    }
    let mut pieces = Vec::new();
    for manifest in manifests {
        assembly.warnings.extend(manifest.warnings.iter().cloned());
        let refused = refusals(assembly, &manifest);
        if refused.is_empty() {
            pieces.push(piece(list, manifest));
        }
        problems.extend(refused);
    }
    (pieces, problems)
}

/// The object to copy: as the same commit wants it, so that the copies need not wait for it; else as it lives in the cluster.
fn original(assembly: &mut Assembly<'_>, copy: &CopyFrom) -> Lookup {
    let wanted = assembly
        .units
        .iter()
        .filter(|(name, _)| name.namespace == copy.id.namespace)
        .flat_map(|(_, draft)| &draft.pieces)
        .map(|piece| &piece.manifest)
        .find(|manifest| {
            manifest.gvk.group == copy.id.group && manifest.gvk.kind == copy.id.kind && manifest.name == copy.id.name
        });
    if let Some(object) = wanted.and_then(|manifest| Object::shared(manifest.value.clone()).ok()) {
        return Lookup::Found(Box::new(object));
    }
    assembly.copied.insert(copy.id.clone());
    assembly.facts.lookup(&copy.id)
}

fn piece(list: &List, manifest: Arc<Manifest>) -> Piece {
    let allowed = manifest.allow_delete.or(list.spec.allow_delete).unwrap_or(false);
    let prune = if allowed { Prune::Delete } else { Prune::Keep };
    let policy = Arc::new(policy(&manifest, &list.folder, prune, list.spec.adopt));
    Piece { manifest, list: list.spec.name.as_str().into(), policy, folder: list.folder.clone() }
}

/// Why an object cannot be put into namespaces; empty when it can.
fn refusals(assembly: &mut Assembly<'_>, manifest: &Manifest) -> Vec<Problem> {
    let mut problems = manifest.problems.clone();
    let mut refuse = |message: String, hint: String| {
        let message = format!("{}: {message}", manifest.subject());
        problems.push(Problem::new(manifest.origin.clone(), message).with_hint(hint));
    };
    if !manifest.namespace.is_empty() {
        let message = "names a namespace, and its template list decides where it goes";
        refuse(message.to_owned(), "remove metadata.namespace, or make it a plain manifest".to_owned());
    }
    match assembly.kinds.scope(&manifest.gvk) {
        // A kind that nobody can ask about is taken at its word: lists hold what goes into namespaces.
        Scope::Namespaced | Scope::Unknown => {}
        Scope::Cluster => {
            let message = format!("{} objects have no namespace; a template list fills namespaces", manifest.gvk.kind);
            refuse(message, "make it a plain manifest outside of the list".to_owned());
        }
        Scope::NotServed(nearest) => {
            let (message, hint) = not_served(&manifest.gvk, &nearest);
            refuse(message, hint);
        }
    }
    problems
}
