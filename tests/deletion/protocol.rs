//! The steps of a deletion, each where it says no. Further ones: a complete render (`inputs`), complete discovery (row 19),
//! moves (row 5), approvals (`approval`).

use serde_json::json;

use bowline::cluster::objects::Propagation;
use bowline::cluster::{Actor, Cluster, configuration};
use bowline::object::{Gvk, ObjectId};

use super::Case;
use crate::common::bowline::{config_map, deployment};

#[test]
fn step_04_what_a_live_object_says_keeps_it_and_the_plan_shows_that() {
    let mut case = Case::new("step04");
    let home = case.home.clone();
    let words = [
        ("helm", "helm.sh/resource-policy=keep"),
        ("cli-utils", "cli-utils.sigs.k8s.io/on-remove=keep"),
        ("detach", "client.lifecycle.config.k8s.io/deletion=detach"),
        ("flux", "kustomize.toolkit.fluxcd.io/prune=disabled"),
        ("argo", "argocd.argoproj.io/sync-options=ServerSideApply=true,Prune=false"),
        ("ours", "bowline.dev/prune=keep"),
        ("stopped", "bowline.dev/reconcile=disabled"),
    ];
    let files: Vec<(String, String)> =
        words.iter().map(|(name, _)| (format!("{name}.yaml"), config_map(&home, name, "k", "1"))).collect();
    let mut all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let keep = config_map(&home, "keep", "k", "1");
    all.push(("keep.yaml", &keep));
    let first = case.commit("first", &all);
    case.start();
    case.wait_ready(&first);
    assert_eq!(case.stop(), Some(0));
    for (name, word) in words {
        case.cluster.kubectl(&["annotate", "configmap", name, "-n", &home, word]);
    }
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    let second = case.remove("none of them", &paths);
    let plan = case.on_repo("plan", &[]).stdout;
    for (name, word) in &words[..6] {
        let line = plan.lines().find(|line| line.contains(&format!("ConfigMap/{home}/{name}:"))).unwrap_or_default();
        let key = word.split('=').next().unwrap();
        assert!(line.contains("released") && line.contains(&format!("is kept by {key}")), "{plan}");
    }
    case.start();
    let status = case.wait_said(&second, &["is stopped by the annotation bowline.dev/reconcile: disabled"]);
    assert_eq!(status["sources"][0]["orphans"].as_array().map(Vec::len), Some(6), "{status}");
    case.assert_nothing_deleted();
    for (name, _) in words {
        case.uid("configmap", &home, name);
    }
}

#[test]
fn step_05_what_was_replaced_by_hand_is_not_ours_to_delete() {
    let mut case = Case::new("step05");
    let home = case.home.clone();
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit("first", &[("keep.yaml", &keep), ("a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    assert_eq!(case.stop(), Some(0));
    // Saved, deleted and made again: the marks are ours, the object is not.
    let mut saved = case.cluster.get("configmap", &home, "a").unwrap();
    for field in ["uid", "resourceVersion", "managedFields", "creationTimestamp"] {
        saved["metadata"].as_object_mut().unwrap().remove(field);
    }
    case.cluster.kubectl(&["delete", "configmap", "a", "-n", &home]);
    case.cluster.try_kubectl_with(&["create", "-f", "-"], &saved.to_string()).unwrap();
    let second = case.remove("a goes", &["a.yaml"]);
    let plan = case.on_repo("plan", &[]).stdout;
    assert!(plan.contains("was replaced by another object of the same name"), "{plan}");
    case.start();
    case.wait_ready(&second);
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "a");
}

#[test]
fn step_07_nothing_goes_before_everything_wanted_is_healthy_and_a_newer_commit_takes_it_back() {
    let mut case = Case::new("step07");
    let home = case.home.clone();
    let b = config_map(&home, "b", "k", "1");
    let first = case.commit("first", &[("web.yaml", &deployment(&home, "web", "nginx:1")), ("b.yaml", &b)]);
    case.start();
    case.wait_ready(&first);
    let failing = deployment(&home, "web", "nginx:2").replace(
        "metadata: {labels:",
        "metadata: {annotations: {simulate.bowline.dev/pod: image-pull-failure}, labels:",
    );
    case.git(&["rm", "-q", "b.yaml"]);
    case.commit("bad pods, and b goes", &[("web.yaml", &failing)]);
    case.wait_for("deployment", &home, "web", "/spec/template/spec/containers/0/image", &json!("nginx:2"));
    let third =
        case.commit("good pods, and b stays", &[("web.yaml", &deployment(&home, "web", "nginx:3")), ("b.yaml", &b)]);
    case.wait_ready(&third);
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "b");
}

#[test]
fn step_08_a_deletion_is_for_one_object_in_one_state() {
    let case = Case::new("step08");
    let home = case.home.clone();
    case.cluster.apply(&config_map(&home, "a", "k", "1"));
    let live = case.cluster.get("configmap", &home, "a").unwrap();
    let text = |field: &str| live["metadata"][field].as_str().unwrap().to_owned();
    case.patch("configmap", &home, "a", r#"{"data":{"k":"2"}}"#);
    let id = ObjectId::from_key(&format!("/ConfigMap/{home}/a")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = configuration(Some(&case.kubeconfig), None).await.unwrap();
        let cluster = Cluster::connect(config).await.unwrap();
        let resource = cluster.resource(&Gvk::new("v1", "ConfigMap")).await.unwrap();
        let other = "00000000-0000-0000-0000-000000000000";
        for (uid, version) in [(text("uid").as_str(), text("resourceVersion").as_str()), (other, "1")] {
            let error = cluster
                .delete(&resource, &id, uid, version, Propagation::Background, &Actor::Own)
                .await
                .expect_err("it was written since, or is another object");
            assert_eq!(error.refusal().map(|refusal| refusal.code), Some(409), "{error}");
        }
    });
    case.uid("configmap", &home, "a");
}

#[test]
fn step_09_a_finalizer_is_named_and_never_stripped() {
    let mut case = Case::new("step09");
    let home = case.home.clone();
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit("first", &[("keep.yaml", &keep), ("a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    case.patch("configmap", &home, "a", r#"{"metadata":{"finalizers":["example.com/hold"]}}"#);
    let second = case.remove("a goes", &["a.yaml"]);
    case.wait_said(&second, &["is being deleted and waits for example.com/hold", "bowline never does"]);
    let held = case.cluster.get("configmap", &home, "a").unwrap();
    assert_eq!(held["metadata"]["finalizers"], json!(["example.com/hold"]));
    assert_eq!(case.deletes().len(), 1, "it is asked for once: {:?}", case.deletes());
    case.patch("configmap", &home, "a", r#"{"metadata":{"finalizers":null}}"#);
    // Step 10: what is gone leaves the inventory.
    let status = case.wait_ready(&second);
    let unit = status["units"].as_array().unwrap().iter().find(|unit| unit["unit"] == case.unit()).unwrap();
    assert_eq!(unit["objects"], 1);
}
