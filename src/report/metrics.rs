//! Counts what the daemon does, for Prometheus: one method per thing that happens, one text with all numbers.
//!
//! | metric | says |
//! |---|---|
//! | `bowline_reconcile_duration_seconds{source,result}` | how long passes took (histogram) |
//! | `bowline_last_success_timestamp_seconds{source}` | when a source was last in step with its commit |
//! | `bowline_objects_total{source,action}` | objects by what was done with them |
//! | `bowline_conflicts_total{source}` | objects left alone because another manager owns a field |
//! | `bowline_drift_total{kind,manager}` | owned objects that were changed or deleted by others |
//! | `bowline_units{source,state}` | units by state |
//! | `bowline_orphans{source}` | objects that Git no longer wants and that were left in the cluster |
//! | `bowline_queue_length{source}` | triggers that wait |
//! | `bowline_api_requests_total{verb,code}` | requests to the API server; code `error` when no answer came |
//! | `bowline_git_fetches_total{source,result}`, `bowline_git_fetch_duration_seconds{source}` | reads of the repository |
//! | `bowline_leader` | 1 while this process works, 0 while it stands by |
//! | `bowline_build_info{version}` | 1 |
//!
//! `result` is `success` or `failure`. Start at [`Metrics::new`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    source: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    source: String,
    action: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    source: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWriter {
    kind: String,
    manager: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    verb: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

type Histograms<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// The numbers of one process; shared by reference, every method may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Histograms<ByResult>,
    last_success: Family<BySource, Gauge>,
    objects: Family<ByAction, Counter>,
    conflicts: Family<BySource, Counter>,
    drift: Family<ByWriter, Counter>,
    units: Family<ByState, Gauge>,
    orphans: Family<BySource, Gauge>,
    queue: Family<BySource, Gauge>,
    requests: Family<ByAnswer, Counter>,
    fetches: Family<ByResult, Counter>,
    fetch_times: Histograms<BySource>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Numbers that all begin at nothing.
    ///
    /// ```
    /// let metrics = bowline::report::metrics::Metrics::new();
    /// metrics.object("main", "created");
    /// assert!(metrics.text().contains("bowline_objects_total{source=\"main\",action=\"created\"} 1\n"));
    /// ```
    pub fn new() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("bowline"),
            reconciles: Histograms::new_with_constructor(passes),
            last_success: Family::default(),
            objects: Family::default(),
            conflicts: Family::default(),
            drift: Family::default(),
            units: Family::default(),
            orphans: Family::default(),
            queue: Family::default(),
            requests: Family::default(),
            fetches: Family::default(),
            fetch_times: Histograms::new_with_constructor(fetches),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "Version of the running program", build);
        let help = "Time a pass over a source took";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.reconciles.clone());
        let help = "When a source was last in step with its commit";
        registry.register_with_unit("last_success_timestamp", help, Unit::Seconds, self.last_success.clone());
        registry.register("objects", "Objects by what was done with them", self.objects.clone());
        let help = "Objects left alone because another manager owns a field";
        registry.register("conflicts", help, self.conflicts.clone());
        registry.register("drift", "Owned objects that others changed or deleted", self.drift.clone());
        registry.register("units", "Units by state", self.units.clone());
        let help = "Objects that Git no longer wants and that were left in the cluster";
        registry.register("orphans", help, self.orphans.clone());
        registry.register("queue_length", "Triggers that wait", self.queue.clone());
        registry.register("api_requests", "Requests to the API server", self.requests.clone());
        registry.register("git_fetches", "Reads of the repository", self.fetches.clone());
        let help = "Time a read of the repository took";
        registry.register_with_unit("git_fetch_duration", help, Unit::Seconds, self.fetch_times.clone());
        registry.register("leader", "Whether this process works or stands by", self.leader.clone());
    }

    /// A pass over a source ended.
    pub fn reconciled(&self, source: &str, ok: bool, took: Duration) {
        let labels = ByResult { source: source.to_owned(), result: result(ok) };
        self.reconciles.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A source is in step with its commit.
    pub fn succeeded(&self, source: &str, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.last_success.get_or_create(&by(source)).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Something was done with an object; `action` is the word of the change.
    pub fn object(&self, source: &str, action: &str) {
        let labels = ByAction { source: source.to_owned(), action: action.to_owned() };
        self.objects.get_or_create(&labels).inc();
    }

    /// An object was left alone because another manager owns a field.
    pub fn conflict(&self, source: &str) {
        self.conflicts.get_or_create(&by(source)).inc();
    }

    /// An owned object of a kind was changed or deleted by somebody else.
    pub fn drift(&self, kind: &str, manager: &str) {
        self.drift.get_or_create(&ByWriter { kind: kind.to_owned(), manager: manager.to_owned() }).inc();
    }

    /// How many units of a source are in a state; states are set one by one, zero included.
    pub fn units(&self, source: &str, state: &str, count: usize) {
        let labels = ByState { source: source.to_owned(), state: state.to_owned() };
        self.units.get_or_create(&labels).set(whole(count));
    }

    /// How many objects of a source were left in the cluster although Git no longer wants them.
    pub fn orphans(&self, source: &str, count: usize) {
        self.orphans.get_or_create(&by(source)).set(whole(count));
    }

    /// How many triggers of a source wait.
    pub fn queue(&self, source: &str, length: usize) {
        self.queue.get_or_create(&by(source)).set(whole(length));
    }

    /// This process works from now on, or stands by.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The API server answered a request, or did not (`None`).
    pub fn request(&self, verb: &str, code: Option<u16>) {
        let code = code.map_or_else(|| "error".to_owned(), |code| code.to_string());
        self.requests.get_or_create(&ByAnswer { verb: verb.to_owned(), code }).inc();
    }

    /// The repository of a source was read, or could not be.
    pub fn fetched(&self, source: &str, ok: bool, took: Duration) {
        self.fetches.get_or_create(&ByResult { source: source.to_owned(), result: result(ok) }).inc();
        self.fetch_times.get_or_create(&by(source)).observe(took.as_secs_f64());
    }

    /// All numbers in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn by(source: &str) -> BySource {
    BySource { source: source.to_owned() }
}

fn result(ok: bool) -> &'static str {
    if ok { "success" } else { "failure" }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A pass takes milliseconds when nothing changed, and minutes when it waits for roll-outs.
fn passes() -> Histogram {
    Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0])
}

fn fetches() -> Histogram {
    Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}
