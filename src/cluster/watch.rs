//! Follows what changes in the cluster: a full account first, then each change.
//!
//! ```text
//! one watch per kind in use, selected by our label    ->  Store
//! one watch on all Namespaces, one per copied object  ->  facts
//! ```
//! Watches begin with WatchList, go on by resourceVersion, and start over after 410 or any doubt.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use tracing::{debug, warn};

use super::client::{Actor, Call, METADATA, Verb};
use super::{Cluster, Error};
use crate::object::Gvk;

/// What a watch selects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Label selector.
    pub labels: String,
    /// Field selector.
    pub fields: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// Metadata alone.
    pub metadata: bool,
}

impl Selection {
    /// All objects of a kind.
    pub fn all(metadata: bool) -> Self {
        Selection { metadata, ..Selection::default() }
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Signal {
    /// A full account begins; all that exists is told again.
    Began,
    /// An object is there, with this content.
    Put(Value),
    /// An object left the selection: it was deleted, or lost the label.
    Gone(Value),
    /// The full account is complete.
    Synced,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// How a watch ended.
enum End {
    /// Its time was up or the connection closed: go on from this resourceVersion.
    At(String),
    /// The place is lost: begin a new account.
    Lost(String),
}

/// Follows all objects of a selection for ever: a full account first, then each change. Errors are waited out with
/// back-off; a place that the server has forgotten means a new account.
pub async fn follow(cluster: &Cluster, gvk: &Gvk, selection: &Selection, mut tell: impl FnMut(Signal) + Send) {
    let backoff = || {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(30))
            .without_max_times()
            .with_jitter()
            .build()
    };
    let mut delays = backoff();
    let mut place: Option<String> = None;
    loop {
        match watch_once(cluster, gvk, selection, place.as_deref(), &mut tell).await {
            Ok(End::At(version)) => {
                place = Some(version);
                delays = backoff();
                continue;
            }
            Ok(End::Lost(why)) => {
                debug!(kind = %gvk, why, "watch starts over");
                place = None;
            }
            Err(error) if error.refusal().is_some_and(|refusal| refusal.is_kind_missing()) => {
                debug!(kind = %gvk, "kind is not served; its watch waits");
                place = None;
            }
            Err(error) => warn!(kind = %gvk, %error, "watch failed; trying again"),
        }
        tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(30))).await;
    }
}

async fn watch_once(
    cluster: &Cluster,
    gvk: &Gvk,
    selection: &Selection,
    place: Option<&str>,
    tell: &mut (impl FnMut(Signal) + Send),
) -> Result<End, Error> {
    let Some(resource) = cluster.resource(gvk).await else {
        return Ok(End::Lost("the kind is not served".to_owned()));
    };
    // Watches of different kinds should not all end in the same second.
    let seconds = 240 + u64::from(gvk.kind.bytes().fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)));
    let path = format!("{}?{}", resource.collection(&selection.namespace), query(selection, seconds, place));
    let accept = if selection.metadata { METADATA } else { "application/json" };
    let call = Call { verb: Verb::Watch, path, accept, body: None, actor: &Actor::Own };
    let mut stream = Box::pin(cluster.client.watch(&call).await?);
    if place.is_none() {
        tell(Signal::Began);
    }
    let mut version = place.map(str::to_owned);
    let mut complete = place.is_some();
    let mut lines = Lines::default();
    let idle = Duration::from_secs(seconds + 30);
    loop {
        let chunk = match tokio::time::timeout(idle, stream.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(cause))) => {
                debug!(kind = %gvk, cause, "watch was cut");
                break;
            }
            Ok(None) | Err(_) => break,
        };
        for line in lines.push(&chunk) {
            let Ok(line) = serde_json::from_slice::<Line>(&line) else {
                return Ok(End::Lost("a line of the watch is not JSON".to_owned()));
            };
            let now = line.object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
            match take_line(line, tell) {
                Ok(ends_account) => complete |= ends_account,
                Err(why) => return Ok(End::Lost(why)),
            }
            if complete && now.is_some() {
                version = now;
            }
        }
    }
    Ok(match version {
        Some(version) => End::At(version),
        None => End::Lost("the watch ended before it told all".to_owned()),
    })
}

fn query(selection: &Selection, seconds: u64, place: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
    query.append_pair("timeoutSeconds", &seconds.to_string());
    if !selection.labels.is_empty() {
        query.append_pair("labelSelector", &selection.labels);
    }
    if !selection.fields.is_empty() {
        query.append_pair("fieldSelector", &selection.fields);
    }
    match place {
        Some(version) => query.append_pair("resourceVersion", version),
        None => query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan"),
    };
    query.finish()
}

/// Handles one line; says whether it ends the full account.
fn take_line(line: Line, tell: &mut impl FnMut(Signal)) -> Result<bool, String> {
    match line.kind.as_str() {
        "ADDED" | "MODIFIED" => tell(Signal::Put(line.object)),
        "DELETED" => tell(Signal::Gone(line.object)),
        "BOOKMARK" => {
            let annotations = line.object.pointer("/metadata/annotations");
            let end = annotations.and_then(|annotations| annotations.get("k8s.io/initial-events-end"));
            if end.and_then(Value::as_str) == Some("true") {
                tell(Signal::Synced);
                return Ok(true);
            }
        }
        "ERROR" => {
            let message = line.object.get("message").and_then(Value::as_str).unwrap_or("no message");
            return Err(message.to_owned());
        }
        _ => {}
    }
    Ok(false)
}

/// Cuts a byte stream into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                lines.push(std::mem::take(&mut self.rest));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"ab"), Vec::<Vec<u8>>::new());
        assert_eq!(lines.push(b"c\nd\ne"), [b"abc\n".to_vec(), b"d\n".to_vec()]);
        assert_eq!(lines.push(b"\n"), [b"e\n".to_vec()]);
    }
}
