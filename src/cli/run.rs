//! `bowline run`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connect::{self, ClusterArgs, RepoArgs};
use super::{Exit, output};
use crate::api;
use crate::api::router::{Readiness, Shared};
use crate::api::webhook::Hooks;
use crate::daemon::config::{self, Config};
use crate::daemon::fetcher::Fetcher;
use crate::daemon::{self, Followed};
use crate::error::Error;
use crate::net::Secret;
use crate::reconcile::Trigger;
use crate::report::metrics::Metrics;

/// Least time between two fetches that webhooks ask for.
const HOOK_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Follow repositories and keep the cluster as they say, until stopped
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file, for several sources; see `bowline config --example`
    #[arg(long, value_name = "FILE", conflicts_with = "repo")]
    config: Option<PathBuf>,
    #[command(flatten)]
    repo: RepoArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Time between polls of the repository
    #[arg(long, value_name = "TIME", default_value = "30s")]
    poll: String,
    /// Address of /healthz, /readyz, /metrics and /hook/<source>
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder for the Git objects; a temporary one when left out
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Work only while holding a Lease, so that of several daemons one works; true unless the configuration says otherwise
    #[arg(long, value_name = "BOOL")]
    leader_elect: Option<bool>,
    /// Least level of log lines: error, warn, info, debug, or a filter such as `bowline::cluster=debug`
    #[arg(long, value_name = "LEVEL", env = "BOWLINE_LOG", default_value = "info")]
    log: String,
}

pub(super) async fn run(args: &Args) -> Result<Exit, Error> {
    let config = configuration(args)?;
    daemon::telemetry::start(&args.log, output::is_terminal())?;
    let temporary;
    let cache = match config.cache.as_ref() {
        Some(folder) => folder.clone(),
        None => {
            temporary =
                tempfile::tempdir().map_err(|error| Error::new("no temporary folder can be made").because(error))?;
            temporary.path().to_owned()
        }
    };
    let metrics = Arc::new(Metrics::new());
    let stop = CancellationToken::new();
    let mut sources = Vec::new();
    let mut kicks = BTreeMap::new();
    for entry in &config.sources {
        let source = connect::open(entry, &cache)?;
        let (kick, triggers) = mpsc::unbounded_channel();
        daemon::triggers::watch(&connect::source_config(entry)?, kick.clone(), stop.clone());
        kicks.insert(entry.name.clone(), kick.clone());
        sources.push(Followed {
            kick,
            name: entry.name.clone(),
            account: entry.account(),
            fetcher: Fetcher::new(&entry.name, source, triggers, metrics.clone()),
        });
    }
    stop_on_signal(stop.clone())?;
    daemon::triggers::start(&config, &kicks, &stop)?;
    let shared = Shared { readiness: Readiness::of(["cluster", "lease"]), metrics };
    api::serve(&config.listen, shared.clone(), hooks(&config, &kicks), stop.clone()).await?;
    let cluster = tokio::select! {
        cluster = reach(&args.cluster) => cluster,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    let namespace =
        if args.config.is_some() { config.namespace.clone() } else { args.cluster.bowline_namespace.clone() };
    let config = Config { namespace, ..config };
    daemon::run(cluster, &config, sources, shared, stop).await?;
    Ok(Exit::Done)
}

fn configuration(args: &Args) -> Result<Config, Error> {
    let mut config = match &args.config {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Error::new(format!("{} cannot be read", file.display())).because(error))?;
            config::read(&text, &file.display().to_string())?
        }
        None => {
            let mut entry = args.repo.entry();
            entry.poll = Some(args.poll.clone());
            Config { sources: vec![entry], ..Config::default() }
        }
    };
    if config.sources.is_empty() {
        return Err(Error::new("there is no source to follow").hint("give --repo, or sources in --config"));
    }
    if let Some(listen) = &args.listen {
        config.listen.clone_from(listen);
    }
    if let Some(enabled) = args.leader_elect {
        config.leader_election.enabled = enabled;
    }
    if args.cache.is_some() {
        config.cache.clone_from(&args.cache);
    }
    config::check(&config, "configuration")?;
    Ok(config)
}

/// The doors for forges: one for each source that has a secret.
fn hooks(config: &Config, kicks: &BTreeMap<String, mpsc::UnboundedSender<Trigger>>) -> Hooks {
    let secrets = config.sources.iter().filter_map(|source| {
        let file = source.webhook_secret_file.as_ref()?;
        Some((source.name.clone(), Secret::file(file)))
    });
    let kicks = kicks.clone();
    Hooks::new(secrets.collect(), HOOK_PAUSE, move |source| {
        // The fetcher has ended when nobody listens: the program stops.
        if let Some(kick) = kicks.get(source) {
            let _ = kick.send(Trigger::Webhook);
        }
    })
}

/// Connects, and goes on trying while the server is away.
async fn reach(args: &ClusterArgs) -> crate::cluster::Cluster {
    let mut pause = std::time::Duration::from_millis(500);
    loop {
        match args.connect().await {
            Ok(cluster) => return cluster,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(cause, "{error}; trying again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_secs(30));
    }
}

/// Ends the work in order on SIGTERM and Ctrl-C; a second signal ends it at once.
fn stop_on_signal(stop: CancellationToken) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Error::new("signals cannot be received").because(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        for last in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {},
                _ = interrupt.recv() => {},
            }
            if last {
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(())
}
