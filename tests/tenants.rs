//! Sources that act under an account of their own: what a tenant may, what he tries, and who it is for the API server.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::bowline::{Story, config_map};
use crate::common::cluster::{Mark, unique};

/// A service account with all rights on ConfigMaps and Secrets of a namespace.
fn account(story: &Story, namespace: &str, name: &str, over: &str) {
    story.cluster.apply(&format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}, namespace: {over}}}\n\
         rules: [{{apiGroups: [\"\"], resources: [configmaps, secrets], verbs: [get, list, create, patch, delete]}}]\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: {over}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}\n\
         subjects: [{{kind: ServiceAccount, name: {name}, namespace: {namespace}}}]\n"
    ));
}

/// As whom bowline has read and written single objects of a namespace since the mark.
fn actors(story: &Story, mark: Mark, namespace: &str) -> BTreeSet<String> {
    let events = story.cluster.audit_since(mark);
    let ours = events.iter().filter(|event| event.user_agent.starts_with("bowline") && event.namespace() == namespace);
    let objects = ours.filter(|event| ["configmaps", "secrets"].iter().any(|kind| event.uri.contains(kind)));
    objects
        .filter(|event| !matches!(event.verb.as_str(), "watch" | "list"))
        .map(|event| event.user().to_owned())
        .collect()
}

fn problems(status: &Value) -> String {
    status["sources"][0].to_string()
}

#[test]
fn a_tenant_does_what_his_account_may_and_nothing_else() {
    let mut story = Story::new("tenant");
    let (home, other) = (story.cluster.namespace("tenant"), story.cluster.namespace("stranger"));
    account(&story, &home, "robot", &home);
    // An account with more rights, which the tenant would like to be.
    account(&story, &other, "rich", &other);
    let cluster_role = unique("tenant");
    let mark = story.cluster.audit_mark();
    let files = [
        ("mine.yaml", config_map(&home, "mine", "k", "1")),
        ("foreign.yaml", config_map(&other, "foreign", "k", "1")),
        (
            "role.yaml",
            format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {cluster_role}}}\nrules: []\n"
            ),
        ),
        ("rich/bowline.yaml", format!("serviceAccount: {other}/rich\nunit: {{name: rich}}\n")),
        ("rich/cm.yaml", config_map(&other, "rich", "k", "1")),
        (
            "copy.yaml",
            format!(
                "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: copies}}\nspec:\n  namespaces: [{home}]\n  \
                 templates: [{{copyFrom: {{namespace: {other}, kind: Secret, name: hidden}}}}]\n"
            ),
        ),
    ];
    story.cluster.kubectl(&["create", "secret", "generic", "hidden", "-n", &other, "--from-literal=a=b"]);
    let commit = story.commit("what a tenant tries", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    story.start_with(&["--service-account", &format!("{home}/robot")]);

    story.wait_there("configmap", &home, "mine");
    let robot = format!("system:serviceaccount:{home}:robot");
    let status = story.wait_status(&commit, |status| {
        let text = problems(status);
        [
            &*format!("ConfigMap/{other}/foreign failed"),
            &*format!("ClusterRole/{cluster_role} failed"),
            &*format!("ConfigMap/{other}/rich failed"),
            &*format!("User \\\"{robot}\\\" cannot"),
            "serviceAccount: rich is not used: the source acts under an account of its own",
            "its owner does not let other teams copy it",
        ]
        .iter()
        .all(|words| text.contains(words))
    });
    for (resource, name) in [("configmap", "foreign"), ("configmap", "rich")] {
        assert!(story.cluster.get(resource, &other, name).is_none(), "{status}");
    }
    assert_eq!(actors(&story, mark, &home), BTreeSet::from([robot.clone()]));

    // The owner lets it be copied, and the tenant keeps to what is his; his last objects are deleted by his own account.
    story.cluster.kubectl(&["annotate", "secret", "hidden", "-n", &other, &format!("bowline.dev/copy-to={home}")]);
    story.git(&["rm", "-q", "-r", "foreign.yaml", "role.yaml", "rich"]);
    let good = story.commit("what a tenant may", &[("more.yaml", &config_map(&home, "more", "k", "1"))]);
    story.wait_ready(&good);
    assert!(story.cluster.get("secret", &home, "hidden").is_some());
    let mark = story.cluster.audit_mark();
    story.remove("nothing any more", &["mine.yaml", "more.yaml"]);
    story.wait_gone("configmap", &home, "mine");
    story.wait_gone("configmap", &home, "more");
    assert_eq!(actors(&story, mark, &home), BTreeSet::from([robot]));
}

#[test]
fn each_namespace_has_an_account_of_its_own_and_one_that_is_missing_is_an_error() {
    let mut story = Story::new("perspace");
    let (one, two, none) =
        (story.cluster.namespace("one"), story.cluster.namespace("two"), story.cluster.namespace("none"));
    for home in [&one, &two] {
        account(&story, home, "deployer", home);
    }
    let mark = story.cluster.audit_mark();
    let list = format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: all}}\nspec:\n  namespaces: [{one}, {two}, {none}]\n  \
         templates: [{{object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: shared}}, data: {{k: v}}}}}}]\n"
    );
    let commit = story.commit("a list", &[("list.yaml", &list)]);
    story.start_with(&["--service-account", "deployer"]);
    let words = format!("ServiceAccount/{none}/deployer does not exist, and the unit acts as no other");
    story.wait_status(&commit, |status| problems(status).contains(&words));
    for home in [&one, &two] {
        story.wait_for("configmap", home, "shared", "/data/k", &json!("v"));
        assert_eq!(actors(&story, mark, home), BTreeSet::from([format!("system:serviceaccount:{home}:deployer")]));
    }
    assert!(story.cluster.get("configmap", &none, "shared").is_none());
    assert_eq!(actors(&story, mark, &none), BTreeSet::new(), "nothing was done as anybody else");

    account(&story, &none, "deployer", &none);
    story.wait_ready(&commit);
}

#[test]
fn a_source_without_a_name_for_its_account_is_refused() {
    let story = Story::new("noname");
    for account in ["", "/", "tenants/", "/robot"] {
        let ran = story.on_repo("plan", &["--service-account", account]);
        assert_eq!(ran.code, Some(1), "{account}: {ran:?}");
        assert!(ran.stderr.contains("needs a name"), "{account}: {ran:?}");
    }
}
