//! Objects and fields that somebody else holds: named, told once, and taken only where Git says so.

use serde_json::{Value, json};

use bowline::cluster::{Actor, Cluster, configuration};
use bowline::object::Gvk;

use crate::common::bowline::{Story, config_map, deployment};
use crate::common::cluster::{Mark, command, unique};

/// The managers of an object's fields, those of subresources left out.
fn managers(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    entries.filter(|entry| entry["subresource"].is_null()).filter_map(|entry| entry["manager"].as_str()).collect()
}

/// Writes an object under a field manager of one's own.
fn write_as(story: &Story, manager: &str, yaml: &str) {
    let manager = format!("--field-manager={manager}");
    story
        .cluster
        .try_kubectl_with(&["apply", "--server-side", "--force-conflicts", &manager, "-f", "-"], yaml)
        .unwrap();
}

/// What bowline sent for one object since a mark: verbs with `dry` for dry runs.
fn sent(story: &Story, mark: Mark, namespace: &str, name: &str) -> Vec<String> {
    let events = story.cluster.audit_since(mark);
    let ours = events.iter().filter(|event| event.user_agent.starts_with("bowline") && event.namespace() == namespace);
    let about =
        ours.filter(|event| event.name() == name || (event.verb == "create" && event.uri.contains("configmaps")));
    about.map(|event| format!("{}{}", event.verb, if event.is_dry_run() { " dry" } else { "" })).collect()
}

/// The same manifest with annotations.
fn annotated(manifest: &str, annotations: &str) -> String {
    manifest.replacen("metadata: {", &format!("metadata: {{annotations: {{{annotations}}}, "), 1)
}

#[test]
fn a_first_contact_names_field_and_manager_once_however_often_it_is_tried() {
    let mut story = Story::new("once");
    let home = story.cluster.namespace("once");
    story.cluster.apply(&config_map(&home, "settings", "a", "theirs"));
    let mark = story.cluster.audit_mark();
    let commit = story.commit("ours", &[("cm.yaml", &config_map(&home, "settings", "a", "ours"))]);
    story.start();
    let unit = format!("{}/{home}", story.source);
    let status = story.wait_status(&commit, |status| status["sources"][0]["units"].get(&unit).is_some());
    let message = status["sources"][0]["units"][&unit]["messages"][0].as_str().unwrap();
    for word in ["made by kubectl-client-side-apply", "data.a is owned by kubectl-client-side-apply", "adopt: true"] {
        assert!(message.contains(word), "{message}");
    }
    let tries = || sent(&story, mark, &home, "settings").iter().filter(|verb| *verb == "create dry").count();
    story.eventually("it is tried again and again", || {
        anyhow::ensure!(tries() >= 4, "tried {} times", tries());
        Ok(())
    });
    let writes: Vec<String> = sent(&story, mark, &home, "settings")
        .into_iter()
        .filter(|verb| verb.starts_with("patch") && !verb.contains("dry"))
        .collect();
    assert_eq!(writes, Vec::<String>::new(), "a first contact never forces");
    let told = || -> Vec<String> {
        let list = story.cluster.kubectl(&["get", "events", "-n", &home, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        let warnings = list["items"].as_array().unwrap().iter().filter(|event| event["type"] == "Warning");
        warnings.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told().len(), 1, "{:?}", told());
    assert_eq!(story.log().matches("exists and is not ours").count(), 1, "{}", story.log());

    // Something else to say is said.
    let second = story.commit("two keys", &[("cm.yaml", &config_map(&home, "settings", "a", "other"))]);
    story.wait_status(&second, |status| status["sources"][0]["units"].get(&unit).is_some());
    write_as(&story, "somebody", &config_map(&home, "settings", "a", "third"));
    story.eventually("the new owner is told", || {
        let told = told();
        anyhow::ensure!(told.iter().any(|message| message.contains("somebody")), "{told:?}");
        Ok(())
    });
}

#[test]
fn adoption_ends_the_claims_of_kubectl_and_helm() {
    let mut story = Story::new("predecessors");
    let home = story.cluster.namespace("predecessors");
    let two =
        |name: &str, value: &str| config_map(&home, name, "a", value).replace("\ndata: {", "\ndata: {gone: \"1\", ");
    story.cluster.apply(&two("applied", "theirs"));
    story.cluster.try_kubectl_with(&["create", "-f", "-"], &two("created", "theirs")).unwrap();
    story.cluster.try_kubectl_with(&["create", "-f", "-"], &two("edited", "theirs")).unwrap();
    let mut edit = command("kubectl", story.cluster.folder()).unwrap();
    edit.arg("--kubeconfig").arg(story.cluster.kubeconfig()).args(["edit", "configmap", "edited", "-n", &home]);
    let edit = edit.env("PATH", "/usr/bin:/bin").env("KUBE_EDITOR", "sed -i s/theirs/by-hand/").output().unwrap();
    assert!(edit.status.success(), "{}", String::from_utf8_lossy(&edit.stderr));
    write_as(&story, "helm", &two("helm4", "theirs"));
    story.cluster.try_kubectl_with(&["create", "--field-manager=helm", "-f", "-"], &two("helm3", "theirs")).unwrap();
    write_as(&story, "kubectl", &two("server-side", "theirs"));

    let names = ["applied", "created", "edited", "helm4", "helm3", "server-side"];
    let files: Vec<(String, String)> = names.iter().map(|name| (format!("{name}.yaml"), two(name, "ours"))).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("bowline.yaml", "adopt: true\n"));
    let first = story.commit("adopt", &files);
    story.start();
    story.wait_ready(&first);
    for name in names {
        let object = story.cluster.get("configmap", &home, name).unwrap();
        assert_eq!(object["data"]["a"], "ours", "{name}");
        assert_eq!(managers(&object), [format!("bowline/{}/{home}", story.source)], "{name}");
        let last_applied = &object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
        assert!(last_applied.is_null(), "{name}");
    }
    // What leaves Git leaves the objects: no predecessor holds it.
    let without: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.yaml"), config_map(&home, name, "a", "ours"))).collect();
    let without: Vec<(&str, &str)> = without.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let second = story.commit("one key less", &without);
    story.wait_ready(&second);
    for name in names {
        assert_eq!(story.cluster.get("configmap", &home, name).unwrap()["data"], json!({"a": "ours"}), "{name}");
    }
}

#[test]
fn the_claims_of_a_predecessor_end_only_for_the_object_that_was_seen() {
    let story = Story::new("stale");
    let home = story.cluster.namespace("stale");
    story.cluster.apply(&config_map(&home, "a", "k", "1"));
    let seen = story.cluster.get("configmap", &home, "a").unwrap();
    story.cluster.apply(&config_map(&home, "a", "k", "2"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::connect(configuration(Some(&story.kubeconfig), None).await.unwrap()).await.unwrap();
        let resource = cluster.resource(&Gvk::new("v1", "ConfigMap")).await.unwrap();
        let error = cluster.take_over_entries(&resource, &seen, "bowline/x/y", &Actor::Own).await;
        let error = error.expect_err("it was written since it was seen");
        assert_eq!(error.refusal().map(|refusal| refusal.code), Some(409), "{error}");
    });
    assert_eq!(managers(&story.cluster.get("configmap", &home, "a").unwrap()), ["kubectl-client-side-apply"]);
}

#[test]
fn a_manager_that_nobody_knows_is_overruled_only_by_a_word_on_the_object() {
    let mut story = Story::new("strangers");
    let home = story.cluster.namespace("strangers");
    write_as(&story, "node-fetch", &config_map(&home, "settings", "a", "theirs"));
    write_as(&story, "node-fetch", &config_map(&home, "forced", "a", "theirs"));
    let forced = annotated(&config_map(&home, "forced", "a", "ours"), "bowline.dev/force: \"true\"");
    let first =
        story.commit("no leave", &[("cm.yaml", &config_map(&home, "settings", "a", "ours")), ("forced.yaml", &forced)]);
    story.start();
    story.wait_status(&first, |status| {
        let text = status["sources"][0].to_string();
        ["settings conflict", "forced conflict"].iter().all(|words| text.contains(words))
    });
    let second = story.commit("leave to adopt", &[("bowline.yaml", "adopt: true\n")]);
    story.wait_status(&second, |status| {
        let text = status["sources"][0].to_string();
        text.contains("data.a is owned by node-fetch")
            && text.contains("bowline.dev/force")
            && !text.contains("forced conflict")
    });
    assert_eq!(story.cluster.get("configmap", &home, "settings").unwrap()["data"]["a"], "theirs");
    assert_eq!(story.cluster.get("configmap", &home, "forced").unwrap()["data"]["a"], "ours");
}

#[test]
fn an_autoscaler_keeps_its_field_when_the_workload_is_adopted() {
    let mut story = Story::new("scaled");
    let home = story.cluster.namespace("scaled");
    story.cluster.apply(&deployment(&home, "web", "nginx:1"));
    story.cluster.kubectl(&["scale", "deployment", "web", "-n", &home, "--replicas=3"]);
    // The autoscaler writes through the scale subresource; kubectl's own entry goes as any predecessor's.
    let scale = json!({"spec": {"replicas": 4}}).to_string();
    story.cluster.kubectl(&[
        "patch",
        "deployment",
        "web",
        "-n",
        &home,
        "--subresource=scale",
        "--type=merge",
        "-p",
        &scale,
        "--field-manager=horizontal-pod-autoscaler",
    ]);
    let first =
        story.commit("adopt", &[("bowline.yaml", "adopt: true\n"), ("web.yaml", &deployment(&home, "web", "nginx:2"))]);
    story.start();
    story.wait_ready(&first);
    let web = story.cluster.get("deployment", &home, "web").unwrap();
    assert_eq!(web["spec"]["replicas"], 4);
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
}

#[test]
fn a_claim_that_was_bound_by_hand_keeps_its_volume() {
    let mut story = Story::new("volume");
    let (home, volume) = (story.cluster.namespace("volume"), unique("volume"));
    let claim = |more: &str, size: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data, namespace: {home}}}\nspec: {{accessModes: \
             [ReadWriteOnce], storageClassName: \"\", {more}resources: {{requests: {{storage: {size}}}}}}}\n"
        )
    };
    story.cluster.apply(&format!(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {volume}}}\nspec: {{capacity: {{storage: 1Gi}}, accessModes: \
         [ReadWriteOnce], storageClassName: \"\", hostPath: {{path: /none}}}}\n---\n{}",
        claim(&format!("volumeName: {volume}, "), "1Gi")
    ));
    story.wait_for("pvc", &home, "data", "/status/phase", &json!("Bound"));
    let first = story.commit("adopt", &[("bowline.yaml", "adopt: true\n"), ("pvc.yaml", &claim("", "1Gi"))]);
    story.start();
    story.wait_ready(&first);
    let labelled = claim("", "1Gi").replace("metadata: {", "metadata: {labels: {tier: data}, ");
    let second = story.commit("a label", &[("pvc.yaml", &labelled)]);
    story.wait_ready(&second);
    let data = story.cluster.get("pvc", &home, "data").unwrap();
    assert_eq!((&data["spec"]["volumeName"], &data["metadata"]["labels"]["tier"]), (&json!(volume), &json!("data")));
    let entry =
        data["metadata"]["managedFields"].as_array().unwrap().iter().find(|entry| entry["operation"] == "Apply");
    assert!(entry.unwrap()["fieldsV1"]["f:spec"]["f:volumeName"].is_null(), "what Git does not say is not ours");
}

#[test]
fn another_tool_that_applies_from_git_is_named_and_never_fought() {
    for tool in ["kustomize-controller", "argocd-controller", "helm-controller"] {
        let mut story = Story::new("twotools");
        let home = story.cluster.namespace("twotools");
        write_as(&story, tool, &config_map(&home, "theirs", "a", "theirs"));
        let theirs = annotated(&config_map(&home, "theirs", "a", "ours"), "bowline.dev/force: \"true\"");
        let first = story.commit(
            "both",
            &[
                ("bowline.yaml", "adopt: true\n"),
                ("theirs.yaml", &theirs),
                ("ours.yaml", &config_map(&home, "ours", "a", "ours")),
            ],
        );
        story.start();
        let held = format!("is held by {tool}, another tool that applies from Git");
        story.wait_status(&first, |status| status["sources"][0].to_string().contains(&held));

        // The other tool takes a field of an object of ours: we say so, and stop.
        story.wait_there("configmap", &home, "ours");
        write_as(&story, tool, &config_map(&home, "ours", "a", "taken"));
        let owned = format!("data.a is owned by {tool}");
        story.wait_status(&first, |status| status["sources"][0].to_string().contains(&owned));
        let mark = story.cluster.audit_mark();
        let second = story.commit("another word", &[("ours.yaml", &config_map(&home, "ours", "a", "again"))]);
        story.wait_status(&second, |status| status["sources"][0].to_string().contains(&owned));
        let writes: Vec<String> = sent(&story, mark, &home, "ours")
            .into_iter()
            .filter(|verb| verb.starts_with("patch") && !verb.contains("dry"))
            .collect();
        assert_eq!(writes, Vec::<String>::new());
        for name in ["theirs", "ours"] {
            assert_ne!(story.cluster.get("configmap", &home, name).unwrap()["data"]["a"], "ours", "{tool} {name}");
        }
        assert_eq!(story.stop(), Some(0));
    }
}

/// A definition of Widgets in these versions: name, whether it is served, and its field.
fn definition(group: &str, versions: &[(&str, bool, &str)]) -> String {
    let versions: String = versions
        .iter()
        .enumerate()
        .map(|(place, (version, served, field))| {
            format!(
                "  - name: {version}\n    served: {served}\n    storage: {}\n    schema: {{openAPIV3Schema: {{type: object, properties: \
                 {{spec: {{type: object, properties: {{{field}: {{type: integer}}}}}}}}}}}}\n",
                place == 0
            )
        })
        .collect();
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  \
         group: {group}\n  names: {{kind: Widget, plural: widgets}}\n  scope: Namespaced\n  versions:\n{versions}"
    )
}

#[test]
fn a_field_that_its_definition_no_longer_has_stands_in_nobodys_way() {
    let mut story = Story::new("migrated");
    let (home, group) = (story.cluster.namespace("migrated"), format!("{}.example.com", unique("migrated")));
    let widget = |version: &str, field: &str| {
        format!(
            "apiVersion: {group}/{version}\nkind: Widget\nmetadata: {{name: one, namespace: {home}}}\nspec: {{{field}: 1}}\n"
        )
    };
    let first = story.commit(
        "the old version",
        &[("crd.yaml", &definition(&group, &[("v1beta1", true, "old")])), ("widget.yaml", &widget("v1beta1", "old"))],
    );
    story.start();
    story.wait_ready(&first);
    let uid = story.cluster.get(&format!("widgets.{group}"), &home, "one").unwrap()["metadata"]["uid"].clone();
    // Somebody else's claims are kept in the version that he wrote in, with fields that it will not have for ever.
    write_as(&story, "operator", &widget("v1beta1", "old"));
    let steps = [
        ("both are served", definition(&group, &[("v1", true, "new"), ("v1beta1", true, "new")]), widget("v1", "new")),
        (
            "only the new one",
            definition(&group, &[("v1", true, "newest"), ("v1beta1", false, "new")]),
            widget("v1", "newest"),
        ),
    ];
    for (message, definition, widget) in &steps {
        let commit = story.commit(message, &[("crd.yaml", definition), ("widget.yaml", widget)]);
        story.wait_ready(&commit);
    }
    let object = story.cluster.get(&format!("widgets.{group}"), &home, "one").unwrap();
    assert_eq!((&object["metadata"]["uid"], &object["spec"]), (&uid, &json!({"newest": 1})));
}
