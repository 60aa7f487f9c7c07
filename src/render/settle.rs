//! Finishes units: one id wanted twice, settings of all folders that fed a unit, dependencies, and the objects themselves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::place::{Assembly, Draft, Piece};
use super::{Item, Rendered, Settings, Unit};
use crate::load::{Budget, Folder};
use crate::object::Object;
use crate::unit::{Origin, Problem, UnitName};

/// Units of the last rendering with what they were made from.
///
/// Pieces are shared with the loaded files, so that comparing them is comparing addresses: only what a commit or a change of
/// the cluster touches is made again.
#[derive(Debug, Default)]
pub struct Cache {
    units: BTreeMap<UnitName, (Vec<Piece>, Arc<Unit>)>,
    made: usize,
}

impl Cache {
    /// How many units the last rendering had to make.
    pub fn made(&self) -> usize {
        self.made
    }
}

/// Finishes all units.
pub(super) fn settle(mut assembly: Assembly<'_>, cache: &mut Cache) -> Rendered {
    refuse_twins(&mut assembly.units);
    for (name, draft) in &mut assembly.units {
        one_account(name, draft);
        one_place(draft);
    }
    let by_folder = folder_units(&assembly.units);
    let mut units = BTreeMap::new();
    let mut kept = BTreeMap::new();
    cache.made = 0;
    for (name, draft) in &assembly.units {
        let mut frame = frame(name, draft, &by_folder);
        let known = cache.units.remove(name);
        let unit = match known {
            Some((pieces, unit)) if same(&pieces, &draft.pieces) && is_frame_of(&frame, &unit) => unit,
            _ => {
                cache.made += 1;
                frame.items = draft.pieces.iter().filter_map(|piece| item(piece, &name.namespace)).collect();
                frame.items.sort_by_cached_key(|item| item.object.id());
                Arc::new(frame)
            }
        };
        kept.insert(name.clone(), (draft.pieces.clone(), unit.clone()));
        units.insert(name.clone(), unit);
    }
    cache.units = kept;
    assembly.problems.sort();
    assembly.problems.dedup();
    assembly.warnings.sort();
    assembly.warnings.dedup();
    Rendered {
        units,
        problems: assembly.problems,
        warnings: assembly.warnings,
        unreadable: assembly.unreadable,
        stale: assembly.stale,
        copied: assembly.copied,
        folder_units: assembly.folder_units,
        approvals: assembly.approvals,
        namespaces: assembly
            .namespaces
            .into_iter()
            .filter(|(_, namespace)| !namespace.terminating)
            .map(|(name, _)| name)
            .collect(),
    }
}

/// The object of a piece in a namespace. What has no problem has the fields that an object needs.
fn item(piece: &Piece, namespace: &str) -> Option<Item> {
    let mut object = Object::shared(piece.manifest.value.clone()).ok()?;
    object.set_namespace(namespace);
    Some(Item {
        object,
        origin: piece.manifest.origin.clone(),
        list: piece.list.to_string(),
        policy: (*piece.policy).clone(),
    })
}

/// Whether pieces make the same items.
fn same(left: &[Piece], right: &[Piece]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            (Arc::ptr_eq(&left.manifest, &right.manifest) || left.manifest == right.manifest)
                && left.list == right.list
                && left.policy == right.policy
        })
}

/// Whether a unit without its items is that of another one.
fn is_frame_of(frame: &Unit, unit: &Unit) -> bool {
    frame.kind == unit.kind
        && frame.problems == unit.problems
        && frame.files == unit.files
        && frame.depends_on == unit.depends_on
        && frame.settings == unit.settings
}

/// A unit without its items.
fn frame(name: &UnitName, draft: &Draft, by_folder: &BTreeMap<&str, Vec<&UnitName>>) -> Unit {
    let mut files: BTreeSet<&str> = draft.files.iter().map(AsRef::as_ref).collect();
    files.extend(draft.pieces.iter().map(|piece| piece.manifest.origin.file.as_str()));
    let mut problems = draft.problems.clone();
    problems.sort();
    problems.dedup();
    Unit {
        name: name.clone(),
        kind: draft.kind,
        items: Vec::new(),
        problems,
        files: files.into_iter().map(str::to_owned).collect(),
        depends_on: depends_on(name, draft, by_folder),
        settings: settings(name, draft),
    }
}

/// Names of the units of each folder unit.
fn folder_units(units: &BTreeMap<UnitName, Draft>) -> BTreeMap<&str, Vec<&UnitName>> {
    let mut by_folder: BTreeMap<&str, Vec<&UnitName>> = BTreeMap::new();
    for name in units.keys().filter(|name| !name.name.is_empty()) {
        by_folder.entry(&name.name).or_default().push(name);
    }
    by_folder
}

/// A unit waits for the other one's part in its own namespace and for its cluster-scoped part; where the other one has no
/// part in this namespace, for all of it.
fn depends_on(name: &UnitName, draft: &Draft, by_folder: &BTreeMap<&str, Vec<&UnitName>>) -> Vec<UnitName> {
    let wanted = draft.folders.iter().filter_map(|folder| folder.unit.as_ref()).flat_map(|unit| &unit.depends_on);
    let mut all = BTreeSet::new();
    for wanted in wanted {
        let parts = by_folder.get(wanted.as_str()).map(Vec::as_slice).unwrap_or_default();
        let here = parts.iter().any(|part| !part.namespace.is_empty() && part.namespace == name.namespace);
        let needed = parts.iter().filter(|part| !here || part.namespace.is_empty() || part.namespace == name.namespace);
        all.extend(needed.map(|part| (*part).clone()));
    }
    all.into_iter().collect()
}

/// Settings of a unit that several folders may feed: the careful choice of each.
fn settings(name: &UnitName, draft: &Draft) -> Settings {
    let default = Settings::default();
    let folders = || draft.folders.iter();
    let budget = folders().map(|folder| folder.budget.resolved()).reduce(|left, right| Budget {
        objects: left.objects.min(right.objects),
        percent: left.percent.min(right.percent),
        units: left.units.min(right.units),
        unit_percent: left.unit_percent.min(right.unit_percent),
    });
    // The first rule that matches counts: deeper folders, which hold more lists, come first.
    let mut by_depth: Vec<_> = folders().collect();
    by_depth.sort_by_key(|folder| Reverse(folder.health.len()));
    let mut health = Vec::new();
    for rule in by_depth.into_iter().flat_map(|folder| &folder.health).flat_map(|list| list.rules.iter()) {
        if !health.contains(rule) {
            health.push(rule.clone());
        }
    }
    Settings {
        atomic: folders().any(|folder| folder.atomic.unwrap_or(default.atomic)),
        wait: folders().any(|folder| folder.wait.unwrap_or(default.wait)),
        timeout_seconds: folders()
            .map(|folder| folder.timeout_seconds.unwrap_or(default.timeout_seconds))
            .max()
            .unwrap_or(default.timeout_seconds),
        budget: budget.unwrap_or(default.budget),
        service_account: match draft.pieces.first() {
            Some(piece) => account(&piece.folder, &name.namespace),
            None => folders().map(|folder| account(folder, &name.namespace)).min().flatten(),
        },
        health,
    }
}

/// The account that acts for a folder in a namespace.
fn account(folder: &Folder, namespace: &str) -> Option<(String, String)> {
    let account = folder.service_account.as_ref()?;
    let namespace = account.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    Some((namespace, account.name.clone()))
}

/// A unit is written by one account. Objects of folders that name another one are left out: to write them with more rights, or
/// with others, is never right.
fn one_account(name: &UnitName, draft: &mut Draft) {
    // `None`, bowline's own, sorts first: what the owner of the source wrote stays.
    let chosen = draft.pieces.iter().map(|piece| account(&piece.folder, &name.namespace)).min().flatten();
    let mut problems = Vec::new();
    let mut files = Vec::new();
    draft.pieces.retain(|piece| {
        let own = account(&piece.folder, &name.namespace);
        let nowhere = own.as_ref().is_some_and(|(namespace, _)| namespace.is_empty());
        let Some(written) = &piece.folder.service_account else { return true };
        if nowhere {
            let message =
                format!("serviceAccount: {} is named without a namespace, and {} has none", written.name, name);
            problems.push(Problem::new(written.origin.clone(), message).with_hint("write namespace/name"));
        } else if own != chosen {
            let message =
                format!("serviceAccount: {name} is written by another account; objects of this folder are left out");
            let hint = "make the folder a unit of its own: unit: {name: ..}";
            problems.push(Problem::new(written.origin.clone(), message).with_hint(hint));
        }
        let stays = !nowhere && own == chosen;
        if !stays {
            files.push(Arc::from(piece.manifest.origin.file.as_str()));
        }
        stays
    });
    draft.files.extend(files);
    for problem in problems {
        draft.problem(&problem);
    }
}

/// A unit of one name in one namespace is one folder.
fn one_place(draft: &mut Draft) {
    let named: BTreeMap<&Origin, &str> = draft
        .folders
        .iter()
        .filter_map(|folder| folder.unit.as_ref())
        .map(|unit| (&unit.origin, unit.name.as_str()))
        .collect();
    if named.len() < 2 {
        return;
    }
    let places: Vec<String> = named.keys().map(ToString::to_string).collect();
    let problems: Vec<Problem> = named
        .iter()
        .map(|(origin, name)| {
            let message =
                format!("unit `{name}` of this namespace is named in {} places: {}", places.len(), places.join(", "));
            Problem::new((*origin).clone(), message).with_hint("give each its own name")
        })
        .collect();
    problems.iter().for_each(|problem| draft.problem(problem));
}

/// One id wanted twice is an error for both; neither is applied, and neither unit is pruned.
fn refuse_twins(units: &mut BTreeMap<UnitName, Draft>) {
    let twins = twins(units);
    let mut places: BTreeMap<&UnitName, BTreeSet<usize>> = BTreeMap::new();
    for (name, index, problem) in &twins {
        places.entry(name).or_default().insert(*index);
        if let Some(draft) = units.get_mut(name) {
            draft.problem(problem);
        }
    }
    for (name, places) in places {
        let Some(draft) = units.get_mut(name) else { continue };
        let mut index = 0;
        draft.pieces.retain(|piece| {
            let twin = places.contains(&index);
            index += 1;
            if twin {
                draft.files.insert(piece.manifest.origin.file.as_str().into());
            }
            !twin
        });
    }
}

/// Every piece whose id is wanted again, with its place in its unit and what to say.
fn twins(units: &BTreeMap<UnitName, Draft>) -> Vec<(UnitName, usize, Problem)> {
    let mut all: Vec<(&str, &str, &str, &str, &UnitName, usize)> = Vec::new();
    for (name, draft) in units {
        for (index, piece) in draft.pieces.iter().enumerate() {
            let manifest = &piece.manifest;
            all.push((&name.namespace, &manifest.gvk.group, &manifest.gvk.kind, &manifest.name, name, index));
        }
    }
    all.sort_unstable();
    let mut twins = Vec::new();
    for group in all.chunk_by(|left, right| (left.0, left.1, left.2, left.3) == (right.0, right.1, right.2, right.3)) {
        if group.len() < 2 {
            continue;
        }
        let piece =
            |at: &(&str, &str, &str, &str, &UnitName, usize)| units.get(at.4).and_then(|draft| draft.pieces.get(at.5));
        for at in group {
            let Some(own) = piece(at) else { continue };
            let others: BTreeSet<String> = group
                .iter()
                .filter(|other| *other != at)
                .filter_map(piece)
                .map(|other| match &*other.list {
                    "" => other.manifest.origin.to_string(),
                    list => format!("{} (list {list})", other.manifest.origin),
                })
                .collect();
            let others: Vec<String> = others.into_iter().collect();
            let subject =
                if at.0.is_empty() { format!("{}/{}", at.2, at.3) } else { format!("{}/{}/{}", at.2, at.0, at.3) };
            let message = format!("{subject}: is also written at {}", others.join(", "));
            let problem =
                Problem::new(own.manifest.origin.clone(), message).with_hint("keep one of them; none is applied");
            twins.push((at.4.clone(), at.5, problem));
        }
    }
    twins
}
