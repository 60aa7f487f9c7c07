//! Calls for fetches: by the clock, and when a local repository or folder changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::config::{self, Config};
use crate::error::Error;
use crate::reconcile::Trigger;

/// Time between polls when the configuration says nothing.
const POLL: &str = "30s";
/// Changes of a local repository within this time are one.
const SETTLE: Duration = Duration::from_millis(100);

/// Starts the triggers of every source; they end with `stop`.
///
/// # Errors
/// A length of time or a schedule that cannot be read.
pub fn start(config: &Config, kicks: &BTreeMap<String, UnboundedSender<Trigger>>, stop: &CancellationToken) -> Result<(), Error> {
    for source in &config.sources {
        let Some(kick) = kicks.get(&source.name) else { continue };
        let every = config::duration(source.poll.as_deref().unwrap_or(POLL))?;
        tokio::spawn(poll(every.max(Duration::from_millis(100)), kick.clone(), stop.clone()));
        if let Some(folder) = local(&source.url) {
            watch(&source.name, folder, kick.clone(), stop.clone());
        }
    }
    Ok(())
}

/// Calls again and again, each time up to a tenth later, so that many daemons do not ask one server together.
async fn poll(every: Duration, kick: UnboundedSender<Trigger>, stop: CancellationToken) {
    loop {
        let pause = every.mul_f64(1.0 + rand::random_range(0.0..0.1));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {},
        }
        if kick.send(Trigger::Poll).is_err() {
            return;
        }
    }
}

/// The folder of a source that lies on this machine.
fn local(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    (!path.contains("://") && Path::new(path).is_dir()).then(|| PathBuf::from(path))
}

/// Watches a folder. A watch that cannot be had is only slower: the poll stays.
fn watch(source: &str, folder: PathBuf, kick: UnboundedSender<Trigger>, stop: CancellationToken) {
    let told = move |result: DebounceEventResult| {
        let reads_only = |events: &[notify_debouncer_full::DebouncedEvent]| {
            events.iter().all(|event| matches!(event.kind, EventKind::Access(_)))
        };
        if result.is_ok_and(|events| !reads_only(&events)) {
            // The fetcher has ended: the program stops.
            let _ = kick.send(Trigger::File);
        }
    };
    let watching = new_debouncer(SETTLE, None, told).and_then(|mut debouncer| {
        debouncer.watch(&folder, RecursiveMode::Recursive)?;
        Ok(debouncer)
    });
    match watching {
        Ok(debouncer) => drop(tokio::spawn(async move {
            stop.cancelled().await;
            drop(debouncer);
        })),
        Err(error) => warn!(source, %error, "the folder cannot be watched; polls go on"),
    }
}
