//! What the daemon answers over HTTP: is it alive and ready, its numbers, and calls from forges.

pub mod router;
pub mod webhook;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::error::Error;
use router::{Shared, router};
use webhook::Hooks;

/// Answers probes, metrics and webhooks on the configured address until `stop`; without an address nothing is served.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(listen: &str, shared: Shared, hooks: Hooks, stop: CancellationToken) -> Result<(), Error> {
    if listen.is_empty() {
        return Ok(());
    }
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| Error::new(format!("cannot listen on {listen}")).because(error))?;
    tokio::spawn(async move {
        let served = axum::serve(listener, router(shared).merge(webhook::router(hooks)))
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        if let Err(error) = served {
            warn!(%error, "the server of probes and metrics ended");
        }
    });
    Ok(())
}
