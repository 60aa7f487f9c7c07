//! Stands between bowline and the real API server, and does to requests and answers what networks and servers do.
//!
//! ```text
//! bowline --HTTP--> Proxy: the first rule that fits decides --HTTPS--> kube-apiserver
//! ```
//! Every request is passed on as a user of the proxy's own, a member of `system:masters`: the audit log tells its requests
//! from everybody else's. Start at [`Proxy::start`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::cluster::{TestCluster, unique};

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection is closed without an answer; the server never hears of it.
    Refuse,
    /// The server does what is asked, and its answer never arrives.
    Lose,
    /// The server does what is asked, and half of its answer arrives.
    Truncate,
    /// No answer before the proxy is healed.
    Hold,
    /// It is passed on after so long.
    Delay(Duration),
    /// This is answered: status, headers, body; the server never hears of it.
    Answer(u16, Vec<(&'static str, &'static str)>, String),
    /// The answer is passed on, but for what this makes of its JSON.
    Edit(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl Fault {
    /// What an API server says that is asked for too much.
    pub(crate) fn too_many_requests() -> Fault {
        Fault::Answer(429, vec![("Retry-After", "1")], "Too many requests, please try again later.".to_owned())
    }

    /// What a watch says whose place was forgotten (measured: HTTP 200, and the error as an event).
    pub(crate) fn expired() -> Fault {
        let event = serde_json::json!({"type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
            "message": "too old resource version: 1 (17341)",
        }});
        Fault::Answer(200, vec![("Content-Type", "application/json")], format!("{event}\n"))
    }
}

/// A request as the proxy saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: String,
    /// Requests under way when it came, itself counted; watches and the lease, which wait for no place, are left out.
    pub(crate) under_way: usize,
    /// A rule did something to it.
    pub(crate) hurt: bool,
}

impl Seen {
    pub(crate) fn is_watch(&self) -> bool {
        self.uri.contains("watch=true")
    }

    pub(crate) fn is_lease(&self) -> bool {
        self.uri.contains("coordination.k8s.io")
    }

    /// It could change the cluster.
    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET && !self.uri.contains("dryRun=")
    }
}

struct Rule {
    fits: Box<dyn Fn(&Seen) -> bool + Send + Sync>,
    fault: Fault,
    /// How often it still acts.
    left: usize,
}

struct State {
    server: String,
    user: String,
    client: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
    hurts: AtomicUsize,
    given_up: AtomicUsize,
    /// Ends what the rules hold.
    healed: Mutex<CancellationToken>,
    /// Ends the watches that are open.
    cut: Mutex<CancellationToken>,
}

/// A proxy on loopback; it ends with this value.
pub(crate) struct Proxy {
    state: Arc<State>,
    kubeconfig: PathBuf,
    _runtime: tokio::runtime::Runtime,
}

type Body = UnsyncBoxBody<Bytes, String>;

impl Proxy {
    /// A proxy in front of a control plane; its kubeconfig lies in `folder`.
    pub(crate) fn start(cluster: &TestCluster, folder: &Path) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        // Another test of the process may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = std::fs::read(cluster.folder().join("ca.crt")).unwrap();
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().gzip(false).build().unwrap();
        let state = Arc::new(State {
            server: cluster.server(),
            user: unique("proxied"),
            client,
            rules: Mutex::default(),
            seen: Mutex::default(),
            under_way: AtomicUsize::new(0),
            hurts: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            healed: Mutex::default(),
            cut: Mutex::default(),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(serve(listener, state.clone()));
        let kubeconfig = folder.join(format!("{}.kubeconfig", state.user));
        let admin = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
        let mut config: Value = serde_json::from_str(&admin).unwrap();
        config["clusters"][0]["cluster"] = serde_json::json!({"server": format!("http://127.0.0.1:{port}")});
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Proxy { state, kubeconfig, _runtime: runtime }
    }

    /// For whoever is to go through it.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// As whom its requests appear in the audit log.
    pub(crate) fn user(&self) -> &str {
        &self.state.user
    }

    /// Does this to all requests that fit, until the proxy is healed.
    pub(crate) fn hurt(&self, fits: impl Fn(&Seen) -> bool + Send + Sync + 'static, fault: Fault) {
        self.hurt_times(usize::MAX, fits, fault);
    }

    /// Does this to so many requests that fit.
    pub(crate) fn hurt_times(&self, times: usize, fits: impl Fn(&Seen) -> bool + Send + Sync + 'static, fault: Fault) {
        self.state.rules.lock().unwrap().push(Rule { fits: Box::new(fits), fault, left: times });
    }

    /// Takes all rules away, and lets go what they held.
    pub(crate) fn heal(&self) {
        self.state.rules.lock().unwrap().clear();
        std::mem::take(&mut *self.state.healed.lock().unwrap()).cancel();
    }

    /// Breaks the connections of all watches.
    pub(crate) fn cut_watches(&self) {
        std::mem::take(&mut *self.state.cut.lock().unwrap()).cancel();
    }

    /// How many requests the rules have hurt so far.
    pub(crate) fn hurts(&self) -> usize {
        self.state.hurts.load(Ordering::SeqCst)
    }

    /// How many of the requests that were held their senders have given up.
    pub(crate) fn given_up(&self) -> usize {
        self.state.given_up.load(Ordering::SeqCst)
    }

    /// Takes the requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let state = state.clone();
                async move { handle(&state, request).await }
            });
            // A connection that breaks is what this is for.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Counts down when a request ends in whatever way.
struct UnderWay(Arc<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a request that its sender did not wait for.
struct GivenUp(Arc<State>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

/// An error closes the connection.
async fn handle(state: &Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, String> {
    let mut seen = Seen { method: request.method().clone(), uri: request.uri().to_string(), under_way: 0, hurt: false };
    let counted = (!seen.is_watch() && !seen.is_lease()).then(|| {
        seen.under_way = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        UnderWay(state.clone())
    });
    let fault = rule(state, &seen);
    seen.hurt = fault.is_some();
    state.hurts.fetch_add(usize::from(seen.hurt), Ordering::SeqCst);
    let is_watch = seen.is_watch();
    state.seen.lock().unwrap().push(seen);
    let healed = state.healed.lock().unwrap().clone();
    match fault {
        Some(Fault::Refuse) => return Err("refused".to_owned()),
        Some(Fault::Hold) => {
            // The server ends this task when the client closes the connection.
            let given_up = GivenUp(state.clone());
            healed.cancelled().await;
            std::mem::forget(given_up);
            return Err("held".to_owned());
        }
        Some(Fault::Answer(status, headers, body)) => return Ok(answer(status, &headers, body)),
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let (status, headers, stream) = forward(state, request).await?;
    if is_watch {
        let cut = state.cut.lock().unwrap().clone();
        let broken = futures::stream::once(async { Err("cut".to_owned()) });
        let stream = stream.take_until(cut.cancelled_owned()).chain(broken);
        return Ok(respond(status, headers, stream));
    }
    let body: Vec<Bytes> = stream.collect::<Vec<_>>().await.into_iter().collect::<Result<_, _>>()?;
    let mut body = body.concat();
    drop(counted);
    match fault {
        Some(Fault::Lose) => Err("lost".to_owned()),
        Some(Fault::Truncate) => {
            let (half, length) = (body.len() / 2, body.len());
            body.truncate(half);
            let mut headers = headers;
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            let broken = futures::stream::iter([Ok(Bytes::from(body)), Err("truncated".to_owned())]);
            Ok(respond(status, headers, broken))
        }
        Some(Fault::Edit(edit)) => {
            if let Ok(mut value) = serde_json::from_slice::<Value>(&body) {
                edit(&mut value);
                body = value.to_string().into_bytes();
            }
            Ok(respond(status, headers, futures::stream::iter([Ok(Bytes::from(body))])))
        }
        _ => Ok(respond(status, headers, futures::stream::iter([Ok(Bytes::from(body))]))),
    }
}

/// The fault of the first rule that fits.
fn rule(state: &State, seen: &Seen) -> Option<Fault> {
    let mut rules = state.rules.lock().unwrap();
    let rule = rules.iter_mut().find(|rule| rule.left > 0 && (rule.fits)(seen))?;
    rule.left -= 1;
    Some(rule.fault.clone())
}

type Passed = (StatusCode, HeaderMap, futures::stream::BoxStream<'static, Result<Bytes, String>>);

async fn forward(state: &State, request: Request<Incoming>) -> Result<Passed, String> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let mut headers = parts.headers;
    for name in [header::HOST, header::CONTENT_LENGTH, header::ACCEPT_ENCODING] {
        headers.remove(name);
    }
    if !headers.contains_key("impersonate-user") {
        headers.insert("impersonate-user", HeaderValue::from_str(&state.user).unwrap());
        headers.insert("impersonate-group", HeaderValue::from_static("system:masters"));
    }
    let url = format!("{}{}", state.server, parts.uri);
    let answer = state.client.request(parts.method, url).headers(headers).body(body).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
        headers.remove(name);
    }
    let stream = answer.bytes_stream().map(|piece| piece.map_err(|error| error.to_string()));
    Ok((status, headers, stream.boxed()))
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: String) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {});
    response.body(body.boxed_unsync()).unwrap()
}

fn respond(
    status: StatusCode,
    headers: HeaderMap,
    stream: impl futures::Stream<Item = Result<Bytes, String>> + Send + 'static,
) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(stream.map(|piece| piece.map(Frame::data))).boxed_unsync());
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}
