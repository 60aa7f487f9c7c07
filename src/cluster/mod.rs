//! The only place that talks to Kubernetes.
//!
//! ```text
//! client     requests, retries, counts                  discovery  which kinds are served
//! limiter    how many at once                           fence      which writes may go
//! lease      who leads
//! objects    get, dry run, apply, delete of one object   observe    live + dry run for every object of a unit
//! contact    objects that are not ours yet               immutable  fields that cannot be changed in place
//! watch      what changes, as digests of metadata        facts      what rendering may know
//! cause      why a workload is not ready
//! ```

pub mod cause;
pub mod client;
mod contact;
pub mod discovery;
pub mod error;
pub mod facts;
pub mod fence;
mod immutable;
pub mod lease;
pub mod limiter;
pub mod objects;
pub mod observe;
pub mod store;
pub mod watch;

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

pub use client::{Actor, Client, ServiceAccount};
pub use discovery::{Discovery, Resource};
pub use error::{Error, Refusal};
pub use objects::{Applied, Force};

use crate::object::Gvk;

/// A cluster: a client and what its server serves.
#[derive(Debug, Clone)]
pub struct Cluster {
    client: Client,
    discovery: Arc<RwLock<Arc<Discovery>>>,
    refreshed: Arc<Mutex<Option<Instant>>>,
    refreshing: Arc<tokio::sync::Mutex<()>>,
}

impl Cluster {
    /// Connects and asks what the server serves.
    ///
    /// # Errors
    /// The configuration cannot be used, or the server does not answer or refuses.
    pub async fn connect(config: kube::Config) -> Result<Self, Error> {
        let client = Client::new(config)?;
        let discovery = Discovery::fetch(&client).await?;
        Ok(Cluster {
            client,
            discovery: Arc::new(RwLock::new(Arc::new(discovery))),
            refreshed: Arc::new(Mutex::new(Some(Instant::now()))),
            refreshing: Arc::default(),
        })
    }

    /// The same cluster, whose writes pass this gate or are refused.
    #[must_use]
    pub fn fenced(&self, fence: Arc<fence::Fence>) -> Self {
        Cluster { client: self.client.fenced(fence), ..self.clone() }
    }

    /// The client, for counts.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the server serves, as last asked.
    pub fn discovery(&self) -> Arc<Discovery> {
        match self.discovery.read() {
            Ok(discovery) => discovery.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// Asks again what the server serves, at most once in `at_most_every`; callers at the same time share one answer.
    ///
    /// # Errors
    /// The server does not answer or refuses; what was known stays.
    pub async fn refresh(&self, at_most_every: Duration) -> Result<(), Error> {
        let _one_at_a_time = self.refreshing.lock().await;
        let recent = |last: &Mutex<Option<Instant>>| {
            last.lock().ok().and_then(|last| *last).is_some_and(|last| last.elapsed() < at_most_every)
        };
        if recent(&self.refreshed) {
            return Ok(());
        }
        let fresh = Arc::new(Discovery::fetch(&self.client).await?);
        match self.discovery.write() {
            Ok(mut discovery) => *discovery = fresh,
            Err(poisoned) => *poisoned.into_inner() = fresh,
        }
        if let Ok(mut refreshed) = self.refreshed.lock() {
            *refreshed = Some(Instant::now());
        }
        Ok(())
    }

    /// How to address a kind; asks the server again when it is not known.
    pub async fn resource(&self, gvk: &Gvk) -> Option<Resource> {
        if let Some(resource) = self.discovery().resource(gvk) {
            return Some(resource.clone());
        }
        if self.refresh(Duration::from_millis(500)).await.is_err() {
            return None;
        }
        self.discovery().resource(gvk).cloned()
    }
}

/// Reads a kubeconfig file, or the usual places when none is given: `$KUBECONFIG`, the pod's service account,
/// `~/.kube/config`.
///
/// # Errors
/// The file or the context is not there or cannot be read.
pub async fn configuration(file: Option<&std::path::Path>, context: Option<&str>) -> Result<kube::Config, Error> {
    let unusable = |cause: String| Error::Unreachable { doing: "reading the kubeconfig".to_owned(), cause };
    let options = kube::config::KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
    match file {
        Some(file) => {
            let kubeconfig = kube::config::Kubeconfig::read_from(file)
                .map_err(|error| unusable(format!("{}: {error}", file.display())))?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| unusable(error.to_string()))
        }
        None if context.is_some() => {
            kube::Config::from_kubeconfig(&options).await.map_err(|error| unusable(error.to_string()))
        }
        None => kube::Config::infer().await.map_err(|error| unusable(error.to_string())),
    }
}
