//! Functions on text. Positions and lengths count bytes, as in Go, unless they say otherwise.

use super::convert::{MOST_BYTES, argument, bytes, integer, text, to_text, to_texts};
use super::{ANY, Failure, INT, STRING};
use crate::template::exec::State;
use crate::template::value::{List, Map, Type, Value};
use crate::template::{format, strconv, words};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "strings";
    "abbrev"(INT, STRING) = abbrev, "Cuts a text to a width, the end replaced by `...`.";
    "abbrevboth"(INT, INT, STRING) = abbrevboth, "Cuts a text on both sides: left edge, width, text.";
    "cat"(; ANY) = cat, "Joins all arguments that are not nil with spaces.";
    "contains"(STRING, STRING) = contains, "Whether the second text contains the first.";
    "hasPrefix"(STRING, STRING) = has_prefix, "Whether the second text starts with the first.";
    "hasSuffix"(STRING, STRING) = has_suffix, "Whether the second text ends with the first.";
    "indent"(INT, STRING) = indent, "Puts spaces before each line.";
    "initials"(STRING) = |_, a| Ok(words::initials(bytes(a, 0)).into()), "The first letter of each word.";
    "join"(STRING, ANY) = join, "Joins a list with a separator.";
    "camelcase"(STRING) = |_, a| Ok(words::pascal_case(&text(a, 0)).into()), "`http_server` to `HttpServer`.";
    "kebabcase"(STRING) = |_, a| Ok(words::lower_words(&text(a, 0), '-').into()), "`HTTPServer` to `http-server`.";
    "lower"(STRING) = |_, a| Ok(text(a, 0).chars().map(words::lower).collect::<String>().into()), "Lower case.";
    "nindent"(INT, STRING) = nindent, "A new line, then the text with spaces before each line.";
    "nospace"(STRING) = |_, a| Ok(words::without_spaces(bytes(a, 0)).into()), "Takes all white space away.";
    "plural"(STRING, STRING, INT) = plural, "The first text for a count of 1, else the second.";
    "quote"(; ANY) = quote, "Each argument that is not nil in double quotes, with Go's escapes.";
    "repeat"(INT, STRING) = repeat, "The text that many times.";
    "replace"(STRING, STRING, STRING) = replace, "Replaces all of the first text by the second in the third.";
    "shuffle"(STRING) = shuffle, "The letters in random order.";
    "snakecase"(STRING) = |_, a| Ok(words::lower_words(&text(a, 0), '_').into()), "`HTTPServer` to `http_server`.";
    "sortAlpha"(ANY) = sort_alpha, "The items as text, sorted by bytes.";
    "split"(STRING, STRING) = |_, a| split(a, 1, -1), "Cuts the second text at the first: a map `_0`, `_1`, ..";
    "splitList"(STRING, STRING) = split_list, "Cuts the second text at the first into a list.";
    "splitn"(STRING, INT, STRING) = |_, a| split(a, 2, integer(a, 1)), "As `split`, into at most that many pieces.";
    "squote"(; ANY) = squote, "Each argument that is not nil in single quotes, nothing escaped.";
    "substr"(INT, INT, STRING) = substr, "The bytes from start to end; a negative end is the end of the text.";
    "swapcase"(STRING) = |_, a| Ok(words::swap_case(&text(a, 0)).into()), "Upper for lower case and the other way.";
    "title"(STRING) = |_, a| Ok(words::title(&text(a, 0)).into()), "The first letter of each word in title case.";
    "toString"(ANY) = |_, a| Ok(to_text(argument(a, 0)).into()), "Any value as text.";
    "toStrings"(ANY) = |_, a| Ok(Value::strings(to_texts(argument(a, 0)))), "The items of a list as text.";
    "trim"(STRING) = trim, "Takes white space away on both sides.";
    "trimAll"(STRING, STRING) = trim_all, "Takes the characters of the first text away on both sides of the second.";
    "trimall"(STRING, STRING) = trim_all, "Old name of `trimAll`.";
    "trimPrefix"(STRING, STRING) = trim_prefix, "Takes the first text away from the start of the second.";
    "trimSuffix"(STRING, STRING) = trim_suffix, "Takes the first text away from the end of the second.";
    "trunc"(INT, STRING) = trunc, "The first bytes, or the last ones for a negative count.";
    "untitle"(STRING) = |_, a| Ok(words::untitle(&text(a, 0)).into()), "The first letter of each word in lower case.";
    "upper"(STRING) = |_, a| Ok(text(a, 0).chars().map(words::upper).collect::<String>().into()), "Upper case.";
    "wrap"(INT, STRING) = |_, a| wrap(a, 1, b"\n", false), "Breaks lines at a width; longer words stay whole.";
    "wrapWith"(INT, STRING, STRING) = |_, a| wrap(a, 2, bytes(a, 1), true), "Breaks lines at a width with a separator.";
}

/// Refuses what would take too much memory.
pub(super) fn bounded(what: &str, length: Option<usize>) -> Result<usize> {
    length
        .filter(|length| *length <= MOST_BYTES)
        .ok_or_else(|| Failure::new(format!("the result of {what} is larger than {} MiB", MOST_BYTES >> 20)))
}

fn abbrev(_: &mut State<'_>, a: &[Value]) -> Result {
    let width = integer(a, 0);
    Ok(if width < 4 { argument(a, 1).clone() } else { words::abbreviate(bytes(a, 1), 0, width).into() })
}

fn abbrevboth(_: &mut State<'_>, a: &[Value]) -> Result {
    let (left, right) = (integer(a, 0), integer(a, 1));
    if right < 4 || left > 0 && right < 7 {
        return Ok(argument(a, 2).clone());
    }
    Ok(words::abbreviate(bytes(a, 2), left, right).into())
}

fn cat(_: &mut State<'_>, a: &[Value]) -> Result {
    let present: Vec<Vec<u8>> = a
        .iter()
        .filter(|value| !matches!(value, Value::Nil))
        .map(|value| format::sprintf(b"%v", std::slice::from_ref(value)))
        .collect();
    Ok(present.join(&b' ').into())
}

fn contains(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(find(bytes(a, 1), bytes(a, 0)).is_some().into())
}

fn has_prefix(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(bytes(a, 1).starts_with(bytes(a, 0)).into())
}

fn has_suffix(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(bytes(a, 1).ends_with(bytes(a, 0)).into())
}

/// Where a text first occurs in another.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    match part {
        [] => Some(0),
        [byte] => text.iter().position(|other| other == byte),
        [first, ..] => {
            let mut from = 0;
            while let Some(at) = text[from..].iter().position(|other| other == first) {
                from += at;
                if text[from..].starts_with(part) {
                    return Some(from);
                }
                from += 1;
            }
            None
        }
    }
}

fn indent(_: &mut State<'_>, a: &[Value]) -> Result {
    indented(a, "indent", b"").map(Value::from)
}

fn nindent(_: &mut State<'_>, a: &[Value]) -> Result {
    indented(a, "nindent", b"\n").map(Value::from)
}

fn indented(a: &[Value], what: &str, before: &[u8]) -> Result<Vec<u8>> {
    let text = bytes(a, 1);
    let Ok(spaces) = usize::try_from(integer(a, 0)) else {
        return Err(Failure::new("strings: negative Repeat count"));
    };
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let length = bounded(what, spaces.checked_mul(lines).and_then(|length| length.checked_add(text.len() + 1)))?;
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(before);
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + spaces, b' ');
        out.extend_from_slice(line);
    }
    Ok(out)
}

fn join(_: &mut State<'_>, a: &[Value]) -> Result {
    let texts = to_texts(argument(a, 1));
    let separator = bytes(a, 0);
    let items: usize = texts.iter().map(|text| text.len()).sum();
    bounded("join", separator.len().checked_mul(texts.len()).and_then(|length| length.checked_add(items)))?;
    let slices: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
    Ok(slices.join(separator).into())
}

fn plural(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(argument(a, if integer(a, 2) == 1 { 0 } else { 1 }).clone())
}

fn quote(_: &mut State<'_>, a: &[Value]) -> Result {
    let present = a.iter().filter(|value| !matches!(value, Value::Nil));
    Ok(present.map(|value| format::quote(&to_text(value))).collect::<Vec<_>>().join(" ").into())
}

fn squote(_: &mut State<'_>, a: &[Value]) -> Result {
    let present = a.iter().filter(|value| !matches!(value, Value::Nil));
    let quoted: Vec<Vec<u8>> = present.map(|value| format::sprintf(b"'%v'", std::slice::from_ref(value))).collect();
    Ok(quoted.join(&b' ').into())
}

fn repeat(_: &mut State<'_>, a: &[Value]) -> Result {
    let Ok(count) = usize::try_from(integer(a, 0)) else {
        return Err(Failure::new("strings: negative Repeat count"));
    };
    bounded("repeat", bytes(a, 1).len().checked_mul(count))?;
    Ok(bytes(a, 1).repeat(count).into())
}

fn replace(_: &mut State<'_>, a: &[Value]) -> Result {
    let (old, new, source) = (bytes(a, 0), bytes(a, 1), bytes(a, 2));
    if old.is_empty() {
        return replace_between(new, source);
    }
    let mut out = Vec::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        bounded("replace", Some(out.len()))?;
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    Ok(out.into())
}

/// What Go makes of replacing the empty text: the new one goes between all characters and to both ends.
fn replace_between(new: &[u8], source: &[u8]) -> Result {
    bounded("replace", new.len().checked_mul(source.len() + 1).and_then(|length| length.checked_add(source.len())))?;
    let mut out = new.to_vec();
    for chunk in source.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            out.extend_from_slice(new);
        }
        for byte in chunk.invalid() {
            out.push(*byte);
            out.extend_from_slice(new);
        }
    }
    Ok(out.into())
}

fn shuffle(state: &mut State<'_>, a: &[Value]) -> Result {
    let mut letters: Vec<char> = text(a, 0).chars().collect();
    for last in (1..letters.len()).rev() {
        letters.swap(last, super::random::below(state, last as u64 + 1) as usize);
    }
    Ok(letters.into_iter().collect::<String>().into())
}

fn sort_alpha(_: &mut State<'_>, a: &[Value]) -> Result {
    let value = argument(a, 0);
    if super::convert::any_items(value).is_none() {
        return Ok(Value::strings([to_text(value)]));
    }
    let mut texts = to_texts(value);
    texts.sort();
    Ok(Value::strings(texts))
}

/// Go's `strings.SplitN`; a negative count is all pieces.
fn pieces<'t>(source: &'t [u8], separator: &[u8], most: i64) -> Vec<&'t [u8]> {
    let most = if most < 0 { usize::MAX } else { most as usize };
    let mut out = Vec::new();
    if most == 0 {
        return out;
    }
    let mut rest = source;
    if separator.is_empty() {
        // Cut between characters; what is left over is one piece.
        while !rest.is_empty() && out.len() + 1 < most {
            let width = strconv::decode(rest).1.max(1);
            out.push(&rest[..width]);
            rest = &rest[width..];
        }
        if !rest.is_empty() {
            out.push(rest);
        }
        return out;
    }
    while out.len() + 1 < most {
        let Some(at) = find(rest, separator) else { break };
        out.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    out.push(rest);
    out
}

fn split(a: &[Value], source: usize, most: i64) -> Result {
    let map = Map::typed(Type::STRING_MAP);
    for (at, piece) in pieces(bytes(a, source), bytes(a, 0), most).into_iter().enumerate() {
        map.insert(format!("_{at}"), Value::string(piece));
    }
    Ok(map.into())
}

fn split_list(_: &mut State<'_>, a: &[Value]) -> Result {
    let pieces = pieces(bytes(a, 1), bytes(a, 0), -1).into_iter().map(Value::string).collect();
    Ok(List::typed(Type::STRINGS, pieces).into())
}

fn substr(_: &mut State<'_>, a: &[Value]) -> Result {
    let (start, end, source) = (integer(a, 0), integer(a, 1), bytes(a, 2));
    let length = source.len() as i64;
    let out_of_range = |range: String| Err(Failure::new(format!("runtime error: slice bounds out of range {range}")));
    let (from, to) = if start < 0 {
        if end > length {
            return out_of_range(format!("[:{end}] with length {length}"));
        }
        if end < 0 {
            return out_of_range(format!("[:{end}]"));
        }
        (0, end)
    } else if end < 0 || end > length {
        (start, length)
    } else {
        (start, end)
    };
    if from > to {
        return out_of_range(format!("[{from}:{to}]"));
    }
    Ok(Value::string(&source[from as usize..to as usize]))
}

fn trim(_: &mut State<'_>, a: &[Value]) -> Result {
    trimmed(bytes(a, 0), char::is_whitespace)
}

fn trim_all(_: &mut State<'_>, a: &[Value]) -> Result {
    let set = text(a, 0);
    trimmed(bytes(a, 1), |c| set.contains(c))
}

/// Takes characters away on both sides; bytes that are not UTF-8 are never taken.
fn trimmed(source: &[u8], test: impl Fn(char) -> bool) -> Result {
    let Ok(text) = std::str::from_utf8(source) else {
        let start = source.utf8_chunks().next().map_or(0, |chunk| {
            let valid = chunk.valid();
            valid.len() - valid.trim_start_matches(&test).len()
        });
        let last = source.utf8_chunks().last().map_or(0, |chunk| match chunk.invalid() {
            [] => chunk.valid().len() - chunk.valid().trim_end_matches(&test).len(),
            _ => 0,
        });
        return Ok(Value::string(&source[start..source.len() - last]));
    };
    Ok(text.trim_matches(test).into())
}

fn trim_prefix(_: &mut State<'_>, a: &[Value]) -> Result {
    let source = bytes(a, 1);
    Ok(source.strip_prefix(bytes(a, 0)).map_or_else(|| argument(a, 1).clone(), Value::string))
}

fn trim_suffix(_: &mut State<'_>, a: &[Value]) -> Result {
    let source = bytes(a, 1);
    Ok(source.strip_suffix(bytes(a, 0)).map_or_else(|| argument(a, 1).clone(), Value::string))
}

fn trunc(_: &mut State<'_>, a: &[Value]) -> Result {
    let (count, source) = (integer(a, 0), bytes(a, 1));
    let length = source.len() as i64;
    if count < 0 && length.saturating_add(count) > 0 {
        return Ok(Value::string(&source[(length + count) as usize..]));
    }
    if count >= 0 && length > count {
        return Ok(Value::string(&source[..count as usize]));
    }
    Ok(argument(a, 1).clone())
}

fn wrap(a: &[Value], source: usize, separator: &[u8], cut: bool) -> Result {
    let (width, source) = (integer(a, 0), bytes(a, source));
    let lines = source.len() / usize::try_from(width.max(1)).unwrap_or(usize::MAX) + 1;
    bounded("wrap", (lines * 2).checked_mul(separator.len()).and_then(|n| n.checked_add(source.len())))?;
    Ok(words::wrap(source, width, separator, cut).into())
}
