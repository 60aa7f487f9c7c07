//! From a pushed commit to converged namespaces: the daemon on a real control plane.

use serde_json::{Value, json};

use crate::common::bowline::{Story, config_map, deployment, namespace};
use crate::common::cluster::unique;

/// A template list for one pattern with one ConfigMap.
fn list(pattern: &str, value: &str, more: &str) -> String {
    format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: defaults}}\nspec:\n  namespaces: [\"{pattern}\"]\n{more}  \
         templates:\n  - object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{a: \"{value}\"}}}}\n"
    )
}

#[test]
fn a_commit_a_hand_edit_and_a_revert_all_end_as_git_says() {
    let mut story = Story::new("whole");
    let home = unique("whole-home");
    let first = story.commit(
        "first: web and its settings",
        &[
            ("ns.yaml", &namespace(&home)),
            ("web.yaml", &deployment(&home, "web", "nginx:1")),
            ("cm.yaml", &config_map(&home, "conf", "a", "1")),
        ],
    );
    story.start();
    story.wait_ready(&first);
    let web = story.cluster.get("deployment", &home, "web").unwrap();
    assert_eq!(web["status"]["readyReplicas"], 2);
    assert_eq!(
        web["metadata"]["annotations"]["bowline.dev/id"],
        format!("{}/{home};apps/Deployment/{home}/web", story.source)
    );

    story.cluster.kubectl(&[
        "patch",
        "configmap",
        "conf",
        "-n",
        &home,
        "--type=merge",
        "-p",
        r#"{"data":{"a":"edited"}}"#,
    ]);
    story.wait_for("configmap", &home, "conf", "/data/a", &json!("1"));
    story.cluster.kubectl(&["delete", "configmap", "conf", "-n", &home]);
    story.wait_there("configmap", &home, "conf");

    let second = story.commit("second: another image", &[("web.yaml", &deployment(&home, "web", "nginx:2"))]);
    story.wait_ready(&second);
    story.wait_for("deployment", &home, "web", "/spec/template/spec/containers/0/image", &json!("nginx:2"));

    story.git(&["revert", "--no-edit", "HEAD"]);
    let third = story.git(&["rev-parse", "HEAD"]).trim().to_owned();
    story.wait_ready(&third);
    story.wait_for("deployment", &home, "web", "/spec/template/spec/containers/0/image", &json!("nginx:1"));

    let unit = format!("{}/{home}", story.source);
    let history = story.verb(&["history", &unit, "-o", "json"]).json();
    let messages: Vec<&str> =
        history.as_array().unwrap().iter().map(|revision| revision["commit"]["message"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(
        messages[0].starts_with("first") && messages[1].starts_with("second") && messages[2].starts_with("Revert"),
        "{messages:?}"
    );
    assert_eq!(history[2]["commit"]["author"], "Ada <ada@example.com>");
    assert_eq!(story.stop(), Some(0));
}

#[test]
fn namespaces_get_their_objects_whoever_makes_them() {
    let mut story = Story::new("spaces");
    let prefix = unique("team");
    let by_git = format!("{prefix}-git");
    let commit = story.commit(
        "list",
        &[
            ("list.yaml", &list(&format!("{prefix}-.*"), "1", "  allowDelete: true\n")),
            ("ns.yaml", &namespace(&by_git)),
        ],
    );
    story.start();
    story.wait_ready(&commit);
    story.wait_for("configmap", &by_git, "settings", "/data/a", &json!("1"));

    let by_hand = format!("{prefix}-hand");
    story.cluster.kubectl(&["create", "namespace", &by_hand]);
    story.wait_for("configmap", &by_hand, "settings", "/data/a", &json!("1"));

    let edited = story.commit("edit", &[("list.yaml", &list(&format!("{prefix}-.*"), "2", "  allowDelete: true\n"))]);
    story.wait_ready(&edited);
    for name in [&by_git, &by_hand] {
        story.wait_for("configmap", name, "settings", "/data/a", &json!("2"));
    }

    // A namespace that no longer matches loses its objects, since the list allows it.
    let narrowed = story.commit("narrow", &[("list.yaml", &list(&by_git, "2", "  allowDelete: true\n"))]);
    story.wait_ready(&narrowed);
    story.wait_gone("configmap", &by_hand, "settings");
    assert!(story.cluster.get("configmap", &by_git, "settings").is_some());
}

#[test]
fn what_a_list_does_not_allow_to_delete_stays_and_is_listed() {
    let mut story = Story::new("keeps");
    let home = story.cluster.namespace("keeps");
    let first = story
        .commit("list", &[("list.yaml", &list(&home, "1", "")), ("cm.yaml", &config_map(&home, "plain", "a", "1"))]);
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let second = story.commit("no list", &[("list.yaml", "# nothing\n")]);
    let status = story.wait_status(&second, |status| status["sources"][0]["orphans"].is_array());
    let orphan = &status["sources"][0]["orphans"][0];
    assert_eq!(orphan["object"], format!("ConfigMap/{home}/settings"));
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    assert!(story.cluster.get("configmap", &home, "settings").is_some());
}

#[test]
fn an_object_that_is_not_ours_is_a_conflict_until_it_may_be_adopted() {
    let mut story = Story::new("adopt");
    let home = story.cluster.namespace("adopt");
    story.cluster.apply(&config_map(&home, "settings", "a", "theirs"));
    let first = story.commit("list", &[("list.yaml", &list(&home, "ours", ""))]);
    story.start();
    let unit = format!("{}/{home}", story.source);
    let status = story.wait_status(&first, |status| status["sources"][0]["units"].get(&unit).is_some());
    let message = status["sources"][0]["units"][&unit]["messages"][0].as_str().unwrap();
    assert!(message.contains("exists and is not ours: made by kubectl-client-side-apply"), "{message}");
    assert_eq!(story.cluster.get("configmap", &home, "settings").unwrap()["data"]["a"], "theirs");

    let second = story.commit("adopt", &[("list.yaml", &list(&home, "ours", "  adopt: true\n"))]);
    story.wait_ready(&second);
    let settings = story.cluster.get("configmap", &home, "settings").unwrap();
    assert_eq!(settings["data"]["a"], "ours");
    let managers: Vec<&Value> =
        settings["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(managers, [&json!(format!("bowline/{unit}"))], "the predecessor has no claim left");
}

#[test]
fn a_definition_and_its_objects_come_in_one_commit() {
    let mut story = Story::new("crd");
    let home = unique("crd-home");
    let group = format!("{}.example.com", unique("widgets"));
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  \
         group: {group}\n  names: {{kind: Widget, plural: widgets}}\n  scope: Namespaced\n  versions:\n  - name: v1\n    served: true\n    \
         storage: true\n    schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}\n"
    );
    let widget = format!(
        "apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one, namespace: {home}}}\nspec: {{size: 3}}\n"
    );
    let commit =
        story.commit("all at once", &[("a.yaml", &widget), ("b.yaml", &definition), ("c.yaml", &namespace(&home))]);
    story.start();
    story.wait_ready(&commit);
    story.wait_for(&format!("widgets.{group}"), &home, "one", "/spec/size", &json!(3));
}

#[test]
fn removed_manifests_are_deleted_and_a_restart_writes_nothing() {
    let mut story = Story::new("prune");
    let home = story.cluster.namespace("prune");
    let first = story
        .commit("two", &[("a.yaml", &config_map(&home, "a", "k", "1")), ("b.yaml", &config_map(&home, "b", "k", "1"))]);
    story.start();
    story.wait_ready(&first);
    let second = story.remove("one", &["b.yaml"]);
    story.wait_ready(&second);
    story.wait_gone("configmap", &home, "b");
    assert_eq!(story.stop(), Some(0));

    let mark = story.cluster.audit_mark();
    story.start();
    let third = story.commit("a change elsewhere", &[("README.md", "words\n")]);
    story.wait_status(&third, |_| true);
    let writes: Vec<String> = story
        .cluster
        .audit_since(mark)
        .iter()
        .filter(|event| {
            event.user_agent.starts_with("bowline")
                && event.namespace() == home
                && event.verb != "watch"
                && event.verb != "list"
        })
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect();
    assert_eq!(writes, Vec::<String>::new(), "nothing changed, so nothing is asked or written");
}

#[test]
fn one_bad_object_among_many_fails_alone_and_nothing_is_deleted() {
    let mut story = Story::new("onebad");
    let home = story.cluster.namespace("onebad");
    let first = story.commit(
        "good",
        &[("a.yaml", &config_map(&home, "a", "k", "1")), ("gone.yaml", &config_map(&home, "gone", "k", "1"))],
    );
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let bad = deployment(&home, "web", "nginx").replace("replicas: 2", "replicass: 2");
    story.git(&["rm", "-q", "gone.yaml"]);
    let second = story.commit("bad", &[("bad.yaml", &bad), ("a.yaml", &config_map(&home, "a", "k", "2"))]);
    let unit = format!("{}/{home}", story.source);
    let status = story.wait_status(&second, |status| status["sources"][0]["units"][&unit]["messages"][0].is_string());
    let messages = status["sources"][0]["units"][&unit]["messages"].to_string();
    assert!(messages.contains("unknown field") && messages.contains("spec.replicass"), "{messages}");
    story.wait_for("configmap", &home, "a", "/data/k", &json!("2"));
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    assert!(story.cluster.get("configmap", &home, "gone").is_some(), "nothing is pruned while something is wrong");

    let third = story.remove("mended", &["bad.yaml"]);
    story.wait_ready(&third);
    story.wait_gone("configmap", &home, "gone");
}

#[test]
fn a_plan_shows_fields_masks_secrets_and_ends_with_a_code() {
    let story = Story::new("plan");
    let home = story.cluster.namespace("plan");
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: {home}}}\nstringData: {{password: {value}, other: same}}\n"
        )
    };
    story.commit("first", &[("s.yaml", &secret("canary-one")), ("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let ran = story.on_repo("apply", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(story.on_repo("plan", &[]).code, Some(0));
    story.commit("second", &[("s.yaml", &secret("canary-two")), ("a.yaml", &config_map(&home, "a", "k", "2"))]);
    for form in ["text", "json", "markdown"] {
        let ran = story.on_repo("plan", &["-o", form]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.stdout.contains("canary") && !ran.stdout.contains("Y2FuYXJ5"), "{}", ran.stdout);
    }
    let plan = story.on_repo("plan", &[]).stdout;
    assert!(plan.contains(&format!("configured ConfigMap/{home}/a")), "{plan}");
    assert!(plan.contains("-  k: \"1\"\n") && plan.contains("+  k: \"2\"\n"), "{plan}");
    assert!(plan.contains("*** (before)") && plan.contains("*** (after)"), "{plan}");
    assert!(plan.lines().last().unwrap().starts_with("Plan: 2 configured in 1 unit"), "{plan}");
}

#[test]
fn a_move_between_units_deletes_nothing() {
    let mut story = Story::new("moves");
    let home = story.cluster.namespace("moves");
    let first = story.commit(
        "plain",
        &[("a.yaml", &config_map(&home, "a", "k", "1")), ("b.yaml", &config_map(&home, "b", "k", "1"))],
    );
    story.start();
    story.wait_ready(&first);
    let uid = story.cluster.get("configmap", &home, "a").unwrap()["metadata"]["uid"].clone();
    let mark = story.cluster.audit_mark();
    story.git(&["rm", "-q", "a.yaml"]);
    let second = story.commit(
        "into a folder unit",
        &[
            ("app/bowline.yaml", "apiVersion: bowline.dev/v1\nkind: Settings\nunit: {name: app}\n"),
            ("app/a.yaml", &config_map(&home, "a", "k", "1")),
        ],
    );
    story.wait_ready(&second);
    let moved = story.cluster.get("configmap", &home, "a").unwrap();
    assert_eq!(moved["metadata"]["uid"], uid);
    assert_eq!(
        moved["metadata"]["annotations"]["bowline.dev/id"],
        format!("{}/{home}/app;/ConfigMap/{home}/a", story.source)
    );
    let managers: Vec<&Value> =
        moved["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["manager"]).collect();
    assert_eq!(managers, [&json!(format!("bowline/{}/{home}/app", story.source))]);
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
}

#[test]
fn too_much_at_once_waits_for_an_approval() {
    let mut story = Story::new("budget");
    let home = story.cluster.namespace("budget");
    let many: Vec<(String, String)> =
        (0..25).map(|n| (format!("m{n}.yaml"), config_map(&home, &format!("m{n}"), "k", "1"))).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let first = story.commit("many", &files);
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let paths: Vec<&str> = files.iter().map(|(path, _)| *path).take(24).collect();
    let second = story.remove("all but one", &paths);
    let status = story.wait_status(&second, |status| status["sources"][0]["approval"].is_object());
    let approval = &status["sources"][0]["approval"];
    assert_eq!(approval["reason"], "24 of 25 objects would be deleted, more than 20");
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    let hash = approval["hash"].as_str().unwrap();
    assert_eq!(story.verb(&["approve", &format!("{}/{home}", story.source), hash]).code, Some(0));
    story.wait_gone("configmap", &home, "m0");
    story.wait_ready(&second);
    assert!(story.cluster.get("configmap", &home, "m24").is_some());
}

#[test]
fn a_copy_follows_its_source_and_outlives_it() {
    let mut story = Story::new("copies");
    let (origin, home) = (story.cluster.namespace("copies-from"), story.cluster.namespace("copies-to"));
    story.cluster.apply(&config_map(&origin, "shared", "a", "1"));
    let list = format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: copies}}\nspec:\n  namespaces: [{home}]\n  templates:\n  \
         - copyFrom: {{namespace: {origin}, kind: ConfigMap, name: shared}}\n"
    );
    let commit = story.commit("copy", &[("list.yaml", &list)]);
    story.start();
    story.wait_ready(&commit);
    story.wait_for("configmap", &home, "shared", "/data/a", &json!("1"));
    story.cluster.apply(&config_map(&origin, "shared", "a", "2"));
    story.wait_for("configmap", &home, "shared", "/data/a", &json!("2"));

    let mark = story.cluster.audit_mark();
    story.cluster.kubectl(&["delete", "configmap", "shared", "-n", &origin]);
    let status = story.wait_status(&commit, |status| status["sources"][0]["stale"].is_array());
    assert_eq!(
        status["sources"][0]["stale"][0],
        format!("ConfigMap/{home}/shared (copied from ConfigMap/{origin}/shared)")
    );
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    assert_eq!(story.cluster.get("configmap", &home, "shared").unwrap()["data"]["a"], "2");
}

#[test]
fn an_idle_daemon_asks_nothing_of_the_cluster() {
    let mut story = Story::new("idle");
    let home = story.cluster.namespace("idle");
    let commit = story.commit("web", &[("web.yaml", &deployment(&home, "web", "nginx:1"))]);
    story.start();
    story.wait_ready(&commit);
    // The status is written when everything has come to rest; what comes after it is what rest costs.
    let mark = story.cluster.audit_mark();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let asked: Vec<String> = story
        .cluster
        .audit_since(mark)
        .iter()
        .filter(|event| {
            event.user_agent.starts_with("bowline") && event.verb != "watch" && event.resource() != "leases"
        })
        .filter(|event| event.uri.contains(&story.source) || event.namespace() == home)
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect();
    assert_eq!(asked, Vec::<String>::new());
}
