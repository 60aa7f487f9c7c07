//! Counts what a run costs, and stops it at its limits.

use super::context::Limits;
use super::stack::Guard;

// How many steps go by between two questions whether the time is up.
const STRIDE: u64 = 256;

/// Counts steps and output of a run.
pub(super) struct Meter {
    limits: Limits,
    steps: u64,
    /// The stack that is left.
    pub(super) stack: Guard,
}

impl Meter {
    /// Starts at nothing.
    pub(super) fn new(limits: Limits) -> Self {
        Meter { limits, steps: 0, stack: Guard::here() }
    }

    /// Counts a step; an error says which limit is reached.
    #[inline]
    pub(super) fn step(&mut self, written: usize) -> Result<(), String> {
        self.steps += 1;
        if self.limits.steps.is_some_and(|limit| self.steps > limit) {
            return Err(format!("exceeded the limit of {} steps", self.limits.steps.unwrap_or(0)));
        }
        if self.limits.output.is_some_and(|limit| written > limit) {
            return Err(format!("exceeded the limit of {} bytes of output", self.limits.output.unwrap_or(0)));
        }
        Ok(())
    }

    /// Whether it is time to ask if the time is up.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.steps.is_multiple_of(STRIDE)
    }
}
