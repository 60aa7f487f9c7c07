//! Regular expressions of Go's `regexp` package, run by the `regex` crate.
//!
//! Both are automata with leftmost-first matching, but their syntaxes differ in dozens of small ways: `\d` is ASCII in Go
//! and Unicode in Rust, `[a&&b]` is a set operation in Rust only. So a pattern is parsed as Go does ([`translate`]), with
//! Go's errors, and printed in Rust's syntax; the loops over matches and the replacement templates are Go's.
//!
//! Start at [`Regexp::compile`].
//!
//! # Caveats
//! Bytes that are not UTF-8 match nothing here; Go takes each for U+FFFD.

mod translate;

use regex::bytes::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes a compiled pattern may take.
const SIZE_LIMIT: usize = 64 << 20;
/// Compiled patterns that a thread keeps.
const KEPT: usize = 256;

/// Why a text is no regular expression; prints Go's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{}`", String::from_utf8_lossy(part))]
pub struct SyntaxError {
    reason: &'static str,
    part: Vec<u8>,
}

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regexp {
    compiled: Regex,
    /// Name of each group from 0, the whole match; empty for none.
    names: Vec<String>,
    is_empty: bool,
}

/// Start and end of a match.
type Span = (usize, usize);

impl Regexp {
    /// Compiles a pattern of Go's syntax, or takes it from those compiled before.
    pub fn compile(pattern: &[u8]) -> Result<Rc<Regexp>, SyntaxError> {
        thread_local! {
            static COMPILED: RefCell<BTreeMap<Vec<u8>, Rc<Regexp>>> = const { RefCell::new(BTreeMap::new()) };
        }
        if let Some(known) = COMPILED.with_borrow(|known| known.get(pattern).cloned()) {
            return Ok(known);
        }
        let fresh = Rc::new(Self::compile_fresh(pattern)?);
        COMPILED.with_borrow_mut(|known| {
            if known.len() >= KEPT {
                known.clear();
            }
            known.insert(pattern.to_vec(), Rc::clone(&fresh));
        });
        Ok(fresh)
    }

    fn compile_fresh(pattern: &[u8]) -> Result<Regexp, SyntaxError> {
        let translated = translate::translate(pattern)?;
        let compiled = RegexBuilder::new(&translated.text)
            .size_limit(SIZE_LIMIT)
            .nest_limit(translate::MAX_DEPTH * 3)
            .build()
            .map_err(|_| SyntaxError { reason: "expression too large", part: pattern.to_vec() })?;
        Ok(Regexp { compiled, names: translated.names, is_empty: pattern.is_empty() })
    }

    /// Whether the text contains a match.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.find_at(text, 0).is_some()
    }

    /// The first match.
    pub fn find<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        self.find_at(text, 0).map(|(start, end)| &text[start..end])
    }

    /// Where the first match begins.
    pub fn position(&self, text: &[u8]) -> Option<usize> {
        self.find_at(text, 0).map(|(start, _)| start)
    }

    /// The first `most` matches, all if it is negative.
    pub fn find_all<'t>(&self, text: &'t [u8], most: i64) -> Vec<&'t [u8]> {
        self.spans(text, most).into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    /// Cuts the text at its matches into at most `most` pieces; `None` for 0 pieces.
    pub fn split<'t>(&self, text: &'t [u8], most: i64) -> Option<Vec<&'t [u8]>> {
        if most == 0 {
            return None;
        }
        if !self.is_empty && text.is_empty() {
            return Some(vec![text]);
        }
        let (mut pieces, mut begin, mut end) = (Vec::new(), 0, 0);
        for (from, to) in self.spans(text, most) {
            if most > 0 && pieces.len() as i64 == most - 1 {
                break;
            }
            end = from;
            if to != 0 {
                pieces.push(&text[begin..end]);
            }
            begin = to;
        }
        if end != text.len() {
            pieces.push(&text[begin..]);
        }
        Some(pieces)
    }

    /// Replaces all matches by a template with `$1`, `${name}` and `$$`.
    pub fn replace_all(&self, text: &[u8], template: &[u8]) -> Vec<u8> {
        let expand = template.contains(&b'$');
        let mut out = Vec::with_capacity(text.len());
        let (mut last_end, mut from) = (0, 0);
        while from <= text.len() {
            let Some(groups) = self.groups_at(text, from) else { break };
            let (start, end) = groups[0].unwrap_or_default();
            out.extend_from_slice(&text[last_end..start]);
            // Not for an empty match right after another match.
            if end > last_end || start == 0 {
                if expand {
                    self.expand(&mut out, template, text, &groups);
                } else {
                    out.extend_from_slice(template);
                }
            }
            last_end = end;
            from = end.max(from + rune_width(&text[from..]).max(1));
        }
        out.extend_from_slice(text.get(last_end..).unwrap_or_default());
        out
    }

    /// Replaces all matches by a text as it stands.
    pub fn replace_all_literal(&self, text: &[u8], replacement: &[u8]) -> Vec<u8> {
        let escaped: Vec<u8> =
            replacement.iter().flat_map(|&byte| if byte == b'$' { vec![b'$', b'$'] } else { vec![byte] }).collect();
        self.replace_all(text, &escaped)
    }

    fn spans(&self, text: &[u8], most: i64) -> Vec<Span> {
        let most = if most < 0 { text.len() + 1 } else { most as usize };
        let (mut spans, mut from, mut previous_end) = (Vec::new(), 0, None);
        while spans.len() < most && from <= text.len() {
            let Some((start, end)) = self.find_at(text, from) else { break };
            let mut accept = true;
            if end == from {
                // An empty match right after a match does not count.
                accept = previous_end != Some(start);
                from += rune_width(&text[from..]).max(1);
            } else {
                from = end;
            }
            previous_end = Some(end);
            if accept {
                spans.push((start, end));
            }
        }
        spans
    }

    fn find_at(&self, text: &[u8], mut from: usize) -> Option<Span> {
        loop {
            let found = self.compiled.find_at(text, from)?;
            match next_boundary(text, found.start(), found.end()) {
                None => return Some((found.start(), found.end())),
                Some(boundary) => from = boundary,
            }
        }
    }

    fn groups_at(&self, text: &[u8], mut from: usize) -> Option<Vec<Option<Span>>> {
        loop {
            let found = self.compiled.captures_at(text, from)?;
            let whole = found.get(0)?;
            match next_boundary(text, whole.start(), whole.end()) {
                None => {
                    return Some(found.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect());
                }
                Some(boundary) => from = boundary,
            }
        }
    }

    /// Writes a replacement template.
    fn expand(&self, out: &mut Vec<u8>, mut template: &[u8], text: &[u8], groups: &[Option<Span>]) {
        while let Some(dollar) = template.iter().position(|byte| *byte == b'$') {
            out.extend_from_slice(&template[..dollar]);
            template = &template[dollar..];
            if template.get(1) == Some(&b'$') {
                out.push(b'$');
                template = &template[2..];
                continue;
            }
            let Some((name, rest)) = reference(template) else {
                // No reference: the dollar stands for itself.
                out.push(b'$');
                template = &template[1..];
                continue;
            };
            template = rest;
            let group = match group_number(name) {
                Some(number) => groups.get(number).copied().flatten(),
                None => {
                    let named = self.names.iter().zip(groups).filter(|(other, _)| other.as_str() == name);
                    named.filter_map(|(_, group)| *group).next()
                }
            };
            if let Some((start, end)) = group {
                out.extend_from_slice(&text[start..end]);
            }
        }
        out.extend_from_slice(template);
    }
}

/// Escapes all that has a meaning in a pattern.
pub fn quote_meta(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if b"\\.+*?()|[]{}^$".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

/// Where to look on when an empty match lies inside of a character.
fn next_boundary(text: &[u8], start: usize, end: usize) -> Option<usize> {
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (start == end && inside(start)).then(|| (start..).find(|at| !inside(*at)).unwrap_or(text.len()))
}

/// Bytes of the character at the start of a text; 1 for a byte that is none.
fn rune_width(text: &[u8]) -> usize {
    let Some(first) = text.first() else { return 0 };
    let width = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if text.get(..width).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok()) { width } else { 1 }
}

/// The name that a template refers to with `$name` or `${name}`, and what follows.
fn reference(template: &[u8]) -> Option<(&str, &[u8])> {
    let braced = template.get(1) == Some(&b'{');
    let rest = &template[if braced { 2 } else { 1 }..];
    let text = match std::str::from_utf8(rest) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
    };
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if length == 0 {
        return None;
    }
    let (name, rest) = (&text[..length], &rest[length..]);
    match (braced, rest.first()) {
        (false, _) => Some((name, rest)),
        (true, Some(b'}')) => Some((name, &rest[1..])),
        (true, _) => None,
    }
}

/// The number a name is, without leading zeros; a number too large for any group is none that exists.
fn group_number(name: &str) -> Option<usize> {
    if !name.bytes().all(|byte| byte.is_ascii_digit()) || name.len() > 1 && name.starts_with('0') {
        return None;
    }
    name.parse().ok().filter(|number| *number < 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(pattern: &str) -> String {
        Regexp::compile(pattern.as_bytes()).map(|_| "accepted".to_owned()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn classes_are_those_of_go() {
        let is_match =
            |pattern: &str, text: &str| Regexp::compile(pattern.as_bytes()).unwrap().is_match(text.as_bytes());
        assert!(!is_match(r"^\d$", "\u{663}"));
        assert!(!is_match(r"^\w$", "\u{e9}"));
        assert!(is_match(r"^[[a]+$", "[a"));
        assert!(is_match(r"^[a&&b]+$", "a&b"));
        assert!(is_match(r"^[~~a]+$", "~a"));
        assert!(is_match(r"\Qa.b\E", "xa.bx"));
        assert!(is_match(r"^\07$", "\u{7}"));
        assert!(is_match("^a{,2}$", "a{,2}"));
        assert!(is_match("^{$", "{"));
        assert!(is_match(r"^\p{^L}$", "1"));
        assert!(is_match(r"^[^\D5]$", "4"));
        assert!(is_match("^(?i)k$", "\u{212a}"));
        assert!(is_match("(?P<1a>x)(?P<1a>y)", "xy"));
        assert!(is_match("^ab(?i)*$", "abbb"));
    }

    #[test]
    fn errors_are_those_of_go() {
        for (pattern, want) in [
            ("(abc", "missing closing ): `(abc`"),
            ("abc)", "unexpected ): `abc)`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*??", "invalid nested repetition operator: `*??`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a|+?b", "missing argument to repetition operator: `+?`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("(a{100}){11}", "invalid repeat count: `{11}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("[a", "missing closing ]: `[a`"),
            ("[b-a]", "invalid character class range: `b-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
            (r"\pX", r"invalid character class range: `\pX`"),
            (r"\8", r"invalid escape sequence: `\8`"),
            (r"a\Z", r"invalid escape sequence: `\Z`"),
            (r"\<", "accepted"),
            (r"\u00e9", r"invalid escape sequence: `\u`"),
            ("\\", "trailing backslash at end of expression: ``"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?<n", "invalid named capture: `(?<n`"),
            ("(?P<n-1>a)", "invalid named capture: `(?P<n-1>`"),
        ] {
            let want = if want == "accepted" { want.to_owned() } else { format!("error parsing regexp: {want}") };
            assert_eq!(error(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn deep_and_large_patterns_are_refused_or_compiled() {
        assert!(error(&"(".repeat(100_000)).contains("expression nests too deeply"));
        assert_eq!(error(&format!("{}a{}", "(".repeat(300), ")".repeat(300))), "accepted");
        assert!(error(&"(\\pL{100}){10}".repeat(500)).contains("expression too large"));
    }

    #[test]
    fn replacement_follows_go() {
        let replace = |pattern: &str, text: &str, template: &str| {
            let out = Regexp::compile(pattern.as_bytes()).unwrap().replace_all(text.as_bytes(), template.as_bytes());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(replace("a(x*)b", "-ab-axxb-", "${1}W"), "-W-xxW-");
        assert_eq!(replace("a(x*)b", "-ab-axxb-", "$1W"), "---");
        assert_eq!(replace("", "h\u{e9}", "-"), "-h-\u{e9}-");
        assert_eq!(replace(r"\B", "a\u{e9}", "-"), "a\u{e9}-");
        assert_eq!(replace("(?P<n>b)", "abc", "[${n}$$$]"), "a[b$$]c");
    }
}
