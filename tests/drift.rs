//! What somebody changes in the cluster, under each way of treating it.

use serde_json::json;

use crate::common::bowline::{Story, config_map};

const REPORT: &str = "drift: report\n";

#[test]
fn reported_drift_stays_and_what_git_changes_is_applied() {
    let mut story = Story::new("report");
    let home = story.cluster.namespace("report");
    let files = |value: &str| config_map(&home, "settings", "a", value);
    let first = story.commit("first", &[("bowline.yaml", REPORT), ("cm.yaml", &files("1"))]);
    story.start();
    story.wait_ready(&first);

    story.cluster.kubectl(&[
        "patch",
        "configmap",
        "settings",
        "-n",
        &home,
        "--type=merge",
        "-p",
        r#"{"data":{"a":"hand"}}"#,
    ]);
    let shown = story.wait_status(&first, |status| status.to_string().contains("drifted"));
    assert!(shown.to_string().contains(&format!("ConfigMap/{home}/settings drifted")), "{shown}");
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("hand"));

    let second = story.commit("second: Git has a new word", &[("cm.yaml", &files("2"))]);
    story.wait_ready(&second);
    story.wait_for("configmap", &home, "settings", "/data/a", &json!("2"));
}
