//! `--set` and its relatives against Helm's own parser: goldens by `set/baseline.sh`.

use bowline::chart::set::{Flag, set};
use bowline::yaml;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FLAGS: [Flag; 5] = [Flag::Json, Flag::Set, Flag::Text, Flag::File, Flag::Literal];

fn read_file(name: &str) -> Result<String, String> {
    if name == "missing" { Err("no such file".to_owned()) } else { Ok(format!("<{name}>")) }
}

#[test]
fn lines_set_what_helm_sets() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/set/goldens.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let line = case["line"].as_str().unwrap();
        let flag = FLAGS.into_iter().find(|flag| flag.name() == case["flag"]).unwrap();
        let mut values = case["values"].as_object().cloned().unwrap_or_default();
        let result = set(&mut values, flag, line, &mut read_file);
        let same = match (&result, case["error"].as_str()) {
            (Ok(()), None) => yaml::write(&Value::from(values.clone())) == yaml::write(&case["result"]),
            // Helm shows the line instead of the error where JSON is wrong.
            (Err(error), Some(expected)) => error.message == expected || flag == Flag::Json,
            _ => false,
        };
        if !same {
            wrong.push(format!("{case}\n  ours: {result:?} {}", Value::from(values)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_json_object_is_merged() {
    let mut values = json!({"a": {"b": 1}}).as_object().unwrap().clone();
    set(&mut values, Flag::Json, " {\"a\": {\"c\": 2}, \"d\": [1]}", &mut read_file).unwrap();
    assert_eq!(Value::from(values), json!({"a": {"b": 1, "c": 2}, "d": [1]}));
}

#[test]
fn errors_read_as_helm_prints_them() {
    let error = set(&mut Map::new(), Flag::Text, "a", &mut read_file).unwrap_err();
    assert_eq!(error.to_string(), "failed parsing --set-string data: key \"a\" has no value");
}

#[test]
fn indexes_end_at_the_limit_and_steps_too() {
    let mut values = Map::new();
    set(&mut values, Flag::Set, "a[65536]=1", &mut read_file).unwrap();
    assert_eq!(values["a"].as_array().unwrap().len(), 65_537);
    for step in ["[0]", "[0].b"] {
        let line = format!("a{}=1", step.repeat(100_000));
        assert!(set(&mut Map::new(), Flag::Set, &line, &mut read_file).is_err());
        assert!(set(&mut Map::new(), Flag::Literal, &line, &mut read_file).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(line in "[a-c.,=\\[\\]{}\\\\0-9 \"é]{0,40}", before in "[a-c.,=\\[\\]0-9]{0,20}") {
        for flag in FLAGS {
            let mut values = Map::new();
            let _ = set(&mut values, Flag::Set, &before, &mut read_file);
            let _ = set(&mut values, flag, &line, &mut read_file);
        }
    }

    #[test]
    fn a_text_survives_its_escapes(key in "[a-z.,=\\[]{1,8}", text in "[ -~é]{0,20}") {
        let escaped = |text: &str| {
            text.chars().fold(String::new(), |out, character| match character {
                '\\' | ',' | '.' | '=' | '[' | '{' => format!("{out}\\{character}"),
                _ => format!("{out}{character}"),
            })
        };
        let mut values = Map::new();
        set(&mut values, Flag::Text, &format!("{}={}", escaped(&key), escaped(&text)), &mut read_file).unwrap();
        prop_assert_eq!(values.get(&key), Some(&Value::from(text)));
    }
}
