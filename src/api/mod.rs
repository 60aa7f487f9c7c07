//! Serves HTTP: is the daemon alive and ready, and its numbers.

pub mod router;
