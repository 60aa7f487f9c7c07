//! Judges what extends the API server: CustomResourceDefinition and APIService.

use super::fields::{Truth, condition, conditions};
use super::{Health, degraded, healthy, progressing};
use crate::object::Object;

pub(super) fn definition(object: &Object) -> Health {
    let found = |kind: &str, status: Truth| conditions(object).find(|condition| condition.is(kind, status));
    if let Some(end) = found("Terminating", Truth::True) {
        return progressing(format!("the definition is being deleted: {}", end.words()));
    }
    if let Some(names) = found("NamesAccepted", Truth::False) {
        return degraded(names.words());
    }
    if let Some(schema) = found("NonStructuralSchema", Truth::True) {
        return degraded(schema.words());
    }
    match condition(object, "Established") {
        Some(state) if state.status == Truth::True => healthy("established"),
        Some(state) if state.status == Truth::False && state.reason != "Installing" => degraded(state.words()),
        Some(state) => progressing(state.words()),
        None => progressing("the definition is not established yet"),
    }
}

pub(super) fn api_service(object: &Object) -> Health {
    match condition(object, "Available") {
        Some(state) if state.status == Truth::True => healthy(state.words()),
        Some(state) => progressing(format!("{}: {}", state.reason, state.words())),
        None => progressing("the service has not been asked yet"),
    }
}
