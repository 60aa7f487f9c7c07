//! The one integration test binary: each module is listed here.
mod health;
mod semver;
mod set;
mod yaml;

mod source;
mod template;

mod architecture;
mod common;
mod control_plane;
mod deploy;
mod kustomize;
