//! `bowline approve`

use std::collections::BTreeSet;

use serde_json::json;

use super::connect::{ClusterArgs, environment};
use super::status::statuses;
use super::{Exit, output};
use crate::cluster::client::Verb;
use crate::daemon::APPROVALS;
use crate::daemon::status::Status;
use crate::error::Error;
use crate::unit::UnitName;

/// Approve a deletion that waits for people
///
/// The hash is bound to what would go, object by object; `bowline status` and `bowline plan` show it. The same can be said in
/// Git, by a line of a `bowline.yaml`: `approve: ["HASH"]`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the deletion is about: a unit such as main/dev, or a whole source such as main
    unit: String,
    /// The hash that `bowline status` or `bowline plan` shows
    hash: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let digits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if args.hash.len() != 16 || !args.hash.bytes().all(digits) {
        return Err(
            Error::new(format!("`{}` is not the hash of an approval", args.hash)).hint("`bowline status` shows it")
        );
    }
    let source = source(&args.unit)?;
    let cluster = args.cluster.connect().await?;
    let namespace = &args.cluster.bowline_namespace;
    let known = statuses(&cluster, namespace, Some(&source)).await?;
    let who = environment("USER").unwrap_or_else(|| "somebody".to_owned());
    // One field manager per approval: applying one takes no other away.
    let path = format!(
        "/api/v1/namespaces/{namespace}/configmaps/{APPROVALS}?fieldManager=bowline-approve-{}&force=true",
        args.hash
    );
    let note = format!("{} {who} {} {}", args.unit, jiff::Timestamp::now(), args.reason);
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": APPROVALS, "namespace": namespace},
        "data": {(args.hash.as_str()): note.trim()},
    });
    let written = cluster.own(Verb::Apply, &path, Some(&body)).await;
    written.map_err(|error| Error::new("the approval could not be written").because(error))?;
    output::words(&format!("approved {} for {}", args.hash, args.unit));
    if known.first().is_some_and(|status| !asked(status, &args.unit).contains(args.hash.as_str())) {
        output::words(&format!(
            "note: no deletion of {} waits for this hash now; it counts once a plan has it",
            args.unit
        ));
    }
    Ok(Exit::Done)
}

/// The source that a unit, or the name of a source, means.
fn source(unit: &str) -> Result<String, Error> {
    if !unit.contains('/') && !unit.is_empty() {
        return Ok(unit.to_owned());
    }
    let unit =
        unit.parse::<UnitName>().map_err(|error| Error::new(error.to_string()).hint("or the name of a source"))?;
    Ok(unit.source)
}

/// The hashes that people are asked for, about a unit or a whole source.
fn asked<'a>(status: &'a Status, unit: &str) -> BTreeSet<&'a str> {
    let mut hashes = BTreeSet::new();
    if let Some(approval) = &status.approval {
        if approval.subject == unit || status.source == unit {
            hashes.insert(approval.hash.as_str());
        }
        hashes
            .extend(approval.units.iter().filter(|(name, _)| name.to_string() == unit).map(|(_, hash)| hash.as_str()));
    }
    hashes.extend(status.orphans_approval.iter().map(|offer| offer.hash.as_str()));
    hashes
}
