//! Refuses writes as soon as the lease that allows them may have passed to somebody else.
//!
//! ```text
//! renewal sent      may send until             lease ends
//!     |------------------|------------------------|
//!          writes go         none is begun,           what is still under way is cut off
//! ```
//! All times are counted by a clock that nobody sets, from the moment before the last successful renewal was *sent*: the
//! server and the other candidates can only count from later. Start at [`Fence::pass`].

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

/// Time since some moment in the past. It never goes back, is not moved by setting the date, and goes on while the
/// machine sleeps: a suspended leader wakes up knowing that its lease is over.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The machine's own.
    pub fn of_the_machine() -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        Clock::new(|| {
            let now = rustix::time::clock_gettime(SINCE_BOOT);
            let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
            Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
        })
    }

    /// Any other, for tests.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    /// What it shows.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Clock({:?})", self.now())
    }
}

/// The gate of all writes; closed until a lease is held.
#[derive(Debug)]
pub struct Fence {
    clock: Clock,
    term: Mutex<Option<Term>>,
    closed: Notify,
}

/// How long writes are allowed, and which number proves it to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Counts the changes of leader.
    pub token: i64,
    /// No write is begun from this moment of the clock on.
    pub may_send_until: Duration,
    /// No write is under way from this moment on.
    pub ends: Duration,
}

impl Fence {
    /// A closed gate.
    pub fn new(clock: Clock) -> Self {
        Fence { clock, term: Mutex::new(None), closed: Notify::new() }
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The lease was taken or renewed.
    pub fn open(&self, term: Term) {
        *self.term() = Some(term);
    }

    /// The lease was given up or lost.
    pub fn close(&self) {
        *self.term() = None;
        self.closed.notify_waiters();
    }

    /// The term in which a write may begin now; `None` when it may not.
    pub fn pass(&self) -> Option<Term> {
        self.term().filter(|term| self.clock.now() < term.may_send_until)
    }

    /// Comes back when what is under way must end. Renewals put it off.
    pub async fn over(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            let left = self.term().map_or(Duration::ZERO, |term| term.ends.saturating_sub(self.clock.now()));
            if left.is_zero() {
                return;
            }
            let _ = tokio::time::timeout(left, closed).await;
        }
    }

    fn term(&self) -> MutexGuard<'_, Option<Term>> {
        self.term.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt as _;

    use super::*;

    /// A fence and the hand of its clock, in seconds.
    fn fence() -> (Fence, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(100));
        let shown = hand.clone();
        (Fence::new(Clock::new(move || Duration::from_secs(shown.load(Ordering::Relaxed)))), hand)
    }

    fn term(from: u64) -> Term {
        Term { token: 7, may_send_until: Duration::from_secs(from + 10), ends: Duration::from_secs(from + 15) }
    }

    #[test]
    fn a_write_passes_only_until_the_deadline_of_the_last_renewal() {
        let (fence, hand) = fence();
        assert_eq!(fence.pass(), None, "nothing passes before a lease is held");
        fence.open(term(100));
        for (now, passes) in [(100, true), (109, true), (110, false), (200, false)] {
            hand.store(now, Ordering::Relaxed);
            assert_eq!(fence.pass().is_some(), passes, "at {now}");
        }
        fence.open(term(200));
        assert_eq!(fence.pass().map(|term| term.token), Some(7));
        fence.close();
        assert_eq!(fence.pass(), None);
    }

    #[test]
    fn the_clock_of_the_machine_is_not_the_date() {
        let clock = Clock::of_the_machine();
        let first = clock.now();
        // Since boot, not since 1970: setting the date does not move it.
        assert!(first < Duration::from_secs(20 * 365 * 86_400), "{first:?}");
        assert!(clock.now() >= first);
    }

    #[tokio::test]
    async fn what_is_under_way_ends_with_the_lease_and_a_renewal_puts_that_off() {
        let (fence, hand) = fence();
        fence.open(term(100));
        for (now, is_over) in [(100, false), (110, false), (114, false), (115, true)] {
            hand.store(now, Ordering::Relaxed);
            assert_eq!(fence.over().now_or_never().is_some(), is_over, "at {now}");
        }
        fence.open(term(110));
        assert_eq!(fence.over().now_or_never(), None);
        fence.close();
        assert_eq!(fence.over().now_or_never(), Some(()));
    }
}
