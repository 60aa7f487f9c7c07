//! Judges claims and volumes.

use super::fields::{Truth, conditions, text};
use super::{Health, Status, degraded, healthy, progressing};
use crate::object::Object;

pub(super) fn claim(object: &Object) -> Health {
    match text(object.value(), "/status/phase") {
        "Bound" => {
            let failed = conditions(object)
                .find(|condition| condition.kind.ends_with("ResizeError") && condition.status == Truth::True);
            match failed {
                Some(failed) => degraded(failed.words()),
                None => {
                    healthy(format!("bound to {}", text(object.value(), "/spec/volumeName")).trim_end_matches(" to "))
                }
            }
        }
        "Lost" => match text(object.value(), "/spec/volumeName") {
            "" => degraded("the volume is lost"),
            volume => degraded(format!("the volume {volume} is lost")),
        },
        "Pending" => progressing("waits for a volume"),
        "" => progressing("no status yet"),
        phase => Health::new(Status::Unknown, format!("phase {phase}")),
    }
}

pub(super) fn volume(object: &Object) -> Health {
    let message = text(object.value(), "/status/message");
    match text(object.value(), "/status/phase") {
        phase @ ("Available" | "Bound" | "Released") => healthy(phase.to_lowercase()),
        "Failed" => degraded(if message.is_empty() { "the volume has failed" } else { message }),
        "" | "Pending" => progressing("the volume is not available yet"),
        phase => Health::new(Status::Unknown, format!("phase {phase}")),
    }
}

pub(super) fn attachment(object: &Object) -> Health {
    for side in ["/status/attachError/message", "/status/detachError/message"] {
        let message = text(object.value(), side);
        if !message.is_empty() {
            return degraded(message);
        }
    }
    if super::fields::flag(object, "/status/attached") { healthy("attached") } else { progressing("not attached yet") }
}
