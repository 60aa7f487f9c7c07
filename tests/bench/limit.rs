//! The bare loop: the same objects sent with the same client and nothing else, as fast as the API server takes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bowline::cluster::objects::{Answer, Force};
use bowline::cluster::{Actor, Cluster, configuration};
use bowline::object::Object;
use bowline::yaml;
use futures::{StreamExt as _, stream};

use crate::cluster::TestCluster;
use crate::repository::objects;

/// Writes under way at once: the client's own bound.
const IN_FLIGHT: usize = 16;

/// What the loop took.
pub(crate) struct Limit {
    /// Writing the objects of all units once.
    pub(crate) once: Duration,
    /// The same with a dry run before each write and two writes of a record for each unit: what a unit needs.
    pub(crate) whole: Duration,
}

/// Sends the objects of `units` units twice, into namespaces of its own.
pub(crate) fn measure(cluster: &TestCluster, units: usize) -> Result<Limit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let config = runtime.block_on(configuration(Some(&cluster.kubeconfig()), None))?;
    runtime.block_on(async {
        let cluster = Arc::new(Cluster::connect(config).await?);
        let once = timed(&cluster, units, "bare", false).await?;
        let whole = timed(&cluster, units, "whole", true).await?;
        Ok(Limit { once, whole })
    })
}

async fn timed(cluster: &Arc<Cluster>, units: usize, prefix: &str, all: bool) -> Result<Duration> {
    for number in 0..10 {
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {prefix}-{number}}}\n");
        send(cluster, &text, false).await?;
    }
    let started = Instant::now();
    let work = (0..units).map(|unit| {
        let (cluster, prefix) = (cluster.clone(), prefix.to_owned());
        async move {
            let namespace = format!("{prefix}-{}", unit % 10);
            let record = |state: &str| {
                format!(
                    "apiVersion: v1\nkind: Secret\nmetadata: {{name: record-{unit:05}, namespace: {namespace}}}\n\
                     data: {{state: {state}}}\n"
                )
            };
            if all {
                send(&cluster, &record("cGxhbm5lZA=="), false).await?;
            }
            for text in objects(&format!("app-{unit:05}"), &namespace, "nginx:1") {
                send(&cluster, &text, all).await?;
            }
            if all {
                send(&cluster, &record("YXBwbGllZA=="), false).await?;
            }
            anyhow::Ok(())
        }
    });
    let results: Vec<Result<()>> = stream::iter(work).buffer_unordered(IN_FLIGHT).collect().await;
    results.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(started.elapsed())
}

async fn send(cluster: &Cluster, text: &str, dry_run_first: bool) -> Result<()> {
    let object = Object::new(yaml::read(text.as_bytes(), &yaml::Options::manifests())?)?;
    let resource = cluster.resource(&object.gvk()).await.context("a kind is not served")?;
    if dry_run_first {
        cluster.dry_run_create(&resource, &object, "bench", &Actor::Own).await?;
    }
    cluster.apply(&resource, &object, "bench", Force::Yes, Answer::Metadata, &Actor::Own).await?;
    Ok(())
}
