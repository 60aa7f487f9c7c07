//! `bowline undelete`

use super::connect::{ClusterArgs, environment};
use super::{Exit, output};
use crate::cluster::store::Store;
use crate::error::Error;
use crate::reconcile::World;
use crate::reconcile::undelete::{Refused, Wish, undelete};
use crate::record;
use crate::unit::UnitName;

/// Bring deleted objects back from the record of a unit
///
/// Makes the objects that the unit lost last, or one that is named, as the newest revision that held them had them. Git is not
/// asked: what comes back is listed as an orphan, and stays as it is until Git names it again or somebody removes it. Data that
/// the cluster kept for an object, such as the volume of a claim, does not come back with it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The unit that lost them, such as main/dev
    unit: UnitName,
    /// One object, as Kind/name; all that went last when left out
    object: Option<String>,
    /// Take them from this revision, as `bowline history` counts
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let cluster = args.cluster.connect().await?;
    let namespace = &args.cluster.bowline_namespace;
    let records = record::Store::new(cluster.clone(), namespace, super::HISTORY);
    let (store, _events) = Store::new(cluster.clone());
    let world = World { cluster, store, records, namespace: namespace.clone() };
    let who = environment("USER").unwrap_or_else(|| "somebody".to_owned());
    let reason = if args.reason.is_empty() { format!("undeleted by {who}") } else { format!("{who}: {}", args.reason) };
    let wish = Wish { unit: args.unit.clone(), object: args.object.clone(), revision: args.revision, reason };
    let (revision, done) = undelete(&world, &wish).await.map_err(refused)?;
    let mut failed = false;
    for object in &done {
        match &object.failure {
            None => output::data(&format!("created {} as revision {} had it\n", object.id, object.from)),
            Some(failure) => {
                failed = true;
                output::words(&format!("failed {}: {}", object.id, failure.message));
                if !failure.hint.is_empty() {
                    output::words(&format!("  hint: {}", failure.hint));
                }
            }
        }
    }
    output::words(&format!(
        "recorded as revision {} of {}; Git does not ask for what is back, so it is listed as an orphan until Git does",
        revision.number, revision.unit
    ));
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn refused(refused: Refused) -> Error {
    let hint = match &refused {
        Refused::NoHistory(_) => "`bowline status` lists all units",
        Refused::NoRevision { .. } | Refused::Nothing { .. } => "`bowline history UNIT` lists what is kept",
        Refused::Record(record::Error::Taken { .. }) => "the daemon was at work on the unit: try again",
        Refused::Record(_) => {
            "nothing was changed before the record was written; `bowline history UNIT` tells how far it came"
        }
    };
    Error::new("nothing was brought back").because(refused).hint(hint)
}
