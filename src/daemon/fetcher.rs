//! Fetches one source whenever a trigger says so, and tells its follower.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::follower::Message;
use crate::reconcile::Trigger;
use crate::report::metrics::Metrics;
use crate::source::{Fetched, Source};

/// Brings the commits of one source.
pub struct Fetcher {
    name: String,
    source: Arc<Mutex<Source>>,
    triggers: mpsc::UnboundedReceiver<Trigger>,
    metrics: Arc<Metrics>,
}

impl Fetcher {
    /// A fetcher that fetches once at the start, and then at each trigger.
    pub fn new(name: &str, source: Source, triggers: mpsc::UnboundedReceiver<Trigger>, metrics: Arc<Metrics>) -> Self {
        Fetcher { name: name.to_owned(), source: Arc::new(Mutex::new(source)), triggers, metrics }
    }

    /// Fetches until `stop`.
    pub async fn run(mut self, follower: mpsc::UnboundedSender<Message>, stop: CancellationToken) {
        self.start_from_cache(&follower).await;
        let mut trigger = Trigger::Start;
        loop {
            let message = self.fetch(trigger).await;
            if follower.send(message).is_err() {
                return;
            }
            trigger = tokio::select! {
                () = stop.cancelled() => return,
                trigger = self.triggers.recv() => match trigger {
                    Some(trigger) => trigger,
                    None => return stop.cancelled().await,
                },
            };
            // Several calls for a fetch are one fetch.
            while self.triggers.try_recv().is_ok() {}
        }
    }

    /// The last good commit is wanted even while the server is away.
    async fn start_from_cache(&self, follower: &mpsc::UnboundedSender<Message>) {
        let source = self.source.clone();
        let cached = tokio::task::spawn_blocking(move || {
            let mut source = source.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            source.cached()
        });
        if let Ok(Ok(Some(checkout))) = cached.await {
            // The follower has ended: the program stops.
            let _ = follower.send(Message::Cached(Box::new(checkout)));
        }
    }

    async fn fetch(&self, trigger: Trigger) -> Message {
        let source = self.source.clone();
        let started = Instant::now();
        let fetched = tokio::task::spawn_blocking(move || {
            let mut source = source.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            source.fetch()
        });
        let fetched = fetched.await;
        self.metrics.fetched(&self.name, matches!(fetched, Ok(Ok(_))), started.elapsed());
        match fetched {
            Ok(Ok(Fetched::Moved(checkout, history))) => Message::Fetched(Box::new(checkout), history, trigger),
            Ok(Ok(Fetched::Unchanged)) => Message::Unchanged,
            Ok(Err(error)) => {
                let hint = error.hint().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
                Message::FetchFailed(format!("{error}{hint}"))
            }
            Err(panic) => {
                error!(source = self.name, %panic, "the fetch panicked");
                Message::FetchFailed("the fetch panicked: this is a defect of bowline".to_owned())
            }
        }
    }
}
