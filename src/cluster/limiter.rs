//! Bounds the requests under way, and asks for less when the server says so.
//!
//! ```text
//! 429  ->  half as many, once per round: what was under way at that moment does not halve again
//! as many successes as there are places  ->  one place more, up to the most
//! ```
//! The way of TCP: down at once, up slowly. Start at [`Limiter::permit`].

use std::sync::{Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Places for requests; those who wait are served in the order they came.
#[derive(Debug)]
pub struct Limiter {
    places: Semaphore,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests that may be under way.
    limit: usize,
    /// Places to be taken away as soon as they are given back.
    owed: usize,
    /// Successes since the limit last changed.
    successes: usize,
    /// Counts the halvings: tells what was sent before the last one.
    round: u64,
}

/// A place for one request; given back on drop.
#[derive(Debug)]
pub struct Permit<'a> {
    limiter: &'a Limiter,
    place: Option<SemaphorePermit<'a>>,
    round: u64,
}

impl Limiter {
    /// At most so many requests, and at least one.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State { limit: most, owed: 0, successes: 0, round: 0 };
        Limiter { places: Semaphore::new(most), most, state: Mutex::new(state) }
    }

    /// Waits for a place.
    pub async fn permit(&self) -> Permit<'_> {
        // The semaphore is never closed.
        let place = self.places.acquire().await.ok();
        Permit { limiter: self, place, round: self.state().round }
    }

    /// Requests that may be under way now.
    pub fn limit(&self) -> usize {
        self.state().limit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is whole: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The server answered with 429.
    pub fn throttled(self) {
        let mut state = self.limiter.state();
        if self.round != state.round {
            return;
        }
        let take = state.limit - (state.limit / 2).max(1);
        state.limit -= take;
        state.round += 1;
        state.successes = 0;
        state.owed += take - self.limiter.places.forget_permits(take);
    }

    /// The server answered as asked.
    pub fn succeeded(self) {
        let mut state = self.limiter.state();
        if self.round != state.round || state.limit == self.limiter.most {
            return;
        }
        state.successes += 1;
        if state.successes < state.limit {
            return;
        }
        state.limit += 1;
        state.successes = 0;
        match state.owed.checked_sub(1) {
            Some(owed) => state.owed = owed,
            None => self.limiter.places.add_permits(1),
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        if let (Some(owed), Some(place)) = (state.owed.checked_sub(1), self.place.take()) {
            state.owed = owed;
            place.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// Takes as many places as there are without waiting.
    fn fill(limiter: &Limiter) -> Vec<Permit<'_>> {
        std::iter::from_fn(|| limiter.permit().now_or_never()).collect()
    }

    #[test]
    fn a_storm_of_429_halves_once_per_round_and_never_below_one() {
        let limiter = Limiter::new(16);
        for expected in [8, 4, 2, 1, 1] {
            let round = fill(&limiter);
            round.into_iter().for_each(Permit::throttled);
            assert_eq!(limiter.limit(), expected);
        }
        assert_eq!(fill(&limiter).len(), 1);
    }

    #[test]
    fn the_limit_holds_from_the_first_429_on_although_more_are_under_way() {
        let limiter = Limiter::new(16);
        let mut under_way = fill(&limiter);
        under_way.pop().unwrap().throttled();
        for left in (8..15).rev() {
            under_way.pop();
            assert_eq!((under_way.len(), fill(&limiter).len()), (left, 0), "places that were taken away stay away");
        }
        under_way.pop();
        assert_eq!((under_way.len(), fill(&limiter).len()), (7, 1));
    }

    #[test]
    fn successes_bring_the_places_back_one_round_at_a_time() {
        let limiter = Limiter::new(4);
        fill(&limiter).pop().unwrap().throttled();
        assert_eq!(limiter.limit(), 2);
        let mut needed = Vec::new();
        while limiter.limit() < 4 {
            let before = limiter.limit();
            let mut successes = 0;
            while limiter.limit() == before {
                limiter.permit().now_or_never().unwrap().succeeded();
                successes += 1;
            }
            needed.push(successes);
        }
        assert_eq!(needed, [2, 3]);
        assert_eq!(fill(&limiter).len(), 4);
    }

    #[test]
    fn an_answer_from_before_the_last_429_changes_nothing() {
        let limiter = Limiter::new(8);
        let mut early = fill(&limiter);
        early.pop().unwrap().throttled();
        early.pop().unwrap().throttled();
        early.pop().unwrap().succeeded();
        assert_eq!(limiter.limit(), 4);
    }
}
