//! Versions and constraints against Masterminds semver: goldens by `semver/baseline.sh`.

use bowline::template::semver::{Constraint, Version};
use proptest::prelude::*;
use serde_json::Value;

fn goldens() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/semver/goldens.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn versions_are_read_as_go_reads_them() {
    let goldens = goldens();
    for case in goldens["versions"].as_array().unwrap() {
        let original = text(&case["text"]);
        match Version::parse(original) {
            Ok(version) => {
                let Version { major, minor, patch, prerelease, metadata, .. } = &version;
                assert_eq!(format!("{major}|{minor}|{patch}|{prerelease}|{metadata}"), text(&case["loose"]));
                assert_eq!(version.original, original);
            }
            Err(error) => assert_eq!(error, text(&case["error"]), "{original:?}"),
        }
        let strict = Version::parse_strict(original).err().unwrap_or_default();
        assert_eq!(strict, text(&case["strict"]), "{original:?}");
    }
}

#[test]
fn versions_are_ordered_as_go_orders_them() {
    let goldens = goldens();
    let versions = goldens["versions"].as_array().unwrap().iter();
    let versions: Vec<Version> = versions.filter_map(|case| Version::parse(text(&case["text"])).ok()).collect();
    for (left, row) in versions.iter().zip(goldens["order"].as_array().unwrap()) {
        for (right, order) in versions.iter().zip(row.as_array().unwrap()) {
            assert_eq!(left.compare(right) as i64, order.as_i64().unwrap(), "{left} {right}");
        }
    }
}

#[test]
fn constraints_hold_as_in_go() {
    let goldens = goldens();
    for case in goldens["constraints"].as_array().unwrap() {
        let original = text(&case["text"]);
        let constraint = match Constraint::parse(original) {
            Ok(constraint) => constraint,
            Err(error) => {
                assert_eq!(error, text(&case["error"]), "{original:?}");
                continue;
            }
        };
        let checks = case["checks"].as_array();
        let checks = checks.unwrap_or_else(|| panic!("{original:?} was taken, Go says {}", case["error"]));
        for check in checks {
            let version = Version::parse(text(&check["version"])).unwrap();
            assert_eq!(constraint.check(&version), check["holds"] == true, "{original:?} {version}");
            let reasons: Vec<&str> = check["reasons"].as_array().into_iter().flatten().map(text).collect();
            let ours = constraint.validate(&version).err().unwrap_or_default();
            assert_eq!(ours, reasons, "{original:?} {version}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(constraint in "[0-9xv*.,<>=!~^| +a-]{0,30}", version in "[0-9v.+a-]{0,12}", odd in ".{0,12}") {
        let _ = Constraint::parse(&odd);
        let _ = Version::parse_strict(&odd);
        if let (Ok(constraint), Ok(version)) = (Constraint::parse(&constraint), Version::parse(&version)) {
            prop_assert_eq!(constraint.check(&version), constraint.validate(&version).is_ok());
        }
    }

    #[test]
    fn what_is_printed_reads_back(numbers in any::<(u64, u64, u64)>(), pre in "([a-z][a-z0-9-]{0,5})?") {
        let suffix = if pre.is_empty() { String::new() } else { format!("-{pre}") };
        let text = format!("{}.{}.{}{suffix}", numbers.0, numbers.1, numbers.2);
        prop_assert_eq!(Version::parse(&text).unwrap().to_string(), text.clone());
        prop_assert_eq!(Version::parse(&text), Version::parse_strict(&text));
    }
}
