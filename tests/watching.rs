//! What the daemon says while it waits, and after it has come to rest, by what the watches tell.

use serde_json::{Value, json};

use crate::common::bowline::{Story, config_map, deployment};
use crate::common::cluster::unique;

/// Waits until the status of the story's source holds all of these words.
#[track_caller]
fn wait_said(story: &Story, commit: &str, words: &[&str]) -> Value {
    story.wait_status(commit, |status| {
        let text = status["sources"][0].to_string();
        words.iter().all(|word| text.contains(word))
    })
}

/// A definition of a kind with a status subresource.
fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: engines.{group}}}\nspec:\n  \
         group: {group}\n  scope: Namespaced\n  names: {{kind: Engine, plural: engines, singular: engine}}\n  versions:\n  \
         - name: v1\n    served: true\n    storage: true\n    subresources: {{status: {{}}}}\n    \
         schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
    )
}

fn engine(group: &str, namespace: &str) -> String {
    format!(
        "apiVersion: {group}/v1\nkind: Engine\nmetadata: {{name: main, namespace: {namespace}}}\nspec: {{size: 1}}\n"
    )
}

/// A workload whose pods need a claim that nobody can serve.
fn with_claim(namespace: &str) -> String {
    let volumes = "volumes: [{name: disk, persistentVolumeClaim: {claimName: disk}}], containers:";
    format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: disk, namespace: {namespace}}}\nspec:\n  \
         storageClassName: no-such-class\n  accessModes: [ReadWriteOnce]\n  resources: {{requests: {{storage: 1Gi}}}}\n---\n{}",
        deployment(namespace, "data", "nginx:1").replace("containers:", volumes)
    )
}

#[test]
fn a_roll_out_that_stands_still_says_why_while_it_is_waited_for() {
    let mut story = Story::new("early");
    let home = story.cluster.namespace("early");
    let broken = deployment(&home, "web", "nginx:1").replace(
        "metadata: {labels:",
        "metadata: {annotations: {simulate.bowline.dev/pod: image-pull-failure}, labels:",
    );
    let files = [
        // An hour: what is said is said long before the wait ends.
        ("bowline.yaml", "apiVersion: bowline.dev/v1\nkind: Settings\ntimeout: 1h\n"),
        ("web.yaml", &*broken),
        ("data.yaml", &*with_claim(&home)),
    ];
    let commit = story.commit("an image and a storage class that are not there", &files);
    story.start();
    let (web, data) = (format!("Deployment/{home}/web Progressing"), format!("Deployment/{home}/data Progressing"));
    wait_said(
        &story,
        &commit,
        &[&web, "ImagePull: Pod/web-", &data, "Volume: PersistentVolumeClaim/disk", "no-such-class"],
    );

    // The unit is still at work when the next commit takes the claim away: it is asked for all the same.
    let mark = story.cluster.audit_mark();
    story.git(&["rm", "-q", "data.yaml"]);
    let mended = story.commit("mended", &[("web.yaml", &deployment(&home, "web", "nginx:2"))]);
    wait_said(&story, &mended, &["would be deleted, and cannot be brought back", "PersistentVolumeClaim"]);
    story.wait_for("deployment", &home, "web", "/status/readyReplicas", &json!(2));
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
}

#[test]
fn an_object_in_trouble_after_its_unit_came_to_rest_is_shown_and_so_is_its_recovery() {
    let mut story = Story::new("later");
    let home = story.cluster.namespace("later");
    let group = format!("{}.example.com", unique("later"));
    let commit =
        story.commit("an engine", &[("definition.yaml", &definition(&group)), ("engine.yaml", &engine(&group, &home))]);
    story.start();
    // The definition declares a status, and nobody has written one: the engine is on its way.
    let subject = format!("Engine/{home}/main");
    wait_said(&story, &commit, &[&*format!("{subject} Progressing"), "no status yet"]);

    let resource = format!("engines.{group}");
    let say = |status: &str, message: &str| {
        let patch = json!({"status": {"observedGeneration": 1, "conditions": [
            {"type": "Ready", "status": status, "reason": "Test", "message": message},
        ]}});
        let patch = patch.to_string();
        story.cluster.kubectl(&[
            "patch",
            &resource,
            "main",
            "-n",
            &home,
            "--type=merge",
            "--subresource=status",
            "-p",
            &patch,
        ]);
    };
    say("True", "runs");
    story.wait_ready(&commit);
    let mark = story.cluster.audit_mark();
    say("False", "cannot start: failed to find fuel");
    wait_said(&story, &commit, &["failed to find fuel"]);
    say("True", "runs");
    story.wait_ready(&commit);
    assert_eq!(writes_to(&story, mark, &home), Vec::<String>::new(), "health alone is no reason to write");
}

#[test]
fn health_rules_of_the_repository_decide_when_a_unit_is_ready() {
    let mut story = Story::new("ownrules");
    let home = story.cluster.namespace("ownrules");
    let settings = |healthy: &str| {
        format!(
            "apiVersion: bowline.dev/v1\nkind: Settings\nhealth:\n- group: \"\"\n  kind: ConfigMap\n  \
             healthy: o.data.state == \"{healthy}\"\n  degraded: o.data.state == \"broken\"\n  otherwise: Progressing\n"
        )
    };
    let broken = story.commit(
        "a switch",
        &[("bowline.yaml", &settings("on")), ("switch.yaml", &config_map(&home, "switch", "state", "broken"))],
    );
    story.start();
    wait_said(&story, &broken, &[&format!("ConfigMap/{home}/switch Degraded")]);

    let mended = story.commit("on", &[("switch.yaml", &config_map(&home, "switch", "state", "on"))]);
    story.wait_ready(&mended);

    // Another rule judges what is in the cluster already.
    let other = story.commit("off is well", &[("bowline.yaml", &settings("off"))]);
    wait_said(&story, &other, &[&format!("ConfigMap/{home}/switch Progressing")]);
    let both = story.commit("on is well", &[("bowline.yaml", &settings("on"))]);
    story.wait_ready(&both);
}

#[test]
fn units_that_wait_take_no_place_from_others() {
    let mut story = Story::new("waiting");
    let home = story.cluster.namespace("waiting");
    let settings = "apiVersion: bowline.dev/v1\nkind: Settings\ntimeout: 1h\nhealth:\n- group: \"\"\n  kind: ConfigMap\n  \
                    healthy: o.data.state == \"on\"\n  otherwise: Progressing\n";
    let mut files = vec![("bowline.yaml".to_owned(), settings.to_owned())];
    // More than are written side by side, and none of them ever gets ready.
    for number in 0..60 {
        files.push((format!("{number}/bowline.yaml"), format!("unit: {{name: slow-{number:02}}}\n")));
        files.push((format!("{number}/cm.yaml"), config_map(&home, &format!("slow-{number:02}"), "state", "off")));
    }
    files.push(("z/bowline.yaml".to_owned(), "unit: {name: zz-last}\n".to_owned()));
    files.push(("z/cm.yaml".to_owned(), config_map(&home, "last", "state", "on")));
    let named: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    story.commit("sixty that wait, and one behind them", &named);
    story.start();
    story.wait_there("configmap", &home, "last");
}

/// Requests of bowline that write to objects of a namespace.
fn writes_to(story: &Story, mark: crate::common::cluster::Mark, namespace: &str) -> Vec<String> {
    let events = story.cluster.audit_since(mark);
    let ours = events.iter().filter(|event| event.user_agent.starts_with("bowline") && event.namespace() == namespace);
    ours.filter(|event| ["create", "update", "patch", "delete"].contains(&event.verb.as_str()))
        .map(|event| format!("{} {}", event.verb, event.uri))
        .collect()
}
