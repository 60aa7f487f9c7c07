//! The real binary, and its numbers: from `/metrics` and from the system.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cluster::{Process, TestCluster, free_port, wait_until};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

/// A running daemon.
pub(crate) struct Daemon {
    process: Process,
    address: String,
    client: reqwest::blocking::Client,
}

/// Its numbers at one moment.
#[derive(Clone, Default)]
pub(crate) struct Numbers {
    /// Requests to the API server by verb, watches left out.
    pub(crate) requests: BTreeMap<String, f64>,
    /// CPU seconds of the process.
    pub(crate) cpu: f64,
    /// The most memory that was resident, in MiB.
    pub(crate) peak: f64,
}

impl Numbers {
    pub(crate) fn total(&self) -> f64 {
        self.requests.values().sum()
    }

    pub(crate) fn writes(&self) -> f64 {
        self.requests.iter().filter(|(verb, _)| !matches!(verb.as_str(), "get" | "list")).map(|(_, count)| count).sum()
    }

    /// The requests since an earlier moment.
    pub(crate) fn since(&self, earlier: &Numbers) -> Numbers {
        let less = |verb: &String| earlier.requests.get(verb).copied().unwrap_or_default();
        let requests = self.requests.iter().map(|(verb, count)| (verb.clone(), count - less(verb))).collect();
        Numbers { requests, cpu: self.cpu - earlier.cpu, peak: self.peak }
    }

    /// `apply 4.0, create 5.0`: per unit, in order of verb.
    pub(crate) fn per(&self, units: usize) -> String {
        let each = self.requests.iter().filter(|(_, count)| **count > 0.0);
        let words: Vec<String> = each.map(|(verb, count)| format!("{verb} {:.1}", count / units as f64)).collect();
        words.join(", ")
    }
}

impl Daemon {
    /// Starts the daemon on a repository.
    pub(crate) fn start(cluster: &TestCluster, source: &str, repository: &std::path::Path) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(binary()?);
        command.args(["run", "--poll", "1s", "--source", source, "--listen", &address, "--log", "warn"]);
        command.arg("--repo").arg(repository).arg("--kubeconfig").arg(cluster.kubeconfig());
        command.args(["--bowline-namespace", &format!("bowline-{source}")]).env("HOME", cluster.folder());
        let process = Process::start(cluster.folder(), &format!("bowline-{source}"), &command)?;
        let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Daemon { process, address, client })
    }

    fn metrics(&self) -> Result<String> {
        if let Some(code) = self.process.exit_status() {
            bail!("the daemon ended with {code}: {}", self.process.log_tail());
        }
        Ok(self.client.get(format!("http://{}/metrics", self.address)).send()?.text()?)
    }

    /// The value of a series.
    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Waits until this many units are ready and nothing is queued.
    pub(crate) fn ready(&self, source: &str, units: usize) -> Result<()> {
        wait_until(PATIENCE, || {
            let text = self.metrics()?;
            let ready = Self::value(&text, &format!("bowline_units{{source=\"{source}\",state=\"ready\"}}"));
            let queue = Self::value(&text, &format!("bowline_queue_length{{source=\"{source}\"}}"));
            if ready == Some(units as f64) && queue == Some(0.0) {
                Ok(())
            } else {
                bail!("{ready:?} of {units} are ready")
            }
        })
        .with_context(|| self.process.log_tail())
    }

    /// Its numbers now.
    pub(crate) fn numbers(&self) -> Result<Numbers> {
        let mut requests = BTreeMap::new();
        for line in self.metrics()?.lines() {
            let Some(labels) = line.strip_prefix("bowline_api_requests_total{") else { continue };
            let verb = labels.split("verb=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let count: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
            if verb != "watch" {
                *requests.entry(verb.to_owned()).or_default() += count;
            }
        }
        let process = PathBuf::from(format!("/proc/{}", self.process.pid()));
        let stat = fs::read_to_string(process.join("stat"))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|text| text.parse::<f64>().ok());
        let cpu = (ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0;
        let status = fs::read_to_string(process.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let peak: f64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap_or_default();
        Ok(Numbers { requests, cpu, peak: peak / 1024.0 })
    }

    /// Ends it as a roll-out would.
    pub(crate) fn stop(mut self) -> Result<()> {
        match self.process.terminate(Duration::from_secs(60)) {
            Some(0) => Ok(()),
            code => bail!("the daemon ended with {code:?}: {}", self.process.log_tail()),
        }
    }
}

/// The binary beside this one.
fn binary() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(|examples| examples.parent()).context("the bench has no folder")?;
    let binary = folder.join("bowline");
    if !binary.is_file() {
        bail!("{} is not built\nhint: make bench", binary.display());
    }
    Ok(binary)
}
