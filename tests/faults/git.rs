//! The Git server is away, slow, breaks off, forgets its branch or rewrites its history: the last good commit stays wanted
//! and drift goes on being corrected.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::User;
use crate::common::bowline::{Story, config_map};
use crate::common::cluster::Process;
use crate::common::git::{Fault, GitServer, TestRepo};

/// A daemon that follows a repository over HTTP.
struct Rig {
    daemon: Process,
    server: GitServer,
    repo: TestRepo,
    user: User,
    story: Story,
    home: String,
}

impl Rig {
    /// The first commit holds two ConfigMaps, `a` and `b`, and is applied.
    fn settled(name: &str) -> (Rig, String) {
        let story = Story::new(name);
        let home = story.cluster.namespace(name);
        let repo = TestRepo::new();
        let server = GitServer::start(repo.root());
        let files = [("a.yaml", config_map(&home, "a", "k", "1")), ("b.yaml", config_map(&home, "b", "k", "1"))];
        let first = repo.commit("first", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
        let user = User::new(&story, name);
        let config = story.config("by-http", "");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(
            &config,
            text.replace(story.repo().to_str().unwrap(), &server.url()).replace("poll:", "branch: main, poll:"),
        )
        .unwrap();
        let daemon = story.daemon("by-http", &config, &user.kubeconfig, &[]);
        let rig = Rig { daemon, server, repo, user, story, home };
        rig.wait_ready(&first);
        (rig, first)
    }

    #[track_caller]
    fn eventually<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T>) -> T {
        self.story.eventually(what, || attempt().map_err(|error| error.context(self.daemon.log())))
    }

    #[track_caller]
    fn wait_ready(&self, commit: &str) {
        self.eventually(&format!("{commit} is applied"), || self.story.is_ready(commit));
    }

    /// Waits until the status of the source says this at a place.
    #[track_caller]
    fn wait_says(&self, pointer: &str, words: &str) -> Value {
        self.eventually(&format!("the status says {words}"), || {
            let ran = self.story.verb(&["status", "--source", &self.story.source, "-o", "json"]);
            let status: Value = serde_json::from_str(&ran.stdout)?;
            let said = status["sources"][0].pointer(pointer).map(Value::to_string).unwrap_or_default();
            ensure!(said.contains(words), "{status}");
            Ok(status["sources"][0].clone())
        })
    }

    /// Somebody edits and deletes by hand, and it is put back.
    #[track_caller]
    fn drift_is_corrected(&self, a: &str) {
        let cluster = self.story.cluster;
        cluster.kubectl(&[
            "patch",
            "configmap",
            "a",
            "-n",
            &self.home,
            "--type=merge",
            "-p",
            r#"{"data":{"k":"hand"}}"#,
        ]);
        self.story.wait_for("configmap", &self.home, "a", "/data/k", &json!(a));
        cluster.kubectl(&["delete", "configmap", "b", "-n", &self.home]);
        self.story.wait_there("configmap", &self.home, "b");
    }

    fn change(&self, value: &str) -> String {
        self.repo.commit(value, &[("a.yaml", &config_map(&self.home, "a", "k", value))])
    }
}

#[test]
fn without_the_git_server_the_last_commit_stays_wanted() {
    let (rig, mut last) = Rig::settled("gitaway");
    let mark = rig.story.cluster.audit_mark();
    // It refuses, breaks off, or something else answers in its place: each is told, and none of it changes what is wanted.
    for fault in [Fault::Status(503), Fault::Cut(100), Fault::WebPage] {
        rig.server.behave(|server| server.fault = fault.clone());
        rig.change(&format!("{fault:?}"));
        let status = rig.wait_says("/fetch/error", "\"");
        assert_eq!(status["commit"]["id"], last.as_str());
        assert!(status["fetch"]["failingSince"].is_string(), "{fault:?}: {status}");
        rig.drift_is_corrected("1");
        rig.server.behave(|server| server.fault = Fault::None);
        last = rig.change("1");
        rig.wait_ready(&last);
    }
    // It answers half and then nothing more: the look hangs, and nothing else does.
    rig.server.behave(|server| server.fault = Fault::Stall);
    rig.change("stalled");
    rig.drift_is_corrected("1");
    rig.server.behave(|server| server.fault = Fault::None);
    last = rig.change("2");
    rig.wait_ready(&last);
    let wrote = rig.user.writes(&rig.story, mark);
    assert!(!wrote.iter().any(|write| write.starts_with("delete configmaps")), "{wrote:?}");
}

#[test]
fn a_branch_that_is_gone_deletes_nothing_and_a_rewritten_one_is_followed() {
    let (rig, first) = Rig::settled("gitbranch");
    let mark = rig.story.cluster.audit_mark();
    rig.repo.git(&["branch", "-m", "main", "elsewhere"]);
    let status = rig.wait_says("/fetch/error", "main");
    assert_eq!(status["commit"]["id"], first.as_str());
    rig.drift_is_corrected("1");
    let wrote = rig.user.writes(&rig.story, mark);
    assert!(!wrote.iter().any(|write| write.starts_with("delete")), "{wrote:?}");

    // The same branch comes back with another history.
    rig.repo.git(&["branch", "-m", "elsewhere", "main"]);
    rig.repo.git(&["update-ref", "-d", "refs/heads/main"]);
    let files = [("a.yaml", config_map(&rig.home, "a", "k", "new")), ("b.yaml", config_map(&rig.home, "b", "k", "1"))];
    let anew = rig.repo.commit("anew", &files.each_ref().map(|(path, text)| (*path, text.as_str())));
    rig.wait_ready(&anew);
    rig.wait_says("/fetch/note", "history was rewritten");
    rig.story.wait_for("configmap", &rig.home, "a", "/data/k", &json!("new"));
}
