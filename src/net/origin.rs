//! Scheme, host and port of an address: what credentials are bound to, and all that a message may show of it.

use std::net::IpAddr;

use url::Url;

/// An address as it may be printed: without query and fragment, which may hold tokens. The caller has cut the user.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Scheme, host and port as text.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Whether credentials for one address may be sent to the other.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// Says whether a host is this machine by its name alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_bound_to_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("https://charts.example.org/a", "https://charts.example.org:443/b?c"));
        assert!(same("https://CHARTS.example.org/", "https://charts.example.org/"));
        assert!(!same("https://charts.example.org/", "http://charts.example.org/"));
        assert!(!same("https://charts.example.org/", "https://charts.example.org:8443/"));
        assert!(!same("https://charts.example.org/", "https://example.org/"));
    }
}
