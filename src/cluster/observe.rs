//! Looks at every wanted object of a unit: what is there, and what the server would make of ours.
//!
//! ```text
//! level 0/1  record and watch say: as applied, and Git wants the same   no request
//! level 2    ours, and anything moved        unforced dry run + GET     409: whose field is it?
//! first      not in the record               dry run of a create        409 AlreadyExists: whose object is it?
//! ```
//! The first contact never forces.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use super::contact::Claimant;
use super::objects::{Force, explain, without_fields};
use super::store::{Looked, Store};
use super::{Actor, Cluster, Error, Refusal, Resource};
use crate::diff::change::{Failure, Present};
use crate::diff::compare::essence;
use crate::diff::fields;
use crate::diff::marks::{manager, marked};
use crate::diff::{Digest, Entry, Observation, Observed, State, Verdict};
use crate::object::{Gvk, Object, ObjectId};
use crate::render::{Drift, Item, Unit};
use crate::unit::UnitName;

/// Objects looked at side by side within one unit.
const SIDE_BY_SIDE: usize = 8;

/// What else a look must know.
#[derive(Debug, Clone, Default)]
pub struct Coming {
    /// Namespaces that this commit makes.
    pub namespaces: BTreeSet<String>,
    /// Kinds whose definition comes in this commit: group and kind.
    pub kinds: BTreeSet<(String, String)>,
}

/// The payload of an object as it is sent: marked, and without the fields that are left to others.
///
/// `live` decides about fields that the policy ignores: while we own such a field its live value is sent, so that it
/// stays; otherwise it is left out.
pub fn payload(item: &Item, unit: &UnitName, live: Option<&Value>) -> Object {
    let mut object = marked(&item.object, unit);
    let Some(live) = live else { return object };
    let manager = manager(unit);
    for pointer in &item.policy.ignore {
        match live.pointer(pointer) {
            Some(value) if fields::owns(live, &manager, pointer) => {
                fields::set_pointer(object.value_mut(), pointer, value.clone());
            }
            _ => {
                fields::remove_pointer(object.value_mut(), pointer);
            }
        }
    }
    object
}

/// The digest that tells whether Git wants something else than before.
pub fn desired(item: &Item, unit: &UnitName) -> Digest {
    let policy = serde_json::to_string(&item.policy).unwrap_or_default();
    Digest::of(format!("{}\n{policy}", marked(&item.object, unit).value()).as_bytes())
}

/// Looks at every wanted object of a unit. What `store` knows to be untouched is not asked for; without it, all is.
pub async fn observe(
    cluster: &Cluster,
    store: Option<&Store>,
    unit: &Unit,
    last: &[Entry],
    moved_from: &BTreeMap<ObjectId, UnitName>,
    coming: &Coming,
    actor: &Actor,
) -> Observed {
    let entries: BTreeMap<&ObjectId, &Entry> = last.iter().map(|entry| (&entry.id, entry)).collect();
    let uids: BTreeSet<&str> = last.iter().map(Entry::uid).filter(|uid| !uid.is_empty()).collect();
    let looks: Vec<BoxFuture<'_, _>> = unit
        .items
        .iter()
        .map(|item| {
            let id = item.object.id();
            let (entry, from) = (entries.get(&id).copied(), moved_from.get(&id));
            let look = Look { cluster, unit: &unit.name, item, id, actor, coming, entry, from, uids: &uids };
            async move {
                let observation = look.observe(store).await;
                (look.id, observation)
            }
            .boxed()
        })
        .collect();
    Observed { items: stream::iter(looks).buffer_unordered(SIDE_BY_SIDE).collect().await }
}

/// A look at one wanted object; first contacts go on in `contact`, fields that cannot change in `immutable`.
pub(super) struct Look<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) unit: &'a UnitName,
    pub(super) item: &'a Item,
    pub(super) id: ObjectId,
    pub(super) actor: &'a Actor,
    pub(super) coming: &'a Coming,
    /// What the record holds of it.
    pub(super) entry: Option<&'a Entry>,
    /// The unit that hands it over, as the plan of the commit says.
    pub(super) from: Option<&'a UnitName>,
    /// Uids of the unit's inventory: an object that is served in two groups is known by them.
    pub(super) uids: &'a BTreeSet<&'a str>,
}

impl Look<'_> {
    async fn observe(&self, store: Option<&Store>) -> Observation {
        let entry = self.entry;
        let wanted_before = entry.is_some_and(|entry| entry.desired == desired(self.item, self.unit));
        let seen = entry.filter(|entry| entry.state == State::Applied).and_then(|entry| entry.seen.as_ref());
        if let Some(seen) = seen
            && wanted_before
            && let Some(Looked::There(look)) = store.map(|store| store.look(&self.id))
            && !look.terminating
            && (matches!(look.seen.verdict(seen), Verdict::Same | Verdict::StatusMoved)
                || super::store::newer(&seen.resource_version, &look.seen.resource_version))
        {
            return Observation::Untouched;
        }
        let gvk = self.item.object.gvk();
        let Some(resource) = self.cluster.resource(&gvk).await else { return self.not_served(&gvk) };
        if self.item.policy.drift == Drift::Ignore && wanted_before {
            return match self.cluster.get(&resource, &self.id, self.actor).await {
                Ok(Some(_)) => Observation::Untouched,
                Ok(None) => self.first_contact(&resource).await,
                Err(error) => self.failed(&error),
            };
        }
        match seen.map(|seen| seen.uid.as_str()) {
            Some(uid) => self.ours(&resource, uid, wanted_before).await,
            None => self.first_contact(&resource).await,
        }
    }

    fn not_served(&self, gvk: &Gvk) -> Observation {
        if self.coming.kinds.contains(&(gvk.group.clone(), gvk.kind.clone())) {
            return Observation::Unverified(format!("not checked: {} is defined in the same commit", gvk.kind));
        }
        Observation::Failed(Failure {
            message: format!("no matches for kind {} in version {}", gvk.kind, gvk.api_version()),
            hint: match self.cluster.discovery().scope(gvk) {
                crate::render::Scope::NotServed(nearest) if !nearest.is_empty() => format!(
                    "the server has {}",
                    nearest
                        .iter()
                        .map(|near| format!("{} {}", near.api_version(), near.kind))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                _ => "install the definition of the kind first, or correct apiVersion and kind".to_owned(),
            },
            temporary: true,
        })
    }

    pub(super) fn failed(&self, error: &Error) -> Observation {
        match error {
            Error::Unreachable { .. } | Error::Fenced { .. } => Observation::Failed(Failure {
                message: format!("the server cannot be asked: {error}"),
                hint: "it is tried again with back-off".to_owned(),
                temporary: true,
            }),
            Error::Refused(refusal) => self.refused(refusal),
        }
    }

    fn refused(&self, refusal: &Refusal) -> Observation {
        if refusal.is_namespace_missing() {
            if self.coming.namespaces.contains(&self.id.namespace) {
                return Observation::Unverified("not checked: its namespace comes in the same commit".to_owned());
            }
            return Observation::Failed(Failure {
                message: format!("namespace {} does not exist", self.id.namespace),
                hint: "add a Namespace manifest to the repository, or make it by hand".to_owned(),
                temporary: true,
            });
        }
        if refusal.is_kind_missing() {
            return self.not_served(&self.item.object.gvk());
        }
        let mut failure = explain(refusal, &self.id);
        if refusal.is_namespace_terminating() {
            failure.temporary = true;
        }
        if refusal.is_immutable() { Observation::Immutable(failure) } else { Observation::Failed(failure) }
    }

    /// An object that the record knows by uid.
    async fn ours(&self, resource: &Resource, uid: &str, wanted_before: bool) -> Observation {
        match self.cluster.get(resource, &self.id, self.actor).await {
            Ok(Some(live)) if live.pointer("/metadata/uid").and_then(Value::as_str) == Some(uid) => {
                self.ours_live(resource, uid, live, wanted_before).await
            }
            Ok(_) => self.first_contact(resource).await,
            Err(error) => self.failed(&error),
        }
    }

    pub(super) async fn ours_live(
        &self,
        resource: &Resource,
        uid: &str,
        live: Value,
        wanted_before: bool,
    ) -> Observation {
        if let Some(reason) = stopped(&live) {
            return Observation::Failed(Failure {
                message: reason,
                hint: "remove the annotation to let bowline go on".to_owned(),
                temporary: false,
            });
        }
        let manager = manager(self.unit);
        let mut payload = payload(self.item, self.unit, Some(&live));
        set_uid(&mut payload, uid);
        let (mut left, mut taken) = (Vec::new(), Vec::new());
        let result = match self.cluster.dry_run_apply(resource, &payload, &manager, Force::No, self.actor).await {
            Ok(applied) => applied.object,
            Err(Error::Refused(refusal)) if !refusal.conflicts().is_empty() => {
                (left, taken) = match self.share(refusal.conflicts(), Claimant::Owner) {
                    Ok(shared) => shared,
                    Err(held) => return held,
                };
                let payload = without_fields(&payload, &left);
                match self.cluster.dry_run_apply(resource, &payload, &manager, Force::Yes, self.actor).await {
                    Ok(applied) => applied.object,
                    Err(error) => return self.not_applied(resource, &payload, live, error).await,
                }
            }
            Err(error) => return self.not_applied(resource, &payload, live, error).await,
        };
        let ownership_lost = essence(&live) == essence(&result)
            && fields::applied(&live, &manager) != fields::applied(&result, &manager);
        Observation::Present(Box::new(Present {
            live,
            result,
            taken,
            left,
            adopt: false,
            ownership_lost,
            wanted_before,
            outdated_claims: false,
        }))
    }

    /// An apply to an object of ours that the server refuses.
    async fn not_applied(&self, resource: &Resource, payload: &Object, live: Value, error: Error) -> Observation {
        match error {
            Error::Refused(refusal) if refusal.is_immutable() => {
                self.immutable(resource, payload, live, &refusal).await
            }
            Error::Refused(refusal) if refusal.is_outdated_claim() => Observation::Present(Box::new(Present {
                result: fields::overlaid(&live, payload.value()),
                live,
                taken: Vec::new(),
                left: Vec::new(),
                adopt: false,
                ownership_lost: true,
                wanted_before: false,
                outdated_claims: true,
            })),
            error => self.failed_strictly(resource, payload, error).await,
        }
    }

    /// An apply's own message names a random part of the unknown fields; a create's names all.
    async fn failed_strictly(&self, resource: &Resource, payload: &Object, error: Error) -> Observation {
        if error.refusal().is_some_and(|refusal| refusal.code == 500 && refusal.reason.is_empty()) {
            let mut fresh = payload.clone();
            set_uid(&mut fresh, "");
            if let Err(Error::Refused(strict)) =
                self.cluster.dry_run_create(resource, &fresh, &manager(self.unit), self.actor).await
                && strict.code == 400
            {
                return self.refused(&strict);
            }
        }
        self.failed(&error)
    }
}

/// Sets or removes `metadata.uid`, which makes an apply fail if the object is another one.
pub fn set_uid(object: &mut Object, uid: &str) {
    if let Some(metadata) = object.value_mut().get_mut("metadata").and_then(Value::as_object_mut) {
        if uid.is_empty() {
            metadata.remove("uid");
        } else {
            metadata.insert("uid".to_owned(), Value::String(uid.to_owned()));
        }
    }
}

/// The emergency stop: an annotation on the live object.
fn stopped(live: &Value) -> Option<String> {
    let annotation = live.pointer("/metadata/annotations/bowline.dev~1reconcile").and_then(Value::as_str)?;
    (annotation == "disabled").then(|| "is stopped by the annotation bowline.dev/reconcile: disabled".to_owned())
}
