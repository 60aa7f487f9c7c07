//! Tells people and machines what happened: numbers for Prometheus.

pub mod metrics;
