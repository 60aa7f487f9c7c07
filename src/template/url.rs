//! URLs as Go's `net/url` takes them apart and puts them together.

use super::strconv::quote;

/// A URL in parts; path, fragment, user and password are unescaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) opaque: String,
    pub(crate) user: Option<User>,
    pub(crate) host: String,
    pub(crate) path: String,
    /// The path as it was written, where that is not how it would be escaped.
    pub(crate) raw_path: String,
    pub(crate) query: String,
    pub(crate) force_query: bool,
    pub(crate) fragment: String,
    pub(crate) raw_fragment: String,
    pub(crate) omit_host: bool,
}

/// User name and perhaps a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    name: String,
    password: Option<String>,
}

/// Where a text stands decides what is escaped in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    User,
    Fragment,
}

type Result<T> = std::result::Result<T, String>;

impl Url {
    /// Reads a URL; the error is Go's: `parse "..": ..`.
    pub(crate) fn parse(text: &str) -> Result<Url> {
        let fail = |text: &str, error: String| format!("parse {}: {error}", quote(text.as_bytes()));
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = Self::parse_without_fragment(rest).map_err(|error| fail(rest, error))?;
        if !fragment.is_empty() {
            url.fragment = unescape(fragment, Place::Fragment).map_err(|error| fail(text, error))?;
            if escape(&url.fragment, Place::Fragment) != fragment {
                fragment.clone_into(&mut url.raw_fragment);
            }
        }
        Ok(url)
    }

    /// Reads a URL as a request names it: absolute, or a path; `#` is a letter like any other.
    pub(crate) fn parse_request(text: &str) -> Result<Url> {
        let url = Self::parse_without_fragment(text)?;
        if url.scheme.is_empty() && !text.starts_with('/') && text != "*" {
            return Err("invalid URI for request".to_owned());
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &str) -> Result<Url> {
        if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let mut url = Url::default();
        if text == "*" {
            url.path = "*".to_owned();
            return Ok(url);
        }
        let (scheme, mut rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        if rest.ends_with('?') && rest.matches('?').count() == 1 {
            url.force_query = true;
            rest = &rest[..rest.len() - 1];
        } else if let Some((before, query)) = rest.split_once('?') {
            rest = before;
            query.clone_into(&mut url.query);
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                // Without a slash there is nothing to take apart: mailto:someone.
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
        }
        if (!url.scheme.is_empty() || !rest.starts_with("///")) && rest.starts_with("//") {
            let (authority, path) = rest[2..].split_at(rest[2..].find('/').unwrap_or(rest.len() - 2));
            rest = path;
            (url.user, url.host) = parse_authority(authority)?;
        } else if !url.scheme.is_empty() && rest.starts_with('/') {
            url.omit_host = true;
        }
        url.path = unescape(rest, Place::Path)?;
        if escape(&url.path, Place::Path) != rest {
            rest.clone_into(&mut url.raw_path);
        }
        Ok(url)
    }

    /// The host without its port, and without the brackets of an IPv6 address.
    pub(crate) fn hostname(&self) -> &str {
        let host = &self.host;
        if let Some(inner) = host.strip_prefix('[')
            && let Some((address, _)) = inner.split_once(']')
        {
            return address;
        }
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }

    /// Sets the user from text as it stands in a URL.
    pub(crate) fn set_user(&mut self, text: &str) -> Result<()> {
        self.user = Url::parse(&format!("proto://{text}@host"))?.user;
        Ok(())
    }

    fn escaped_path(&self) -> String {
        let is_valid =
            !self.raw_path.is_empty() && unescape(&self.raw_path, Place::Path).is_ok_and(|path| path == self.path);
        match self.path.as_str() {
            _ if is_valid => self.raw_path.clone(),
            "*" => "*".to_owned(),
            path => escape(path, Place::Path),
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        if !self.scheme.is_empty() {
            text.push_str(&format!("{}:", self.scheme));
        }
        if !self.opaque.is_empty() {
            text.push_str(&self.opaque);
        } else {
            let has_authority = !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some();
            let is_hidden = self.omit_host && self.host.is_empty() && self.user.is_none();
            if has_authority && !is_hidden {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    text.push_str("//");
                }
                if let Some(user) = &self.user {
                    text.push_str(&format!("{user}@"));
                }
                text.push_str(&escape(&self.host, Place::Host));
            }
            let path = self.escaped_path();
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                text.push('/');
            }
            // A colon in the first segment would make it a scheme.
            if text.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                text.push_str("./");
            }
            text.push_str(&path);
        }
        if self.force_query || !self.query.is_empty() {
            text.push_str(&format!("?{}", self.query));
        }
        if !self.fragment.is_empty() {
            let raw = &self.raw_fragment;
            let is_valid = !raw.is_empty() && unescape(raw, Place::Fragment).is_ok_and(|text| text == self.fragment);
            let fragment = if is_valid { raw.clone() } else { escape(&self.fragment, Place::Fragment) };
            text.push_str(&format!("#{fragment}"));
        }
        out.write_str(&text)
    }
}

impl std::fmt::Display for User {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&escape(&self.name, Place::User))?;
        match &self.password {
            Some(password) => write!(out, ":{}", escape(password, Place::User)),
            None => Ok(()),
        }
    }
}

fn split_scheme(text: &str) -> Result<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_authority(authority: &str) -> Result<(Option<User>, String)> {
    let (user, host) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((user, host)) => (Some(user), host),
    };
    let host = parse_host(host)?;
    let Some(user) = user else { return Ok((None, host)) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(allowed) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
    let password = password.map(|password| unescape(password, Place::User)).transpose()?;
    Ok((Some(User { name: unescape(name, Place::User)?, password }), host))
}

fn parse_host(host: &str) -> Result<String> {
    if host.starts_with('[') {
        let Some(end) = host.rfind(']') else { return Err("missing ']' in host".to_owned()) };
        check_port(&host[end + 1..])?;
        return unescape(host, Place::Host);
    }
    if let Some(at) = host.rfind(':') {
        check_port(&host[at..])?;
    }
    unescape(host, Place::Host)
}

fn check_port(port: &str) -> Result<()> {
    let valid = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    if valid { Ok(()) } else { Err(format!("invalid port {} after host", quote(port.as_bytes()))) }
}

/// Whether a byte is written as `%XX` in this place.
fn is_escaped(byte: u8, place: Place) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return false;
    }
    match place {
        Place::Host => !b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Place::Path => !b"$&+,/:;=@".contains(&byte),
        Place::User => !b"$&+,;=".contains(&byte),
        Place::Fragment => !b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn escape(text: &str, place: Place) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_escaped(byte, place) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn unescape(text: &str, place: Place) -> Result<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            if place == Place::Host && byte < 0x80 && is_escaped(byte, place) {
                let part = quote(&bytes[at..=at]);
                return Err(format!("invalid character {part} in host name"));
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let end = bytes.len().min(at + 3);
        let code = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let Some(code) = code else {
            return Err(format!("invalid URL escape {}", quote(&bytes[at..end])));
        };
        // Only bytes outside of ASCII, and the zone of an IPv6 address, are escaped in hosts.
        if place == Place::Host && code < 0x80 && code != b'%' {
            return Err(format!("invalid URL escape {}", quote(&bytes[at..end])));
        }
        out.push(code);
        at += 3;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
