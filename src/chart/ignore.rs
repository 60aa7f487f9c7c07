//! `.helmignore`: which files of a chart folder are left out, by Helm's rules, which differ from Git's.
//!
//! A pattern without a slash looks at the last element of a path, one with a slash at the whole path from the chart's
//! root; there is no `**`; the first rule that speaks decides, and a negated rule leaves out what it does not match.

use super::paths;

/// Why a `.helmignore` cannot be used; prints Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// The pattern holds `**`.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// The pattern does not parse.
    #[error("syntax error in pattern")]
    Syntax,
}

/// What a path is, as far as the rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A folder: leaving it out leaves out everything below it.
    Folder,
    /// Anything else.
    File,
}

/// The rules of one chart folder.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    whole_path: bool,
    negated: bool,
    folders_only: bool,
}

impl Rules {
    /// Reads the text of a `.helmignore` and adds the rule every chart has: dot files in `templates/` are left out.
    ///
    /// # Errors
    /// A pattern is malformed or holds `**`.
    pub fn parse(text: &str) -> Result<Self, BadRule> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for line in text.lines().chain(["templates/.?*"]) {
            rules.extend(Rule::parse(line)?);
        }
        Ok(Rules(rules))
    }

    /// Whether a path, relative to the chart folder, is left out.
    pub fn leave_out(&self, path: &str, entry: Entry) -> bool {
        if matches!(path, "" | "." | "./") {
            return false;
        }
        for rule in &self.0 {
            let wrong_entry = rule.folders_only && entry == Entry::File;
            if rule.negated {
                if wrong_entry || !rule.matches(path) {
                    return true;
                }
            } else if !wrong_entry && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Option<Self>, BadRule> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.contains("**") {
            return Err(BadRule::DoubleStar);
        }
        paths::matches(line, "abc").map_err(|_| BadRule::Syntax)?;
        let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (folders_only, pattern) = pattern.strip_suffix('/').map_or((false, pattern), |rest| (true, rest));
        let (whole_path, pattern) =
            pattern.strip_prefix('/').map_or((pattern.contains('/'), pattern), |rest| (true, rest));
        Ok(Some(Rule { pattern: pattern.to_owned(), whole_path, negated, folders_only }))
    }

    fn matches(&self, path: &str) -> bool {
        let subject = if self.whole_path { path } else { paths::base(path) };
        // The pattern was checked when the rule was read.
        paths::matches(&self.pattern, subject).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(rules: &str, path: &str) -> bool {
        let (path, entry) = path.strip_suffix('/').map_or((path, Entry::File), |path| (path, Entry::Folder));
        Rules::parse(rules).unwrap().leave_out(path, entry)
    }

    #[test]
    fn rules_decide_as_helm_decides() {
        // From Helm's own table (pkg/ignore), as outcomes: rules, path (a trailing slash marks a folder), left out.
        let cases = [
            ("helm.txt", "helm.txt", true),
            ("helm.*", "helm.txt", true),
            ("helm.*", "rudder.txt", false),
            ("*.txt", "tiller.txt", true),
            ("*.txt", "cargo/a.txt", true),
            ("cargo/*.txt", "cargo/a.txt", true),
            ("cargo/*.*", "cargo/a.txt", true),
            ("cargo/*.txt", "mast/a.txt", false),
            ("ru[c-e]?er.txt", "rudder.txt", true),
            ("templates/.?*", "templates/.dotfile", true),
            ("", "templates/.dotfile", true),
            ("", ".hidden", false),
            ("cargo/", "cargo/", true),
            ("cargo/", "cargo", false),
            ("mast/", "mast/", true),
            ("/a.txt", "a.txt", true),
            ("/cargo/a.txt", "cargo/a.txt", true),
            ("/a.txt", "cargo/a.txt", false),
            ("!helm.txt", "helm.txt", false),
            ("!helm.txt", "tiller.txt", true),
            ("!*.txt", "cargo/", true),
            ("!cargo/", "mast/", true),
            ("a.txt\n!b.txt", "b.txt", false),
            ("# x\n\n  a.txt  ", "a.txt", true),
        ];
        for (rules, path, expected) in cases {
            assert_eq!(left_out(rules, path), expected, "{path} under {rules:?}");
        }
    }

    #[test]
    fn rules_that_helm_refuses_are_refused() {
        assert_eq!(Rules::parse("a/**/b").unwrap_err(), BadRule::DoubleStar);
        assert_eq!(Rules::parse("a[").unwrap_err(), BadRule::Syntax);
    }
}
