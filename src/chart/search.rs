//! Looks for words in lists of charts, as `helm search repo` does: name, place, description, keywords, in this order of
//! weight.

use super::index::{Entry, Index};
use super::version;
use crate::template::regexp::Regexp;
use crate::template::semver::{Constraint, Version};

/// Between the parts of what is searched.
const PARTED: char = '\u{b}';

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Words as they stand, capitals or not; or a regular expression. Empty finds everything.
    pub words: &'a str,
    /// Whether the words are a regular expression.
    pub regexp: bool,
    /// Range of versions; empty for releases.
    pub range: &'a str,
    /// Every version in the range, not only the newest.
    pub all: bool,
}

/// A chart that was found.
#[derive(Debug, Clone)]
pub struct Found<'i> {
    /// Repository and name with a slash between.
    pub name: String,
    /// What the list says of it.
    pub entry: &'i Entry,
    score: usize,
}

/// The charts of some repositories in which the words stand: best first, then by name, newest versions first.
///
/// # Errors
/// The range or the regular expression cannot be read; the text says which.
pub fn search<'i>(lists: &[(&str, &'i Index)], query: &Query<'_>) -> Result<Vec<Found<'i>>, String> {
    let range = if query.range.is_empty() { ">0.0.0" } else { query.range };
    let range = Constraint::parse(range).map_err(|error| format!("an invalid version/constraint format: {error}"))?;
    let matcher = Matcher::new(query)?;
    let mut found = Vec::new();
    for (repository, index) in lists {
        for versions in index.entries.values() {
            for entry in versions {
                let name = format!("{repository}/{}", entry.metadata.name);
                if let Some(score) = matcher.score(&line(&name, entry)) {
                    found.push(Found { name, entry, score });
                }
            }
        }
    }
    version::newest_first(&mut found, |found| &found.entry.metadata.version);
    found.sort_by(|a, b| (a.score, &a.name).cmp(&(b.score, &b.name)));
    let mut last = String::new();
    found.retain(|found| {
        let fits = Version::parse(&found.entry.metadata.version).is_ok_and(|version| range.check(&version));
        let is_wanted = fits && (query.all || last != found.name);
        if is_wanted {
            last.clone_from(&found.name);
        }
        is_wanted
    });
    Ok(found)
}

fn line(name: &str, entry: &Entry) -> String {
    let metadata = &entry.metadata;
    [&metadata.name, name, &metadata.description, &metadata.keywords.join(" ")].join(&PARTED.to_string())
}

enum Matcher {
    Everything,
    Words(String),
    Regexp(std::rc::Rc<Regexp>),
}

impl Matcher {
    fn new(query: &Query<'_>) -> Result<Self, String> {
        if query.words.is_empty() {
            return Ok(Matcher::Everything);
        }
        if !query.regexp {
            return Ok(Matcher::Words(query.words.to_lowercase()));
        }
        Regexp::compile(query.words.as_bytes()).map(Matcher::Regexp).map_err(|error| error.to_string())
    }

    /// In which part the words stand first; none, if they stand in none.
    fn score(&self, line: &str) -> Option<usize> {
        let part = |line: &str, at: usize| line[..at].matches(PARTED).count();
        match self {
            Matcher::Everything => Some(0),
            Matcher::Words(words) => {
                let line = line.to_lowercase();
                line.find(words).map(|at| part(&line, at))
            }
            Matcher::Regexp(regexp) => {
                // A match may begin inside a letter only if it is empty; then it counts from there.
                regexp.position(line.as_bytes()).map(|at| part(line, line.floor_char_boundary(at)))
            }
        }
    }
}
