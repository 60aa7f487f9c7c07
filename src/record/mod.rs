//! Revisions: what a unit was at one commit, and at the same time the inventory of what it has in the cluster.
//!
//! ```text
//! before the first write   status planned, entries = old union new     nothing written is ever unknown
//! afterwards               status applied or failed, entries = what is there
//! ```
//! Start at [`store::Store`].

pub mod revision;
pub mod store;

pub use revision::{Commit, Result, Revision, Status};
pub use store::{Error, Store};
