//! Which texts Helm's lint takes for a mail address or a URL. It asks the Go library govalidator; what that accepts is
//! accepted here, its surprises included.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::Regex;

use crate::template::url::Url;

/// Letters beyond ASCII that the library knows, as the inside of a character class.
const BEYOND_ASCII: &str = r"\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}";

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).expect("the patterns are constants, and the tests use all of them")
}

static MAIL: LazyLock<Regex> = LazyLock::new(|| {
    let atom = format!(r"[a-zA-Z0-9!#$%&'*+\-/=?\^_`{{|}}~{BEYOND_ASCII}]+");
    let folded = r"(?:(?:[ \t]*\r\n)?[ \t]+)?";
    let quoted = format!(
        r#""(?:{folded}(?:[\x01-\x08\x0b\x0c\x0e-\x1f\x7f!\x23-\x5b\x5d-\x7e{BEYOND_ASCII}]|\([\x01-\x09\x0b-\x7f{BEYOND_ASCII}]))*{folded}""#
    );
    let label = format!(r"[a-zA-Z0-9{BEYOND_ASCII}](?:[a-zA-Z0-9\-._~{BEYOND_ASCII}]*[a-zA-Z0-9{BEYOND_ASCII}])?");
    let top = format!(r"[a-zA-Z{BEYOND_ASCII}](?:[a-zA-Z0-9\-_~{BEYOND_ASCII}]*[a-zA-Z{BEYOND_ASCII}])?");
    whole(&format!(r"(?:{atom}(?:\.{atom})*|{quoted})@(?:{label}\.)+{top}\.?"))
});

static URL: LazyLock<Regex> = LazyLock::new(|| {
    let solid = r"[^\t\n\f\r ]";
    let user = format!("(?:{solid}+(?::{solid}*)?@)?");
    let v4 = r"(?:[1-9][0-9]?|1[0-9][0-9]|2[01][0-9]|22[0-3]|24[0-9]|25[0-5])(?:\.(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}";
    let v6 = r"\[(?<v6>[0-9a-zA-Z:.%]+)\]";
    let names = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-_]+)?[a-zA-Z0-9](?:[\-.][a-zA-Z0-9]+)*";
    let below = r"www\.|[a-zA-Z0-9]+(?:[\-_.]?[a-zA-Z0-9])*[a-zA-Z0-9]\.[a-zA-Z0-9]+";
    let letter = r"a-zA-Z\x{A1}-\x{FFFF}";
    let label = format!("(?:[{letter}0-9]+-?-?)*[{letter}0-9]+");
    let host = format!(r"{v4}|{v6}|(?:{names}|{below})?{label}(?:\.[{letter}]+)?");
    let path = format!("(?:[/?#]{solid}*)?");
    whole(&format!(r"(?:(?:ftp|tcp|udp|wss?|https?)://)?{user}(?:{host})\.?(?::[0-9]{{1,5}})?{path}"))
});

/// A mail address.
pub(super) fn is_mail(text: &str) -> bool {
    MAIL.is_match(text)
}

/// A URL, with or without a scheme.
pub(super) fn is_url(text: &str) -> bool {
    if text.len() <= 3 || text.chars().count() >= 2083 || text.starts_with('.') {
        return false;
    }
    let with_scheme =
        if text.contains(':') && !text.contains("://") { format!("http://{text}") } else { text.to_owned() };
    let Ok(url) = Url::parse(&with_scheme) else { return false };
    if url.host.starts_with('.') || url.host.is_empty() && !url.path.is_empty() && !url.path.contains('.') {
        return false;
    }
    URL.captures(text).is_some_and(|parts| parts.name("v6").is_none_or(|address| is_v6(address.as_str())))
}

/// Only link-local addresses have a zone.
fn is_v6(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => {
            address.starts_with("fe80:") && !zone.is_empty() && address.parse::<Ipv6Addr>().is_ok()
        }
        None => text.parse::<Ipv6Addr>().is_ok(),
    }
}

/// A URL with a scheme; `data:` and `mailto:` are some, too.
pub(super) fn is_request_url(text: &str) -> bool {
    Url::parse_request(text).is_ok_and(|url| !url.scheme.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_addresses_are_told_as_helm_tells_them() {
        for good in ["a@b.co", "first.last+tag@sub.example.org", "\"a b\"@example.com", "é@exämple.de", "a@b.co."] {
            assert!(is_mail(good), "{good}");
        }
        for bad in ["", "a", "a@b", "a@b.c1", "@example.com", "a b@example.com", "a@-b.com", "<a@b.co>", "a..b@c.de"] {
            assert!(!is_mail(bad), "{bad}");
        }
    }

    #[test]
    fn urls_are_told_as_helm_tells_them() {
        for good in [
            "https://example.com",
            "example.com",
            "example.com:80/x?y#z",
            "http://user:word@host/p",
            "localhost",
            "ftp://a.b",
            "http://127.0.0.1:8080",
            "http://[2001:db8::1]/x",
            "http://a_b.example.org",
            "www.x.yz",
            "http://münchen.de",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "abc",
            "none",
            "gopher://x.org",
            ".example.com",
            "http://.com",
            "http://a b.com",
            "mailto:a@b.co",
            "http://[zz]",
        ] {
            assert!(!is_url(bad) || bad == "none" && false, "{bad}");
        }
    }

    #[test]
    fn a_request_needs_a_scheme() {
        for good in ["https://example.com/icon.png", "data:image/png;base64,AAAA", "mailto:x", "HTTP://a#b"] {
            assert!(is_request_url(good), "{good}");
        }
        for bad in ["", "example.com", "/icon.png", "://x", "http://a b", "1x:y"] {
            assert!(!is_request_url(bad), "{bad}");
        }
    }
}
