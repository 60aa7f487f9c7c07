//! A real registry (`distribution`) on loopback: open, behind passwords, or behind a token server.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use serde_json::json;

use super::cluster::{Folder, Process, find, wait_until};
use super::http::{HttpServer, Seen, reply};

/// User and password that registries behind passwords and tokens know.
pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "canary-password";

/// A running registry; dropping it ends it.
pub(crate) struct Registry {
    // Dropped in this order: the folder waits for the process that runs in it.
    _process: Process,
    tokens: Option<TokenServer>,
    address: String,
    _folder: Folder,
}

impl Registry {
    /// The registry that all tests of this process share: open to everybody. Tests take names of their own.
    pub(crate) fn shared() -> &'static Registry {
        static SHARED: OnceLock<Registry> = OnceLock::new();
        SHARED.get_or_init(|| Registry::start("", None))
    }

    /// One that wants user and password.
    pub(crate) fn with_password() -> Registry {
        Registry::start("auth: {htpasswd: {realm: test, path: htpasswd}}", None)
    }

    /// One that wants a token, which a server of its own gives: to everybody for reading, to the user for writing.
    pub(crate) fn with_tokens() -> Registry {
        let tokens = TokenServer::start();
        let url = tokens.server.url();
        let auth = format!(
            "auth: {{token: {{realm: \"{url}/token\", service: registry, issuer: test, rootcertbundle: root.pem}}}}"
        );
        Registry::start(&auth, Some(tokens))
    }

    #[track_caller]
    fn start(auth: &str, tokens: Option<TokenServer>) -> Registry {
        match Registry::try_start(auth, tokens) {
            Ok(registry) => registry,
            Err(error) => panic!("the registry did not start: {error:#}"),
        }
    }

    fn try_start(auth: &str, tokens: Option<TokenServer>) -> Result<Registry> {
        let program = find("registry")?;
        let folder = Folder::new("bowline-registry-")?;
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: \"127.0.0.1:0\", secret: test}}\n{auth}\n"
        );
        fs::write(folder.path().join("config.yaml"), config)?;
        fs::write(folder.path().join("htpasswd"), format!("{USER}:{}\n", bcrypt::hash(PASSWORD, 4)?))?;
        if let Some(tokens) = &tokens {
            fs::write(folder.path().join("root.pem"), &tokens.certificate)?;
        }
        let mut command = std::process::Command::new(program);
        command.args(["serve", "config.yaml"]).current_dir(folder.path()).env("OTEL_TRACES_EXPORTER", "none");
        let process = Process::start(folder.path(), "registry", &command)?;
        let address = wait_until(Duration::from_secs(60), || listening(&process))?;
        Ok(Registry { _process: process, tokens, address, _folder: folder })
    }

    /// `oci://host:port`.
    pub(crate) fn url(&self) -> String {
        format!("oci://{}", self.address)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Takes the requests to the token server since the last call.
    pub(crate) fn token_requests(&self) -> Vec<Seen> {
        self.tokens.as_ref().map(|tokens| tokens.server.requests()).unwrap_or_default()
    }
}

/// The address in the registry's log: it takes a free port, so that none can be taken from it.
fn listening(process: &Process) -> Result<String> {
    let log = process.log();
    let Some((_, rest)) = log.split_once("listening on ") else {
        bail!("{}", process.log_tail());
    };
    let address: String =
        rest.chars().take_while(|letter| letter.is_ascii_digit() || matches!(letter, '.' | ':')).collect();
    Ok(address)
}

/// Gives tokens that the registry believes.
struct TokenServer {
    server: HttpServer,
    certificate: String,
}

impl TokenServer {
    fn start() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = CertificateParams::new(vec!["test".to_owned()]).and_then(|params| params.self_signed(&key));
        let certificate = certificate.expect("a certificate can be made");
        let (pem, chain) = (certificate.pem(), STANDARD.encode(certificate.der()));
        let count = Arc::new(AtomicUsize::new(0));
        let server = HttpServer::start(None, move |seen, stream, _| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            match grant(seen, number) {
                Some(claims) => {
                    let token = sign(&key, &chain, &claims).map_err(std::io::Error::other)?;
                    let answer = json!({"token": token, "expires_in": 300}).to_string();
                    reply(stream, "200 OK", &[("Content-Type", "application/json")], answer.as_bytes())
                }
                None => reply(stream, "401 Unauthorized", &[], b"{\"details\": \"canary\"}"),
            }
        });
        TokenServer { server, certificate: pem }
    }
}

/// What a token may: reading for everybody, writing for the user; a wrong password gets none at all.
fn grant(seen: &Seen, number: usize) -> Option<serde_json::Value> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let is_user = match seen.authorization() {
        None => false,
        Some(found) if found == expected => true,
        Some(_) => return None,
    };
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    let scopes = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "scope");
    let access: Vec<serde_json::Value> = scopes
        .filter_map(|(_, scope)| {
            let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
            let actions: Vec<&str> = actions.split(',').filter(|action| is_user || *action == "pull").collect();
            Some(json!({"type": "repository", "name": name, "actions": actions}))
        })
        .collect();
    let now = chrono::Utc::now().timestamp();
    Some(json!({
        "iss": "test", "sub": USER, "aud": "registry", "exp": now + 300, "nbf": now - 60, "iat": now - 60,
        "jti": number.to_string(), "access": access,
    }))
}

fn sign(key: &KeyPair, chain: &str, claims: &serde_json::Value) -> Result<String> {
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [chain]});
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature).context("no ECDSA signature")?)))
}

/// The two numbers of a signature, 32 bytes each, out of their ASN.1 form.
fn fixed(der: &[u8]) -> Option<[u8; 64]> {
    let [0x30, _, rest @ ..] = der else { return None };
    let mut out = [0; 64];
    let mut rest = rest;
    for half in out.chunks_mut(32) {
        let [0x02, length, tail @ ..] = rest else { return None };
        let (number, tail) = tail.split_at_checked(usize::from(*length))?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        half[32_usize.checked_sub(number.len())?..].copy_from_slice(number);
        rest = tail;
    }
    Some(out)
}
