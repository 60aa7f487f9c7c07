//! What the daemon shows of itself: pages by `oneshot`, numbers as Prometheus reads them, the log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bowline::api::router::{Readiness, Shared, router};
use bowline::daemon::telemetry::{Format, subscriber};
use bowline::report::metrics::Metrics;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// Asks one page; gives status, content type and body.
fn ask(shared: &Shared, path: &str) -> (StatusCode, String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = router(shared.clone()).oneshot(request).await.unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    })
}

fn shared(readiness: Readiness) -> Shared {
    Shared { readiness, metrics: Arc::new(Metrics::new()) }
}

#[test]
fn the_daemon_is_ready_when_each_part_is() {
    let shared = shared(Readiness::of(["cluster", "sources"]));
    assert_eq!(ask(&shared, "/healthz").0, StatusCode::OK);
    let (status, _, body) = ask(&shared, "/readyz");
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "cluster: has not started\nsources: has not started\n")
    );
    shared.readiness.ready("cluster");
    shared.readiness.clone().ready("sources");
    assert_eq!(ask(&shared, "/readyz").2, "ok\n");
    shared.readiness.waits("cluster", "the watch of Deployment broke");
    let (status, _, body) = ask(&shared, "/readyz");
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "cluster: the watch of Deployment broke\n"));
    assert_eq!(ask(&shared, "/healthz").0, StatusCode::OK);
    assert_eq!(ask(&shared, "/nothing").0, StatusCode::NOT_FOUND);
}

#[test]
fn all_numbers_have_names_in_prometheus_convention() {
    let shared = shared(Readiness::default());
    let metrics = &shared.metrics;
    metrics.reconciled("main", true, Duration::from_millis(40));
    metrics.succeeded("main", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    metrics.object("main", "created");
    metrics.object("main", "created");
    metrics.conflict("main");
    metrics.drift("Deployment", "kubectl-edit");
    metrics.units("main", "ready", 3);
    metrics.queue("main", 2);
    metrics.request("PATCH", Some(409));
    metrics.request("PATCH", None);
    metrics.fetched("main", false, Duration::from_secs(2));
    let (status, kind, text) = ask(&shared, "/metrics");
    assert_eq!((status, kind.starts_with("application/openmetrics-text")), (StatusCode::OK, true));
    for line in [
        "bowline_reconcile_duration_seconds_bucket{le=\"0.05\",source=\"main\",result=\"success\"} 1",
        "bowline_reconcile_duration_seconds_count{source=\"main\",result=\"success\"} 1",
        "bowline_last_success_timestamp_seconds{source=\"main\"} 1700000000",
        "bowline_objects_total{source=\"main\",action=\"created\"} 2",
        "bowline_conflicts_total{source=\"main\"} 1",
        "bowline_drift_total{kind=\"Deployment\",manager=\"kubectl-edit\"} 1",
        "bowline_units{source=\"main\",state=\"ready\"} 3",
        "bowline_queue_length{source=\"main\"} 2",
        "bowline_api_requests_total{verb=\"PATCH\",code=\"409\"} 1",
        "bowline_api_requests_total{verb=\"PATCH\",code=\"error\"} 1",
        "bowline_git_fetches_total{source=\"main\",result=\"failure\"} 1",
        "bowline_git_fetch_duration_seconds_sum{source=\"main\"} 2.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(text.contains("bowline_build_info{version=\""), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// A log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(level: &str, format: Format) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = subscriber(level, format, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(log, || {
        tracing::debug!(target: "bowline::apply", "quiet");
        tracing::info!(target: "bowline::apply", unit = "main/dev", revision = 7, "applied");
        tracing::info!(target: "hyper::client", "chatter");
        tracing::warn!(target: "hyper::client", "trouble");
    });
    let text = lines.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_log_line_is_one_json_object_where_no_terminal_reads() {
    let text = logged("info", Format::Json);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        (&lines[0]["message"], &lines[0]["unit"], &lines[0]["revision"]),
        (&"applied".into(), &"main/dev".into(), &7.into())
    );
    assert_eq!((&lines[0]["level"], &lines[0]["target"]), (&"INFO".into(), &"bowline::apply".into()));
    assert!(lines[0]["timestamp"].is_string(), "{text}");
    assert_eq!(lines[1]["message"], "trouble");
}

#[test]
fn the_level_is_ours_and_libraries_say_one_level_less() {
    assert_eq!(logged("error", Format::Json), "");
    assert_eq!(logged("off", Format::Json), "");
    assert_eq!(logged("warn", Format::Json).lines().count(), 1);
    assert_eq!(logged("debug", Format::Json).lines().count(), 4);
    assert_eq!(logged("off,bowline::apply=debug", Format::Json).lines().count(), 2);
    let text = logged("info", Format::Terminal);
    assert!(text.contains("applied") && !text.contains("{\""), "{text}");
    assert!(subscriber("loud=very", Format::Json, std::io::sink).is_err());
}
