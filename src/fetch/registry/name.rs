//! The name of a chart in a registry: `oci://HOST[:PORT]/PATH/NAME[:TAG][@sha256:DIGEST]`.

use std::fmt;

use url::Url;

use crate::fetch::error::Error;
use crate::fetch::place::not_a_name;

const MAX_REPOSITORY: usize = 255;

/// A chart in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// `host` or `host:port`.
    pub registry: String,
    /// Path and name.
    pub repository: String,
    /// Version as it is written in charts, with `+` where the registry has `_`.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

/// `oci://` and all of it.
impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(out, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(out, "@{digest}")?;
        }
        Ok(())
    }
}

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// The text is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| not_a_name(text, reason);
        let rest = text.strip_prefix("oci://").ok_or_else(|| wrong("it does not begin with oci://"))?;
        let (registry, path) = rest.split_once('/').ok_or_else(|| wrong("the path behind the host is missing"))?;
        if registry.contains('@') {
            return Err(wrong("credentials do not belong into an address"));
        }
        let (path, digest) = match path.rsplit_once('@') {
            Some((path, digest)) => (path, Some(digest.to_owned())),
            None => (path, None),
        };
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (path, None),
        };
        let name = Name { registry: registry.to_owned(), repository: repository.to_owned(), tag, digest };
        name.check().map_err(|reason| wrong(&reason))?;
        Ok(name)
    }

    fn check(&self) -> Result<(), String> {
        let host = Url::parse(&format!("https://{}/", self.registry)).ok();
        let is_host = host.is_some_and(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
        if !is_host || self.registry.is_empty() {
            return Err("the host is none".to_owned());
        }
        if self.repository.len() > MAX_REPOSITORY || !self.repository.split('/').all(is_component) {
            return Err(format!("{:?} is no path of small letters, digits and single . _ - inside", self.repository));
        }
        if let Some(tag) = self.tag.as_ref().filter(|tag| !is_tag(&to_tag(tag))) {
            return Err(format!("{tag:?} is no tag"));
        }
        if let Some(digest) = self.digest.as_ref().filter(|digest| sha256(digest).is_none()) {
            return Err(format!("{digest:?} is no digest: sha256: and 64 hexadecimal digits"));
        }
        Ok(())
    }

    /// The same chart at another tag, by its version.
    pub(in crate::fetch) fn at(&self, version: &str) -> Result<Self, Error> {
        let name = Name { tag: Some(version.to_owned()), digest: None, ..self.clone() };
        name.check().map_err(|reason| not_a_name(&name.to_string(), &reason))?;
        Ok(name)
    }

    /// What stands behind `/manifests/` to name it, if it says that much.
    pub(super) fn reference(&self) -> Option<String> {
        self.digest.clone().or_else(|| self.tag.as_deref().map(to_tag))
    }

    /// The host without its port.
    pub(super) fn host(&self) -> &str {
        match self.registry.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.registry,
        }
    }

    /// The server that answers for it.
    pub(super) fn server(&self, scheme: &str) -> Result<Url, Error> {
        // What people call docker.io answers under another name.
        let registry = if self.registry == "docker.io" { "registry-1.docker.io" } else { &self.registry };
        Url::parse(&format!("{scheme}://{registry}/"))
            .map_err(|error| not_a_name(&self.to_string(), &error.to_string()))
    }
}

/// The digits of a SHA-256 digest.
pub(in crate::fetch) fn sha256(digest: &str) -> Option<&str> {
    let digits = digest.strip_prefix("sha256:")?;
    (digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then_some(digits)
}

/// A version as a tag: registries allow no `+`.
pub(in crate::fetch) fn to_tag(version: &str) -> String {
    version.replace('+', "_")
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = text.bytes().next().is_some_and(is_word);
    first && text.len() <= 128 && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// Small letters and digits with `.`, `_`, `__` or dashes between them.
fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let plain_ends = ends.iter().all(|byte| byte.is_some_and(|byte| is_plain(*byte)));
    let mut separators = text.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let between = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    plain_ends && separators.all(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let name = Name::parse(&format!("oci://localhost:5000/charts/my-web:1.0.0+b@{digest}")).unwrap();
        assert_eq!((name.registry.as_str(), name.repository.as_str()), ("localhost:5000", "charts/my-web"));
        assert_eq!((name.tag.as_deref(), name.digest.as_deref()), (Some("1.0.0+b"), Some(digest.as_str())));
        assert_eq!(name.reference(), Some(digest));
        let name = Name::parse("oci://example.org/web").unwrap();
        assert_eq!((name.tag.clone(), name.reference()), (None, None));
        assert_eq!(name.at("1.0.0+b").unwrap().reference().as_deref(), Some("1.0.0_b"));
        for wrong in [
            "example.org/web",
            "oci://example.org",
            "oci://example.org/",
            "oci:///web",
            "oci://u:p@example.org/web",
            "oci://example.org/Web",
            "oci://example.org/a//b",
            "oci://example.org/../b",
            "oci://example.org/a?b",
            "oci://exa mple.org/a",
            "oci://example.org#/a",
            "oci://example.org/a:",
            "oci://example.org/a:-x",
            "oci://example.org/a@sha256:abc",
            "oci://example.org/a@sha512:abc",
            "oci://example.org/a___b",
            "oci://example.org/-a",
        ] {
            let error = Name::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("names no chart") && !error.contains("u:p"), "{error}");
        }
        for right in ["a--b/c", "a.b/c_d/e__f", "0/1"] {
            assert!(Name::parse(&format!("oci://[::1]:5000/{right}")).is_ok(), "{right}");
        }
    }

    #[test]
    fn the_host_is_told_from_its_port() {
        let host = |text: &str| Name::parse(text).unwrap().host().to_owned();
        assert_eq!(host("oci://localhost:5000/a"), "localhost");
        assert_eq!(host("oci://[::1]/a"), "[::1]");
        assert_eq!(host("oci://[::1]:5000/a"), "[::1]");
        let server = Name::parse("oci://docker.io/me/a").unwrap().server("https").unwrap();
        assert_eq!(server.as_str(), "https://registry-1.docker.io/");
    }
}
