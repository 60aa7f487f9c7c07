//! What somebody changes in the cluster, under each way of treating it.

use serde_json::json;

use crate::common::bowline::{Story, config_map, deployment};
use crate::common::cluster::unique;

const REPORT: &str = "drift: report\n";

#[test]
fn reported_drift_stays_and_what_git_changes_is_applied() {
    let mut story = Story::new("report");
    let home = story.cluster.namespace("report");
    let files = |value: &str| config_map(&home, "settings", "a", value);
    let first = story.commit("first", &[("bowline.yaml", REPORT), ("cm.yaml", &files("1"))]);
    story.start();
    story.wait_ready(&first);

    story.cluster.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "-n",
        &home,
        "--type=merge",
        "-p",
        r#"{"data":{"a":"hand"}}"#,
    ]);
    let shown = story.wait_status(&first, |status| status.to_string().contains("drifted"));
    assert!(shown.to_string().contains(&format!("ConfigMap/{home}/settings drifted")), "{shown}");
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("hand"));

    let second = story.commit("second: Git has a new word", &[("cm.yaml", &files("2"))]);
    story.wait_ready(&second);
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("2"));
}

#[test]
fn who_changed_what_and_when_is_told_and_secrets_are_masked() {
    let mut story = Story::new("who");
    let home = story.cluster.namespace("who");
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: {home}}}\nstringData: {{password: canary-in-git}}\n"
    );
    let first = story.commit(
        "first",
        &[
            ("cm.yaml", &config_map(&home, "settings", "a", "git")),
            ("secret.yaml", &secret),
            ("web.yaml", &deployment(&home, "web", "nginx:1")),
        ],
    );
    story.start();
    story.wait_ready(&first);

    let patch = |resource: &str, name: &str, patch: &str| {
        story.cluster.kubectl(&["patch", resource, name, "-n", &home, "--type=merge", "-p", patch]);
    };
    patch("configmap", "settings", r#"{"data":{"a":"hand"}}"#);
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("git"));
    patch("secret", "login", r#"{"stringData":{"password":"canary-by-hand"}}"#);
    story.wait_for("secret", &home, "login", "/data/password", &json!("Y2FuYXJ5LWluLWdpdA=="));
    // A removed field has no owner any more, and the order of containers none at all.
    patch("configmap", "settings", r#"{"data":{"a":null}}"#);
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("git"));
    story.cluster.kubectl(&["delete", "deployment", "web", "-n", &home, "--wait=true"]);
    story.wait_there("deployment", &home, "web");

    let status = story
        .wait_status(&first, |status| status["sources"][0]["drift"].as_array().is_some_and(|drift| drift.len() >= 4));
    let drift = status["sources"][0]["drift"].to_string();
    for words in [
        r#"/data/a is \"hand\", Git has \"git\", by kubectl-patch at 20"#,
        "/data is absent, Git has",
        "was deleted in the cluster",
        &format!("Secret/{home}/login"),
    ] {
        assert!(drift.contains(words), "{words}: {drift}");
    }
    let shown = story.verb(&["status", "--source", &story.source]);
    assert!(shown.stdout.contains("put back"), "{shown:?}");
    let events = story.eventually("an event on the object", || {
        let events = story.cluster.try_kubectl(&["get", "events.events.k8s.io", "-n", &home, "-o", "json"])?;
        if events.contains("by kubectl-patch at") { Ok(events) } else { anyhow::bail!("{events}") }
    });
    for place in [&status.to_string(), &shown.stdout, &events, &story.log()] {
        for canary in ["canary", "Y2FuYXJ5"] {
            assert!(!place.contains(canary), "{canary} in {place}");
        }
    }
}

#[test]
fn two_writers_that_undo_each_other_are_named_and_left_alone_for_a_while() {
    let mut story = Story::new("unrest");
    let home = story.cluster.namespace("unrest");
    let files = [
        ("cm.yaml", config_map(&home, "contested", "a", "git")),
        ("other.yaml", config_map(&home, "calm", "a", "git")),
    ];
    let first = story.commit("first", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    story.start();
    story.wait_ready(&first);
    let write = |value: usize| {
        let patch = format!(r#"{{"data":{{"a":"hand-{value}"}}}}"#);
        let arguments = ["patch", "configmap", "contested", "-n", &home, "--type=merge", "-p", &patch];
        story.cluster.kubectl(&[&arguments[..], &["--field-manager=other-controller"]].concat());
    };
    let mut value = 0;
    let status = story.eventually("the daemon gives up", || {
        let at = |wanted: &str| {
            let map = story.cluster.get("configmap", &home, "contested").unwrap_or_default();
            map["data"]["a"] == *wanted
        };
        if at("git") {
            value += 1;
            write(value);
        }
        let status = story.verb(&["status", "--source", &story.source, "-o", "json"]).stdout;
        if status.contains("never settles") { Ok(status) } else { anyhow::bail!("{status}") }
    });
    assert!(status.contains("other-controller"), "{status}");
    // Another object of the unit is corrected all the same.
    story.cluster.kubectl(&[
        "patch",
        "configmap",
        "calm",
        "-n",
        &home,
        "--type=merge",
        "-p",
        r#"{"data":{"a":"hand"}}"#,
    ]);
    story.wait_for("configmap", &home, "calm", "/data/a", &json!("git"));
    // The other writer has ended: after the pause Git's word holds again.
    story.wait_for("configmap", &home, "contested", "/data/a", &json!("git"));
    story.wait_ready(&first);
}

#[test]
fn replicas_belong_to_an_autoscaler_once_it_has_written_them() {
    let mut story = Story::new("scaled");
    let home = story.cluster.namespace("scaled");
    let first = story.commit("first", &[("web.yaml", &deployment(&home, "web", "nginx:1"))]);
    story.start();
    story.wait_ready(&first);
    story.cluster.kubectl(&[
        "patch",
        "deployment",
        "web",
        "-n",
        &home,
        "--subresource=scale",
        "--type=merge",
        "--field-manager=kube-controller-manager",
        "-p",
        r#"{"spec":{"replicas":3}}"#,
    ]);
    let second = story.commit("second", &[("web.yaml", &deployment(&home, "web", "nginx:2"))]);
    story.wait_ready(&second);
    let web = story.cluster.get("deployment", &home, "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
    assert_eq!(web["spec"]["replicas"], 3, "the autoscaler's field is left to it");
}

#[test]
fn a_changed_definition_makes_its_objects_looked_at_anew() {
    let mut story = Story::new("sweep");
    let home = story.cluster.namespace("sweep");
    let group = format!("{}.example.com", unique("sweep"));
    let definition = |more: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.{group}}}\nspec:\n  \
             group: {group}\n  scope: Namespaced\n  names: {{kind: Gadget, plural: gadgets}}\n  versions:\n  \
             - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: \
             {{type: object, properties: {{size: {{type: integer}}{more}}}}}}}}}}}}}\n"
        )
    };
    story.cluster.apply(&definition(""));
    let gadget =
        format!("apiVersion: {group}/v1\nkind: Gadget\nmetadata: {{name: g, namespace: {home}}}\nspec: {{size: 1}}\n");
    story.eventually("the kind is served", || {
        story.cluster.try_kubectl(&["get", &format!("gadgets.{group}"), "-n", &home])
    });
    let commit = story.commit("a gadget", &[("gadget.yaml", &gadget)]);
    story.start();
    story.wait_ready(&commit);

    let mark = story.cluster.audit_mark();
    story.cluster.apply(&definition(", color: {type: string, default: red}"));
    story.eventually("the gadget is looked at", || {
        let events = story.cluster.audit_since(mark);
        let looks: Vec<&str> = events
            .iter()
            .filter(|event| event.user_agent.starts_with("bowline") && event.namespace() == home)
            .filter(|event| event.uri.contains("/gadgets/g"))
            .map(|event| event.uri.as_str())
            .collect();
        if looks.iter().any(|uri| uri.contains("dryRun")) { Ok(()) } else { anyhow::bail!("{looks:?}") }
    });
    let writes = story.cluster.audit_since(mark);
    let wrote = writes.iter().any(|event| {
        event.user_agent.starts_with("bowline")
            && event.verb == "patch"
            && event.uri.contains("/gadgets/g")
            && !event.uri.contains("dryRun")
    });
    assert!(!wrote, "a look is no write");
}
