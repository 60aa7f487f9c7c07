//! Prepares all units of a commit together: who gets what, what moves, what is held, what needs an approval.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Task, Trigger, World, desired};
use crate::cluster::observe::Coming;
use crate::cluster::store::{Looked, newer};
use crate::diff::commit::{Approval, CommitPlan, Last, plan};
use crate::diff::{self, Entry, State, Verdict};
use crate::object::{Gvk, ObjectId};
use crate::record::{Commit, Revision, Status};
use crate::render::{Budget, Rendered, Settings, Unit};
use crate::unit::UnitName;

/// A commit that is ready to be planned or applied.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The commit.
    pub commit: Commit,
    /// Every unit that is wanted or has an inventory, but those that are held.
    pub units: BTreeMap<UnitName, Arc<Unit>>,
    /// Moves, held units and a missing approval.
    pub plan: CommitPlan,
    /// What the commit brings that other units may need.
    pub coming: Arc<Coming>,
    /// The records it was planned with.
    from: BTreeMap<UnitName, Arc<Revision>>,
}

/// Plans a commit over all units of a source. `revisions` are their current records.
pub fn prepare(
    rendered: &Rendered,
    revisions: &BTreeMap<UnitName, Arc<Revision>>,
    commit: &Commit,
    approved: &BTreeSet<String>,
) -> Prepared {
    let last: BTreeMap<UnitName, Last<'_>> = revisions
        .iter()
        .filter(|(_, revision)| !revision.is_tombstone())
        .map(|(name, revision)| (name.clone(), Last { entries: &revision.entries, files: &revision.files }))
        .collect();
    let plan = plan(rendered, &last, &budget(rendered), approved);
    let mut units = rendered.units.clone();
    for name in &plan.gone {
        if let Some(revision) = revisions.get(name) {
            units.insert(name.clone(), Arc::new(empty(revision, dependents(name, &plan.gone, revisions))));
        }
    }
    units.retain(|name, _| !plan.held.contains_key(name));
    Prepared { commit: commit.clone(), units, coming: Arc::new(coming(rendered)), plan, from: revisions.clone() }
}

/// The hash that removes what was left in the cluster and bowline made; `None` when there is nothing.
pub fn orphans(revisions: &BTreeMap<UnitName, Arc<Revision>>) -> Option<Approval> {
    diff::commit::offer(revisions.iter().map(|(name, revision)| (name, revision.entries.as_slice())))
}

/// The source's budget: of the units that state one, the least generous.
fn budget(rendered: &Rendered) -> Budget {
    let mut budget: Option<Budget> = None;
    for unit in rendered.units.values() {
        let stated = &unit.settings.budget;
        budget = Some(match budget {
            None => stated.clone(),
            Some(least) => Budget {
                objects: least.objects.min(stated.objects),
                percent: least.percent.min(stated.percent),
                units: least.units.min(stated.units),
                unit_percent: least.unit_percent.min(stated.unit_percent),
            },
        });
    }
    budget.unwrap_or_default()
}

/// Units that go as well and needed this one: they go first.
fn dependents(name: &UnitName, gone: &[UnitName], revisions: &BTreeMap<UnitName, Arc<Revision>>) -> Vec<UnitName> {
    let needs = |other: &&UnitName| revisions.get(*other).is_some_and(|revision| revision.depends_on.contains(name));
    gone.iter().filter(needs).cloned().collect()
}

/// What is left of a unit that Git no longer asks for: it wants nothing, and acts as it did.
fn empty(last: &Revision, depends_on: Vec<UnitName>) -> Unit {
    Unit {
        name: last.unit.clone(),
        kind: last.kind,
        items: Vec::new(),
        problems: Vec::new(),
        files: BTreeSet::new(),
        depends_on,
        settings: Settings { service_account: last.account.clone(), ..Settings::default() },
    }
}

/// Namespaces and kinds that the commit itself brings.
fn coming(rendered: &Rendered) -> Coming {
    let mut coming = Coming::default();
    for item in rendered.units.values().flat_map(|unit| &unit.items) {
        let id = item.object.id();
        match (id.group.as_str(), id.kind.as_str()) {
            ("", "Namespace") => drop(coming.namespaces.insert(id.name)),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                let text = |pointer: &str| item.object.value().pointer(pointer).and_then(|value| value.as_str());
                if let (Some(group), Some(kind)) = (text("/spec/group"), text("/spec/names/kind")) {
                    coming.kinds.insert((group.to_owned(), kind.to_owned()));
                }
            }
            _ => {}
        }
    }
    coming
}

impl Prepared {
    /// The task of one unit.
    pub fn task(&self, name: &UnitName, last: Option<Arc<Revision>>, trigger: Trigger) -> Option<Task> {
        Some(Task {
            unit: self.units.get(name)?.clone(),
            last,
            context: self.plan.contexts.get(name).cloned().unwrap_or_default(),
            coming: self.coming.clone(),
            commit: self.commit.clone(),
            trigger,
            cancel: CancellationToken::new(),
            thorough: false,
            progress: None,
        })
    }

    /// Whether a unit's record holds objects that are not wanted and that the plan did not know of: what leaves, moves, or
    /// needs an approval was decided without them. That is so when a commit is planned while a unit of the one before is
    /// still at work.
    pub fn is_outdated(&self, name: &UnitName, last: Option<&Arc<Revision>>) -> bool {
        let Some(last) = last else { return false };
        let known = self.from.get(name);
        if known.is_some_and(|known| Arc::ptr_eq(known, last)) {
            return false;
        }
        let wanted: BTreeSet<ObjectId> =
            self.units.get(name).into_iter().flat_map(|unit| &unit.items).map(|item| item.object.id()).collect();
        last.entries
            .iter()
            .any(|entry| !wanted.contains(&entry.id) && known.is_none_or(|known| known.entry(&entry.id).is_none()))
    }

    /// Kinds that the units want or have: those to be watched.
    pub fn kinds(&self, revisions: &BTreeMap<UnitName, Arc<Revision>>) -> BTreeSet<Gvk> {
        let wanted = self.units.values().flat_map(|unit| unit.items.iter().map(|item| item.object.gvk()));
        let had = revisions.values().flat_map(|revision| revision.entries.iter().map(Entry::gvk));
        let mut kinds: BTreeMap<(String, String), Gvk> = BTreeMap::new();
        for gvk in had.chain(wanted) {
            kinds.insert((gvk.group.clone(), gvk.kind.clone()), gvk);
        }
        kinds.into_values().collect()
    }
}

/// Whether a unit must be looked at: Git asks for something else, the last try failed, or something moved.
pub fn is_due(world: &World, prepared: &Prepared, name: &UnitName, last: Option<&Revision>) -> bool {
    let Some(unit) = prepared.units.get(name) else { return false };
    let Some(last) = last else { return !unit.items.is_empty() };
    let context = prepared.plan.contexts.get(name);
    let moves = context.is_some_and(|context| !context.moved_from.is_empty() || !context.moved_to.is_empty());
    let prunes = context.is_some_and(|context| context.keep_all.is_none())
        && last
            .entries
            .iter()
            .any(|entry| matches!(entry.state, State::Held | State::Pruning | State::Planned | State::Replacing));
    let clears = context.is_some_and(|context| context.orphans_go)
        && last.entries.iter().any(|entry| entry.state == State::Orphaned && !entry.adopted);
    let told = last.problems == unit.problems;
    moves
        || prunes
        || clears
        || !told
        || last.status != Status::Applied
        || last.desired != desired(unit)
        || has_moved(world, last)
}

/// Whether an object of the inventory was touched since it was applied, as far as the watches tell.
pub fn has_moved(world: &World, last: &Revision) -> bool {
    moved(world, last).next().is_some()
}

/// The objects of the inventory that were touched since they were applied, as far as the watches tell.
pub fn moved<'a>(world: &'a World, last: &'a Revision) -> impl Iterator<Item = &'a ObjectId> {
    let touched = last.entries.iter().filter(|entry| entry.state == State::Applied).filter(|entry| {
        let Some(seen) = &entry.seen else { return false };
        match world.store.look(&entry.id) {
            Looked::There(look) => {
                !newer(&seen.resource_version, &look.seen.resource_version)
                    && matches!(look.seen.verdict(seen), Verdict::Look | Verdict::Replaced)
            }
            Looked::Gone => true,
            Looked::NotYet => false,
        }
    });
    touched.map(|entry| &entry.id)
}
