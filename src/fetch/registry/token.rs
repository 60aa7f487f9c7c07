//! How a registry lets us in: it says what it wants, and we show a password there, or fetch a token with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use http_auth::{ChallengeParser, ChallengeRef};
use serde::Deserialize;
use url::Url;

use crate::fetch::error::Error;
use crate::fetch::logins::{Login, Logins};
use crate::fetch::place::web_address;
use crate::fetch::web::{Access, Answer, Call, Credentials, basic, bearer};
use crate::net::shown;

const MAX_ANSWER: u64 = 1 << 20;
/// What the protocol takes for granted when a server does not say how long its token is good.
const LIFETIME: Duration = Duration::from_secs(60);
/// A token is not used in its last moments.
const MARGIN: Duration = Duration::from_secs(10);

/// Headers that let us in, by registry and scope, until they expire.
#[derive(Default)]
pub(in crate::fetch) struct Tokens(Mutex<BTreeMap<(String, String), (HeaderValue, Instant)>>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("***")
    }
}

impl Tokens {
    pub(super) fn find(&self, registry: &str, scope: &str) -> Option<HeaderValue> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = tokens.get(&(registry.to_owned(), scope.to_owned()))?;
        (Instant::now() < *until).then(|| value.clone())
    }

    fn keep(&self, registry: &str, scope: &str, value: HeaderValue, until: Instant) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tokens.retain(|_, (_, until)| now < *until);
        tokens.insert((registry.to_owned(), scope.to_owned()), (value, until));
    }
}

/// What a server wants to see.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Password,
    Token { realm: String, service: String, scope: Option<String> },
}

/// Makes the header that an answer of 401 asks for, and keeps it.
pub(super) fn enter(
    access: &Access,
    logins: &Logins,
    registry: &str,
    home: &Url,
    scope: &str,
    refusal: &Answer,
) -> Result<HeaderValue, Error> {
    let login = who(access, logins, registry)?;
    let far = Instant::now() + Duration::from_secs(24 * 3600);
    let refused =
        |message: &str| Error::Refused { url: shown(home), message: message.to_owned(), hint: helped(&login) };
    let challenge = refusal.challenges().find_map(challenge);
    let (value, until) = match (challenge, &login) {
        (_, Login::Registry(token)) => (bearer(token)?, far),
        (Some(Challenge::Password), Login::User { username, password }) => (basic(username, password)?, far),
        (Some(Challenge::Password), Login::Identity(_)) => {
            return Err(refused("it wants a password, and there is a token only"));
        }
        (Some(Challenge::Password), _) => return Err(refused("401, it wants credentials and there are none")),
        (Some(Challenge::Token { realm, service, scope: wanted }), login) => {
            // What we are about to do may need more than the request that was refused.
            let is_ours = |wanted: &&str| {
                wanted.rsplit_once(':').map(|(name, _)| name) == scope.rsplit_once(':').map(|(name, _)| name)
            };
            let scope = wanted.as_deref().filter(|wanted| !is_ours(wanted)).unwrap_or(scope);
            fetch(access, home, &realm, &service, scope, login)?
        }
        (None, _) => return Err(refused("401, and it does not say what it wants")),
    };
    access.tokens.keep(registry, scope, value.clone(), until);
    Ok(value)
}

/// The way out when a server refuses us.
pub(super) fn helped(login: &Login) -> Option<String> {
    match login {
        Login::Helper { program, file } => Some(format!(
            "{} leaves the password to docker-credential-{program}, which is not run: give --username and --password, or \
             write the login into the file",
            file.display()
        )),
        Login::Unknown => {
            Some("log in (`helm registry login`, `docker login`), or give --username and --password".to_owned())
        }
        _ => None,
    }
}

/// Who we are: as the access says, else as the files say.
pub(super) fn who(access: &Access, logins: &Logins, registry: &str) -> Result<Login, Error> {
    match &access.credentials {
        Credentials::None => logins.find(registry),
        Credentials::Basic { username, password } => {
            Ok(Login::User { username: username.clone(), password: password.reveal()? })
        }
        Credentials::Bearer(token) => Ok(Login::Registry(token.reveal()?)),
    }
}

fn challenge(header: &str) -> Option<Challenge> {
    let of = |challenge: &ChallengeRef<'_>| {
        let find = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Password);
        }
        let is_token = challenge.scheme.eq_ignore_ascii_case("bearer");
        let realm = find("realm").filter(|_| is_token)?;
        Some(Challenge::Token { realm, service: find("service").unwrap_or_default(), scope: find("scope") })
    };
    ChallengeParser::new(header).filter_map(Result::ok).find_map(|challenge| of(&challenge))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Fetches a token. The registry may name another server for it, as it could ask for the password itself; that server
/// must be as well encrypted, and no nearer to us.
fn fetch(
    access: &Access,
    home: &Url,
    realm: &str,
    service: &str,
    scope: &str,
    login: &Login,
) -> Result<(HeaderValue, Instant), Error> {
    let wrong = |message: &str| Error::BadAnswer { url: shown(home), message: message.to_owned() };
    let mut url = web_address(realm).map_err(|_| wrong("it names no address to fetch tokens from"))?;
    let realm = url.clone();
    let wanted = [("service", service), ("scope", scope), ("client_id", "bowline")];
    let mut call = Call::get(url.clone(), home, MAX_ANSWER);
    match login {
        Login::Identity(token) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(wanted).extend_pairs([("grant_type", "refresh_token"), ("refresh_token", token)]);
            call = call.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            (call.method, call.body) = (Method::POST, form.finish().into_bytes());
        }
        other => {
            url.query_pairs_mut().extend_pairs(wanted.iter().filter(|(_, value)| !value.is_empty()));
            call.url = url;
            if let Login::User { username, password } = other {
                call.authorization = Some((basic(username, password)?, realm.clone()));
            }
        }
    }
    let answer = access.ask(&call)?;
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST) {
        let message = format!("{} gives no token: {}", shown(&realm), answer.status);
        return Err(Error::Refused { url: shown(home), message, hint: helped(login) });
    }
    let granted: Granted = serde_json::from_slice(&answer.success()?.body).unwrap_or_default();
    let token = granted.token.or(granted.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| wrong("the server that it names for tokens sends none"))?;
    let lifetime = granted.expires_in.map_or(LIFETIME, |seconds| Duration::from_secs(seconds.min(24 * 3600)));
    Ok((bearer(&token)?, Instant::now() + lifetime.saturating_sub(MARGIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_wants_is_understood() {
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Password));
        let token = challenge("Bearer realm=\"https://a/token\",service=\"s\",scope=\"repository:a/b:pull,push\"");
        let expected = Challenge::Token {
            realm: "https://a/token".to_owned(),
            service: "s".to_owned(),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(token, Some(expected));
        assert!(matches!(challenge("Negotiate, bearer REALM=\"r\""), Some(Challenge::Token { .. })));
        for none in ["", "Digest realm=\"x\"", "Bearer service=\"s\"", "=,=\"", "Bearer realm=\"x"] {
            assert_eq!(challenge(none), None, "{none}");
        }
    }
}
