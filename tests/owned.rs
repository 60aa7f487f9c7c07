//! A property on the real API server: whoever writes whatever field in whatever way, an owned value has changed if and only
//! if bowline notices. First by metadata alone (rule L1), then by the dry run that a notice leads to.

use std::fmt::Write as _;

use bowline::cluster::objects::{Answer, Force};
use bowline::cluster::{Actor, Cluster, Resource, configuration};
use bowline::diff::compare::{compare, essence};
use bowline::diff::{Seen, Verdict};
use bowline::object::Object;
use bowline::yaml;
use http::{Method, Request};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::common::cluster::{TestCluster, unique};

const MANAGER: &str = "bowline/owned/property";
/// Edits of each kind; `BOWLINE_EDITS` asks for more.
const EDITS: usize = 40;

/// An object of ours, and the fields that others write: owned ones, others' own, lists to be put into another order.
struct Kind {
    manifest: &'static str,
    fields: &'static [(&'static str, &'static [&'static str])],
    lists: &'static [&'static str],
    /// Maps that the server takes as one value.
    atomic: &'static [&'static str],
    status: Option<&'static str>,
}

const KINDS: [Kind; 4] = [
    Kind {
        manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: HOME, labels: {app: web}, annotations: {note: ours}}\n\
                   data: {a: '1', b: '2', c: ''}\n",
        fields: &[
            ("/data/a", &["\"1\"", "\"7\"", "null"]),
            ("/data/c", &["\"\"", "\"x\"", "null"]),
            ("/data/theirs", &["\"1\"", "\"2\"", "null"]),
            ("/metadata/labels/app", &["\"web\"", "\"api\"", "null"]),
            ("/metadata/labels/theirs", &["\"1\"", "\"2\"", "null"]),
            ("/metadata/annotations/note", &["\"theirs\"", "null"]),
        ],
        lists: &[],
        atomic: &[],
        status: None,
    },
    Kind {
        manifest: "apiVersion: v1\nkind: Service\nmetadata: {name: NAME, namespace: HOME}\n\
                   spec: {selector: {app: web}, ports: [{name: http, port: 80, protocol: TCP}, {name: admin, port: 81, protocol: TCP}]}\n",
        fields: &[
            ("/spec/selector/app", &["\"web\"", "\"api\"", "null"]),
            ("/spec/selector/theirs", &["\"1\"", "null"]),
            ("/spec/sessionAffinity", &["\"ClientIP\"", "\"None\""]),
            ("/spec/ports/0/targetPort", &["8080", "\"http\""]),
            ("/spec/ports/0/name", &["\"http\"", "\"web\""]),
        ],
        lists: &["/spec/ports"],
        atomic: &["/spec/selector"],
        status: Some("loadBalancer"),
    },
    Kind {
        manifest: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, namespace: HOME}\nspec:\n  replicas: 0\n  minReadySeconds: 1\n  \
                   selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      \
                   - {name: main, image: 'web:1', command: [run, fast], env: [{name: A, value: '1'}, {name: B, value: '2'}]}\n      \
                   - {name: side, image: 'side:1'}\n",
        fields: &[
            ("/spec/replicas", &["0", "1", "null"]),
            ("/spec/minReadySeconds", &["1", "2", "null"]),
            ("/spec/revisionHistoryLimit", &["3", "4"]),
            ("/spec/template/metadata/labels/theirs", &["\"1\"", "null"]),
            ("/spec/template/spec/containers/0/image", &["\"web:1\"", "\"web:2\""]),
            ("/spec/template/spec/containers/0/command", &["[\"run\",\"fast\"]", "[\"fast\",\"run\"]", "[\"run\"]"]),
            ("/spec/template/spec/containers/0/env/0/value", &["\"1\"", "\"9\""]),
            ("/spec/template/spec/terminationGracePeriodSeconds", &["5", "30"]),
            ("/metadata/annotations/theirs", &["\"1\"", "null"]),
        ],
        lists: &["/spec/template/spec/containers", "/spec/template/spec/containers/0/env"],
        atomic: &[],
        status: Some("conditions"),
    },
    Kind {
        manifest: "apiVersion: GROUP/v1\nkind: Gadget\nmetadata: {name: NAME, namespace: HOME}\nspec:\n  size: 3\n  map: {a: x, b: w}\n  \
                   set: [one, two, three]\n  list: [{name: p, value: 1}, {name: q, value: 2}]\n  atomic: [c, b, a]\n",
        fields: &[
            ("/spec/size", &["3", "4", "null"]),
            ("/spec/map/a", &["\"x\"", "\"z\"", "null"]),
            ("/spec/map/theirs", &["\"1\"", "null"]),
            ("/spec/list/0/value", &["1", "5"]),
            ("/spec/atomic", &["[\"c\",\"b\",\"a\"]", "[\"a\",\"b\",\"c\"]"]),
            ("/spec/color", &["\"red\"", "\"blue\"", "null"]),
        ],
        lists: &["/spec/set", "/spec/list"],
        atomic: &[],
        status: Some("phase"),
    },
];

fn definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gadgets.{group}}}\nspec:\n  group: {group}\n  \
         scope: Namespaced\n  names: {{kind: Gadget, plural: gadgets}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    \
         subresources: {{status: {{}}}}\n    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          \
         status: {{type: object, x-kubernetes-preserve-unknown-fields: true}}\n          spec:\n            type: object\n            \
         properties:\n              size: {{type: integer, default: 3}}\n              color: {{type: string, default: red}}\n              \
         map: {{type: object, additionalProperties: {{type: string}}}}\n              \
         set: {{type: array, x-kubernetes-list-type: set, items: {{type: string}}}}\n              \
         atomic: {{type: array, x-kubernetes-list-type: atomic, items: {{type: string}}}}\n              \
         list: {{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {{type: object, \
         required: [name], properties: {{name: {{type: string}}, value: {{type: integer}}}}}}}}\n"
    )
}

/// One object under edits.
struct Subject<'a> {
    cluster: &'a Cluster,
    client: kube::Client,
    resource: Resource,
    ours: Object,
    path: String,
}

impl Subject<'_> {
    async fn apply(&self) -> Value {
        let applied =
            self.cluster.apply(&self.resource, &self.ours, MANAGER, Force::Yes, Answer::Object, &Actor::Own).await;
        applied.unwrap().object
    }

    async fn live(&self) -> Value {
        self.cluster.get(&self.resource, &self.ours.id(), &Actor::Own).await.unwrap().unwrap()
    }

    /// Sends an edit as somebody else; one that the server refuses changes nothing.
    async fn send(&self, edit: &Edit) {
        let (method, content, suffix, body) = match edit {
            Edit::Merge(body) => (Method::PATCH, "application/merge-patch+json", "", body),
            Edit::Json(body) => (Method::PATCH, "application/json-patch+json", "", body),
            Edit::Put(body) => (Method::PUT, "application/json", "", body),
            Edit::Apply(body) => (Method::PATCH, "application/apply-patch+yaml", "&force=true", body),
            Edit::Status(body) => {
                let uri = format!("{}/status?fieldManager=someone", self.path);
                return self.request(Method::PATCH, "application/merge-patch+json", &uri, body).await;
            }
        };
        let uri = format!("{}?fieldManager=someone{suffix}", self.path);
        self.request(method, content, &uri, body).await;
    }

    async fn request(&self, method: Method, content: &str, uri: &str, body: &Value) {
        let request = Request::builder().method(method).uri(uri).header("Content-Type", content);
        let request = request.body(serde_json::to_vec(body).unwrap()).unwrap();
        match self.client.request::<Value>(request).await {
            Ok(_) | Err(kube::Error::Api(_)) => {}
            Err(error) => panic!("{uri}: {error}"),
        }
    }
}

#[derive(Debug)]
enum Edit {
    Merge(Value),
    Json(Value),
    Put(Value),
    Apply(Value),
    Status(Value),
}

/// A random edit of a random field in a random way.
fn edit(kind: &Kind, live: &Value, random: &mut StdRng) -> Edit {
    let mut changed = live.clone();
    let status = kind.status.filter(|_| random.random_ratio(1, 8));
    if let Some(field) = status {
        let value = if field == "phase" { json!(format!("phase-{}", random.random_range(0..9))) } else { Value::Null };
        return Edit::Status(json!({"status": {field: value}}));
    }
    if !kind.lists.is_empty() && random.random_ratio(1, 5) {
        let list = kind.lists.choose(random).unwrap();
        if let Some(list) = changed.pointer_mut(list).and_then(Value::as_array_mut) {
            list.reverse();
        }
        return Edit::Put(changed);
    }
    let (pointer, values) = kind.fields.choose(random).unwrap();
    let value: Value = serde_json::from_str(values.choose(random).unwrap()).unwrap();
    set(&mut changed, pointer, &value);
    match random.random_range(0..4) {
        0 => Edit::Put(changed),
        1 if live.pointer(pointer).is_some() => {
            let operation = if value.is_null() {
                json!({"op": "remove", "path": pointer})
            } else {
                json!({"op": "replace", "path": pointer, "value": value})
            };
            Edit::Json(json!([operation]))
        }
        2 if !value.is_null() && !pointer.contains("/0") => {
            let mut part = json!({"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {"name": live["metadata"]["name"]}});
            set(&mut part, pointer, &value);
            Edit::Apply(part)
        }
        _ if pointer.contains("/0") => Edit::Put(changed),
        _ => {
            let mut part = json!({});
            set(&mut part, pointer, &value);
            Edit::Merge(part)
        }
    }
}

/// Sets a field, making the maps on the way; in a whole object null removes it.
fn set(object: &mut Value, pointer: &str, value: &Value) {
    let is_whole = object.pointer("/metadata/uid").is_some();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let mut place = object;
    for step in parent.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    match place {
        Value::Object(map) if is_whole && value.is_null() => drop(map.remove(last)),
        place => place[last] = value.clone(),
    }
}

/// What of a live object is ours, in its order: the oracle, which knows nothing of managed fields.
fn owned(ours: &Value, live: Option<&Value>) -> Value {
    let Some(live) = live else { return json!("absent") };
    match (ours, live) {
        (Value::Object(ours), Value::Object(live)) => {
            ours.iter().map(|(key, value)| (key.clone(), owned(value, live.get(key)))).collect()
        }
        (Value::Array(ours), Value::Array(live)) => {
            let name = |item: &Value| item.get("name").cloned();
            if ours.iter().all(|item| name(item).is_some()) {
                let of_ours =
                    |item: &Value| ours.iter().find(|our| name(our) == name(item)).map(|our| owned(our, Some(item)));
                live.iter().filter_map(of_ours).collect()
            } else {
                Value::Array(live.clone())
            }
        }
        (_, live) => live.clone(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
fn edits() -> usize {
    std::env::var("BOWLINE_EDITS").ok().and_then(|text| text.parse().ok()).unwrap_or(EDITS)
}

#[test]
fn an_owned_value_has_changed_if_and_only_if_it_is_noticed() {
    let edits = edits();
    let control = TestCluster::shared();
    let (home, group) = (control.namespace("owned"), format!("{}.example.com", unique("owned")));
    control.apply(&definition(&group));
    control.kubectl(&["wait", "--for=condition=Established", &format!("crd/gadgets.{group}"), "--timeout=60s"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = configuration(Some(&control.kubeconfig()), None).await.unwrap();
        let client = kube::Client::try_from(config.clone()).unwrap();
        let cluster = Cluster::connect(config).await.unwrap();
        for (number, kind) in KINDS.iter().enumerate() {
            let manifest = kind.manifest.replace("GROUP", &group).replace("HOME", &home).replace("NAME", "subject");
            let value = yaml::read(manifest.as_bytes(), &yaml::Options::manifests()).unwrap();
            let ours = Object::new(value).unwrap();
            let resource = served(&cluster, &ours).await;
            let path = resource.object(&home, "subject");
            let subject = Subject { cluster: &cluster, client: client.clone(), resource, ours, path };
            follow(&subject, kind, edits, 7 + number as u64).await;
        }
    });
}

/// A definition is served a moment after it is established.
async fn served(cluster: &Cluster, object: &Object) -> Resource {
    for _ in 0..300 {
        if let Some(resource) = cluster.resource(&object.gvk()).await {
            return resource;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} is not served", object.gvk());
}

async fn follow(subject: &Subject<'_>, kind: &Kind, edits: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut changes, mut notices) = (0, 0);
    for number in 0..edits {
        let before = subject.apply().await;
        let seen = Seen::of(&before, MANAGER);
        let edit = edit(kind, &before, &mut random);
        subject.send(&edit).await;
        let after = subject.live().await;
        let ours = subject.ours.value();
        let atomic = |pointer: &&str| before.pointer(pointer) != after.pointer(pointer);
        let changed = owned(ours, Some(&before)) != owned(ours, Some(&after)) || kind.atomic.iter().any(atomic);
        let noticed = matches!(Seen::of(&after, MANAGER).verdict(&seen), Verdict::Look | Verdict::Replaced);
        let mut story = format!("{} edit {number} of seed {seed}: {edit:?}", subject.ours.id());
        assert!(noticed || !changed, "a change was missed: {story}");
        changes += usize::from(changed);
        notices += usize::from(noticed);
        if noticed {
            let run =
                subject.cluster.dry_run_apply(&subject.resource, &subject.ours, MANAGER, Force::Yes, &Actor::Own).await;
            let fields = compare(&essence(&after), &essence(&run.unwrap().object));
            for field in &fields {
                let _ = write!(story, "\n  {} {:?} -> {:?}", field.path, field.before, field.after);
            }
            assert_eq!(!fields.is_empty(), changed, "the dry run sees something else: {story}");
        }
    }
    assert!(changes > edits / 8, "{changes} of {edits} edits changed something of ours");
    assert!(notices < edits, "everything is noticed, whatever it is");
}
