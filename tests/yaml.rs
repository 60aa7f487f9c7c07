//! The YAML reader and emitter against `sigs.k8s.io/yaml`: goldens by `yaml/baseline.sh`, full agreement demanded.

use bowline::yaml::{self, Duplicates, Further, Options, Step};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What Go refuses and we read, with the reason.
const TAKEN: &[(&str, &str)] = &[
    ("double quoted slash escape", "an escape of YAML 1.2 and of JSON"),
    ("json", "JSON writes a character above U+FFFF as two escapes"),
];

/// What both write, differently, with the reason.
const WRITTEN: &[(&str, &str)] =
    &[("text \"\\u0085\"", "Go takes the character for a line break on its way and loses it")];

fn goldens(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/yaml/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn named(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(known, _)| *known == name)
}

#[test]
fn texts_are_read_as_go_reads_them() {
    let mut wrong = Vec::new();
    let cases = goldens("read.json");
    for case in &cases {
        let (name, text) = (case["name"].as_str().unwrap(), case["text"].as_str().unwrap());
        let ours = yaml::read(text.as_bytes(), &Options::helm());
        let same = match (case.get("value"), &ours) {
            (Some(value), Ok(ours)) => ours == value && !named(TAKEN, name),
            (None, result) => result.is_ok() == named(TAKEN, name),
            (Some(_), Err(_)) => false,
        };
        if !same {
            wrong.push(format!("{name}\n  {text:?}\n  go:   {} {}\n  ours: {ours:?}", case["value"], case["error"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn keys_written_twice_are_refused_as_go_refuses_them() {
    for case in goldens("read.json").iter().filter(|case| case.get("value").is_some()) {
        let (name, text) = (case["name"].as_str().unwrap(), case["text"].as_str().unwrap());
        let options = Options { further: Further::Ignore, ..Options::manifests() };
        let refused = yaml::read(text.as_bytes(), &options).is_err();
        // Go's strict mode also refuses to override what a merge brought, which is what merges are for.
        let expected = case.get("strict").is_some() && !name.starts_with("merge");
        assert_eq!(refused, expected, "{name}: {text:?}");
    }
}

#[test]
fn values_are_written_as_go_writes_them() {
    let mut wrong = Vec::new();
    let cases = goldens("write.json");
    for case in &cases {
        let Some(expected) = case["text"].as_str() else { continue };
        let ours = yaml::write(&case["value"]);
        if (ours != expected) != named(WRITTEN, case["name"].as_str().unwrap()) {
            wrong.push(format!("{}\n  go:   {expected:?}\n  ours: {ours:?}", case["name"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn texts_that_look_like_something_else_are_quoted() {
    for text in ["yes", "on", "y", "12:30", "1_000", "2020-01-01", "0o7", "1e3", "~", "null", "", "0x1F", ".5"] {
        assert_eq!(yaml::write(&json!({ "a": text })), format!("a: \"{text}\"\n"));
    }
}

#[test]
fn a_broken_document_leaves_the_others_readable() {
    let text = b"a: 1\n---\nb: [\n---\nc: 1\nc: 2\n---\n\"d\n---\ne: 5\n---\n";
    let documents = yaml::read_all(text, &Options::manifests());
    let summary: Vec<String> = documents
        .iter()
        .map(|document| match document {
            Ok(document) => format!("{} {}", document.position, document.value),
            Err(error) => format!("{} error", error.position),
        })
        .collect();
    assert_eq!(
        summary,
        [
            r#"line 1, column 1 {"a":1}"#,
            "line 4, column 1 error",
            "line 6, column 1 error",
            "line 8, column 1 error",
            r#"line 10, column 1 {"e":5}"#,
            "line 11, column 1 null",
        ]
    );
}

#[test]
fn errors_say_where() {
    for (text, position, part) in [
        (&b"a: 1\nb: \xff\n"[..], "line 2, column 4", "byte 0xFF is not UTF-8"),
        (b"a: 1\n  b: 2\n", "line 2, column 4", ""),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1", "key \"a\" is already in this mapping"),
        (b"a:\n  b: {{ x }}\n", "line 2, column 7", "a mapping cannot be a key"),
        (b"a: \x01\n", "line 1, column 4", "control character U+0001"),
        (b"a: *x\n", "line 1, column 4", "unknown anchor"),
        (b"\xff\xfea\0", "line 1, column 1", "UTF-16"),
        (b"a: .inf\n", "line 1, column 4", "JSON has no number .inf"),
        (b"a:\n\tb: 1\n", "line 2, column 1", "tab"),
        (b"a: 1\n---\nb: 1\n", "line 3, column 1", "second document"),
    ] {
        let error = yaml::read(text, &Options::manifests()).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(part), "{shown}");
        assert_eq!(error.position.to_string(), position, "{shown}");
    }
}

#[test]
fn hostile_texts_end_at_a_limit() {
    let options = Options::manifests();
    let laughs = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let long_text = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a,".repeat(10_000));
    let deep = "[".repeat(100_000);
    let deep_block: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let anchors = format!("{}x{}", "&a [", "]");
    for text in [&laughs, &long_text, &deep, &deep_block] {
        assert!(yaml::read(text.as_bytes(), &options).is_err());
    }
    assert!(yaml::read(anchors.as_bytes(), &options).is_ok());
    let small = Options { max_bytes: 10, ..options.clone() };
    assert!(yaml::read(b"a: 123456789", &small).unwrap_err().message.contains("12 bytes"));
    let few = Options { max_nodes: 3, ..options };
    assert!(yaml::read(b"[1, 2, 3]", &few).unwrap_err().message.contains("more than 3 nodes"));
}

#[test]
fn options_follow_helm_where_helm_is_loose() {
    let text = b"a: 1\na: 2\n---\n: [";
    assert_eq!(yaml::read(text, &Options::helm()).unwrap(), json!({"a": 2}));
    assert_eq!(Options::helm().duplicates, Duplicates::LastWins);
    assert_eq!(yaml::read(b"", &Options::manifests()).unwrap(), Value::Null);
}

#[test]
fn fields_are_located() {
    let text = "# c\na:\n- x: 1\n  on: {k: v}\n- &n [1, 2]\nb: *n\n---\nz: 1\n";
    let at = |document, path: &[Step]| yaml::locate(text.as_bytes(), document, path).map(|at| (at.line, at.column));
    let key = |key: &str| Step::Key(key.to_owned());
    assert_eq!(at(0, &[]), Some((2, 1)));
    assert_eq!(at(0, &[key("a"), Step::Index(0), key("x")]), Some((3, 3)));
    assert_eq!(at(0, &[key("a"), Step::Index(0), key("true"), key("k")]), Some((4, 8)));
    assert_eq!(at(0, &[key("a"), Step::Index(1), Step::Index(1)]), Some((5, 10)));
    assert_eq!(at(0, &[key("b"), Step::Index(1)]), Some((6, 1)));
    assert_eq!(at(0, &[key("a"), key("missing")]), Some((2, 1)));
    assert_eq!(at(1, &[key("z")]), Some((8, 1)));
    assert_eq!(at(2, &[]), None);
}

/// Texts that are likely to be mistaken for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,8}",
        "[-+.0-9eExob_:]{0,8}",
        "[ -~]{0,40}",
        "[ \na#:-]{0,20}",
        "([a-z]{1,9} ){0,40}",
        r"(?s)[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u{fffe}\u{ffff}]{0,12}",
        Just("yes".to_owned()),
        Just("2020-01-01".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(|number| json!(number + 0.5f64.copysign(number))),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(
                text().prop_filter("a merge key, unquoted also in Go", |key| key != "<<"),
                inner,
                0..5
            )
            .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(value in value()) {
        let text = yaml::write(&value);
        let back = yaml::read(text.as_bytes(), &Options::manifests());
        prop_assert!(back.is_ok(), "{text}\n{back:?}");
        let back = back.unwrap();
        let same = back == value || yaml::write(&back) == text;
        prop_assert!(same, "{text}\n{back:?}\n{value:?}");
    }

    #[test]
    fn json_reads_as_itself(value in value()) {
        let text = serde_json::to_string(&value).unwrap();
        let back = yaml::read(text.as_bytes(), &Options::manifests());
        prop_assert!(back.is_ok(), "{text}\n{back:?}");
        prop_assert_eq!(yaml::write(&back.unwrap()), yaml::write(&value));
    }

    #[test]
    fn nothing_panics(text in any::<Vec<u8>>(), yaml in "[-?:,\\[\\]{}#&*!|>'\"%@` \t\na-c0-9]{0,60}") {
        let _ = yaml::read_all(&text, &Options::manifests());
        let _ = yaml::read_all(yaml.as_bytes(), &Options::helm());
        let _ = yaml::locate(yaml.as_bytes(), 0, &[Step::Index(0), Step::Key("a".to_owned())]);
    }
}
