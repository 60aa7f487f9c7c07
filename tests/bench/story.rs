//! What is measured, in the order in which it is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::Options;
use crate::cluster::{TestCluster, wait_until};
use crate::daemon::{Daemon, Numbers, PATIENCE};
use crate::limit::{self, Limit};
use crate::repository::{Layout, Repository};
use crate::table::{Row, Table, percentiles};

/// Measures everything, on one control plane.
pub(crate) fn run(options: &Options) -> Result<Table> {
    let mut table = Table::default();
    let cluster = TestCluster::try_start()?;
    let limit = limit::measure(&cluster, options.units)?;
    let folder = cluster.folder().join("bench");

    let folders = Repository::new(&folder.join("folders"), Layout::Folders)?;
    let daemon = first_sync(&mut table, &cluster, options, &limit, &folders, "folders")?;
    daemon.stop()?;

    let namespaces = Repository::new(&folder.join("namespaces"), Layout::Namespaces)?;
    let daemon = first_sync(&mut table, &cluster, options, &limit, &namespaces, "spaces")?;
    pushes(&mut table, &cluster, options, &namespaces, &daemon)?;
    hand_edits(&mut table, &cluster, options, &namespaces)?;
    idle(&mut table, options, &daemon)?;
    daemon.stop()?;
    restart(&mut table, &cluster, options, &namespaces)?;
    template_list(&mut table, &cluster, options, &folder)?;
    Ok(table)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// From the start of the daemon until everything of one commit is applied and healthy.
fn first_sync(
    table: &mut Table,
    cluster: &TestCluster,
    options: &Options,
    limit: &Limit,
    repository: &Repository,
    source: &str,
) -> Result<Daemon> {
    let units = options.units;
    repository.fill(units)?;
    let started = Instant::now();
    let daemon = Daemon::start(cluster, source, &repository.folder)?;
    daemon.ready(source, units + 1)?;
    let took = started.elapsed();
    let numbers = daemon.numbers()?;
    let lies = if repository.layout == Layout::Folders { "folder units in 10 namespaces" } else { "namespaces" };
    table.add(Row {
        what: format!("{units} {lies} x 4 objects, new, until applied and healthy"),
        measured: seconds(took),
        against: format!(
            "bare loop with dry runs and records {}, writes alone {}",
            seconds(limit.whole),
            seconds(limit.once)
        ),
        ratio: format!("{:.2}", took.as_secs_f64() / limit.whole.as_secs_f64()),
        budget: "1.3",
    });
    costs(table, units, lies, &numbers);
    Ok(daemon)
}

fn costs(table: &mut Table, units: usize, lies: &str, numbers: &Numbers) {
    table.add(Row {
        what: format!("requests per unit, {lies}"),
        measured: format!("{:.1}", numbers.total() / units as f64),
        against: numbers.per(units),
        ratio: String::new(),
        budget: "12",
    });
    table.add(Row {
        what: format!("CPU seconds per unit, {lies}"),
        measured: format!("{:.4}", numbers.cpu / units as f64),
        against: "Flux 0.24 (design section 8)".to_owned(),
        ratio: format!("{:.3}", numbers.cpu / units as f64 / 0.24),
        budget: "0.004 s",
    });
    table.add(Row {
        what: format!("peak resident memory, {lies}"),
        measured: format!("{:.0} MiB", numbers.peak),
        against: "Flux 207 MiB, one controller (design section 8)".to_owned(),
        ratio: format!("{:.2}", numbers.peak / 207.0),
        budget: "64 MiB",
    });
}

/// One file of one unit changes, again and again.
fn pushes(
    table: &mut Table,
    cluster: &TestCluster,
    options: &Options,
    repository: &Repository,
    daemon: &Daemon,
) -> Result<()> {
    let before = daemon.numbers()?;
    let mut times = Vec::new();
    for sample in 0..options.samples {
        let unit = (sample * 37) % options.units;
        let image = format!("nginx:push-{sample}");
        repository.write(unit, &image)?;
        repository.commit("one file")?;
        let started = Instant::now();
        wait_image(cluster, &repository.namespace(unit), unit, &image)?;
        times.push(started.elapsed().as_secs_f64());
        daemon.ready("spaces", options.units + 1)?;
    }
    let requests = daemon.numbers()?.since(&before);
    table.add(Row {
        what: format!("a commit that changes one file among {} units, until the object is changed", options.units),
        measured: percentiles(times),
        against: "Flux 94 s (design section 8)".to_owned(),
        ratio: String::new(),
        budget: "p99 1 s after the fetch",
    });
    table.add(Row {
        what: "requests for it".to_owned(),
        measured: format!("{:.1}", requests.total() / options.samples as f64),
        against: requests.per(options.samples),
        ratio: format!("{:.5} of Flux's 29,042", requests.total() / options.samples as f64 / 29_042.0),
        budget: "10",
    });
    Ok(())
}

fn wait_image(cluster: &TestCluster, namespace: &str, unit: usize, image: &str) -> Result<()> {
    wait_for(
        cluster,
        "deployment",
        namespace,
        &format!("app-{unit:05}"),
        "/spec/template/spec/containers/0/image",
        image,
    )
}

fn wait_for(
    cluster: &TestCluster,
    resource: &str,
    namespace: &str,
    name: &str,
    pointer: &str,
    wanted: &str,
) -> Result<()> {
    wait_until(PATIENCE, || {
        let object = cluster.get(resource, namespace, name).unwrap_or_default();
        match object.pointer(pointer).and_then(Value::as_str) {
            Some(found) if found == wanted => Ok(()),
            found => bail!("{resource} {namespace}/{name} has {found:?}"),
        }
    })
}

/// Somebody changes a field that Git holds.
fn hand_edits(table: &mut Table, cluster: &TestCluster, options: &Options, repository: &Repository) -> Result<()> {
    let mut times = Vec::new();
    for sample in 0..options.samples {
        let unit = (sample * 53 + options.units / 2) % options.units;
        let (namespace, name) = (repository.namespace(unit), format!("app-{unit:05}"));
        let patch = r#"{"metadata":{"labels":{"app":"by-hand"}}}"#;
        cluster.try_kubectl(&["patch", "serviceaccount", &name, "-n", &namespace, "--type=merge", "-p", patch])?;
        let started = Instant::now();
        wait_for(cluster, "serviceaccount", &namespace, &name, "/metadata/labels/app", &name)?;
        times.push(started.elapsed().as_secs_f64());
    }
    table.add(Row {
        what: "from a hand edit to its correction (one run of kubectl included)".to_owned(),
        measured: percentiles(times),
        against: "Flux half the interval".to_owned(),
        ratio: String::new(),
        budget: "p99 1 s",
    });
    Ok(())
}

fn idle(table: &mut Table, options: &Options, daemon: &Daemon) -> Result<()> {
    daemon.ready("spaces", options.units + 1)?;
    std::thread::sleep(Duration::from_secs(5));
    let before = daemon.numbers()?;
    std::thread::sleep(options.idle);
    let requests = daemon.numbers()?.since(&before);
    table.add(Row {
        what: format!("requests in {} idle seconds but watches, by verb", options.idle.as_secs()),
        measured: format!("{:.0}", requests.total()),
        against: requests.per(1),
        ratio: format!("{:.2} a second", requests.total() / options.idle.as_secs_f64().max(1.0)),
        budget: "1 a second",
    });
    Ok(())
}

fn restart(table: &mut Table, cluster: &TestCluster, options: &Options, repository: &Repository) -> Result<()> {
    let started = Instant::now();
    let daemon = Daemon::start(cluster, "spaces", &repository.folder)?;
    daemon.ready("spaces", options.units + 1)?;
    let took = started.elapsed();
    let numbers = daemon.numbers()?;
    daemon.stop()?;
    table.add(Row {
        what: format!("restart with {} units in place, until all are known to be as they were", options.units),
        measured: seconds(took),
        against: "Flux 176 s".to_owned(),
        ratio: format!("{:.3}", took.as_secs_f64() / 176.0),
        budget: "3 s",
    });
    table.add(Row {
        what: "requests of a restart, and writes among them (the lease's and the status' included)".to_owned(),
        measured: format!("{:.0}, {:.0}", numbers.total(), numbers.writes()),
        against: "Flux 29,038, 17,000".to_owned(),
        ratio: format!("{:.4}", numbers.total() / 29_038.0),
        budget: "100, 0 to units",
    });
    Ok(())
}

/// 60 objects for every namespace of a pattern: many namespaces at once, then one more at a time.
fn template_list(table: &mut Table, cluster: &TestCluster, options: &Options, folder: &Path) -> Result<()> {
    const OBJECTS: usize = 60;
    let spaces = (options.units * 180 / 1000).max(5);
    let repository = Repository::new(&folder.join("lists"), Layout::Namespaces)?;
    let template = |number: usize| {
        format!(
            "  - object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: item-{number:02}}}, data: {{k: \"{number}\"}}}}\n"
        )
    };
    let list = format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: all}}\nspec:\n  namespaces: [\"team-.*\"]\n  templates:\n{}",
        (0..OBJECTS).map(template).collect::<String>()
    );
    std::fs::write(repository.folder.join("list.yaml"), list)?;
    repository.commit("a list")?;
    let names: Vec<String> = (0..spaces)
        .map(|number| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team-{number:03}}}\n"))
        .collect();
    cluster.try_kubectl_with(&["create", "-f", "-"], &names.join("---\n"))?;
    let started = Instant::now();
    let daemon = Daemon::start(cluster, "lists", &repository.folder)?;
    daemon.ready("lists", spaces)?;
    let took = started.elapsed();
    let numbers = daemon.numbers()?;
    table.add(Row {
        what: format!("{spaces} namespaces x {OBJECTS} objects of a list, new"),
        measured: format!("{}, {:.0} objects a second", seconds(took), (spaces * OBJECTS) as f64 / took.as_secs_f64()),
        against: numbers.per(spaces * OBJECTS),
        ratio: format!("{:.0} MiB", numbers.peak),
        budget: "",
    });
    let mut times = Vec::new();
    for sample in 0..options.samples {
        let name = format!("team-late-{sample}");
        cluster.try_kubectl(&["create", "namespace", &name])?;
        let started = Instant::now();
        wait_until(PATIENCE, || {
            let maps = cluster.try_kubectl(&["get", "configmaps", "-n", &name, "-o", "name"])?;
            let there = maps.lines().filter(|line| line.contains("item-")).count();
            if there == OBJECTS { Ok(()) } else { bail!("{there} are there") }
        })?;
        times.push(started.elapsed().as_secs_f64());
    }
    daemon.stop()?;
    table.add(Row {
        what: format!("from a new namespace to the last of its {OBJECTS} objects"),
        measured: percentiles(times),
        against: "Flux half the interval".to_owned(),
        ratio: String::new(),
        budget: "p99 1 s",
    });
    Ok(())
}
