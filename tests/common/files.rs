//! A web server of plain files for tests, such as a chart repository; it misbehaves as told.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::charts::sha256;
use super::http::{HttpServer, Seen, Shared, Stream, head, reply};

/// What is answered in place of a file.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// This status, with these headers and body.
    Status(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// Another place to look.
    Redirect(String),
    /// So many bytes of the file that is announced in full.
    Cut(usize),
    /// Zeros without an end, and without an announced length.
    Endless,
    /// Nothing, until the server ends.
    Silence,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// What comes next for a path; the last one stays.
    replies: BTreeMap<String, VecDeque<Reply>>,
    /// The only `Authorization` header that is let in.
    authorization: Option<String>,
}

/// A web server that ends with this value.
pub(crate) struct FileServer {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

impl FileServer {
    /// Serves nothing yet, over HTTP.
    pub(crate) fn start() -> Self {
        FileServer::serve(None)
    }

    /// The same over HTTPS.
    pub(crate) fn serve(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let ours = state.clone();
        let server = HttpServer::start(tls, move |seen, stream, shared| answer(seen, stream, shared, &ours));
        FileServer { server, state }
    }

    /// Its address without a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Puts a file at a path, such as `/index.yaml`.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().files.insert(path.to_owned(), bytes.into());
    }

    /// Answers the next requests for a path with these, the last one for good.
    pub(crate) fn answer(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.insert(path.to_owned(), replies.into_iter().collect());
    }

    /// Lets nobody in without this `Authorization` header.
    pub(crate) fn demand(&self, authorization: &str) {
        self.state.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    /// Takes the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.server.requests()
    }

    /// Takes the paths of the requests since the last call.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|seen| seen.path).collect()
    }
}

fn answer(seen: &Seen, stream: &mut dyn Stream, shared: &Shared, state: &Mutex<State>) -> io::Result<()> {
    // What a client asks of a proxy begins with the server's name.
    let path = seen.path.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let path = path.unwrap_or(&seen.path).split('?').next().unwrap_or_default().to_owned();
    let (told, file) = {
        let mut state = state.lock().unwrap();
        if state.authorization.is_some() && state.authorization.as_deref() != seen.authorization() {
            return reply(stream, "401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"charts\"")], b"");
        }
        let file = state.files.get(&path).cloned();
        let told = match state.replies.get_mut(&path) {
            Some(replies) if replies.len() > 1 => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        };
        (told, file)
    };
    match told {
        Some(Reply::Status(status, headers, body)) => {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            reply(stream, status, &headers, &body)
        }
        Some(Reply::Redirect(target)) => reply(stream, "302 Found", &[("Location", &target)], b""),
        Some(Reply::Cut(at)) => {
            let file = file.unwrap_or_default();
            head(stream, "200 OK", &[], file.len())?;
            stream.write_all(&file[..at])
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let block = [b' '; 64 << 10];
            while !shared.ends() {
                stream.write_all(&block)?;
            }
            Ok(())
        }
        Some(Reply::Silence) => {
            while !shared.ends() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Ok(())
        }
        None => match file {
            None => reply(stream, "404 Not Found", &[], b"no such file"),
            Some(bytes) => {
                let tag = format!("\"{}\"", sha256(&bytes));
                if seen.header("if-none-match") == Some(&tag) {
                    return stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
                }
                reply(stream, "200 OK", &[("ETag", &tag)], &bytes)
            }
        },
    }
}
