//! `deploy/` on the control plane: what a newcomer applies is accepted, comes up, and gives the rights it says.

use std::path::{Path, PathBuf};

use crate::common::cluster::TestCluster;

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
    assert_eq!(applied.lines().count(), 7, "{applied}");
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
}
