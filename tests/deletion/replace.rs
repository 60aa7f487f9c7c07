//! Fields that cannot be changed in place: made anew only where Git says so on the object, and where it is safe.

use serde_json::{Value, json};

use super::Case;
use crate::common::bowline::{config_map, deployment};

const ANEW: &str = "metadata: {annotations: {bowline.dev/recreate: \"true\"}, ";

/// The same manifest with leave to be made anew.
fn anew(manifest: &str) -> String {
    manifest.replacen("metadata: {", ANEW, 1)
}

fn job(home: &str, image: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: once, namespace: {home}}}\nspec:\n  template:\n    spec: {{restartPolicy: \
         Never, containers: [{{name: main, image: \"{image}\"}}]}}\n"
    )
}

fn service(home: &str, address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {home}}}\nspec: {{type: NodePort, {address}ports: \
         [{{port: 80, nodePort: NODEPORT}}]}}\n"
    )
}

fn binding(home: &str, role: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: readers, namespace: {home}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n\
         subjects: [{{kind: ServiceAccount, name: default, namespace: {home}}}]\n"
    )
}

/// The requests for one object in their order: verb and status code, dry runs left out.
fn story_of(case: &Case, resource: &str, name: &str) -> Vec<String> {
    let events = case.cluster.audit_since(case.mark);
    let own = events.iter().filter(|event| event.user() == case.user && event.is_write());
    own.filter(|event| event.resource() == resource && event.name() == name)
        .map(|event| format!("{} {}", event.verb, event.code()))
        .collect()
}

#[test]
fn without_leave_nothing_is_made_anew_and_the_way_out_is_said() {
    let mut case = Case::new("noleave");
    let home = case.home.clone();
    let first = case.commit("first", &[("bowline.yaml", "wait: false\n"), ("job.yaml", &job(&home, "one"))]);
    case.start();
    case.wait_ready(&first);
    let uid = case.uid("job", &home, "once");
    let second = case.commit("another image", &[("job.yaml", &job(&home, "two"))]);
    case.wait_said(&second, &["once failed", "field is immutable", "bowline.dev/recreate"]);
    case.assert_nothing_deleted();
    assert_eq!(case.uid("job", &home, "once"), uid);
}

/// The uids of what `with_leave_..` makes anew.
fn uids(case: &Case) -> [Value; 3] {
    let uid = |resource: &str, name: &str| case.uid(resource, &case.home, name);
    [uid("job", "once"), uid("service", "web"), uid("rolebinding", "readers")]
}

#[test]
fn with_leave_objects_of_the_listed_kinds_are_made_anew() {
    let mut case = Case::new("anew");
    let home = case.home.clone();
    let node_port = |text: String, port: u16| text.replace("NODEPORT", &port.to_string());
    let port = 30_000 + u16::try_from(std::process::id() % 2_000).unwrap();
    let files = |image: &str, address: &str, role: &str| {
        [
            ("bowline.yaml", "wait: false\n".to_owned()),
            ("job.yaml", anew(&job(&home, image))),
            ("svc.yaml", anew(&node_port(service(&home, address), port))),
            ("rb.yaml", anew(&binding(&home, role))),
        ]
    };
    let commit = |case: &Case, message: &str, files: &[(&str, String); 4]| {
        case.commit(message, &files.each_ref().map(|(path, text)| (*path, text.as_str())))
    };
    let first = commit(&case, "first", &files("one", "", "view"));
    case.start();
    case.wait_ready(&first);
    let before = uids(&case);
    let live = case.cluster.get("service", &home, "web").unwrap();
    let address = live["spec"]["clusterIP"].as_str().unwrap().rsplit_once('.').unwrap().0.to_owned();
    let taken = live["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let free = (2..250).map(|last| format!("{address}.{last}")).find(|other| *other != taken).unwrap();
    assert_eq!(case.stop(), Some(0));
    let second = commit(&case, "all that cannot change", &files("two", &format!("clusterIP: {free}, "), "edit"));
    let plan = case.on_repo("plan", &[]).stdout;
    for object in ["Job", "Service", "RoleBinding"] {
        let line = plan.lines().find(|line| line.contains(&format!("{object}/{home}/"))).unwrap_or_default();
        assert!(line.contains("recreated") && line.contains("it is deleted and made anew"), "{plan}");
    }
    case.start();
    case.wait_ready(&second);
    let after = uids(&case);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    assert_eq!(case.cluster.get("rolebinding", &home, "readers").unwrap()["roleRef"]["name"], "edit");
    assert_eq!(case.cluster.get("service", &home, "web").unwrap()["spec"]["clusterIP"], free);
    assert_eq!(story_of(&case, "services", "web"), ["patch 201", "delete 200", "patch 201"]);
    let history = case.verb(&["history", &case.unit(), "-o", "json"]).json();
    let results = history.as_array().unwrap().last().unwrap()["changes"].to_string();
    assert_eq!(results.matches("recreated").count(), 3, "{results}");
}

#[test]
fn workloads_keep_their_pods_when_the_new_selector_matches_them() {
    let mut case = Case::new("selector");
    let home = case.home.clone();
    let web = |selector: &str| {
        anew(&deployment(&home, "web", "nginx:1").replace(
            "selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}",
            &format!("selector: {{matchLabels: {{{selector}}}}}\n  template:\n    metadata: {{labels: {{app: web, tier: front}}}}"),
        ))
    };
    let set = |policy: &str| {
        anew(&deployment(&home, "db", "nginx:1").replace("Deployment", "StatefulSet"))
            + &format!("  podManagementPolicy: {policy}\n")
    };
    let first = case.commit("first", &[("web.yaml", &web("app: web")), ("db.yaml", &set("OrderedReady"))]);
    case.start();
    case.wait_ready(&first);
    let pods = |label: &str| -> Vec<Value> {
        let list = case.cluster.kubectl(&["get", "pods", "-n", &home, "-l", label, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        list["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["uid"].clone()).collect()
    };
    let (of_web, of_db) = (pods("app=web"), pods("app=db"));
    assert_eq!((of_web.len(), of_db.len()), (2, 2));
    let sets = [case.uid("deployment", &home, "web"), case.uid("statefulset", &home, "db")];
    let second = case.commit(
        "a narrower selector, another policy",
        &[("web.yaml", &web("app: web, tier: front")), ("db.yaml", &set("Parallel"))],
    );
    case.wait_ready(&second);
    assert_ne!(sets, [case.uid("deployment", &home, "web"), case.uid("statefulset", &home, "db")]);
    let same =
        |before: &[Value], after: &[Value]| before.iter().all(|pod| after.contains(pod)) && before.len() == after.len();
    assert!(same(&of_web, &pods("app=web")), "the pods of the Deployment stay");
    assert!(same(&of_db, &pods("app=db")), "the pods of the StatefulSet stay");

    // A selector that the old pods do not match: a Deployment's go with it, a StatefulSet is refused.
    let other =
        |text: String| text.replace("{app: web", "{app: web, v: \"2\"").replace("{app: db", "{app: db, v: \"2\"");
    let third = case.commit(
        "another selector",
        &[("web.yaml", &other(web("app: web, tier: front"))), ("db.yaml", &other(set("Parallel")))],
    );
    case.wait_said(&third, &["db failed", "its new selector does not match its pods"]);
    case.eventually("the pods of before are gone", || {
        anyhow::ensure!(pods("app=web,v!=2").is_empty(), "{:?}", pods("app=web"));
        Ok(())
    });
    assert!(same(&of_db, &pods("app=db")));
}

#[test]
fn what_is_not_safe_to_make_anew_is_not() {
    let mut case = Case::new("notanew");
    let home = case.home.clone();
    case.cluster.apply(&job(&home, "one"));
    let kept = anew(&binding(&home, "view"));
    let adopted = job(&home, "one").replacen(
        "metadata: {",
        "metadata: {annotations: {bowline.dev/adopt: \"true\", bowline.dev/recreate: \"true\"}, ",
        1,
    );
    let frozen = |value: &str| anew(&config_map(&home, "frozen", "k", value)) + "immutable: true\n";
    let first = case.commit(
        "first",
        &[("bowline.yaml", "wait: false\n"), ("job.yaml", &adopted), ("rb.yaml", &kept), ("cm.yaml", &frozen("1"))],
    );
    case.start();
    case.wait_ready(&first);
    case.cluster.kubectl(&["annotate", "rolebinding", "readers", "-n", &home, "helm.sh/resource-policy=keep"]);
    let second = case.commit(
        "all that cannot change",
        &[
            ("job.yaml", &adopted.replace("image: \"one\"", "image: \"two\"")),
            ("rb.yaml", &anew(&binding(&home, "edit"))),
            ("cm.yaml", &frozen("2")),
        ],
    );
    case.wait_said(
        &second,
        &[
            "it was there before bowline, which never deletes it",
            "is not made anew: it is kept by helm.sh/resource-policy: keep",
            "a ConfigMap is never deleted for that",
        ],
    );
    case.assert_nothing_deleted();
}

#[test]
fn a_new_object_that_the_server_would_refuse_costs_nobody_the_old_one() {
    let mut case = Case::new("refused");
    let home = case.home.clone();
    let first = case.commit("first", &[("bowline.yaml", "wait: false\n"), ("job.yaml", &anew(&job(&home, "one")))]);
    case.start();
    case.wait_ready(&first);
    let uid = case.uid("job", &home, "once");
    // From now on no Job is let in; a change of one would be refused for its field alone.
    case.cluster.apply(&format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: none, namespace: {home}}}\nspec: {{hard: {{count/jobs.batch: \"1\"}}}}\n"
    ));
    case.wait_for("resourcequota", &home, "none", "/status/used/count~1jobs.batch", &json!("1"));
    let second = case.commit("another image", &[("job.yaml", &anew(&job(&home, "two")))]);
    case.wait_said(&second, &["is not made anew, because the server would not take it", "exceeded quota"]);
    case.assert_nothing_deleted();
    assert_eq!(case.uid("job", &home, "once"), uid);
}

#[test]
fn a_replacement_that_was_cut_off_is_finished_by_the_next_pass() {
    let mut case = Case::new("cutoff");
    let home = case.home.clone();
    let first = case.commit("first", &[("rb.yaml", &anew(&binding(&home, "view")))]);
    case.start();
    case.wait_ready(&first);
    // A finalizer keeps the old object in the way: deleted, not gone, and nothing new yet.
    case.patch("rolebinding", &home, "readers", r#"{"metadata":{"finalizers":["example.com/hold"]}}"#);
    let second = case.commit("another role", &[("rb.yaml", &anew(&binding(&home, "edit")))]);
    case.eventually("the old object is being deleted", || {
        let live = case.cluster.get("rolebinding", &home, "readers").unwrap_or_default();
        anyhow::ensure!(live["metadata"]["deletionTimestamp"].is_string(), "{live}");
        Ok(())
    });
    case.kill();
    case.patch("rolebinding", &home, "readers", r#"{"metadata":{"finalizers":null}}"#);
    assert!(case.cluster.get("rolebinding", &home, "readers").is_none());
    case.start();
    case.wait_ready(&second);
    case.wait_for("rolebinding", &home, "readers", "/roleRef/name", &json!("edit"));
}
