//! Tells people what became of units: Events once per change of the story, metrics always, the status at rest.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing::{debug, warn};

use super::drift::Drift;
use super::status::Status;
use crate::cluster::Cluster;
use crate::cluster::client::Verb;
use crate::cluster::lease::Lease;
use crate::diff::{Action, Changes};
use crate::reconcile::Done;
use crate::report::events::{self, Subject, Weight};
use crate::report::metrics::Metrics;
use crate::unit::UnitName;

/// Name of the ConfigMap that holds the status of a source.
pub fn status_name(source: &str) -> String {
    format!("bowline-source-{source}")
}

/// Tells what happened.
#[derive(Debug)]
pub struct Teller {
    cluster: Cluster,
    namespace: String,
    /// Numbers for Prometheus.
    pub metrics: Arc<Metrics>,
    published: Mutex<std::collections::BTreeMap<String, Status>>,
}

impl Teller {
    /// A teller that speaks in bowline's own namespace.
    pub fn new(cluster: Cluster, namespace: &str, metrics: Arc<Metrics>) -> Self {
        Teller { cluster, namespace: namespace.to_owned(), metrics, published: Mutex::default() }
    }

    /// Tells of one reconcile of a unit; `told` when people know this outcome already.
    pub fn unit(&self, unit: &UnitName, done: &Done, told: bool) {
        for change in &done.outcome.changes {
            self.metrics.object(&unit.source, change.action.word());
            if change.action == Action::Conflict && !told {
                self.metrics.conflict(&unit.source);
            }
        }
        let mut stories = Vec::new();
        if done.is_new || (!told && !done.succeeded()) || done.wrote {
            stories.extend(self.summary(unit, done, told));
        }
        stories.extend(self.drift(unit, done));
        if stories.is_empty() {
            return;
        }
        let (cluster, own, unit) = (self.cluster.clone(), self.namespace.clone(), unit.clone());
        tokio::spawn(async move {
            for (subject, weight, reason, message) in stories {
                events::send(&cluster, &own, &unit, &subject, weight, reason, &message).await;
            }
        });
    }

    fn summary(&self, unit: &UnitName, done: &Done, told: bool) -> Option<(Subject, Weight, &'static str, String)> {
        let subject = Subject::namespace_of(unit, &self.namespace);
        let commit = done
            .revision
            .as_ref()
            .map(|revision| format!("{} {}", revision.commit.short(), revision.commit.subject()))
            .unwrap_or_default();
        if done.succeeded() {
            let count = Changes { unit: unit.clone(), changes: done.outcome.changes.clone(), keep_all: None }.count();
            let words: Vec<String> =
                count.iter().map(|(action, number)| format!("{number} {}", action.word())).collect();
            return done
                .is_new
                .then(|| (subject, Weight::Normal, "Applied", format!("{unit} at {commit}: {}", words.join(", "))));
        }
        if told {
            return None;
        }
        let failed =
            done.outcome.changes.iter().filter(|change| matches!(change.action, Action::Failed | Action::Conflict));
        let mut lines: Vec<String> = failed.map(|change| format!("{}: {}", change.id, change.message)).collect();
        lines.extend(
            done.not_ready.iter().map(|object| format!("{} is {}: {}", object.id, object.health, object.message)),
        );
        Some((subject, Weight::Warning, "Failed", format!("{unit} at {commit}: {}", lines.join("; "))))
    }

    /// Who changed what, on the object itself.
    fn drift(&self, unit: &UnitName, done: &Done) -> Vec<(Subject, Weight, &'static str, String)> {
        let drifted = done.outcome.changes.iter().filter_map(|change| Some((change, Drift::of(unit, change)?)));
        let mut stories = Vec::new();
        for (change, drift) in drifted {
            let mut managers: BTreeSet<&str> = change.authors().map(|(_, author)| author.manager.as_str()).collect();
            if managers.is_empty() {
                managers.insert("unknown");
            }
            for manager in managers {
                self.metrics.drift(&change.id.kind, manager);
            }
            let subject =
                Subject { id: change.id.clone(), api_version: change.api_version.clone(), uid: String::new() };
            stories.push((subject, Weight::Warning, "Drift", drift.to_string()));
        }
        stories
    }

    /// Tells that this process leads from now on, or no more. What another one told meanwhile is not known.
    pub fn leads(&self, leads: bool, lease: Option<&Lease>) {
        self.metrics.leads(leads);
        let Some(lease) = lease.filter(|_| leads) else { return };
        if let Ok(mut published) = self.published.lock() {
            published.clear();
        }
        let (cluster, own, lease) = (self.cluster.clone(), self.namespace.clone(), lease.clone());
        tokio::spawn(async move {
            let (subject, message) = (Subject::lease(&own, lease.name()), format!("{} leads", lease.identity()));
            events::send_own(&cluster, &own, lease.identity(), &subject, "LeaderElection", &message).await;
        });
    }

    /// Writes the status of a source into its ConfigMap when it changed.
    pub async fn source(&self, status: &Status) {
        {
            let Ok(published) = self.published.lock() else { return };
            if published.get(&status.source) == Some(status) {
                return;
            }
        }
        let name = status_name(&status.source);
        let path = format!("/api/v1/namespaces/{}/configmaps/{name}?fieldManager=bowline&force=true", self.namespace);
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app.kubernetes.io/managed-by": "bowline"}},
            "data": {"status": serde_json::to_string(&trimmed(status)).unwrap_or_default()},
        });
        match self.cluster.own(Verb::Apply, &path, Some(&body)).await {
            Ok(_) => {
                if let Ok(mut published) = self.published.lock() {
                    published.insert(status.source.clone(), status.clone());
                }
            }
            Err(error) if error.refusal().is_some_and(|refusal| refusal.code == 404) => {
                debug!(%error, "no place for the status yet");
            }
            Err(error) => warn!(source = status.source, %error, "the status could not be written"),
        }
    }
}

/// A ConfigMap holds 1 MiB: of very long stories the beginning is kept.
fn trimmed(status: &Status) -> Status {
    let mut status = status.clone();
    status.problems.truncate(500);
    if let Some(approval) = &mut status.approval {
        approval.objects.truncate(1000);
    }
    while status.units.len() > 1000 {
        status.units.pop_last();
    }
    for unit in status.units.values_mut() {
        unit.messages.truncate(20);
    }
    status
}
