//! Meets objects that the record does not know: are they there, whose are they, and may we have them?
//!
//! | who holds the object or a field of it | first contact | with `adopt: true` | an object of ours |
//! |---|---|---|---|
//! | kubectl, Helm (client side) | conflict | taken over, their claims end | put back |
//! | an autoscaler | conflict | its field is left to it | its field is left to it |
//! | another GitOps tool, another unit of bowline's | conflict | conflict | conflict |
//! | anybody else | conflict | conflict; taken with `bowline.dev/force` | put back |
//!
//! A first contact never forces. The owners' column is drift, which is told with manager and field.

use serde_json::Value;

use super::objects::{Force, is_autoscaler, is_other_tool, is_predecessor, without_fields};
use super::observe::{Look, payload};
use super::{Error, Resource};
use crate::diff::change::{Claim, Failure, Present};
use crate::diff::marks::{is_ours, manager, unit_of};
use crate::diff::{FieldConflict, Observation, fields};
use crate::object::Object;
use crate::unit::UnitName;

/// In what right we ask for a field that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimant {
    /// The object is ours, or a unit of ours hands it over.
    Owner,
    /// The object is somebody else's, and Git says that it may be taken over.
    Adopter,
}

impl Look<'_> {
    /// An object that the record does not have, or that the server no longer has under the recorded uid.
    pub(super) async fn first_contact(&self, resource: &Resource) -> Observation {
        if self.from.is_none() {
            match self.absent(resource).await {
                Err(Error::Refused(refusal)) if refusal.code == 409 && refusal.reason == "AlreadyExists" => {}
                Err(error) => return self.failed(&error),
                Ok(absent) => return absent,
            }
        }
        let live = match self.cluster.get(resource, &self.id, self.actor).await {
            Ok(Some(live)) => live,
            Ok(None) if self.from.is_some() => {
                return self.absent(resource).await.unwrap_or_else(|error| self.failed(&error));
            }
            // It went between the two requests: the next pass makes it.
            Ok(None) => {
                return self
                    .failed(&Error::Unreachable { doing: "looking".to_owned(), cause: "it came and went".to_owned() });
            }
            Err(error) => return self.failed(&error),
        };
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let marked = Object::new(live.clone()).ok().and_then(|object| unit_of(&object));
        let holds = |unit: &UnitName| fields::applied(&live, &manager(unit)).is_some();
        match marked {
            Some(unit) if unit == *self.unit && holds(&unit) => self.ours_live(resource, &uid, live, false).await,
            // Both the plan and the object say where it comes from; or it is ours, by another name of its kind.
            Some(unit) if self.from == Some(&unit) => self.take(resource, live, Claimant::Owner).await,
            _ if self.uids.contains(uid.as_str()) && holds(self.unit) => {
                self.take(resource, live, Claimant::Owner).await
            }
            Some(unit) if unit != *self.unit => {
                let policy = &self.item.policy;
                Observation::Claimed(Claim { unit, uid, adopt: policy.adopt, force: policy.force })
            }
            _ => self.take(resource, live, Claimant::Adopter).await,
        }
    }

    async fn absent(&self, resource: &Resource) -> Result<Observation, Error> {
        let fresh = payload(self.item, self.unit, None);
        let applied = self.cluster.dry_run_create(resource, &fresh, &manager(self.unit), self.actor).await?;
        Ok(Observation::Absent(Box::new(applied.object)))
    }

    /// An object that is there and that the record does not know.
    async fn take(&self, resource: &Resource, live: Value, claimant: Claimant) -> Observation {
        let payload = payload(self.item, self.unit, Some(&live));
        let manager = manager(self.unit);
        let unforced = self.cluster.dry_run_apply(resource, &payload, &manager, Force::No, self.actor).await;
        let (conflicts, result) = match unforced {
            Ok(applied) => (Vec::new(), Some(applied.object)),
            Err(Error::Refused(refusal)) if !refusal.conflicts().is_empty() => (refusal.conflicts(), None),
            Err(error) => return self.failed(&error),
        };
        if let Some(tool) = other_tool(&live, &conflicts) {
            return Observation::Failed(Failure {
                message: format!("is held by {tool}, another tool that applies from Git"),
                hint: "take the object out of one of the two".to_owned(),
                temporary: false,
            });
        }
        if claimant == Claimant::Adopter && !self.item.policy.adopt {
            return Observation::Foreign(Box::new(live), conflicts);
        }
        let (left, taken) = match self.share(conflicts, claimant) {
            Ok(shared) => shared,
            Err(held) => return held,
        };
        let payload = without_fields(&payload, &left);
        let force = if taken.is_empty() { Force::No } else { Force::Yes };
        let result = match result {
            Some(result) => result,
            None => match self.cluster.dry_run_apply(resource, &payload, &manager, force, self.actor).await {
                Ok(applied) => applied.object,
                Err(error) => return self.failed(&error),
            },
        };
        let adopt = claimant == Claimant::Adopter;
        Observation::Present(Box::new(Present {
            live,
            result,
            taken,
            left,
            adopt,
            ownership_lost: true,
            wanted_before: false,
            outdated_claims: false,
        }))
    }

    /// Parts the fields that others hold: those left to their owners, and those taken. An observation when somebody holds one
    /// whom we do not overrule.
    pub(super) fn share(
        &self,
        conflicts: Vec<FieldConflict>,
        claimant: Claimant,
    ) -> Result<(Vec<FieldConflict>, Vec<FieldConflict>), Observation> {
        let (left, others): (Vec<FieldConflict>, Vec<FieldConflict>) =
            conflicts.into_iter().partition(|conflict| is_autoscaler(&conflict.manager, &conflict.subresource));
        let handing_over = self.from.map(manager);
        // Two that apply for ever never end well, whatever anybody forces.
        let rival = |conflict: &FieldConflict| {
            let name = conflict.manager.as_str();
            is_other_tool(name) || is_ours(name) && handing_over.as_deref() != Some(name)
        };
        let stranger = |conflict: &FieldConflict| {
            claimant == Claimant::Adopter && !is_predecessor(&conflict.manager) && !self.item.policy.force
        };
        let held: Vec<FieldConflict> =
            others.iter().filter(|conflict| rival(conflict) || stranger(conflict)).cloned().collect();
        if held.is_empty() {
            return Ok((left, others));
        }
        let may_force = !held.iter().any(rival);
        Err(Observation::Held { conflicts: held, may_force })
    }
}

/// Another tool that applies from Git and holds the object.
fn other_tool(live: &Value, conflicts: &[FieldConflict]) -> Option<String> {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let holders = entries
        .filter(|entry| entry.get("subresource").is_none())
        .filter_map(|entry| entry.get("manager")?.as_str())
        .chain(conflicts.iter().map(|conflict| conflict.manager.as_str()));
    holders.into_iter().find(|name| is_other_tool(name)).map(str::to_owned)
}
