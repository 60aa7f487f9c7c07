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
    // The library takes one letter between quotes, not more.
    let quoted = format!(
        r#""{folded}(?:[\x01-\x08\x0b\x0c\x0e-\x1f\x7f!\x23-\x5b\x5d-\x7e{BEYOND_ASCII}]|\([\x01-\x09\x0b-\x7f{BEYOND_ASCII}]){folded}""#
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

    // What govalidator says of each.
    const MAILS: &[(&str, bool)] = &[
        ("a@b.co", true),
        ("first.last+tag@sub.example.org", true),
        ("é@exämple.de", true),
        ("a@b.co.", true),
        ("\"a\"@example.com", true),
        ("\" a\"@example.com", true),
        ("\"ab\"@example.com", false),
        ("\"\"@example.com", false),
        ("", false),
        ("a", false),
        ("a@b", false),
        ("a@b.c1", false),
        ("@example.com", false),
        ("a b@example.com", false),
        ("a@-b.com", false),
        ("<a@b.co>", false),
        ("a..b@c.de", false),
    ];
    const URLS: &[(&str, bool)] = &[
        ("https://example.com", true),
        ("example.com", true),
        ("example.com:80/x?y#z", true),
        ("http://user:word@host/p", true),
        ("ftp://a.b", true),
        ("http://127.0.0.1:8080", true),
        ("http://[2001:db8::1]/x", true),
        ("http://[fe80::1%25eth0]/x", true),
        ("http://a_b.example.org", true),
        ("www.x.yz", true),
        ("http://münchen.de", true),
        ("http://localhost:8080", true),
        ("http://a--b.c", true),
        ("http://example.com.", true),
        ("https://x", true),
        ("mailto:a@b.co", true),
        ("localhost", false),
        ("", false),
        ("abc", false),
        ("none", false),
        ("gopher://x.org", false),
        (".example.com", false),
        ("http://.com", false),
        ("http://a b.com", false),
        ("http://[zz]", false),
        ("http://-a.b", false),
        ("http://a.b.c.d.e/", false),
        ("http://1.2.3", false),
        ("http://foo@", false),
        ("@foo", false),
        ("a:b", false),
    ];
    const REQUESTS: &[(&str, bool)] = &[
        ("https://example.com/icon.png", true),
        ("data:image/png;base64,AAAA", true),
        ("mailto:x", true),
        ("HTTP://a#b", false),
        ("", false),
        ("example.com", false),
        ("/icon.png", false),
        ("://x", false),
        ("http://a b", false),
        ("1x:y", false),
        ("http://a/%zz", false),
    ];

    #[test]
    fn addresses_are_told_as_helm_tells_them() {
        for (table, tell) in [(MAILS, is_mail as fn(&str) -> bool), (URLS, is_url), (REQUESTS, is_request_url)] {
            for (text, expected) in table {
                assert_eq!(tell(text), *expected, "{text}");
            }
        }
    }
}
