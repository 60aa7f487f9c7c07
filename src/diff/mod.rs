//! Compares what is wanted with what is there. Pure: no request is made here.
//!
//! ```text
//! unit + last revision + observations  ->  Changes: every object with an action
//! Seen + Entry                         ->  has an owned field been touched? (rule L1)
//! live + result of a dry run           ->  fields that differ, unified text, Secrets masked
//! ```
//! Start at [`diff`]; `plan` prints its result and `apply` carries it out, so both see the same.

pub mod change;
pub mod commit;
pub mod compare;
pub mod entry;
pub mod fields;
pub mod marks;
pub mod mask;
pub mod text;

pub use change::{Action, Change, Changes, FieldConflict, Observation, Observed, diff};
pub use entry::{Digest, Entry, Seen, State, Verdict};
