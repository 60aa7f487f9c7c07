//! Git over HTTP: our own transport over rustls, with its certificates, proxy, credentials and timeouts per source.
//!
//! ```text
//! first look   GET info/refs  (version 2 asked for) -> capabilities, then POST ls-refs
//! idle poll    POST ls-refs, one request with the names that matter; version 0: GET info/refs
//! fetch        POST git-upload-pack, one request
//! ```
//! Credentials go to the address's own scheme, host and port and nowhere else. Redirects are followed for the first
//! look only, never from `https` to `http`, and never to this machine or its link unless the source is there itself.

use std::io::{self, Read};

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{StatusCode, Url};

use super::config::{Config, Credentials, Reference};
use super::error::Error;
use super::smart::{self, Advertised, Broken, Capabilities, Greeting, Wants};
use super::store::Store;
use crate::net::{
    Clients, Forbidden, Reach, Secret, Settings, Trust, Unpack, chain, is_loopback, origin, same_origin, shown,
};

const MAX_REDIRECTS: usize = 5;
/// Bytes of an answer that is not a pack.
const MAX_LIST: u64 = 512 << 20;
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";
const REQUEST: &str = "application/x-git-upload-pack-request";

/// One repository on an HTTP server.
pub(super) struct Server {
    /// Address as configured, without credentials.
    url: Url,
    /// Where the first look led to.
    base: Url,
    credentials: Credentials,
    clients: Clients,
    /// How near the server's name, and what it redirects to, may lead.
    reach: Reach,
    fetch_bytes: u64,
    spoken: Spoken,
}

/// What is known of the server's protocol.
enum Spoken {
    Unknown,
    Version2(Capabilities),
    Version0(Capabilities),
}

impl Server {
    pub(super) fn new(url: Url, found: Option<(String, Secret)>, config: &Config) -> Self {
        let credentials = match (&config.credentials, found) {
            (Credentials::None, Some((username, password))) => Credentials::Basic { username, password },
            (configured, _) => configured.clone(),
        };
        let trust = config.ca_file.clone().map_or(Trust::System, Trust::File);
        let settings = Settings {
            trust,
            proxy: config.proxy.clone(),
            timeouts: config.timeouts,
            unpack: Unpack::Gzip,
            ..Settings::standard(concat!("git/bowline-", env!("CARGO_PKG_VERSION")))
        };
        Server {
            base: url.clone(),
            url,
            credentials,
            clients: Clients::new(settings),
            reach: Reach::Link,
            fetch_bytes: config.limits.fetch_bytes,
            spoken: Spoken::Unknown,
        }
    }

    /// Asks for the references that matter: one request once the server is known.
    pub(super) fn references(&mut self, reference: &Reference) -> Result<Vec<Advertised>, Error> {
        self.list(&smart::prefixes(reference))
    }

    /// Asks for all branches or tags, to name them in an error.
    pub(super) fn list(&mut self, prefixes: &[String]) -> Result<Vec<Advertised>, Error> {
        if let Spoken::Version2(capabilities) = &self.spoken {
            let body = smart::ls_refs(capabilities, prefixes);
            match self.ask(&body) {
                // The server may have been replaced by an older one, or moved.
                Err(Error::BadAnswer { .. } | Error::NoRepository { .. } | Error::Redirected { .. }) => {}
                answer => return answer,
            }
        }
        self.spoken = Spoken::Unknown;
        (self.base, self.reach) = (self.url.clone(), Reach::Link);
        match self.greet()? {
            Greeting::Version0(capabilities, advertised) => {
                self.spoken = Spoken::Version0(capabilities);
                Ok(advertised)
            }
            Greeting::Version2(capabilities) => {
                let body = smart::ls_refs(&capabilities, prefixes);
                self.spoken = Spoken::Version2(capabilities);
                self.ask(&body)
            }
        }
    }

    fn ask(&mut self, body: &[u8]) -> Result<Vec<Advertised>, Error> {
        let response = self.post(body, "listing references")?;
        smart::advertised(response.take(MAX_LIST)).map_err(|broken| self.broken(broken, "listing references"))
    }

    fn greet(&mut self) -> Result<Greeting, Error> {
        let action = "looking for the repository";
        for _ in 0..=MAX_REDIRECTS {
            let url = service(&self.base, "info/refs", Some("service=git-upload-pack"));
            let request = self.clients.get(self.reach)?.get(url.clone()).header(ACCEPT, ADVERTISEMENT);
            let response = self.send(request, &url, action)?;
            if response.status().is_redirection() {
                (self.base, self.reach) = self.redirected(&url, &response)?;
                continue;
            }
            let response = self.accepted(response, ADVERTISEMENT)?;
            return smart::greeting(response.take(MAX_LIST)).map_err(|broken| self.broken(broken, action));
        }
        Err(Error::Redirected { url: self.shown(), target: origin(&self.base), reason: "too many in a row" })
    }

    /// Fetches one pack into the object database and returns with how the borders of a shallow copy moved already done.
    pub(super) fn fetch(&mut self, store: &Store, wants: &Wants) -> Result<(), Error> {
        let action = "fetching";
        let bad_request = |broken: Broken| Error::BadAnswer { url: self.shown(), message: broken.to_string() };
        let (body, is_version2) = match &self.spoken {
            Spoken::Version2(capabilities) => (smart::fetch2(capabilities, wants), true),
            Spoken::Version0(capabilities) => (smart::fetch0(capabilities, wants).map_err(bad_request)?, false),
            Spoken::Unknown => {
                let message = "a fetch before the first look".to_owned();
                return Err(Error::BadAnswer { url: self.shown(), message });
            }
        };
        let response = self.post(&body, action)?;
        let answer = if is_version2 { smart::answer2(response) } else { smart::answer0(response) };
        let (borders, mut pack) = answer.map_err(|broken| self.broken(broken, action))?;
        let limit = self.fetch_bytes;
        let received = store.take_pack(&borders, limit, || match pack.next() {
            Ok(piece) => Ok(piece.map(<[u8]>::to_vec)),
            Err(broken) => Err(self.broken(broken, action)),
        });
        received.map_err(|error| match error {
            Error::BadAnswer { message, .. } => Error::BadAnswer { url: self.shown(), message },
            other => other,
        })
    }

    fn post(&mut self, body: &[u8], action: &'static str) -> Result<Response, Error> {
        let url = service(&self.base, "git-upload-pack", None);
        let request = self.clients.get(self.reach)?.post(url.clone());
        let request = request.header(CONTENT_TYPE, REQUEST).header(ACCEPT, RESULT).body(body.to_vec());
        let response = self.send(request, &url, action)?;
        if response.status().is_redirection() {
            let target = location(&url, &response).map(|target| origin(&target)).unwrap_or_default();
            return Err(Error::Redirected {
                url: self.shown(),
                target,
                reason: "only the first look may be redirected",
            });
        }
        self.accepted(response, RESULT)
    }

    fn send(&self, request: RequestBuilder, url: &Url, action: &'static str) -> Result<Response, Error> {
        let request = request.header("Git-Protocol", "version=2");
        let request = match &self.credentials {
            _ if !same_origin(url, &self.url) => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password.reveal()?)),
            Credentials::Bearer(token) => request.bearer_auth(token.reveal()?),
            Credentials::None | Credentials::SshKey { .. } | Credentials::SshAgent => request,
        };
        request.send().map_err(|error| self.not_sent(error, action))
    }

    /// Turns an answer that is not the expected one into an error.
    fn accepted(&self, response: Response, content: &str) -> Result<Response, Error> {
        let status = response.status();
        let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let found = found.split(';').next().unwrap_or_default().trim().to_owned();
        let url = self.shown();
        match status {
            StatusCode::OK if found == content => Ok(response),
            StatusCode::OK if found == "text/html" => {
                let message =
                    "a web page, not a Git repository; check the address, or that no log-in page is in between";
                Err(Error::BadAnswer { url, message: message.to_owned() })
            }
            StatusCode::OK => {
                let message =
                    format!("content of type {}, not that of Git's smart protocol", smart::words(found.as_bytes()));
                Err(Error::BadAnswer { url, message })
            }
            StatusCode::UNAUTHORIZED if matches!(self.credentials, Credentials::None) => {
                Err(Error::Refused { url, message: "401, it wants credentials and there are none".to_owned() })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(Error::Refused { url, message: status.to_string() })
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Error::NoRepository { url }),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Error::Unreachable { url, message: format!("the server answers {status}") })
            }
            status => Err(Error::BadAnswer { url, message: format!("status {status}") }),
        }
    }

    /// Where a redirect of the first look leads to, if we go there.
    fn redirected(&self, from: &Url, response: &Response) -> Result<(Url, Reach), Error> {
        let refuse = |target: &Url, reason| Error::Redirected { url: self.shown(), target: origin(target), reason };
        let Some(mut target) = location(from, response) else {
            return Err(Error::BadAnswer { url: self.shown(), message: "a redirect that leads nowhere".to_owned() });
        };
        let _ = target.set_username("");
        let _ = target.set_password(None);
        if from.scheme() == "https" && target.scheme() != "https" {
            return Err(refuse(&target, "it would no longer be encrypted"));
        }
        if !matches!(target.scheme(), "http" | "https") {
            return Err(refuse(&target, "it is not HTTP"));
        }
        let Some(path) = target.path().strip_suffix("/info/refs").map(str::to_owned) else {
            return Err(refuse(&target, "it does not lead to a Git repository"));
        };
        target.set_path(&path);
        target.set_query(self.url.query());
        if same_origin(&target, &self.url) {
            return Ok((target, Reach::Link));
        }
        let at_home = self.url.host_str().is_some_and(is_loopback);
        if target.scheme() == "http" && !(at_home && target.host_str().is_some_and(is_loopback)) {
            return Err(refuse(&target, "it is not encrypted"));
        }
        let allowed = if at_home { Reach::Machine } else { Reach::Site };
        match Reach::of_literal(&target).filter(|reach| *reach > allowed) {
            Some(reach) => Err(refuse(&target, reach.words())),
            None => Ok((target, allowed)),
        }
    }

    fn not_sent(&self, error: reqwest::Error, action: &'static str) -> Error {
        let url = self.shown();
        if let Some(Forbidden { reach, .. }) = Forbidden::within(&error) {
            return Error::Redirected { url, target: origin(&self.base), reason: reach.words() };
        }
        if error.is_timeout() && !error.is_connect() {
            return Error::TimedOut { url, action, seconds: self.silence() };
        }
        Error::Unreachable { url, message: chain(error) }
    }

    fn broken(&self, broken: Broken, action: &'static str) -> Error {
        let url = self.shown();
        match broken {
            Broken::Form(message) => Error::BadAnswer { url, message },
            Broken::Server(message) => Error::Server { url, message: self.scrubbed(&message) },
            Broken::Read(error) => {
                let of_client = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
                if error.kind() == io::ErrorKind::TimedOut || of_client.is_some_and(reqwest::Error::is_timeout) {
                    return Error::TimedOut { url, action, seconds: self.silence() };
                }
                Error::BadAnswer { url, message: "the answer ends early".to_owned() }
            }
        }
    }

    /// Takes our own secrets out of a server's words, should it repeat them.
    fn scrubbed(&self, message: &str) -> String {
        let secret = match &self.credentials {
            Credentials::Basic { password, .. } => password.reveal().unwrap_or_default(),
            Credentials::Bearer(token) => token.reveal().unwrap_or_default(),
            Credentials::None | Credentials::SshKey { .. } | Credentials::SshAgent => String::new(),
        };
        if secret.is_empty() { message.to_owned() } else { message.replace(&secret, "***") }
    }

    fn shown(&self) -> String {
        shown(&self.url)
    }

    fn silence(&self) -> u64 {
        self.clients.settings().timeouts.silence.as_secs()
    }

    /// Says whether a commit may be wanted that no reference shows.
    pub(super) fn gives_any(&self) -> bool {
        match &self.spoken {
            Spoken::Version2(_) => true,
            Spoken::Version0(capabilities) => {
                capabilities.has("allow-reachable-sha1-in-want") || capabilities.has("allow-any-sha1-in-want")
            }
            Spoken::Unknown => false,
        }
    }
}

/// `base/name`, with the base's own query kept.
fn service(base: &Url, name: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{name}", base.path().trim_end_matches('/')));
    let query: Vec<&str> = query.into_iter().chain(base.query()).collect();
    url.set_query(if query.is_empty() { None } else { Some(query.join("&")) }.as_deref());
    url
}

fn location(from: &Url, response: &Response) -> Option<Url> {
    from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}
