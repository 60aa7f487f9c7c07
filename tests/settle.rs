//! What the server makes of an object is no drift: each shape that is known to move or to differ is applied once and then
//! left in peace, by a look as well as by a restart.

use std::fmt::Write as _;

use crate::common::bowline::Story;
use crate::common::cluster::{Mark, unique};

/// Objects of a namespace, each with one of the traps; `NAME` is unique, `HOME` the namespace.
const TRAPS: &[(&str, &str)] = &[
    (
        "nulls, defaults and quantities of a Deployment, ports without protocol, a status in the manifest",
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: HOME, creationTimestamp: null, labels: {app: web}}
spec:
  replicas: 1
  strategy: {}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {creationTimestamp: null, labels: {app: web}}
    spec:
      nodeSelector: null
      volumes: []
      containers:
      - name: main
        image: nginx:1
        resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: "0.5"}}
        env: [{name: A, value: ""}, {name: B, value: "2"}]
        ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]
        livenessProbe: {httpGet: {port: 80, path: /}, initialDelaySeconds: 0}
status: {}
"#,
    ),
    (
        "claim templates of a StatefulSet",
        r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: HOME}
spec:
  replicas: 0
  serviceName: ""
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: "db:1", volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates:
  - metadata: {name: data, creationTimestamp: null}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
    status: {}
"#,
    ),
    (
        "empty lists of a NetworkPolicy",
        r#"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: HOME}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [], egress: [{to: [], ports: []}]}
"#,
    ),
    (
        "empty lists of roles and bindings",
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: nothing, namespace: HOME}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: nobody, namespace: HOME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: nothing}
subjects: []
"#,
    ),
    (
        "rules of an aggregated ClusterRole, which a controller fills",
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part-of: NAME}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME-part, labels: {part-of: NAME}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME-null}
rules: null
"#,
    ),
    (
        "stringData, and data beside it",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: both, namespace: HOME}\nstringData: {a: one}\ndata: {b: dHdv}\n",
    ),
    (
        "ports as text and number, fields that the server sets",
        r#"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: HOME}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}, {name: admin, port: 81, targetPort: 8081}]
---
apiVersion: v1
kind: Service
metadata: {name: none, namespace: HOME}
spec: {clusterIP: None, selector: {app: web}, ports: []}
"#,
    ),
    (
        "quantities of quotas, limits and claims; percentages",
        r#"
apiVersion: v1
kind: ResourceQuota
metadata: {name: all, namespace: HOME}
spec: {hard: {limits.cpu: 20000m, requests.memory: 10240Mi, pods: "0050"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: all, namespace: HOME}
spec: {limits: [{type: Container, default: {cpu: "1.50"}, defaultRequest: {cpu: 0.1}}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: HOME}
spec: {accessModes: [ReadWriteOnce], storageClassName: NAME, resources: {requests: {storage: "1073741824"}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: HOME}
spec: {maxUnavailable: 50%, selector: {matchLabels: {app: web}}}
"#,
    ),
    (
        "metrics of an autoscaler in another order than the server's",
        r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db, namespace: HOME}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  maxReplicas: 3
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 500m}}}
"#,
    ),
    (
        "a schedule, an account, an ingress, an empty map",
        r#"
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: HOME}
spec:
  schedule: "@daily"
  suspend: true
  jobTemplate: {metadata: {creationTimestamp: null}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: HOME}
imagePullSecrets: []
secrets: []
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: HOME, annotations: {}}
spec: {rules: [{host: HOME.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: empty, namespace: HOME}
data: {}
"#,
    ),
    (
        "defaults, number formats and nulls of a custom resource, a caBundle that is no certificate",
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NAME.example.com, creationTimestamp: null}
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, format: int32, default: 3}
              ratio: {type: number, format: double}
              note: {type: string, nullable: true}
              list: {type: array, items: {type: string}}
status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}
---
apiVersion: NAME.example.com/v1
kind: Thing
metadata: {name: one, namespace: HOME}
spec: {ratio: 1, note: null, list: []}
"#,
    ),
    (
        "empty lists of a webhook configuration",
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME.example.com}
webhooks:
- name: nothing.NAME.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://localhost:1/nothing"}
  matchConditions: []
  rules: []
"#,
    ),
];

/// How many objects the traps are.
const OBJECTS: usize = 23;

#[test]
fn what_the_server_completes_is_no_drift() {
    let mut story = Story::new("settle");
    let home = story.cluster.namespace("settle");
    let name = unique("settle");
    let files: Vec<(String, String)> = TRAPS
        .iter()
        .enumerate()
        .map(|(number, (what, text))| {
            let text = text.replace("HOME", &home).replace("NAME", &name);
            (format!("{number:02}.yaml"), format!("# {what}\n{}", text.trim_start()))
        })
        .collect();
    let mut named: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    // The claim has no volume, and nobody makes one.
    named.push(("bowline.yaml", "apiVersion: bowline.dev/v1\nkind: Settings\nwait: false\n"));
    let commit = story.commit("every trap", &named);
    let applied = story.on_repo("apply", &[]);
    assert_eq!(applied.code, Some(0), "{applied:?}");

    let mark = story.cluster.audit_mark();
    let plan = story.on_repo("plan", &[]);
    assert_eq!((plan.code, plan.stdout.contains("nothing changes")), (Some(0), true), "{plan:?}");
    story.start();
    let applied = |status: &serde_json::Value| {
        status["units"]
            .as_array()
            .is_some_and(|units| units.len() == 2 && units.iter().all(|unit| unit["result"] == "applied"))
    };
    story.wait_status(&commit, applied);
    // A label that is not ours makes each object worth a look, and none worth a write.
    let kinds = "deployments,statefulsets,networkpolicies,roles,rolebindings,secrets,services,resourcequotas,limitranges,\
                 persistentvolumeclaims,poddisruptionbudgets,horizontalpodautoscalers,cronjobs,serviceaccounts,ingresses,\
                 configmaps";
    let things = format!("{kinds},things.{name}.example.com");
    story.cluster.kubectl(&["label", &things, "-n", &home, "-l", "bowline.dev/unit", "looked-at=yes"]);
    for resource in ["clusterrole", "customresourcedefinition", "validatingwebhookconfiguration"] {
        let names = story.cluster.kubectl(&["get", resource, "-l", "bowline.dev/unit", "-o", "name"]);
        for object in names.lines().filter(|line| line.contains(&name)) {
            story.cluster.kubectl(&["label", object, "looked-at=yes"]);
        }
    }
    let looked = |events: &[crate::common::cluster::Event]| {
        events
            .iter()
            .filter(|event| is_look(event, &home, &name))
            .map(|event| event.uri.clone())
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    story.eventually("every object is looked at", || {
        let number = looked(&story.cluster.audit_since(mark));
        if number == OBJECTS { Ok(()) } else { anyhow::bail!("{number} objects") }
    });
    assert_eq!(writes(&story, mark, &home, &name), "", "nothing was to be written");
    assert_eq!(story.stop(), Some(0));
}

fn is_look(event: &crate::common::cluster::Event, home: &str, name: &str) -> bool {
    let ours = event.namespace() == home || event.uri.contains(name);
    event.user_agent.starts_with("bowline") && ours && event.verb == "patch" && event.uri.contains("dryRun")
}

fn writes(story: &Story, mark: Mark, home: &str, name: &str) -> String {
    let mut text = String::new();
    for event in story.cluster.audit_since(mark) {
        let ours = event.user_agent.starts_with("bowline") && (event.namespace() == home || event.uri.contains(name));
        let writes = ["create", "update", "patch", "delete"].contains(&event.verb.as_str());
        if ours && writes && !event.uri.contains("dryRun") && !event.uri.contains("/events") {
            let _ = writeln!(text, "{} {}", event.verb, event.uri);
        }
    }
    text
}
