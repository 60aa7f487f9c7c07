//! What is remembered of each applied object, and how a look at its metadata tells whether it was touched.
//!
//! The rule is L1 of the measurements on a real API server: an object whose resourceVersion moved is untouched if uid, our
//! managed-fields entry, generation and all entries but status are equal, **and** a status entry that is new or later
//! explains the move. Our entry's hash alone misses reordered lists and changes by admission.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::object::{Gvk, ObjectId};
use crate::render::Policy;

/// A short digest of bytes: 16 hexadecimal digits of their SHA-256, the same on every machine and in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(u64);

impl Digest {
    /// Digests bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        Digest(u64::from_be_bytes(first))
    }

    /// Digests a value with its keys sorted, so that the order in which they were written does not matter.
    pub fn of_value(value: &Value) -> Self {
        Digest::of(value.to_string().as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Digest).map_err(serde::de::Error::custom)
    }
}

/// What a look at an object's metadata shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    #[serde(rename = "rv")]
    pub resource_version: String,
    /// `metadata.generation`; many kinds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Digest of time and fields of our apply entry; `None` when the object has no such entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Digest>,
    /// Digest of all other entries but those of the status subresource.
    pub main: Digest,
    /// The latest time in an entry of the status subresource, and the digest of those entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<(String, Digest)>,
}

impl Seen {
    /// Reads the metadata of a live object; `manager` is the unit's field manager.
    pub fn of(object: &Value, manager: &str) -> Self {
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let entries = metadata.get("managedFields").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        let mut own = None;
        let mut main = Vec::new();
        let mut status = Vec::new();
        let mut latest = "";
        for entry in entries {
            let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            if field("subresource") == "status" {
                latest = latest.max(field("time"));
                status.extend_from_slice(entry.to_string().as_bytes());
            } else if field("manager") == manager && field("operation") == "Apply" && field("subresource").is_empty() {
                let fields = entry.get("fieldsV1").map(Value::to_string).unwrap_or_default();
                own = Some(Digest::of(format!("{} {fields}", field("time")).as_bytes()));
            } else {
                main.extend_from_slice(entry.to_string().as_bytes());
            }
        }
        Seen {
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            generation: metadata.get("generation").and_then(Value::as_i64),
            own,
            main: Digest::of(&main),
            status: (!status.is_empty()).then(|| (latest.to_owned(), Digest::of(&status))),
        }
    }

    /// Compares with an earlier look at the same object: rule L1.
    pub fn verdict(&self, earlier: &Seen) -> Verdict {
        if self.uid != earlier.uid {
            return Verdict::Replaced;
        }
        if self.resource_version == earlier.resource_version {
            return Verdict::Same;
        }
        let steady = self.own.is_some()
            && self.own == earlier.own
            && self.generation == earlier.generation
            && self.main == earlier.main;
        let explained = match (&self.status, &earlier.status) {
            (Some(_), None) => true,
            (Some((now, digest)), Some((before, earlier_digest))) => {
                now > before || (now == before && digest != earlier_digest)
            }
            (None, _) => false,
        };
        if steady && explained { Verdict::StatusMoved } else { Verdict::Look }
    }
}

/// What two looks at an object's metadata tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was written.
    Same,
    /// Only the status was written.
    StatusMoved,
    /// It cannot be told from metadata: compare with a dry run.
    Look,
    /// It is another object of the same name.
    Replaced,
}

/// How far an object of the inventory has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// To be applied by the revision that is under way; it may or may not be in the cluster.
    Planned,
    /// In the cluster as wanted.
    Applied,
    /// No longer wanted, and its deletion waits for something, such as an approval.
    Held,
    /// Its deletion is allowed, and may be under way; it leaves the inventory when it is gone.
    Pruning,
    /// Deleted in order to be made again.
    Replacing,
    /// No longer wanted, and left in the cluster on purpose.
    Orphaned,
}

/// One object of a unit's inventory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which object.
    #[serde(with = "key")]
    pub id: ObjectId,
    /// The `apiVersion` it was applied with.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// How far it has come.
    pub state: State,
    /// Its metadata after our last write; `None` while it was never applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// Digest of what was sent.
    pub desired: Digest,
    /// It was there before us and was taken over: never deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Number of the revision that wanted it first, or again after it had left Git. An approval of its deletion is bound
    /// to it, so that it holds for one departure and not for the next.
    #[serde(default)]
    pub since: u64,
    /// Why it was left in the cluster; empty for all but orphans.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// How it is to be treated when Git no longer says.
    pub policy: Policy,
}

impl Entry {
    /// Group, version and kind it was applied with.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.api_version, &self.id.kind)
    }

    /// The uid it had after our last write; empty while it was never applied.
    pub fn uid(&self) -> &str {
        self.seen.as_ref().map_or("", |seen| &seen.uid)
    }

    /// Whether Git wanted it at the revision of the record.
    pub fn is_wanted(&self) -> bool {
        matches!(self.state, State::Planned | State::Applied | State::Replacing)
    }

    /// Whether somebody may find this object in the cluster because of us.
    pub fn may_exist(&self) -> bool {
        self.seen.is_some() || matches!(self.state, State::Planned | State::Replacing)
    }
}

mod key {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::object::ObjectId;

    pub(super) fn serialize<S: Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&id.key())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ObjectId::from_key(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an object id")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(rv: &str, generation: i64, own: &Value, other: &Value, status_time: Option<&str>) -> Value {
        let mut entries = vec![
            json!({"manager": "bowline/main/dev", "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": own}),
            json!({"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": other}),
        ];
        if let Some(time) = status_time {
            entries.push(
                json!({"manager": "kcm", "operation": "Update", "subresource": "status", "time": time, "fieldsV1": {}}),
            );
        }
        json!({"metadata": {"uid": "u", "resourceVersion": rv, "generation": generation, "managedFields": entries}})
    }

    fn seen(value: &Value) -> Seen {
        Seen::of(value, "bowline/main/dev")
    }

    #[test]
    fn a_status_write_alone_is_not_drift() {
        let before = seen(&live("1", 1, &json!({"a": 1}), &json!({}), None));
        let after = seen(&live("2", 1, &json!({"a": 1}), &json!({}), Some("2026-01-01T00:00:05Z")));
        assert_eq!(after.verdict(&before), Verdict::StatusMoved);
    }

    #[test]
    fn a_reorder_moves_only_the_resource_version_and_is_looked_at() {
        let before = seen(&live("1", 1, &json!({"a": 1}), &json!({}), Some("2026-01-01T00:00:05Z")));
        let after = seen(&live("2", 1, &json!({"a": 1}), &json!({}), Some("2026-01-01T00:00:05Z")));
        assert_eq!(after.verdict(&before), Verdict::Look);
    }

    #[test]
    fn a_lost_entry_a_new_generation_and_another_uid_are_looked_at() {
        let before = seen(&live("1", 1, &json!({"a": 1}), &json!({}), None));
        let mut cleared = live("2", 1, &json!({}), &json!({}), Some("2026-01-01T00:00:05Z"));
        cleared["metadata"]["managedFields"] = json!([{}]);
        assert_eq!(seen(&cleared).verdict(&before), Verdict::Look);
        let generation = seen(&live("2", 2, &json!({"a": 1}), &json!({}), Some("2026-01-01T00:00:05Z")));
        assert_eq!(generation.verdict(&before), Verdict::Look);
        let mut other = live("1", 1, &json!({"a": 1}), &json!({}), None);
        other["metadata"]["uid"] = json!("v");
        assert_eq!(seen(&other).verdict(&before), Verdict::Replaced);
    }

    #[test]
    fn an_entry_survives_being_written_and_read() {
        let entry = Entry {
            id: ObjectId::from_key("apps/Deployment/dev/web").unwrap(),
            api_version: "apps/v1".into(),
            state: State::Applied,
            seen: Some(seen(&live("7", 3, &json!({"a": 1}), &json!({}), Some("2026-01-01T00:00:05Z")))),
            desired: Digest::of(b"x"),
            adopted: false,
            since: 1,
            note: String::new(),
            policy: Policy::default(),
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }
}
