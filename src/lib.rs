//! bowline: a GitOps reconciler for Kubernetes.
//!
//! A Git repository says what each namespace of a cluster holds. bowline reads it, renders the desired state per
//! namespace, compares it with the cluster, applies the difference, and records each revision so that any of them can be
//! brought back.
//!
//! ```text
//! source -> load -> render -> diff -> apply -> record -> report
//!  Git      our     objects   pure:   stages,  revision  events, metrics,
//!  commit   kinds   per unit  live    waits,   Secrets   commit status,
//!                             vs      prune             stream
//!                             wanted
//! ```
//!
//! Modules in reading order; imports go only to modules above (`tests/architecture.rs` checks it). `health` sees
//! `object` only. `cluster` is the only Kubernetes I/O.

pub mod error;
pub mod failpoint;
pub mod net;
pub mod object;
pub mod unit;
pub mod yaml;

pub mod health;

pub mod template;

pub mod chart;
pub mod kustomize;

pub mod fetch;
pub mod load;
pub mod source;

pub mod render;

pub mod diff;

pub mod cluster;

pub mod apply;
pub mod record;

pub mod report;

pub mod reconcile;

pub mod api;
pub mod cli;
pub mod daemon;
