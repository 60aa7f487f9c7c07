//! The patterns of `.Files.Glob`: `*` and `?` stop at a slash, `**` does not, `{a,b}`, `[abc]`, `[!a-z]`, `\`.

use std::collections::BTreeSet;

/// A pattern ready to match many names.
#[derive(Debug, Clone)]
pub(crate) struct Glob(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    /// One character that is not a slash.
    Single,
    /// Any run without a slash.
    Any,
    /// Any run at all.
    Super,
    /// One of these characters, or none of them.
    List {
        members: String,
        negated: bool,
    },
    /// One character in a range, or outside of it.
    Range {
        low: char,
        high: char,
        negated: bool,
    },
    /// One of several patterns.
    Either(Vec<Vec<Part>>),
}

impl Glob {
    /// Reads a pattern; Helm takes one that does not parse as "every file", and so does this.
    pub(crate) fn new(pattern: &str) -> Self {
        let characters: Vec<char> = pattern.chars().collect();
        let mut reader = Reader { characters: &characters, at: 0 };
        match reader.pattern(0) {
            Some(parts) if reader.at == characters.len() => Glob(parts),
            _ => Glob(vec![Part::Super]),
        }
    }

    /// Whether a whole name matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        ends(&self.0, &name, BTreeSet::from([0])).contains(&name.len())
    }
}

/// Where matching can stand after all parts, starting from each of `starts`. Sets keep this polynomial for any pattern.
fn ends(parts: &[Part], name: &[char], starts: BTreeSet<usize>) -> BTreeSet<usize> {
    parts.iter().fold(starts, |starts, part| {
        let mut next = BTreeSet::new();
        for start in starts {
            step(part, name, start, &mut next);
        }
        next
    })
}

fn step(part: &Part, name: &[char], start: usize, next: &mut BTreeSet<usize>) {
    let rest = &name[start..];
    match part {
        Part::Text(text) => {
            let length = text.chars().count();
            if rest.len() >= length && text.chars().eq(rest[..length].iter().copied()) {
                next.insert(start + length);
            }
        }
        Part::Super => next.extend(start..=name.len()),
        Part::Any => {
            let run = rest.iter().take_while(|&&c| c != '/').count();
            next.extend(start..=start + run);
        }
        Part::Either(branches) => {
            for branch in branches {
                next.extend(ends(branch, name, BTreeSet::from([start])));
            }
        }
        Part::Single | Part::List { .. } | Part::Range { .. } => {
            if rest.first().is_some_and(|&c| part.takes(c)) {
                next.insert(start + 1);
            }
        }
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Single => c != '/',
            Part::List { members, negated } => members.contains(c) != *negated,
            Part::Range { low, high, negated } => (*low <= c && c <= *high) != *negated,
            _ => false,
        }
    }
}

struct Reader<'a> {
    characters: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Reads up to the end, or inside braces up to `,` or `}`. `None`: malformed.
    fn pattern(&mut self, depth: usize) -> Option<Vec<Part>> {
        // Deeper nesting than any chart has: refused, so that the stack stays small.
        if depth > 32 {
            return None;
        }
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            if depth > 0 && matches!(c, ',' | '}') {
                return Some(parts);
            }
            self.at += 1;
            let part = match c {
                '?' => Part::Single,
                '*' if self.peek() == Some('*') => {
                    self.at += 1;
                    Part::Super
                }
                '*' => Part::Any,
                '[' => self.class()?,
                '{' => self.either(depth)?,
                _ => {
                    self.at -= 1;
                    Part::Text(self.text(depth > 0))
                }
            };
            parts.push(part);
        }
        (depth == 0).then_some(parts)
    }

    fn either(&mut self, depth: usize) -> Option<Part> {
        let mut branches = Vec::new();
        loop {
            branches.push(self.pattern(depth + 1)?);
            if self.next()? == '}' {
                return Some(Part::Either(branches));
            }
        }
    }

    fn text(&mut self, in_braces: bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    text.extend(self.next());
                }
                '?' | '*' | '[' | '{' => break,
                ',' | '}' if in_braces => break,
                _ => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
        text
    }

    fn class(&mut self) -> Option<Part> {
        let negated = self.peek() == Some('!');
        if negated {
            self.at += 1;
        }
        if self.characters.get(self.at + 1) == Some(&'-') {
            let (low, high) = (self.characters[self.at], *self.characters.get(self.at + 2)?);
            self.at += 3;
            return (self.next()? == ']' && low <= high).then_some(Part::Range { low, high, negated });
        }
        let mut members = String::new();
        loop {
            match self.next()? {
                ']' => return (!members.is_empty()).then_some(Part::List { members, negated }),
                '\\' => members.push(self.next()?),
                c => members.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_glob_library_of_helm() {
        let cases = [
            ("*.txt", "a.txt", true),
            ("*.txt", "a/b.txt", false),
            ("**.txt", "a/b.txt", true),
            ("config/**", "config/a/b", true),
            ("config/*", "config/a/b", false),
            ("**/x.yaml", "a/b/x.yaml", true),
            ("**/x.yaml", "x.yaml", false),
            ("{a,b}.txt", "b.txt", true),
            ("{a,b/**}.txt", "b/c/d.txt", true),
            ("file[0-9].txt", "file7.txt", true),
            ("file[!0-9].txt", "file7.txt", false),
            ("[abc]x", "bx", true),
            ("[!abc]x", "bx", false),
            ("a?c", "a/c", false),
            ("a\\*c", "a*c", true),
            ("[", "anything/at/all", true),
            ("{a", "anything", true),
            ("", "", true),
            ("", "a", false),
            ("*", ".hidden", true),
            ("{a,{b,c}}d", "cd", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_stays_cheap() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(&pattern).matches(&"a".repeat(199)));
        Glob::new(&"{".repeat(100_000));
    }
}
