//! Applies kustomize's words of a list to the objects that one namespace gets of it.

use std::sync::Arc;

use crate::kustomize::{self, Source};
use crate::load::{List, ListWords, Manifest};
use crate::object::Object;
use crate::unit::Problem;

/// What came of the words.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) manifests: Vec<Arc<Manifest>>,
    pub(super) problems: Vec<Problem>,
}

/// The last result: namespaces that get the same objects share what comes of them.
#[derive(Default)]
pub(super) struct Last(Option<(Vec<Arc<Manifest>>, Made)>);

impl Last {
    /// Applies the words of a list to objects.
    pub(super) fn apply(&mut self, list: &List, words: &ListWords, inputs: Vec<Arc<Manifest>>) -> Made {
        if let Some((known, made)) = &self.0
            && known.len() == inputs.len()
            && known.iter().zip(&inputs).all(|(known, input)| Arc::ptr_eq(known, input))
        {
            return made.clone();
        }
        let made = apply(list, words, &inputs);
        self.0 = Some((inputs, made.clone()));
        made
    }
}

fn apply(list: &List, words: &ListWords, inputs: &[Arc<Manifest>]) -> Made {
    let mut made = Made::default();
    // The file that is missing has been said, and half of a result would look as if the rest had left Git.
    if words.files.iter().any(|(file, _)| !list.parts.contains_key(file)) {
        return made;
    }
    let (mut objects, mut used) = (Vec::new(), Vec::new());
    for input in inputs {
        made.problems.extend(input.problems.iter().cloned());
        // One with a problem goes along, so that patches find it, and is left out of the result.
        if let Ok(object) = Object::shared(input.written.clone()) {
            objects.push(object);
            used.push(input);
        }
    }
    let mut files = |file: &str| match list.parts.get(file) {
        Some(part) => Ok(part.bytes.to_vec()),
        None => Err("is not there".to_owned()),
    };
    let built = match kustomize::build_traced(&words.words, objects, &mut files) {
        Ok(built) => built,
        Err(error) => {
            made.problems.push(problem(list, words, &error));
            return made;
        }
    };
    for (source, object) in built {
        let (from, origin) = match source {
            Source::Object(at) => (used.get(at), used.get(at).map(|from| &from.origin)),
            Source::Generator { word, at } => (None, words.places.get(&format!("{word}[{at}]"))),
        };
        if from.is_none_or(|from| from.problems.is_empty()) {
            let origin = origin.unwrap_or(&list.spec.origin).clone();
            let mut manifest = Manifest::made(object.into_value(), origin);
            manifest.allow_delete = from.and_then(|from| from.allow_delete);
            made.manifests.push(Arc::new(manifest));
        }
    }
    made
}

fn problem(list: &List, words: &ListWords, error: &kustomize::Error) -> Problem {
    let hint = if error.message.starts_with("no resource matches") {
        "a patch of what only some namespaces get needs a `target`, which may find nothing"
    } else {
        ""
    };
    match words.places.get(&error.word) {
        Some(place) => Problem::new(place.clone(), format!("spec.{error}")).with_hint(hint),
        None => Problem::new(list.spec.origin.clone(), error.to_string()).with_hint(hint),
    }
}
