//! The repository to copy: it has no error, and it renders to what it says it does.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const EXPECTED: &str = "examples-repo/expected/rendered.yaml";

fn bowline(arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_bowline");
    Command::new(binary).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

#[test]
fn the_example_has_no_error_and_no_warning() {
    let output = bowline(&["check", "examples-repo"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn the_example_renders_to_what_it_says() {
    let output = bowline(&["render", "examples-repo", "--namespaces", "team-blue"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).unwrap();
    let expected = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED)).unwrap_or_default();
    let again = format!("bowline render examples-repo --namespaces team-blue > {EXPECTED}");
    if expected != rendered {
        let difference = similar::TextDiff::from_lines(&expected, &rendered);
        panic!("{EXPECTED} differs; when it should, run\n  {again}\n{}", difference.unified_diff().context_radius(2));
    }
}

#[test]
fn the_example_shows_every_kind_that_people_ask_for() {
    let expected = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED)).unwrap();
    for kind in [
        "Deployment",
        "DaemonSet",
        "StatefulSet",
        "Job",
        "CronJob",
        "Service",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "StorageClass",
        "Secret",
        "ConfigMap",
        "NetworkPolicy",
        "CustomResourceDefinition",
        "Backup",
        "Namespace",
        "ResourceQuota",
        "LimitRange",
        "ServiceAccount",
        "RoleBinding",
        "ClusterRole",
    ] {
        assert!(expected.contains(&format!("\nkind: {kind}\n")), "{kind} is missing");
    }
}
