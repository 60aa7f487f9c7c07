//! What the daemon answers over HTTP: is it alive and ready, its numbers, and calls from forges.

pub mod router;
pub mod webhook;
