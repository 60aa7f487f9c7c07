//! Executes a template: walks its nodes, evaluates pipelines, writes bytes.

use super::context::Context;
use super::error::{Error, Failure};
use super::set::Templates;
use super::value::{Text, Value};

/// One run of templates: what functions get to see of it.
pub struct State<'r> {
    context: &'r mut Context,
}

impl<'r> State<'r> {
    /// A run of these templates.
    pub fn new(templates: &'r Templates, context: &'r mut Context) -> Self {
        let _ = templates;
        State { context }
    }

    /// Executes a named template and gives what it wrote.
    ///
    /// # Errors
    /// There is no such template, or it fails.
    pub fn execute(&mut self, name: &str, data: Value) -> Result<Vec<u8>, Error> {
        self.include(name.as_bytes(), data).map(|text| text.to_vec()).map_err(Failure::into_error)
    }

    /// The surroundings: random, clock, lookup, lint.
    pub fn context(&mut self) -> &mut Context {
        self.context
    }

    /// What `include` does: executes a named template with the data as dot.
    ///
    /// # Errors
    /// There is no such template, it fails, or it is nested too deeply.
    pub fn include(&mut self, name: &[u8], data: Value) -> Result<Text, Failure> {
        let _ = (name, data);
        Err(Failure::new("include is not available"))
    }

    /// What `tpl` does: parses the text, with the templates of this run in reach, and executes it.
    ///
    /// # Errors
    /// The text is no template, or it fails.
    pub fn tpl(&mut self, text: &[u8], data: Value) -> Result<Text, Failure> {
        let _ = (text, data);
        Err(Failure::new("tpl is not available"))
    }
}

#[allow(dead_code)]
fn keep(error: Error) -> Failure {
    error.into()
}
