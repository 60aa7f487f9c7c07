//! `bowline apply`

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::connect::{ClusterArgs, RepoArgs, progress};
use super::pass::Pass;
use super::{Exit, output, show};
use crate::diff::Changes;
use crate::error::Error;
use crate::reconcile::{Done, Trigger, reconcile};
use crate::record;
use crate::unit::UnitName;

/// Apply the repository once and end
///
/// The same work as the daemon's, for one commit: plans all units together, applies, waits for health, prunes, records.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    repo: RepoArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Wait for health, whatever the settings of the units say
    #[arg(long)]
    wait: bool,
    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = show::Form::Text)]
    output: show::Form,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let pass = Pass::begin(&args.repo, &args.cluster, 10).await?;
    let prepare = pass.world.records.prepare().await;
    prepare.map_err(|error| Error::new("bowline's own namespace cannot be prepared").because(error))?;
    let due = pass.due();
    let bar = progress(due.len(), "applying");
    let mut done = Vec::new();
    let mut failed = false;
    // Cluster units bring namespaces and definitions; units that depend on others come in later rounds.
    for round in rounds(&pass, &due) {
        let mut tasks = JoinSet::new();
        let slots = Arc::new(tokio::sync::Semaphore::new(16));
        for name in round {
            let Some(mut task) = pass.prepared.task(&name, pass.revisions.get(&name).cloned(), Trigger::Request) else {
                continue;
            };
            if args.wait {
                let mut unit = (*task.unit).clone();
                unit.settings.wait = true;
                task.unit = Arc::new(unit);
            }
            let (world, slots) = (pass.world.clone(), slots.clone());
            tasks.spawn(async move {
                let slot = slots.acquire_owned().await.ok();
                (name, reconcile(&world, &task, slot).await)
            });
        }
        while let Some(joined) = tasks.join_next().await {
            bar.inc(1);
            let (name, result) = joined.map_err(|error| Error::new("a unit's work panicked").because(error))?;
            failed |= tell(&name, &result);
            if let Ok(result) = result {
                done.push(Changes { unit: name, changes: result.outcome.changes, keep_all: None });
            }
        }
    }
    bar.finish_and_clear();
    done.sort_by(|one, other| one.unit.cmp(&other.unit));
    let view = show::View {
        changes: &done,
        problems: pass.all_problems(),
        plan: &pass.prepared.plan,
        commit: &pass.prepared.commit,
    };
    output::data(&view.done(args.output));
    Ok(if failed || view.exit() == Exit::Failed { Exit::Failed } else { Exit::Done })
}

/// Units in rounds: each round needs only the rounds before it.
fn rounds(pass: &Pass, due: &[UnitName]) -> Vec<Vec<UnitName>> {
    let (first, mut rest): (Vec<UnitName>, Vec<UnitName>) =
        due.iter().cloned().partition(|name| name.namespace.is_empty() && name.name.is_empty());
    let mut rounds = vec![first];
    while !rest.is_empty() {
        let waiting: BTreeSet<UnitName> = rest.iter().cloned().collect();
        let context = |name: &UnitName| pass.prepared.plan.contexts.get(name);
        let ready = |name: &UnitName| {
            let needs = pass.prepared.units.get(name).map_or(&[] as &[UnitName], |unit| &unit.depends_on);
            let hands_over =
                context(name).is_some_and(|context| context.moved_to.values().any(|unit| waiting.contains(unit)));
            !needs.iter().any(|need| waiting.contains(need)) && !hands_over
        };
        let (mut now, later): (Vec<UnitName>, Vec<UnitName>) = rest.into_iter().partition(ready);
        rest = later;
        if now.is_empty() {
            // A cycle of hand-overs: each takes from the other, and either may begin.
            now = std::mem::take(&mut rest);
        }
        rounds.push(now);
    }
    rounds
}

/// Tells on stderr what did not work out; says whether something did not.
fn tell(name: &UnitName, result: &Result<Done, record::Error>) -> bool {
    match result {
        Ok(done) => {
            for object in &done.not_ready {
                output::words(&format!("{name}: {} is {}: {}", object.id, object.health, object.message));
            }
            for (id, warning) in &done.outcome.warnings {
                output::words(&format!("{name}: {id}: warning: {warning}"));
            }
            !done.succeeded()
        }
        Err(error) => {
            output::words(&format!("{name}: {error}"));
            true
        }
    }
}
