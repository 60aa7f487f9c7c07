//! Stacks that are deep enough, and a guard that stops before any stack ends.

use std::cell::Cell;
use std::thread;

const LARGE: usize = 512 << 20;
// What the engine takes of a stack it knows nothing of; threads have 2 MiB at least.
const UNKNOWN: usize = 1 << 20;
// What functions called at the deepest point may still take.
const RESERVE: usize = 4 << 20;

thread_local! {
    static KNOWN: Cell<Option<Guard>> = const { Cell::new(None) };
}

/// Does the work on a thread of its own with a stack of 512 MiB, of which only what is touched costs memory.
///
/// # Panics
/// If the work panics.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let prepared = || {
        KNOWN.set(Some(Guard { base: address(), budget: LARGE - RESERVE }));
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("template".to_owned()).stack_size(LARGE).spawn_scoped(scope, prepared);
        let thread = thread.expect("a thread can be started");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Tells when the stack of the current thread comes to its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    base: usize,
    budget: usize,
}

impl Guard {
    /// A guard for what is called from here.
    pub(super) fn here() -> Self {
        KNOWN.get().unwrap_or_else(|| Guard { base: address(), budget: UNKNOWN })
    }

    /// Whether there is too little left to go deeper.
    #[inline]
    pub(super) fn is_low(&self) -> bool {
        self.base.abs_diff(address()) > self.budget
    }
}

// About where the stack is now: the address of a local variable.
#[inline(always)]
fn address() -> usize {
    let marker = 0_u8;
    std::hint::black_box(&raw const marker) as usize
}
