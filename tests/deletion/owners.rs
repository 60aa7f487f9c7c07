//! Whose is it? Moves, renames, copies of marks, several owners, and objects that were there before.

use serde_json::{Value, json};

use super::Case;
use crate::common::bowline::{Story, config_map};
use crate::common::cluster::unique;

const APP: &str = "unit: {name: app}\n";

/// Every request that may change an object, since the story's beginning.
fn writes_to(case: &Case, user: &str, namespace: &str, name: &str) -> Vec<String> {
    let events = case.cluster.audit_since(case.mark);
    let writes = events.iter().filter(|event| event.user() == user && event.is_write());
    writes
        .filter(|event| event.namespace() == namespace && event.name() == name)
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect()
}

#[test]
fn row_05_a_unit_that_is_renamed_or_dissolved_hands_its_objects_over() {
    let mut case = Case::new("row05");
    let home = case.home.clone();
    let conf = config_map(&home, "a", "k", "1");
    let first = case.commit("a unit", &[("one/bowline.yaml", APP), ("one/a.yaml", &conf)]);
    case.start();
    case.wait_ready(&first);
    let uid = case.uid("configmap", &home, "a");
    let marked = |case: &Case| {
        case.cluster.get("configmap", &home, "a").unwrap()["metadata"]["annotations"]["bowline.dev/id"].clone()
    };

    case.git(&["mv", "one", "two"]);
    let renamed = case.commit("another name in another folder", &[("two/bowline.yaml", "unit: {name: shop}\n")]);
    case.wait_ready(&renamed);
    assert_eq!(marked(&case), format!("{}/shop;/ConfigMap/{home}/a", case.unit()));
    case.git(&["rm", "-q", "two/bowline.yaml"]);
    let dissolved = case.commit("no unit of its own", &[]);
    case.wait_ready(&dissolved);
    assert_eq!(marked(&case), format!("{};/ConfigMap/{home}/a", case.unit()));
    assert_eq!(case.uid("configmap", &home, "a"), uid);
    case.assert_nothing_deleted();
}

#[test]
fn row_05_a_source_under_another_name_neither_deletes_nor_takes() {
    let mut case = Case::new("row05source");
    let home = case.home.clone();
    let first =
        case.commit("first", &[("bowline.yaml", "adopt: true\n"), ("a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    assert_eq!(case.stop(), Some(0));
    let old = case.source.clone();
    case.source = unique("row05renamed");
    case.start();
    case.wait_said(&first, &[&format!("belongs to unit {old}/{home}"), "take it out of one of the two"]);
    case.assert_nothing_deleted();
    assert_eq!(case.stop(), Some(0));

    // Nobody knows whether the old name still lives elsewhere: people say so, object by object.
    let uid = case.uid("configmap", &home, "a");
    let selector = format!("bowline.dev/source={old}");
    case.cluster.kubectl(&["delete", "secrets", "-n", &case.own_namespace, "-l", &selector]);
    let forced = config_map(&home, "a", "k", "1")
        .replace("metadata: {", "metadata: {annotations: {bowline.dev/force: \"true\"}, ");
    let second = case.commit("it is dead", &[("a.yaml", &forced)]);
    case.start();
    case.wait_ready(&second);
    let object = case.cluster.get("configmap", &home, "a").unwrap();
    assert_eq!(object["metadata"]["uid"], uid);
    assert_eq!(object["metadata"]["annotations"]["bowline.dev/id"], format!("{};/ConfigMap/{home}/a", case.unit()));
    case.assert_nothing_deleted();
}

#[test]
fn row_06_neither_the_end_of_bowline_nor_of_its_records_takes_anything_along() {
    let mut case = Case::new("row06");
    let home = case.home.clone();
    let first = case.commit(
        "first",
        &[("a.yaml", &config_map(&home, "a", "k", "1")), ("b.yaml", &config_map(&home, "b", "k", "1"))],
    );
    case.start();
    case.wait_ready(&first);
    let uid = case.uid("configmap", &home, "a");
    assert_eq!(case.stop(), Some(0));
    let own = case.own_namespace.clone();
    case.cluster.kubectl(&["delete", "namespace", &own, "--timeout=60s"]);
    let second = case.remove("while it was away", &["b.yaml"]);
    case.start();
    case.wait_ready(&second);
    assert_eq!(case.uid("configmap", &home, "a"), uid);
    case.uid("configmap", &home, "b");
    case.assert_nothing_deleted();
}

#[test]
fn row_07_what_was_there_before_is_never_deleted() {
    let mut case = Case::new("row07");
    let home = case.home.clone();
    case.cluster.apply(&config_map(&home, "theirs", "k", "1"));
    let adopted =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-public, annotations: {bowline.dev/adopt: \"true\"}}\n";
    let theirs = config_map(&home, "theirs", "k", "1")
        .replace("metadata: {", "metadata: {annotations: {bowline.dev/adopt: \"true\"}, ");
    let ours = config_map(&home, "ours", "k", "1");
    let first = case.commit("adopted", &[("ns.yaml", adopted), ("theirs.yaml", &theirs), ("ours.yaml", &ours)]);
    case.start();
    case.wait_ready(&first);
    let second = case.remove("given back", &["ns.yaml", "theirs.yaml"]);
    let status = case.wait_said(&second, &["Namespace/kube-public", "was there before bowline"]);
    assert!(status["sources"][0]["approval"].is_null(), "nothing is to go, so nobody is asked: {status}");
    case.wait_ready(&second);
    case.assert_nothing_deleted();
    case.uid("namespace", "", "kube-public");
    case.uid("configmap", &home, "theirs");
}

#[test]
fn row_08_children_that_an_operator_made_with_our_marks_are_not_ours() {
    let mut case = Case::new("row08");
    let home = case.home.clone();
    let (plain, controlled) = (config_map(&home, "plain", "k", "1"), config_map(&home, "controlled", "k", "1"));
    let first = case.commit("first", &[("plain.yaml", &plain), ("controlled.yaml", &controlled)]);
    case.start();
    case.wait_ready(&first);
    // An operator copies labels and annotations of its parent to a child, and takes an object of ours for its own.
    let mut child = case.cluster.get("configmap", &home, "plain").unwrap();
    child["metadata"] = json!({
        "name": "child", "namespace": home,
        "labels": child["metadata"]["labels"], "annotations": child["metadata"]["annotations"],
    });
    case.cluster.try_kubectl_with(&["create", "-f", "-"], &child.to_string()).unwrap();
    let owner = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "plain", "uid": case.uid("configmap", &home, "plain"), "controller": true,
    }]}});
    case.patch("configmap", &home, "controlled", &owner.to_string());

    let second = case.remove("no longer wanted", &["controlled.yaml"]);
    let status = case.wait_said(&second, &["ConfigMap/", "controlled", "belongs to ConfigMap/plain now"]);
    assert_eq!(status["sources"][0]["orphans"][0]["object"], format!("ConfigMap/{home}/controlled"));
    case.assert_nothing_deleted();
    for name in ["plain", "child", "controlled"] {
        case.uid("configmap", &home, name);
    }
}

#[test]
fn row_09_two_owners_of_one_object_are_named_and_neither_wins_by_turns() {
    let mut case = Case::new("row09");
    let home = case.home.clone();
    let first = case.commit("first", &[("a.yaml", &config_map(&home, "shared", "k", "one"))]);
    case.start();
    case.wait_ready(&first);
    let version =
        |case: &Case| case.cluster.get("configmap", &home, "shared").unwrap()["metadata"]["resourceVersion"].clone();
    let before = version(&case);

    let mut other = Case::on(Story::new("row09other"), "row09other");
    let theirs = config_map(&home, "shared", "k", "other");
    let second = other.commit("the same object", &[("bowline.yaml", "adopt: true\n"), ("a.yaml", &theirs)]);
    other.start();
    other.wait_said(&second, &[&format!("belongs to unit {}", case.unit())]);
    let third = other.commit("once more", &[("a.yaml", &theirs.replace("other", "again"))]);
    other.wait_said(&third, &[&format!("belongs to unit {}", case.unit())]);
    let away = other.remove("given up", &["a.yaml"]);
    other.wait_ready(&away);
    assert_eq!(writes_to(&other, &other.user, &home, "shared"), Vec::<String>::new());
    assert_eq!(version(&case), before, "nobody wrote it");
    other.assert_nothing_deleted();

    // The same within one repository.
    let twice =
        case.commit("twice", &[("app/bowline.yaml", APP), ("app/a.yaml", &config_map(&home, "shared", "k", "two"))]);
    case.wait_said(&twice, &["is also written at", "keep one of them; none is applied"]);
    assert_eq!(version(&case), before);
    case.assert_nothing_deleted();
}

#[test]
fn row_13_a_failed_first_revision_deletes_nothing_that_was_there() {
    let mut case = Case::new("row13");
    let home = case.home.clone();
    case.cluster.apply(&config_map(&home, "before", "k", "1"));
    let settings = format!("namespace: {home}\nunit: {{name: app}}\nadopt: true\natomic: true\n");
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 70000}]}\n";
    let first = case.commit(
        "cannot be applied",
        &[
            ("keep.yaml", &config_map(&home, "keep", "k", "1")),
            ("app/bowline.yaml", &settings),
            ("app/before.yaml", &config_map(&home, "before", "k", "1")),
            ("app/bad.yaml", bad),
        ],
    );
    case.start();
    case.wait_said(&first, &["Service/", "bad failed"]);
    case.git(&["rm", "-rq", "app"]);
    let second = case.commit("taken back", &[]);
    case.wait_ready(&second);
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "before");
}

#[test]
fn row_18_marks_alone_never_make_an_object_ours() {
    let mut case = Case::new("row18");
    let home = case.home.clone();
    let first = case.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    let ours = case.cluster.get("configmap", &home, "a").unwrap();
    let forged = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "forged", "namespace": home, "labels": ours["metadata"]["labels"],
            "annotations": {"bowline.dev/id": format!("{};/ConfigMap/{home}/forged", case.unit())},
        },
    });
    let manager = format!("--field-manager=bowline/{}", case.unit());
    case.cluster.try_kubectl_with(&["apply", "--server-side", &manager, "-f", "-"], &forged.to_string()).unwrap();
    let second = case.commit("a change", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    case.wait_ready(&second);
    case.wait_for("configmap", &home, "a", "/data/k", &json!("2"));
    assert_eq!(case.stop(), Some(0));
    case.start();
    let third = case.commit("another", &[("a.yaml", &config_map(&home, "a", "k", "3"))]);
    case.wait_ready(&third);
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "forged");
}

#[test]
fn what_another_source_left_in_the_cluster_may_be_adopted() {
    let mut case = Case::new("givenup");
    let home = case.home.clone();
    let kept = config_map(&home, "kept", "k", "1")
        .replace("metadata: {", "metadata: {annotations: {bowline.dev/prune: keep}, ");
    let rest = config_map(&home, "rest", "k", "1");
    let first = case.commit("first", &[("kept.yaml", &kept), ("rest.yaml", &rest)]);
    case.start();
    case.wait_ready(&first);
    let second = case.remove("given up", &["kept.yaml"]);
    case.wait_said(&second, &["orphans", "kept"]);
    let uid = case.uid("configmap", &home, "kept");
    // The two share their records, so only one of them leads.
    assert_eq!(case.stop(), Some(0));

    let mut heir = Case::on(Story::new("heir"), "heir");
    heir.own_namespace.clone_from(&case.own_namespace);
    let taken =
        heir.commit("taken", &[("bowline.yaml", "adopt: true\n"), ("kept.yaml", &config_map(&home, "kept", "k", "2"))]);
    heir.start();
    heir.wait_ready(&taken);
    let object = heir.cluster.get("configmap", &home, "kept").unwrap();
    assert_eq!((&object["metadata"]["uid"], &object["data"]["k"]), (&uid, &json!("2")));
    let managers: Vec<&Value> =
        object["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(managers, [&json!(format!("bowline/{}/{home}", heir.source))]);
    case.assert_nothing_deleted();
    heir.assert_nothing_deleted();
}
