//! What the tests stand on.

pub(crate) mod bowline;
pub(crate) mod charts;
pub(crate) mod cluster;
pub(crate) mod files;
pub(crate) mod git;
pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod registry;
