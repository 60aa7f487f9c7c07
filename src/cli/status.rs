//! `bowline status`

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::connect::ClusterArgs;
use super::{Exit, output};
use crate::cluster::Cluster;
use crate::cluster::client::Verb;
use crate::daemon::status::{Approval, Offer, Orphan, Status};
use crate::diff::commit::offer;
use crate::diff::{Entry, State};
use crate::error::Error;
use crate::record::{self, Revision};
use crate::unit::UnitName;

/// Show every unit: revision, commit, result, and what is wrong
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only units of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = output::Form::Table)]
    output: output::Form,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let cluster = args.cluster.connect().await?;
    let mut statuses = statuses(&cluster, &args.cluster.bowline_namespace, args.source.as_deref()).await?;
    let store = record::Store::new(cluster, &args.cluster.bowline_namespace, super::HISTORY);
    let loaded = store.load(args.source.as_deref()).await;
    let mut revisions =
        loaded.map_err(|error| Error::new("the records of the cluster cannot be read").because(error))?.revisions;
    // Of units that are gone nothing is left but their history.
    revisions.retain(|_, revision| !revision.is_tombstone());
    statuses.extend(without_daemon(&statuses, &revisions));
    let ready =
        |name: &UnitName| statuses.iter().find_map(|status| status.units.get(name)).is_none_or(|unit| unit.ready);
    let good = statuses
        .iter()
        .all(|status| status.fetch.error.is_none() && status.problems.is_empty() && status.approval.is_none())
        && revisions.iter().all(|(name, revision)| revision.status == record::Status::Applied && ready(name))
        && statuses.iter().flat_map(|status| status.units.values()).all(|unit| unit.ready);
    match args.output {
        output::Form::Table => output::data(&table(&statuses, &revisions)),
        form => output::structured(form, &json!({"sources": statuses, "units": units(&statuses, &revisions)})),
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// The statuses that the daemon keeps, one a source.
pub(super) async fn statuses(cluster: &Cluster, namespace: &str, only: Option<&str>) -> Result<Vec<Status>, Error> {
    let path =
        format!("/api/v1/namespaces/{namespace}/configmaps?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dbowline");
    let list = cluster.own(Verb::List, &path, None).await;
    let list = list.map_err(|error| Error::new("the status cannot be read").because(error))?;
    let maps = list.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let read =
        maps.iter().filter_map(|map| serde_json::from_str::<Status>(map.pointer("/data/status")?.as_str()?).ok());
    let mut statuses: Vec<Status> = read.filter(|status| only.is_none_or(|only| only == status.source)).collect();
    statuses.sort_by(|one, other| one.source.cmp(&other.source));
    Ok(statuses)
}

/// What the records alone tell of sources that no daemon follows: what was left in the cluster.
fn without_daemon(statuses: &[Status], revisions: &BTreeMap<UnitName, Revision>) -> Vec<Status> {
    let mut sources: BTreeMap<&str, Vec<(&UnitName, &Revision)>> = BTreeMap::new();
    for (name, revision) in revisions {
        sources.entry(&name.source).or_default().push((name, revision));
    }
    sources.retain(|source, _| !statuses.iter().any(|status| status.source == *source));
    let told = sources.into_iter().filter_map(|(source, units)| {
        let inventories = || units.iter().map(|(name, revision)| (*name, revision.entries.as_slice()));
        let of_unit = |(name, entries): (&UnitName, &[Entry])| {
            let left = entries.iter().filter(|entry| entry.state == State::Orphaned);
            left.map(|entry| Orphan::of(name, entry)).collect::<Vec<_>>()
        };
        let orphans: Vec<Orphan> = inventories().flat_map(of_unit).collect();
        let newest = units.iter().max_by_key(|(_, revision)| revision.commit.time)?;
        (!orphans.is_empty()).then(|| Status {
            source: source.to_owned(),
            commit: Some(newest.1.commit.clone()),
            orphans_approval: offer(inventories()).as_ref().map(Offer::of),
            orphans,
            ..Status::default()
        })
    });
    told.collect()
}

fn units(statuses: &[Status], revisions: &BTreeMap<UnitName, Revision>) -> Vec<Value> {
    let mut units: BTreeMap<&UnitName, Value> = revisions
        .iter()
        .map(|(name, revision)| {
            let value = json!({
                "unit": name, "revision": revision.number, "result": revision.status, "commit": revision.commit.id,
                "subject": revision.commit.subject(), "finished": revision.finished, "objects": revision.entries.len(),
                "ready": revision.status == record::Status::Applied, "messages": [],
            });
            (name, value)
        })
        .collect();
    for (name, unit) in statuses.iter().flat_map(|status| &status.units) {
        let value = units.entry(name).or_insert_with(|| json!({"unit": name}));
        value["ready"] = json!(unit.ready);
        value["messages"] = json!(unit.messages);
        value["waits"] = json!(unit.waits);
    }
    units.into_values().collect()
}

fn table(statuses: &[Status], revisions: &BTreeMap<UnitName, Revision>) -> String {
    let mut text = String::new();
    for status in statuses {
        text.push_str(&source_lines(status));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["UNIT", "REVISION", "COMMIT", "RESULT", "READY", "OBJECTS", "SUBJECT"]);
    for unit in units(statuses, revisions) {
        let word = |field: &str| match unit.get(field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        let commit: String = word("commit").chars().take(10).collect();
        let ready = if unit.get("ready") == Some(&Value::Bool(true)) { "yes" } else { "no" };
        let subject: String = word("subject").chars().take(50).collect();
        table.add_row([
            word("unit"),
            word("revision"),
            commit,
            word("result"),
            ready.to_owned(),
            word("objects"),
            subject,
        ]);
    }
    text.push_str(&format!("{table}\n"));
    for (name, unit) in statuses.iter().flat_map(|status| &status.units) {
        if !unit.waits.is_empty() {
            text.push_str(&format!("{name}: {}\n", unit.waits));
        }
        for message in &unit.messages {
            text.push_str(&format!("{name}: {message}\n"));
        }
    }
    text
}

fn source_lines(status: &Status) -> String {
    let commit = status
        .commit
        .as_ref()
        .map_or_else(|| "no commit yet".to_owned(), |commit| format!("{} {}", commit.short(), commit.subject()));
    let mut text = format!("source {}: {commit}\n", status.source);
    if let Some(error) = &status.fetch.error {
        let since = status.fetch.failing_since.as_deref().unwrap_or_default();
        text.push_str(&format!("  fetches fail since {since}: {error}\n"));
    }
    if let Some(note) = &status.fetch.note {
        text.push_str(&format!("  note: {note}\n"));
    }
    for problem in &status.problems {
        text.push_str(&format!("  problem: {problem}\n"));
    }
    for damaged in &status.damaged {
        text.push_str(&format!("  damaged: {damaged}\n"));
    }
    if let Some(approval) = &status.approval {
        text.push_str(&approval_lines(approval));
    }
    for stale in &status.stale_approvals {
        text.push_str(&format!("  stale approval: {stale}\n"));
    }
    for stale in status.stale.iter().take(50) {
        text.push_str(&format!("  stale: {stale}\n"));
    }
    text.push_str(&orphan_lines(status));
    for drift in status.drift.iter().take(5) {
        let time = drift.time.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ");
        text.push_str(&format!("  drift: {time} {} {drift}\n", drift.unit));
    }
    text
}

/// A question to people, with the ways to answer it.
fn approval_lines(approval: &Approval) -> String {
    let Approval { hash, subject, .. } = approval;
    let mut text = format!("  approval needed: {}\n", approval.reason);
    text.push_str(&format!(
        "    hint: bowline approve {subject} {hash}, or in a bowline.yaml: approve: [\"{hash}\"]\n"
    ));
    for (unit, hash) in approval.units.iter().filter(|_| approval.units.len() > 1).take(20) {
        text.push_str(&format!("    for one unit: bowline approve {unit} {hash}\n"));
    }
    for object in approval.objects.iter().take(20) {
        text.push_str(&format!("    would be deleted: {object}\n"));
    }
    text
}

/// What was left in the cluster, each with the line that removes it.
fn orphan_lines(status: &Status) -> String {
    let mut text = String::new();
    for orphan in status.orphans.iter().take(50) {
        let Orphan { unit, object, note, remove } = orphan;
        text.push_str(&format!("  orphan: {unit} {object}: {note}\n    hint: {remove}\n"));
    }
    if let Some(Offer { subject, hash }) = &status.orphans_approval {
        text.push_str(&format!(
            "  to remove the orphans that bowline made: bowline approve {subject} {hash}, or in a bowline.yaml: \
             approve: [\"{hash}\"]\n"
        ));
    }
    text
}
