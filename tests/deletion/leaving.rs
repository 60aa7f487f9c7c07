//! What stays in the cluster when Git no longer says it, and how it goes after all.

use serde_json::json;

use super::{Case, list};
use crate::common::bowline::{config_map, deployment};
use crate::common::cluster::free_port;
use crate::faults::page;

#[test]
fn row_21_a_unit_that_goes_with_its_spec_is_known_by_its_record_and_goes_in_order() {
    let mut case = Case::new("row21");
    let home = case.home.clone();
    let first = case.commit(
        "first",
        &[
            ("keep.yaml", &config_map(&home, "keep", "k", "1")),
            ("app/bowline.yaml", "unit: {name: app}\n"),
            ("app/conf.yaml", &config_map(&home, "conf", "k", "1")),
            ("app/web.yaml", &deployment(&home, "web", "nginx:1")),
        ],
    );
    case.start();
    case.wait_ready(&first);
    assert_eq!(case.stop(), Some(0));
    case.git(&["rm", "-rq", "app"]);
    let second = case.commit("all of it at once", &[]);
    case.start();
    case.wait_ready(&second);
    case.wait_gone("configmap", &home, "conf");
    // The workload goes before what it reads, and nothing else goes.
    let gone: Vec<String> = case
        .deletes()
        .iter()
        .map(|uri| uri.split('?').next().unwrap().rsplit_once('/').unwrap().1.to_owned())
        .collect();
    assert_eq!(gone, ["web", "conf"]);
    let status = case.verb(&["status", "--source", &case.source]);
    assert!(!status.stdout.contains("/app"), "nothing is left of the unit: {}", status.stdout);
}

#[test]
fn row_21_units_that_others_needed_go_after_them() {
    let mut case = Case::new("row21needs");
    let home = case.home.clone();
    let unit = |name: &str, needs: &str| format!("unit: {{name: {name}, dependsOn: [{needs}]}}\n");
    let first = case.commit(
        "first",
        &[
            ("keep.yaml", &config_map(&home, "keep", "k", "1")),
            ("a/bowline.yaml", &unit("a-database", "")),
            ("a/cm.yaml", &config_map(&home, "database", "k", "1")),
            ("b/bowline.yaml", &unit("b-shop", "a-database")),
            ("b/cm.yaml", &config_map(&home, "shop", "k", "1")),
        ],
    );
    case.start();
    case.wait_ready(&first);
    // What needs the database is slow to go.
    case.patch("configmap", &home, "shop", r#"{"metadata":{"finalizers":["example.com/hold"]}}"#);
    case.git(&["rm", "-rq", "a", "b"]);
    let second = case.commit("both go", &[]);
    case.wait_said(&second, &["is being deleted and waits for example.com/hold"]);
    assert!(case.deletes().iter().all(|uri| uri.contains("/shop")), "{:?}", case.deletes());
    case.patch("configmap", &home, "shop", r#"{"metadata":{"finalizers":null}}"#);
    case.wait_gone("configmap", &home, "database");
    case.wait_ready(&second);
}

#[test]
fn row_22_what_is_left_in_the_cluster_is_listed_counted_and_goes_by_one_line() {
    let mut case = Case::new("row22");
    let home = case.home.clone();
    let files = |lists: &str| [("keep.yaml", config_map(&home, "keep", "k", "1")), ("list.yaml", lists.to_owned())];
    let commit = |case: &Case, message: &str, lists: &str| {
        let files = files(lists);
        case.commit(message, &files.each_ref().map(|(path, text)| (*path, text.as_str())))
    };
    let first = commit(&case, "a list that keeps", &list(&home, ""));
    let port = free_port().unwrap();
    case.start_with(&["--listen", &format!("127.0.0.1:{port}")]);
    case.wait_ready(&first);
    let second = commit(&case, "no list", "# nothing\n");
    let status = case.wait_status(&second, |status| status["sources"][0]["orphans"].is_array());
    let orphan = &status["sources"][0]["orphans"][0];
    assert_eq!(
        *orphan,
        json!({
            "unit": case.unit(), "object": format!("ConfigMap/{home}/settings"),
            "note": "its list or settings say to keep it", "remove": format!("kubectl delete configmap settings -n {home}"),
        })
    );
    let table = case.verb(&["status", "--source", &case.source]).stdout;
    assert!(table.contains(&format!("orphan: {} ConfigMap/{home}/settings", case.unit())), "{table}");
    let metric = format!("bowline_orphans{{source=\"{}\"}} ", case.source);
    let count = || {
        let (_, text) = page(port, "/metrics").unwrap();
        text.lines().find_map(|line| line.strip_prefix(&metric).map(str::to_owned))
    };
    assert_eq!(count().as_deref(), Some("1"));
    case.assert_nothing_deleted();

    // One line in Git removes it.
    let hash = status["sources"][0]["orphansApproval"]["hash"].as_str().unwrap();
    let third = case.commit("clear up", &[("bowline.yaml", &format!("approve: [\"{hash}\"]\n"))]);
    case.wait_gone("configmap", &home, "settings");
    case.wait_status(&third, |status| status["sources"][0]["orphans"].is_null());
    case.eventually("the metric follows", || {
        anyhow::ensure!(count().as_deref() == Some("0"), "{:?}", count());
        Ok(())
    });
    case.uid("configmap", &home, "keep");
}

#[test]
fn an_orphan_that_somebody_deletes_is_no_longer_listed() {
    let mut case = Case::new("orphangone");
    let home = case.home.clone();
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit("first", &[("keep.yaml", &keep), ("list.yaml", &list(&home, ""))]);
    case.start();
    case.wait_ready(&first);
    let second = case.remove("no list", &["list.yaml"]);
    case.wait_status(&second, |status| status["sources"][0]["orphans"].is_array());
    case.cluster.kubectl(&["delete", "configmap", "settings", "-n", &home]);
    case.wait_status(&second, |status| status["sources"][0]["orphans"].is_null());
}

#[test]
fn row_23_what_a_list_did_not_allow_and_volumes_of_a_stateful_set_stay() {
    let mut case = Case::new("row23");
    let home = case.home.clone();
    // The note that proposed the annotation wrote the choice itself.
    let older = |allow: &str| {
        format!(
            "apiVersion: v1\nkind: NamespaceExporter\nmetadata: {{name: older}}\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  \
             metadata:\n    name: older\n    annotations: {{namespaces.ns-exporter.io: {home}{allow}}}\n"
        )
    };
    let keep = config_map(&home, "keep", "k", "1");
    let unclear = older(", allow-delete.ns-exporter.io: \"true|false\"");
    let first =
        case.commit("first", &[("keep.yaml", &keep), ("list.yaml", &list(&home, "")), ("older.yaml", &unclear)]);
    case.start();
    case.wait_ready(&first);
    let second = case.remove("no lists", &["list.yaml", "older.yaml"]);
    case.wait_status(&second, |status| {
        status["sources"][0]["orphans"].as_array().is_some_and(|orphans| orphans.len() == 2)
    });
    case.assert_nothing_deleted();
    for name in ["settings", "older"] {
        case.uid("configmap", &home, name);
    }

    let set = deployment(&home, "db", "nginx:1")
        .replace("Deployment", "StatefulSet")
        .replace("replicas: 2", "replicas: 1")
        + "  volumeClaimTemplates:\n  - metadata: {name: data}\n    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
    case.commit("a database", &[("bowline.yaml", "wait: false\n"), ("db.yaml", &set)]);
    case.wait_there("pvc", &home, "data-db-0");
    case.remove("no database", &["db.yaml"]);
    case.wait_gone("statefulset", &home, "db");
    assert!(case.deletes().iter().all(|uri| uri.contains("/statefulsets/db")), "{:?}", case.deletes());
    case.uid("pvc", &home, "data-db-0");
}
