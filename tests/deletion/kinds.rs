//! Objects that would take others along, that have two names, or whose kind cannot be asked for.

use serde_json::json;

use super::{Case, own_cluster};
use crate::common::bowline::{Story, config_map, namespace};
use crate::common::cluster::unique;

fn definition(group: &str, versions: &[&str]) -> String {
    let versions: String = versions
        .iter()
        .enumerate()
        .map(|(place, version)| {
            format!(
                "  - name: {version}\n    served: true\n    storage: {}\n    schema: {{openAPIV3Schema: {{type: object, properties: \
                 {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}\n",
                place == 0
            )
        })
        .collect();
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  \
         group: {group}\n  names: {{kind: Widget, plural: widgets}}\n  scope: Namespaced\n  versions:\n{versions}"
    )
}

fn widget(group: &str, version: &str, home: &str) -> String {
    format!(
        "apiVersion: {group}/{version}\nkind: Widget\nmetadata: {{name: one, namespace: {home}}}\nspec: {{size: 3}}\n"
    )
}

#[test]
fn row_10_a_definition_with_objects_stays_whatever_people_approve() {
    let mut case = Case::new("row10");
    let (home, group) = (case.home.clone(), format!("{}.example.com", unique("row10")));
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit("first", &[("crd.yaml", &definition(&group, &["v1"])), ("keep.yaml", &keep)]);
    case.start();
    case.wait_ready(&first);
    case.cluster.apply(&widget(&group, "v1", &home));
    let second = case.remove("no definition", &["crd.yaml"]);
    let status = case.wait_said(&second, &["would be deleted, and cannot be brought back"]);
    let approval = &status["sources"][0]["approval"];
    let (subject, hash) = (approval["subject"].as_str().unwrap(), approval["hash"].as_str().unwrap());
    assert_eq!(case.verb(&["approve", subject, hash]).code, Some(0));
    case.wait_said(&second, &["objects of kind Widget exist, and would go with it"]);
    case.assert_nothing_deleted();
    case.uid(&format!("widgets.{group}"), &home, "one");

    case.cluster.kubectl(&["delete", &format!("widgets.{group}"), "one", "-n", &home]);
    case.wait_gone("customresourcedefinition", "", &format!("widgets.{group}"));
}

#[test]
fn row_11_another_version_or_group_is_the_same_object() {
    let mut case = Case::new("row11");
    let (home, group) = (case.home.clone(), format!("{}.example.com", unique("row11")));
    // Kubernetes serves Events in two groups: one object with two names.
    let event = |version: &str, more: &str| {
        format!("apiVersion: {version}\nkind: Event\nmetadata: {{name: told, namespace: {home}}}\n{more}")
    };
    let old = "involvedObject: {kind: Namespace, name: x, namespace: NS}\nreason: Told\nmessage: once\ntype: Normal\n";
    let new = "regarding: {kind: Namespace, name: x, namespace: NS}\nreason: Told\nnote: once\ntype: Normal\n";
    let autoscaler = |version: &str, metric: &str| {
        format!(
            "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web, namespace: {home}}}\n\
             spec: {{maxReplicas: 3, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}{metric}}}\n"
        )
    };
    let first = case.commit(
        "first",
        &[
            ("crd.yaml", &definition(&group, &["v1", "v2"])),
            ("widget.yaml", &widget(&group, "v1", &home)),
            ("event.yaml", &event("v1", &old.replace("NS", &home))),
            ("hpa.yaml", &autoscaler("v1", ", targetCPUUtilizationPercentage: 50")),
        ],
    );
    case.start();
    case.wait_status(&first, |_| true);
    let widgets = format!("widgets.{group}");
    case.wait_there(&widgets, &home, "one");
    case.wait_there("hpa", &home, "web");
    let uid_of_event = case.wait_there("event", &home, "told")["metadata"]["uid"].clone();
    let uids = [case.uid(&widgets, &home, "one"), case.uid("hpa", &home, "web")];
    let metric =
        ", metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]";
    let second = case.commit(
        "newer words",
        &[
            ("widget.yaml", &widget(&group, "v2", &home)),
            ("event.yaml", &event("events.k8s.io/v1", &new.replace("NS", &home))),
            ("hpa.yaml", &autoscaler("v2", metric)),
        ],
    );
    case.wait_status(&second, |_| true);
    case.eventually("the objects are applied in their new versions", || {
        let text = case.verb(&["history", &case.unit(), "-o", "json"]).stdout;
        anyhow::ensure!(text.contains(&second), "{text}");
        Ok(())
    });
    case.assert_nothing_deleted();
    assert_eq!(uids, [case.uid(&widgets, &home, "one"), case.uid("hpa", &home, "web")]);
    assert_eq!(case.uid("event", &home, "told"), uid_of_event);
}

#[test]
fn row_14_a_namespace_that_is_not_empty_stays_whatever_people_approve() {
    let mut case = Case::new("row14");
    let (home, other) = (case.home.clone(), unique("row14ns"));
    let first = case.commit(
        "first",
        &[
            ("keep.yaml", &config_map(&home, "keep", "k", "1")),
            ("ns.yaml", &namespace(&other)),
            ("a.yaml", &config_map(&other, "a", "k", "1")),
        ],
    );
    case.start();
    case.wait_ready(&first);
    case.cluster.apply(&config_map(&other, "by-hand", "k", "1"));
    let second = case.remove("without its namespace", &["ns.yaml"]);
    let status = case.wait_said(&second, &[&format!("Namespace/{other} would be deleted")]);
    let hash = status["sources"][0]["approval"]["hash"].as_str().unwrap();
    assert_eq!(case.verb(&["approve", &case.source, hash]).code, Some(0));
    case.wait_said(&second, &["it holds ConfigMap/a, ConfigMap/by-hand", "delete what is inside first"]);
    case.assert_nothing_deleted();

    let third = case.remove("nor what was in it", &["a.yaml"]);
    case.wait_gone("configmap", &other, "a");
    case.wait_said(&third, &["it holds ConfigMap/by-hand"]);
    case.uid("namespace", "", &other);
    case.cluster.kubectl(&["delete", "configmap", "by-hand", "-n", &other]);
    case.wait_gone("namespace", "", &other);
    assert!(case.deletes_with(|code| code < 300).iter().all(|uri| uri.contains(&other)), "{:?}", case.deletes());
}

#[test]
fn row_15_an_object_that_is_merely_invalid_is_not_made_anew() {
    let mut case = Case::new("row15");
    let home = case.home.clone();
    let service = |port: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {home}, annotations: {{bowline.dev/recreate: \"true\"}}}}\n\
             spec: {{ports: [{{port: 80, targetPort: {port}}}]}}\n"
        )
    };
    let claim = |size: &str, class: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data, namespace: {home}, annotations: \
             {{bowline.dev/recreate: \"true\"}}}}\nspec: {{accessModes: [ReadWriteOnce], storageClassName: \"{class}\", \
             resources: {{requests: {{storage: {size}}}}}}}\n"
        )
    };
    let settings = "wait: false\n";
    let first = case.commit(
        "first",
        &[("bowline.yaml", settings), ("svc.yaml", &service("8080")), ("pvc.yaml", &claim("1Gi", ""))],
    );
    case.start();
    // The claim waits for a volume that nobody provides.
    case.wait_status(&first, |_| true);
    case.wait_there("pvc", &home, "data");
    case.wait_there("service", &home, "web");
    let uids = [case.uid("service", &home, "web"), case.uid("pvc", &home, "data")];
    let second = case.commit("wrong", &[("svc.yaml", &service("800000")), ("pvc.yaml", &claim("1Gi", "fast"))]);
    case.wait_said(
        &second,
        &[
            "Service/",
            "web failed",
            "PersistentVolumeClaim/",
            "it is not made anew: a PersistentVolumeClaim is never deleted for that",
        ],
    );
    case.assert_nothing_deleted();
    assert_eq!(uids, [case.uid("service", &home, "web"), case.uid("pvc", &home, "data")]);
}

#[test]
fn row_17_a_deletion_that_is_denied_stays_due() {
    let mut case = Case::new("row17");
    let (home, policy) = (case.home.clone(), unique("row17"));
    case.cluster.apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {policy}}}\nspec:\n  \
         matchConstraints:\n    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {home}}}}}\n    \
         resourceRules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [DELETE], resources: [configmaps]}}]\n  \
         validations: [{{expression: \"oldObject.metadata.name == 'probe'\", message: nothing goes}}]\n\
         ---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: {policy}}}\n\
         spec: {{policyName: {policy}, validationActions: [Deny]}}\n"
    ));
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit("first", &[("keep.yaml", &keep), ("a.yaml", &config_map(&home, "a", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    case.eventually("the policy is in force", || {
        match case.cluster.try_kubectl(&["delete", "configmap", "keep", "-n", &home, "--dry-run=server"]) {
            Ok(_) => anyhow::bail!("it lets everything through"),
            Err(error) => {
                anyhow::ensure!(error.to_string().contains("nothing goes"), "{error}");
                Ok(())
            }
        }
    });
    let second = case.remove("a goes", &["a.yaml"]);
    case.wait_said(&second, &["ConfigMap/", "cannot be deleted", "nothing goes"]);
    assert_eq!(case.stop(), Some(0));
    case.start();
    case.wait_said(&second, &["cannot be deleted", "nothing goes"]);
    assert_eq!(case.deletes_with(|code| code < 300), Vec::<String>::new());
    case.uid("configmap", &home, "a");
    case.cluster.kubectl(&["delete", "validatingadmissionpolicybinding", &policy]);
    case.cluster.kubectl(&["delete", "validatingadmissionpolicy", &policy]);
    case.wait_gone("configmap", &home, "a");
}

#[test]
fn row_19_a_kind_whose_server_does_not_answer_is_not_gone() {
    let mut case = Case::on(Story::on("row19", own_cluster()), "row19");
    let (home, group) = (case.home.clone(), "row19.example.com");
    let keep = config_map(&home, "keep", "k", "1");
    let first = case.commit(
        "first",
        &[
            ("crd.yaml", &definition(group, &["v1"])),
            ("widget.yaml", &widget(group, "v1", &home)),
            ("keep.yaml", &keep),
        ],
    );
    case.start();
    case.wait_ready(&first);
    assert_eq!(case.stop(), Some(0));
    // From now on somebody else is to answer for the group, and nobody does.
    let hijack = json!({
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
        "spec": {"service": {"name": "nobody", "namespace": home}, "insecureSkipTLSVerify": true},
    });
    case.patch("apiservice", "", &format!("v1.{group}"), &hijack.to_string());
    case.eventually("the group does not answer", || {
        let discovery = case.cluster.try_kubectl(&["get", "--raw", &format!("/apis/{group}/v1")]);
        anyhow::ensure!(discovery.is_err(), "it does");
        Ok(())
    });
    let second = case.remove("no widget", &["widget.yaml"]);
    case.start();
    case.wait_said(&second, &["Widget/", "what the server serves of Widget is not known now"]);
    case.assert_nothing_deleted();
    let third = case.commit("nor its definition", &[("crd.yaml", "# nothing\n")]);
    case.wait_said(&third, &["CustomResourceDefinition/"]);
    case.assert_nothing_deleted();
}
