//! What lint looks at in a rendered document: its head, and the rules for one kind or another.

use serde_json::Value;

use super::deprecations::deprecated;
use super::names;
use crate::chart::decode::{Fields, WrongType};
use crate::chart::documents::documents;
use crate::template::format::quote;
use crate::yaml;

/// The head of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// The line of the text in which the document begins.
    pub(super) line: usize,
}

/// A text that is no YAML, or whose head is of the wrong types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    /// Why, in Go's words.
    pub(super) reason: String,
    /// Line of the text, from 1.
    pub(super) line: usize,
    /// Column, from 1; 0 when not known.
    pub(super) column: usize,
}

/// The heads of all documents of a text, `None` for empty ones; ends with the first that is broken.
///
/// As the decoder of Kubernetes' client libraries does it: a text that begins with a brace may be a row of JSON objects
/// without separators.
pub(super) fn decode(text: &str) -> Vec<Result<Option<Head>, Broken>> {
    let mut heads = Vec::new();
    let (rest, lines_before) = if text.trim_start().starts_with('{') { objects(text, &mut heads) } else { (text, 0) };
    for document in documents(rest.as_bytes()) {
        let outcome = match document {
            Err(error) => Err(Broken { reason: error.to_string(), line: lines_before + error.line, column: 1 }),
            Ok(document) => read(document.text, lines_before + document.lines_before),
        };
        let is_broken = outcome.is_err();
        heads.push(outcome);
        if is_broken {
            break;
        }
    }
    heads
}

/// Takes JSON objects off the front of a text; gives what is left for YAML and the lines before it.
fn objects<'t>(text: &'t str, heads: &mut Vec<Result<Option<Head>, Broken>>) -> (&'t str, usize) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut taken = 0;
    while let Some(Ok(value)) = values.next() {
        let line = line_of(text, taken);
        match head(&value, line) {
            Ok(found) => heads.push(Ok(found)),
            // Go tries YAML then, which fails in the same way, and shows what JSON said.
            Err(error) => {
                heads.push(Err(Broken { reason: error.in_json(), line, column: 0 }));
                return ("", 0);
            }
        }
        taken = values.byte_offset();
    }
    // The end of the last line belongs to the object before.
    let rest = &text[taken..];
    let blank = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n').len();
    let rest = rest[blank..].strip_prefix('\n').unwrap_or(&rest[blank..]);
    (rest, text[..text.len() - rest.len()].matches('\n').count())
}

/// The line of the first character after white space.
fn line_of(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    let start = from + rest.len() - rest.trim_start().len();
    text[..start].matches('\n').count() + 1
}

fn read(text: &[u8], lines_before: usize) -> Result<Option<Head>, Broken> {
    let value = yaml::read(text, &yaml::Options::helm()).map_err(|error| Broken {
        reason: error.in_go(),
        line: lines_before + error.position.line,
        column: error.position.column,
    })?;
    let first = String::from_utf8_lossy(text);
    let first = first.lines().position(|line| !matches!(line.trim(), "" | "---")).unwrap_or(0);
    let line = lines_before + first + 1;
    head(&value, line).map_err(|error| Broken { reason: error.to_string(), line, column: 0 })
}

fn head(value: &Value, line: usize) -> Result<Option<Head>, WrongType> {
    let Some(fields) = Fields::document(value, "k8sYamlStruct", "rules.k8sYamlStruct")? else { return Ok(None) };
    let mut head = Head { line, ..Head::default() };
    fields.text("apiVersion", &mut head.api_version)?;
    fields.text("Kind", &mut head.kind)?;
    if let Some(metadata) = fields.nested("Metadata", "rules.k8sYamlMetadata")? {
        metadata.text("Name", &mut head.name)?;
        metadata.text("Namespace", &mut String::new())?;
    }
    Ok(Some(head))
}

impl Head {
    /// The name is one that Kubernetes takes for this kind.
    pub(super) fn has_valid_name(&self) -> Result<(), String> {
        let name = quote(self.name.as_bytes());
        let problems: Vec<String> = names::problems(&self.kind, &self.name)
            .into_iter()
            .map(|problem| format!("metadata.name: Invalid value: {name}: {problem}"))
            .collect();
        let problems = match problems.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        Err(format!("object name does not conform to Kubernetes naming requirements: {name}: {problems}"))
    }

    /// The kind is not one that a version of Kubernetes has deprecated.
    pub(super) fn is_current(&self, version: (u32, u32)) -> Result<(), String> {
        deprecated(&self.api_version, &self.kind, version).map_or(Ok(()), Err)
    }

    /// A workload says somewhere in its template which pods are its own.
    pub(super) fn has_selector(&self, text: &str) -> Result<(), String> {
        let is_workload = matches!(self.kind.as_str(), "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet");
        if !is_workload || text.contains("matchLabels") || text.contains("matchExpressions") {
            return Ok(());
        }
        let name = quote(self.name.as_bytes());
        Err(format!("a {} must contain matchLabels or matchExpressions, and {name} does not", self.kind))
    }

    /// A list holds no object with an annotation that would be ignored inside a list.
    pub(super) fn keeps_annotations(&self, text: &str) -> Result<(), String> {
        if self.kind != "List" {
            return Ok(());
        }
        let unparsable = |reason: String| format!("unable to parse YAML: {reason}");
        let value = yaml::read(text.as_bytes(), &yaml::Options::helm()).map_err(|error| unparsable(error.in_go()))?;
        let Some(fields) = Fields::document(&value, "", "struct").map_err(|error| unparsable(error.to_string()))?
        else {
            return Ok(());
        };
        let items = fields.structs("Items", "struct").map_err(|error| unparsable(error.to_string()))?;
        for item in items.into_iter().flatten().flatten() {
            let mut annotations = None;
            let metadata = item.nested("Metadata", "struct").map_err(|error| unparsable(error.to_string()))?;
            if let Some(metadata) = metadata {
                let read = metadata.text_map("Annotations", &mut annotations);
                read.map_err(|error| unparsable(error.to_string()))?;
            }
            if annotations.is_some_and(|annotations| annotations.contains_key("helm.sh/resource-policy")) {
                return Err("annotation 'helm.sh/resource-policy' within List objects are ignored".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<String> {
        let kind = |head: Result<Option<Head>, Broken>| match head {
            Ok(Some(head)) => format!("{}@{}", head.kind, head.line),
            Ok(None) => "-".to_owned(),
            Err(broken) => format!("line {}: {}", broken.line, broken.reason),
        };
        decode(text).into_iter().map(kind).collect()
    }

    #[test]
    fn documents_may_be_yaml_or_json() {
        assert_eq!(kinds("kind: A\n---\n# nothing\n---\nkind: B\n"), ["A@1", "-", "B@5"]);
        assert_eq!(kinds("{\"kind\": \"A\"}\n{\"kind\": \"B\"}"), ["A@1", "B@2"]);
        assert_eq!(kinds("{\"kind\": \"A\"}\n---\nkind: B\n"), ["A@1", "B@3"]);
        assert_eq!(kinds("{kind: A}\n"), ["A@1"]);
        assert!(kinds(" \n").iter().all(|kind| kind == "-"));
    }

    #[test]
    fn reading_ends_with_the_first_broken_document() {
        let found = kinds("kind: A\n---\nkind: [\n---\nkind: B\n");
        assert_eq!(found.len(), 2);
        assert!(found[1].starts_with("line 4: error converting YAML to JSON: yaml: "), "{}", found[1]);
        let found = kinds("metadata: x\n");
        let words =
            "json: cannot unmarshal string into Go struct field k8sYamlStruct.Metadata of type rules.k8sYamlMetadata";
        assert!(found[0].ends_with(words), "{}", found[0]);
    }
}
