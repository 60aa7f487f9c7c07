//! Go's own template functions: comparison, logic, index, slice, len, printing, escaping.

use super::Function;

pub(super) static FUNCTIONS: &[Function] = &[];
