//! Plans all units of a commit together, before the first write.
//!
//! What one unit loses another may want (a move), and what looks like an accident (too much goes at once, or something that
//! cannot be brought back) stops and asks for an approval that is bound to the commit and to what would go.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Context;
use super::entry::{Digest, Entry, State};
use crate::object::ObjectId;
use crate::render::{Budget, Prune, Rendered};
use crate::unit::UnitName;

/// What the last revision of a unit left behind.
#[derive(Debug, Clone, Copy)]
pub struct Last<'a> {
    /// Its inventory.
    pub entries: &'a [Entry],
    /// Files that fed it.
    pub files: &'a BTreeSet<String>,
}

/// The plan of one commit, over all units of a source.
#[derive(Debug, Clone, Default)]
pub struct CommitPlan {
    /// Per unit that is wanted or has an inventory.
    pub contexts: BTreeMap<UnitName, Context>,
    /// Units that Git no longer asks for; their inventories are to be emptied.
    pub gone: Vec<UnitName>,
    /// Units that are not to be touched at all, and why.
    pub held: BTreeMap<UnitName, String>,
    /// An approval that is missing; until it is given nothing is deleted.
    pub approval: Option<Approval>,
}

/// A question to people: may all this go?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Bound to commit and removals: `bowline approve SOURCE HASH`.
    pub hash: String,
    /// Why it is asked.
    pub reason: String,
    /// What would go.
    pub removals: Vec<(UnitName, ObjectId)>,
}

/// Kinds whose objects are never deleted without an approval.
pub const ALWAYS_ASK: [(&str, &str); 4] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
];

/// Plans a commit. `approved` holds the hashes that people have approved.
pub fn plan(
    commit: &str,
    rendered: &Rendered,
    last: &BTreeMap<UnitName, Last<'_>>,
    budget: &Budget,
    approved: &BTreeSet<String>,
) -> CommitPlan {
    let wanted: BTreeMap<ObjectId, &UnitName> = rendered
        .units
        .values()
        .flat_map(|unit| unit.items.iter().map(move |item| (item.object.id(), &unit.name)))
        .collect();
    let mut plan = CommitPlan::default();
    for (unit, held) in held(rendered, last) {
        plan.held.insert(unit, held);
    }
    let mut removals = Vec::new();
    for (name, last) in last {
        let unit = rendered.units.get(name);
        if unit.is_none() {
            plan.gone.push(name.clone());
        }
        let mut context = Context { keep_all: keep_all(rendered, name), ..Context::default() };
        for entry in last.entries {
            match wanted.get(&entry.id) {
                Some(other) if *other != name => {
                    context.moved_to.insert(entry.id.clone(), (*other).clone());
                    let from = plan.contexts.entry((*other).clone()).or_default();
                    from.moved_from.insert(entry.id.clone(), name.clone());
                }
                Some(_) => {}
                None if goes(entry) => removals.push((name.clone(), entry.id.clone())),
                None => {}
            }
        }
        let known = plan.contexts.entry(name.clone()).or_default();
        known.moved_to = context.moved_to;
        known.keep_all = context.keep_all;
    }
    for name in rendered.units.keys() {
        plan.contexts.entry(name.clone()).or_default();
    }
    ask(&mut plan, commit, removals, last, budget, approved);
    plan
}

/// Whether an entry that is no longer wanted would be deleted.
fn goes(entry: &Entry) -> bool {
    entry.policy.prune == Prune::Delete && !entry.adopted && entry.state != State::Orphaned && entry.may_exist()
}

/// Units that a file fed at the last good commit which cannot be read now.
fn held(rendered: &Rendered, last: &BTreeMap<UnitName, Last<'_>>) -> Vec<(UnitName, String)> {
    last.iter()
        .filter_map(|(name, last)| {
            let file = last.files.iter().find(|file| rendered.unreadable.contains(*file))?;
            Some((name.clone(), format!("{file} cannot be read: the unit stays as it is until the file is mended")))
        })
        .collect()
}

/// Why nothing of a unit may be deleted, whatever people approve.
fn keep_all(rendered: &Rendered, unit: &UnitName) -> Option<String> {
    if let Some(file) = rendered.unreadable.first() {
        return Some(format!("{file} cannot be read: what is missing may be inside it"));
    }
    let problems = rendered.units.get(unit).map_or(0, |unit| unit.problems.len());
    (problems > 0).then(|| format!("the unit has {problems} problem{}", if problems == 1 { "" } else { "s" }))
}

/// Stops deletions that need an approval which was not given.
fn ask(
    plan: &mut CommitPlan,
    commit: &str,
    removals: Vec<(UnitName, ObjectId)>,
    last: &BTreeMap<UnitName, Last<'_>>,
    budget: &Budget,
    approved: &BTreeSet<String>,
) {
    let objects: usize = last.values().map(|last| last.entries.len()).sum();
    let units_losing_all = plan.gone.iter().filter(|name| removals.iter().any(|(unit, _)| unit == *name)).count();
    let most_objects = budget.objects.max(objects * budget.percent / 100);
    let most_units = budget.units.max(last.len() * budget.unit_percent / 100);
    let precious: Vec<String> = removals
        .iter()
        .filter(|(_, id)| ALWAYS_ASK.contains(&(id.group.as_str(), id.kind.as_str())))
        .map(|(_, id)| id.to_string())
        .collect();
    let reason = if removals.len() > most_objects {
        format!("{} of {objects} objects would be deleted, more than {most_objects}", removals.len())
    } else if units_losing_all > most_units {
        format!("{units_losing_all} of {} units would be emptied, more than {most_units}", last.len())
    } else if !precious.is_empty() {
        format!("{} would be deleted, and cannot be brought back", precious.join(", "))
    } else {
        return;
    };
    let hash = approval_hash(commit, &removals);
    if approved.contains(&hash) {
        return;
    }
    let losing: BTreeSet<&UnitName> = removals.iter().map(|(unit, _)| unit).collect();
    for unit in losing {
        if let Some(context) = plan.contexts.get_mut(unit) {
            context.keep_all.get_or_insert_with(|| format!("waits for approval {hash}: {reason}"));
        }
    }
    plan.approval = Some(Approval { hash, reason, removals });
}

fn approval_hash(commit: &str, removals: &[(UnitName, ObjectId)]) -> String {
    let mut text = format!("{commit}\n");
    for (unit, id) in removals {
        text.push_str(&format!("{unit};{}\n", id.key()));
    }
    Digest::of(text.as_bytes()).to_string()
}
