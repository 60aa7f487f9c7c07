//! Where a source is: one address, taken apart so that no password in it can be printed.

use std::path::PathBuf;

use url::Url;

use super::error::Error;
use crate::net::{Secret, is_loopback, shown};

/// An address without the credentials that stood in it.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) place: Place,
    /// User and password that the address held.
    pub(super) credentials: Option<(String, Secret)>,
}

/// How the place is reached.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// `https`, `http`.
    Http(Url),
    /// `ssh://`, `user@host:path`.
    Ssh { url: String, host: String, port: u16, user: String },
    /// `git://`.
    Git { url: String, host: String },
    /// `file://`, a path.
    Local(PathBuf),
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |message: &str| Error::Invalid { field: "url", message: message.to_owned() };
        if text.is_empty() || text.contains(['\0', '\n']) {
            return Err(invalid("is empty or not one line"));
        }
        if !text.contains("://") {
            return Ok(short_ssh(text).unwrap_or_else(|| Address::of(Place::Local(PathBuf::from(text)))));
        }
        let mut url = Url::parse(text).map_err(|error| invalid(&format!("is not an address: {error}")))?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| invalid("file:// takes an absolute path of this machine"))?;
            return Ok(Address::of(Place::Local(path)));
        }
        let Some(host) = url.host_str().map(str::to_owned).filter(|host| !host.is_empty()) else {
            return Err(invalid("has no host"));
        };
        let user = decoded(url.username());
        let password = url.password().map(decoded);
        let cut = url.set_password(None).and_then(|()| url.set_username(""));
        cut.map_err(|()| invalid("has no host"))?;
        url.set_fragment(None);
        let credentials = password.map(|password| (user.clone(), Secret::given(password)));
        let place = match url.scheme() {
            "https" | "http" => {
                let credentials = credentials.or_else(|| (!user.is_empty()).then(|| (user, Secret::given(""))));
                return Ok(Address { place: Place::Http(url), credentials });
            }
            "ssh" => {
                let user = if user.is_empty() { "git".to_owned() } else { user };
                let port = url.port().unwrap_or(22);
                let url = format!("ssh://{user}@{host}:{port}{}", url.path());
                Place::Ssh { url, host: host.trim_matches(['[', ']']).to_owned(), port, user }
            }
            "git" => Place::Git { url: url.to_string(), host },
            other => return Err(invalid(&format!("{other}:// is not spoken; use https, ssh, file or a path"))),
        };
        Ok(Address { place, credentials })
    }

    fn of(place: Place) -> Self {
        Address { place, credentials: None }
    }

    /// The address as it may be printed: no user of `https`, no password, no query.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Http(url) => shown(url),
            Place::Ssh { url, .. } | Place::Git { url, .. } => url.clone(),
            Place::Local(path) => path.display().to_string(),
        }
    }

    /// Refuses addresses that do not encrypt, unless they stay on this machine or are allowed.
    pub(super) fn check_plaintext(&self, allowed: bool) -> Result<(), Error> {
        let open = match &self.place {
            Place::Http(url) => url.scheme() == "http" && !url.host_str().is_some_and(is_loopback),
            Place::Git { host, .. } => !is_loopback(host),
            Place::Ssh { .. } | Place::Local(_) => false,
        };
        if open && !allowed { Err(Error::Plaintext { url: self.shown() }) } else { Ok(()) }
    }
}

/// Cuts user, password, query and fragment from an address, so that it can be printed.
///
/// ```
/// use bowline::source::printable;
/// assert_eq!(printable("https://me:token@example.org/r.git?key=s"), "https://example.org/r.git");
/// assert_eq!(printable("git@example.org:r.git"), "git@example.org:r.git");
/// ```
pub fn printable(address: &str) -> String {
    Address::parse(address).map_or_else(|_| "an address that cannot be read".to_owned(), |address| address.shown())
}

/// `user@host:path`: a colon before any slash, and not a path of one letter's drive.
fn short_ssh(text: &str) -> Option<Address> {
    let (before, path) = text.split_once(':')?;
    if before.is_empty() || before.contains('/') || path.is_empty() {
        return None;
    }
    let (user, host) = before.split_once('@').unwrap_or(("git", before));
    if host.is_empty() {
        return None;
    }
    let url = format!("{user}@{host}:{path}");
    Some(Address::of(Place::Ssh { url, host: host.to_owned(), port: 22, user: user.to_owned() }))
}

/// Undoes `%41`; what is no such triple stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| byte == b'%') {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let place = |text: &str| format!("{:?}", Address::parse(text).unwrap().place);
        assert!(place("git@example.org:team/r.git").contains("host: \"example.org\", port: 22, user: \"git\""));
        assert!(place("ssh://me@example.org:2222/r.git").contains("port: 2222, user: \"me\""));
        assert!(place("ssh://[::1]:2222/r.git").contains("host: \"::1\""));
        assert!(place("file:///srv/r.git").starts_with("Local(\"/srv/r.git\")"));
        for path in ["/srv/r.git", "./r", "r", "../a:b/c"] {
            assert_eq!(place(path), format!("Local({path:?})"));
        }
        for wrong in ["", "https://", "ftp://example.org/r", "file://other.host/r", "a\nb"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for text in [
            "https://me:canary@example.org/r.git",
            "https://canary@example.org/r.git",
            "https://example.org/r.git?private_token=canary#canary",
            "ssh://git:canary@example.org/r.git",
        ] {
            assert!(!printable(text).contains("canary"), "{}", printable(text));
            assert!(!format!("{:?}", Address::parse(text).unwrap().credentials).contains("canary\")"));
        }
        let (user, password) = Address::parse("https://a%40b:p%3Aq@h/r").unwrap().credentials.unwrap();
        assert_eq!((user.as_str(), password.reveal().unwrap().as_str()), ("a@b", "p:q"));
    }

    #[test]
    fn plaintext_stays_on_this_machine() {
        let refused = |text: &str| Address::parse(text).unwrap().check_plaintext(false).is_err();
        assert!(
            refused("http://example.org/r") && refused("git://example.org/r") && refused("http://127.0.0.1.nip.io/r")
        );
        assert!(!refused("http://127.0.0.1:8080/r") && !refused("http://[::1]/r") && !refused("http://localhost/r"));
        assert!(!refused("https://example.org/r") && !refused("git@example.org:r"));
    }
}
