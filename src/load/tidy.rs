//! Makes of an object as written one that the API server takes as it is, and finds what it would refuse.
//!
//! Server-side apply is strict where people are not: a port without protocol has no key, two environment variables of one
//! name are an error that names neither, `stringData` hides drift. What has one meaning is put right; the rest is a fault
//! with its place. Nothing here depends on a cluster.
//!
//! Start at [`tidy`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::fields::{Fault, key, path_text, what};
use crate::yaml::Step;

/// Label and annotation by which bowline marks its objects; never taken from Git.
const MARKS: [(&str, &str); 2] = [("labels", "bowline.dev/unit"), ("annotations", "bowline.dev/id")];

/// What `kubectl apply` leaves behind.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields of `metadata` that the server writes.
const SERVER_FIELDS: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
];

/// What a `data` value of a Secret that is not base64 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lenient {
    /// An error, as for the API server.
    No,
    /// A text that somebody forgot to encode: the older spellings are written so.
    Secrets,
}

/// Puts an object right in place; what cannot be put right is a fault.
///
/// ```
/// use bowline::load::{Lenient, tidy};
/// let mut secret = serde_json::json!({
///     "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"user": "bob"},
/// });
/// assert!(tidy(&mut secret, Lenient::No).is_empty());
/// assert_eq!(secret["data"]["user"], "Ym9i");
/// ```
pub fn tidy(object: &mut Value, lenient: Lenient) -> Vec<Fault> {
    let mut faults = Vec::new();
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    metadata(object, &mut faults);
    // The status of a custom resource without status subresource is a field like any other.
    if is_builtin(&api_version)
        && let Some(root) = object.as_object_mut()
    {
        root.remove("status");
    }
    match (api_version.as_str(), kind.as_str()) {
        ("v1", "Secret") => secret(object, lenient, &mut faults),
        ("v1", "ConfigMap") => texts_below(object, "data", &mut faults),
        ("v1", "Service") => service(object, &mut faults),
        ("networking.k8s.io/v1", "NetworkPolicy") => network_policy(object),
        // The controller fills the rules of an aggregated role; writing them starts a fight.
        ("rbac.authorization.k8s.io/v1", "ClusterRole")
            if object.get("aggregationRule").is_some_and(|rule| !rule.is_null()) =>
        {
            remove(object, "rules");
        }
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            remove_empty_list(object, "webhooks");
        }
        _ => {}
    }
    if let Some(path) = pod_template(&api_version, &kind) {
        pod(object, path, &mut faults);
    }
    faults
}

/// Whether an API group belongs to Kubernetes itself.
pub(crate) fn is_builtin(api_version: &str) -> bool {
    match api_version.split_once('/') {
        None => true,
        Some((group, _)) => !group.contains('.') || group.ends_with(".k8s.io") && !group.contains(".x-k8s.io"),
    }
}

/// Where a kind keeps its pod's `metadata` and `spec`; `None` for kinds without.
fn pod_template(api_version: &str, kind: &str) -> Option<&'static [&'static str]> {
    Some(match (api_version, kind) {
        ("v1", "Pod") => &[],
        ("v1", "PodTemplate") => &["template"],
        ("v1", "ReplicationController")
        | ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch/v1", "Job") => &["spec", "template"],
        ("batch/v1", "CronJob") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    })
}

fn remove(object: &mut Value, name: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(name);
    }
}

fn remove_empty_list(object: &mut Value, name: &str) {
    if object.get(name).and_then(Value::as_array).is_some_and(Vec::is_empty) {
        remove(object, name);
    }
}

fn step(name: &str) -> Step {
    Step::Key(name.to_owned())
}

/// Takes out what the server writes, and checks that labels and annotations are texts.
fn metadata(object: &mut Value, faults: &mut Vec<Fault>) {
    let path = [step("metadata")];
    let Some(metadata) = object.get_mut("metadata") else { return };
    let Some(map) = metadata.as_object_mut() else { return };
    for name in SERVER_FIELDS {
        let Some(value) = map.remove(name) else { continue };
        if !value.is_null() && name != "creationTimestamp" {
            let message = format!("metadata.{name}: is written by the server; left out");
            faults.push(Fault::warning(&key(&path, name), message, "remove it"));
        }
    }
    if map.remove("uid").is_some_and(|uid| !uid.is_null()) {
        let message = "metadata.uid: is written by the server; left out";
        faults.push(Fault::warning(&key(&path, "uid"), message, "remove it"));
    }
    for name in ["labels", "annotations"] {
        text_map(map, name, &path, faults);
    }
    for (entries, mark) in MARKS.into_iter().chain([("annotations", LAST_APPLIED)]) {
        let Some(entries_map) = map.get_mut(entries).and_then(Value::as_object_mut) else { continue };
        if entries_map.remove(mark).is_some() {
            let path = key(&key(&path, entries), mark);
            let message = format!("metadata.{entries}: {mark} belongs to the object in the cluster; left out");
            faults.push(Fault::warning(&path, message, "remove it"));
        }
    }
}

/// Checks that a map holds texts only: a bare `true` or `1` is the commonest slip there.
fn text_map(parent: &Map<String, Value>, name: &str, path: &[Step], faults: &mut Vec<Fault>) {
    let Some(value) = parent.get(name).filter(|value| !value.is_null()) else { return };
    let path = key(path, name);
    let Some(entries) = value.as_object() else {
        faults.push(Fault::error(
            &path,
            format!("{}: expected a mapping, this is {}", path_text(&path), what(value)),
            "",
        ));
        return;
    };
    for (entry, value) in entries {
        if !value.is_string() && !value.is_null() {
            let path = key(&path, entry);
            let message = format!("{}: expected a text, this is {}", path_text(&path), what(value));
            faults.push(Fault::error(&path, message, "put it in quotes"));
        }
    }
}

fn texts_below(object: &Value, name: &str, faults: &mut Vec<Fault>) {
    if let Some(root) = object.as_object() {
        text_map(root, name, &[], faults);
    }
}

/// Turns `stringData` into `data`, and checks that `data` is base64.
fn secret(object: &mut Value, lenient: Lenient, faults: &mut Vec<Fault>) {
    let Some(root) = object.as_object_mut() else { return };
    text_map(root, "data", &[], faults);
    text_map(root, "stringData", &[], faults);
    if let Some(data) = root.get_mut("data").and_then(Value::as_object_mut) {
        for (name, value) in data.iter_mut() {
            let Some(text) = value.as_str() else { continue };
            let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
            if STANDARD.decode(&compact).is_ok() {
                continue;
            }
            let path = [step("data"), step(name)];
            match lenient {
                Lenient::No => {
                    let message = format!("data.{name}: is not base64");
                    faults.push(Fault::error(&path, message, "plain text goes under stringData"));
                }
                Lenient::Secrets => {
                    *value = Value::String(STANDARD.encode(text));
                    let message = format!("data.{name}: is not base64; taken as plain text");
                    faults.push(Fault::warning(&path, message, "plain text goes under stringData"));
                }
            }
        }
    }
    let Some(Value::Object(plain)) = root.remove("stringData") else { return };
    let data = root.entry("data").or_insert(Value::Null);
    if !data.is_object() {
        *data = json!({});
    }
    let Some(data) = data.as_object_mut() else { return };
    for (name, value) in plain {
        if let Value::String(text) = value {
            data.insert(name, Value::String(STANDARD.encode(text)));
        }
    }
}

fn service(object: &mut Value, faults: &mut Vec<Fault>) {
    let path = [step("spec"), step("ports")];
    let Some(ports) = object.pointer_mut("/spec/ports") else { return };
    default_protocol(ports);
    unique(ports, &path, &["port", "protocol"], faults);
}

/// Gives each port the protocol that is part of its key in server-side apply.
fn default_protocol(ports: &mut Value) {
    for port in ports.as_array_mut().into_iter().flatten() {
        if let Some(port) = port.as_object_mut()
            && port.get("protocol").is_none_or(Value::is_null)
        {
            port.insert("protocol".to_owned(), json!("TCP"));
        }
    }
}

/// Finds two items of a list that have the same key.
fn unique(list: &Value, path: &[Step], keys: &[&str], faults: &mut Vec<Fault>) {
    let Some(items) = list.as_array() else { return };
    let mut seen: Vec<(Vec<&Value>, usize)> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(values) = keys.iter().map(|key| item.get(key)).collect::<Option<Vec<_>>>() else { continue };
        match seen.iter().find(|(known, _)| *known == values) {
            Some((_, first)) => {
                let path = super::fields::below(path, Step::Index(index));
                let words: Vec<String> =
                    keys.iter().zip(&values).map(|(key, value)| format!("{key} {value}")).collect();
                let message = format!(
                    "{}: {} is there already, as item {first}",
                    path_text(&path),
                    words.join(", ").replace('"', "`")
                );
                faults.push(Fault::error(&path, message, "remove one of the two"));
            }
            None => seen.push((values, index)),
        }
    }
}

/// Puts a pod's specification right: default protocols, lists with keys.
fn pod(object: &mut Value, path: &[&str], faults: &mut Vec<Fault>) {
    let mut at = object;
    for name in path {
        let Some(next) = at.get_mut(*name) else { return };
        at = next;
    }
    let mut path: Vec<Step> = path.iter().map(|name| step(name)).collect();
    if !path.is_empty()
        && let Some(metadata) = at.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("creationTimestamp");
        let path = key(&path, "metadata");
        text_map(metadata, "labels", &path, faults);
        text_map(metadata, "annotations", &path, faults);
    }
    path.push(step("spec"));
    let Some(spec) = at.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for (list, keys) in [
        ("volumes", &["name"][..]),
        ("imagePullSecrets", &["name"]),
        ("hostAliases", &["ip"]),
        ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ] {
        if let Some(value) = spec.get(list) {
            unique(value, &key(&path, list), keys, faults);
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let Some(containers) = spec.get_mut(list) else { continue };
        let path = key(&path, list);
        unique(containers, &path, &["name"], faults);
        for (index, container) in containers.as_array_mut().into_iter().flatten().enumerate() {
            self::container(container, &super::fields::below(&path, Step::Index(index)), faults);
        }
    }
}

fn container(container: &mut Value, path: &[Step], faults: &mut Vec<Fault>) {
    if let Some(ports) = container.get_mut("ports") {
        default_protocol(ports);
    }
    for (list, keys) in [
        ("env", &["name"][..]),
        ("ports", &["containerPort", "protocol"]),
        ("volumeMounts", &["mountPath"]),
        ("volumeDevices", &["devicePath"]),
    ] {
        if let Some(value) = container.get(list) {
            unique(value, &key(path, list), keys, faults);
        }
    }
    for (index, variable) in container.get("env").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let Some(value) = variable.get("value").filter(|value| !value.is_string() && !value.is_null()) else {
            continue;
        };
        let path = key(&super::fields::below(&key(path, "env"), Step::Index(index)), "value");
        let message = format!("{}: expected a text, this is {}", path_text(&path), what(value));
        faults.push(Fault::error(&path, message, "put it in quotes"));
    }
}

/// Takes empty lists out of a NetworkPolicy: each makes every apply a write. What they mean stays the same.
fn network_policy(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let given = |spec: &Map<String, Value>, name: &str| spec.get(name).is_some_and(|value| !value.is_null());
    // Without policyTypes the server reads them off the fields: the empty list must have been read before it goes.
    if !given(spec, "policyTypes") && (given(spec, "ingress") || given(spec, "egress")) {
        let types = if given(spec, "egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.get_mut(rules).and_then(Value::as_array_mut).into_iter().flatten() {
            remove_empty_list(rule, peers);
            remove_empty_list(rule, "ports");
        }
        if spec.get(rules).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            spec.remove(rules);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(mut object: Value) -> (Value, Vec<String>) {
        let faults = tidy(&mut object, Lenient::No);
        (object, faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn string_data_becomes_data_and_wins() {
        let (secret, faults) = tidied(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "data": {"a": "YQ==", "b": "not base64!"}, "stringData": {"a": "x"}}));
        assert_eq!(secret["data"]["a"], "eA==");
        assert_eq!(secret.get("stringData"), None);
        assert_eq!(faults, ["data.b: is not base64"]);
    }

    #[test]
    fn keys_written_twice_are_found() {
        let (deployment, faults) = tidied(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "creationTimestamp": null, "resourceVersion": "1"},
            "spec": {"template": {"metadata": {"creationTimestamp": null}, "spec": {"containers": [{
                "name": "a", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": 2}],
                "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"}],
            }]}}},
            "status": {"replicas": 1},
        }));
        assert_eq!(
            faults,
            [
                "metadata.resourceVersion: is written by the server; left out",
                "spec.template.spec.containers[0].env[1]: name `A` is there already, as item 0",
                "spec.template.spec.containers[0].ports[1]: containerPort 80, protocol `TCP` is there already, as item 0",
                "spec.template.spec.containers[0].env[1].value: expected a text, this is a number",
            ]
        );
        assert_eq!(deployment["metadata"], json!({"name": "a"}));
        assert_eq!(deployment["spec"]["template"]["metadata"], json!({}));
        assert_eq!(deployment.get("status"), None);
    }

    #[test]
    fn empty_lists_of_network_policies_go_and_their_meaning_stays() {
        for (spec, wanted) in [
            (json!({"podSelector": {}, "ingress": []}), json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
            (
                json!({"podSelector": {}, "egress": []}),
                json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
            ),
            (json!({"policyTypes": ["Egress"], "egress": []}), json!({"policyTypes": ["Egress"]})),
            (json!({"podSelector": {}}), json!({"podSelector": {}})),
            (
                json!({"policyTypes": ["Ingress"], "ingress": [{"from": [], "ports": [{"port": 80}]}]}),
                json!({"policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]}),
            ),
        ] {
            let (policy, _) =
                tidied(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": spec}));
            assert_eq!(policy["spec"], wanted);
        }
    }

    #[test]
    fn aggregated_roles_have_no_rules_of_their_own() {
        let role = |rule: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "aggregationRule": rule, "rules": []});
        assert_eq!(tidied(role(json!({"clusterRoleSelectors": []}))).0.get("rules"), None);
        assert_eq!(tidied(role(Value::Null)).0.get("rules"), Some(&json!([])));
    }

    #[test]
    fn the_status_of_a_custom_resource_may_be_a_field_like_any_other() {
        let (custom, _) = tidied(json!({"apiVersion": "example.org/v1", "kind": "A", "status": {"a": 1}}));
        assert_eq!(custom["status"], json!({"a": 1}));
    }

    #[test]
    fn labels_are_texts() {
        let (_, faults) = tidied(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"a": true}, "annotations": ["x"]}, "data": {"port": 80}}));
        assert_eq!(
            faults,
            [
                "metadata.labels.a: expected a text, this is true or false",
                "metadata.annotations: expected a mapping, this is a list",
                "data.port: expected a text, this is a number",
            ]
        );
    }
}
