//! How a chart is named: a folder, a packed chart, an address, `oci://`, a name in a repository.

use std::path::PathBuf;

use url::Url;

use super::error::Error;
use super::registry::Name;

/// Where a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder or a packed chart on this machine.
    Path(PathBuf),
    /// A packed chart at an address.
    Url(Url),
    /// A chart that a repository lists.
    Repository {
        /// Address of the repository.
        url: Url,
        /// Name of the chart.
        chart: String,
    },
    /// A chart in a registry.
    Registry(Name),
}

impl Place {
    /// A packed chart at an address, or a chart in a registry.
    ///
    /// # Errors
    /// The text is no such address.
    pub fn address(text: &str) -> Result<Place, Error> {
        if text.starts_with("oci://") {
            return Name::parse(text).map(Place::Registry);
        }
        web_address(text).map(Place::Url)
    }

    /// A chart that the repository at an address lists; for a registry, a chart below it.
    ///
    /// # Errors
    /// The text is no address of either, or the name is none.
    pub fn in_repository(repository: &str, chart: &str) -> Result<Place, Error> {
        if repository.starts_with("oci://") {
            return Name::parse(&format!("{}/{chart}", repository.trim_end_matches('/'))).map(Place::Registry);
        }
        if chart.is_empty() {
            return Err(not_a_name(repository, "the name of the chart is missing"));
        }
        Ok(Place::Repository { url: web_address(repository)?, chart: chart.to_owned() })
    }
}

/// An address of `http` or `https`.
///
/// # Errors
/// It is none, or holds user or password: lists and logs repeat addresses.
pub fn web_address(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| not_a_name(text, &format!("it is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(not_a_name(text, &format!("{}:// is not spoken", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(not_a_name(text, "credentials do not belong into an address"));
    }
    Ok(url)
}

/// The error, without what stands before an `@` or behind a `?`, where secrets are.
pub(super) fn not_a_name(text: &str, reason: &str) -> Error {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at && !text[at..].starts_with("@sha256:") => {
            format!("{}***{}", &text[..scheme + 3], &text[at..])
        }
        _ => text.to_owned(),
    };
    Error::NotAName { text: text.chars().take(200).collect(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        assert!(matches!(Place::address("https://example.org/a-1.tgz"), Ok(Place::Url(_))));
        assert!(matches!(Place::address("oci://example.org/charts/a:1.0.0"), Ok(Place::Registry(_))));
        assert!(matches!(Place::in_repository("https://example.org/c", "a"), Ok(Place::Repository { .. })));
        assert!(matches!(Place::in_repository("oci://example.org/c/", "a"), Ok(Place::Registry(_))));
        for (text, reason) in [
            ("ftp://example.org/a", "ftp:// is not spoken"),
            ("a/b", "no address"),
            ("https://u:canary@example.org/a", "credentials do not belong"),
            ("https://u:canary@/a?canary", "***@/a"),
        ] {
            let error = Place::address(text).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("canary"), "{error}");
        }
        assert!(Place::in_repository("https://example.org", "").is_err());
    }
}
