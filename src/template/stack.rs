//! Stacks that are deep enough, and a guard that stops before any stack ends.

use std::thread;

const LARGE: usize = 512 << 20;

/// Does the work on a thread of its own with a stack of 512 MiB, of which only what is touched costs memory.
///
/// # Panics
/// If the work panics.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("template".to_owned()).stack_size(LARGE).spawn_scoped(scope, work);
        let thread = thread.expect("a thread can be started");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
