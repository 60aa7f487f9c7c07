//! The test control plane itself: what the other tests rely on.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::common::cluster::{Event, Folder, Process, TestCluster, unique, wait_until};

const PATIENCE: Duration = Duration::from_secs(120);

/// A Deployment of one pod, with the simulation annotations of `stages.yaml`.
fn deployment(namespace: &str, name: &str, annotations: &Value) -> String {
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}, "annotations": annotations},
            "spec": {
                "initContainers": [{"name": "prepare", "image": "prepare:1"}],
                "containers": [{"name": "main", "image": "main:1"}],
            },
        }},
    })
    .to_string()
}

/// The first pod of a workload, once `wanted` finds what it looks for.
fn pod(cluster: &TestCluster, namespace: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let selector = format!("app={name}");
    wait_until(PATIENCE, || {
        let list = cluster.try_kubectl(&["get", "pods", "-n", namespace, "-l", &selector, "-o", "json"])?;
        let list: Value = serde_json::from_str(&list)?;
        let pod = list["items"].get(0).context("no pod yet")?;
        if wanted(pod) { Ok(pod.clone()) } else { bail!("pod is {}", pod["status"]) }
    })
    .unwrap()
}

#[test]
fn workloads_become_ready_and_jobs_succeed() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("ready");
    cluster.apply(&deployment(&namespace, "web", &serde_json::json!({})));
    cluster.kubectl(&["rollout", "status", "deployment/web", "-n", &namespace, "--timeout=120s"]);
    cluster.kubectl(&["create", "job", "migrate", "--image=migrate:1", "-n", &namespace]);
    cluster.kubectl(&["wait", "--for=condition=Complete", "job/migrate", "-n", &namespace, "--timeout=120s"]);
    cluster.kubectl(&["delete", "deployment", "web", "-n", &namespace]);
    cluster.kubectl(&["wait", "--for=delete", "pod", "-l", "app=web", "-n", &namespace, "--timeout=120s"]);
    cluster.kubectl(&["delete", "namespace", &namespace, "--timeout=120s"]);
    assert_eq!(cluster.get("namespace", "", &namespace), None);
}

#[test]
fn pods_fail_in_the_ways_pods_fail() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("failing");
    let cases = [
        ("image-pull-failure", "/status/containerStatuses/0/state/waiting/reason", "ImagePullBackOff"),
        ("crash-loop", "/status/containerStatuses/0/state/waiting/reason", "CrashLoopBackOff"),
        ("init-crash-loop", "/status/initContainerStatuses/0/state/waiting/reason", "CrashLoopBackOff"),
        ("config-error", "/status/containerStatuses/0/state/waiting/reason", "CreateContainerConfigError"),
        ("failed", "/status/phase", "Failed"),
    ];
    for (case, _, _) in cases {
        cluster.apply(&deployment(&namespace, case, &serde_json::json!({"simulate.bowline.dev/pod": case})));
    }
    cluster.apply(&deployment(
        &namespace,
        "never-ready",
        &serde_json::json!({"simulate.bowline.dev/pod": "never-ready"}),
    ));
    cluster.apply(&deployment(&namespace, "slow", &serde_json::json!({"simulate.bowline.dev/start-after": "1h"})));
    for (case, pointer, expected) in cases {
        pod(cluster, &namespace, case, |pod| pod.pointer(pointer).and_then(Value::as_str) == Some(expected));
    }
    let never_ready = pod(cluster, &namespace, "never-ready", |pod| pod["status"]["phase"] == "Running");
    assert_eq!(never_ready["status"]["containerStatuses"][0]["ready"], false);
    let slow = pod(cluster, &namespace, "slow", |pod| pod["spec"]["nodeName"].is_string());
    assert_eq!(slow["status"]["phase"], "Pending");
}

#[test]
fn the_audit_log_tells_who_asked_for_what() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("audit");
    cluster.kubectl(&["create", "configmap", "before", "-n", &namespace]);
    let mark = cluster.audit_mark();
    cluster.kubectl(&["create", "configmap", "kept", "-n", &namespace]);
    cluster.kubectl(&["create", "configmap", "tried", "-n", &namespace, "--dry-run=server"]);
    cluster.kubectl(&["delete", "configmap", "kept", "-n", &namespace]);
    let events = cluster.audit_since(mark);
    let ours = events.iter().filter(|event| event.namespace() == namespace && event.user() == "admin");
    let seen: Vec<(&str, &str, bool)> = ours
        .filter(|event| event.verb != "get")
        .map(|event| (event.verb.as_str(), event.name(), event.is_write()))
        .collect();
    assert_eq!(seen, [("create", "kept", true), ("create", "tried", false), ("delete", "kept", true)]);
    let created = |event: &&Event| event.verb == "create" && event.name() == "kept";
    assert_eq!(events.iter().find(created).map(|event| (event.code(), event.resource())), Some((201, "configmaps")));
}

#[test]
fn users_may_do_what_rbac_gives_them() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("users");
    let user = unique("reader");
    let kubeconfig = cluster.kubeconfig_for(&user).unwrap();
    let as_user = |arguments: &[&str]| {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--kubeconfig", kubeconfig.to_str().unwrap(), "-n", &namespace]);
        cluster.try_kubectl(&arguments)
    };
    assert!(as_user(&["get", "configmaps"]).unwrap_err().to_string().contains(&format!("User \"{user}\" cannot list")));
    cluster.kubectl(&["create", "rolebinding", "read", "--clusterrole=view", "--user", &user, "-n", &namespace]);
    wait_until(PATIENCE, || as_user(&["get", "configmaps"])).unwrap();

    cluster.kubectl(&["create", "serviceaccount", "robot", "-n", &namespace]);
    let kubeconfig = cluster.kubeconfig_for_service_account(&namespace, "robot").unwrap();
    let robot = cluster.kubectl(&["--kubeconfig", kubeconfig.to_str().unwrap(), "auth", "whoami", "-o", "json"]);
    assert!(robot.contains(&format!("system:serviceaccount:{namespace}:robot")), "{robot}");
}

#[test]
fn the_api_server_comes_back_with_its_data() {
    let cluster = TestCluster::start();
    cluster.kubectl(&["create", "namespace", "kept"]);
    cluster.stop_apiserver();
    assert!(cluster.try_kubectl(&["get", "namespace", "kept"]).is_err());
    cluster.start_apiserver();
    assert!(cluster.get("namespace", "", "kept").is_some());
    let pids = cluster.pids();
    let folder = cluster.folder().to_owned();
    drop(cluster);
    assert!(!folder.exists());
    for (name, pid) in pids {
        assert!(!is_running(pid), "{name} outlived its cluster");
    }
}

#[test]
fn a_process_ends_with_the_pipe_of_whoever_started_it() {
    let folder = Folder::new("bowline-process-").unwrap();
    let mut sleep = std::process::Command::new("sleep");
    sleep.arg("1000");
    let mut process = Process::start(folder.path(), "sleeper", &sleep).unwrap();
    assert!(is_running(process.pid()));
    assert_eq!(process.exit_status(), None);
    assert_eq!(process.terminate(PATIENCE), Some(128 + 15));
    assert!(!is_running(process.pid()));

    let process = Process::start(folder.path(), "sleeper", &sleep).unwrap();
    let pid = process.pid();
    drop(process);
    assert!(!is_running(pid));

    let mut words = std::process::Command::new("sh");
    words.args(["-c", "echo out; echo words >&2; exit 3"]);
    let process = Process::start(folder.path(), "words", &words).unwrap();
    let status = wait_until(PATIENCE, || process.exit_status().context("still running")).unwrap();
    assert_eq!((status, process.log().as_str()), (3, "out\nwords"));
}

fn is_running(pid: u32) -> bool {
    std::process::Command::new("kill")
        .args(["-0", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}
