//! `POST /hook/<source>`: a forge says that something was pushed. A hint to look, never more: the payload is not read.
//!
//! ```text
//! no such source, no secret   404      body over 1 MiB   413, before it is read
//! no signature                401      wrong signature   403      good   202, and the source is looked at soon
//! ```
//! The signature is HMAC-SHA256 over the raw bytes, compared in constant time. A burst of calls is one look now and one
//! after the pause: nothing is lost, and the Git server is asked at most once in a pause.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::net::Secret;

/// Largest body that is read.
pub const MAX_BODY: usize = 1 << 20;
/// Shortest time between two looks at one source because of webhooks.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Why a call is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It carries no signature that we know.
    Unsigned,
    /// The signature is not that of these bytes under this secret.
    Wrong,
}

/// How a forge signs, in the order in which headers are looked for.
const SIGNATURES: [(&str, Form); 5] = [
    ("x-bowline-signature", Form::Hmac),
    ("x-hub-signature-256", Form::Hmac), // GitHub
    ("x-forgejo-signature", Form::Hmac),
    ("x-gitea-signature", Form::Hmac),
    ("x-gitlab-token", Form::Token),
];

#[derive(Clone, Copy)]
enum Form {
    /// HMAC-SHA256 of the body in hexadecimal digits, with or without `sha256=` in front.
    Hmac,
    /// The secret itself.
    Token,
}

/// Checks a call's signature; the first header of the known forges that is there decides.
///
/// # Errors
/// See [`Denied`]. An empty secret fits nothing.
pub fn verify(headers: &HeaderMap, body: &[u8], secret: &[u8]) -> Result<(), Denied> {
    let found = SIGNATURES.iter().find_map(|(name, form)| Some((headers.get(*name)?.as_bytes(), form)));
    let (value, form) = found.ok_or(Denied::Unsigned)?;
    if secret.is_empty() {
        return Err(Denied::Wrong);
    }
    let fits = match form {
        Form::Hmac => is_hmac(value, body, secret),
        // Hashed first, so that not even the length takes longer or shorter.
        Form::Token => bool::from(Sha256::digest(value).ct_eq(&Sha256::digest(secret))),
    };
    if fits { Ok(()) } else { Err(Denied::Wrong) }
}

fn is_hmac(value: &[u8], body: &[u8], secret: &[u8]) -> bool {
    let value = value.strip_prefix(b"sha256=").unwrap_or(value);
    let Ok(claimed) = hex::decode(value) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(body);
    mac.verify_slice(&claimed).is_ok()
}

/// The sources that webhooks may ask to be looked at.
#[derive(Clone)]
pub struct Hooks(Arc<BTreeMap<String, Hook>>);

struct Hook {
    secret: Secret,
    limiter: DefaultDirectRateLimiter,
    /// A look is promised and has not begun.
    is_waiting: AtomicBool,
    look: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Hooks {
    /// Takes the secret of each source that has one, and what to call when a source is to be looked at.
    pub fn new(
        secrets: BTreeMap<String, Secret>,
        pause: Duration,
        look: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let look: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(look);
        let quota = || Quota::with_period(pause).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let hook = |secret| {
            let limiter = RateLimiter::direct(quota());
            Hook { secret, limiter, is_waiting: AtomicBool::new(false), look: look.clone() }
        };
        Hooks(Arc::new(secrets.into_iter().map(|(source, secret)| (source, hook(secret))).collect()))
    }

    /// Promises a look at a source: now, or when the pause is over; calls until then are the same look.
    fn promise(&self, source: String) {
        let Some(hook) = self.0.get(&source) else { return };
        if hook.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let hooks = self.clone();
        tokio::spawn(async move {
            let Some(hook) = hooks.0.get(&source) else { return };
            hook.limiter.until_ready().await;
            // Before the look: what is pushed while it runs needs another one.
            hook.is_waiting.store(false, Ordering::Release);
            (hook.look)(&source);
        });
    }
}

/// The routes of this module.
pub fn router(hooks: Hooks) -> Router {
    Router::new().route("/hook/{source}", post(receive)).with_state(hooks)
}

async fn receive(State(hooks): State<Hooks>, Path(source): Path<String>, headers: HeaderMap, body: Body) -> StatusCode {
    let Some(hook) = hooks.0.get(&source) else { return StatusCode::NOT_FOUND };
    let secret = match hook.secret.reveal() {
        Ok(secret) if !secret.is_empty() => secret,
        Ok(_) => {
            tracing::warn!(source, "its webhook secret is empty: the webhook stays off");
            return StatusCode::NOT_FOUND;
        }
        Err(error) => {
            tracing::warn!(source, %error, "its webhook secret cannot be read: the webhook stays off");
            return StatusCode::NOT_FOUND;
        }
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE };
    match verify(&headers, &body, secret.as_bytes()) {
        Ok(()) => {
            tracing::debug!(source, "a webhook asks for a look");
            hooks.promise(source);
            StatusCode::ACCEPTED
        }
        Err(Denied::Unsigned) => StatusCode::UNAUTHORIZED,
        Err(Denied::Wrong) => {
            tracing::warn!(source, "a webhook with a wrong signature was refused");
            StatusCode::FORBIDDEN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(axum::http::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    // The example in GitHub's documentation of webhook signatures.
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn each_forge_is_understood() {
        let prefixed = format!("sha256={SIGNATURE}");
        assert_eq!(verify(&headers("x-hub-signature-256", &prefixed), BODY, SECRET), Ok(()));
        assert_eq!(verify(&headers("x-bowline-signature", &prefixed), BODY, SECRET), Ok(()));
        assert_eq!(verify(&headers("x-gitea-signature", SIGNATURE), BODY, SECRET), Ok(()));
        assert_eq!(verify(&headers("x-forgejo-signature", SIGNATURE), BODY, SECRET), Ok(()));
        assert_eq!(verify(&headers("x-gitlab-token", "It's a Secret to Everybody"), b"anything", SECRET), Ok(()));
    }

    #[test]
    fn anything_else_is_denied() {
        assert_eq!(verify(&HeaderMap::new(), BODY, SECRET), Err(Denied::Unsigned));
        assert_eq!(verify(&headers("x-hub-signature", SIGNATURE), BODY, SECRET), Err(Denied::Unsigned), "SHA-1");
        for wrong in ["", "sha256=", &SIGNATURE[..62], &SIGNATURE[..63], "zz", &SIGNATURE.replace('7', "8"), "sha1=00"]
        {
            assert_eq!(verify(&headers("x-gitea-signature", wrong), BODY, SECRET), Err(Denied::Wrong), "{wrong}");
        }
        assert_eq!(verify(&headers("x-gitea-signature", SIGNATURE), b"Hello, World?", SECRET), Err(Denied::Wrong));
        for wrong in ["", "It's a Secret to Everybod", "It's a Secret to Everybody!"] {
            assert_eq!(verify(&headers("x-gitlab-token", wrong), BODY, SECRET), Err(Denied::Wrong), "{wrong}");
        }
        assert_eq!(
            verify(&headers("x-gitlab-token", ""), BODY, b""),
            Err(Denied::Wrong),
            "an empty secret fits nothing"
        );
    }
}
