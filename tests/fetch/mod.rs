//! Charts from elsewhere: lists, repositories, registries; and what Helm makes of what we write.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod index;
