//! The record of one revision of one unit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::diff::{Action, Digest, Entry, State};
use crate::object::ObjectId;
use crate::unit::{Problem, UnitKind, UnitName};

/// How long the record of a unit is kept when nothing is left of the unit: 30 days.
const KEPT_AFTER_THE_END: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// How far a revision has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Writing has begun and its end is not recorded.
    Planned,
    /// Everything is in the cluster and healthy.
    Applied,
    /// Something is not; the results say what.
    Failed,
}

impl Status {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Status::Planned => "planned",
            Status::Applied => "applied",
            Status::Failed => "failed",
        }
    }
}

/// The commit a revision comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Commit {
    /// Full id.
    pub id: String,
    /// Name and mail.
    pub author: String,
    /// Whole message: the change cause.
    pub message: String,
    /// Unix seconds.
    pub time: i64,
}

impl From<&crate::source::Commit> for Commit {
    fn from(commit: &crate::source::Commit) -> Self {
        Commit {
            id: commit.id.clone(),
            author: commit.author.clone(),
            message: commit.message.clone(),
            time: commit.time,
        }
    }
}

impl Commit {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }

    /// The first ten digits of the id.
    pub fn short(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Result {
    /// Which object, as [`ObjectId::key`].
    pub id: String,
    /// What happened.
    pub action: Action,
    /// Why, for all that is out of the ordinary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// One revision of one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Version of this format: 1.
    pub format: u32,
    /// The unit.
    pub unit: UnitName,
    /// What kind of unit.
    pub kind: UnitKind,
    /// Counts from 1 in each unit.
    pub number: u64,
    /// How far it has come.
    pub status: Status,
    /// Where it comes from.
    pub commit: Commit,
    /// Why the reconcile ran, as the trigger's word.
    pub trigger: String,
    /// Why a person wanted it; empty for all that comes from Git.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339; empty while planned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub finished: String,
    /// Digest of all that was wanted: equal means that Git asks for the same.
    pub desired: Digest,
    /// What is in the cluster because of this unit, or may be.
    pub entries: Vec<Entry>,
    /// Files of the repository that fed the unit.
    pub files: BTreeSet<String>,
    /// The account that it was written as, namespace and name; `None`: bowline's own. What is left of the unit when Git no
    /// longer asks for it is deleted as the same account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<(String, String)>,
    /// Units that this one needed: they outlive it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<UnitName>,
    /// What became of the objects, unchanged ones left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Result>,
    /// What of the repository's own could not become objects of this unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Where the record lies.
    #[serde(skip)]
    pub place: Place,
}

/// Where a record lies in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Name of the Secret.
    pub secret: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

impl Revision {
    /// Whether nothing is left of the unit: the record is kept for a while, so that what went can be brought back.
    pub fn is_tombstone(&self) -> bool {
        self.entries.is_empty() && self.status == Status::Applied
    }

    /// Whether nothing is left that is to go: what was left in the cluster on purpose does not count.
    pub fn has_gone(&self) -> bool {
        self.entries.iter().all(|entry| entry.state == State::Orphaned)
    }

    /// Whether nothing has been left of the unit for so long that its record may go.
    pub fn is_expired(&self, now: jiff::Timestamp) -> bool {
        let since = self.finished.parse::<jiff::Timestamp>();
        self.is_tombstone() && since.is_ok_and(|since| now.duration_since(since) > KEPT_AFTER_THE_END)
    }

    /// The entry of an object.
    pub fn entry(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_what_is_gone_is_kept_for_thirty_days() {
        let mut revision: Revision = serde_json::from_value(serde_json::json!({
            "format": 1, "unit": "main/dev", "kind": "namespace", "number": 3, "status": "applied", "trigger": "poll",
            "commit": Commit::default(), "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z",
            "desired": Digest::default(), "entries": [], "files": [],
        }))
        .unwrap();
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        assert!(!revision.is_expired(at("2026-01-30T00:00:00Z")));
        assert!(revision.is_expired(at("2026-02-01T00:00:00Z")));
        revision.finished.clear();
        assert!(!revision.is_expired(at("2027-01-01T00:00:00Z")), "its end was never recorded");
    }
}
