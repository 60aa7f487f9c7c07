//! The one integration test binary: each module is listed here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
mod charts;
mod examples;
mod health;
mod helm;
mod load;
mod repository_page;
mod semver;
mod set;
mod yaml;

mod fetch;
mod source;
mod template;
mod webhook;

mod architecture;
mod bad_input;
mod common;
mod conflicts;
mod control_plane;
mod converge;
mod deletion;
mod deploy;
mod drift;
mod eval;
mod faults;
mod kustomize;
mod owned;
mod references;
mod serving;
mod settle;
mod tenants;
mod watching;
