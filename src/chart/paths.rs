//! Go's rules for paths: cleaning, last element, shell patterns. Charts are written against these, not against ours.

/// Why a shell pattern cannot be used; prints Go's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct BadPattern;

/// The last element of a path, as Go's `path.Base`: `.` for an empty path, `/` for one of slashes only.
pub(crate) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

/// The extension with its dot, as Go's `path.Ext`: empty when the last element has none.
pub(crate) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or("", |dot| &name[dot..])
}

/// The shortest path that means the same, as Go's `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut elements: Vec<&str> = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." => match elements.last() {
                Some(&last) if last != ".." => {
                    elements.pop();
                }
                _ if rooted => {}
                _ => elements.push(".."),
            },
            name => elements.push(name),
        }
    }
    let joined = elements.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Whether a name matches a shell pattern, as Go's `path.Match`: `*` and `?` stop at a slash, `[a-z]`, `[^a-z]`, `\`.
///
/// # Errors
/// The pattern is malformed. Go looks at the whole pattern even after a mismatch, and so does this.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    check(&pattern)?;
    matches_from(&pattern, &name)
}

fn check(mut pattern: &[char]) -> Result<(), BadPattern> {
    while let Some(&first) = pattern.first() {
        pattern = match first {
            '[' => class(pattern, '\0')?.1,
            '\\' => pattern.get(2..).ok_or(BadPattern)?,
            _ => &pattern[1..],
        };
    }
    Ok(())
}

/// Backtracks to the last star only: with one star pending, an earlier one never helps.
fn matches_from(mut pattern: &[char], mut name: &[char]) -> Result<bool, BadPattern> {
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        let step = match pattern.first() {
            None => name.is_empty().then_some((pattern, name)),
            Some('*') => {
                star = Some((&pattern[1..], name));
                pattern = &pattern[1..];
                continue;
            }
            Some('?') => name.first().filter(|&&c| c != '/').map(|_| (&pattern[1..], &name[1..])),
            Some('[') => match name.first() {
                None => None,
                Some(&c) => {
                    let (inside, rest) = class(pattern, c)?;
                    (inside && c != '/').then(|| (rest, &name[1..]))
                }
            },
            Some('\\') => {
                let literal = pattern.get(1).ok_or(BadPattern)?;
                (name.first() == Some(literal)).then(|| (&pattern[2..], &name[1..]))
            }
            Some(literal) => (name.first() == Some(literal)).then(|| (&pattern[1..], &name[1..])),
        };
        match step {
            Some((rest_pattern, rest_name)) => {
                if rest_pattern.is_empty() && rest_name.is_empty() {
                    return Ok(true);
                }
                (pattern, name) = (rest_pattern, rest_name);
            }
            None => match star {
                Some((after, from)) if from.first().is_some_and(|&c| c != '/') => {
                    star = Some((after, &from[1..]));
                    (pattern, name) = (after, &from[1..]);
                }
                _ => return Ok(false),
            },
        }
    }
}

/// Whether `c` is in the class at the front of the pattern, and what follows the class.
fn class(pattern: &[char], c: char) -> Result<(bool, &[char]), BadPattern> {
    let mut rest = &pattern[1..];
    let negated = rest.first() == Some(&'^');
    if negated {
        rest = &rest[1..];
    }
    let mut inside = false;
    let mut ranges = 0;
    loop {
        if rest.first() == Some(&']') && ranges > 0 {
            return Ok((inside != negated, &rest[1..]));
        }
        let (low, after) = class_member(rest)?;
        let (high, after) = match after.first() {
            Some('-') => class_member(&after[1..])?,
            _ => (low, after),
        };
        inside |= low <= c && c <= high;
        ranges += 1;
        rest = after;
    }
}

fn class_member(rest: &[char]) -> Result<(char, &[char]), BadPattern> {
    let (member, after) = match rest {
        [] | ['-' | ']', ..] => return Err(BadPattern),
        ['\\', escaped, after @ ..] => (*escaped, after),
        ['\\'] => return Err(BadPattern),
        [plain, after @ ..] => (*plain, after),
    };
    if after.is_empty() { Err(BadPattern) } else { Ok((member, after)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_go_matches() {
        // Pattern, name, what Go 1.26 path.Match says (None: ErrBadPattern).
        let cases: &[(&str, &str, Option<bool>)] = &[
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("ab[c]", "abc", Some(true)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[e-g]", "abf", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a?b", "a/b", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[]a]", "]", None),
            ("[-x]", "x", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^bc", "a", None),
            ("a[", "ab", None),
            ("*x", "xxx", Some(true)),
            ("", "", Some(true)),
            ("", "x", Some(false)),
            ("a*", "", Some(false)),
            ("**", "", Some(true)),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name).ok(), *expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn cleaning_and_splitting_follow_go() {
        for (path, expected) in
            [("", "."), ("a/../b", "b"), ("../a", "../a"), ("/../a", "/a"), ("a//b/./c/", "a/b/c"), ("a/..", ".")]
        {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!((base(""), base("/"), base("a/b/"), base("x")), (".", "/", "b", "x"));
        assert_eq!((extension("a/b.tar.gz"), extension("a.b/c"), extension(".x")), (".gz", "", ".x"));
    }
}
