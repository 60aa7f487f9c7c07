//! When what failed is tried again: later each time, up to ten minutes, and at once for a new commit.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::unit::UnitName;

/// The longest pause between two tries.
const AT_MOST: Duration = Duration::from_secs(600);

/// The units whose last try failed.
#[derive(Debug, Default)]
pub struct Retries(BTreeMap<UnitName, Retry>);

#[derive(Debug)]
struct Retry {
    delays: ExponentialBackoff,
    next: Instant,
}

impl Retries {
    /// Notes a failure, and when the next try is due.
    pub fn failed(&mut self, name: &UnitName) {
        let retry = self.0.entry(name.clone()).or_insert_with(|| Retry {
            delays: ExponentialBuilder::new()
                .with_min_delay(Duration::from_secs(1))
                .with_max_delay(AT_MOST)
                .without_max_times()
                .with_jitter()
                .build(),
            next: Instant::now(),
        });
        retry.next = Instant::now() + retry.delays.next().unwrap_or(AT_MOST);
    }

    /// Forgets one unit: it succeeded, or is no longer wanted.
    pub fn forget(&mut self, name: &UnitName) {
        self.0.remove(name);
    }

    /// Forgets all: something new came, which gets its chance at once.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a unit's last try failed.
    pub fn contains(&self, name: &UnitName) -> bool {
        self.0.contains_key(name)
    }

    /// When the next try of those units is due that are not `busy`.
    pub fn next(&self, busy: impl Fn(&UnitName) -> bool) -> Option<Instant> {
        self.0.iter().filter(|(name, _)| !busy(name)).map(|(_, retry)| retry.next).min()
    }

    /// The units whose next try is due.
    pub fn due(&self, now: Instant) -> Vec<UnitName> {
        self.0.iter().filter(|(_, retry)| retry.next <= now).map(|(name, _)| name.clone()).collect()
    }
}
