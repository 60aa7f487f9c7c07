//! A Lease in the cluster: who leads, read and written under its resourceVersion so that one of many candidates wins.
//!
//! The server never looks at the times in it (measured: apiserver.md section 11). A candidate takes a lease that nobody
//! holds, or whose resourceVersion has not moved for as long as its holder said it may, counted by the candidate's own
//! clock. [`crate::daemon`] decides when to call; this module knows the object.

use std::time::Duration;

use serde_json::{Value, json};

use super::Cluster;
use super::client::{Actor, Call, Client, Verb};
use super::error::Error;

/// One Lease object, as one candidate sees it.
#[derive(Debug, Clone)]
pub struct Lease {
    client: Client,
    namespace: String,
    name: String,
    identity: String,
}

/// What the object said when it was last read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who holds it; empty when nobody does.
    pub holder: String,
    /// How long after the last renewal it may be taken, as its holder said.
    pub duration: Duration,
    /// How often it changed hands.
    pub transitions: i64,
    /// `metadata.resourceVersion`: moves with every renewal.
    pub version: String,
    /// When the present holder took it, as he wrote it.
    pub acquired: String,
}

impl Lease {
    /// A lease of this name in a namespace, for a candidate who calls himself `identity`.
    ///
    /// Its requests do not wait for others' places, and pass no gate: without the lease there is no passing it.
    pub fn new(cluster: &Cluster, namespace: &str, name: &str, identity: &str) -> Self {
        Lease {
            client: cluster.client().clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// What the candidate calls himself.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `namespace/name`.
    pub fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Reads it; `None` when it was never made.
    ///
    /// # Errors
    /// The server refuses or does not answer in time.
    pub async fn look(&self, at_most: Duration) -> Result<Option<Held>, Error> {
        match self.ask(Verb::Get, &self.path(), None, at_most).await {
            Ok(object) => Ok(Some(held(&object))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes it for so long, as it was `seen`; renews it when it was ours already.
    ///
    /// # Errors
    /// 409 when somebody else was faster; else the server refuses or does not answer in time.
    pub async fn take(&self, seen: Option<&Held>, duration: Duration, at_most: Duration) -> Result<Held, Error> {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let ours = seen.is_some_and(|seen| seen.holder == self.identity);
        let acquired = seen.filter(|_| ours).map_or(&now, |seen| &seen.acquired);
        let transitions = seen.map_or(0, |seen| seen.transitions + i64::from(!ours));
        let spec = json!({
            "holderIdentity": self.identity, "leaseDurationSeconds": whole_seconds(duration), "acquireTime": acquired,
            "renewTime": now, "leaseTransitions": transitions,
        });
        let object = match seen {
            None => {
                let body = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec,
                    "metadata": {"name": self.name, "labels": {"app.kubernetes.io/managed-by": "bowline"}},
                });
                self.ask(Verb::Create, &self.collection(), Some(&body), at_most).await?
            }
            Some(seen) => self.write(seen, &spec, at_most).await?,
        };
        Ok(held(&object))
    }

    /// Gives it up, so that the next candidate need not wait for its end.
    ///
    /// # Errors
    /// As [`Lease::take`]: then it ends by itself.
    pub async fn release(&self, seen: &Held, at_most: Duration) -> Result<(), Error> {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let spec = json!({
            "holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": seen.acquired, "renewTime": now,
            "leaseTransitions": seen.transitions,
        });
        self.write(seen, &spec, at_most).await.map(drop)
    }

    /// A patch in place of an update: the daemon's account needs no right to update anything.
    async fn write(&self, seen: &Held, spec: &Value, at_most: Duration) -> Result<Value, Error> {
        let patch = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": seen.version},
            {"op": "add", "path": "/spec", "value": spec},
        ]);
        self.ask(Verb::Patch, &self.path(), Some(&patch), at_most).await
    }

    async fn ask(&self, verb: Verb, path: &str, body: Option<&Value>, at_most: Duration) -> Result<Value, Error> {
        let call = Call { verb, path: path.to_owned(), accept: "application/json", body, actor: &Actor::Own };
        self.client.within(&call, at_most).await.map(|reply| reply.value)
    }

    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }
}

/// The object counts in whole seconds: rounded up, so that a candidate never believes in less than was meant.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn held(object: &Value) -> Held {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    Held {
        holder: text("/spec/holderIdentity"),
        duration: Duration::from_secs(u64::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default()),
        transitions: number("/spec/leaseTransitions"),
        version: text("/metadata/resourceVersion"),
        acquired: text("/spec/acquireTime"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_half_a_second_more_counts_as_a_whole_one() {
        assert_eq!(whole_seconds(Duration::from_secs(15)), 15);
        assert_eq!(whole_seconds(Duration::from_millis(2500)), 3);
    }

    #[test]
    fn a_lease_that_somebody_emptied_is_held_by_nobody() {
        let seen = held(&json!({"metadata": {"resourceVersion": "7"}, "spec": {}}));
        assert_eq!((seen.holder.as_str(), seen.duration, seen.version.as_str()), ("", Duration::ZERO, "7"));
    }
}
