//! Versions and ranges of charts, by the rules of the semver library that Helm uses.

use crate::template::semver::{Constraint, Version};

/// Whether Helm takes the text for a version; `1` and `v1.2` are.
pub(crate) fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}

/// Whether a version lies in a range; neither being well formed means no.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.check(&version),
        _ => false,
    }
}
