//! Calls for fetches: by the clock, and when a local repository or folder changes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::config::{self, Config};
use crate::error::Error;
use crate::reconcile::Trigger;
use crate::source::{self, Schedule, Timer, until_poll};

/// Time between polls when the configuration says nothing.
const POLL: &str = "30s";
/// Shortest time between polls.
const SHORTEST: Duration = Duration::from_millis(100);

/// Starts the clock of every source; it ends with `stop`.
///
/// # Errors
/// A length of time or a schedule that cannot be read.
pub fn start(
    config: &Config,
    kicks: &BTreeMap<String, UnboundedSender<Trigger>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    for source in &config.sources {
        let Some(kick) = kicks.get(&source.name) else { continue };
        match &source.schedule {
            Some(text) => {
                let zone = source.time_zone.as_deref().unwrap_or("UTC");
                let schedule = Schedule::parse(text, zone)
                    .map_err(|error| Error::new(format!("source `{}`", source.name)).because(error))?;
                tokio::spawn(by_schedule(Timer::new(schedule, Utc::now()), kick.clone(), stop.clone()));
            }
            None => {
                let every = config::duration(source.poll.as_deref().unwrap_or(POLL))?;
                tokio::spawn(poll(every.max(SHORTEST), kick.clone(), stop.clone()));
            }
        }
    }
    Ok(())
}

async fn poll(every: Duration, kick: UnboundedSender<Trigger>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(until_poll(every, rand::random())) => {},
        }
        if kick.send(Trigger::Poll).is_err() {
            return;
        }
    }
}

async fn by_schedule(mut timer: Timer, kick: UnboundedSender<Trigger>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(timer.wait(Utc::now())) => {},
        }
        if timer.is_due(Utc::now()) && kick.send(Trigger::Cron).is_err() {
            return;
        }
    }
}

/// Calls for a fetch whenever a source on this machine changes. A watch that cannot be had is only slower: polls stay.
pub fn watch(config: &source::Config, kick: UnboundedSender<Trigger>, stop: CancellationToken) {
    // The fetcher has ended when nobody listens: the program stops.
    let changed = move || {
        let _ = kick.send(Trigger::File);
    };
    match source::watch(config, changed) {
        Ok(Some(watch)) => drop(tokio::spawn(async move {
            stop.cancelled().await;
            drop(watch);
        })),
        Ok(None) => {}
        Err(error) => warn!(source = config.name, %error, "the source cannot be watched; polls go on"),
    }
}
