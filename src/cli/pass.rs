//! One pass over a repository: what `plan`, `apply` and `diff` have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::connect::{ClusterArgs, RepoArgs};
use crate::cluster::facts::Live;
use crate::cluster::store::Store;
use crate::daemon::APPROVALS;
use crate::error::Error;
use crate::load;
use crate::reconcile::World;
use crate::reconcile::commit::{Prepared, is_due, prepare};
use crate::record::{self, Revision};
use crate::render::{self, Rendered};
use crate::unit::{Problem, UnitName};

/// A repository and a cluster, side by side.
pub struct Pass {
    /// The cluster.
    pub world: World,
    /// What Git wants.
    pub rendered: Rendered,
    /// Problems of whole files.
    pub problems: Vec<Problem>,
    /// The plan over all units.
    pub prepared: Prepared,
    /// Current revisions.
    pub revisions: BTreeMap<UnitName, Arc<Revision>>,
    /// Revisions that an interrupted pass left open.
    pub outdated: Vec<Revision>,
    /// Kept so that the watches of namespaces go on while the pass lasts.
    _live: Arc<Live>,
}

impl Pass {
    /// Reads the repository and looks at the cluster.
    ///
    /// # Errors
    /// The repository or the cluster cannot be read at all. Problems inside the repository are part of the result.
    pub async fn begin(repo: &RepoArgs, cluster: &ClusterArgs, history: u64) -> Result<Self, Error> {
        let args = repo.clone();
        let checkout = tokio::task::spawn_blocking(move || args.checkout())
            .await
            .map_err(|error| Error::new("reading the repository panicked").because(error))??;
        let cluster_args = cluster;
        let cluster = cluster_args.connect().await?;
        let records = record::Store::new(cluster.clone(), &cluster_args.bowline_namespace, history);
        let (store, _events) = Store::new(cluster.clone());
        let live = Live::new(cluster.clone(), &cluster_args.bowline_namespace);
        live.ready().await;
        let mut desired = load::load(&checkout, &mut load::Cache::default());
        if let Some(account) = &repo.service_account {
            desired.act_as(account);
        }
        let mut cache = render::Cache::default();
        let mut rendered = render::render_again(&desired, &live.snapshot(), &repo.source, &mut cache);
        if !rendered.copied.is_empty() {
            live.copy(&repo.source, &rendered.copied).await;
            rendered = render::render_again(&desired, &live.snapshot(), &repo.source, &mut cache);
        }
        let loaded = records.load(Some(&repo.source)).await;
        let loaded = loaded.map_err(|error| Error::new("the records of the cluster cannot be read").because(error))?;
        if let Some(damaged) = loaded.damaged.first() {
            return Err(Error::new(damaged.to_string()).hint("delete the Secret to begin a new history of its unit"));
        }
        let revisions: BTreeMap<UnitName, Arc<Revision>> =
            loaded.revisions.into_iter().map(|(name, revision)| (name, Arc::new(revision))).collect();
        let approved = approvals(&cluster, &cluster_args.bowline_namespace).await?;
        let prepared = prepare(&rendered, &revisions, &record::Commit::from(&*checkout.commit), &approved);
        let world = World { cluster, store, records, namespace: cluster_args.bowline_namespace.clone() };
        world.watch(&prepared, &revisions);
        let had: BTreeSet<_> =
            revisions.values().flat_map(|revision| revision.entries.iter().map(crate::diff::Entry::gvk)).collect();
        world.store.synced(&had, Duration::from_secs(20)).await;
        let (problems, outdated) = (desired.problems.clone(), loaded.outdated);
        Ok(Pass { world, rendered, problems, prepared, revisions, outdated, _live: live })
    }

    /// Units that must be looked at, in order of name: cluster units come first.
    pub fn due(&self) -> Vec<UnitName> {
        let mut due: Vec<UnitName> = self
            .prepared
            .units
            .keys()
            .filter(|name| is_due(&self.world, &self.prepared, name, self.revisions.get(*name).map(Arc::as_ref)))
            .cloned()
            .collect();
        due.sort_by_key(|name| (!name.namespace.is_empty(), name.clone()));
        due
    }

    /// Everything wrong in the repository.
    pub fn all_problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.clone();
        problems.extend(self.rendered.problems.iter().cloned());
        problems.extend(self.rendered.units.values().flat_map(|unit| unit.problems.iter().cloned()));
        problems.sort();
        problems.dedup();
        problems
    }
}

async fn approvals(cluster: &crate::cluster::Cluster, namespace: &str) -> Result<BTreeSet<String>, Error> {
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/{APPROVALS}");
    match cluster.own(crate::cluster::client::Verb::Get, &path, None).await {
        Ok(map) => {
            let data = map.get("data").and_then(serde_json::Value::as_object);
            Ok(data.map(|data| data.keys().cloned().collect()).unwrap_or_default())
        }
        Err(error) if error.is_not_found() => Ok(BTreeSet::new()),
        Err(error) => Err(Error::new("the approvals cannot be read").because(error)),
    }
}
