//! What goes wrong on the daemon's own machine: a full disk, a defect that panics.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use serde_json::Value;

use crate::common::bowline::{PATIENCE, Story, config_map};
use crate::common::cluster::{Process, unique};
use crate::common::git::{GitServer, TestRepo};

/// A file system of one MiB.
struct Small(PathBuf);

impl Small {
    /// `None` where this user may not mount anything.
    fn mount(path: PathBuf) -> Option<Small> {
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Small(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let digits = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 56) as u8 % 90)
    });
    digits.take(length).collect()
}

#[test]
fn a_full_disk_stops_fetches_and_nothing_else() {
    let story = Story::new("disk");
    let home = story.cluster.namespace("disk");
    let folder = story.repo().parent().unwrap().to_owned();
    let Some(small) = Small::mount(folder.join("small")) else {
        eprintln!("SKIPPED: a_full_disk_stops_fetches_and_nothing_else needs root, to mount a file system of one MiB");
        return;
    };
    let repo = TestRepo::new();
    let server = GitServer::start(repo.root());
    let first = repo.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let config = story.config("full", &format!("cache: {}", small.0.display()));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(story.repo().to_str().unwrap(), &server.url())).unwrap();
    let mut daemon = story.daemon("full", &config, &story.cluster.kubeconfig(), &[]);
    let wait_ready = |daemon: &Process, commit: &str| {
        story.eventually(&format!("{commit} is applied"), || {
            story.is_ready(commit).map_err(|error| error.context(daemon.log()))
        });
    };
    wait_ready(&daemon, &first);

    // More than there is room for; and what is free is taken, so that not even a reference can be written.
    repo.commit("large", &[("large.txt", &noise(2 << 20))]);
    let status = story.eventually("the status says why", || {
        let status: Value =
            serde_json::from_str(&story.verb(&["status", "--source", &story.source, "-o", "json"]).stdout)?;
        ensure!(status["sources"][0]["fetch"]["error"].is_string(), "{status}\n{}", daemon.log());
        Ok(status)
    });
    let error = status["sources"][0]["fetch"]["error"].as_str().unwrap();
    assert!(error.contains("small"), "it names the folder: {error}");
    assert_eq!(status["sources"][0]["commit"]["id"], first.as_str());
    fill(&small.0);
    story.cluster.kubectl(&["delete", "configmap", "a", "-n", &home]);
    story.wait_there("configmap", &home, "a");

    // A start with a full disk reads the copy that is there.
    assert_eq!(daemon.terminate(PATIENCE), Some(0));
    daemon = story.daemon("full", &config, &story.cluster.kubeconfig(), &[]);
    story.cluster.kubectl(&["delete", "configmap", "a", "-n", &home]);
    story.wait_there("configmap", &home, "a");

    std::fs::remove_file(small.0.join("filler")).unwrap();
    // The large file leaves the history: then there is room.
    repo.set_branch("main", &first);
    let second = repo.commit("second", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    wait_ready(&daemon, &second);
    assert_eq!(story.cluster.get("configmap", &home, "a").unwrap()["data"]["k"], "2");
}

fn fill(folder: &Path) {
    let mut size = 1 << 20;
    let mut file = std::fs::File::create(folder.join("filler")).unwrap();
    while size > 0 {
        match std::io::Write::write_all(&mut file, &vec![7; size]) {
            Ok(()) => {}
            Err(_) => size /= 2,
        }
    }
}

#[test]
fn a_panic_in_one_units_work_is_that_units_alone_and_is_tried_again() {
    let story = Story::new("panic");
    let names: Vec<String> = (0..6).map(|number| unique(&format!("panic-{number}"))).collect();
    for name in &names {
        story.cluster.kubectl(&["create", "namespace", name]);
    }
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("{name}.yaml"), config_map(name, "a", "k", "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let commit = story.commit("six units", &files);
    let config = story.config("panics", "");
    let environment = [("BOWLINE_FAIL_AT", "apply.written:3=panic")];
    let daemon = story.daemon("panics", &config, &story.cluster.kubeconfig(), &environment);
    story.eventually("all six are applied", || story.is_ready(&commit).map_err(|error| error.context(daemon.log())));
    let log = daemon.log();
    assert!(log.contains("a unit's work panicked; the others go on"), "{log}");
    assert_eq!(log.matches("\"reconciled\"").count(), 6, "five at once, and one again: {log}");
}
