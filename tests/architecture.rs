//! What the design forbids, checked on the source text: imports go one way, files and functions stay readable.
//!
//! ```text
//! error net object yaml <- failpoint <- health <- unit <- template <- chart kustomize <- fetch source <- load <- render <- diff
//!                   <- cluster <- apply <- record <- report <- reconcile <- api <- daemon <- cli
//! ```
//! A rule that hinders is changed here, with its reason, in the same commit that needs it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// From the bottom up. A module uses what lies below its own layer, and nothing beside or above it.
const LAYERS: &[&[&str]] = &[
    &["error", "net", "object", "yaml"],
    &["failpoint"],
    &["health"],
    &["unit"],
    &["template"],
    &["chart", "kustomize"],
    &["fetch", "source"],
    &["load"],
    &["render"],
    &["diff"],
    &["cluster"],
    &["apply"],
    &["record"],
    &["report"],
    &["reconcile"],
    &["api"],
    &["daemon"],
    &["cli"],
];

/// Modules that see less than all below them.
const NARROW: &[(&str, &[&str])] = &[("template", &["yaml"]), ("health", &["object", "yaml"])];

/// Imports that the layers forbid and that are right all the same: from, to, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Foreign crates that one module keeps to itself, so that they can be exchanged.
const CONFINED: &[(&str, &[&str])] = &[
    ("kube", &["cluster"]),
    ("k8s_openapi", &["cluster"]),
    ("git2", &["source"]),
    ("reqwest", &["fetch", "net", "source"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("axum", &["api", "daemon"]), // the daemon serves what api answers
];

/// Functions of values: what they need to know of the world comes as an argument.
const PURE: &[&str] = &["object", "unit", "yaml", "template", "chart", "kustomize", "load", "render", "diff", "health"];
const IMPURE: &[&str] = &[
    "async ",
    "std::env::",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "Zoned::now",
    "Timestamp::now",
];

const FILE_LINES: usize = 1_000;
const FUNCTION_LINES: usize = 80;

/// Functions that are longer, each with its reason: file, function, why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Files that are longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn imports_go_one_way() {
    let mut wrong = Vec::new();
    for file in sources() {
        for import in file.imports() {
            if let Some(reason) = forbidden(&file.module, &import) {
                wrong.push(format!("{}: uses crate::{import}: {reason}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_layer() {
    let listed: BTreeSet<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    let found: BTreeSet<String> = sources().iter().map(|file| file.module.clone()).collect();
    let unlisted: Vec<&String> = found
        .iter()
        .filter(|module| !matches!(module.as_str(), "lib" | "main") && !listed.contains(module.as_str()))
        .collect();
    assert!(unlisted.is_empty(), "give {unlisted:?} a layer in tests/architecture.rs");
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (foreign, homes) in CONFINED {
            if !homes.contains(&file.module.as_str()) && file.names_crate(foreign) {
                wrong.push(format!("{}: names the crate {foreign}, which belongs to {homes:?}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_middle_is_pure() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| PURE.contains(&file.module.as_str())) {
        for (index, line) in file.code.lines().enumerate() {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                wrong.push(format!(
                    "{}:{}: {} in a pure module: take it as an argument",
                    file.name,
                    index + 1,
                    word.trim()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_stay_readable() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for file in sources() {
        let lines = file.code.trim_end().lines().count();
        if lines > FILE_LINES {
            used.insert(file.name.clone());
            if !LONG_FILES.iter().any(|(name, _)| *name == file.name) {
                wrong.push(format!("{}: {lines} lines without tests, more than {FILE_LINES}", file.name));
            }
        }
        for (function, line, lines) in functions(&file.code) {
            if lines > FUNCTION_LINES {
                used.insert(format!("{} {function}", file.name));
                if !LONG_FUNCTIONS.iter().any(|(name, long, _)| *name == file.name && *long == function) {
                    wrong.push(format!(
                        "{}:{line}: fn {function} has {lines} lines, more than {FUNCTION_LINES}",
                        file.name
                    ));
                }
            }
        }
    }
    let exceptions = LONG_FILES.iter().map(|(name, _)| (*name).to_owned());
    for exception in exceptions.chain(LONG_FUNCTIONS.iter().map(|(name, function, _)| format!("{name} {function}"))) {
        if !used.contains(&exception) {
            wrong.push(format!("{exception}: is short enough now, take its exception away"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_is_listed() {
    let main = blank(&fs::read_to_string(repository().join("tests/main.rs")).unwrap());
    let listed: BTreeSet<&str> =
        main.lines().filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';')).collect();
    let mut unlisted = Vec::new();
    for entry in fs::read_dir(repository().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").exists();
        if is_module && name != "main" && !listed.contains(name.as_str()) {
            unlisted.push(name);
        }
    }
    assert!(unlisted.is_empty(), "add `mod NAME;` to tests/main.rs for {unlisted:?}: nothing else runs them");
}

/// Why `module` must not use `import`; `None` when it may.
fn forbidden(module: &str, import: &str) -> Option<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    if module == import
        || matches!(module, "lib" | "main")
        || EXCEPTIONS.iter().any(|(from, to, _)| *from == module && *to == import)
    {
        return None;
    }
    if let Some((_, allowed)) = NARROW.iter().find(|(narrow, _)| *narrow == module) {
        return (!allowed.contains(&import)).then(|| format!("{module} sees {allowed:?} only"));
    }
    match (layer(module), layer(import)) {
        (Some(own), Some(other)) if other < own => None,
        (Some(_), Some(_)) => Some(format!("{import} does not lie below {module}")),
        _ => None, // Not a module of ours: a macro or an item of lib.rs.
    }
}

struct Source {
    /// `src/load/spec.rs`.
    name: String,
    /// `load`.
    module: String,
    /// How many modules deep: 1 for `src/load/mod.rs`, 2 for `src/load/spec.rs`.
    depth: usize,
    /// The text without comments, literals' contents and test modules; line numbers are kept.
    code: String,
}

impl Source {
    fn read(path: &Path) -> Source {
        let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().replace('\\', "/");
        let inside: Vec<&str> = name.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect();
        let depth = inside.len() - usize::from(inside.last() == Some(&"mod"));
        let code = without_tests(&blank(&fs::read_to_string(path).unwrap()));
        Source { module: inside[0].to_owned(), depth, code, name }
    }

    /// The top modules of ours that it names: `use crate::x`, `use crate::{x::.., y}`, `crate::x::f()`, and the same
    /// by as many `super::` as lead to the root.
    fn imports(&self) -> BTreeSet<String> {
        let mut imports = BTreeSet::new();
        let root = "super::".repeat(self.depth);
        for start in ["crate::", root.as_str()] {
            for (index, _) in self.code.match_indices(start) {
                let before = self.code[..index].chars().next_back();
                if before
                    .is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != ':' && letter != '$')
                {
                    first_words(&self.code[index + start.len()..], &mut imports);
                }
            }
        }
        imports.remove("super");
        imports
    }

    fn names_crate(&self, name: &str) -> bool {
        self.code.match_indices(name).any(|(index, _)| {
            let before = self.code[..index].chars().next_back();
            let after = &self.code[index + name.len()..];
            let stands_alone =
                before.is_none_or(|letter| !letter.is_alphanumeric() && !matches!(letter, '_' | ':' | '.'));
            stands_alone && after.starts_with("::") && !after.starts_with("::<")
        })
    }
}

/// The first word of a path, or of each path of a `{..}` group.
fn first_words(rest: &str, words: &mut BTreeSet<String>) {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        words.insert(word(rest));
        return;
    };
    let (mut depth, mut start) = (0, true);
    for (index, letter) in group.char_indices() {
        match letter {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !letter.is_whitespace() => {
                words.insert(word(&group[index..]));
                start = false;
            }
            _ => {}
        }
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut files = Vec::new();
        collect(&repository().join("src"), &mut files);
        files.sort();
        files.iter().map(|path| Source::read(path)).collect()
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Replaces comments and the insides of text and character literals by spaces.
fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = skip(&letters, at);
        if end == at {
            out.push(letters[at]);
            at += 1;
        } else {
            out.extend(letters[at..end].iter().map(|letter| if *letter == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn skip(letters: &[char], at: usize) -> usize {
    if !matches!(letters[at], '/' | '"' | '\'' | 'r' | 'b') {
        return at;
    }
    let starts = |word: &str| word.chars().enumerate().all(|(index, letter)| letters.get(at + index) == Some(&letter));
    let after = |from: usize, word: &str| {
        let word: Vec<char> = word.chars().collect();
        (from..letters.len())
            .find(|index| letters[*index..].starts_with(&word))
            .map_or(letters.len(), |index| index + word.len())
    };
    let after_name = at > 0 && (letters[at - 1].is_alphanumeric() || letters[at - 1] == '_');
    if starts("//") {
        return (at..letters.len()).find(|index| letters[*index] == '\n').unwrap_or(letters.len());
    }
    if starts("/*") {
        return after(at, "*/");
    }
    if !after_name && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
        let quote = (at..letters.len()).find(|index| letters[*index] == '"');
        let hashes = letters[at..]
            .iter()
            .skip_while(|letter| **letter != '#' && **letter != '"')
            .take_while(|letter| **letter == '#')
            .count();
        return match quote {
            // `r#type` is a name, not a literal.
            Some(quote) if letters[at..quote].iter().all(|letter| matches!(letter, 'b' | 'r' | '#')) => {
                after(quote + 1, &format!("\"{}", "#".repeat(hashes)))
            }
            _ => at,
        };
    }
    match letters[at] {
        '"' => closing(letters, at, '"'),
        // A lifetime has no closing quote two or more places on.
        '\'' if letters.get(at + 1) == Some(&'\\') => closing(letters, at, '\''),
        '\'' if letters.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

fn closing(letters: &[char], at: usize, quote: char) -> usize {
    let mut index = at + 1;
    while index < letters.len() && letters[index] != quote {
        index += if letters[index] == '\\' { 2 } else { 1 };
    }
    (index + 1).min(letters.len())
}

/// Takes away `#[cfg(test)] mod .. { .. }`, keeping the lines.
fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = match code[start..].find(['{', ';']) {
            Some(offset) if code[start + offset..].starts_with('{') => matching_brace(&code, start + offset),
            Some(offset) => start + offset + 1,
            None => code.len(),
        };
        let blanked: String = code[start..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blanked);
    }
    code
}

/// The index after the brace that closes the one at `open`.
fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (index, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return open + index + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Name, first line and number of lines of each function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, _) in code.match_indices("fn ") {
        if code[..index].chars().next_back().is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let name: String =
            code[index + 3..].chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        let Some(body) = body(&code[index..]).filter(|_| !name.is_empty()) else { continue };
        let end = matching_brace(code, index + body);
        found.push((name, code[..index].matches('\n').count() + 1, code[index..end].lines().count()));
    }
    found
}

/// Where the body of the function at the start of `code` opens; `None` for a declaration without one.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, letter) in code.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(index),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn the_reader_of_source_text_reads_rust() {
    let text = r##"
use crate::{object::{Object, ObjectId}, yaml};
// use crate::daemon;
const TEXT: &str = "crate::cli::x"; const RAW: &str = r#"crate::api "quoted" "#;
fn declared(bytes: [u8; 4]);
fn short<'a>(letter: &'a str, bytes: [u8; 4]) -> bool { letter == "}" || crate::unit::known('"', '\'') }
#[cfg(test)]
mod tests {
    use crate::reconcile;
}
"##;
    let code = without_tests(&blank(text));
    let file = Source { name: String::new(), module: "load".to_owned(), depth: 1, code };
    let imports: Vec<String> = file.imports().into_iter().collect();
    assert_eq!(imports, ["object", "unit", "yaml"]);
    assert_eq!(functions(&file.code), [("short".to_owned(), 6, 1)]);
    assert_eq!(forbidden("load", "diff").as_deref(), Some("diff does not lie below load"));
    assert_eq!(forbidden("template", "object").as_deref(), Some("template sees [\"yaml\"] only"));
    assert_eq!(forbidden("render", "object"), None);
}
