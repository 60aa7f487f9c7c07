//! Regular expressions in Go's syntax. The plain functions and the `must` ones differ in the words of their errors only.

use std::rc::Rc;

use super::convert::{bytes, integer, text};
use super::{Failure, INT, STRING};
use crate::template::exec::State;
use crate::template::regexp::{self, Regexp};
use crate::template::value::{List, Type, Value};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "regex";
    "regexMatch"(STRING, STRING) = is_match, "Whether the second text has a match of the pattern; false for a bad pattern.";
    "mustRegexMatch"(STRING, STRING) = must_match, "As `regexMatch`, but a bad pattern is an error.";
    "regexFind"(STRING, STRING) = |_, a| find(a, &*panicking(a)?), "The first match, or the empty text.";
    "mustRegexFind"(STRING, STRING) = |_, a| find(a, &*compiled(a)?), "As `regexFind`.";
    "regexFindAll"(STRING, STRING, INT) = |_, a| find_all(a, &*panicking(a)?), "All matches, or the first so many.";
    "mustRegexFindAll"(STRING, STRING, INT) = |_, a| find_all(a, &*compiled(a)?), "As `regexFindAll`.";
    "regexReplaceAll"(STRING, STRING, STRING) = |_, a| replace(a, &*panicking(a)?), "Replaces matches; `$1` and `${name}` are groups.";
    "mustRegexReplaceAll"(STRING, STRING, STRING) = |_, a| replace(a, &*compiled(a)?), "As `regexReplaceAll`.";
    "regexReplaceAllLiteral"(STRING, STRING, STRING) = |_, a| literal(a, &*panicking(a)?), "Replaces matches by a text as it stands.";
    "mustRegexReplaceAllLiteral"(STRING, STRING, STRING) = |_, a| literal(a, &*compiled(a)?), "As `regexReplaceAllLiteral`.";
    "regexSplit"(STRING, STRING, INT) = |_, a| split(a, &*panicking(a)?), "Cuts a text at matches into at most so many pieces.";
    "mustRegexSplit"(STRING, STRING, INT) = |_, a| split(a, &*compiled(a)?), "As `regexSplit`.";
    "regexQuoteMeta"(STRING) = |_, a| Ok(regexp::quote_meta(bytes(a, 0)).into()), "Escapes what has a meaning in patterns.";
}

fn compiled(a: &[Value]) -> Result<Rc<Regexp>> {
    Regexp::compile(bytes(a, 0)).map_err(|error| Failure::new(error.to_string()))
}

/// As [`compiled`], with the words of Go's `MustCompile`.
fn panicking(a: &[Value]) -> Result<Rc<Regexp>> {
    Regexp::compile(bytes(a, 0)).map_err(|error| {
        let pattern = text(a, 0);
        let quoted = if crate::template::strconv::can_backquote(bytes(a, 0)) {
            format!("`{pattern}`")
        } else {
            crate::template::format::quote(bytes(a, 0))
        };
        Failure::new(format!("regexp: Compile({quoted}): {error}"))
    })
}

fn is_match(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(compiled(a).is_ok_and(|pattern| pattern.is_match(bytes(a, 1))).into())
}

fn must_match(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(compiled(a)?.is_match(bytes(a, 1)).into())
}

fn find(a: &[Value], pattern: &Regexp) -> Result {
    Ok(Value::string(pattern.find(bytes(a, 1)).unwrap_or_default()))
}

fn find_all(a: &[Value], pattern: &Regexp) -> Result {
    let found = pattern.find_all(bytes(a, 1), integer(a, 2));
    Ok(if found.is_empty() { no_texts() } else { Value::strings(found) })
}

fn split(a: &[Value], pattern: &Regexp) -> Result {
    Ok(pattern.split(bytes(a, 1), integer(a, 2)).map_or_else(no_texts, Value::strings))
}

fn no_texts() -> Value {
    List::nil(Type::STRINGS).into()
}

fn replace(a: &[Value], pattern: &Regexp) -> Result {
    Ok(pattern.replace_all(bytes(a, 1), bytes(a, 2)).into())
}

fn literal(a: &[Value], pattern: &Regexp) -> Result {
    Ok(pattern.replace_all_literal(bytes(a, 1), bytes(a, 2)).into())
}
