//! Hostile templates end with an error, in bounded time and memory.
