//! What is gone comes back from the record.

use serde_json::json;

use super::Case;
use crate::common::bowline::config_map;

#[test]
fn what_went_last_comes_back_as_it_was_and_stays_until_git_names_it_again() {
    let mut case = Case::new("undelete");
    let home = case.home.clone();
    let unit = case.unit();
    let (keep, a) = (config_map(&home, "keep", "k", "1"), config_map(&home, "a", "k", "1"));
    let first =
        case.commit("first", &[("keep.yaml", &keep), ("a.yaml", &a), ("b.yaml", &config_map(&home, "b", "k", "1"))]);
    case.start();
    case.wait_ready(&first);
    let second = case.commit("a changes", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    case.wait_ready(&second);
    let third = case.remove("both go", &["a.yaml", "b.yaml"]);
    case.wait_ready(&third);
    case.wait_gone("configmap", &home, "a");
    case.wait_gone("configmap", &home, "b");

    let ran = case.verb(&["undelete", &unit, "--reason", "was still in use"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in ["a", "b"] {
        assert!(ran.stdout.contains(&format!("created ConfigMap/{home}/{name} as revision 2 had it")), "{ran:?}");
    }
    assert!(ran.stderr.contains("listed as an orphan"), "{ran:?}");
    assert_eq!(case.cluster.get("configmap", &home, "a").unwrap()["data"]["k"], "2");
    let history = case.verb(&["history", &unit, "-o", "json"]).json();
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!((&last["revision"], &last["trigger"]), (&json!(4), &json!("undelete")));
    assert!(last["reason"].as_str().unwrap().ends_with("was still in use"), "{last}");

    // The running daemon hears of it, corrects nothing, and an unrelated commit takes nothing away.
    case.wait_status(&third, |status| {
        status["sources"][0]["orphans"].as_array().is_some_and(|orphans| orphans.len() == 2)
    });
    case.patch("configmap", &home, "a", r#"{"data":{"k":"by hand"}}"#);
    let deletes = case.deletes().len();
    let fourth = case.commit("elsewhere", &[("keep.yaml", &config_map(&home, "keep", "k", "2"))]);
    case.wait_ready(&fourth);
    assert_eq!(case.cluster.get("configmap", &home, "a").unwrap()["data"]["k"], "by hand");
    assert_eq!(case.deletes().len(), deletes);

    // Git names one of them again: it is taken up as it is, and follows Git from then on.
    let uid = case.uid("configmap", &home, "a");
    let fifth = case.commit("a again", &[("a.yaml", &a)]);
    case.wait_ready(&fifth);
    case.wait_for("configmap", &home, "a", "/data/k", &json!("1"));
    assert_eq!(case.uid("configmap", &home, "a"), uid);
    let sixth = case.remove("and gone", &["a.yaml"]);
    case.wait_ready(&sixth);
    case.wait_gone("configmap", &home, "a");
    case.uid("configmap", &home, "b");
}

#[test]
fn a_unit_that_is_gone_as_a_whole_keeps_its_record() {
    let case = Case::new("undeleteall");
    let home = case.home.clone();
    let unit = format!("{}/app", case.unit());
    let keep = config_map(&home, "keep", "k", "1");
    let files = [
        ("keep.yaml", keep.as_str()),
        ("app/bowline.yaml", "unit: {name: app}\n"),
        ("app/a.yaml", &config_map(&home, "a", "k", "1")),
        ("app/b.yaml", &config_map(&home, "b", "k", "1")),
    ];
    case.commit("first", &files);
    assert_eq!(case.on_repo("apply", &[]).code, Some(0));
    case.git(&["rm", "-rq", "app"]);
    case.commit("gone", &[]);
    assert_eq!(case.on_repo("apply", &[]).code, Some(0));
    assert!(case.cluster.get("configmap", &home, "a").is_none());
    let status = case.verb(&["status", "--source", &case.source]).stdout;
    assert!(!status.contains(&unit), "{status}");

    let ran = case.verb(&["undelete", &unit, "ConfigMap/a"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    case.uid("configmap", &home, "a");
    assert!(case.cluster.get("configmap", &home, "b").is_none(), "only one was named");
    let by_number = case.verb(&["undelete", &unit, "--revision", "1"]);
    assert_eq!(by_number.code, Some(0), "{by_number:?}");
    case.uid("configmap", &home, "b");

    // What cannot be done is said with the way out.
    let nothing = case.verb(&["undelete", &unit]);
    assert!(nothing.code == Some(1) && nothing.stderr.contains("no kept revision"), "{nothing:?}");
    let unknown = case.verb(&["undelete", &unit, "--revision", "77"]);
    assert!(unknown.stderr.contains("revision 77 of") && unknown.stderr.contains("kept are 1, 2"), "{unknown:?}");
    let nobody = case.verb(&["undelete", &format!("{}/nowhere", case.source)]);
    assert!(nobody.stderr.contains("has no revision"), "{nobody:?}");

    // The unit's history goes on where it ended.
    case.commit("here again", &files);
    assert_eq!(case.on_repo("apply", &[]).code, Some(0));
    let history = case.verb(&["history", &unit, "-o", "json"]).json();
    let numbers: Vec<u64> = history.as_array().unwrap().iter().filter_map(|one| one["revision"].as_u64()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}
