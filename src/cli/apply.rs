//! `bowline apply`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::connect::{ClusterArgs, RepoArgs, progress};
use super::pass::Pass;
use super::{Exit, output, show};
use crate::diff::{Action, Changes};
use crate::error::Error;
use crate::reconcile::{Done, Trigger, reconcile};
use crate::record::{self, Revision};
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
    let pass = Pass::begin(&args.repo, &args.cluster, super::HISTORY).await?;
    let prepare = pass.world.records.prepare().await;
    prepare.map_err(|error| Error::new("bowline's own namespace cannot be prepared").because(error))?;
    pass.world.records.close(&pass.outdated).await;
    let due = pass.due();
    let bar = progress(due.len(), "applying");
    let mut work = Work { pass: &pass, wait: args.wait, revisions: pass.revisions.clone(), done: BTreeMap::new() };
    // Cluster units bring namespaces and definitions; units that depend on others come in later rounds.
    for round in rounds(&pass, &due) {
        work.round(round, &bar).await?;
    }
    // A namespace or a definition goes when what other units had in it has gone.
    let again = work.held_up();
    work.round(again, &bar).await?;
    bar.finish_and_clear();
    let mut failed = false;
    for (name, result) in &work.done {
        failed |= tell(name, result);
    }
    let changes = |(name, result): (UnitName, Result<Done, record::Error>)| {
        Some(Changes { unit: name, changes: result.ok()?.outcome.changes, keep_all: None })
    };
    let done: Vec<Changes> = work.done.into_iter().filter_map(changes).collect();
    let view = show::View {
        changes: &done,
        problems: pass.all_problems(),
        plan: &pass.prepared.plan,
        commit: &pass.prepared.commit,
    };
    output::data(&view.done(args.output));
    Ok(if failed || view.exit() == Exit::Failed { Exit::Failed } else { Exit::Done })
}

/// What has been done so far.
struct Work<'a> {
    pass: &'a Pass,
    wait: bool,
    revisions: BTreeMap<UnitName, Arc<Revision>>,
    done: BTreeMap<UnitName, Result<Done, record::Error>>,
}

impl Work<'_> {
    /// Works units off side by side.
    async fn round(&mut self, names: Vec<UnitName>, bar: &ProgressBar) -> Result<(), Error> {
        let mut tasks = JoinSet::new();
        let slots = Arc::new(tokio::sync::Semaphore::new(16));
        for name in names {
            let last = self.revisions.get(&name).cloned();
            let Some(mut task) = self.pass.prepared.task(&name, last, Trigger::Request) else { continue };
            if self.wait {
                let mut unit = (*task.unit).clone();
                unit.settings.wait = true;
                task.unit = Arc::new(unit);
            }
            let (world, slots) = (self.pass.world.clone(), slots.clone());
            tasks.spawn(async move {
                let slot = slots.acquire_owned().await.ok();
                (name, reconcile(&world, &task, slot).await)
            });
        }
        while let Some(joined) = tasks.join_next().await {
            bar.inc(1);
            let (name, result) = joined.map_err(|error| Error::new("a unit's work panicked").because(error))?;
            if let Ok(Done { revision: Some(revision), .. }) = &result {
                self.revisions.insert(name.clone(), revision.clone());
            }
            self.done.insert(name, result);
        }
        Ok(())
    }

    /// Units with a deletion that something else stood in the way of.
    fn held_up(&self) -> Vec<UnitName> {
        let waits = |done: &Done| {
            let changes = &done.outcome.changes;
            changes.iter().any(|change| change.origin.is_none() && change.action == Action::Failed && change.temporary)
        };
        let units = self.done.iter().filter(|(_, result)| result.as_ref().is_ok_and(waits));
        units.map(|(name, _)| name.clone()).collect()
    }
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
