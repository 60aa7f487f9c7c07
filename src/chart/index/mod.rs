//! The list of a chart repository, `index.yaml`: read, chosen from, merged, written, as Helm 4 does it.
//!
//! ```text
//! bytes -> read -> Index -> find(name, range) -> Entry: where the archive is, and its digest
//! archives -> Index::add -> merge -> to_yaml, to_json
//! ```
//! Lists come from servers nobody vouches for: what a list says wrong of one chart costs that chart only, and of a list
//! in which one chart is looked for only that chart is kept in memory.
//!
//! Start at [`read`], then [`Index::find`].

mod address;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::version;
use super::{Metadata, go_json};
use crate::yaml;

pub use address::archive_url;
pub use read::{BadIndex, Keep, List, read};

/// Most bytes of a list that anything of ours reads: twice the longest public one.
pub const MAX_BYTES: usize = 50 << 20;

/// The list of a repository. Serialized, it has the names and the order of the struct that Helm writes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// `v1`.
    pub api_version: String,
    /// When it was made.
    pub generated: String,
    /// The charts by name, newest versions first.
    pub entries: BTreeMap<String, Vec<Entry>>,
    /// Keys that sign the charts; not used by Helm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// Free-form notes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Names that stand in the list and were not kept.
    #[serde(skip)]
    pub(super) others: BTreeSet<String>,
}

/// One version of a chart in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What its `Chart.yaml` says.
    #[serde(flatten)]
    pub metadata: Metadata,
    /// Where its archive is: absolute, or from the repository's address. The first one counts.
    pub urls: Vec<String>,
    /// When it was added.
    pub created: String,
    /// Whether it was taken away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// SHA-256 of the archive in hexadecimal digits, with or without `sha256:`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Fields of Helm 2: kept when a list is merged.
    #[serde(flatten)]
    pub(super) old: Old,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Old {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) checksum: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) engine: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) tiller_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) url: String,
}

impl Entry {
    /// The archive's SHA-256 in hexadecimal digits, if the list says one.
    pub fn sha256(&self) -> Option<&str> {
        let digits = self.digest.strip_prefix("sha256:").unwrap_or(&self.digest);
        (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
    }
}

/// Why a list has no such chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// No chart of that name; those with similar names.
    Name(Vec<String>),
    /// No version in that range; those nearest to it.
    Version(Vec<String>),
    /// What was asked for is no range of versions.
    Range(String),
}

/// A version that was found, and whether it is the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// As asked for.
    Wanted,
    /// One exact version was asked for, and this is the nearest there is.
    Nearest,
}

impl Index {
    /// A list of nothing, made at a time in Go's form (RFC 3339).
    pub fn new(generated: String) -> Self {
        Index {
            api_version: "v1".to_owned(),
            generated,
            entries: BTreeMap::new(),
            public_keys: Vec::new(),
            annotations: BTreeMap::new(),
            others: BTreeSet::new(),
        }
    }

    /// The newest version of a chart in a range; an empty range is every release. A version that is written exactly so
    /// is found before any other.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, name: &str, range: &str) -> Result<(&Entry, Match), NotFound> {
        let Some(versions) = self.entries.get(name).filter(|versions| !versions.is_empty()) else {
            return Err(NotFound::Name(self.similar(name)));
        };
        let texts: Vec<&str> = versions.iter().map(|entry| entry.metadata.version.as_str()).collect();
        match version::choose(range, &texts).map_err(NotFound::Range)? {
            Some(at) => {
                let exact = range.is_empty() || texts[at] == range || version::is_range(range);
                Ok((&versions[at], if exact { Match::Wanted } else { Match::Nearest }))
            }
            None => Err(NotFound::Version(version::nearest(range, &texts))),
        }
    }

    /// All names in the list, those that were not kept too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().chain(&self.others).map(String::as_str)
    }

    /// The names most like one that is not there.
    fn similar(&self, name: &str) -> Vec<String> {
        let mut near: Vec<(usize, &str)> = self
            .names()
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .filter(|(distance, known)| *distance <= 2.max(name.len() / 3) || known.contains(name))
            .collect();
        near.sort_unstable();
        near.into_iter().take(3).map(|(_, known)| known.to_owned()).collect()
    }

    /// Adds one version of a chart.
    pub fn add(&mut self, metadata: Metadata, url: String, digest: String, created: String) {
        let name = metadata.name.clone();
        let entry = Entry { metadata, urls: vec![url], created, digest, ..Entry::default() };
        self.entries.entry(name).or_default().push(entry);
    }

    /// Takes over what stands in another list and not in this one.
    pub fn merge(&mut self, other: Index) {
        for entry in other.entries.into_values().flatten() {
            let name = entry.metadata.name.clone();
            // As Helm's `Has`: a version counts as known, too, when it lies in the range that its text stands for.
            if self.find(&name, &entry.metadata.version).is_err() {
                self.entries.entry(name).or_default().push(entry);
            }
        }
    }

    /// Puts the newest versions first.
    pub fn sort(&mut self) {
        for versions in self.entries.values_mut() {
            version::newest_first(versions, |entry| &entry.metadata.version);
        }
    }

    /// As Helm writes it into a file.
    pub fn to_yaml(&self) -> String {
        yaml::write(&serde_json::to_value(self).unwrap_or_default())
    }

    /// As Helm writes it with `--json`.
    pub fn to_json(&self) -> String {
        go_json::pretty(self)
    }
}

#[cfg(test)]
mod tests;
