//! Asks servers: redirects, repetition and limits in one place.
//!
//! Credentials go to the scheme, host and port that was configured and nowhere else. No server may lead us nearer to
//! this machine than it is itself, and nobody to the network link, unless the host is allowed by name. An answer is read
//! up to its limit, and not waited for without end.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use backon::{BlockingRetryable as _, ExponentialBuilder};
use flate2::read::MultiGzDecoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use url::Url;

use super::error::Error;
use crate::net::{
    self, Clients, Forbidden, Reach, Secret, Settings, Trust, chain, is_loopback, origin, same_origin, shown,
};

const MAX_REDIRECTS: usize = 5;
/// How long one answer may take in all, however steadily it trickles in.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of an answer that tells of an error.
const MAX_WORDS: u64 = 64 << 10;

/// Who we are to a server.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody, or whom the registry's configuration file names.
    #[default]
    None,
    /// User and password, or token in the password's place.
    Basic {
        /// User name.
        username: String,
        /// Password or token.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

impl Credentials {
    /// As a header; `None` for nobody.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, Error> {
        match self {
            Credentials::None => Ok(None),
            Credentials::Basic { username, password } => basic(username, &password.reveal()?).map(Some),
            Credentials::Bearer(token) => bearer(&token.reveal()?).map(Some),
        }
    }
}

/// The header for a user.
pub(super) fn basic(username: &str, password: &str) -> Result<HeaderValue, Error> {
    use base64::Engine as _;
    secret_header(&format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"))
    ))
}

/// The header for a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, Error> {
    secret_header(&format!("Bearer {token}"))
}

fn secret_header(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = "holds characters that no header can hold".to_owned();
        net::Error::Invalid { field: "credentials", message }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where addresses that do not encrypt are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// On this machine.
    Loopback,
    /// Everywhere.
    Anywhere,
}

/// Who is told the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// The server that was configured.
    Home,
    /// Every server that it leads to, too.
    Everybody,
}

/// How a repository or registry is reached, and who we are there. Keeps connections and tokens: make one for each and
/// share it.
#[derive(Debug)]
pub struct Access {
    pub(super) clients: Clients,
    pub(super) credentials: Credentials,
    plaintext: Plaintext,
    trusted: Trusted,
    allowed_hosts: BTreeSet<String>,
    pub(super) tokens: super::registry::Tokens,
}

impl Access {
    /// Access for nobody in particular, with these settings.
    pub fn new(settings: Settings) -> Self {
        Access {
            clients: Clients::new(settings),
            credentials: Credentials::None,
            plaintext: Plaintext::Loopback,
            trusted: Trusted::Home,
            allowed_hosts: BTreeSet::new(),
            tokens: super::registry::Tokens::default(),
        }
    }

    /// Says who we are.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials, trusted: Trusted) -> Self {
        (self.credentials, self.trusted) = (credentials, trusted);
        self
    }

    /// Says where addresses that do not encrypt are allowed.
    #[must_use]
    pub fn plaintext(mut self, plaintext: Plaintext) -> Self {
        self.plaintext = plaintext;
        self
    }

    /// Names hosts that may be gone to, wherever they are.
    #[must_use]
    pub fn allow_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.allowed_hosts.extend(hosts);
        self
    }

    fn plain_http(&self) -> bool {
        self.plaintext == Plaintext::Anywhere
    }

    /// How a server is spoken to whose address does not say it: in the open on this machine, unless something is set
    /// that only TLS can use.
    pub(super) fn scheme(&self, host: &str) -> &'static str {
        let settings = self.clients.settings();
        let is_open = is_loopback(host) && settings.trust == Trust::System && settings.identity.is_none();
        if is_open || self.plain_http() { "http" } else { "https" }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The server that was configured: no other may lead nearer than it is.
    pub(super) home: &'a Url,
    /// What lets us in, and the server that it is for.
    pub(super) authorization: Option<(HeaderValue, Url)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Vec<u8>,
    /// Bytes of the answer.
    pub(super) limit: u64,
}

impl<'a> Call<'a> {
    pub(super) fn get(url: Url, home: &'a Url, limit: u64) -> Self {
        Call { method: Method::GET, url, home, authorization: None, headers: Vec::new(), body: Vec::new(), limit }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where it came from at last.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the server wants to be told before it answers.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
    }

    /// Turns what is no success into an error.
    pub(super) fn success(self) -> Result<Answer, Error> {
        let url = shown(&self.url);
        match self.status {
            status if status.is_success() => Ok(self),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(Error::Refused { url, message: self.status.to_string(), hint: None })
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Error::Missing { url }),
            status => Err(Error::BadAnswer { url, message: format!("status {status}") }),
        }
    }
}

impl Access {
    /// Asks, follows redirects, and asks again when the server is in trouble and asking twice does no harm.
    pub(super) fn ask(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let repeats = if matches!(call.method, Method::GET | Method::HEAD) { 2 } else { 0 };
        let waits = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_jitter();
        (|| self.follow(call))
            .retry(waits.with_max_times(repeats))
            .when(|error| matches!(error, Error::Unreachable { .. }))
            .call()
    }

    fn follow(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut call = call.clone();
        let start = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.once(&call, &start)?;
            if !answer.status.is_redirection() || answer.status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let refuse = |target: &Url, reason| Error::Forbidden { url: shown(&start), target: origin(target), reason };
            let Some(target) = answer.header(&LOCATION).and_then(|text| call.url.join(text).ok()) else {
                let message = "a redirect that leads nowhere".to_owned();
                return Err(Error::BadAnswer { url: shown(&start), message });
            };
            if !matches!(call.method, Method::GET | Method::HEAD) {
                return Err(refuse(&target, "only reading is redirected"));
            }
            call.url = without_user(target);
        }
        Err(Error::Forbidden { url: shown(&start), target: origin(&call.url), reason: "too many redirects in a row" })
    }

    fn once(&self, call: &Call<'_>, start: &Url) -> Result<Answer, Error> {
        let reach = self.reach(call, start)?;
        let client = self.clients.get(reach)?;
        let mut request = client.request(call.method.clone(), call.url.clone());
        if !matches!(call.method, Method::GET | Method::HEAD) {
            request = request.body(call.body.clone());
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some((value, server)) = &call.authorization
            && (same_origin(&call.url, server) || self.trusted == Trusted::Everybody)
        {
            request = request.header(AUTHORIZATION, value);
        }
        let deadline = Instant::now() + PATIENCE;
        let response = request.send().map_err(|error| self.not_sent(&call.url, start, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let url = shown(&call.url);
        if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
            return Err(Error::Unreachable { url, message: format!("the server answers {status}") });
        }
        let limit = if status.is_success() { call.limit } else { MAX_WORDS };
        if status.is_success()
            && response.content_length().is_some_and(|length| length > limit)
            && call.method == Method::GET
        {
            return Err(Error::TooBig { url, limit });
        }
        let packed = headers.get(CONTENT_ENCODING).is_some_and(|value| value == "gzip") && call.asks_for_gzip();
        let timed = Timed { source: response, deadline };
        let body = if packed { read(MultiGzDecoder::new(timed), limit) } else { read(timed, limit) };
        let body = body.map_err(|error| self.not_read(&url, &error))?;
        if body.len() as u64 > limit {
            // An error's words may be cut; anything else is whole or nothing.
            if status.is_success() {
                return Err(Error::TooBig { url, limit });
            }
        }
        Ok(Answer { url: call.url.clone(), status, headers, body })
    }

    /// How near an address may lead, having checked what can be told from its text.
    fn reach(&self, call: &Call<'_>, start: &Url) -> Result<Reach, Error> {
        let (url, home) = (&call.url, call.home);
        let refuse = |reason| Error::Forbidden { url: shown(start), target: origin(url), reason };
        let host = url.host_str().unwrap_or_default();
        let is_allowed = self.allowed_hosts.contains(host.trim_matches(['[', ']']));
        let allowed = match url.host_str() == home.host_str() {
            _ if is_allowed => Reach::Link,
            true => Reach::Machine,
            false => self.reach_of(home)?,
        };
        if let Some(reach) = Reach::of_literal(url).filter(|reach| *reach > allowed) {
            return Err(refuse(reach.words()));
        }
        match url.scheme() {
            "https" => Ok(allowed),
            "http" if home.scheme() == "https" => Err(refuse("it would no longer be encrypted")),
            "http" if is_loopback(host) || self.plain_http() => Ok(allowed),
            "http" => Err(Error::Plaintext(origin(url))),
            _ => Err(refuse("it is not HTTP")),
        }
    }

    /// How near the server is that was configured. A proxy looks names up itself.
    fn reach_of(&self, home: &Url) -> Result<Reach, Error> {
        let literal = Reach::of_literal(home);
        let reach = match literal {
            Some(reach) => reach,
            None if self.clients.settings().proxy.is_some() => Reach::World,
            None => Reach::of_host(home)
                .map_err(|error| Error::Unreachable { url: shown(home), message: error.to_string() })?,
        };
        Ok(reach.min(Reach::Machine))
    }

    fn not_sent(&self, url: &Url, start: &Url, error: reqwest::Error) -> Error {
        if let Some(Forbidden { reach, .. }) = Forbidden::within(&error) {
            return Error::Forbidden { url: shown(start), target: origin(url), reason: reach.words() };
        }
        let url = shown(url);
        if error.is_timeout() && !error.is_connect() {
            return Error::TimedOut { url, seconds: self.silence() };
        }
        Error::Unreachable { url, message: chain(error) }
    }

    fn not_read(&self, url: &str, error: &io::Error) -> Error {
        let url = url.to_owned();
        let of_client = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
        if error.kind() == io::ErrorKind::TimedOut || of_client.is_some_and(reqwest::Error::is_timeout) {
            return Error::TimedOut { url, seconds: self.silence() };
        }
        if of_client.is_none() && error.kind() == io::ErrorKind::Other {
            return Error::TimedOut { url, seconds: PATIENCE.as_secs() };
        }
        Error::Unreachable { url, message: "the answer ends early".to_owned() }
    }

    fn silence(&self) -> u64 {
        self.clients.settings().timeouts.silence.as_secs()
    }
}

impl Call<'_> {
    fn asks_for_gzip(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == http::header::ACCEPT_ENCODING)
    }
}

fn without_user(mut url: Url) -> Url {
    // An address without a host cannot hold them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// One byte more than allowed is read: it tells that there is more.
fn read(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Ends a stream that trickles on past its time.
struct Timed<R> {
    source: R,
    deadline: Instant,
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.deadline {
            return Err(io::Error::other("it takes too long"));
        }
        self.source.read(buffer)
    }
}
