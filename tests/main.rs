//! The one integration test binary: each module is listed here.
mod charts;
mod examples;
mod health;
mod load;
mod repository_page;
mod semver;
mod set;
mod yaml;

mod source;
mod template;
mod webhook;

mod architecture;
mod common;
mod control_plane;
mod converge;
mod deploy;
mod eval;
mod kustomize;
mod references;
mod serving;
