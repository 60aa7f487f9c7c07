//! Makes an object anew whose fields cannot be changed in place.
//!
//! ```text
//! the record says "replacing"  ->  the live object lets us (as for any deletion)  ->  DELETE with uid and resourceVersion
//!   ->  it is gone  ->  it is made
//! ```
//! The record was written before: after a crash between any two steps the next pass finds the object missing, or still to be
//! replaced, and goes on. When it may be replaced at all is settled where it is looked at: see `cluster::immutable`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::guard::{self, Answer, Case};
use super::prune::{holders, wait_gone};
use super::{Writer, Written};
use crate::cluster::objects::{Propagation, explain};
use crate::cluster::{Error, Resource};
use crate::diff::change::{Failure, Replacement};
use crate::diff::{Change, Entry, Seen, State};

impl Writer<'_> {
    pub(super) async fn replace(&self, change: &Change, replacement: &Replacement, entry: Option<Entry>) -> Written {
        match self.clear_the_way(replacement, entry.as_ref()).await {
            Ok(()) => {
                let mut written = self.create(change).await;
                // Until it is there again, the record must say that it is on its way.
                written.entry = written.entry.or(entry);
                written
            }
            Err(failure) => Written { entry, ..Written::failed(change, failure) },
        }
    }

    /// Deletes the live object, and waits until its name is free.
    async fn clear_the_way(&self, replacement: &Replacement, entry: Option<&Entry>) -> Result<(), Failure> {
        let Some(resource) = self.target.cluster.resource(&self.item.object.gvk()).await else {
            return Err(again("its kind is not served".to_owned(), String::new()));
        };
        let text =
            |live: &Value, pointer: &str| live.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = self.item.object.id();
        let uid = text(&replacement.live, "/metadata/uid");
        let asked = Entry {
            id: id.clone(),
            api_version: self.item.object.api_version().to_owned(),
            state: State::Replacing,
            seen: Some(Seen { uid: uid.clone(), ..Seen::default() }),
            ..entry.cloned().unwrap_or_else(|| self.written_entry(&replacement.live, false))
        };
        let nothing = BTreeSet::new();
        // Whatever speaks against deleting an object speaks against making it anew; our own namespace is never such a one.
        let case = Case { unit: &self.unit.name, own_namespace: "", wanted: &nothing };
        let propagation = if replacement.keeps_dependents { Propagation::Orphan } else { Propagation::Background };
        let mut live = replacement.live.clone();
        for _ in 0..3 {
            match guard::ask(case, &asked, &live) {
                Answer::Yes => {}
                Answer::Keep(why) | Answer::NotOurs(why) => return Err(refused(format!("is not made anew: it {why}"))),
                Answer::Wait(why, hint) => return Err(again(format!("is not made anew: it {why}"), hint)),
            }
            let version = text(&live, "/metadata/resourceVersion");
            let going = !text(&live, "/metadata/deletionTimestamp").is_empty();
            if going {
                return self.wait(&resource, &uid).await;
            }
            let deleted =
                self.target.cluster.delete(&resource, &id, &uid, &version, propagation, self.target.actor).await;
            match deleted {
                Ok(_) => return self.wait(&resource, &uid).await,
                Err(Error::Refused(refusal)) if refusal.code == 409 => {}
                Err(Error::Refused(refusal)) => return Err(explain(&refusal, &id)),
                Err(error) => return Err(again(format!("cannot be deleted: {error}"), String::new())),
            }
            live = match self.target.cluster.get(&resource, &id, self.target.actor).await {
                Ok(Some(live)) => live,
                Ok(None) => return Ok(()),
                Err(error) => return Err(again(format!("cannot be looked at: {error}"), String::new())),
            };
        }
        Err(again("is written too often to be deleted safely".to_owned(), "it is tried again with back-off".to_owned()))
    }

    async fn wait(&self, resource: &Resource, uid: &str) -> Result<(), Failure> {
        let id = self.item.object.id();
        match wait_gone(self.target, resource, &id, uid).await {
            Ok(None) => Ok(()),
            Ok(Some(live)) => Err(again(
                format!("is being deleted and waits for {}; it is made anew then", holders(&live)),
                "whoever set the finalizer must remove it; bowline never does".to_owned(),
            )),
            Err(error) => Err(again(format!("cannot be looked at: {error}"), String::new())),
        }
    }
}

/// A failure that may pass.
fn again(message: String, hint: String) -> Failure {
    Failure { message, hint, temporary: true }
}

/// A failure that lasts until somebody changes something.
fn refused(message: String) -> Failure {
    Failure { message, ..Failure::default() }
}
