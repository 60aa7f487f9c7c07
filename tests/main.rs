//! The one integration test binary: each module is listed here.
mod yaml;
mod semver;
mod set;
