//! Judges kinds nobody has written a rule for, by what controllers have agreed on: generations, conditions, words, counts.
//!
//! ```text
//! a condition is of an older generation   -> Progressing
//! suspended or paused, in spec or status  -> Suspended
//! a condition says that something is bad  -> Degraded       conditions at the top and in parents, ancestors, listeners
//! a condition says "not yet"              -> Progressing
//! words in *phase, *state, *health, ..    -> the worst one
//! fewer replicas than asked for           -> Progressing
//! a condition says "ready", nothing bad   -> Healthy
//! nothing of all this                     -> no health known
//! ```

use serde_json::Value;

use super::fields::{Condition, Truth, conditions_of, flag, has_status, integer, list, text};
use super::{Health, Status, degraded, healthy, progressing, suspended};
use crate::object::Object;

/// Judges by conventions only; an object without a status is Progressing if its kind is known to get one.
pub(super) fn check(object: &Object, gets_status: bool) -> Health {
    if suspended_by_spec(object) {
        return suspended("suspended by its spec");
    }
    if !has_status(object) {
        return if gets_status { progressing("no status yet") } else { Health::not_known() };
    }
    if let Some(message) = summary_older(object) {
        return progressing(message);
    }
    let conditions = all_conditions(object);
    let paused = |condition: &&Condition<'_>| {
        matches!(condition.kind, "Suspended" | "Paused" | "Hibernated") && condition.status == Truth::True
    };
    if let Some(paused) = conditions.iter().find(paused) {
        return suspended(paused.words());
    }
    let empty = object.value().pointer("/status/conditions").and_then(Value::as_array).is_some_and(Vec::is_empty);
    match judge(object, &conditions) {
        health if health.status == Status::Unknown && health.ready && empty && gets_status => {
            progressing("no condition yet")
        }
        health => health,
    }
}

fn judge(object: &Object, conditions: &[Condition<'_>]) -> Health {
    let signs = || conditions.iter().filter_map(|condition| Some((sign(condition)?, condition)));
    let first = |wanted: Sign| signs().find(|(sign, _)| *sign == wanted).map(|(_, condition)| condition);
    if let Some(bad) = first(Sign::Bad) {
        return degraded(bad.words());
    }
    if let Some(waits) = first(Sign::NotYet) {
        return progressing(waits.words());
    }
    if let Some(message) = older_condition(object, conditions, |_| true) {
        return progressing(message);
    }
    let top = first(Sign::Top);
    let busy = conditions.iter().find(|condition| condition.is("Progressing", Truth::True));
    if let (None, Some(busy)) = (top, busy) {
        return progressing(busy.words());
    }
    if let (None, Some(error)) = (top, error_message(object)) {
        return degraded(error);
    }
    let word = words(object);
    if let Some((status, words)) = word.as_ref().filter(|(status, _)| top.is_none() && *status != Status::Healthy) {
        return Health::new(*status, words.clone());
    }
    let counted = counts(object);
    if let Some(Err(message)) = counted {
        return progressing(message);
    }
    match (top.or_else(|| first(Sign::Good)), word, counted) {
        (Some(good), _, _) => healthy(good.words()),
        (None, Some((_, words)), _) => healthy(words),
        (None, None, Some(Ok(message))) => healthy(message),
        _ => Health::not_known(),
    }
}

fn suspended_by_spec(object: &Object) -> bool {
    ["/spec/suspend", "/spec/suspended", "/spec/paused", "/spec/pause"].iter().any(|pointer| flag(object, pointer))
}

/// The error that some controllers keep in a field of their status instead of a condition.
fn error_message(object: &Object) -> Option<String> {
    ["/status/error", "/status/error/message", "/status/errorMessage", "/status/failureMessage", "/status/errMsg"]
        .into_iter()
        .map(|pointer| text(object.value(), pointer))
        .find(|message| !message.is_empty())
        .map(str::to_owned)
}

/// Conditions of the object, and of the parts that Gateway API kinds and their like list.
fn all_conditions(object: &Object) -> Vec<Condition<'_>> {
    let top = conditions_of(object.value().pointer("/status/conditions"));
    let parts = ["/status/parents", "/status/ancestors", "/status/listeners", "/status/ingress"]
        .into_iter()
        .flat_map(|pointer| list(object.value(), pointer))
        .flat_map(|part| conditions_of(part.get("conditions")));
    top.chain(parts).collect()
}

/// Says so when a condition of a known type is of an older generation.
pub(super) fn older(object: &Object) -> Option<String> {
    older_condition(object, &all_conditions(object), |_| true)
}

/// Says so when the condition that sums the object up is of an older generation.
pub(super) fn summary_older(object: &Object) -> Option<String> {
    older_condition(object, &all_conditions(object), |condition| TOP.contains(&condition.kind))
}

fn older_condition(
    object: &Object,
    conditions: &[Condition<'_>],
    counts: impl Fn(&Condition<'_>) -> bool,
) -> Option<String> {
    let generation = integer(object.value(), "/metadata/generation")?;
    let older = |condition: &&Condition<'_>| {
        condition.generation.is_some_and(|observed| observed < generation)
            && sign(condition).is_some()
            && counts(condition)
    };
    let condition = conditions.iter().find(older)?;
    Some(format!("condition {} is not of generation {generation} yet", condition.kind))
}

/// What a condition of a known type says about its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// The one condition that sums all up is true.
    Top,
    /// One of several good things is true.
    Good,
    /// Something good is not true yet.
    NotYet,
    /// Something is wrong.
    Bad,
}

/// Reads a condition by its type; `None` for types of which nothing is known, and for "nothing bad".
fn sign(condition: &Condition<'_>) -> Option<Sign> {
    let kind = condition.kind;
    if kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded" {
        return Some(Sign::Bad);
    }
    // Operators made with Ansible say Running for a reconciliation that goes on.
    if kind.starts_with("Partially") || (kind == "Running" && condition.reason == "Running") {
        return (condition.status == Truth::True).then_some(Sign::NotYet);
    }
    let negative = ["Not", "Invalid", "Failed"].iter().any(|start| kind.starts_with(start));
    if negative || ends_with_any(kind, &NEGATIVE) || kind == "Warning" || kind == "Stalled" {
        return (condition.status == Truth::True).then_some(Sign::Bad);
    }
    if ends_with_any(kind, &BUSY) {
        return (condition.status == Truth::True).then_some(Sign::NotYet);
    }
    if !ends_with_any(kind, &POSITIVE) {
        return None;
    }
    Some(match condition.status {
        Truth::True if TOP.contains(&kind) => Sign::Top,
        Truth::True => Sign::Good,
        Truth::Unknown => Sign::NotYet,
        Truth::False if tells_failure(condition.reason) || tells_failure(condition.message) => Sign::Bad,
        Truth::False => Sign::NotYet,
    })
}

fn ends_with_any(kind: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| kind.ends_with(ending))
}

/// Types that sum an object up.
const TOP: [&str; 7] = ["Ready", "Available", "Healthy", "Succeeded", "Complete", "Completed", "AllReady"];

/// Endings of types that are good when true.
const POSITIVE: [&str; 34] = [
    "Ready",
    "Available",
    "Healthy",
    "Synced",
    "Synchronized",
    "Succeeded",
    "Successful",
    "Complete",
    "Completed",
    "Deployed",
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "Established",
    "Installed",
    "Reconciled",
    "Valid",
    "Validated",
    "Bound",
    "Provisioned",
    "Initialized",
    "Running",
    "Active",
    "Applied",
    "Created",
    "Configured",
    "Connected",
    "Scheduled",
    "Registered",
    "Admitted",
    "Attached",
    "Resolved",
    "Compliant",
    "Success",
];

/// Endings of types that are bad when true.
const NEGATIVE: [&str; 18] = [
    "Failed",
    "Failure",
    "Failing",
    "Error",
    "Errors",
    "Errored",
    "Invalid",
    "Degraded",
    "Unhealthy",
    "Conflict",
    "Conflicted",
    "Rejected",
    "NotReady",
    "Unavailable",
    "NotFound",
    "Exceeded",
    "Blocked",
    "Missing",
];

/// Endings of types that say that work goes on.
const BUSY: [&str; 11] = [
    "Reconciling",
    "InProgress",
    "Creating",
    "Updating",
    "Upgrading",
    "Initializing",
    "Deploying",
    "Provisioning",
    "Pending",
    "Deleting",
    "Terminating",
];

/// Words of reasons and messages that tell a failure from a "not yet".
fn tells_failure(text: &str) -> bool {
    const WORDS: [&str; 30] = [
        "fail",
        "error",
        "invalid",
        "denied",
        "not found",
        "notfound",
        "missing",
        "conflict",
        "refused",
        "back-off",
        "backoff",
        "exceeded",
        "rejected",
        "forbidden",
        "unauthorized",
        "cannot",
        "can't",
        "unable",
        "timed out",
        "timeout",
        "degraded",
        "does not exist",
        "doesn't exist",
        "crash",
        "unhealthy",
        "unsupported",
        "not allowed",
        "notallowed",
        "no such",
        "misconfigur",
    ];
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

/// The worst word in the fields of `status` that hold one by their name.
fn words(object: &Object) -> Option<(Status, String)> {
    let mut found = Vec::new();
    collect_words(object.value().get("status")?, "status", 0, &mut found);
    found.into_iter().max_by_key(|(status, _)| *status)
}

fn collect_words(value: &Value, path: &str, depth: usize, found: &mut Vec<(Status, String)>) {
    let Some(fields) = value.as_object().filter(|_| depth < 3) else { return };
    for (name, field) in fields {
        let lower = name.to_lowercase();
        if let Some(word) = field.as_str() {
            let named = ["phase", "state", "health", "status", "compliant", "compliance"]
                .iter()
                .any(|ending| lower.ends_with(ending));
            if let Some(status) = word_status(word).filter(|_| named) {
                found.push((status, format!("{path}.{name} is {word}")));
            }
        } else if let Some(truth) =
            field.as_bool().filter(|_| matches!(lower.as_str(), "ready" | "healthy" | "readytouse"))
        {
            let status = if truth { Status::Healthy } else { Status::Progressing };
            found.push((status, format!("{path}.{name} is {truth}")));
        } else {
            collect_words(field, &format!("{path}.{name}"), depth + 1, found);
        }
    }
}

/// What a word means in a field that holds a state.
fn word_status(word: &str) -> Option<Status> {
    let word: String = word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let bad = ["failed", "failure", "error", "errored"];
    if bad.iter().any(|end| word.ends_with(end)) || word.starts_with("failed") || word.starts_with("error") {
        return Some(Status::Degraded);
    }
    Some(match word.as_str() {
        "ready" | "healthy" | "running" | "active" | "available" | "succeeded" | "success" | "successful"
        | "complete" | "completed" | "bound" | "deployed" | "established" | "ok" | "healthok" | "green" | "online"
        | "connected" | "synced" | "insync" | "up" | "provisioned" | "installed" | "reconciled" | "applied"
        | "valid" | "accepted" | "normal" | "finished" | "done" | "stable" | "published" | "compliant" | "created"
        | "atlatestknown" | "passed" | "attached" | "issued" | "configured" | "exists" | "operational" => {
            Status::Healthy
        }
        "pending" | "creating" | "updating" | "progressing" | "provisioning" | "initializing" | "initialising"
        | "init" | "initialized" | "installing" | "upgrading" | "deploying" | "reconciling" | "waiting"
        | "starting" | "inprogress" | "processing" | "scaling" | "scalingup" | "scalingdown" | "configuring"
        | "modifying" | "restarting" | "rebooting" | "deleting" | "terminating" | "stopping" | "yellow"
        | "submitted" | "queued" | "scheduled" | "bootstrapping" | "notready" | "unready" | "restoring"
        | "migrating" | "joining" | "syncing" | "outofsync" | "new" | "building" | "applying" | "applyingchanges"
        | "backingup" | "uninstalling" | "recovering" | "resizing" | "none" | "uninitialized" | "promoting"
        | "finalising" | "finalizing" | "validating" => Status::Progressing,
        "suspended" | "paused" | "stopped" | "hibernated" | "hibernating" => Status::Suspended,
        "degraded" | "unhealthy" | "invalid" | "lost" | "crashloopbackoff" | "red" | "down" | "unavailable"
        | "rejected" | "denied" | "missing" | "stalled" | "offline" | "broken" | "conflict" | "notfound"
        | "timeout" | "expired" | "aborted" | "evicted" | "healtherr" | "healthwarn" | "noncompliant" | "stuck"
        | "deadletter" | "incompatible" | "disconnected" | "corrupted" | "faulted" | "canceled" | "cancelled" => {
            Status::Degraded
        }
        _ => return None,
    })
}

/// Compares counts of replicas with what the spec asks for; `None` when there are none.
fn counts(object: &Object) -> Option<Result<String, String>> {
    let wanted = integer(object.value(), "/spec/replicas")?;
    let mut known = None;
    for (pointer, word) in [
        ("/status/updatedReplicas", "updated"),
        ("/status/readyReplicas", "ready"),
        ("/status/availableReplicas", "available"),
    ] {
        let Some(count) = integer(object.value(), pointer) else { continue };
        let message = format!("{count} of {wanted} replicas are {word}");
        if count < wanted {
            return Some(Err(message));
        }
        known = Some(Ok(message));
    }
    known
}
