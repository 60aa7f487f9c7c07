//! Chooses the highest tag inside a range of semantic versions, with the words and meaning Helm users know.

use crate::template::semver::{Constraint, Version};

/// Checks a range such as `>=1.2 <2`, `~1.4` or `1.x || 2.x`.
pub(super) fn check_range(range: &str) -> Result<(), String> {
    Constraint::parse(range).map(|_| ()).map_err(|error| format!("`{range}` is not a range of versions: {error}"))
}

/// The highest tag in the range; of equal versions (`1.0.0` and `v1.0.0`) the last by name. Other tags are passed over.
pub(super) fn highest<'a>(range: &str, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let range = Constraint::parse(range).ok()?;
    let versions = tags.filter_map(|tag| Some((Version::parse(tag).ok()?, tag)));
    let inside = versions.filter(|(version, _)| range.check(version));
    inside.max_by(|(a, tag), (b, other)| a.compare(b).then_with(|| tag.cmp(other))).map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_inside_the_range_is_chosen() {
        let tags = ["v1.2.0", "1.10.0", "v1.9.3", "2.0.0-rc.1", "2.0.0", "latest", "v3", "release-4.0.0"];
        let highest = |range| highest(range, tags.into_iter());
        assert_eq!(highest(">=1.2 <2"), Some("1.10.0"));
        assert_eq!(highest("~1.9"), Some("v1.9.3"));
        assert_eq!(highest("1.2.0"), Some("v1.2.0"));
        assert_eq!(highest("*"), Some("v3"));
        assert_eq!(highest(">=2.0.0-0 <2.0.0"), Some("2.0.0-rc.1"), "pre-releases only where the range names one");
        assert_eq!(highest(">=2 <3"), Some("2.0.0"));
        assert_eq!(highest(">=9"), None);
    }
}
