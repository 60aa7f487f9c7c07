//! Approvals: by hand and by a line in Git, for one plan and for no other.

use serde_json::Value;

use super::Case;
use crate::common::bowline::{Story, config_map};

/// A case with 25 objects of which 24 have left Git: more than may go unasked.
fn over_budget(name: &str) -> (Case, Vec<String>) {
    let case = Case::new(name);
    let many: Vec<(String, String)> =
        (0..25).map(|n| (format!("m{n}.yaml"), config_map(&case.home, &format!("m{n}"), "k", "1"))).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    case.commit("many", &files);
    (case, many.into_iter().map(|(path, _)| path).take(24).collect())
}

fn remove(story: &Story, paths: &[String]) {
    for path in paths {
        story.git(&["rm", "-q", path]);
    }
}

fn hash_of(plan: &Value) -> &str {
    plan["approval"]["hash"].as_str().unwrap_or_else(|| panic!("no approval is asked for: {plan}"))
}

#[test]
fn a_line_in_the_commit_that_takes_away_approves_it_and_nothing_later() {
    let (case, paths) = over_budget("approvegit");
    let home = case.home.clone();
    assert_eq!(case.on_repo("apply", &[]).code, Some(0));
    remove(&case, &paths);
    case.commit("a pull request", &[]);
    let plan = case.on_repo("plan", &["-o", "json"]).json();
    let hash = hash_of(&plan).to_owned();
    let line = format!("approve: [\"{hash}\"]\n");
    assert!(case.on_repo("plan", &[]).stdout.contains(line.trim()), "the plan says what to write");
    // The line is amended to the same commit: its id is another one, what goes is the same.
    case.commit("reviewed together", &[("bowline.yaml", &line)]);
    case.git(&["reset", "--soft", "HEAD~2"]);
    case.commit("squashed", &[]);
    let ran = case.on_repo("apply", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(case.deletes().len(), 24);

    // The line is still there. A revert brings the objects back, and the same slip comes again.
    let plan = case.on_repo("plan", &[]).stdout;
    assert!(plan.contains(&format!("stale approval: bowline.yaml:1:1: approve: {hash}")), "{plan}");
    case.git(&["checkout", "-q", "HEAD~1", "--", "."]);
    case.commit("back again", &[]);
    assert_eq!(case.on_repo("apply", &[]).code, Some(0));
    case.uid("configmap", &home, "m0");
    remove(&case, &paths);
    case.commit("the slip", &[]);
    let plan = case.on_repo("plan", &["-o", "json"]).json();
    assert_ne!(hash_of(&plan), hash);
    case.on_repo("apply", &[]);
    assert_eq!(case.deletes().len(), 24, "nothing more went");
    case.uid("configmap", &home, "m0");
}

#[test]
fn an_approval_by_hand_outlives_unrelated_commits_and_counts_for_its_source_only() {
    let (mut case, paths) = over_budget("approvehand");
    let home = case.home.clone();
    case.start();
    let first = case.git(&["rev-parse", "HEAD"]).trim().to_owned();
    case.wait_ready(&first);
    remove(&case, &paths);
    let second = case.commit("most of it", &[]);
    let status = case.wait_status(&second, |status| status["sources"][0]["approval"].is_object());
    let approval = status["sources"][0]["approval"].clone();
    assert_eq!(approval["subject"], case.unit());
    let third = case.commit("words", &[("README.md", "words\n")]);
    let again = case.wait_status(&third, |status| status["sources"][0]["approval"].is_object());
    assert_eq!(again["sources"][0]["approval"], approval, "the question is the same");
    case.assert_nothing_deleted();

    let hash = approval["hash"].as_str().unwrap();
    let wrong = case.verb(&["approve", &case.unit(), "0123456789abcdef"]);
    assert!(wrong.stderr.contains("waits for this hash now"), "{wrong:?}");
    assert_eq!(case.verb(&["approve", &case.unit(), "x"]).code, Some(1));
    let approved = case.verb(&["approve", &case.unit(), hash, "--reason", "the old stage is closed"]);
    assert_eq!((approved.code, approved.stderr.contains("note:")), (Some(0), false), "{approved:?}");
    case.wait_gone("configmap", &home, "m0");
    case.wait_ready(&third);
    case.uid("configmap", &home, "m24");
    let history = case.verb(&["history", &case.unit(), "-o", "json"]).json();
    let last = history.as_array().unwrap().last().unwrap()["changes"].to_string();
    assert_eq!((last.matches("pruned").count(), last.matches("held").count()), (24, 0), "{last}");
    let notes = case.cluster.get("configmap", &case.own_namespace, "bowline-approvals").unwrap();
    let note = notes["data"][hash].as_str().unwrap();
    assert!(note.starts_with(&case.unit()) && note.ends_with("the old stage is closed"), "{note}");
}
