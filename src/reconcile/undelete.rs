//! Brings deleted objects back from the record.
//!
//! ```text
//! history of the unit  ->  which objects, from which revision  ->  new revision, planned  ->  made  ->  recorded
//! ```
//! What comes back is an orphan: Git does not ask for it, so bowline neither corrects nor deletes it, until Git names it again
//! (then it is taken up as it is) or people remove it. Why: `docs/decisions/0011`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::World;
use crate::apply::order;
use crate::cluster::objects::{Answer, explain};
use crate::cluster::{Actor, Error, Force, Resource};
use crate::diff::change::Failure;
use crate::diff::marks::{manager, marked};
use crate::diff::{Action, Digest, Entry, Seen, State};
use crate::object::{Object, ObjectId};
use crate::record::{self, Revision, Status};
use crate::unit::UnitName;

/// Which objects are to come back.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The unit that lost them.
    pub unit: UnitName,
    /// One object: `Kind/name` or `Kind/namespace/name`; `None`: all that went last.
    pub object: Option<String>,
    /// From this revision; `None`: from the newest that held them.
    pub revision: Option<u64>,
    /// Who wants it, and why.
    pub reason: String,
}

/// What became of one object.
#[derive(Debug, Clone)]
pub struct Undeleted {
    /// Which object.
    pub id: ObjectId,
    /// The revision that it comes from.
    pub from: u64,
    /// What stands in the way; `None`: it is back.
    pub failure: Option<Failure>,
}

/// Why nothing was brought back.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The unit has no record.
    #[error("unit {0} has no revision")]
    NoHistory(UnitName),
    /// The revision is not kept.
    #[error("revision {revision} of {unit} is not kept; kept are {kept}")]
    NoRevision {
        /// The unit.
        unit: UnitName,
        /// What was asked for.
        revision: u64,
        /// What there is.
        kept: String,
    },
    /// Nothing in the kept revisions is missing now.
    #[error("no kept revision of {unit} holds {what}")]
    Nothing {
        /// The unit.
        unit: UnitName,
        /// What was asked for.
        what: String,
    },
    /// The record could not be read or written.
    #[error(transparent)]
    Record(#[from] record::Error),
}

/// An object on its way back.
struct Lost {
    object: Object,
    entry: Entry,
    from: u64,
}

/// Brings objects back, and records that as a revision of the unit.
///
/// # Errors
/// See [`Refused`]; what happens to each object is part of the result.
pub async fn undelete(world: &World, wish: &Wish) -> Result<(Revision, Vec<Undeleted>), Refused> {
    let history = world.records.history(&wish.unit).await?;
    let Some(current) = history.last() else { return Err(Refused::NoHistory(wish.unit.clone())) };
    let mut lost = find(world, wish, &history).await?;
    lost.sort_by_key(|lost| (order::tier_of(&lost.entry.id), lost.entry.id.clone()));
    let mut revision = begin(world, wish, current, &lost).await?;
    let mut done = Vec::new();
    for Lost { object, entry, from } in &lost {
        let made = make(world, &wish.unit, object).await;
        let place = revision.entries.iter().position(|known| known.id == entry.id);
        let result = match (&made, place) {
            (Ok(answer), Some(place)) => {
                revision.entries[place].seen = Some(Seen::of(answer, &manager(&wish.unit)));
                record::Result { id: entry.id.key(), action: Action::Created, message: wish.reason.clone() }
            }
            (Err(failure), Some(place)) => {
                revision.entries.remove(place);
                record::Result { id: entry.id.key(), action: Action::Failed, message: failure.message.clone() }
            }
            (_, None) => continue,
        };
        revision.results.push(result);
        done.push(Undeleted { id: entry.id.clone(), from: *from, failure: made.err() });
    }
    // What Git wants is as it was: a unit that had failed has still failed.
    revision.status = if current.status == Status::Planned { Status::Failed } else { current.status };
    revision.finished = jiff::Timestamp::now().to_string();
    world.records.update(&mut revision).await?;
    Ok((revision, done))
}

/// The objects that come back: from the newest revision that holds something which is not in the inventory now.
async fn find(world: &World, wish: &Wish, history: &[Revision]) -> Result<Vec<Lost>, Refused> {
    let there: BTreeSet<&ObjectId> =
        history.last().into_iter().flat_map(|current| &current.entries).map(|entry| &entry.id).collect();
    let mut numbers = Vec::new();
    for revision in history.iter().rev() {
        numbers.push(revision.number.to_string());
        if wish.revision.is_some_and(|number| number != revision.number) {
            continue;
        }
        let mut lost = Vec::new();
        for value in world.records.objects(revision).await? {
            let Ok(object) = Object::new(value) else { continue };
            let id = object.id();
            if there.contains(&id) || !wish.object.as_deref().is_none_or(|name| names(name, &id)) {
                continue;
            }
            let entry = orphan(&object, revision, &wish.reason);
            lost.push(Lost { object, entry, from: revision.number });
        }
        if !lost.is_empty() {
            return Ok(lost);
        }
    }
    if let Some(revision) = wish.revision
        && !history.iter().any(|known| known.number == revision)
    {
        numbers.reverse();
        return Err(Refused::NoRevision { unit: wish.unit.clone(), revision, kept: numbers.join(", ") });
    }
    let what = wish.object.clone().unwrap_or_else(|| "anything that is not in its inventory now".to_owned());
    Err(Refused::Nothing { unit: wish.unit.clone(), what })
}

/// Whether a text names an object, with or without its namespace.
fn names(text: &str, id: &ObjectId) -> bool {
    text.eq_ignore_ascii_case(&id.to_string()) || text.eq_ignore_ascii_case(&format!("{}/{}", id.kind, id.name))
}

/// The entry of an object that Git does not ask for.
fn orphan(object: &Object, revision: &Revision, reason: &str) -> Entry {
    let known = revision.entry(&object.id());
    Entry {
        id: object.id(),
        api_version: object.api_version().to_owned(),
        state: State::Orphaned,
        seen: None,
        desired: Digest::default(),
        adopted: false,
        since: 0,
        note: format!("was brought back from revision {}: {reason}", revision.number),
        policy: known.map(|entry| entry.policy.clone()).unwrap_or_default(),
    }
}

/// Records what is about to happen, before the first write.
async fn begin(world: &World, wish: &Wish, current: &Revision, lost: &[Lost]) -> Result<Revision, Refused> {
    let mut revision = Revision {
        number: current.number + 1,
        status: Status::Planned,
        trigger: "undelete".to_owned(),
        reason: wish.reason.clone(),
        started: jiff::Timestamp::now().to_string(),
        finished: String::new(),
        results: Vec::new(),
        ..current.clone()
    };
    let number = revision.number;
    revision.entries.extend(lost.iter().map(|lost| Entry { since: number, ..lost.entry.clone() }));
    let mut objects = world.records.objects(current).await?;
    objects.extend(lost.iter().map(|lost| lost.object.value().clone()));
    world.records.create(&mut revision, &json!(objects)).await?;
    world.records.supersede(current).await?;
    Ok(revision)
}

/// Makes one object, if nothing has its name.
async fn make(world: &World, unit: &UnitName, object: &Object) -> Result<Value, Failure> {
    let failure = |error: Error, id: &ObjectId| match error {
        Error::Refused(refusal) => explain(&refusal, id),
        Error::Unreachable { .. } | Error::Fenced { .. } => {
            Failure { message: error.to_string(), ..Failure::default() }
        }
    };
    let id = object.id();
    let resource: Resource = world.cluster.resource(&object.gvk()).await.ok_or_else(|| Failure {
        message: format!("no matches for kind {} in version {}", id.kind, object.api_version()),
        hint: "bring the definition of the kind back first".to_owned(),
        temporary: false,
    })?;
    match world.cluster.get(&resource, &id, &Actor::Own).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            return Err(Failure { message: "is there: nothing was brought back".to_owned(), ..Failure::default() });
        }
        Err(error) => return Err(failure(error, &id)),
    }
    let object = marked(object, unit);
    let applied =
        world.cluster.apply(&resource, &object, &manager(unit), Force::No, Answer::Metadata, &Actor::Own).await;
    applied.map(|applied| applied.object).map_err(|error| failure(error, &id))
}
