//! Words and letters as Go's `strings` and `unicode` packages and sprig's helpers see them: cases, titles, initials,
//! wrapping, abbreviation.
//!
//! Rust maps `ß` to `SS` and takes a final sigma into account; Go maps one character to one, so the mappings are here.

use regex::Regex;
use std::sync::LazyLock;

/// Go's `unicode.ToUpper`: one character for one.
pub(crate) fn upper(c: char) -> char {
    match c {
        // Letters with iota subscript have a capital of their own.
        '\u{1f80}'..='\u{1faf}' => char::from_u32(c as u32 | 8).unwrap_or(c),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(c as u32 + 9).unwrap_or(c),
        _ => single(c.to_uppercase()).unwrap_or(c),
    }
}

/// Go's `unicode.ToLower`: one character for one.
pub(crate) fn lower(c: char) -> char {
    if c == '\u{130}' { 'i' } else { single(c.to_lowercase()).unwrap_or(c) }
}

/// Go's `unicode.ToTitle`: as upper case but for the letters that are two in one.
fn title_case(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, but titles do not use them.
        '\u{10d0}'..='\u{10ff}' => c,
        _ => upper(c),
    }
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    mapped.next().filter(|_| mapped.next().is_none())
}

fn in_class(c: char, class: &LazyLock<Regex>) -> bool {
    class.is_match(c.encode_utf8(&mut [0; 4]))
}

macro_rules! class {
    ($name:ident, $pattern:literal, $why:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect($why));
    };
}

class!(PUNCTUATION, r"\p{P}", "a category");
class!(LETTER, r"\p{L}", "a category");
class!(UPPER, r"\p{Lu}", "a category");
class!(LOWER, r"\p{Ll}", "a category");
class!(DIGIT, r"\p{Nd}", "a category");

fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c) } else { in_class(c, &PUNCTUATION) }
}

fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { in_class(c, &LETTER) }
}

fn is_upper(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_uppercase() } else { in_class(c, &UPPER) }
}

fn is_lower(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_lowercase() } else { in_class(c, &LOWER) }
}

fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { in_class(c, &DIGIT) }
}

/// `strings.Title`: the first letter of each word in title case, the rest as it is.
pub(crate) fn title(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|c| {
            let starts = is_separator(previous);
            previous = c;
            if starts { title_case(c) } else { c }
        })
        .collect()
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_alphanumeric() && c != '_';
    }
    !is_letter(c) && !is_digit(c) && c.is_whitespace()
}

/// The first letter of each word in lower case, the rest as it is.
pub(crate) fn untitle(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .map(|c| {
            if c.is_whitespace() {
                starts = true;
                return c;
            }
            if std::mem::take(&mut starts) { lower(c) } else { c }
        })
        .collect()
}

/// Upper for lower case and the other way round; a lower-case letter that starts a word gets title case.
pub(crate) fn swap_case(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|c| {
            let is_title = matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}');
            if is_upper(c) || is_title {
                after_space = false;
                return lower(c);
            }
            if is_lower(c) {
                return if std::mem::take(&mut after_space) { title_case(c) } else { upper(c) };
            }
            after_space = c.is_whitespace();
            c
        })
        .collect()
}

/// The first byte of each word, as sprig has it: bytes are taken for Latin-1.
pub(crate) fn initials(text: &[u8]) -> String {
    let mut after_space = true;
    let letters = text.iter().map(|byte| char::from(*byte)).filter(|c| {
        let starts = !c.is_whitespace() && after_space;
        after_space = c.is_whitespace();
        starts
    });
    letters.collect()
}

/// The text without white space; like [`initials`] it takes bytes for Latin-1 once there is any.
pub(crate) fn without_spaces(text: &[u8]) -> Vec<u8> {
    let kept: String = text.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_whitespace()).collect();
    if kept.chars().count() == text.len() { text.to_vec() } else { kept.into_bytes() }
}

/// Breaks a line at spaces so that no line is longer than `width` bytes; words that are longer are cut if `cut` says so.
pub(crate) fn wrap(text: &[u8], width: i64, separator: &[u8], cut: bool) -> Vec<u8> {
    let separator = if separator.is_empty() { b"\n" } else { separator };
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let (mut out, mut rest) = (Vec::with_capacity(text.len() + text.len() / width.min(80)), text);
    let line = |out: &mut Vec<u8>, line: &[u8]| {
        out.extend_from_slice(line);
        out.extend_from_slice(separator);
    };
    while rest.len() > width {
        if rest[0] == b' ' {
            rest = &rest[1..];
            continue;
        }
        if let Some(space) = rest[..=width].iter().rposition(|byte| *byte == b' ') {
            line(&mut out, &rest[..space]);
            rest = &rest[space + 1..];
        } else if cut {
            line(&mut out, &rest[..width]);
            rest = &rest[width..];
        } else if let Some(space) = rest[width..].iter().position(|byte| *byte == b' ') {
            line(&mut out, &rest[..width + space]);
            rest = &rest[width + space + 1..];
        } else {
            break;
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Cuts a text to `width` bytes with `...` on the right, and on the left too when it starts at `offset`.
pub(crate) fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let length = text.len() as i64;
    if text.is_empty() || width < 4 {
        return Vec::new();
    }
    if length <= width {
        return text.to_vec();
    }
    let room = width - 3;
    let offset = offset.clamp(0, length);
    let offset = if length - offset < room { length - room } else { offset };
    if offset <= 4 {
        return [&text[..room as usize], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + room < length {
        let inner = abbreviate(&text[offset as usize..], 0, room);
        return [b"...", &inner[..]].concat();
    }
    [b"...", &text[(length - room) as usize..]].concat()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// Words joined with each first letter in upper case: `http_server` to `HttpServer`.
pub(crate) fn pascal_case(text: &str) -> String {
    let connectors = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let mut out = text[..connectors].to_owned();
    let mut rest = text[connectors..].chars();
    let Some(first) = rest.next() else {
        // Of a text of connectors only, the library writes the last one twice.
        out.extend(text.chars().next_back());
        return out;
    };
    // A word written in capitals is lowered after its first letter.
    let mut in_capitals = is_upper(first);
    let mut current = upper(first);
    for next in rest {
        let previous = std::mem::replace(&mut current, next);
        if is_connector(previous) && is_connector(next) {
            out.push(previous);
        } else if is_connector(previous) {
            in_capitals = is_upper(next);
            current = upper(next);
        } else {
            if in_capitals {
                in_capitals = is_upper(next);
                if in_capitals {
                    current = lower(next);
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    End,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// Words in lower case with a connector between them: `HTTPServer2xx` to `http_server_2xx`.
pub(crate) fn lower_words(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut kind, mut word, mut rest) = next_word(text);
    while !rest.is_empty() {
        if kind != Word::Connector {
            push_lower(&mut out, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word, rest) = next_word(rest);
        match previous {
            Word::Number => {
                (kind, word, rest) = letters_and_numbers(&mut out, (kind, word, rest), connector);
                if !matches!(kind, Word::End | Word::Punctuation | Word::Connector) {
                    out.push(connector);
                }
            }
            Word::Connector => push_lower(&mut out, previous, last, connector),
            Word::Punctuation => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next_word(rest);
                if kind == Word::Letters {
                    // Lower-case letters after a number belong to it: `http_2xx`.
                    out.push(connector);
                    push_lower(&mut out, Word::Number, number, connector);
                    (kind, word, rest) = letters_and_numbers(&mut out, (kind, word, rest), connector);
                    if !matches!(kind, Word::End | Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                } else {
                    // Otherwise the number belongs to the word before it: `bld4_floor`.
                    push_lower(&mut out, Word::Number, number, connector);
                    if !matches!(kind, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                }
            }
        }
    }
    push_lower(&mut out, kind, word, connector);
    out
}

type Scan<'t> = (Word, &'t str, &'t str);

fn letters_and_numbers<'t>(out: &mut String, mut scan: Scan<'t>, connector: char) -> Scan<'t> {
    while matches!(scan.0, Word::Letters | Word::Number) {
        push_lower(out, scan.0, scan.1, connector);
        scan = next_word(scan.2);
    }
    scan
}

/// The kind of the word at the start of a text, the word, and what follows.
fn next_word(text: &str) -> Scan<'_> {
    let Some(first) = text.chars().next() else { return (Word::End, "", "") };
    let run = |test: &dyn Fn(char) -> bool| text.find(|c| !test(c)).unwrap_or(text.len());
    let small = |c: char| is_alphabet(c) && !is_upper(c);
    let (kind, length) = if is_connector(first) {
        (Word::Connector, run(&is_connector))
    } else if is_punctuation(first) {
        (Word::Punctuation, run(&is_punctuation))
    } else if is_upper(first) {
        (Word::Upper, upper_word_length(text, first))
    } else if is_alphabet(first) {
        (Word::Letters, run(&small))
    } else if first.is_numeric() {
        (Word::Number, run(&char::is_numeric))
    } else {
        let other = |c: char| !(is_connector(c) || is_alphabet(c) || c.is_numeric() || is_punctuation(c));
        (Word::Other, run(&other).max(first.len_utf8()))
    };
    (kind, &text[..length], &text[length..])
}

/// Capitals, without the last one if it starts a word in lower case, or one capital and its lower-case letters.
fn upper_word_length(text: &str, first: char) -> usize {
    let capitals = text.find(|c| !is_upper(c)).unwrap_or(text.len());
    let next_is_small = text[capitals..].chars().next().is_some_and(is_alphabet);
    if capitals == first.len_utf8() {
        let small = |c: char| is_alphabet(c) && !is_upper(c);
        return capitals + text[capitals..].find(|c| !small(c)).unwrap_or(text.len() - capitals);
    }
    if next_is_small {
        return text[..capitals].char_indices().next_back().map_or(capitals, |(at, _)| at);
    }
    capitals
}

/// A letter of a script with words; Chinese characters stand for themselves.
fn is_alphabet(c: char) -> bool {
    let is_chinese = matches!(c, '\u{4e00}'..='\u{9fcc}' | '\u{3400}'..='\u{4d85}' | '\u{20000}'..='\u{2b81d}');
    is_letter(c) && !is_chinese
}

fn push_lower(out: &mut String, kind: Word, word: &str, connector: char) {
    match kind {
        Word::Upper | Word::Connector => {
            out.extend(word.chars().map(|c| {
                if is_connector(c) {
                    connector
                } else if is_upper(c) {
                    lower(c)
                } else {
                    c
                }
            }));
        }
        _ => out.push_str(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_xstrings() {
        for (text, want) in [
            ("FirstName", "first_name"),
            ("HTTPServer", "http_server"),
            ("NoHTTPS", "no_https"),
            ("GO_PATH", "go_path"),
            ("GO-PATH", "go_path"),
            ("http2xx", "http_2xx"),
            ("HTTP20xOK", "http_20x_ok"),
            ("Duration2m3s", "duration_2m3s"),
            ("Bld4Floor3rd", "bld4_floor_3rd"),
        ] {
            assert_eq!(lower_words(text, '_'), want);
        }
        assert_eq!(pascal_case("_complex__case_"), "_Complex_Case_");
        assert_eq!(pascal_case("GOLANG_IS_GREAT"), "GolangIsGreat");
    }

    #[test]
    fn cases_map_one_to_one() {
        assert_eq!("stra\u{df}e".chars().map(upper).collect::<String>(), "STRA\u{df}E");
        assert_eq!(upper('\u{1f80}'), '\u{1f88}');
        assert_eq!(lower('\u{130}'), 'i');
        assert_eq!(title("a\u{1c6}b \u{1c6}b it's"), "A\u{1c6}b \u{1c5}b It'S");
    }

    #[test]
    fn odd_widths_do_not_panic() {
        for width in [i64::MIN, -1, 0, 1, 5, i64::MAX] {
            let _ = wrap("a bb ccc dddd \u{e9}".as_bytes(), width, b"", true);
            let _ = wrap("a bb ccc dddd \u{e9}".as_bytes(), width, b"", false);
            for offset in [i64::MIN, -1, 0, 5, i64::MAX] {
                let _ = abbreviate("a bb ccc dddd \u{e9}".as_bytes(), offset, width);
            }
        }
    }
}
