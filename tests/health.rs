//! Health: own cases, Argo CD's cases, laws that hold for every object, and the causes of a stuck roll-out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bowline::health::{self, Health, Rules, Status, StatusField, cause, check, check_with, progress};
use bowline::object::Object;
use bowline::yaml;
use serde_json::{Value, json};

fn object(mut value: Value) -> Object {
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    if !value["metadata"]["name"].is_string() {
        value["metadata"]["name"] = json!("unnamed");
    }
    Object::new(value).unwrap()
}

fn read(path: &Path) -> Result<Object, yaml::Error> {
    yaml::read(&fs::read(path).unwrap(), &yaml::Options::helm()).map(object)
}

fn own_cases() -> Vec<(PathBuf, Object)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/health");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), read(&path).unwrap())).collect()
}

/// One case of `../shared/health`.
struct Case {
    file: String,
    wanted: String,
    object: Object,
}

/// The cases of Argo CD, read once; or nothing and one loud line.
fn shared_cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(read_shared_cases);
    &CASES
}

fn read_shared_cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/health");
    let Ok(index) = fs::read(folder.join("index.json")) else {
        eprintln!("SKIPPED: ../shared is absent");
        return Vec::new();
    };
    let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
    let case = |entry: &Value| {
        let file = entry["file"].as_str().unwrap().to_owned();
        // A case that cannot be read counts as judged wrongly: it has no health at all.
        let unreadable = |error: yaml::Error| {
            eprintln!("{file}: {error}");
            object(json!({"apiVersion": "unreadable.example.com/v1", "kind": "Unreadable"}))
        };
        let object = read(&folder.join(&file)).unwrap_or_else(unreadable);
        Case { file, wanted: entry["status"].as_str().unwrap().to_owned(), object }
    };
    index.iter().map(case).collect()
}

fn all_objects() -> Vec<(String, Object)> {
    let own = own_cases().into_iter().map(|(path, object)| (path.display().to_string(), object));
    own.chain(shared_cases().iter().map(|case| (case.file.clone(), case.object.clone()))).collect()
}

#[test]
fn each_case_says_what_it_expects() {
    let mut wrong = Vec::new();
    let cases = own_cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for (path, object) in cases {
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# expect: ").expect("first line of a case");
        let (status, words) = expected.split_once(" |").expect("status | words");
        let health = check(&object);
        let ready = if health.ready && health.status == Status::Unknown { ", ready" } else { "" };
        if format!("{}{ready}", health.status) != status || !health.message.contains(words.trim()) {
            wrong.push(format!("{}: expected {expected}, got {health:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn argo_cases_are_judged_as_argo_judges_them() {
    let cases = shared_cases();
    if cases.is_empty() {
        return;
    }
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut other, mut falsely_healthy) = (Vec::new(), Vec::new());
    for case in cases {
        let health = check(&case.object);
        // Argo has no word of its own for an object that is being deleted.
        let status = match health.status {
            Status::Terminating => Status::Progressing,
            status => status,
        };
        let count = counts.entry(case.wanted.clone()).or_default();
        count.1 += 1;
        if status.to_string() == case.wanted {
            count.0 += 1;
            continue;
        }
        let line = format!("{}: expected {}, got {status}: {}", case.file, case.wanted, health.message);
        let unreadable = case.object.kind() == "Unreadable";
        if status == Status::Healthy || (health.ready && status == Status::Unknown && !unreadable) {
            falsely_healthy.push(line.clone());
        }
        other.push(line);
    }
    let right: usize = counts.values().map(|(right, _)| right).sum();
    for (status, (right, all)) in &counts {
        println!("{status}: {right} of {all} ({:.1} %)", percent(*right, *all));
    }
    println!("all: {right} of {} ({:.1} %)\nother:\n{}", cases.len(), percent(right, cases.len()), other.join("\n"));
    println!("falsely healthy:\n{}", falsely_healthy.join("\n"));
    assert!(percent(right, cases.len()) >= 95.0, "{} of {} are right", right, cases.len());
    assert!(!falsely_healthy.iter().any(|line| line.contains("expected Degraded")), "{falsely_healthy:?}");
    assert!(falsely_healthy.len() <= 1, "{falsely_healthy:?}");
}

fn percent(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all as f64
}

#[test]
fn a_workload_without_a_status_is_never_healthy() {
    let workloads = [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "ReplicationController",
        "Pod",
        "Job",
        "PersistentVolumeClaim",
        "Ingress",
        "CustomResourceDefinition",
        "APIService",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "EtcdCluster",
        "RedisEnterpriseCluster",
        "Prometheus",
        "Kafka",
        "Cluster",
        "Certificate",
    ];
    for (name, mut object) in all_objects() {
        if workloads.contains(&object.kind()) {
            object.value_mut().as_object_mut().unwrap().remove("status");
            assert_ne!(check(&object).status, Status::Healthy, "{name}");
        }
    }
}

#[test]
fn an_object_whose_status_is_of_an_older_generation_is_never_healthy() {
    for (name, mut object) in all_objects() {
        let Some(observed) = object.value().pointer("/status/observedGeneration").and_then(Value::as_i64) else {
            continue;
        };
        object.value_mut()["metadata"]["generation"] = json!(observed + 1);
        // RabbitMQ's topology operator leaves the generation behind; its rule says so.
        if !object.api_version().starts_with("rabbitmq.com/") {
            assert_ne!(check(&object).status, Status::Healthy, "{name}");
        }
    }
}

#[test]
fn conditions_nobody_knows_change_nothing() {
    // These kinds demand that every condition is true.
    let all_count = ["EventBus", "EventSource", "Sensor", "KnativeServing", "KnativeEventing", "Shoot"];
    for (name, object) in all_objects() {
        let before = check(&object);
        let conditions = object.value().pointer("/status/conditions").and_then(Value::as_array).cloned();
        let Some(conditions) = conditions.filter(|list| !list.is_empty() && !all_count.contains(&object.kind())) else {
            continue;
        };
        for status in ["True", "False", "Unknown"] {
            let mut changed = object.clone();
            let mut conditions = conditions.clone();
            conditions.push(
                json!({"type": "example.com/Moonlight", "status": status, "reason": "Night", "message": "failed"}),
            );
            changed.value_mut()["status"]["conditions"] = json!(conditions);
            assert_eq!(check(&changed).status, before.status, "{name} with Moonlight {status}");
        }
    }
}

#[test]
fn ill_typed_fields_are_judged_without_a_panic() {
    let oddities =
        [json!(null), json!(true), json!(-1), json!("text"), json!([1, "a", null]), json!({"type": 3}), json!(1e300)];
    // A part of the objects has the shapes of all of them.
    for (_, object) in all_objects().into_iter().step_by(16) {
        let mut paths = Vec::new();
        collect_paths(object.value(), "", 0, &mut paths);
        for path in paths {
            for oddity in &oddities {
                let mut value = object.value().clone();
                *value.pointer_mut(&path).unwrap() = oddity.clone();
                if let Ok(changed) = Object::new(value) {
                    let _ = check(&changed);
                    let _ = cause(&changed, std::slice::from_ref(&changed));
                    let _ = progress(&changed);
                }
            }
        }
    }
}

fn collect_paths(value: &Value, path: &str, depth: usize, paths: &mut Vec<String>) {
    if depth > 4 {
        return;
    }
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.replace('~', "~0").replace('/', "~1"), field)).collect()
        }
        Value::Array(list) => {
            list.iter().enumerate().take(2).map(|(index, entry)| (index.to_string(), entry)).collect()
        }
        _ => return,
    };
    for (name, child) in children {
        let path = format!("{path}/{name}");
        // Fields below the template of a workload are nobody's health.
        if !path.starts_with("/spec/") || depth < 2 {
            paths.push(path.clone());
            collect_paths(child, &path, depth + 1, paths);
        }
    }
}

#[test]
fn every_built_in_rule_is_valid() {
    let list = yaml::read(health::BUILT_IN.as_bytes(), &yaml::Options::manifests()).unwrap();
    assert!(list.as_array().unwrap().len() > 100);
    if let Err(errors) = Rules::parse(&list) {
        let lines: Vec<String> = errors.iter().map(|error| format!("{}: {error}", list[error.rule]["kind"])).collect();
        panic!("{}", lines.join("\n"));
    }
}

fn judged_by(rules: &Value, value: Value) -> Health {
    check_with(&object(value), &Rules::parse(rules).unwrap(), StatusField::NotKnown)
}

#[test]
fn users_rules_come_first() {
    let rules = json!([{
        "group": "apps", "kind": "Deployment",
        "suspended": r#"o.metadata.labels.state == "asleep""#,
        "healthy": "s.readyReplicas >= 1",
        "message": r#"string(s.readyReplicas) + " is enough""#,
    }]);
    let deployment = |labels: Value, ready: i64| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 1, "labels": labels},
            "spec": {"replicas": 5}, "status": {"observedGeneration": 1, "readyReplicas": ready}})
    };
    let enough = judged_by(&rules, deployment(json!({}), 1));
    assert_eq!((enough.status, enough.message.as_str()), (Status::Healthy, "1 is enough"));
    assert_eq!(judged_by(&rules, deployment(json!({"state": "asleep"}), 1)).status, Status::Suspended);
    // No expression is true: the generic rule judges, not the one in code.
    assert_eq!(judged_by(&rules, deployment(json!({}), 0)).status, Status::Progressing);
    // A deleted object is Terminating whatever a rule says.
    let mut deleted = deployment(json!({}), 1);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
    assert_eq!(judged_by(&rules, deleted).status, Status::Terminating);
}

#[test]
fn the_rules_of_the_nearest_folder_win() {
    let rule = |status: &str| Rules::parse(&json!([{"group": "example.com", "kind": "*", status: true}])).unwrap();
    let value = object(json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "a"}}));
    let judged = |rules: &Rules| check_with(&value, rules, StatusField::NotKnown).status;
    assert_eq!(judged(&rule("degraded").before(&rule("healthy"))), Status::Degraded);
    assert_eq!(judged(&rule("healthy").before(&rule("degraded"))), Status::Healthy);
}

#[test]
fn a_kind_with_a_status_subresource_waits_for_its_status() {
    let value = object(json!({"apiVersion": "example.com/v1", "kind": "Database", "metadata": {"name": "a"}}));
    assert_eq!(check(&value), Health::not_known());
    let judged = |value: &Object| check_with(value, &Rules::default(), StatusField::Declared);
    assert_eq!(judged(&value).status, Status::Progressing);
    let plain = object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}));
    assert_eq!(judged(&plain), check(&plain), "kinds whose health is known are judged as always");
}

#[test]
fn missing_fields_make_a_comparison_false() {
    let value = json!({"apiVersion": "example.com/v1", "kind": "K", "metadata": {"name": "n"}, "status": {
        "a": 1, "list": [{"t": "x"}, {"t": "y", "z": 2}], "map": {"a/b": "q"},
        "conditions": [{"type": "Ready", "status": true, "message": "fine"}],
    }});
    for (expression, wanted) in [
        ("s.a == 1", true),
        ("s.nothing.at.all == 1", false),
        ("s.nothing == 1 || s.a == 1", true),
        ("!(s.nothing == 1)", true),
        ("s.nothing != 1", false),
        ("s.?nothing.orValue(0) == 0", true),
        ("s.?nothing.?more.orValue(\"\") == \"\"", true),
        ("s.list.exists(e, e.z == 2)", true),
        ("s.list.all(e, e.z == 2)", false),
        ("s.list.filter(e, e.z == 2).size() == 1", true),
        ("s.map[\"a/b\"] == \"q\"", true),
        ("s.map.exists(k, s.map[k] == \"q\")", true),
        ("c.Ready == \"True\" && m.Ready == \"fine\"", true),
        ("c.Absent == \"\"", true),
        ("cs.exists(x, x.type == \"Ready\" && x.status == \"True\")", true),
        ("s.a < \"text\"", false),
        ("s.list > 3", false),
        ("s.nothing", false),
        ("g == 0 && og == 0", true),
        ("sp.replicas == 1", false),
    ] {
        let rules = json!([{"group": "example.com", "kind": "K", "healthy": expression, "otherwise": "Missing"}]);
        let health = judged_by(&rules, value.clone());
        assert_eq!(health.status == Status::Healthy, wanted, "{expression}: {health:?}");
    }
}

#[test]
fn wrong_rules_are_refused_all_at_once() {
    let errors = Rules::parse(&json!([
        {"group": "example.com", "kind": "A", "healthy": "s.phase =="},
        {"group": "example.com", "healthy": 3, "heathly": "true"},
        "text",
        {"group": "example.com", "kind": "B", "healthy": "true", "otherwise": "Fine"},
    ]));
    let errors: Vec<String> = errors.unwrap_err().iter().map(ToString::to_string).collect();
    assert!(errors.iter().any(|line| line.starts_with("health[1].kind: must be a kind")), "{errors:#?}");
    assert!(errors.iter().any(|line| line.contains("unknown field heathly")), "{errors:#?}");
    assert!(errors.iter().any(|line| line.starts_with("health[1].healthy: must be a CEL expression")), "{errors:#?}");
    assert!(errors.iter().any(|line| line.starts_with("health[2]: a rule is a mapping")), "{errors:#?}");
    assert!(errors.iter().any(|line| line.starts_with("health[3].otherwise: must be")), "{errors:#?}");
    assert!(errors.iter().any(|line| line.starts_with("health[0].healthy: is not a CEL expression")), "{errors:#?}");
    assert_eq!(Rules::parse(&json!({})).unwrap_err()[0].message, "must be a list of rules");
}

#[test]
fn an_expression_that_is_no_expression_is_an_error_and_no_panic() {
    let (long, chain) = ("(".repeat(100_000), format!("s{} == 1", ".a".repeat(100_000)));
    for text in [
        "",
        " ",
        "(",
        ")",
        "s.",
        "'",
        "\"",
        "[",
        "{",
        "1..2",
        "a ? b",
        "a b",
        "&&",
        "s.a ==",
        "\0",
        "//",
        "s[",
        "1e",
        "x'",
        "\\",
        "status.phase == 1",
        "s.list.all(x, y == 1)",
        &long,
        &chain,
    ] {
        let rules = Rules::parse(&json!([{"group": "example.com", "kind": "K", "healthy": text}]));
        assert!(rules.is_err(), "{text:?} is taken for an expression");
    }
}

fn owned_pod(name: &str, owner: &str, status: Value) -> Object {
    object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "dev",
        "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "uid": owner}]}, "status": status}))
}

fn replica_set(name: &str, revision: &str, conditions: Value) -> Object {
    object(
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "dev", "uid": name,
        "annotations": {"deployment.kubernetes.io/revision": revision},
        "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": "d1"}]}, "status": {"conditions": conditions}}),
    )
}

fn deployment() -> Object {
    object(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "dev", "uid": "d1", "generation": 2}, "spec": {"replicas": 3},
        "status": {"observedGeneration": 2, "updatedReplicas": 2, "availableReplicas": 1}}))
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "startTime": "2026-01-02T03:04:05Z", "containerStatuses": [
        {"name": "web", "restartCount": 4, "state": {"waiting": {"reason": reason, "message": message}},
         "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": "2026-01-02T03:05:00Z"}}}]})
}

#[test]
fn only_pods_of_the_newest_replica_set_tell_the_cause() {
    let related = [
        replica_set("web-1", "9", json!([])),
        replica_set("web-2", "10", json!([])),
        owned_pod("web-1-a", "web-1", waits("ImagePullBackOff", "of the old revision")),
        owned_pod("web-2-a", "web-2", waits("ContainerCreating", "")),
        owned_pod("web-2-b", "web-2", waits("CrashLoopBackOff", "back-off 40s")),
    ];
    let found = cause(&deployment(), &related).unwrap();
    assert_eq!(found.reason, "CrashLoop");
    assert!(found.message.starts_with("Pod/web-2-b: container web: CrashLoopBackOff"), "{}", found.message);
    assert!(found.message.contains("last exit code 2"), "{}", found.message);
    assert_eq!(found.since.as_deref(), Some("2026-01-02T03:05:00Z"));
    assert_eq!(cause(&deployment(), &related[..4]), None);
    assert_eq!(progress(&deployment()).unwrap(), "2 of 3 updated, 1 available");
}

#[test]
fn a_refused_pod_is_a_quota_or_a_denial() {
    let failure = |message: &str| {
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
            "lastTransitionTime": "2026-01-02T03:04:05Z"}])
    };
    let quota =
        cause(&deployment(), &[replica_set("web-1", "1", failure("forbidden: exceeded quota: small"))]).unwrap();
    assert_eq!((quota.reason.as_str(), quota.since.as_deref()), ("Quota", Some("2026-01-02T03:04:05Z")));
    let denied = cause(&deployment(), &[replica_set("web-1", "1", failure("admission webhook denied the request"))]);
    assert_eq!(denied.unwrap().reason, "Denied");
}

#[test]
fn an_event_tells_why_a_statefulset_has_no_pod() {
    let set = object(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "dev", "uid": "s1"}, "spec": {"replicas": 1}, "status": {}}));
    let event = object(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "db.1", "namespace": "dev"},
        "involvedObject": {"kind": "StatefulSet", "name": "db", "namespace": "dev"}, "reason": "FailedCreate",
        "message": "pods \"db-0\" is forbidden: exceeded quota: small", "lastTimestamp": "2026-01-02T03:04:05Z"}));
    assert_eq!(cause(&set, std::slice::from_ref(&event)).unwrap().reason, "Quota");
    let mut running = set.clone();
    running.value_mut()["status"] = json!({"replicas": 1});
    assert_eq!(cause(&running, &[event]), None);
}

#[test]
fn an_unschedulable_pod_names_the_scheduler_or_its_volume() {
    let status = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/3 nodes are available", "lastTransitionTime": "2026-01-02T03:04:05Z"}]});
    let mut pod = owned_pod("web-a", "web", status);
    assert_eq!(cause(&pod, &[]).unwrap().reason, "Unschedulable");
    pod.value_mut()["spec"] = json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]});
    let claim = object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "dev"}, "status": {"phase": "Pending"}}));
    let event = object(json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "data.1", "namespace": "dev"},
        "involvedObject": {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "dev"},
        "reason": "ProvisioningFailed", "message": "storageclass \"fast\" not found"}));
    let found = cause(&pod, &[claim, event]).unwrap();
    assert_eq!(found.reason, "Volume");
    assert!(found.message.contains("\"fast\" not found"), "{}", found.message);
}

#[test]
fn a_claim_may_wait_for_its_first_consumer() {
    let claim = object(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "dev"}, "spec": {"storageClassName": "local"}, "status": {"phase": "Pending"}}));
    let class =
        object(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "volumeBindingMode": "WaitForFirstConsumer"}));
    assert_eq!(cause(&claim, &[class]).unwrap().reason, "WaitForFirstConsumer");
    assert_eq!(cause(&claim, &[]), None);
}

/// Runs the binary; gives its exit code, stdout and stderr.
fn bowline(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bowline")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_verb_prints_a_line_per_object_and_expands_lists() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.yaml");
    let text = "\
kind: List
apiVersion: v1
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: dev}, status: {phase: Active}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: dev}, status: {phase: Lost}}
---
---
apiVersion: example.com/v1
kind: Database
status:
  conditions: [{type: Ready, status: true, message: \"all\\nis\\twell\"}]
---
kind: Nameless
---
a: [
";
    fs::write(&file, text).unwrap();
    let (code, stdout, stderr) = bowline(&["health", "-f", file.to_str().unwrap()]);
    let expected = "\
Healthy\tNamespace/dev\t
Degraded\tPersistentVolumeClaim/dev/data\tthe volume is lost
Healthy\tDatabase/-\tall is well
";
    assert_eq!(stdout, expected);
    assert!(stderr.contains("objects.yaml:13:1: apiVersion is missing or not a text"), "{stderr}");
    assert_eq!(code, Some(1));
    fs::write(&file, text.split("---\nkind: Nameless").next().unwrap()).unwrap();
    assert_eq!(bowline(&["health", "-f", file.to_str().unwrap()]).0, Some(0));
    assert_eq!(bowline(&["health", "-f", "nowhere.yaml"]).0, Some(1));
}

#[test]
fn the_verb_takes_rules_of_a_bowline_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let (objects, rules) = (folder.path().join("objects.yaml"), folder.path().join("bowline.yaml"));
    fs::write(&objects, "{apiVersion: example.com/v1, kind: Database, metadata: {name: a}, status: {users: 0}}")
        .unwrap();
    fs::write(&rules, "health:\n- group: example.com\n  kind: Database\n  degraded: s.users == 0\n").unwrap();
    let arguments = ["health", "--rules", rules.to_str().unwrap(), "-f", objects.to_str().unwrap()];
    assert_eq!(bowline(&arguments).1, "Degraded\tDatabase/a\tstatus.users is 0\n");
    fs::write(&rules, "health:\n- group: example.com\n  kind: Database\n  degraded: s.users ==\n").unwrap();
    let (code, _, stderr) = bowline(&arguments);
    assert!(code == Some(1) && stderr.contains("health[0].degraded: is not a CEL expression"), "{stderr}");
}
