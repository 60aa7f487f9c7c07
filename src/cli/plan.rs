//! `bowline plan`

use futures::{StreamExt as _, stream};

use super::connect::{ClusterArgs, RepoArgs, progress};
use super::pass::Pass;
use super::{Exit, output, show};
use crate::diff::Changes;
use crate::error::Error;
use crate::reconcile::{Trigger, plan};
use crate::unit::UnitName;

/// Show what applying the repository would change, object by object
///
/// Renders the repository, compares with the cluster by dry runs, and writes nothing. Exit code 0: nothing would change;
/// 2: something would; 1: something is wrong.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    repo: RepoArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = show::Form::Text)]
    output: show::Form,
    /// Only this unit; may be given several times
    #[arg(long, value_name = "UNIT")]
    unit: Vec<UnitName>,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    of(&args.repo, &args.cluster, &args.unit, args.output).await
}

/// Plans these units, or all when none is named.
pub(super) async fn of(
    repo: &RepoArgs,
    cluster: &ClusterArgs,
    units: &[UnitName],
    form: show::Form,
) -> Result<Exit, Error> {
    let pass = Pass::begin(repo, cluster, super::HISTORY).await?;
    let mut due = pass.due();
    if !units.is_empty() {
        due.retain(|name| units.contains(name));
    }
    let bar = progress(due.len(), "planning");
    let plans = stream::iter(&due).map(|name| {
        let task = pass.prepared.task(name, pass.revisions.get(name).cloned(), Trigger::Request);
        let (world, bar) = (&pass.world, &bar);
        async move {
            let changes = match task {
                Some(task) => Some(plan(world, &task).await.1),
                None => None,
            };
            bar.inc(1);
            changes
        }
    });
    let planned: Vec<Changes> = plans.buffered(8).filter_map(|changes| async { changes }).collect().await;
    bar.finish_and_clear();
    let view = show::View {
        changes: &planned,
        problems: pass.all_problems(),
        plan: &pass.prepared.plan,
        commit: &pass.prepared.commit,
    };
    output::data(&view.text(form));
    Ok(view.exit())
}
