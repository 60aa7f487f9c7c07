//! What others changed in the cluster: told once, kept for `status`, and left alone when it never comes to rest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::diff::{Action, Change};
use crate::object::ObjectId;
use crate::unit::UnitName;

/// How many of the last drifts `status` shows of a source.
const KEPT: usize = 20;
/// So many corrections of one object within [`RESTLESS_WITHIN`] mean that somebody changes it back each time.
const RESTLESS_AFTER: u32 = 5;
/// The time in which corrections are counted, and after which an object that was left in peace is forgotten.
const RESTLESS_WITHIN: Duration = Duration::from_secs(60);
/// The first and the longest time that a restless object is left alone.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));

/// One object that others changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// When it was seen, RFC 3339.
    pub time: String,
    /// The unit it belongs to.
    pub unit: UnitName,
    /// The object.
    pub object: String,
    /// What happened: fields with the value of the cluster and of Git, Secrets masked, and who wrote them.
    pub what: String,
    /// It was put back; otherwise it is left, as Git says.
    pub corrected: bool,
}

impl Drift {
    /// The drift in a change; `None` when the change is Git's.
    pub fn of(unit: &UnitName, change: &Change) -> Option<Self> {
        if !change.drifted {
            return None;
        }
        Some(Drift {
            time: jiff::Timestamp::now().to_string(),
            unit: unit.clone(),
            object: change.id.to_string(),
            what: words(change),
            corrected: change.action != Action::Drifted,
        })
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = if self.corrected { "put back" } else { "left as it is" };
        write!(out, "{} {}; {end}", self.object, self.what)
    }
}

fn words(change: &Change) -> String {
    let fields: Vec<String> = change
        .fields
        .iter()
        .take(5)
        .map(|field| {
            let by = field.by.as_ref().map(|author| format!(", by {author}")).unwrap_or_default();
            format!("{} is {}, Git has {}{by}", field.path, short(field.before.as_ref()), short(field.after.as_ref()))
        })
        .collect();
    let message = if change.message.is_empty() { "was changed in the cluster" } else { &change.message };
    if fields.is_empty() { message.to_owned() } else { format!("{message}: {}", fields.join("; ")) }
}

fn short(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "absent".to_owned(), Value::to_string);
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The drift of one source.
#[derive(Debug, Default)]
pub struct Drifts {
    last: VecDeque<Drift>,
    corrected: BTreeMap<ObjectId, Corrected>,
}

#[derive(Debug)]
struct Corrected {
    unit: UnitName,
    times: u32,
    since: Instant,
    pause: Duration,
    /// Left alone until then.
    until: Option<Instant>,
}

impl Drifts {
    /// Notes what a reconcile found.
    pub fn note(&mut self, unit: &UnitName, changes: &[Change], now: Instant) {
        for change in changes {
            let Some(drift) = Drift::of(unit, change) else { continue };
            if drift.corrected {
                self.corrected(unit, &change.id, now);
            }
            let known = |before: &Drift| {
                before.object == drift.object && before.what == drift.what && before.corrected == drift.corrected
            };
            if let Some(place) = self.last.iter().position(known) {
                if !drift.corrected {
                    // It is still as it was said to be.
                    continue;
                }
                self.last.remove(place);
            }
            self.last.push_front(drift);
            self.last.truncate(KEPT);
        }
    }

    fn corrected(&mut self, unit: &UnitName, id: &ObjectId, now: Instant) {
        let seen = self.corrected.entry(id.clone()).or_insert_with(|| Corrected {
            unit: unit.clone(),
            times: 0,
            since: now,
            pause: PAUSES.0,
            until: None,
        });
        if let Some(until) = seen.until.take() {
            // It was left alone, looked at again, and was not at rest: for longer now, unless that is long ago.
            let calm = now.duration_since(until) > RESTLESS_WITHIN;
            seen.pause = if calm { PAUSES.0 } else { (seen.pause * 2).min(PAUSES.1) };
            seen.times = if calm { 0 } else { RESTLESS_AFTER - 1 };
            seen.since = now;
        } else if now.duration_since(seen.since) > RESTLESS_WITHIN {
            (seen.times, seen.since) = (0, now);
        }
        seen.times += 1;
        if seen.times >= RESTLESS_AFTER {
            seen.until = Some(now + seen.pause);
        }
    }

    /// Whether an object is left alone now because it never settles.
    pub fn rests(&self, id: &ObjectId, now: Instant) -> bool {
        self.corrected.get(id).and_then(|seen| seen.until).is_some_and(|until| until > now)
    }

    /// The next time at which an object that was left alone is looked at again.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.corrected.values().filter_map(|seen| seen.until).filter(|until| *until > now).min()
    }

    /// The units of objects whose pause ended between two moments.
    pub fn due(&self, after: Instant, now: Instant) -> Vec<UnitName> {
        let ended = |seen: &&Corrected| seen.until.is_some_and(|until| after < until && until <= now);
        self.corrected.values().filter(ended).map(|seen| seen.unit.clone()).collect()
    }

    /// The objects of a unit that never settle, in words.
    pub fn restless(&self, unit: &UnitName, now: Instant) -> Vec<String> {
        let restless = self.corrected.iter().filter(|(id, seen)| seen.unit == *unit && self.rests(id, now));
        restless
            .map(|(id, seen)| {
                let id = id.to_string();
                let what = self.last.iter().find(|drift| drift.object == id).map(|drift| drift.what.as_str());
                format!(
                    "{id} never settles: it was put back {RESTLESS_AFTER} times and changed again ({}); left alone for {} s \
                     (hint: take the field out of Git, end the other writer, or list it in `ignore`)",
                    what.unwrap_or("was changed in the cluster"),
                    seen.pause.as_secs()
                )
            })
            .collect()
    }

    /// Forgets who was restless: a new commit gets its chance at once.
    pub fn forget(&mut self) {
        self.corrected.clear();
    }

    /// The last drifts, the newest first.
    pub fn last(&self) -> Vec<Drift> {
        self.last.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ObjectId {
        ObjectId {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: "dev".to_owned(),
            name: "a".to_owned(),
        }
    }

    #[test]
    fn an_object_that_is_put_back_again_and_again_is_left_alone_for_longer_each_time() {
        let unit: UnitName = "main/dev".parse().unwrap();
        let mut drifts = Drifts::default();
        let mut now = Instant::now();
        for _ in 0..RESTLESS_AFTER {
            assert!(!drifts.rests(&id(), now));
            drifts.corrected(&unit, &id(), now);
            now += Duration::from_secs(1);
        }
        assert!(drifts.rests(&id(), now), "five corrections in five seconds");
        assert_eq!(drifts.restless(&unit, now).len(), 1);
        let first = drifts.next(now).unwrap();

        assert_eq!(drifts.due(now, first), std::slice::from_ref(&unit));
        drifts.corrected(&unit, &id(), first);
        let second = drifts.next(first).unwrap();
        assert_eq!(second - first, PAUSES.0 * 2, "one more correction is enough now");

        let long_after = second + RESTLESS_WITHIN * 2;
        drifts.corrected(&unit, &id(), long_after);
        assert!(!drifts.rests(&id(), long_after), "it was calm in between");
    }

    #[test]
    fn seldom_corrections_are_no_unrest() {
        let unit: UnitName = "main/dev".parse().unwrap();
        let mut drifts = Drifts::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            drifts.corrected(&unit, &id(), now);
            assert!(!drifts.rests(&id(), now));
            now += Duration::from_secs(40);
        }
    }
}
