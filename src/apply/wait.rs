//! Waits for health by what the watches tell, never by asking again and again.

use std::time::Duration;

use crate::cluster::store::{Looked, Store};
use crate::health::Status;
use crate::object::ObjectId;

/// How a wait ended for one object that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// The object.
    pub id: ObjectId,
    /// Its health as a word.
    pub health: String,
    /// What the health says.
    pub message: String,
    /// It has failed; waiting longer would not help.
    pub failed: bool,
}

/// Waits until all objects are ready, or none is still on its way, or the time is up. Returns those that are not ready.
pub async fn healthy(store: &Store, ids: &[ObjectId], at_most: Duration) -> Vec<NotReady> {
    store
        .until(at_most, || {
            let pending = not_ready(store, ids);
            pending.iter().all(|object| object.failed).then_some(())
        })
        .await;
    not_ready(store, ids)
}

/// The objects that are not ready now.
pub fn not_ready(store: &Store, ids: &[ObjectId]) -> Vec<NotReady> {
    ids.iter()
        .filter_map(|id| match store.look(id) {
            Looked::There(look) => {
                let health = look.health.as_ref()?;
                (!health.ready).then(|| NotReady {
                    id: id.clone(),
                    health: health.status.to_string(),
                    message: health.message.clone(),
                    failed: matches!(health.status, Status::Degraded | Status::Missing),
                })
            }
            Looked::Gone => Some(NotReady {
                id: id.clone(),
                health: "Missing".to_owned(),
                message: "was deleted in the cluster".to_owned(),
                failed: true,
            }),
            Looked::NotYet => None,
        })
        .collect()
}
