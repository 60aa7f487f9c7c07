//! Routes requests to answers; a value without a port, so that tests ask it directly.
//!
//! | path | answers |
//! |---|---|
//! | `/healthz` | 200 as long as the process serves |
//! | `/readyz` | 200 when every part of the daemon is ready, else 503 and a line for each part that is not; a stand-by is ready, and says who leads |
//! | `/metrics` | all numbers, as OpenMetrics text |
//!
//! Start at [`router`].

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::report::metrics::{self, Metrics};

/// Which parts of the daemon are ready; clones share one state.
///
/// A part that was named and has not reported yet is not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    parts: Arc<RwLock<BTreeMap<String, Option<String>>>>,
    role: Arc<RwLock<String>>,
}

impl Readiness {
    /// Waits for the parts that are named: `Readiness::of(["cluster", "sources"])`.
    pub fn of<const N: usize>(parts: [&str; N]) -> Self {
        let readiness = Readiness::default();
        for part in parts {
            readiness.waits(part, "has not started");
        }
        readiness
    }

    /// A part is ready.
    pub fn ready(&self, part: &str) {
        self.set(part, None);
    }

    /// A part is not ready, and why.
    pub fn waits(&self, part: &str, why: &str) {
        self.set(part, Some(why.to_owned()));
    }

    /// Says what this process is: `leader`, or `stand-by: web-1 leads`.
    pub fn role(&self, words: &str) {
        words.clone_into(&mut self.role.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn set(&self, part: &str, why: Option<String>) {
        // A writer that panicked leaves a whole map: each write is one insert.
        self.parts.write().unwrap_or_else(PoisonError::into_inner).insert(part.to_owned(), why);
    }

    /// A line for each part that is not ready: `cluster: has not started`.
    pub fn missing(&self) -> Vec<String> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter_map(|(part, why)| Some(format!("{part}: {}", why.as_ref()?))).collect()
    }
}

/// What the answers are made of.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Which parts are ready.
    pub readiness: Readiness,
    /// The numbers.
    pub metrics: Arc<Metrics>,
}

/// Makes the router of the daemon's own pages.
///
/// ```
/// use std::sync::Arc;
/// use bowline::api::router::{Readiness, Shared, router};
/// let shared = Shared { readiness: Readiness::of(["cluster"]), metrics: Arc::default() };
/// let _: axum::Router = router(shared);
/// ```
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .with_state(shared)
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    match shared.readiness.missing() {
        missing if missing.is_empty() => {
            let role = shared.readiness.role.read().unwrap_or_else(PoisonError::into_inner).clone();
            (StatusCode::OK, format!("ok\n{role}{}", if role.is_empty() { "" } else { "\n" }))
        }
        missing => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join("\n"))),
    }
}

async fn numbers(State(shared): State<Shared>) -> impl IntoResponse {
    let kind: [(HeaderName, &str); 1] = [(CONTENT_TYPE, metrics::CONTENT_TYPE)];
    (kind, shared.metrics.text())
}
