//! Tells people and machines what happened: Kubernetes Events, and numbers for Prometheus.

pub mod events;
pub mod metrics;
