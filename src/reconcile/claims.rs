//! Looks at a unit's objects, and settles whose they are when their marks name another unit.
//!
//! Such an object is a conflict. With leave to adopt it is taken over when the record of that unit says that the unit has given
//! it up: it is not in its inventory, or was left in the cluster.

use crate::cluster::Actor;
use crate::cluster::observe;
use crate::diff::change::Claim;
use crate::diff::{Entry, Observation, Observed, State};
use crate::object::ObjectId;

use super::{Task, World};

/// Looks at every wanted object of a unit.
pub(super) async fn observe(world: &World, task: &Task, last: &[Entry], actor: &Actor) -> Observed {
    let World { cluster, store, .. } = world;
    let known = (!task.thorough).then_some(store.as_ref());
    let mut moved_from = task.context.moved_from.clone();
    let observed = observe::observe(cluster, known, &task.unit, last, &moved_from, &task.coming, actor).await;
    let mut given_up = false;
    for (id, observation) in &observed.items {
        if let Observation::Claimed(claim) = observation
            && claim.adopt
            && is_given_up(world, id, claim).await
        {
            moved_from.insert(id.clone(), claim.unit.clone());
            given_up = true;
        }
    }
    if !given_up {
        return observed;
    }
    observe::observe(cluster, known, &task.unit, last, &moved_from, &task.coming, actor).await
}

/// Whether the unit that an object's marks name no longer claims it.
async fn is_given_up(world: &World, id: &ObjectId, claim: &Claim) -> bool {
    match world.records.current(&claim.unit).await {
        Ok(Some(revision)) => {
            let claims = |entry: &Entry| entry.state != State::Orphaned && entry.uid() == claim.uid;
            !revision.entry(id).is_some_and(claims)
        }
        // No record is no proof: the unit may be of another bowline.
        Ok(None) => claim.force,
        Err(_) => false,
    }
}
