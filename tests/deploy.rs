//! `deploy/` on the control plane: what a newcomer applies is accepted, comes up, and gives the rights it says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::common::cluster::{Process, TestCluster, wait_until};

const PATIENCE: Duration = Duration::from_secs(120);

/// The Prometheus operator's definition, as far as the API server needs it to accept ours.
const SERVICE_MONITORS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: ServiceMonitor, plural: servicemonitors}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// What `kubectl auth can-i` says for bowline's service account.
fn may(cluster: &TestCluster, arguments: &[&str]) -> bool {
    let mut all = vec!["auth", "can-i", "--as=system:serviceaccount:bowline-system:bowline"];
    all.extend(arguments);
    // It ends with 1 for `no`.
    cluster.try_kubectl(&all).is_ok_and(|answer| answer.trim() == "yes")
}

#[test]
fn the_wide_variant_is_accepted_and_comes_up() {
    let cluster = TestCluster::start();
    let folder = deploy("");
    cluster.kubectl(&["create", "namespace", "bowline-system"]);
    cluster.kubectl(&["apply", "--server-side", "--dry-run=server", "-f", folder.to_str().unwrap()]);
    cluster.kubectl(&["delete", "namespace", "bowline-system", "--timeout=120s"]);

    let applied = cluster.kubectl(&["apply", "--server-side", "--validate=strict", "-f", folder.to_str().unwrap()]);
    assert_eq!(applied.lines().count(), 8, "{applied}");
    cluster.kubectl(&["rollout", "status", "deployment/bowline", "-n", "bowline-system", "--timeout=120s"]);
    cluster.apply(SERVICE_MONITORS);
    cluster.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/servicemonitors.monitoring.coreos.com",
        "--timeout=60s",
    ]);
    for file in ["optional/servicemonitor.yaml", "optional/git-credentials.yaml"] {
        cluster.kubectl(&["apply", "--server-side", "-f", deploy(file).to_str().unwrap()]);
    }

    assert!(may(&cluster, &["patch", "deployments.apps", "-n", "anywhere"]));
    assert!(may(&cluster, &["escalate", "clusterroles.rbac.authorization.k8s.io"]));
    assert!(!may(&cluster, &["update", "deployments.apps", "-n", "anywhere"]));
    assert!(!may(&cluster, &["deletecollection", "configmaps", "-n", "anywhere"]));
    assert!(!may(&cluster, &["impersonate", "users"]));

    // The rights suffice for the whole example: definitions, roles with more rights than bowline's own, namespaces.
    let daemon = start_daemon(&cluster, &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo"));
    let web = || field(&cluster, &["deployment", "web", "-n", "prod"], "/status/readyReplicas");
    eventually(&daemon, || {
        ensure!(web()? == 3, "{}", web()?);
        Ok(())
    });
    eventually(&daemon, || all_ready(&cluster));
    let refused = daemon.log();
    assert!(!refused.contains("forbidden"), "{refused}");
    let quotas = cluster.kubectl(&["get", "quota", "-n", "bowline-system", "-o", "name"]);
    assert_eq!(quotas, "", "template lists for all namespaces leave out bowline's own");
}

#[test]
fn the_narrow_variant_writes_where_it_is_bound() {
    let cluster = TestCluster::start();
    let (daemon, narrow) = (deploy("bowline.yaml"), deploy("optional/rbac-narrow.yaml"));
    cluster.kubectl(&["apply", "--server-side", "-f", daemon.to_str().unwrap(), "-f", narrow.to_str().unwrap()]);
    cluster.kubectl(&["create", "namespace", "bound"]);
    cluster.kubectl(&["create", "namespace", "free"]);
    let subject = "--serviceaccount=bowline-system:bowline";
    cluster.kubectl(&["create", "rolebinding", "bowline", "--clusterrole=bowline-writer", subject, "-n", "bound"]);

    crate::common::cluster::wait_until(std::time::Duration::from_secs(60), || {
        // The controller fills the aggregated role.
        anyhow::ensure!(
            may(&cluster, &["patch", "deployments.apps", "-n", "bound"]),
            "bowline may not patch deployments yet"
        );
        Ok(())
    })
    .unwrap();
    assert!(may(&cluster, &["create", "secrets", "-n", "bowline-system"]));
    assert!(may(&cluster, &["watch", "deployments.apps"]));
    for (verb, resource, namespace) in [
        ("patch", "deployments.apps", "free"),
        ("create", "configmaps", "free"),
        ("create", "pods --subresource=exec", "bound"),
        ("create", "serviceaccounts --subresource=token", "bound"),
        ("escalate", "roles.rbac.authorization.k8s.io", "bound"),
        ("bind", "roles.rbac.authorization.k8s.io", "bound"),
        ("create", "namespaces", ""),
        ("patch", "clusterroles.rbac.authorization.k8s.io", ""),
    ] {
        let mut question = vec![verb, "-n", namespace];
        question.extend(resource.split(' '));
        assert!(!may(&cluster, &question), "{verb} {resource} in `{namespace}`");
    }

    // What it may not write is reported and left out; the rest is applied.
    let repository = cluster.folder().join("repository");
    std::fs::create_dir(&repository).unwrap();
    for namespace in ["bound", "free"] {
        let objects = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {namespace}}}\ndata: {{a: b}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: password, namespace: {namespace}}}\nstringData: {{a: b}}\n"
        );
        std::fs::write(repository.join(format!("{namespace}.yaml")), objects).unwrap();
    }
    let daemon = start_daemon(&cluster, &repository);
    eventually(&daemon, || field(&cluster, &["configmap", "settings", "-n", "bound"], "/data/a").map(drop));
    eventually(&daemon, || field(&cluster, &["secret", "password", "-n", "bound"], "/data/a").map(drop));
    eventually(&daemon, || {
        let status = status(&cluster, &["-o", "table"])?;
        ensure!(status.contains("main/free: ") && status.contains("forbidden"), "{status}");
        Ok(())
    });
    assert_eq!(cluster.get("configmap", "free", "settings"), None);
}

/// The binary as the Deployment runs it, with a token of the service account that `deploy/` gives it.
fn start_daemon(cluster: &TestCluster, repository: &Path) -> Process {
    let kubeconfig = cluster.kubeconfig_for_service_account("bowline-system", "bowline").unwrap();
    let mut command = bowline(cluster);
    command.args(["run", "--poll", "1s", "--repo"]).arg(repository).arg("--kubeconfig").arg(kubeconfig);
    Process::start(cluster.folder(), "bowline", &command).unwrap()
}

fn bowline(cluster: &TestCluster) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.env("HOME", cluster.folder()).env_remove("KUBECONFIG");
    command
}

#[track_caller]
fn eventually(daemon: &Process, attempt: impl FnMut() -> Result<()>) {
    if let Err(error) = wait_until(PATIENCE, attempt) {
        panic!("{error:#}\n--- daemon\n{}", daemon.log());
    }
}

/// One field of an object.
fn field(cluster: &TestCluster, object: &[&str], pointer: &str) -> Result<Value> {
    let mut arguments = vec!["get", "-o", "json"];
    arguments.extend(object);
    let object: Value = serde_json::from_str(&cluster.try_kubectl(&arguments)?)?;
    object.pointer(pointer).cloned().with_context(|| format!("it has no {pointer}"))
}

/// What `bowline status` prints for an administrator; its exit code 1 says that something is not in order.
fn status(cluster: &TestCluster, arguments: &[&str]) -> Result<String> {
    let output =
        bowline(cluster).arg("status").args(arguments).arg("--kubeconfig").arg(cluster.kubeconfig()).output()?;
    match output.status.code() {
        Some(0 | 1) if !output.stdout.is_empty() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => bail!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn all_ready(cluster: &TestCluster) -> Result<()> {
    let status: Value = serde_json::from_str(&status(cluster, &["-o", "json"])?)?;
    let units = status["units"].as_array().context("no units")?;
    ensure!(!units.is_empty() && units.iter().all(|unit| unit["ready"] == true), "{status}");
    Ok(())
}

#[test]
fn the_tenants_grant_lets_bowline_act_as_their_accounts_and_no_others() {
    let cluster = TestCluster::start();
    cluster.kubectl(&["apply", "-f", deploy("optional/tenants.yaml").to_str().unwrap()]);
    let bowline = "--as=system:serviceaccount:bowline-system:bowline";
    assert!(may(&cluster, &["impersonate", "serviceaccounts/deployer", "-n", "default", bowline]));
    assert!(!may(&cluster, &["impersonate", "serviceaccounts/default", "-n", "default", bowline]));
    assert!(!may(&cluster, &["impersonate", "users/admin", bowline]));
}
