//! Versions and ranges of charts, by the rules of the semver library that Helm uses.

use std::cmp::{Ordering, Reverse};

use crate::template::semver::{Constraint, Version};

/// Whether Helm takes the text for a version; `1` and `v1.2` are.
pub(crate) fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}

/// Refuses what Helm does not take for a version, in the words of its library.
pub(crate) fn check(text: &str) -> Result<(), String> {
    Version::parse(text).map(|_| ())
}

/// Whether a version lies in a range; neither being well formed means no.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.check(&version),
        _ => false,
    }
}

/// Whether Helm takes the text for a range and not for one version.
pub(crate) fn is_range(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    text.contains(['^', '~', '<', '>', '=', '!', '*'])
        || text.contains("||")
        || text.contains(" - ")
        || core.contains(['x', 'X'])
}

/// Which of some versions, newest first, is the one: that which is written exactly so, else the first in the range. An
/// empty range is every release.
///
/// # Errors
/// The range is none; the text is the semver library's.
pub(crate) fn choose(range: &str, versions: &[&str]) -> Result<Option<usize>, String> {
    let constraint = Constraint::parse(if range.is_empty() { "*" } else { range })?;
    if let Some(exact) = versions.iter().position(|version| *version == range) {
        return Ok(Some(exact));
    }
    Ok(versions.iter().position(|text| Version::parse(text).is_ok_and(|version| constraint.check(&version))))
}

/// Sorts by version, newest first; what is no version comes last. Equal versions keep their order.
pub(crate) fn newest_first<T>(items: &mut [T], version: impl Fn(&T) -> &str) {
    items.sort_by_cached_key(|item| Reverse(Age(Version::parse(version(item)).ok())));
}

/// A version by its age; none is the oldest.
struct Age(Option<Version>);

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => a.compare(b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Age {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Age {}

/// Up to five of some versions around the one that a range begins with, newest first: for messages, when the range holds
/// none of them.
pub(crate) fn nearest(range: &str, versions: &[&str]) -> Vec<String> {
    const ABOVE: usize = 2;
    const SHOWN: usize = 5;
    let mut known: Vec<Version> = versions.iter().filter_map(|text| Version::parse(text).ok()).collect();
    newest_first(&mut known, |version| &version.original);
    let below = first_version(range).and_then(|wanted| known.iter().position(|known| known.compare(&wanted).is_lt()));
    let start = below.unwrap_or(0).min(known.len().saturating_sub(SHOWN - ABOVE)).saturating_sub(ABOVE);
    known.into_iter().skip(start).take(SHOWN).map(|version| version.original).collect()
}

/// The first version that stands in a range.
fn first_version(range: &str) -> Option<Version> {
    let words = range.split(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '+')));
    words.filter_map(|word| Version::parse(word.trim_end_matches(".x")).ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] = ["3.0.0-rc.1", "2.1.0", "2.0.1", "2.0.0", "v1.9.3", "1.9.2", "0.1.0"];

    #[test]
    fn the_newest_in_a_range_is_chosen_and_the_exact_text_before_it() {
        for (range, expected) in [
            ("", Some("2.1.0")),
            ("*", Some("2.1.0")),
            (">0.0.0-0", Some("3.0.0-rc.1")),
            ("3.0.0-rc.1", Some("3.0.0-rc.1")),
            ("^1", Some("v1.9.3")),
            ("1.9.3", Some("v1.9.3")),
            ("~2.0", Some("2.0.1")),
            ("1.9.2 || 0.1.0", Some("1.9.2")),
            ("^4", None),
        ] {
            assert_eq!(choose(range, &KNOWN).unwrap().map(|at| KNOWN[at]), expected, "{range}");
        }
        assert!(choose("no range", &KNOWN).unwrap_err().contains("improper constraint"));
    }

    #[test]
    fn the_nearest_versions_are_told() {
        assert_eq!(nearest("^4.0.0", &KNOWN)[..2], ["3.0.0-rc.1", "2.1.0"]);
        assert_eq!(nearest(">=1.9.4 <2", &KNOWN), ["2.0.1", "2.0.0", "v1.9.3", "1.9.2", "0.1.0"]);
        assert_eq!(nearest("~0.0", &KNOWN).len(), 5);
        assert_eq!(nearest("", &["1.0.0-a"]), ["1.0.0-a"]);
        assert!(nearest("1", &[]).is_empty());
    }

    #[test]
    fn sorting_puts_the_newest_first() {
        let mut items = vec!["1.0.0", "10.0.0", "x", "2.0.0", "2.0.0-a", "y", "v9"];
        newest_first(&mut items, |item| item);
        assert_eq!(items, ["10.0.0", "v9", "2.0.0", "2.0.0-a", "1.0.0", "x", "y"]);
        assert!(is_range("^1") && is_range("1.x") && is_range("1 - 2") && !is_range("1.2.3-x") && !is_range("v1"));
    }
}
