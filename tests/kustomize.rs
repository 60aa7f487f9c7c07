//! kustomize's words on lists of objects: goldens by `kustomize/baseline.sh`, and the shared patch cases.

use std::collections::BTreeMap;

use bowline::kustomize::spec::Words;
use bowline::kustomize::{build, json_patch, merge_patch, overlay, strategic_merge, strategic_merge_as};
use bowline::object::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What kustomize takes and we refuse, with the reason.
const REFUSED: &[(&str, &str)] = &[("bad key", "the API server refuses the key, and says so much later")];

fn files(case: &Value) -> BTreeMap<String, Vec<u8>> {
    let bytes = |content: &str| match content.strip_prefix("bytes:") {
        Some(bytes) => bytes.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect(),
        None => content.as_bytes().to_vec(),
    };
    let files = case["files"].as_object().into_iter().flatten();
    files.map(|(name, content)| (name.clone(), bytes(content.as_str().unwrap()))).collect()
}

#[test]
fn words_give_what_kustomize_gives() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kustomize/goldens.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let words: Words = serde_json::from_value(case["words"].clone()).unwrap();
        let objects = case["objects"].as_array().unwrap().iter();
        let objects: Vec<Object> = objects.map(|object| Object::new(object.clone()).unwrap()).collect();
        let files = files(case);
        let read = &mut |name: &str| files.get(name).cloned().ok_or_else(|| "no such file".to_owned());
        let result = build(&words, objects, read);
        let result = result.map(|objects| Value::Array(objects.into_iter().map(Object::into_value).collect()));
        let name = case["name"].as_str().unwrap();
        let expected = case.get("result").cloned().unwrap_or_else(|| json!([]));
        let same = match (&result, case.get("error")) {
            (Ok(objects), None) => *objects == expected,
            (Err(_), Some(_)) => true,
            _ => false,
        };
        if same == REFUSED.iter().any(|(known, _)| *known == name) {
            let result = result.map_or_else(|error| format!("error {error}"), |value| value.to_string());
            wrong.push(format!("{name}\n  wanted {expected} {}\n  got    {result}", case["error"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn shared_patch_cases_give_what_kubectl_gives() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/patches/cases.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: ../shared is absent");
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let (original, patch) = (&case["original"], &case["patch"]);
        let result = match case["format"].as_str().unwrap() {
            "strategic-merge" => {
                let (api_version, kind) = case["type"].as_str().unwrap().split_once(' ').unwrap();
                strategic_merge_as(api_version, kind, original, patch)
            }
            "json6902" => json_patch(original, patch),
            _ => merge_patch(original, patch),
        };
        let same = match (&result, case.get("error")) {
            (Ok(value), None) => *value == case["result"],
            (Err(_), Some(_)) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!(
                "{} {}\n  wanted {} {}\n  got {result:?}",
                case["id"], case["what"], case["result"], case["error"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let key = prop_oneof![
            "[a-c]",
            Just("name".to_owned()),
            Just("spec".to_owned()),
            Just("containers".to_owned()),
            Just("ports".to_owned()),
            Just("containerPort".to_owned()),
            Just("$patch".to_owned()),
            Just("$retainKeys".to_owned()),
            Just("$setElementOrder/containers".to_owned()),
            Just("$deleteFromPrimitiveList/finalizers".to_owned()),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn pod(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_patch_panics(before in json_value(), change in json_value()) {
        let _ = strategic_merge(&pod(&before), &json!({"spec": change}));
        let _ = overlay(&pod(&before), &json!({"spec": change}));
        let _ = merge_patch(&before, &change);
        let _ = json_patch(&before, &change);
        let operation = json!([{"op": "add", "path": "/a/0", "value": change}, {"op": "test", "path": "/a/-1"}]);
        let _ = json_patch(&before, &operation);
    }

    #[test]
    fn an_empty_patch_changes_nothing(before in json_value()) {
        prop_assert_eq!(strategic_merge(&pod(&before), &json!({})), Ok(pod(&before)));
        prop_assert_eq!(json_patch(&before, &json!([])), Ok(before));
    }
}
