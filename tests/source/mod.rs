//! Sources against the real thing: `git`, `git http-backend`, `sshd`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod follow;
mod http;
mod local;
mod schedule;
mod ssh;
mod tree;

use std::path::Path;

use bowline::net::Timeouts;
use bowline::source::{Checkout, Config, Error, Fetched, History, Limits, Reference, Source};

/// A configuration with limits that a test can reach.
fn config(url: &str, reference: Reference) -> Config {
    let mut config = Config::new("main", url);
    config.reference = reference;
    config.timeouts = Timeouts { silence: std::time::Duration::from_secs(30), ..Timeouts::standard() };
    config.limits = Limits { file_bytes: 1 << 20, ..Limits::standard() };
    config
}

fn main_branch() -> Reference {
    Reference::Branch("main".to_owned())
}

fn open(config: Config, cache: &Path) -> Source {
    Source::open(config, cache).unwrap()
}

#[track_caller]
fn moved(fetched: Result<Fetched, Error>) -> (Checkout, History) {
    match fetched.unwrap() {
        Fetched::Moved(checkout, history) => (checkout, history),
        Fetched::Unchanged => panic!("nothing moved"),
    }
}

#[track_caller]
fn unchanged(fetched: Result<Fetched, Error>) {
    assert!(matches!(fetched.unwrap(), Fetched::Unchanged));
}

fn paths(checkout: &Checkout) -> Vec<&str> {
    checkout.files().map(|(path, _)| path).collect()
}

fn text(checkout: &Checkout, path: &str) -> String {
    String::from_utf8(checkout.read(path).unwrap()).unwrap()
}

/// Text that no pack makes small.
fn noise(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 94) as u8)
    };
    (0..length).map(|_| next()).collect()
}
