//! What `helm template` prints of a rendering, byte for byte.

use std::fmt::Write as _;

use super::manifest::{Hook, HookEvent, split};
use super::render::Rendered;
use super::{Manifest, paths};

/// Which parts of a rendering are printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Show {
    /// What is in `crds/`, first.
    pub crds: bool,
    /// Leave hooks out.
    pub no_hooks: bool,
    /// Leave the hooks out that are tests.
    pub skip_tests: bool,
    /// Only what comes from these templates: names from the chart's folder, with shell patterns.
    pub only: Vec<String>,
}

/// A template was asked for that renders nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not find template {0} in chart")]
pub struct NoSuchTemplate(pub String);

impl Show {
    /// The hooks that are printed.
    pub fn hooks<'r>(&self, rendered: &'r Rendered) -> impl Iterator<Item = &'r Hook> {
        let (none, skip_tests) = (self.no_hooks, self.skip_tests);
        let is_test = |hook: &Hook| hook.events.contains(&HookEvent::Test);
        rendered.hooks.iter().filter(move |hook| !(none || skip_tests && is_test(hook)))
    }

    /// The text.
    ///
    /// # Errors
    /// A template that is to be shown is not there or renders nothing.
    pub fn text(&self, rendered: &Rendered) -> Result<String, NoSuchTemplate> {
        let mut all = String::new();
        for (name, file) in rendered.crds.iter().filter(|_| self.crds) {
            section(&mut all, name, &file.text());
        }
        for Manifest { source, text, .. } in &rendered.manifests {
            section(&mut all, source, text);
        }
        let mut all = format!("{}\n", all.trim());
        for hook in self.hooks(rendered) {
            section(&mut all, &hook.manifest.source, &hook.manifest.text);
        }
        if self.only.is_empty() { Ok(all) } else { self.selected(&all) }
    }

    /// Helm splits what it printed again to find the templates.
    fn selected(&self, all: &str) -> Result<String, NoSuchTemplate> {
        let documents: Vec<(&str, &str)> =
            split(all).into_iter().filter_map(|document| Some((source_in(document)?, document))).collect();
        let mut shown = String::new();
        for pattern in &self.only {
            let mut found = false;
            for (_, document) in documents.iter().filter(|(source, _)| paths::matches(pattern, source).unwrap_or(false))
            {
                found = true;
                let _ = writeln!(shown, "---\n{document}");
            }
            if !found {
                return Err(NoSuchTemplate(pattern.clone()));
            }
        }
        Ok(shown)
    }
}

/// One document under the name of its template.
pub(crate) fn section(out: &mut String, source: &str, text: &str) {
    let _ = writeln!(out, "---\n# Source: {source}\n{text}");
}

/// The template named in the first `# Source: chart/...` line, without the chart.
fn source_in(document: &str) -> Option<&str> {
    let named = document.lines().filter_map(|line| line.split_once("# Source: ")).map(|(_, name)| name);
    named.filter_map(|name| name.split_once('/')).map(|(_, rest)| rest).find(|rest| !rest.is_empty())
}
