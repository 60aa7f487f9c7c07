//! What may be wrong in a repository or around it, on a real control plane. After each: nothing is deleted that Git still
//! wants, the rest is applied, and a message says what, where, and the way out.

use serde_json::{Value, json};

use crate::common::bowline::{PATIENCE, Story, config_map, deployment, namespace};
use crate::common::cluster::{unique, wait_until};

/// Waits until the status of a commit holds all of these words.
#[track_caller]
fn wait_said(story: &Story, commit: &str, words: &[&str]) -> Value {
    story.wait_status(commit, |status| {
        let text = status["sources"][0].to_string();
        words.iter().all(|word| text.contains(word))
    })
}

/// A `bowline.yaml` for the whole repository, so that a wait for what will never be ready is short.
const IMPATIENT: &str = "apiVersion: bowline.dev/v1\nkind: Settings\ntimeout: 5s\n";

/// A Service without pods.
fn service(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{ports: [{{port: 80}}]}}\n"
    )
}

/// A StatefulSet of two pods.
fn stateful_set(namespace: &str, name: &str) -> String {
    deployment(namespace, name, "nginx:1").replace("Deployment", "StatefulSet")
}

/// A workload whose pods fail in this way.
fn failing(workload: &str, how: &str) -> String {
    let pod = format!("metadata: {{annotations: {{simulate.bowline.dev/pod: {how}}}, labels:");
    let failing = workload.replace("metadata: {labels:", &pod);
    assert_ne!(failing, workload);
    failing
}

/// A user who may do everything that a story needs, but nothing at all with Services.
fn grant_all_but_services(story: &Story, user: &str) {
    story.cluster.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {user}}}\nrules:\n\
         - {{apiGroups: [\"\"], resources: [namespaces, configmaps, secrets, serviceaccounts, events, pods], verbs: [get, list, watch, create, patch, update, delete]}}\n\
         - {{apiGroups: [apps, coordination.k8s.io, events.k8s.io, apiextensions.k8s.io], resources: [\"*\"], verbs: [get, list, watch, create, patch, update, delete]}}\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {user}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {user}}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n"
    ));
}

#[test]
fn a_kind_that_the_account_may_not_touch_is_named_and_the_rest_applied() {
    let mut story = Story::new("badrbac");
    let home = story.cluster.namespace("badrbac");
    let user = unique("narrow");
    story.kubeconfig = story.cluster.kubeconfig_for(&user).unwrap();
    grant_all_but_services(&story, &user);
    story.commit("first", &[("gone.yaml", &config_map(&home, "gone", "k", "1"))]);
    let applied = story.on_repo("apply", &[]);
    assert_eq!(applied.code, Some(0), "{applied:?}");

    let mark = story.cluster.audit_mark();
    story.git(&["rm", "-q", "gone.yaml"]);
    let second = story.commit(
        "a service",
        &[("svc.yaml", &service(&home, "web")), ("cm.yaml", &config_map(&home, "conf", "k", "1"))],
    );
    let applied = story.on_repo("apply", &[]);
    assert_eq!(applied.code, Some(1), "{applied:?}");
    for word in [&*format!("Service/{home}/web"), "svc.yaml:1", &*format!("User \"{user}\" cannot"), "deploy/rbac.yaml"]
    {
        assert!(applied.stdout.contains(word) || applied.stderr.contains(word), "{word}: {applied:?}");
    }
    assert_eq!(story.cluster.get("configmap", &home, "conf").unwrap()["data"]["k"], "1");

    story.start();
    wait_said(&story, &second, &[&format!("Service/{home}/web failed"), "cannot", "deploy/rbac.yaml"]);
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    assert!(story.cluster.get("configmap", &home, "gone").is_some(), "nothing is pruned while something is wrong");

    story.cluster.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: services, namespace: {home}}}\n\
         rules: [{{apiGroups: [\"\"], resources: [services], verbs: [get, list, watch, create, patch, delete]}}]\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: services, namespace: {home}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: services}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}]\n"
    ));
    story.wait_there("service", &home, "web");
    story.wait_ready(&second);
    story.wait_gone("configmap", &home, "gone");
}

#[test]
fn what_a_quota_refuses_is_named_and_comes_when_there_is_room() {
    let mut story = Story::new("badquota");
    let home = story.cluster.namespace("badquota");
    story.cluster.apply(&format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: all, namespace: {home}}}\n\
         spec: {{hard: {{count/services: \"1\", pods: \"1\"}}}}\n"
    ));
    story.eventually("the quota is counted", || {
        let counted =
            story.cluster.get("resourcequota", &home, "all").is_some_and(|all| all["status"]["used"].is_object());
        if counted { Ok(()) } else { anyhow::bail!("not yet") }
    });
    let files = [
        ("bowline.yaml", IMPATIENT),
        ("a.yaml", &*service(&home, "a")),
        ("b.yaml", &*service(&home, "b")),
        ("cm.yaml", &*config_map(&home, "conf", "k", "1")),
        ("db.yaml", &*stateful_set(&home, "db")),
    ];
    let commit = story.commit("more than allowed", &files);
    story.start();
    wait_said(
        &story,
        &commit,
        &[
            "exceeded quota",
            "raise the ResourceQuota",
            &format!("StatefulSet/{home}/db Progressing"),
            "Quota: StatefulSet/db",
        ],
    );
    assert_eq!(story.cluster.get("configmap", &home, "conf").unwrap()["data"]["k"], "1");
    let services = ["a", "b"].iter().filter(|name| story.cluster.get("service", &home, name).is_some()).count();
    assert_eq!(services, 1);

    story.cluster.kubectl(&["delete", "resourcequota", "all", "-n", &home]);
    story.wait_ready(&commit);
    for name in ["a", "b"] {
        assert!(story.cluster.get("service", &home, name).is_some());
    }
}

#[test]
fn what_an_admission_policy_denies_is_named_and_the_rest_applied() {
    let mut story = Story::new("badpolicy");
    let home = story.cluster.namespace("badpolicy");
    let policy = unique("no-secrets-in-maps");
    story.cluster.apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {policy}}}\nspec:\n  \
         matchConstraints:\n    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {home}}}}}\n    \
         resourceRules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}}]\n  \
         validations: [{{expression: \"!has(object.data) || !('password' in object.data)\", message: passwords belong into Secrets}}]\n\
         ---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {policy}}}\n\
         spec: {{policyName: {policy}, validationActions: [Deny]}}\n"
    ));
    story.eventually("the policy is in force", || {
        let probe = config_map(&home, "probe", "password", "x");
        match story.cluster.try_kubectl_with(&["create", "--dry-run=server", "-f", "-"], &probe) {
            Ok(_) => anyhow::bail!("it lets everything through"),
            Err(error) => {
                anyhow::ensure!(error.to_string().contains("denied request"), "{error}");
                Ok(())
            }
        }
    });
    let first = story.commit(
        "good",
        &[("a.yaml", &config_map(&home, "a", "k", "1")), ("b.yaml", &config_map(&home, "b", "k", "1"))],
    );
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let second = story.commit(
        "a password",
        &[("a.yaml", &config_map(&home, "a", "password", "x")), ("b.yaml", &config_map(&home, "b", "k", "2"))],
    );
    wait_said(
        &story,
        &second,
        &[
            &format!("ConfigMap/{home}/a failed"),
            "passwords belong into Secrets",
            "an admission policy refuses the object",
        ],
    );
    story.wait_for("configmap", &home, "b", "/data/k", &json!("2"));
    assert_eq!(story.cluster.get("configmap", &home, "a").unwrap()["data"], json!({"k": "1"}));
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    let third = story.commit("mended", &[("a.yaml", &config_map(&home, "a", "k", "3"))]);
    story.wait_ready(&third);
    story.cluster.kubectl(&["delete", "validatingadmissionpolicybinding", &policy]);
    story.cluster.kubectl(&["delete", "validatingadmissionpolicy", &policy]);
}

#[test]
fn a_namespace_stuck_in_termination_stops_nobody_else_and_comes_back() {
    let mut story = Story::new("badstuck");
    let (stuck, other) = (unique("stuck"), story.cluster.namespace("badstuck"));
    let first = story.commit(
        "two namespaces",
        &[
            ("bowline.yaml", IMPATIENT),
            ("ns.yaml", &namespace(&stuck)),
            ("stuck.yaml", &config_map(&stuck, "conf", "k", "1")),
            ("other.yaml", &config_map(&other, "conf", "k", "1")),
        ],
    );
    story.start();
    story.wait_ready(&first);
    story.cluster.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: holder, namespace: {stuck}, finalizers: [example.com/hold]}}\n"
    ));
    let mark = story.cluster.audit_mark();
    story.cluster.kubectl(&["delete", "namespace", &stuck, "--wait=false"]);
    story.wait_for("namespace", "", &stuck, "/status/phase", &json!("Terminating"));
    let second = story.commit(
        "a change in both",
        &[("stuck.yaml", &config_map(&stuck, "conf", "k", "2")), ("other.yaml", &config_map(&other, "conf", "k", "2"))],
    );
    wait_said(
        &story,
        &second,
        &["stuck.yaml", &format!("namespace {stuck} is being deleted"), "is applied again when the namespace is back"],
    );
    story.wait_for("configmap", &other, "conf", "/data/k", &json!("2"));
    assert_eq!(story.deletes_since(mark, &stuck), Vec::<String>::new());

    let release = r#"{"metadata":{"finalizers":null}}"#;
    story.cluster.kubectl(&["patch", "configmap", "holder", "-n", &stuck, "--type=merge", "-p", release]);
    story.wait_for("configmap", &stuck, "conf", "/data/k", &json!("2"));
    story.wait_ready(&second);
}

#[test]
fn a_broken_file_holds_its_own_unit_and_nothing_is_pruned() {
    let mut story = Story::new("badyaml");
    let (home, other) = (story.cluster.namespace("badyaml"), story.cluster.namespace("badyaml"));
    let both = format!("{}---\n{}", config_map(&home, "a", "k", "1"), config_map(&home, "b", "k", "1"));
    let first = story.commit(
        "good",
        &[
            ("both.yaml", &both),
            ("gone.yaml", &config_map(&home, "gone", "k", "1")),
            ("other.yaml", &config_map(&other, "c", "k", "1")),
            ("other-gone.yaml", &config_map(&other, "gone", "k", "1")),
        ],
    );
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    story.git(&["rm", "-q", "gone.yaml", "other-gone.yaml"]);
    let broken = both.replacen("\"1\"}", "\"1\"", 1);
    let second = story.commit("broken", &[("both.yaml", &broken), ("other.yaml", &config_map(&other, "c", "k", "2"))]);
    let status = wait_said(
        &story,
        &second,
        &["both.yaml", "both.yaml cannot be read: the unit stays as it is until the file is mended"],
    );
    story.wait_for("configmap", &other, "c", "/data/k", &json!("2"));
    let problem = &status["sources"][0]["problems"][0];
    assert_eq!(problem["origin"]["file"], "both.yaml");
    assert!(problem["origin"]["line"].as_u64() >= Some(4), "{problem}");
    for space in [&home, &other] {
        assert_eq!(story.deletes_since(mark, space), Vec::<String>::new());
        assert!(story.cluster.get("configmap", space, "gone").is_some(), "nothing is pruned while a file is broken");
    }
    let third = story.commit("mended", &[("both.yaml", &both)]);
    story.wait_ready(&third);
    story.wait_gone("configmap", &home, "gone");
    story.wait_gone("configmap", &other, "gone");
    for name in ["a", "b"] {
        assert!(story.cluster.get("configmap", &home, name).is_some());
    }

    // Nothing is to be written after this mending, and what was said is taken back all the same.
    let fourth = story.commit("broken again", &[("both.yaml", &broken)]);
    wait_said(&story, &fourth, &["both.yaml cannot be read"]);
    let fifth = story.commit("mended again", &[("both.yaml", &both)]);
    story.wait_ready(&fifth);
}

#[test]
fn a_mistake_in_a_manifest_is_told_with_its_place_and_the_rest_is_applied() {
    let mut story = Story::new("badkinds");
    let home = story.cluster.namespace("badkinds");
    let first = story.commit(
        "good",
        &[("twin.yaml", &config_map(&home, "twin", "k", "1")), ("good.yaml", &config_map(&home, "good", "k", "0"))],
    );
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let object = |api_version: &str, kind: &str, metadata: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{{metadata}}}\n")
    };
    let list = format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: lists}}\nspec:\n  namespaces: [\"{home}\"]\n  \
         templates: [absent/file.yaml]\n"
    );
    let cases = [
        (object("example.com/v1", "Gadget", &format!("name: g, namespace: {home}")), vec!["Gadget", "example.com/v1"]),
        (
            object("policy/v1beta1", "PodDisruptionBudget", &format!("name: p, namespace: {home}")),
            vec!["PodDisruptionBudget", "policy/v1beta1", "Kubernetes 1.25 removed it; write apiVersion: policy/v1, "],
        ),
        (
            object("extensions/v1beta1", "Ingress", &format!("name: i, namespace: {home}")),
            vec!["Ingress", "extensions/v1beta1", "write apiVersion: networking.k8s.io/v1, "],
        ),
        (object("v1", "ConfigMap", &format!("namespace: {home}")), vec!["metadata.name"]),
        (
            object("rbac.authorization.k8s.io/v1", "ClusterRole", &format!("name: {home}, namespace: {home}")),
            vec!["ClusterRole", "remove metadata.namespace"],
        ),
        (
            config_map(&home, "twin", "k", "2"),
            vec!["ConfigMap", "twin", "is also written at twin.yaml:1", "keep one of them"],
        ),
        (list, vec!["absent/file.yaml"]),
    ];
    for (number, (text, mut words)) in cases.into_iter().enumerate() {
        let value = number.to_string();
        let bad = story.commit("bad", &[("bad.yaml", &text), ("good.yaml", &config_map(&home, "good", "k", &value))]);
        words.push("bad.yaml");
        wait_said(&story, &bad, &words);
        story.wait_for("configmap", &home, "good", "/data/k", &json!(value));
        let twin = story.cluster.get("configmap", &home, "twin").expect("what Git still wants stays");
        assert_eq!(twin["data"]["k"], "1", "{text}");
    }
    let unit = format!("{}/{home}", story.source);
    story.eventually("a revision that lacks something is not called applied", || {
        let history = story.verb(&["history", &unit, "-o", "json"]).json();
        let lacks = history.as_array().unwrap().iter().find(|revision| {
            revision["result"] == "failed" && revision["problems"].to_string().contains("metadata.name")
        });
        if lacks.is_some() { Ok(()) } else { anyhow::bail!("{history}") }
    });
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
    let mended = story.remove("mended", &["bad.yaml"]);
    story.wait_ready(&mended);
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());
}

#[test]
fn pods_that_cannot_start_fail_the_revision_say_why_and_the_next_commit_heals() {
    let mut story = Story::new("badimage");
    let home = story.cluster.namespace("badimage");
    let web = deployment(&home, "web", "nginx:1");
    let first = story.commit("good", &[("bowline.yaml", IMPATIENT), ("web.yaml", &web)]);
    story.start();
    story.wait_ready(&first);
    let mark = story.cluster.audit_mark();
    let bad_web = failing(&web.replace("nginx:1", "nginx:none"), "image-pull-failure");
    let second = story.commit(
        "bad pods",
        &[
            ("web.yaml", &bad_web),
            ("db.yaml", &failing(&stateful_set(&home, "db"), "crash-loop")),
            ("cm.yaml", &config_map(&home, "conf", "k", "1")),
        ],
    );
    wait_said(
        &story,
        &second,
        &[
            &format!("Deployment/{home}/web Progressing"),
            "ImagePull: Pod/web-",
            "nginx:none",
            "CrashLoop: Pod/db-0",
            "last exit code 1",
        ],
    );
    assert_eq!(story.cluster.get("configmap", &home, "conf").unwrap()["data"]["k"], "1");
    assert!(story.cluster.get("deployment", &home, "web").unwrap()["status"]["readyReplicas"].as_u64() >= Some(1));
    let unit = format!("{}/{home}", story.source);
    let newest = || {
        let history = story.verb(&["history", &unit, "-o", "json"]).json();
        history.as_array().and_then(|revisions| revisions.last().cloned()).unwrap_or_default()
    };
    let failed = story.eventually("the wait ends", || {
        let newest = newest();
        let failed = (&newest["commit"]["id"], &newest["result"]) == (&json!(second), &json!("failed"));
        if failed { Ok(newest) } else { anyhow::bail!("{newest}") }
    });
    assert!(failed.to_string().contains("ImagePull: Pod/web-"), "{failed}");
    assert_eq!(story.deletes_since(mark, &home), Vec::<String>::new());

    let third = story.commit(
        "mended",
        &[("web.yaml", &deployment(&home, "web", "nginx:2")), ("db.yaml", &stateful_set(&home, "db"))],
    );
    wait_until(PATIENCE, || {
        // A StatefulSet never replaces a pod that was not ready in its broken revision: people delete it.
        let stuck = story.cluster.get("pod", &home, "db-0");
        let old = |pod: &Value| pod.pointer("/metadata/annotations/simulate.bowline.dev~1pod").is_some();
        match stuck {
            Some(pod) if old(&pod) => {
                story.cluster.try_kubectl(&["delete", "pod", "db-0", "-n", &home, "--wait=false"])?;
                anyhow::bail!("the broken pod is there")
            }
            Some(_) => Ok(()),
            None => anyhow::bail!("no pod yet"),
        }
    })
    .unwrap();
    story.wait_ready(&third);
    let good = newest();
    assert_eq!((&good["commit"]["id"], &good["result"]), (&json!(third), &json!("applied")), "{good}");
}
