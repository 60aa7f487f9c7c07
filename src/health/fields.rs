//! Reads fields of objects that may be cut down or ill-typed: an absent or foreign value is `None`, never an error.

use serde_json::Value;

use crate::object::Object;

/// What a condition says of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

/// One entry of `status.conditions`, or of a list of the same shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: Truth,
    /// The status as written, with booleans as `True` and `False`.
    pub(super) said: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    pub(super) since: &'a str,
    pub(super) generation: Option<i64>,
}

impl<'a> Condition<'a> {
    /// Reads one entry; `None` when it has no type.
    pub(super) fn read(entry: &'a Value) -> Option<Self> {
        let kind = Some(text(entry, "/type")).filter(|kind| !kind.is_empty())?;
        let since = match text(entry, "/lastTransitionTime") {
            "" => text(entry, "/lastUpdateTime"),
            since => since,
        };
        let status = entry.get("status").map_or(Truth::Unknown, truth);
        let said = match status {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => Some(text(entry, "/status")).filter(|text| !text.is_empty()).unwrap_or("Unknown"),
        };
        Some(Condition {
            kind,
            status,
            said,
            reason: text(entry, "/reason"),
            message: text(entry, "/message").trim(),
            since,
            generation: entry.get("observedGeneration").and_then(number),
        })
    }

    pub(super) fn is(&self, kind: &str, status: Truth) -> bool {
        self.kind == kind && self.status == status
    }

    /// The message, else the reason, else `Type is False`: something to show in any case.
    pub(super) fn words(&self) -> String {
        if !self.message.is_empty() {
            self.message.to_owned()
        } else if !self.reason.is_empty() {
            format!("{}: {}", self.kind, self.reason)
        } else {
            format!("{} is {:?}", self.kind, self.status)
        }
    }
}

fn truth(value: &Value) -> Truth {
    match value {
        Value::Bool(true) => Truth::True,
        Value::Bool(false) => Truth::False,
        Value::String(text) if text.eq_ignore_ascii_case("true") => Truth::True,
        Value::String(text) if text.eq_ignore_ascii_case("false") => Truth::False,
        _ => Truth::Unknown,
    }
}

/// The entries of a list of conditions; anything else is no condition.
pub(super) fn conditions_of(list: Option<&Value>) -> impl Iterator<Item = Condition<'_>> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Condition::read)
}

/// The entries of `status.conditions`.
pub(super) fn conditions(object: &Object) -> impl Iterator<Item = Condition<'_>> {
    conditions_of(object.value().pointer("/status/conditions"))
}

/// The first condition of a type.
pub(super) fn condition<'a>(object: &'a Object, kind: &str) -> Option<Condition<'a>> {
    conditions(object).find(|condition| condition.kind == kind)
}

/// A whole number, also one written as a text of digits.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The number at a JSON pointer.
pub(super) fn integer(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(number)
}

/// The number at a JSON pointer; controllers leave a count of zero out.
pub(super) fn count(object: &Object, pointer: &str) -> i64 {
    integer(object.value(), pointer).unwrap_or(0)
}

/// The text at a JSON pointer, empty when there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the field at a JSON pointer is `true`, also as a text.
pub(super) fn flag(object: &Object, pointer: &str) -> bool {
    object.value().pointer(pointer).is_some_and(|value| truth(value) == Truth::True)
}

/// The list at a JSON pointer, empty when there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether a controller has written anything below `status`.
pub(super) fn has_status(object: &Object) -> bool {
    match object.value().get("status") {
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(entries)) => !entries.is_empty(),
        _ => false,
    }
}

/// Says so when the controller has not yet looked at this generation of the object.
pub(super) fn behind(object: &Object) -> Option<String> {
    let generation = integer(object.value(), "/metadata/generation")?;
    let observed = integer(object.value(), "/status/observedGeneration")?;
    (observed < generation)
        .then(|| format!("generation {generation} is not observed yet, the status is of generation {observed}"))
}

/// Says so when a controller that always writes `observedGeneration` has not written it.
pub(super) fn unobserved(object: &Object) -> Option<String> {
    if !has_status(object) {
        return Some("no status yet".to_owned());
    }
    let generation = integer(object.value(), "/metadata/generation").filter(|generation| *generation > 0)?;
    integer(object.value(), "/status/observedGeneration")
        .is_none()
        .then(|| format!("generation {generation} is not observed yet"))
}
