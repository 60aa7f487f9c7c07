//! Go's own template functions: comparison, logic, index, slice, len, printing, escaping.

use super::Function;
use crate::template::error::Failure;
use crate::template::exec::State;
use crate::template::format;
use crate::template::strconv;
use crate::template::value::{Integer, List, Text, Type, Value};

const FAMILY: &str = "Go";

const fn function(
    name: &'static str,
    params: &'static [Type],
    variadic: Option<Type>,
    doc: &'static str,
    body: super::Body,
) -> Function {
    Function { name, params, variadic, family: FAMILY, doc, body }
}

const ONE: &[Type] = &[Type::Reflect];
const TWO: &[Type] = &[Type::Reflect, Type::Reflect];
const MORE: Option<Type> = Some(Type::Reflect);
const ANY: Option<Type> = Some(Type::Any);

/// The functions of Go.
pub static FUNCTIONS: &[Function] = &[
    function("and", ONE, MORE, "Gives the first empty argument, or the last one.", lazy),
    function("call", ONE, MORE, "Calls a function value; charts have none.", lazy),
    function("eq", ONE, MORE, "Whether the first argument equals any of the others.", |_, a| eq(a).map(Value::Bool)),
    function("ge", TWO, None, "Whether the first argument is greater or equal.", |_, a| Ok(Value::Bool(!lt(a)?))),
    function("gt", TWO, None, "Whether the first argument is greater.", |_, a| Ok(Value::Bool(!le(a)?))),
    function("html", &[], ANY, "Escapes for HTML.", |_, a| escaped(a, html)),
    function("index", ONE, MORE, "Gives the element of a map, list or string at the indexes.", |_, a| index(a)),
    function("js", &[], ANY, "Escapes for a JavaScript string.", |_, a| escaped(a, js)),
    function("le", TWO, None, "Whether the first argument is less or equal.", |_, a| Ok(Value::Bool(le(a)?))),
    function("len", ONE, None, "Gives the number of elements of a list or map, of bytes of a string.", |_, a| len(a)),
    function("lt", TWO, None, "Whether the first argument is less.", |_, a| Ok(Value::Bool(lt(a)?))),
    function("ne", TWO, None, "Whether the two arguments differ.", |_, a| Ok(Value::Bool(!eq(a)?))),
    function("not", ONE, None, "Whether the argument is empty.", |_, a| Ok(Value::Bool(!first(a).truth()))),
    function("or", ONE, MORE, "Gives the first argument that is not empty, or the last one.", lazy),
    function("print", &[], ANY, "Prints its arguments, with spaces between those that are no strings.", |_, a| {
        format::try_sprint(a).map(Value::from)
    }),
    function("printf", &[Type::String], ANY, "Prints by a format, as Go's fmt does.", |_, a| {
        format::try_sprintf(first(a).text(), a.get(1..).unwrap_or_default()).map(Value::from)
    }),
    function("println", &[], ANY, "Prints its arguments with spaces between them, and a newline.", |_, a| {
        format::try_sprintln(a).map(Value::from)
    }),
    function("slice", ONE, MORE, "Gives the part of a list or string between two indexes.", |_, a| slice(a)),
    function("urlquery", &[], ANY, "Escapes for the query of a URL.", |_, a| escaped(a, url_query)),
];

// The engine itself does `and`, `or` and `call`.
fn lazy(_: &mut State<'_>, arguments: &[Value]) -> Result<Value, Failure> {
    Ok(first(arguments))
}

fn first(arguments: &[Value]) -> Value {
    arguments.first().cloned().unwrap_or_default()
}

// ---- comparison ----

// Go's basicKind: what can be compared with what.
#[derive(Debug, Clone, PartialEq)]
enum Basic {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Text),
    Other,
}

fn basic(value: &Value) -> Basic {
    match &*value.underlying() {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number) | Value::Int64(number) => Basic::Int(*number),
        Value::Integer(Integer::Int32(number)) => Basic::Int(i64::from(*number)),
        Value::Integer(number) => Basic::Uint(number.as_i128() as u64),
        Value::Float(number) => Basic::Float(*number),
        Value::String(text) => Basic::Text(text.clone()),
        _ => Basic::Other,
    }
}

fn incompatible(one: &Value, other: &Value) -> Failure {
    Failure::new(format!("incompatible types for comparison: {} and {}", one.type_name(), other.type_name()))
}

fn eq(arguments: &[Value]) -> Result<bool, Failure> {
    let (one, others) = arguments.split_first().ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(one, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(one: &Value, other: &Value) -> Result<bool, Failure> {
    Ok(match (basic(one), basic(other)) {
        (Basic::Int(int), Basic::Uint(uint)) | (Basic::Uint(uint), Basic::Int(int)) => u64::try_from(int) == Ok(uint),
        (Basic::Other, Basic::Other) => return equal_others(one, other),
        (a, b) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => a == b,
        _ if matches!(one, Value::Nil) || matches!(other, Value::Nil) => false,
        _ => return Err(incompatible(one, other)),
    })
}

// Maps, lists, structs and nil.
fn equal_others(one: &Value, other: &Value) -> Result<bool, Failure> {
    let nils = (one.is_nil(), other.is_nil());
    let comparable = one.kind() == other.kind() || matches!(one, Value::Nil) || matches!(other, Value::Nil);
    if !comparable {
        let (kind, other_kind) = (one.type_name(), other.type_name());
        return Err(Failure::new(format!("non-comparable types {}: {kind}, {other_kind}: {other}", verb_s(one))));
    }
    if nils.0 || nils.1 {
        return Ok(nils.0 == nils.1);
    }
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => Ok(one.type_of() == other.type_of() && one.equals(&**other)),
        _ => Err(Failure::new(format!("non-comparable type {}: {}", verb_s(other), other.type_name()))),
    }
}

fn verb_s(value: &Value) -> String {
    String::from_utf8_lossy(&format::sprintf(b"%s", std::slice::from_ref(value))).into_owned()
}

fn lt(arguments: &[Value]) -> Result<bool, Failure> {
    let [one, other] = arguments else { return Err("missing argument for comparison".into()) };
    let (a, b) = (basic(one), basic(other));
    if a == Basic::Other || b == Basic::Other {
        return Err("invalid type for comparison".into());
    }
    Ok(match (a, b) {
        (Basic::Int(a), Basic::Int(b)) => a < b,
        (Basic::Uint(a), Basic::Uint(b)) => a < b,
        (Basic::Int(a), Basic::Uint(b)) => i128::from(a) < i128::from(b),
        (Basic::Uint(a), Basic::Int(b)) => i128::from(a) < i128::from(b),
        (Basic::Float(a), Basic::Float(b)) => a < b,
        (Basic::Text(a), Basic::Text(b)) => a < b,
        (Basic::Bool(_), Basic::Bool(_)) => return Err("invalid type for comparison".into()),
        _ => return Err(incompatible(one, other)),
    })
}

fn le(arguments: &[Value]) -> Result<bool, Failure> {
    Ok(lt(arguments)? || eq(arguments)?)
}

// ---- index, slice, len ----

fn index(arguments: &[Value]) -> Result<Value, Failure> {
    let mut item = first(arguments);
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    for at in arguments.iter().skip(1) {
        item = match &*item.underlying() {
            Value::Nil => return Err("index of nil pointer".into()),
            Value::List(list) => list.get(position(at, list.len())?).cloned().ok_or_else(|| out_of_bounds("slice"))?,
            Value::Bytes(text) => byte(text, position(at, text.len())?, "slice")?,
            Value::String(text) => byte(text, position(at, text.len())?, "string")?,
            Value::Map(map) => {
                let key = match &*at.underlying() {
                    Value::String(key) => key.clone(),
                    Value::Nil => return Err("value is nil; should be of type string".into()),
                    other => return Err(format!("value has type {}; should be string", other.type_name()).into()),
                };
                map.get(&key).unwrap_or_else(|| Value::zero(map.element()))
            }
            _ => return Err(format!("can't index item of type {}", item.type_name()).into()),
        };
    }
    Ok(item)
}

fn byte(text: &[u8], at: usize, what: &str) -> Result<Value, Failure> {
    let byte = text.get(at).ok_or_else(|| out_of_bounds(what))?;
    Ok(Value::Integer(Integer::Uint8(*byte)))
}

// Go checks an index against the length, both included, and then panics in reflect.
fn out_of_bounds(what: &str) -> Failure {
    Failure::new(format!("reflect: {what} index out of range"))
}

fn position(index: &Value, limit: usize) -> Result<usize, Failure> {
    if matches!(index, Value::Nil) {
        return Err("cannot index slice/array with nil".into());
    }
    let Some(number) = index.as_integer() else {
        return Err(format!("cannot index slice/array with type {}", index.type_name()).into());
    };
    // A huge unsigned index wraps around, as in Go.
    let number = number as i64;
    match usize::try_from(number) {
        Ok(position) if position <= limit => Ok(position),
        _ => Err(format!("index out of range: {number}").into()),
    }
}

fn slice(arguments: &[Value]) -> Result<Value, Failure> {
    let (item, indexes) = arguments.split_first().ok_or("slice of untyped nil")?;
    if matches!(item, Value::Nil) {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let whole = item;
    let item = whole.underlying();
    let length = match &*item {
        Value::String(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        _ => return Err(format!("can't slice item of type {}", whole.type_name()).into()),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length)?;
    }
    let [from, to, limit] = bounds;
    for (low, high) in [(from, to), (to, limit)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}").into());
        }
    }
    Ok(match &*item {
        Value::String(text) => Value::string(&text[from..to]),
        Value::Bytes(bytes) => Value::Bytes(bytes[from..to].into()),
        Value::List(list) => Value::List(List::typed(list.type_of(), list[from..to].to_vec())),
        _ => Value::Nil,
    })
}

fn len(arguments: &[Value]) -> Result<Value, Failure> {
    let item = first(arguments);
    let length = match &*item.underlying() {
        Value::Nil => return Err("len of nil pointer".into()),
        Value::String(text) | Value::Bytes(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return Err(format!("len of type {}", item.type_name()).into()),
    };
    Ok(Value::Int(length as i64))
}

// ---- escaping ----

fn escaped(arguments: &[Value], escape: fn(&[u8]) -> Vec<u8>) -> Result<Value, Failure> {
    if let [Value::String(text)] = arguments {
        return Ok(escape(text).into());
    }
    // A nil argument is no value here, though not for print.
    let arguments: Vec<Value> = arguments
        .iter()
        .map(|argument| if matches!(argument, Value::Nil) { Value::string("<no value>") } else { argument.clone() })
        .collect();
    Ok(escape(&format::try_sprint(&arguments)?).into())
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(*byte),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(byte) = rest.first().copied() {
        let (character, width) = strconv::decode(rest);
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            b'\'' => out.extend_from_slice(br"\'"),
            b'"' => out.extend_from_slice(br#"\""#),
            b'<' | b'>' | b'&' | b'=' | 0..=0x1f => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
            0x80.. if !strconv::is_print(character) => {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(&rest[..width]),
        }
        rest = &rest[width..];
    }
    out
}

fn url_query(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}
