//! What the API server said when it refused, kept whole, and what follows from it.

use serde::Deserialize;

use crate::diff::FieldConflict;

/// Why a request has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer, or none that can be read. Says nothing about the state of the cluster.
    #[error("{doing}: {cause}")]
    Unreachable {
        /// Verb and path.
        doing: String,
        /// What failed, causes joined.
        cause: String,
    },
    /// The write was refused here, or cut off: the lease that allows writes is not held any more.
    #[error("{doing}: another bowline may hold the lease now")]
    Fenced {
        /// Verb and path.
        doing: String,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Box<Refusal>),
}

impl Error {
    /// The refusal, if the server answered.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused(refusal) => Some(refusal),
            Error::Unreachable { .. } | Error::Fenced { .. } => None,
        }
    }

    /// Whether the server said that the object (or its kind, or its namespace) is not there.
    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == 404)
    }
}

/// A `Status` answer, or what a plain-text error holds of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub code: u16,
    /// `reason`; empty for plain-text errors and for the apply path's 500.
    pub reason: String,
    /// `message`.
    pub message: String,
    /// `details.causes`.
    pub causes: Vec<Cause>,
    /// `details.kind`: for 404 of a namespace it is `namespaces`.
    pub details_kind: String,
    /// Seconds the server asks to wait.
    pub retry_after: Option<u64>,
    /// The body was a `Status`, not plain text.
    pub is_status: bool,
}

/// One cause of a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// `FieldManagerConflict`, `FieldValueInvalid`, `NamespaceTerminating` ...
    pub reason: String,
    /// Text.
    pub message: String,
    /// Field path, in one of two syntaxes (conflicts begin with a dot).
    pub field: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    kind: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// Reads the body of an error answer.
    pub fn read(code: u16, body: &[u8], retry_after: Option<u64>) -> Self {
        match serde_json::from_slice::<Status>(body) {
            Ok(status) => {
                let details = status.details.unwrap_or_default();
                Refusal {
                    code,
                    reason: status.reason,
                    message: status.message,
                    causes: details.causes,
                    details_kind: details.kind,
                    retry_after: retry_after.or(details.retry_after_seconds),
                    is_status: true,
                }
            }
            Err(_) => Refusal {
                code,
                message: String::from_utf8_lossy(&body[..body.len().min(2000)]).trim().to_owned(),
                retry_after,
                ..Refusal::default()
            },
        }
    }

    /// Whether the same request may succeed later without a change: 429, 503, 504, and 500 with a reason (a webhook is
    /// down). 500 without a reason is the apply path's "unknown field" and final.
    pub fn is_temporary(&self) -> bool {
        match self.code {
            429 | 502..=504 => true,
            500 => self.reason == "InternalError" || self.reason == "Timeout" || self.reason == "ServerTimeout",
            _ => false,
        }
    }

    /// Fields owned by other managers; empty when the refusal is not such a conflict.
    pub fn conflicts(&self) -> Vec<FieldConflict> {
        let mut conflicts: Vec<FieldConflict> = self
            .causes
            .iter()
            .filter(|cause| cause.reason == "FieldManagerConflict")
            .map(|cause| {
                // conflict with "hpa" with subresource "scale" using apps/v1
                let mut quoted = cause.message.split('"').skip(1).step_by(2);
                let manager = quoted.next().unwrap_or_default().to_owned();
                let subresource =
                    if cause.message.contains("with subresource") { quoted.next().unwrap_or_default() } else { "" };
                FieldConflict {
                    field: cause.field.clone(),
                    manager,
                    by_update: cause.message.contains(" using "),
                    subresource: subresource.to_owned(),
                }
            })
            .collect();
        conflicts.sort();
        conflicts
    }

    /// The object was deleted and made again: its uid is not the recorded one.
    pub fn is_other_uid(&self) -> bool {
        (self.code == 422 && self.causes.iter().any(|cause| cause.field == "metadata.uid"))
            || (self.code == 409 && self.message.contains("uid mismatch"))
    }

    /// The object with the given uid is gone.
    pub fn is_gone_uid(&self) -> bool {
        self.code == 409 && self.message.contains("no existing object was found")
    }

    /// The namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        self.code == 403 && self.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// The namespace is not there.
    pub fn is_namespace_missing(&self) -> bool {
        self.code == 404 && self.details_kind == "namespaces"
    }

    /// The kind is not served: plain-text 404, or a 404 about the resource itself.
    pub fn is_kind_missing(&self) -> bool {
        self.code == 404
            && (!self.is_status || self.message.contains("the server could not find the requested resource"))
    }

    /// The server cannot read somebody's claim on fields of the object in the version it was made in: that version no longer
    /// has fields that the object has.
    pub fn is_outdated_claim(&self) -> bool {
        self.code == 500
            && self.message.contains("field not declared in schema")
            && !self.message.contains("failed to create typed patch object")
    }

    /// A field was changed that may not change, and nothing else is wrong.
    pub fn is_immutable(&self) -> bool {
        self.code == 422 && !self.causes.is_empty() && self.causes.iter().all(Cause::is_immutable)
    }
}

impl Cause {
    /// In the words of the API server's validation (1.30 to 1.36); each kind has its own.
    fn is_immutable(&self) -> bool {
        let words = [
            "immutable",
            "may not change",
            "cannot change roleRef",
            "updates to statefulset spec for fields other than",
            "pod updates may not change fields other than",
            "updates to parameters are forbidden",
            "updates to provisioner are forbidden",
        ];
        self.field != "metadata.uid" && words.iter().any(|words| self.message.contains(words))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() { write!(out, "HTTP {}", self.code) } else { out.write_str(&self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_manager_operation_and_subresource() {
        let body = br#"{"kind":"Status","message":"Apply failed","reason":"Conflict","code":409,"details":{"causes":[
            {"reason":"FieldManagerConflict","message":"conflict with \"hpa\" with subresource \"scale\" using apps/v1","field":".spec.replicas"},
            {"reason":"FieldManagerConflict","message":"conflict with \"alpha\"","field":".metadata.labels.own"}]}}"#;
        let conflicts = Refusal::read(409, body, None).conflicts();
        assert_eq!(
            conflicts,
            [
                FieldConflict {
                    field: ".metadata.labels.own".into(),
                    manager: "alpha".into(),
                    by_update: false,
                    subresource: String::new(),
                },
                FieldConflict {
                    field: ".spec.replicas".into(),
                    manager: "hpa".into(),
                    by_update: true,
                    subresource: "scale".into(),
                },
            ]
        );
    }

    #[test]
    fn an_apply_error_without_reason_is_final_and_a_webhook_that_is_down_is_not() {
        let typed = Refusal::read(500, br#"{"kind":"Status","message":"failed to create typed patch object"}"#, None);
        assert!(!typed.is_temporary());
        let webhook = Refusal::read(
            500,
            br#"{"kind":"Status","reason":"InternalError","message":"failed calling webhook"}"#,
            None,
        );
        assert!(webhook.is_temporary());
    }

    #[test]
    fn a_plain_text_404_is_a_missing_kind() {
        assert!(Refusal::read(404, b"404 page not found\n", None).is_kind_missing());
        let object = br#"{"kind":"Status","reason":"NotFound","message":"configmaps \"a\" not found","details":{"kind":"configmaps"}}"#;
        assert!(!Refusal::read(404, object, None).is_kind_missing());
    }
}
