//! A set of named templates: parsed once, executed often, by many runs at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{Tree, tree_text};
use super::error::Error;
use super::funcs::Functions;
use super::parser;
use super::value::Text;

/// Templates that may call each other by name.
#[derive(Debug, Clone)]
pub struct Templates {
    root: String,
    functions: &'static Functions,
    trees: Trees,
}

/// Trees by the name of their template.
pub(super) type Trees = BTreeMap<Arc<str>, Arc<Tree>>;

impl Templates {
    /// An empty set. The name is that of Go's root template, which errors mention and under which `tpl` parses: Helm's
    /// is `gotpl`.
    pub fn new(root: &str, functions: &'static Functions) -> Self {
        Templates { root: root.to_owned(), functions, trees: Trees::new() }
    }

    /// Parses a text under a name and adds it with all that it defines; later definitions win over earlier ones, unless
    /// they are empty.
    ///
    /// # Errors
    /// The text is not a template.
    pub fn parse(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<(), Error> {
        for tree in parser::parse(name, &Text::from(text.as_ref()), self.functions)? {
            if !tree.is_blank() || !self.trees.contains_key(&tree.name) {
                self.trees.insert(tree.name.clone(), tree);
            }
        }
        Ok(())
    }

    /// The names of all templates: files and what they define.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(|name| &**name)
    }

    /// A template as its nodes print, which is Go's normal form: comments and trimmed space are gone.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|tree| tree_text(tree))
    }

    /// The functions that its templates may call.
    pub fn functions(&self) -> &'static Functions {
        self.functions
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Tree>> {
        self.trees.get(name)
    }
}
