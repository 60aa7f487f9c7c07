//! Functions on lists. None changes the list it is given.

use super::convert::{self, MOST_ITEMS, NIL_POINTER, argument, deep_equal, integer, is_empty, items, nil_list};
use super::{ANY, Failure, INT};
use crate::template::exec::State;
use crate::template::value::{List, Type, Value};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "lists";
    "append"(ANY, ANY) = append, "A list with an item added at its end.";
    "mustAppend"(ANY, ANY) = append, "As `append`.";
    "push"(ANY, ANY) = append, "As `append`.";
    "mustPush"(ANY, ANY) = append, "As `append`.";
    "prepend"(ANY, ANY) = prepend, "A list with an item put before it.";
    "mustPrepend"(ANY, ANY) = prepend, "As `prepend`.";
    "chunk"(INT, ANY) = chunk, "Cuts a list into lists of a size.";
    "mustChunk"(INT, ANY) = chunk, "As `chunk`.";
    "compact"(ANY) = compact, "The items that are not empty.";
    "mustCompact"(ANY) = compact, "As `compact`.";
    "concat"(; ANY) = concat, "The items of all lists in one.";
    "first"(ANY) = first, "The first item; nil of an empty list.";
    "mustFirst"(ANY) = first, "As `first`.";
    "has"(ANY, ANY) = has, "Whether the list has an item of the same type and content.";
    "mustHas"(ANY, ANY) = has, "As `has`.";
    "initial"(ANY) = initial, "All items but the last.";
    "mustInitial"(ANY) = initial, "As `initial`.";
    "last"(ANY) = last, "The last item; nil of an empty list.";
    "mustLast"(ANY) = last, "As `last`.";
    "list"(; ANY) = |_, a| Ok(Value::list(a.to_vec())), "A list of the arguments.";
    "tuple"(; ANY) = |_, a| Ok(Value::list(a.to_vec())), "Old name of `list`.";
    "rest"(ANY) = rest, "All items but the first.";
    "mustRest"(ANY) = rest, "As `rest`.";
    "reverse"(ANY) = reverse, "The items from last to first.";
    "mustReverse"(ANY) = reverse, "As `reverse`.";
    "slice"(ANY; ANY) = slice, "The items from start to end.";
    "mustSlice"(ANY; ANY) = slice, "As `slice`.";
    "uniq"(ANY) = uniq, "The items without those that were there before.";
    "mustUniq"(ANY) = uniq, "As `uniq`.";
    "without"(ANY; ANY) = without, "The items that are none of the further arguments.";
    "mustWithout"(ANY; ANY) = without, "As `without`.";
    "until"(INT) = until, "The numbers from 0 up, or down, to before the argument.";
    "untilStep"(INT, INT, INT) = until_step, "The numbers from start to before stop by a step.";
    "seq"(; INT) = seq, "The numbers to an end as text: end, start and end, or start, step and end.";
}

fn append(_: &mut State<'_>, a: &[Value]) -> Result {
    let mut list = items(argument(a, 0), "Cannot push on type")?.into_owned();
    list.push(argument(a, 1).clone());
    Ok(Value::list(list))
}

fn prepend(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot prepend on type")?;
    let mut out = Vec::with_capacity(list.len() + 1);
    out.push(argument(a, 1).clone());
    out.extend_from_slice(&list);
    Ok(Value::list(out))
}

fn chunk(_: &mut State<'_>, a: &[Value]) -> Result {
    let size = integer(a, 0);
    let list = items(argument(a, 1), "Cannot chunk type")?;
    let length = list.len();
    // Go counts the chunks in floating point, and makes as many slices.
    let count = ((length as f64 - 1.0) / size as f64).floor() + 1.0;
    if size == 0 || count.is_nan() || count < 0.0 {
        return Err(Failure::new("runtime error: makeslice: len out of range"));
    }
    let count = count as usize;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let chunks: Vec<Value> = list.chunks(size.max(1)).take(count).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(List::typed(Type::List(&Type::LIST), chunks).into())
}

fn compact(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot compact on type")?;
    Ok(Value::list(list.iter().filter(|item| !is_empty(item)).cloned().collect()))
}

fn concat(_: &mut State<'_>, a: &[Value]) -> Result {
    let mut out = Vec::new();
    for list in a {
        if matches!(list, Value::Nil) {
            return Err(Failure::new(NIL_POINTER));
        }
        let kind = list.kind().name();
        let items =
            convert::any_items(list).ok_or_else(|| Failure::new(format!("Cannot concat type {kind} as list")))?;
        out.extend_from_slice(&items);
    }
    Ok(if out.is_empty() { nil_list() } else { Value::list(out) })
}

fn first(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(items(argument(a, 0), "Cannot find first on type")?.first().cloned().unwrap_or_default())
}

fn last(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(items(argument(a, 0), "Cannot find last on type")?.last().cloned().unwrap_or_default())
}

fn rest(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot find rest on type")?;
    Ok(list.split_first().map_or_else(nil_list, |(_, rest)| Value::list(rest.to_vec())))
}

fn initial(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot find initial on type")?;
    Ok(list.split_last().map_or_else(nil_list, |(_, rest)| Value::list(rest.to_vec())))
}

fn reverse(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot find reverse on type")?;
    Ok(Value::list(list.iter().rev().cloned().collect()))
}

fn has(_: &mut State<'_>, a: &[Value]) -> Result {
    if matches!(argument(a, 1), Value::Nil) {
        return Ok(false.into());
    }
    let list = items(argument(a, 1), "Cannot find has on type")?;
    Ok(list.iter().any(|item| deep_equal(argument(a, 0), item)).into())
}

fn uniq(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot find uniq on type")?;
    let mut out: Vec<Value> = Vec::new();
    for item in list.iter() {
        if !out.iter().any(|known| deep_equal(item, known)) {
            out.push(item.clone());
        }
    }
    Ok(Value::list(out))
}

fn without(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = items(argument(a, 0), "Cannot find without on type")?;
    let unwanted = a.get(1..).unwrap_or_default();
    let wanted = |item: &&Value| !unwanted.iter().any(|other| deep_equal(item, other));
    Ok(Value::list(list.iter().filter(wanted).cloned().collect()))
}

fn slice(_: &mut State<'_>, a: &[Value]) -> Result {
    let value = argument(a, 0);
    let list = items(value, "list should be type of slice or array but")?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = a.get(1).map_or(0, convert::to_int64);
    let end = a.get(2).map_or(list.len() as i64, convert::to_int64);
    if start < 0 || start > end || end > list.len() as i64 {
        return Err(Failure::new("reflect.Value.Slice: slice index out of bounds"));
    }
    let part = list[start as usize..end as usize].to_vec();
    Ok(match value {
        Value::List(list) => List::typed(list.type_of(), part).into(),
        Value::Bytes(bytes) => Value::Bytes(bytes[start as usize..end as usize].into()),
        _ => Value::list(part),
    })
}

fn until(_: &mut State<'_>, a: &[Value]) -> Result {
    let stop = integer(a, 0);
    numbers("until", 0, stop, if stop < 0 { -1 } else { 1 }).map(integers)
}

fn until_step(_: &mut State<'_>, a: &[Value]) -> Result {
    numbers("untilStep", integer(a, 0), integer(a, 1), integer(a, 2)).map(integers)
}

fn seq(_: &mut State<'_>, a: &[Value]) -> Result {
    let toward = |start: i64, end: i64| if end < start { -1i64 } else { 1 };
    let (start, step, end) = match a.len() {
        1 => (1, toward(1, integer(a, 0)), integer(a, 0)),
        2 => (integer(a, 0), toward(integer(a, 0), integer(a, 1)), integer(a, 1)),
        3 => (integer(a, 0), integer(a, 1), integer(a, 2)),
        _ => return Ok("".into()),
    };
    if end < start && step > 0 {
        return Ok("".into());
    }
    let stop = end.wrapping_add(toward(start, end));
    let texts: Vec<String> = numbers("seq", start, stop, step)?.iter().map(i64::to_string).collect();
    Ok(texts.join(" ").into())
}

fn integers(numbers: Vec<i64>) -> Value {
    List::typed(Type::INTS, numbers.into_iter().map(Value::Int).collect()).into()
}

fn numbers(what: &str, start: i64, stop: i64, step: i64) -> Result<Vec<i64>> {
    let toward = if stop < start { step < 0 } else { step > 0 };
    if !toward {
        return Ok(Vec::new());
    }
    let count = (i128::from(stop) - i128::from(start)).unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    if count > MOST_ITEMS as u128 {
        return Err(Failure::new(format!(
            "{what} would make {count} numbers, more than the {MOST_ITEMS} that are allowed"
        )));
    }
    Ok((0..count as i64).map(|at| start.wrapping_add(at.wrapping_mul(step))).collect())
}
