//! Judges the HorizontalPodAutoscaler, whose conditions are an annotation in its oldest version.

use serde_json::Value;

use super::fields::{Condition, Truth, conditions_of, has_status};
use super::{Health, degraded, healthy, progressing};
use crate::object::Object;

/// Reasons with which the autoscaler says that it cannot do its work.
const FAILURES: [&str; 9] = [
    "FailedGetScale",
    "FailedUpdateScale",
    "FailedGetResourceMetric",
    "FailedGetContainerResourceMetric",
    "FailedGetObjectMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "FailedComputeMetricsReplicas",
    "InvalidSelector",
];

pub(super) fn autoscaler(object: &Object) -> Health {
    if !has_status(object) {
        return progressing("no status yet");
    }
    let annotation = object
        .annotation("autoscaling.alpha.kubernetes.io/conditions")
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    let own = conditions_of(object.value().pointer("/status/conditions"));
    let conditions: Vec<Condition<'_>> = own.chain(conditions_of(annotation.as_ref())).collect();
    if let Some(failed) = conditions.iter().find(|condition| FAILURES.contains(&condition.reason)) {
        return degraded(failed.words());
    }
    let works = conditions.iter().find(|condition| {
        matches!(condition.kind, "AbleToScale" | "ScalingLimited") && condition.status == Truth::True
    });
    works.map_or_else(|| progressing("waits for its first decision"), |state| healthy(state.words()))
}
