//! `bowline history`

use comfy_table::{Table, presets};
use serde_json::json;

use super::connect::ClusterArgs;
use super::{Exit, output};
use crate::error::Error;
use crate::record;
use crate::unit::UnitName;

/// List the revisions of a unit: commit, author, message, time, result
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The unit, such as main/dev or main/-
    unit: UnitName,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = output::Form::Table)]
    output: output::Form,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let cluster = args.cluster.connect().await?;
    let store = record::Store::new(cluster, &args.cluster.bowline_namespace, super::HISTORY);
    let revisions = store.history(&args.unit).await;
    let revisions =
        revisions.map_err(|error| Error::new(format!("the history of {} cannot be read", args.unit)).because(error))?;
    if revisions.is_empty() {
        return Err(Error::new(format!("unit {} has no revision", args.unit)).hint("`bowline status` lists all units"));
    }
    if args.output != output::Form::Table {
        let list: Vec<_> = revisions
            .iter()
            .map(|revision| {
                json!({
                    "revision": revision.number, "commit": revision.commit, "result": revision.status,
                    "trigger": revision.trigger, "reason": revision.reason,
                    "started": revision.started, "finished": revision.finished,
                    "changes": revision.results, "problems": revision.problems, "objects": revision.entries.len(),
                })
            })
            .collect();
        output::structured(args.output, &json!(list));
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["REVISION", "TIME", "COMMIT", "AUTHOR", "RESULT", "CHANGES", "MESSAGE"]);
    for revision in &revisions {
        let time = if revision.finished.is_empty() { &revision.started } else { &revision.finished };
        let time = time.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ");
        table.add_row([
            revision.number.to_string(),
            time,
            revision.commit.short().to_owned(),
            revision.commit.author.split(" <").next().unwrap_or_default().to_owned(),
            revision.status.word().to_owned(),
            revision.results.len().to_string(),
            match revision.reason.as_str() {
                "" => revision.commit.subject().to_owned(),
                reason => format!("{}: {reason}", revision.trigger),
            },
        ]);
    }
    output::data(&format!("{table}\n"));
    Ok(Exit::Done)
}
