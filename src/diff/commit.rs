//! Plans all units of a commit together, before the first write.
//!
//! What one unit loses another may want (a move), and what looks like an accident (too much goes at once, a unit renders
//! nothing any more, or something goes that cannot be brought back) stops and asks for an approval.
//!
//! An approval is bound to what would go: each object by unit, id, uid, and the revision that wanted it. So it is the same
//! hash in the plan of a pull request and after its merge, and no hash twice: what comes back after a revert has another
//! revision.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Context;
use super::entry::{Digest, Entry, State};
use crate::object::ObjectId;
use crate::render::{Budget, Prune, Rendered};
use crate::unit::{Problem, UnitName};

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
    /// An approval that is missing; until it is given nothing of the units it is about is deleted.
    pub approval: Option<Approval>,
    /// Lines of Git that approve nothing, or nothing any more.
    pub stale: Vec<Problem>,
}

/// A question to people: may all this go?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What to approve, bound to the removals: `bowline approve SUBJECT HASH`, or a line in Git.
    pub hash: String,
    /// The source, or the unit when only one is asked about.
    pub subject: String,
    /// Why it is asked.
    pub reason: String,
    /// What would go.
    pub removals: Vec<Removal>,
    /// The same for each unit alone.
    pub units: BTreeMap<UnitName, String>,
}

/// An object that would be deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removal {
    /// The unit whose inventory holds it.
    pub unit: UnitName,
    /// Which object.
    pub id: ObjectId,
    uid: String,
    since: u64,
}

impl Removal {
    fn new(unit: &UnitName, entry: &Entry) -> Self {
        Removal { unit: unit.clone(), id: entry.id.clone(), uid: entry.uid().to_owned(), since: entry.since }
    }
}

/// Kinds whose objects are never deleted without an approval.
pub const ALWAYS_ASK: [(&str, &str); 4] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
];

/// Plans a commit. `approved` holds the hashes that people have approved; those in Git come with what is rendered.
pub fn plan(
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
        if !rendered.units.contains_key(name) {
            plan.gone.push(name.clone());
        }
        for entry in last.entries {
            match wanted.get(&entry.id) {
                Some(other) if *other != name => {
                    let context = plan.contexts.entry(name.clone()).or_default();
                    context.moved_to.insert(entry.id.clone(), (*other).clone());
                    let from = plan.contexts.entry((*other).clone()).or_default();
                    from.moved_from.insert(entry.id.clone(), name.clone());
                }
                Some(_) => {}
                None if goes(entry, rendered) => removals.push(Removal::new(name, entry)),
                None => {}
            }
        }
        plan.contexts.entry(name.clone()).or_default().keep_all = keep_all(rendered, name);
    }
    for name in rendered.units.keys() {
        plan.contexts.entry(name.clone()).or_default();
    }
    let approved: BTreeSet<&str> = approved.iter().chain(rendered.approvals.keys()).map(String::as_str).collect();
    let mut known = BTreeSet::new();
    ask(&mut plan, rendered, removals, last, budget, &approved, &mut known);
    let orphans = offer(last.iter().map(|(name, last)| (name, last.entries)));
    release(&mut plan, orphans, &approved, &mut known);
    plan.stale = stale(rendered, &known);
    plan
}

/// Whether an entry that is no longer wanted would be deleted, and nobody has allowed it yet.
fn goes(entry: &Entry, rendered: &Rendered) -> bool {
    // With a namespace went what it held: nothing of it can be lost any more.
    let exists = entry.id.namespace.is_empty() || rendered.namespaces.contains(&entry.id.namespace);
    let undecided = !matches!(entry.state, State::Orphaned | State::Pruning);
    entry.policy.prune == Prune::Delete && !entry.adopted && undecided && entry.may_exist() && exists
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

/// What makes people be asked: a reason, the units that wait for the answer, and whether the answer must be for all.
struct Question {
    reasons: Vec<String>,
    units: BTreeSet<UnitName>,
    whole: bool,
}

/// Stops deletions that need an approval which was not given.
fn ask(
    plan: &mut CommitPlan,
    rendered: &Rendered,
    removals: Vec<Removal>,
    last: &BTreeMap<UnitName, Last<'_>>,
    budget: &Budget,
    approved: &BTreeSet<&str>,
    known: &mut BTreeSet<String>,
) {
    let question = question(plan, rendered, &removals, last, budget);
    if question.reasons.is_empty() {
        return;
    }
    let asked = removals.into_iter().filter(|removal| question.units.contains(&removal.unit)).collect();
    let approval = Approval::new("delete", question.reasons.join("; "), asked);
    known.extend(approval.hashes());
    let mut waiting = question.units;
    if approved.contains(approval.hash.as_str()) {
        waiting.clear();
    } else if !question.whole || approval.units.values().all(|hash| approved.contains(hash.as_str())) {
        waiting.retain(|unit| !approval.units.get(unit).is_some_and(|hash| approved.contains(hash.as_str())));
    }
    for unit in &waiting {
        if let Some(context) = plan.contexts.get_mut(unit) {
            context
                .keep_all
                .get_or_insert_with(|| format!("waits for approval {}: {}", approval.hash, approval.reason));
        }
    }
    plan.approval = (!waiting.is_empty()).then_some(approval);
}

fn question(
    plan: &CommitPlan,
    rendered: &Rendered,
    removals: &[Removal],
    last: &BTreeMap<UnitName, Last<'_>>,
    budget: &Budget,
) -> Question {
    let losing: BTreeSet<&UnitName> = removals.iter().map(|removal| &removal.unit).collect();
    let objects: usize = last.values().map(|last| last.entries.len()).sum();
    let emptied = plan.gone.iter().filter(|name| losing.contains(name)).count();
    let most_objects = budget.objects.max(objects * budget.percent / 100);
    let most_units = budget.units.max(last.len() * budget.unit_percent / 100);
    let mut reasons = Vec::new();
    if !removals.is_empty() && rendered.units.values().all(|unit| unit.items.is_empty()) {
        reasons.push(format!("the repository holds no object any more, and {} would be deleted", removals.len()));
    }
    if removals.len() > most_objects {
        reasons.push(format!("{} of {objects} objects would be deleted, more than {most_objects}", removals.len()));
    }
    if emptied > most_units {
        reasons.push(format!("{emptied} of {} units would be emptied, more than {most_units}", last.len()));
    }
    let whole = !reasons.is_empty();
    let mut units: BTreeSet<UnitName> = if whole { losing.iter().copied().cloned().collect() } else { BTreeSet::new() };
    for unit in losing.into_iter().filter(|unit| !whole && renders_nothing(rendered, unit)) {
        reasons.push(format!("{unit} renders nothing any more, although it is still in the repository"));
        units.insert(unit.clone());
    }
    let is_precious = |removal: &&Removal| ALWAYS_ASK.contains(&(removal.id.group.as_str(), removal.id.kind.as_str()));
    let precious: Vec<&Removal> = removals.iter().filter(is_precious).collect();
    if !precious.is_empty() {
        let names: Vec<String> = precious.iter().map(|removal| removal.id.to_string()).collect();
        reasons.push(format!("{} would be deleted, and cannot be brought back", names.join(", ")));
        units.extend(precious.into_iter().map(|removal| removal.unit.clone()));
    }
    Question { reasons, units, whole }
}

/// Whether what a unit is made of is still there, and nothing comes of it: a filter that matches nothing, a folder whose
/// files went.
fn renders_nothing(rendered: &Rendered, name: &UnitName) -> bool {
    if let Some(unit) = rendered.units.get(name) {
        return unit.items.is_empty();
    }
    let filled = rendered.units.values().any(|unit| unit.name.name == name.name && !unit.items.is_empty());
    !name.name.is_empty() && rendered.folder_units.contains(&name.name) && !filled
}

/// The hash that removes what was left in the cluster and bowline made, over some inventories; `None` when there is nothing.
pub fn offer<'a>(last: impl Iterator<Item = (&'a UnitName, &'a [Entry])>) -> Option<Approval> {
    let left = |entry: &&Entry| entry.state == State::Orphaned && !entry.adopted;
    let of_unit = |(name, entries): (&'a UnitName, &'a [Entry])| {
        entries.iter().filter(left).map(|entry| Removal::new(name, entry)).collect::<Vec<_>>()
    };
    let orphans: Vec<Removal> = last.flat_map(of_unit).collect();
    (!orphans.is_empty()).then(|| Approval::new("orphans", String::new(), orphans))
}

/// Lets what was left in the cluster go when people have said so.
fn release(plan: &mut CommitPlan, orphans: Option<Approval>, approved: &BTreeSet<&str>, known: &mut BTreeSet<String>) {
    let Some(orphans) = orphans else { return };
    known.extend(orphans.hashes());
    for (unit, hash) in &orphans.units {
        if let Some(context) = plan.contexts.get_mut(unit) {
            context.orphans_go = approved.contains(hash.as_str()) || approved.contains(orphans.hash.as_str());
        }
    }
}

/// Lines of Git whose hash is that of nothing: mistyped, carried out, or overtaken by another plan.
fn stale(rendered: &Rendered, known: &BTreeSet<String>) -> Vec<Problem> {
    let stale = rendered.approvals.iter().filter(|(hash, _)| !known.contains(*hash));
    stale
        .map(|(hash, origin)| {
            let message = format!("approve: {hash} is the hash of no deletion, or of none any more");
            Problem::new(origin.clone(), message).with_hint("take the line out")
        })
        .collect()
}

impl Approval {
    fn new(what: &str, reason: String, mut removals: Vec<Removal>) -> Self {
        removals.sort();
        let units: BTreeSet<UnitName> = removals.iter().map(|removal| removal.unit.clone()).collect();
        let of = |unit: &UnitName| removals.iter().filter(|removal| removal.unit == *unit).collect::<Vec<_>>();
        let units: BTreeMap<UnitName, String> =
            units.into_iter().map(|unit| (unit.clone(), hash(what, &of(&unit)))).collect();
        // One unit alone: its own hash is the whole.
        let hash = match units.values().next() {
            Some(only) if units.len() == 1 => only.clone(),
            _ => hash(what, &removals.iter().collect::<Vec<_>>()),
        };
        let subject = match units.keys().next() {
            Some(only) if units.len() == 1 => only.to_string(),
            first => first.map(|unit| unit.source.clone()).unwrap_or_default(),
        };
        Approval { hash, subject, reason, removals, units }
    }

    fn hashes(&self) -> impl Iterator<Item = String> + '_ {
        self.units.values().chain([&self.hash]).cloned()
    }
}

fn hash(what: &str, removals: &[&Removal]) -> String {
    let mut text = format!("{what}\n");
    for removal in removals {
        text.push_str(&format!("{};{};{};{}\n", removal.unit, removal.id.key(), removal.uid, removal.since));
    }
    Digest::of(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::diff::Seen;
    use crate::object::Object;
    use crate::render::{Item, Policy, Settings, Unit};
    use crate::unit::{Origin, UnitKind};

    fn entry(key: &str, state: State) -> Entry {
        Entry {
            id: ObjectId::from_key(key).unwrap(),
            api_version: "v1".into(),
            state,
            seen: Some(Seen { uid: format!("uid of {key}"), ..Seen::default() }),
            desired: Digest::default(),
            adopted: false,
            since: 1,
            note: String::new(),
            policy: Policy::default(),
        }
    }

    /// ConfigMaps `m0`, `m1`, ... of a namespace.
    fn entries(namespace: &str, count: usize) -> Vec<Entry> {
        (0..count).map(|number| entry(&format!("/ConfigMap/{namespace}/m{number}"), State::Applied)).collect()
    }

    /// A source that wants these ConfigMaps: unit, namespace, name.
    fn wanting(wanted: &[(&UnitName, &str)]) -> Rendered {
        let mut rendered =
            Rendered { namespaces: BTreeSet::from(["dev".into(), "prod".into()]), ..Rendered::default() };
        for (name, object) in wanted {
            let metadata = json!({"name": object, "namespace": name.namespace});
            let object = Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})).unwrap();
            let item = Item { object, origin: Origin::default(), list: String::new(), policy: Policy::default() };
            let unit = rendered.units.entry((*name).clone()).or_insert_with(|| Arc::new(empty(name)));
            Arc::make_mut(unit).items.push(item);
        }
        rendered
    }

    fn empty(name: &UnitName) -> Unit {
        Unit {
            name: name.clone(),
            kind: UnitKind::Namespace,
            items: Vec::new(),
            problems: Vec::new(),
            files: BTreeSet::new(),
            depends_on: Vec::new(),
            settings: Settings::default(),
        }
    }

    fn planned(rendered: &Rendered, last: &[(&UnitName, &[Entry])], approved: &[&str]) -> CommitPlan {
        let files = BTreeSet::new();
        let last = last.iter().map(|(name, entries)| ((*name).clone(), Last { entries, files: &files })).collect();
        let approved = approved.iter().map(|hash| (*hash).to_owned()).collect();
        plan(rendered, &last, &Budget::default(), &approved)
    }

    fn dev() -> UnitName {
        UnitName::namespace("main", "dev")
    }

    fn prod() -> UnitName {
        UnitName::namespace("main", "prod")
    }

    #[test]
    fn an_approval_holds_for_the_same_objects_at_the_same_revision_and_for_nothing_else() {
        let rendered = wanting(&[(&dev(), "m0")]);
        let last = entries("dev", 25);
        let asked = planned(&rendered, &[(&dev(), &last)], &[]).approval.unwrap();
        assert_eq!((asked.subject.as_str(), asked.removals.len()), ("main/dev", 24));
        let approved = [asked.hash.as_str()];
        assert_eq!(planned(&rendered, &[(&dev(), &last)], &approved).approval, None);

        let mut held = last.clone();
        held.iter_mut().skip(1).for_each(|entry| entry.state = State::Held);
        assert_eq!(planned(&rendered, &[(&dev(), &held)], &approved).approval, None, "it waited for this answer");
        let mut again = last.clone();
        again.iter_mut().for_each(|entry| entry.since = 3);
        assert!(planned(&rendered, &[(&dev(), &again)], &approved).approval.is_some(), "it came back, and goes again");
        let mut other = last.clone();
        other[1].seen = Some(Seen { uid: "another".into(), ..Seen::default() });
        assert!(planned(&rendered, &[(&dev(), &other)], &approved).approval.is_some(), "it is another object");
        let fewer = wanting(&[(&dev(), "m0"), (&dev(), "m1")]);
        assert!(planned(&fewer, &[(&dev(), &last)], &approved).approval.is_some(), "something else goes");
    }

    #[test]
    fn what_was_allowed_once_is_not_asked_for_again() {
        let rendered = wanting(&[(&dev(), "m0")]);
        let mut last = entries("dev", 25);
        last.iter_mut().skip(1).for_each(|entry| entry.state = State::Pruning);
        let plan = planned(&rendered, &[(&dev(), &last)], &[]);
        assert_eq!((plan.approval, plan.contexts[&dev()].keep_all.as_deref()), (None, None));
    }

    #[test]
    fn a_line_in_git_approves_and_is_named_when_it_approves_nothing() {
        let mut rendered = wanting(&[(&dev(), "m0")]);
        let last = entries("dev", 25);
        let hash = planned(&rendered, &[(&dev(), &last)], &[]).approval.unwrap().hash;
        rendered.approvals.insert(hash, Origin::new("bowline.yaml", 3, 0));
        let plan = planned(&rendered, &[(&dev(), &last)], &[]);
        assert_eq!((plan.approval, plan.stale), (None, vec![]));
        let later = planned(&rendered, &[(&dev(), &last[..1])], &[]);
        assert!(later.stale[0].to_string().starts_with("bowline.yaml:3: approve: "), "{:?}", later.stale);
    }

    #[test]
    fn a_budget_is_answered_by_all_units_or_by_the_source() {
        let rendered = wanting(&[(&dev(), "m0"), (&prod(), "m0")]);
        let (of_dev, of_prod) = (entries("dev", 15), entries("prod", 15));
        let last = [(&dev(), of_dev.as_slice()), (&prod(), of_prod.as_slice())];
        let asked = planned(&rendered, &last, &[]).approval.unwrap();
        assert_eq!(asked.reason, "28 of 30 objects would be deleted, more than 20");
        assert_eq!(asked.subject, "main");
        let (one, other) = (asked.units[&dev()].as_str(), asked.units[&prod()].as_str());
        let half = planned(&rendered, &last, &[one]);
        assert!(half.contexts[&dev()].keep_all.is_some(), "the question is about all of it");
        assert_eq!(planned(&rendered, &last, &[one, other]).approval, None);
        assert_eq!(planned(&rendered, &last, &[asked.hash.as_str()]).approval, None);
    }

    #[test]
    fn what_is_precious_waits_alone() {
        let rendered = wanting(&[(&dev(), "m0"), (&prod(), "m0")]);
        let mut of_dev = entries("dev", 2);
        of_dev.push(entry("/PersistentVolumeClaim/dev/data", State::Applied));
        let of_prod = entries("prod", 2);
        let plan = planned(&rendered, &[(&dev(), &of_dev), (&prod(), &of_prod)], &[]);
        assert!(plan.approval.unwrap().reason.contains("PersistentVolumeClaim/dev/data would be deleted"));
        assert!(plan.contexts[&dev()].keep_all.is_some());
        assert_eq!(plan.contexts[&prod()].keep_all, None, "an ordinary deletion elsewhere goes on");
    }

    #[test]
    fn a_unit_or_source_that_renders_nothing_asks_however_small() {
        let app = UnitName::named("main", "dev", "app");
        let last = entries("dev", 1);
        let mut rendered = wanting(&[(&prod(), "m0")]);
        rendered.folder_units.insert("app".into());
        let of_prod = entries("prod", 1);
        let asked = planned(&rendered, &[(&app, &last), (&prod(), &of_prod)], &[]).approval.unwrap();
        assert_eq!(asked.reason, "main/dev/app renders nothing any more, although it is still in the repository");
        rendered.folder_units.clear();
        let removed = planned(&rendered, &[(&app, &last), (&prod(), &of_prod)], &[]);
        assert_eq!(removed.approval, None, "its bowline.yaml went too: somebody meant it");
        let nothing = planned(&wanting(&[]), &[(&dev(), &last)], &[]).approval.unwrap();
        assert_eq!(nothing.reason, "the repository holds no object any more, and 1 would be deleted");
    }

    #[test]
    fn what_went_with_its_namespace_is_no_loss() {
        let mut rendered = wanting(&[(&prod(), "m0")]);
        rendered.namespaces.remove("dev");
        assert_eq!(planned(&rendered, &[(&dev(), &entries("dev", 30))], &[]).approval, None);
    }

    #[test]
    fn orphans_go_when_people_say_so() {
        let rendered = wanting(&[(&dev(), "m0")]);
        let mut last = entries("dev", 3);
        last[1].state = State::Orphaned;
        last[2] = Entry { state: State::Orphaned, adopted: true, ..last[2].clone() };
        let plan = planned(&rendered, &[(&dev(), &last)], &[]);
        let offer = offer([(&dev(), last.as_slice())].into_iter()).unwrap();
        assert_eq!(offer.removals.len(), 1, "what was there before bowline is never deleted");
        assert!(!plan.contexts[&dev()].orphans_go);
        assert!(planned(&rendered, &[(&dev(), &last)], &[offer.hash.as_str()]).contexts[&dev()].orphans_go);
    }
}
