//! Functions that look at types, defaults and emptiness.

use super::convert::{argument, deep_equal, is_empty, text};
use super::{ANY, BOOL, Failure, STRING};
use crate::template::exec::State;
use crate::template::value::Value;

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "types";
    "all"(; ANY) = |_, a| Ok((!a.iter().any(is_empty)).into()), "Whether no argument is empty.";
    "any"(; ANY) = |_, a| Ok((!a.iter().all(is_empty)).into()), "Whether some argument is not empty.";
    "coalesce"(; ANY) = coalesce, "The first argument that is not empty, else nil.";
    "deepEqual"(ANY, ANY) = |_, a| Ok(deep_equal(argument(a, 0), argument(a, 1)).into()), "Whether type and content are the same.";
    "default"(ANY; ANY) = default, "The second argument, or the first if it is empty.";
    "empty"(ANY) = |_, a| Ok(is_empty(argument(a, 0)).into()), "Whether it is nil, false, 0 or has no items.";
    "fail"(STRING) = fail, "Ends rendering with a message.";
    "hello"() = |_, _| Ok("Hello!".into()), "`Hello!`.";
    "kindIs"(STRING, ANY) = |_, a| Ok((text(a, 0) == argument(a, 1).kind().name()).into()), "Whether the kind has this name.";
    "kindOf"(ANY) = |_, a| Ok(argument(a, 0).kind().name().into()), "Go's kind: `string`, `slice`, `map`, `float64` ..";
    "ternary"(ANY, ANY, BOOL) = ternary, "The first argument if the third is true, else the second.";
    "typeIs"(STRING, ANY) = |_, a| Ok((text(a, 0) == argument(a, 1).type_name()).into()), "Whether the type has this name.";
    "typeIsLike"(STRING, ANY) = type_is_like, "As `typeIs`, also for a pointer to the type.";
    "typeOf"(ANY) = |_, a| Ok(argument(a, 0).type_name().into()), "Go's type: `string`, `[]interface {}` ..";
}

fn coalesce(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(a.iter().find(|value| !is_empty(value)).cloned().unwrap_or_default())
}

fn default(_: &mut State<'_>, a: &[Value]) -> Result {
    let given = argument(a, 1);
    Ok(if is_empty(given) { argument(a, 0).clone() } else { given.clone() })
}

fn fail(state: &mut State<'_>, a: &[Value]) -> Result {
    if state.context().lint {
        return Ok("".into());
    }
    Err(Failure::said(&text(a, 0)))
}

fn ternary(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(argument(a, if argument(a, 2).truth() { 0 } else { 1 }).clone())
}

fn type_is_like(_: &mut State<'_>, a: &[Value]) -> Result {
    let (wanted, found) = (text(a, 0), argument(a, 1).type_name());
    Ok((wanted == found || found.strip_prefix('*').is_some_and(|pointee| pointee == wanted)).into())
}
