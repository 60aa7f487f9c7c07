//! What is rendered is wrong, incomplete, or not the whole.

use serde_json::json;

use super::{Case, list};
use crate::common::bowline::{config_map, namespace};
use crate::common::cluster::unique;

#[test]
fn row_01_a_path_that_is_gone_or_empty_deletes_nothing() {
    let mut case = Case::new("row01");
    let home = case.home.clone();
    let first = case.commit("first", &[("cluster/a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start_with(&["--path", "cluster"]);
    case.wait_ready(&first);

    case.git(&["mv", "cluster", "clusters"]);
    case.commit("the folder has another name", &[]);
    // The commit cannot be read as the source asks for it: the last good one stays wanted.
    case.wait_status(&first, |status| status["sources"][0]["fetch"]["error"].is_string());

    case.git(&["rm", "-rq", "clusters"]);
    let third = case.commit("the folder is empty but for words", &[("cluster/README.md", "soon\n")]);
    let status = case.wait_status(&third, |status| status["sources"][0]["approval"].is_object());
    let reason = &status["sources"][0]["approval"]["reason"];
    assert_eq!(*reason, json!("the repository holds no object any more, and 1 would be deleted"));
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "a");
}

#[test]
fn row_01_a_unit_whose_files_went_asks_while_its_spec_is_there() {
    let mut case = Case::new("row01unit");
    let home = case.home.clone();
    let first = case.commit(
        "first",
        &[
            ("a.yaml", &config_map(&home, "a", "k", "1")),
            ("app/bowline.yaml", "unit: {name: app}\n"),
            ("app/b.yaml", &config_map(&home, "b", "k", "1")),
        ],
    );
    case.start();
    case.wait_ready(&first);
    let second = case.remove("a wrong filter", &["app/b.yaml"]);
    case.wait_said(&second, &["renders nothing any more, although it is still in the repository"]);
    case.assert_nothing_deleted();
    case.uid("configmap", &home, "b");
}

#[test]
fn row_02_files_that_trade_their_contents_lose_nothing() {
    let mut case = Case::new("row02");
    let (home, other) = (case.home.clone(), case.cluster.namespace("row02b"));
    let (here, there) = (config_map(&home, "conf", "k", "here"), config_map(&other, "conf", "k", "there"));
    let first = case.commit("first", &[("one/cm.yaml", &here), ("two/cm.yaml", &there)]);
    case.start();
    case.wait_ready(&first);
    let uids = [case.uid("configmap", &home, "conf"), case.uid("configmap", &other, "conf")];
    // A file that was read before comes back under another path: what is kept of it must not answer for the other.
    let second = case.commit("traded", &[("one/cm.yaml", &there), ("two/cm.yaml", &here)]);
    case.wait_ready(&second);
    let third = case.commit("and changed", &[("one/cm.yaml", &config_map(&other, "conf", "k", "new"))]);
    case.wait_ready(&third);
    case.wait_for("configmap", &other, "conf", "/data/k", &json!("new"));
    assert_eq!(case.cluster.get("configmap", &home, "conf").unwrap()["data"]["k"], "here");
    assert_eq!(uids, [case.uid("configmap", &home, "conf"), case.uid("configmap", &other, "conf")]);
    case.assert_nothing_deleted();
}

#[test]
fn row_03_a_namespace_on_a_cluster_scoped_kind_is_no_second_object() {
    let mut case = Case::new("row03");
    let (home, name) = (case.home.clone(), unique("row03-role"));
    let role = |namespace: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}{namespace}}}\nrules: []\n"
        )
    };
    let conf = config_map(&home, "a", "k", "1");
    let first = case.commit("first", &[("role.yaml", &role("")), ("a.yaml", &conf)]);
    case.start();
    case.wait_ready(&first);
    let uid = case.uid("clusterrole", "", &name);

    let with_namespace = role(&format!(", namespace: {home}"));
    let second = case.commit("a namespace slipped in", &[("role.yaml", &with_namespace)]);
    case.wait_said(&second, &["has a namespace, and ClusterRole objects have none", "role.yaml"]);
    let default = format!("namespace: {home}\n");
    let third = case.commit("a default for the folder", &[("role.yaml", &role("")), ("bowline.yaml", &default)]);
    case.wait_ready(&third);
    assert_eq!(case.uid("clusterrole", "", &name), uid);
    case.assert_nothing_deleted();
    case.cluster.kubectl(&["delete", "clusterrole", &name]);
}

#[test]
fn row_04_what_cannot_be_asked_for_is_not_empty() {
    let mut case = Case::new("row04");
    let (home, origin) = (case.home.clone(), case.cluster.namespace("row04from"));
    case.cluster.apply(&format!(
        "{}---\n{}",
        config_map(&origin, "one", "k", "1"),
        config_map(&origin, "two", "k", "1")
    ));
    // This account may do all but read ConfigMaps elsewhere than here.
    let user = unique("row04");
    case.kubeconfig = case.cluster.kubeconfig_for(&user).unwrap();
    case.user = user.clone();
    let rights = |namespace: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: row04, namespace: {namespace}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\n\
             subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n"
        )
    };
    let own = case.own_namespace.clone();
    case.cluster.kubectl(&["create", "namespace", &own]);
    case.cluster.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {user}}}\nrules:\n\
         - {{apiGroups: [\"\"], resources: [namespaces, secrets, events], verbs: [\"*\"]}}\n\
         - {{apiGroups: [apiextensions.k8s.io, apiregistration.k8s.io], resources: [\"*\"], verbs: [get, list, watch]}}\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {user}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n{}{}{}",
        rights(&own),
        rights(&home),
        rights(&origin)
    ));
    let copy = |name: &str| format!("  - copyFrom: {{namespace: {origin}, kind: ConfigMap, name: {name}}}\n");
    let list = |copies: &str| format!("{}{copies}", list(&home, "  allowDelete: true\n"));
    let first = case.commit("copies", &[("list.yaml", &list(&copy("one")))]);
    case.start();
    case.wait_ready(&first);
    case.cluster.kubectl(&["delete", "rolebinding", "row04", "-n", &origin]);

    let only_copies = list(&copy("two")).replace("name: settings", "name: other");
    let second = case.commit("another copy, which cannot be read", &[("list.yaml", &only_copies)]);
    case.wait_said(&second, &["ConfigMap/", "/two: cannot be copied now", "cannot get resource"]);
    case.wait_there("configmap", &home, "other");
    case.assert_nothing_deleted();
    for kept in ["one", "settings"] {
        case.uid("configmap", &home, kept);
    }
}

#[test]
fn row_16_one_wrong_word_in_a_list_takes_nothing_from_a_fleet() {
    let mut case = Case::new("row16");
    let prefix = unique("row16");
    let names: Vec<String> = (0..5).map(|number| format!("{prefix}-{number}")).collect();
    let spaces: Vec<String> = names.iter().map(|name| namespace(name)).collect();
    let objects: String = (0..6)
        .map(|number| format!("  - object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: more-{number}}}}}\n"))
        .collect();
    let fleet = |pattern: &str, more: &str| {
        format!("{}{objects}", list(&format!("\"{pattern}\""), &format!("  allowDelete: true\n{more}")))
    };
    let first = case
        .commit("a fleet", &[("ns.yaml", &spaces.join("---\n")), ("list.yaml", &fleet(&format!("{prefix}-.*"), ""))]);
    case.start();
    case.wait_ready(&first);

    let patched = fleet(&format!("{prefix}-.*"), "  patches: [{patch: '{kind: ConfigMap, metadata: {name: none}}'}]\n");
    let second = case.commit("a patch for an object that is not there", &[("list.yaml", &patched)]);
    case.wait_said(&second, &["list.yaml"]);
    let third = case.commit("a slip in a pattern", &[("list.yaml", &fleet(&format!("{prefix}-0"), ""))]);
    let status = case.wait_status(&third, |status| status["sources"][0]["approval"].is_object());
    let reason = status["sources"][0]["approval"]["reason"].as_str().unwrap();
    assert!(reason.contains("objects would be deleted, more than 20"), "{reason}");
    case.assert_nothing_deleted();
    for name in &names {
        case.uid("configmap", name, "settings");
    }
}

#[test]
fn row_20_the_first_look_at_a_repository_deletes_nothing() {
    let mut case = Case::new("row20");
    let home = case.home.clone();
    case.cluster.apply(&format!(
        "{}---\n{}",
        config_map(&home, "of-somebody", "k", "1"),
        config_map(&home, "ours", "k", "theirs")
    ));
    let first = case.commit(
        "first",
        &[("a.yaml", &config_map(&home, "a", "k", "1")), ("ours.yaml", &config_map(&home, "ours", "k", "ours"))],
    );
    case.start();
    case.wait_said(&first, &["exists and is not ours"]);
    // Not even when the object that could not be had leaves Git again.
    let second = case.remove("never mind", &["ours.yaml"]);
    case.wait_ready(&second);
    case.assert_nothing_deleted();
    assert_eq!(case.cluster.get("configmap", &home, "ours").unwrap()["data"]["k"], "theirs");
    case.uid("configmap", &home, "of-somebody");
}
