//! Which kinds Kubernetes has deprecated, from which version on, and what replaces them.

/// One line for each kind, written from Helm's client library.
const TABLE: &str = include_str!("deprecations.txt");

/// What Helm says of a kind that is deprecated in a version of Kubernetes (major and minor).
pub(super) fn deprecated(api_version: &str, kind: &str, version: (u32, u32)) -> Option<String> {
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.splitn(5, ' ');
        if words.next() != Some(api_version) || words.next() != Some(kind) {
            continue;
        }
        let (since, gone, instead) = (words.next()?, words.next()?, words.next()?);
        // An unknown version is newer than all.
        if version != (0, 0) && release(since)? > version {
            return None;
        }
        let mut text = format!("{api_version} {kind} is deprecated in v{since}+");
        if gone != "-" {
            text.push_str(&format!(", unavailable in v{gone}+"));
        }
        if instead != "-" {
            text.push_str(&format!("; use {instead}"));
        }
        return Some(text);
    }
    None
}

fn release(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_deprecated_from_a_version_on() {
        let words = "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+; use policy/v1 PodDisruptionBudget";
        assert_eq!(deprecated("policy/v1beta1", "PodDisruptionBudget", (1, 21)).as_deref(), Some(words));
        assert_eq!(deprecated("policy/v1beta1", "PodDisruptionBudget", (1, 20)), None);
        assert_eq!(deprecated("policy/v1", "PodDisruptionBudget", (1, 99)), None);
        let words = "v1 ComponentStatus is deprecated in v1.19+";
        assert_eq!(deprecated("v1", "ComponentStatus", (0, 0)).as_deref(), Some(words));
    }

    #[test]
    fn every_line_of_the_table_can_be_read() {
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            let [_, _, since, gone, _] = words.as_slice() else { panic!("{line}") };
            assert!(release(since).is_some() && (*gone == "-" || release(gone).is_some()), "{line}");
        }
    }
}
