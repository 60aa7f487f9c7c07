//! Which files of a checkout count: what is ignored, what belongs to a chart or a kustomization, where paths lead.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::source::Checkout;
use crate::unit::{Origin, Problem};

use super::folder;

/// Name of the files that say what is ignored, in gitignore syntax.
const IGNORE_FILE: &str = ".bowlineignore";

/// Names that make a folder a kustomization.
const KUSTOMIZATION: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What lies in a tree, by what it is.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// YAML and JSON files that may hold manifests and lists.
    pub(super) manifests: Vec<String>,
    /// Folders with a `bowline.yaml`.
    pub(super) settings: Vec<String>,
    /// Folders that nothing may be read from, and what is wrong with them.
    pub(super) held: BTreeMap<String, Problem>,
}

/// The folder of a file; empty for the root.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The name of a file without its folder.
pub(super) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A folder and all above it, the deepest first; the root is the empty text.
pub(super) fn upwards(folder: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(folder);
    std::iter::from_fn(move || {
        let current = next?;
        next = (!current.is_empty()).then(|| folder_of(current));
        Some(current)
    })
}

/// Whether a file's name says that it holds YAML or JSON.
pub(super) fn is_manifest_name(path: &str) -> bool {
    let name = name_of(path);
    [".yaml", ".yml", ".json"].iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

impl Tree {
    /// Sorts the files of a checkout.
    pub(super) fn of(checkout: &Checkout) -> Tree {
        let mut tree = Tree::default();
        let mut charts = BTreeSet::new();
        let mut kustomizations = BTreeMap::new();
        let mut ignores = BTreeMap::new();
        for (path, _) in checkout.files() {
            match name_of(path) {
                "Chart.yaml" => drop(charts.insert(folder_of(path).to_owned())),
                name if KUSTOMIZATION.contains(&name) => {
                    kustomizations.entry(folder_of(path).to_owned()).or_insert_with(|| path.to_owned());
                }
                IGNORE_FILE => match ignore_file(checkout, path) {
                    Ok(rules) => drop(ignores.insert(folder_of(path).to_owned(), rules)),
                    Err(problem) => drop(tree.held.insert(folder_of(path).to_owned(), problem)),
                },
                _ => {}
            }
        }
        let hidden = |path: &str| path.split('/').any(|name| name.starts_with('.'));
        let ignored = |path: &str| is_ignored(&ignores, path);
        let in_chart = |path: &str| upwards(folder_of(path)).any(|folder| charts.contains(folder));
        for (folder, path) in kustomizations {
            if hidden(&path) || ignored(&path) || in_chart(&path) {
                continue;
            }
            let problem = Problem::new(Origin::new(&path, 1, 1), "kustomizations are not built by this version yet");
            let hint = "put what `bowline build` prints into a file, or keep the folder out with .bowlineignore";
            tree.held.entry(folder).or_insert_with(|| problem.with_hint(hint));
        }
        for (path, _) in checkout.files() {
            if hidden(path) || ignored(path) || in_chart(path) {
                continue;
            }
            if name_of(path) == folder::FILE {
                tree.settings.push(folder_of(path).to_owned());
            } else if is_manifest_name(path) {
                tree.manifests.push(path.to_owned());
            }
        }
        tree
    }

    /// The problem of the nearest folder above a file from which nothing may be read.
    pub(super) fn held_by(&self, path: &str) -> Option<&Problem> {
        upwards(folder_of(path)).find_map(|folder| self.held.get(folder))
    }
}

fn ignore_file(checkout: &Checkout, path: &str) -> Result<Gitignore, Problem> {
    let whole = || Origin::new(path, 0, 0);
    let bytes = checkout.read(path).map_err(|error| Problem::new(whole(), error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::new(whole(), "is not UTF-8"))?;
    let mut builder = GitignoreBuilder::new("");
    for (index, line) in text.lines().enumerate() {
        builder.add_line(None, line).map_err(|error| {
            let origin = Origin::new(path, index + 1, 1);
            Problem::new(origin, format!("`{line}` is no pattern: {error}"))
                .with_hint("the syntax is that of .gitignore")
        })?;
    }
    builder.build().map_err(|error| Problem::new(whole(), error.to_string()))
}

/// As Git does it: the deepest file that says something about a path, or about a folder on the way, decides.
fn is_ignored(ignores: &BTreeMap<String, Gitignore>, path: &str) -> bool {
    for folder in upwards(folder_of(path)) {
        let Some(rules) = ignores.get(folder) else { continue };
        let relative = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
        let found = rules.matched_path_or_any_parents(relative, false);
        if !found.is_none() {
            return found.is_ignore();
        }
    }
    false
}

/// Why a path that a list names leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error("`{0}` leads out of the source's path")]
    Escapes(String),
    #[error("`{0}` is no path inside the repository: {1}")]
    Malformed(String, &'static str),
}

/// Joins a folder and a path that is written relative to it; never leads out of the tree.
pub(super) fn join(folder: &str, path: &str) -> Result<String, PathError> {
    let malformed = |reason| Err(PathError::Malformed(path.escape_debug().to_string(), reason));
    if path.is_empty() {
        return malformed("it is empty");
    }
    if path.starts_with('/') {
        return malformed("it begins with `/`");
    }
    if path.contains('\\') || path.contains('\0') {
        return malformed("it holds a backslash or NUL");
    }
    if path.contains("://") {
        return malformed("files are not fetched from elsewhere");
    }
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                if names.pop().is_none() {
                    return Err(PathError::Escapes(path.to_owned()));
                }
            }
            name => names.push(name),
        }
    }
    Ok(names.join("/"))
}

/// Whether a path is a glob.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// The YAML and JSON files that a glob matches; `*` stays inside a folder, `**` does not.
pub(super) fn glob(checkout: &Checkout, pattern: &str) -> Result<Vec<String>, String> {
    let matcher = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| format!("`{pattern}` is no glob: {}", error.kind()))?
        .compile_matcher();
    let special = |path: &str| {
        let name = name_of(path);
        name.starts_with('.') || name == folder::FILE || KUSTOMIZATION.contains(&name)
    };
    Ok(checkout
        .files()
        .map(|(path, _)| path)
        .filter(|path| is_manifest_name(path) && !special(path) && matcher.is_match(path))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(join("a/b", "../c.yaml").unwrap(), "a/c.yaml");
        assert_eq!(join("", "./c//d.yaml").unwrap(), "c/d.yaml");
        for path in ["../c.yaml", "a/../../c.yaml", "/etc/passwd", "a\\b", "", "https://example.org/a.yaml"] {
            assert!(join("", path).is_err(), "{path}");
        }
        assert_eq!(join("a", "../../x").unwrap_err().to_string(), "`../../x` leads out of the source's path");
    }

    #[test]
    fn folders_are_walked_upwards() {
        assert_eq!(upwards("a/b").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(upwards("").collect::<Vec<_>>(), [""]);
    }
}
