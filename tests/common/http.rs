//! A small HTTP server on loopback for tests: it remembers every request, and answers as a closure says.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::server::WebPkiClientVerifier;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// By name in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// What the client says it may.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// Where an answer goes.
pub(crate) trait Stream: Write {}

impl<W: Write> Stream for W {}

/// What all connections of a server share.
#[derive(Default)]
pub(crate) struct Shared {
    seen: Mutex<Vec<Seen>>,
    ends: AtomicBool,
}

impl Shared {
    /// Whether the server is about to end.
    pub(crate) fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

/// Answers one request; the connection is closed afterwards.
type Answer = dyn Fn(&Seen, &mut dyn Stream, &Shared) -> io::Result<()> + Send + Sync;

/// A server that ends with this value.
pub(crate) struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves HTTP, or HTTPS with a certificate.
    pub(crate) fn start(
        tls: Option<Arc<rustls::ServerConfig>>,
        answer: impl Fn(&Seen, &mut dyn Stream, &Shared) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (state, answer): (_, Arc<Answer>) = (shared.clone(), Arc::new(answer));
        let accept = move || {
            for stream in listener.incoming() {
                if state.ends() {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (state, tls, answer) = (state.clone(), tls.clone(), answer.clone());
                std::thread::spawn(move || {
                    // A client that goes away early is no concern of the server.
                    let _ = match tls {
                        None => take(stream, &state, &*answer),
                        Some(config) => rustls::ServerConnection::new(config)
                            .map_err(io::Error::other)
                            .and_then(|session| take(rustls::StreamOwned::new(session, stream), &state, &*answer)),
                    };
                });
            }
        };
        HttpServer { address, scheme, shared, thread: Some(std::thread::spawn(accept)) }
    }

    /// Its address without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads one request and has it answered.
fn take(stream: impl Read + Write, shared: &Shared, answer: &Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if method.is_empty() {
        return Ok(());
    }
    let seen = Seen { method, path, headers, body };
    shared.seen.lock().unwrap().push(seen.clone());
    let mut stream = reader.into_inner();
    answer(&seen, &mut stream, shared)?;
    stream.flush()
}

/// Sends a whole answer.
pub(crate) fn reply(stream: &mut dyn Stream, status: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    head(stream, status, headers, body.len())?;
    stream.write_all(body)
}

/// Sends an answer's first part.
pub(crate) fn head(stream: &mut dyn Stream, status: &str, headers: &[(&str, &str)], length: usize) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")
}

/// A certificate for `localhost` and 127.0.0.1, signed by itself, and its key, in PEM form.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    /// A new one.
    pub(crate) fn new() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem(), made }
    }

    /// A server's side of TLS; `client` is the only certificate that it lets in.
    pub(crate) fn server(&self, client: Option<&Certificate>) -> Arc<rustls::ServerConfig> {
        let key = rustls_pki_types::PrivateKeyDer::try_from(self.made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = match client {
            None => config.with_no_client_auth(),
            Some(client) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(client.made.cert.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        Arc::new(config.with_single_cert(vec![self.made.cert.der().clone()], key).unwrap())
    }
}
