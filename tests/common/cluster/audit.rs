//! The API server's audit log: what was really asked of it, by whom, with which answer.

use serde::Deserialize;

/// All writes and reads, but not the reads of the control plane's own parts, which would drown the rest.
pub(crate) const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  verbs: [get, list, watch]
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "kwok"]
- level: None
  verbs: [get, list, watch]
  userGroups: ["system:serviceaccounts:kube-system"]
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
  users: ["system:apiserver"]
- level: Metadata
"#;

/// A moment in the audit log; [`TestCluster::audit_since`](super::TestCluster::audit_since) returns what came after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(pub(super) usize);

/// One answered request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub(crate) verb: String,
    #[serde(rename = "requestURI")]
    pub(crate) uri: String,
    user: User,
    #[serde(default)]
    impersonated_user: Option<User>,
    #[serde(default)]
    pub(crate) user_agent: String,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Event {
    /// Who asked; the impersonated user where there is one.
    pub(crate) fn user(&self) -> &str {
        &self.impersonated_user.as_ref().unwrap_or(&self.user).username
    }

    /// Plural resource name, such as `deployments`; empty for `/version` and the like.
    pub(crate) fn resource(&self) -> &str {
        &self.object_ref.resource
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.object_ref.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.object_ref.name
    }

    /// HTTP status of the answer.
    pub(crate) fn code(&self) -> u16 {
        self.response_status.code
    }

    /// Whether the request was a dry run.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=")
    }

    /// Whether the request could change the cluster.
    pub(crate) fn is_write(&self) -> bool {
        !self.is_dry_run() && !matches!(self.verb.as_str(), "get" | "list" | "watch") && !self.is_review()
    }

    /// Token and access reviews are `create` requests that store nothing.
    fn is_review(&self) -> bool {
        self.object_ref.resource.ends_with("reviews")
    }
}
