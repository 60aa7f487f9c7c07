//! The API server is away, slow, throttles, forgets, breaks off, answers half or not at all: nothing is concluded from
//! that, nothing is deleted because of it, and everything goes on by itself afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::User;
use crate::common::bowline::{PATIENCE, Story, config_map, namespace};
use crate::common::cluster::{Mark, Process, unique};
use crate::common::proxy::{Fault, Proxy, Seen};

/// A daemon behind a proxy; what the story asks itself goes past the proxy.
struct Rig {
    daemon: Process,
    proxy: Proxy,
    story: Story,
    config: PathBuf,
    home: String,
}

impl Rig {
    /// A daemon whose first commit holds two ConfigMaps, `a` and `b`, and is applied.
    fn settled(name: &str) -> (Rig, String) {
        let story = Story::new(name);
        let home = story.cluster.namespace(name);
        let first = story.commit(
            "first",
            &[("a.yaml", &config_map(&home, "a", "k", "1")), ("b.yaml", &config_map(&home, "b", "k", "1"))],
        );
        let rig = Rig::start(story, home);
        rig.wait_ready(&first);
        (rig, first)
    }

    fn start(story: Story, home: String) -> Rig {
        let proxy = Proxy::start(story.cluster, story.repo().parent().unwrap());
        let config = story.config("behind-proxy", "");
        let daemon = story.daemon("behind-proxy", &config, proxy.kubeconfig(), &[]);
        Rig { daemon, proxy, story, config, home }
    }

    /// Ends the daemon and starts it again.
    fn restart(&mut self) {
        assert_eq!(self.daemon.terminate(PATIENCE), Some(0), "{}", self.daemon.log());
        self.daemon = self.story.daemon("behind-proxy", &self.config, self.proxy.kubeconfig(), &[]);
    }

    #[track_caller]
    fn eventually<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T>) -> T {
        self.story.eventually(what, || {
            ensure!(self.daemon.exit_status().is_none(), "the daemon ended: {}", self.daemon.log());
            attempt().map_err(|error| error.context(self.daemon.log()))
        })
    }

    #[track_caller]
    fn wait_ready(&self, commit: &str) {
        self.eventually(&format!("{commit} is applied"), || self.story.is_ready(commit));
    }

    #[track_caller]
    fn wait_logged(&self, words: &str) {
        self.eventually(&format!("the log says {words}"), || {
            ensure!(self.daemon.log().contains(words), "not yet");
            Ok(())
        });
    }

    fn writes(&self, mark: Mark) -> BTreeMap<String, usize> {
        let user = User { name: self.proxy.user().to_owned(), kubeconfig: PathBuf::new() };
        let mut writes = BTreeMap::new();
        for write in user.writes(&self.story, mark).into_iter().filter(|write| write.contains(&self.home)) {
            *writes.entry(write.replace(&self.home, "HOME")).or_insert(0) += 1;
        }
        writes
    }

    fn value(&self, name: &str) -> Option<String> {
        let map = self.story.cluster.get("configmap", &self.home, name)?;
        Some(map["data"]["k"].as_str().unwrap_or_default().to_owned())
    }

    fn edit(&self, name: &str, value: &str) {
        let patch = json!({"data": {"k": value}}).to_string();
        self.story.cluster.kubectl(&["patch", "configmap", name, "-n", &self.home, "--type=merge", "-p", &patch]);
    }

    /// The second commit: `a` changes, `b` goes, `c` comes.
    fn second(&self) -> String {
        self.story.git(&["rm", "-q", "b.yaml"]);
        let (a, c) = (config_map(&self.home, "a", "k", "2"), config_map(&self.home, "c", "k", "1"));
        self.story.commit("second", &[("a.yaml", &a), ("c.yaml", &c)])
    }
}

/// What the second commit costs when nothing goes wrong.
fn writes_of_second() -> BTreeMap<String, usize> {
    ["patch configmaps HOME/a", "delete configmaps HOME/b", "patch configmaps HOME/c"]
        .map(|write| (write.to_owned(), 1))
        .into()
}

#[test]
fn while_the_server_is_away_nothing_is_concluded_and_then_all_goes_on() {
    let (rig, _) = Rig::settled("away");
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.hurt(|_| true, Fault::Refuse);
    rig.proxy.cut_watches();
    let second = rig.second();
    rig.wait_logged(&second[..7]);
    rig.wait_logged("watch failed");
    // The server answers others: it is only we who do not reach it.
    rig.edit("b", "by hand");
    rig.proxy.heal();
    rig.wait_ready(&second);
    assert_eq!(rig.writes(mark), writes_of_second());
    assert_eq!((rig.value("a").as_deref(), rig.value("b")), (Some("2"), None));
}

#[test]
fn a_server_that_takes_a_second_for_each_answer_is_waited_for() {
    let (rig, _) = Rig::settled("slow");
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.hurt(|_| true, Fault::Delay(Duration::from_secs(1)));
    let second = rig.second();
    rig.wait_ready(&second);
    assert_eq!(rig.writes(mark), writes_of_second());
}

#[test]
fn a_storm_of_429_and_503_loses_nothing() {
    let (rig, _) = Rig::settled("storm");
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.hurt_times(40, |seen| !seen.is_watch() && !seen.is_lease(), Fault::too_many_requests());
    rig.proxy.hurt_times(
        10,
        |seen| seen.is_write() && !seen.is_lease(),
        Fault::Answer(503, Vec::new(), "no".to_owned()),
    );
    let second = rig.second();
    rig.wait_ready(&second);
    assert_eq!(rig.writes(mark), writes_of_second());
    assert!(rig.proxy.hurts() >= 40, "{} requests were refused", rig.proxy.hurts());
}

#[test]
fn what_was_throttled_grows_again() {
    let (rig, _) = Rig::settled("throttle");
    rig.proxy.seen();
    let work = |seen: &Seen| !seen.is_watch() && !seen.is_lease();
    let slowly = || Fault::Delay(Duration::from_millis(50));
    rig.proxy.hurt(work, slowly());
    let many = |value: &str| -> Vec<(String, String)> {
        let of_unit = |unit: usize| {
            let objects: Vec<String> =
                (0..12).map(|number| config_map(&rig.home, &format!("m{unit}-{number}"), "k", value)).collect();
            let settings = format!("apiVersion: bowline.dev/v1\nkind: Settings\nunit: {{name: u{unit}}}\n");
            [(format!("u{unit}/bowline.yaml"), settings), (format!("u{unit}/all.yaml"), objects.join("---\n"))]
        };
        (0..8).flat_map(of_unit).collect()
    };
    let commit = |value: &str| {
        let files = many(value);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        rig.story.commit("many", &files)
    };
    let most = |seen: &[Seen]| seen.iter().map(|seen| seen.under_way).max().unwrap_or_default();
    rig.wait_ready(&commit("1"));
    assert_eq!(most(&rig.proxy.seen()), 16, "as many as are allowed");

    // As long as every answer is 429, each round of them halves what is under way, down to one.
    rig.proxy.heal();
    rig.proxy.hurt(work, Fault::too_many_requests());
    let stormy = commit("2");
    rig.eventually("the storm has raged", || {
        ensure!(rig.proxy.hurts() > 300, "{} requests were refused", rig.proxy.hurts());
        Ok(())
    });
    rig.proxy.seen();
    rig.proxy.heal();
    rig.proxy.hurt(work, slowly());
    rig.wait_ready(&stormy);
    let under_way: Vec<usize> = rig.proxy.seen().iter().filter(|seen| work(seen)).map(|seen| seen.under_way).collect();
    assert!(under_way.iter().take(5).all(|under_way| *under_way < 8), "few at first: {under_way:?}");
    assert_eq!(under_way.iter().max(), Some(&16), "and all places come back: {under_way:?}");
}

#[test]
fn watches_that_are_cut_go_on_where_they_were() {
    let (rig, first) = Rig::settled("cut");
    rig.proxy.hurt(|seen| seen.is_watch(), Fault::Refuse);
    rig.proxy.cut_watches();
    rig.edit("a", "by hand");
    rig.story.cluster.kubectl(&["delete", "configmap", "b", "-n", &rig.home]);
    rig.proxy.seen();
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.heal();
    rig.story.wait_for("configmap", &rig.home, "a", "/data/k", &json!("1"));
    rig.story.wait_there("configmap", &rig.home, "b");
    rig.wait_ready(&first);
    let wanted: BTreeMap<String, usize> =
        ["patch configmaps HOME/a", "patch configmaps HOME/b"].map(|write| (write.to_owned(), 1)).into();
    assert_eq!(rig.writes(mark), wanted);
    let watches: Vec<String> =
        rig.proxy.seen().into_iter().filter(|seen| seen.is_watch() && !seen.hurt).map(|seen| seen.uri).collect();
    assert!(watches.iter().any(|uri| uri.contains("/configmaps?") && uri.contains("labelSelector")), "{watches:?}");
    for uri in &watches {
        assert!(uri.contains("resourceVersion=") && !uri.contains("sendInitialEvents"), "not all again: {uri}");
    }
}

#[test]
fn a_watch_whose_place_was_forgotten_begins_anew_and_sees_what_it_missed() {
    let (rig, first) = Rig::settled("forgotten");
    let resumes = |seen: &Seen| seen.is_watch() && seen.uri.contains("resourceVersion=");
    rig.proxy.hurt(|seen| seen.is_watch(), Fault::Refuse);
    rig.proxy.cut_watches();
    rig.edit("a", "by hand");
    rig.story.cluster.kubectl(&["delete", "configmap", "b", "-n", &rig.home]);
    rig.proxy.seen();
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.heal();
    rig.proxy.hurt(resumes, Fault::expired());
    rig.story.wait_for("configmap", &rig.home, "a", "/data/k", &json!("1"));
    rig.story.wait_there("configmap", &rig.home, "b");
    rig.wait_ready(&first);
    assert!(rig.proxy.seen().iter().any(|seen| !seen.hurt && seen.uri.contains("sendInitialEvents=true")));
    assert_eq!(rig.writes(mark).values().sum::<usize>(), 2);
    // And it follows again.
    rig.edit("a", "once more");
    rig.story.wait_for("configmap", &rig.home, "a", "/data/k", &json!("1"));
}

#[test]
fn an_answer_that_is_lost_is_not_a_second_write() {
    let (rig, _) = Rig::settled("lost");
    let mark = rig.story.cluster.audit_mark();
    let own = rig.story.own_namespace.clone();
    let of_record = move |seen: &Seen| seen.is_write() && seen.uri.contains(&own) && !seen.is_lease();
    let home = rig.home.clone();
    let of_object = move |seen: &Seen| seen.is_write() && seen.uri.contains(&format!("/{home}/"));
    rig.proxy.hurt_times(1, of_object.clone(), Fault::Lose);
    rig.proxy.hurt_times(1, of_record.clone(), Fault::Lose);
    let second = rig.second();
    rig.wait_ready(&second);
    assert_eq!(rig.writes(mark), writes_of_second());
    let history = rig.story.verb(&["history", &format!("{}/{}", rig.story.source, rig.home), "-o", "json"]).json();
    assert_eq!(history.as_array().unwrap().len(), 2, "{history}");

    // The same for a deletion, and for the end of the record.
    let mark = rig.story.cluster.audit_mark();
    rig.proxy.hurt_times(1, move |seen| of_object(seen) && seen.method == http::Method::DELETE, Fault::Lose);
    rig.proxy.hurt_times(1, move |seen| of_record(seen) && seen.method == http::Method::PATCH, Fault::Truncate);
    let third = rig.story.remove("third", &["c.yaml"]);
    rig.wait_ready(&third);
    assert_eq!(rig.writes(mark), [("delete configmaps HOME/c".to_owned(), 1)].into());
}

/// Fits the first request of each path.
fn first_of_each(
    fits: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) -> impl Fn(&Seen) -> bool + Send + Sync + 'static {
    let known = Mutex::new(BTreeSet::new());
    move |seen| {
        let path = seen.uri.split('?').next().unwrap_or_default().to_owned();
        fits(seen) && known.lock().unwrap().insert(path)
    }
}

#[test]
fn half_an_answer_is_no_answer_and_neither_is_a_web_page() {
    let (mut rig, first) = Rig::settled("half");
    let mark = rig.story.cluster.audit_mark();
    // Kinds, namespaces, records: whatever is read at the start comes in half at first, and then as something else.
    let reads = |seen: &Seen| seen.method == http::Method::GET && !seen.is_watch();
    rig.proxy.hurt(first_of_each(reads), Fault::Truncate);
    rig.proxy.hurt(first_of_each(reads), Fault::Answer(200, Vec::new(), "<html>maintenance</html>".to_owned()));
    rig.restart();
    let second = rig.story.commit("words", &[("README.md", "words")]);
    rig.wait_ready(&second);
    assert_ne!(first, second);
    assert!(rig.proxy.hurts() >= 8, "{}", rig.proxy.hurts());
    assert_eq!(rig.writes(mark), BTreeMap::new());
}

#[test]
fn a_group_that_does_not_answer_stops_nothing_but_its_own_kinds() {
    let story = Story::new("partial");
    let home = story.cluster.namespace("partial");
    let group = format!("{}.example.com", unique("partial"));
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  \
         group: {group}\n  names: {{kind: Widget, plural: widgets}}\n  scope: Namespaced\n  versions:\n  - name: v1\n    served: true\n    \
         storage: true\n    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}\n"
    );
    let widget =
        |name: &str| format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: {name}, namespace: {home}}}\n");
    let other = unique("partial-other");
    let first = story.commit(
        "first",
        &[
            ("definition.yaml", &definition),
            ("one.yaml", &widget("one")),
            ("two.yaml", &widget("two")),
            ("a.yaml", &config_map(&home, "a", "k", "1")),
            ("other.yaml", &format!("{}---\n{}", namespace(&other), config_map(&other, "x", "k", "1"))),
        ],
    );
    let mut rig = Rig::start(story, home);
    rig.wait_ready(&first);

    // As the server says it of an aggregated API whose own server is away: no resources, and stale.
    let stale = group.clone();
    let edit = move |answer: &mut serde_json::Value| {
        for of_group in answer["items"].as_array_mut().into_iter().flatten() {
            if of_group["metadata"]["name"] == json!(stale) {
                for version in of_group["versions"].as_array_mut().into_iter().flatten() {
                    (version["resources"], version["freshness"]) = (json!([]), json!("Stale"));
                }
            }
        }
    };
    let asks_for_kinds = |seen: &Seen| seen.uri == "/apis";
    rig.proxy.hurt(asks_for_kinds, Fault::Edit(Arc::new(edit)));
    rig.restart();
    rig.wait_logged("leads");
    let mark = rig.story.cluster.audit_mark();
    rig.story.git(&["rm", "-q", "two.yaml"]);
    let other_text = format!("{}---\n{}", namespace(&other), config_map(&other, "x", "k", "2"));
    let a = config_map(&rig.home, "a", "k", "2");
    let second = rig.story.commit("second", &[("a.yaml", &a), ("other.yaml", &other_text)]);
    rig.wait_logged(&second[..7]);
    rig.story.wait_for("configmap", &other, "x", "/data/k", &json!("2"));
    rig.story.wait_for("configmap", &rig.home, "a", "/data/k", &json!("2"));
    let unit = format!("{}/{}", rig.story.source, rig.home);
    rig.story
        .wait_status(&second, |status| status["sources"][0]["units"][&unit]["messages"].to_string().contains("Widget"));
    assert_eq!(rig.writes(mark), [("patch configmaps HOME/a".to_owned(), 1)].into());
    assert!(rig.story.cluster.get(&format!("widgets.{group}"), &rig.home, "two").is_some());

    rig.proxy.heal();
    rig.wait_ready(&second);
    rig.story.wait_gone(&format!("widgets.{group}"), &rig.home, "two");
    assert!(rig.story.cluster.get(&format!("widgets.{group}"), &rig.home, "one").is_some());
}

#[test]
fn an_admission_webhook_that_is_down_fails_its_own_objects_only() {
    let story = Story::new("hook");
    let (home, other) = (story.cluster.namespace("hook"), story.cluster.namespace("hook-other"));
    let name = unique("nobody-listens");
    story.cluster.apply(&format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: {name}}}\nwebhooks:\n\
         - name: down.example.com\n  clientConfig: {{url: \"https://127.0.0.1:9/\"}}\n  failurePolicy: Fail\n  sideEffects: None\n  \
         admissionReviewVersions: [v1]\n  timeoutSeconds: 1\n  \
         namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {home}}}}}\n  \
         rules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [\"*\"], resources: [configmaps]}}]\n"
    ));
    let files = [("a.yaml", config_map(&home, "a", "k", "1")), ("x.yaml", config_map(&other, "x", "k", "1"))];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let commit = story.commit("first", &files);
    let rig = Rig::start(story, home);
    let (unit, fine) = (format!("{}/{}", rig.story.source, rig.home), format!("{}/{other}", rig.story.source));
    let status = rig.story.wait_status(&commit, |status| {
        status["sources"][0]["units"][&unit]["messages"].to_string().contains("failed calling webhook")
    });
    assert!(status["sources"][0]["units"][&unit]["messages"].to_string().contains("tried again"), "{status}");
    rig.story.wait_there("configmap", &other, "x");
    assert!(status["sources"][0]["units"][&fine]["messages"].is_null(), "{status}");
    rig.story.cluster.kubectl(&["delete", "validatingwebhookconfiguration", &name]);
    rig.wait_ready(&commit);
    assert_eq!(rig.value("a").as_deref(), Some("1"));
}
