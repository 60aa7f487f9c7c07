//! Sends requests to the API server: the one place where bytes leave for Kubernetes.
//!
//! Every request is counted, has one of at most 16 places, and comes back as a JSON value or as an [`Error`] that keeps
//! what the server said. 429, 503 and 504 are repeated with back-off; a 429 halves the places for a while. The writes of
//! a [fenced](Client::fenced) client are refused here while no lease is held.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use super::error::{Error, Refusal};
use super::fence::Fence;
use super::limiter::Limiter;
use crate::failpoint::{Point, reach};

/// Requests that may be under way at once: more brings only latency on a small server.
const IN_FLIGHT: usize = 16;
/// How long the server may take for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";
/// Asks for metadata alone, for lists, watches and the answers of writes.
pub const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Asks for a list of metadata alone.
pub const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The account a request is made as. A service account's names cannot be empty: an empty `Impersonate-User` would mean
/// bowline's own rights (measured: apiserver.md section 14).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Actor {
    /// bowline's own account.
    #[default]
    Own,
    /// A service account, impersonated.
    ServiceAccount(ServiceAccount),
}

/// A service account whose namespace and name are not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
}

impl ServiceAccount {
    /// Takes two names; `None` when one is empty or holds a colon or a slash.
    pub fn new(namespace: &str, name: &str) -> Option<Self> {
        let usable = |text: &str| !text.is_empty() && !text.contains([':', '/', '\n', '\r']);
        (usable(namespace) && usable(name))
            .then(|| ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// What a request does, as the counter of requests names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// GET of one object or of anything that is not a list.
    Get,
    /// GET of a collection.
    List,
    /// A watch.
    Watch,
    /// POST.
    Create,
    /// Server-side apply.
    Apply,
    /// PUT.
    Update,
    /// JSON patch.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// The word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Apply => "apply",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }

    fn method(self) -> Method {
        match self {
            Verb::Get | Verb::List | Verb::Watch => Method::GET,
            Verb::Create => Method::POST,
            Verb::Apply | Verb::Patch => Method::PATCH,
            Verb::Update => Method::PUT,
            Verb::Delete => Method::DELETE,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Verb::Apply => "application/apply-patch+yaml",
            Verb::Patch => "application/json-patch+json",
            _ => JSON,
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// What it does.
    pub verb: Verb,
    /// Path and query.
    pub path: String,
    /// What the answer should be: JSON or metadata alone.
    pub accept: &'a str,
    /// The body, for writes.
    pub body: Option<&'a Value>,
    /// The account.
    pub actor: &'a Actor,
}

impl Call<'_> {
    /// Whether it can change the cluster.
    fn writes(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch) && !self.path.contains("dryRun=All")
    }
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status: 201 of an apply means that the object was not there before.
    pub status: u16,
    /// The body.
    pub value: Value,
    /// Warnings of the server (`Warning` headers): admission policies that warn, deprecated versions.
    pub warnings: Vec<String>,
}

/// Counts of requests by verb and status code. Code 0 stands for "no answer".
pub type Counts = BTreeMap<(Verb, u16), u64>;

/// A connection to one API server.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    fence: Option<Arc<Fence>>,
}

struct Inner {
    kube: kube::Client,
    limiter: Limiter,
    counts: Mutex<Counts>,
    listener: OnceLock<Listener>,
}

/// Told of each answered request: what it did, and the status code; `None` when there was no answer.
type Listener = Box<dyn Fn(Verb, Option<u16>) + Send + Sync>;

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("limiter", &self.inner.limiter).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects with a kube configuration: from a kubeconfig file or from the pod's service account.
    ///
    /// # Errors
    /// The configuration names files or credentials that cannot be used. The server itself is not asked.
    pub fn new(mut config: kube::Config) -> Result<Self, Error> {
        // Retries are ours: they must see Retry-After and lower the number of requests in flight.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = None;
        let server = config.cluster_url.to_string();
        let kube = kube::Client::try_from(config).map_err(|error| Error::Unreachable {
            doing: format!("configuring the client of {server}"),
            cause: chain(&error),
        })?;
        Ok(Client {
            inner: Arc::new(Inner {
                kube,
                limiter: Limiter::new(IN_FLIGHT),
                counts: Mutex::default(),
                listener: OnceLock::new(),
            }),
            fence: None,
        })
    }

    /// The same connection, whose writes pass this gate or are refused with [`Error::Fenced`].
    #[must_use]
    pub fn fenced(&self, fence: Arc<Fence>) -> Self {
        Client { inner: self.inner.clone(), fence: Some(fence) }
    }

    /// Requests sent so far.
    pub fn counts(&self) -> Counts {
        self.inner.counts.lock().map(|counts| counts.clone()).unwrap_or_default()
    }

    /// Tells `listener` of every request from now on; the first listener stays.
    pub fn listen(&self, listener: impl Fn(Verb, Option<u16>) + Send + Sync + 'static) {
        let _ = self.inner.listener.set(Box::new(listener));
    }

    fn count(&self, verb: Verb, code: u16) {
        if let Some(listener) = self.inner.listener.get() {
            listener(verb, (code != 0).then_some(code));
        }
        if let Ok(mut counts) = self.inner.counts.lock() {
            *counts.entry((verb, code)).or_insert(0) += 1;
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// Repeats on 429, 503, 504, on 500 with reason `InternalError`, and for reads when the connection failed, honouring
    /// `Retry-After`, for about half a minute.
    ///
    /// # Errors
    /// [`Error::Refused`] with what the server said, [`Error::Unreachable`], or [`Error::Fenced`].
    pub async fn send(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(7)
            .with_jitter()
            .build();
        loop {
            let error = match self.in_turn(call).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if !repeatable(&error, call.verb) {
                return Err(error);
            }
            let Some(delay) = delays.next() else { return Err(error) };
            let asked = error.refusal().and_then(|refusal| refusal.retry_after).map(Duration::from_secs);
            tokio::time::sleep(asked.map_or(delay, |asked| asked.min(Duration::from_secs(30)).max(delay))).await;
        }
    }

    /// Sends a request once, as soon as there is a place for it and the gate is open.
    async fn in_turn(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let permit = self.inner.limiter.permit().await;
        let result = match self.fence.as_ref().filter(|_| call.writes()) {
            None => self.within(call, ANSWER_WITHIN).await,
            Some(fence) if fence.pass().is_none() => Err(Error::Fenced { doing: describe(call) }),
            Some(fence) => tokio::select! {
                result = self.within(call, ANSWER_WITHIN) => result,
                () = fence.over() => Err(Error::Fenced { doing: describe(call) }),
            },
        };
        match &result {
            Ok(_) => permit.succeeded(),
            Err(Error::Refused(refusal)) if refusal.code == 429 => permit.throttled(),
            Err(_) => drop(permit),
        }
        result
    }

    /// Sends a request once and at once, without waiting for a place and past the gate: for the lease itself.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Error::Unreachable`] when no answer came within the time.
    pub async fn within(&self, call: &Call<'_>, at_most: Duration) -> Result<Reply, Error> {
        tokio::time::timeout(at_most, self.once(call)).await.unwrap_or_else(|_| {
            self.count(call.verb, 0);
            let cause = format!("no answer within {} seconds", at_most.as_secs_f32());
            Err(Error::Unreachable { doing: describe(call), cause })
        })
    }

    fn request(call: &Call<'_>) -> Result<Request<Body>, Error> {
        let mut request = Request::builder()
            .method(call.verb.method())
            .uri(&call.path)
            .header(header::ACCEPT, call.accept)
            .header(header::USER_AGENT, concat!("bowline/", env!("CARGO_PKG_VERSION")));
        if let Actor::ServiceAccount(account) = call.actor {
            request = request.header("Impersonate-User", account.to_string());
        }
        let body = match call.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, call.verb.content_type());
                Body::from(body.to_string().into_bytes())
            }
            None => Body::empty(),
        };
        request
            .body(body)
            .map_err(|error| Error::Unreachable { doing: describe(call), cause: format!("not a request: {error}") })
    }

    async fn once(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let request = Self::request(call)?;
        if call.writes() {
            reach(Point::ClientSending);
        }
        let unreachable = |cause: String| {
            self.count(call.verb, 0);
            Error::Unreachable { doing: describe(call), cause }
        };
        let response = self.inner.kube.send(request).await.map_err(|error| unreachable(chain(&error)))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|text| text.to_str().ok()?.parse().ok());
        let warnings = response
            .headers()
            .get_all(header::WARNING)
            .iter()
            .filter_map(|text| warning(text.to_str().ok()?))
            .collect();
        let body = response.into_body().collect().await.map_err(|error| unreachable(chain(&error)))?.to_bytes();
        self.count(call.verb, status);
        if call.writes() {
            reach(Point::ClientAnswered);
        }
        if (200..300).contains(&status) {
            let value = serde_json::from_slice(&body).map_err(|error| Error::Unreachable {
                doing: describe(call),
                cause: format!("the answer is not JSON: {error}"),
            })?;
            return Ok(Reply { status, value, warnings });
        }
        Err(Error::Refused(Box::new(Refusal::read(status, &body, retry_after))))
    }

    /// Opens a watch and returns its body as a stream of lines' bytes. It holds no permit: watches live long.
    ///
    /// # Errors
    /// As [`Client::send`], without repeating.
    pub async fn watch(
        &self,
        call: &Call<'_>,
    ) -> Result<impl futures::Stream<Item = Result<bytes::Bytes, String>> + Send + use<>, Error> {
        let request = Self::request(call)?;
        let response = self.inner.kube.send(request).await.map_err(|error| {
            self.count(call.verb, 0);
            Error::Unreachable { doing: describe(call), cause: chain(&error) }
        })?;
        let status = response.status().as_u16();
        self.count(call.verb, status);
        if status != 200 {
            let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(Error::Refused(Box::new(Refusal::read(status, &body, None))));
        }
        let frames = response.into_body().into_data_stream();
        Ok(futures::StreamExt::map(frames, |frame| frame.map_err(|error| chain(&error))))
    }
}

/// Whether sending the same request again may help: see apiserver.md section 6, last line.
fn repeatable(error: &Error, verb: Verb) -> bool {
    match error {
        Error::Refused(refusal) => refusal.is_temporary(),
        // A write whose answer was lost is repeated by the reconciler, which looks first.
        Error::Unreachable { .. } => matches!(verb, Verb::Get | Verb::List),
        Error::Fenced { .. } => false,
    }
}

fn describe(call: &Call<'_>) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    format!("{} {path}", call.verb.word())
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The text of a `Warning` header: `299 - "text"`.
fn warning(header: &str) -> Option<String> {
    let text = header.split_once('"')?.1;
    Some(text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\""))
}
