//! Runs for ever: follows sources and keeps the cluster in step.

pub mod telemetry;
