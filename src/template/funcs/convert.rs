//! The conversions that sprig's functions begin with: anything to text, number or list, with cast's leniency.

use std::borrow::Cow;
use std::cell::RefCell;

use super::Failure;
use crate::template::value::{Integer, Kind, List, MAX_NESTING, Text, Type, Value};
use crate::template::{format, strconv};

/// Items that a function makes of nothing but a number.
pub(super) const MOST_ITEMS: usize = 1_000_000;
/// Bytes that a function makes of less.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// What Go's runtime says of nil where a list or a map was needed.
pub(super) const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// The argument at a position, nil if it is not there.
pub(super) fn argument(arguments: &[Value], at: usize) -> &Value {
    arguments.get(at).unwrap_or(&Value::Nil)
}

/// The bytes of a string argument.
pub(super) fn bytes(arguments: &[Value], at: usize) -> &[u8] {
    argument(arguments, at).text()
}

/// A string argument as text, U+FFFD for what is not UTF-8.
pub(super) fn text(arguments: &[Value], at: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes(arguments, at))
}

/// An integer argument.
pub(super) fn integer(arguments: &[Value], at: usize) -> i64 {
    argument(arguments, at).integer()
}

/// sprig's `strval`: strings as they are, anything else as `%v`.
pub(super) fn to_text(value: &Value) -> Text {
    match value {
        Value::String(text) | Value::Bytes(text) => text.clone(),
        _ => format::sprint(std::slice::from_ref(value)).into(),
    }
}

/// cast's `ToInt64`: numbers cut off, numeric strings in any of Go's bases, anything else 0.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Bool(truth) => i64::from(*truth),
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Integer(number) => number.as_i128() as i64,
        Value::Float(number) => float_to_int64(*number),
        Value::String(text) => strconv::parse_int(without_zero_decimals(&text.to_str_lossy())).unwrap_or(0),
        Value::Object(object) => match object.type_of() {
            Type::Named(named) if ["time.Month", "time.Weekday"].contains(&named.name) => value.integer(),
            _ => 0,
        },
        _ => 0,
    }
}

/// Go's conversion on 64-bit machines: what does not fit is the least integer.
pub(super) fn float_to_int64(number: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    if fits { number as i64 } else { i64::MIN }
}

/// `12.00` is a whole number, `12.5` is none.
fn without_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// cast's `ToFloat64`.
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Integer(number) => number.as_i128() as f64,
        Value::Float(number) => *number,
        Value::String(text) => strconv::parse_float(&text.to_str_lossy()).unwrap_or(0.0),
        Value::Object(_) => to_int64(value) as f64,
        _ => 0.0,
    }
}

/// sprig's `empty`: nil, false, 0, and what has no items; structs never are.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.underlying().is_some_and(|value| is_empty(&value)),
        _ => !value.truth(),
    }
}

/// The items of a list, or why it is none, in the words of the function: `Cannot push on type string`.
pub(super) fn items<'v>(value: &'v Value, complaint: &str) -> Result<Cow<'v, [Value]>, Failure> {
    if matches!(value, Value::Nil) {
        return Err(Failure::new(NIL_POINTER));
    }
    any_items(value).ok_or_else(|| Failure::new(format!("{complaint} {}", value.kind().name())))
}

/// The items of a slice of any type.
pub(super) fn any_items(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::List(list) => Some(Cow::Borrowed(list)),
        Value::Bytes(bytes) => {
            Some(bytes.iter().map(|byte| Value::Integer(Integer::Uint8(*byte))).collect::<Vec<_>>().into())
        }
        Value::Object(object) if value.kind() == Kind::Slice => match object.underlying()? {
            Value::List(list) => Some(Cow::Owned(list.to_vec())),
            _ => None,
        },
        _ => None,
    }
}

/// sprig's `strslice`: the items as text without the nil ones; anything else is a list of one.
pub(super) fn to_texts(value: &Value) -> Vec<Text> {
    match any_items(value) {
        Some(items) => items.iter().filter(|item| !matches!(item, Value::Nil)).map(to_text).collect(),
        None if matches!(value, Value::Nil) => Vec::new(),
        None => vec![to_text(value)],
    }
}

/// A `[]interface {}` that may be nil.
pub(super) fn nil_list() -> Value {
    Value::List(List::nil(Type::LIST))
}

/// Go's `reflect.DeepEqual`: same type, same content; a nil list is not an empty one.
pub(super) fn deep_equal(one: &Value, two: &Value) -> bool {
    thread_local! {
        static DEPTH: RefCell<usize> = const { RefCell::new(0) };
    }
    let depth = DEPTH.with_borrow_mut(|depth| {
        *depth += 1;
        *depth
    });
    // Maps that hold themselves have no end; Go takes what it sees again for equal.
    let equal = depth > MAX_NESTING || same_value(one, two);
    DEPTH.with_borrow_mut(|depth| *depth -= 1);
    equal
}

fn same_value(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(one), Value::Bool(two)) => one == two,
        (Value::Int(one), Value::Int(two)) | (Value::Int64(one), Value::Int64(two)) => one == two,
        (Value::Integer(one), Value::Integer(two)) => one == two,
        (Value::Float(one), Value::Float(two)) => one == two,
        (Value::String(one), Value::String(two)) | (Value::Bytes(one), Value::Bytes(two)) => one == two,
        (Value::List(one), Value::List(two)) => {
            one.type_of() == two.type_of()
                && one.is_nil() == two.is_nil()
                && one.len() == two.len()
                && one.iter().zip(two.iter()).all(|(one, two)| deep_equal(one, two))
        }
        (Value::Map(one), Value::Map(two)) => {
            one.is_same(two)
                || one.type_of() == two.type_of()
                    && one.is_nil() == two.is_nil()
                    && one.len() == two.len()
                    && one
                        .borrow()
                        .iter()
                        .zip(two.borrow().iter())
                        .all(|((key, value), (other_key, other))| key == other_key && deep_equal(value, other))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.type_of() == two.type_of() && (std::rc::Rc::ptr_eq(one, two) || one.equals(&**two))
        }
        _ => false,
    }
}
