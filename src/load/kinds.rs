//! What is known of Kubernetes' own kinds without asking a cluster: their scope, and the versions that are gone.
//!
//! Both tables are data beside this file: `kinds.txt` and `retired.txt`.

use std::sync::LazyLock;

use crate::object::Gvk;

use super::fields::nearest;

/// A kind that a cluster serves by default.
#[derive(Debug)]
pub struct Kind {
    /// Such as `apps/v1`.
    pub api_version: &'static str,
    /// Such as `Deployment`.
    pub kind: &'static str,
    /// Its objects have a namespace.
    pub namespaced: bool,
}

/// A version of a kind that is no longer served.
#[derive(Debug)]
pub struct Retired {
    /// Such as `extensions/v1beta1`.
    pub api_version: &'static str,
    /// Such as `Deployment`.
    pub kind: &'static str,
    /// Release of Kubernetes that removed it.
    pub removed_in: &'static str,
    /// What to write instead; `None` when nothing replaces it.
    pub replacement: Option<&'static str>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    rows(include_str!("kinds.txt"))
        .filter_map(|words| match words.as_slice() {
            [api_version, kind, scope] => Some(Kind { api_version, kind, namespaced: *scope == "N" }),
            _ => None,
        })
        .collect()
});

static RETIRED: LazyLock<Vec<Retired>> = LazyLock::new(|| {
    rows(include_str!("retired.txt"))
        .filter_map(|words| match words.as_slice() {
            [api_version, kind, removed_in, replacement] => {
                let replacement = (*replacement != "-").then_some(*replacement);
                Some(Retired { api_version, kind, removed_in, replacement })
            }
            _ => None,
        })
        .collect()
});

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_whitespace().collect())
}

/// All kinds of the table.
pub fn all() -> &'static [Kind] {
    &KINDS
}

/// One kind of the table.
pub fn find(gvk: &Gvk) -> Option<&'static Kind> {
    let api_version = gvk.api_version();
    KINDS.iter().find(|known| known.kind == gvk.kind && known.api_version == api_version)
}

/// The `apiVersion` of a kind that only one group has; the newest when there are several versions.
pub fn api_version(kind: &str) -> Option<&'static str> {
    let mut found = KINDS.iter().filter(|known| known.kind == kind);
    let first = found.next()?;
    let group = |api_version: &'static str| api_version.split_once('/').map_or("", |(group, _)| group);
    found.try_fold(first.api_version, |newest, other| {
        (group(newest) == group(other.api_version)).then_some(other.api_version)
    })
}

/// The kinds of the table nearest to one that is not in it: the same kind in other versions first, then like names.
pub fn nearest_served(gvk: &Gvk) -> Vec<Gvk> {
    let mut same: Vec<&Kind> = KINDS.iter().filter(|known| known.kind == gvk.kind).collect();
    same.sort_by_key(|known| Gvk::new(known.api_version, known.kind).group != gvk.group);
    if same.is_empty()
        && let Some(near) = nearest(&gvk.kind, KINDS.iter().map(|known| known.kind))
    {
        same = KINDS.iter().filter(|known| known.kind == near).collect();
    }
    same.into_iter().map(|known| Gvk::new(known.api_version, known.kind)).collect()
}

/// What became of a version that is no longer served.
pub fn retired(gvk: &Gvk) -> Option<&'static Retired> {
    let api_version = gvk.api_version();
    RETIRED.iter().find(|gone| gone.kind == gvk.kind && gone.api_version == api_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        let lines = |table: &'static str| rows(table).count();
        assert_eq!(lines(include_str!("kinds.txt")), KINDS.len());
        assert_eq!(lines(include_str!("retired.txt")), RETIRED.len());
        for gone in RETIRED.iter() {
            assert!(find(&Gvk::new(gone.api_version, gone.kind)).is_none(), "{gone:?} is served");
            if let Some(replacement) = gone.replacement {
                assert!(find(&Gvk::new(replacement, gone.kind)).is_some(), "{gone:?} has no replacement");
            }
        }
    }

    #[test]
    fn kinds_are_found_by_name() {
        assert_eq!(api_version("ServiceAccount"), Some("v1"));
        assert_eq!(api_version("HorizontalPodAutoscaler"), Some("autoscaling/v2"));
        assert_eq!(api_version("Event"), None, "two groups have it");
        assert_eq!(nearest_served(&Gvk::new("apps/v1", "Deploymnet"))[0], Gvk::new("apps/v1", "Deployment"));
        assert_eq!(nearest_served(&Gvk::new("apps/v1beta1", "Deployment"))[0], Gvk::new("apps/v1", "Deployment"));
    }
}
