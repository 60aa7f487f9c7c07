//! What the daemon answers over HTTP.

pub mod webhook;
