//! Judges Jobs and CronJobs: a Job is there to end, a CronJob to wait.

use super::fields::{Truth, conditions, count, flag, integer, list, text};
use super::{Health, degraded, healthy, progressing, suspended};
use crate::object::Object;

pub(super) fn job(object: &Object) -> Health {
    let found = |kind: &str| conditions(object).find(|condition| condition.is(kind, Truth::True));
    if let Some(failed) = found("Failed") {
        return degraded(failed.words());
    }
    if found("Complete").is_some() {
        return healthy(format!("{} pods succeeded", count(object, "/status/succeeded")));
    }
    if let Some(failing) = found("FailureTarget") {
        return progressing(format!("failing: {}", failing.words()));
    }
    if found("Suspended").is_some() || flag(object, "/spec/suspend") {
        return suspended("the job is suspended");
    }
    if text(object.value(), "/status/startTime").is_empty() {
        return progressing("the job has not started");
    }
    progressing(progress(object))
}

/// "1 of 3 succeeded, 2 active, 1 failed"
pub(super) fn progress(object: &Object) -> String {
    let wanted = integer(object.value(), "/spec/completions")
        .or_else(|| integer(object.value(), "/spec/parallelism"))
        .unwrap_or(1);
    let (succeeded, active) = (count(object, "/status/succeeded"), count(object, "/status/active"));
    let failed = match count(object, "/status/failed") {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    format!("{succeeded} of {wanted} succeeded, {active} active{failed}")
}

/// A failed run shows in its Job; the CronJob itself does what it is there for.
pub(super) fn cron_job(object: &Object) -> Health {
    if flag(object, "/spec/suspend") {
        return suspended("the schedule is suspended");
    }
    let (scheduled, succeeded) =
        (text(object.value(), "/status/lastScheduleTime"), text(object.value(), "/status/lastSuccessfulTime"));
    let active = list(object.value(), "/status/active").len();
    healthy(match (scheduled, succeeded) {
        _ if active > 0 => format!("{active} jobs are running"),
        ("", _) => "not scheduled yet".to_owned(),
        (scheduled, "") => format!("scheduled at {scheduled}, no run has succeeded yet"),
        (scheduled, succeeded) if succeeded < scheduled => {
            format!("the run of {scheduled} has not succeeded; last success at {succeeded}")
        }
        (_, succeeded) => format!("last success at {succeeded}"),
    })
}
