//! What is never deleted: one story for each way in which tools like this one have lost somebody's objects, on the real
//! control plane. Each reads from the audit log that no DELETE was sent.
//!
//! ```text
//! inputs     what is rendered is wrong, incomplete or not the whole       owners    whose is it?
//! kinds      objects that take others along, or cannot be told apart      leaving   what stays, and how it goes after all
//! protocol   the ten steps of a deletion, each                            approval  by hand and by a line in Git
//! undelete   what is gone comes back                                      replace   fields that cannot be changed in place
//! ```
//! Stories are named after the row of the list of incidents that they stand for: `row_05_...`.

mod approval;
mod inputs;
mod kinds;
mod leaving;
mod owners;
mod protocol;
mod replace;
mod undelete;

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use serde_json::Value;

use crate::common::bowline::Story;
use crate::common::cluster::{Mark, TestCluster, unique};

/// Rows of the list.
const ROWS: u8 = 23;

/// Rows about releases and charts: their stories come with releases.
const WITH_RELEASES: [(u8, &str); 3] = [
    (12, "a release's identity changes (name, namespace, chart): uninstalled and installed, its data lost"),
    (13, "a failed installation is mended by uninstalling what was there before; units: row_13"),
    (14, "a chart's own Namespace is switched off, and its records with it; manifests: row_14"),
];

#[test]
fn every_row_has_its_story() {
    let texts = [
        include_str!("approval.rs"),
        include_str!("inputs.rs"),
        include_str!("kinds.rs"),
        include_str!("leaving.rs"),
        include_str!("owners.rs"),
        include_str!("protocol.rs"),
        include_str!("replace.rs"),
        include_str!("undelete.rs"),
    ];
    let names = texts.iter().flat_map(|text| text.split("\nfn row_").skip(1));
    let mut told: BTreeSet<u8> = names.map(|name| name[..2].parse().unwrap()).collect();
    told.extend(WITH_RELEASES.iter().map(|(row, _)| *row));
    assert_eq!(told, (1..=ROWS).collect());
}

/// A story whose daemon and commands act as a user of their own, so that the audit log tells their requests from all others.
struct Case {
    story: Story,
    /// A namespace of its own.
    home: String,
    user: String,
    mark: Mark,
}

impl Case {
    fn new(name: &str) -> Case {
        Case::on(Story::new(name), name)
    }

    fn on(mut story: Story, name: &str) -> Case {
        let home = story.cluster.namespace(&name[..name.len().min(14)]);
        let user = unique("deleter");
        let binding = format!("--user={user}");
        story.cluster.kubectl(&["create", "clusterrolebinding", &user, "--clusterrole=cluster-admin", &binding]);
        story.kubeconfig = story.cluster.kubeconfig_for(&user).unwrap();
        let mark = story.cluster.audit_mark();
        Case { story, home, user, mark }
    }

    /// The unit of the story's own namespace.
    fn unit(&self) -> String {
        format!("{}/{}", self.source, self.home)
    }

    /// Every DELETE that this story's bowline has sent since its beginning, but for its own records.
    fn deletes(&self) -> Vec<String> {
        self.deletes_with(|_| true)
    }

    /// The DELETEs whose answer had such a code.
    fn deletes_with(&self, code: impl Fn(u16) -> bool) -> Vec<String> {
        let events = self.cluster.audit_since(self.mark);
        let own = events.iter().filter(|event| event.user() == self.user && event.verb.starts_with("delete"));
        own.filter(|event| event.namespace() != self.own_namespace && code(event.code()))
            .map(|event| event.uri.clone())
            .collect()
    }

    #[track_caller]
    fn assert_nothing_deleted(&self) {
        assert_eq!(self.deletes(), Vec::<String>::new());
    }

    #[track_caller]
    fn uid(&self, resource: &str, namespace: &str, name: &str) -> Value {
        let object = self.cluster.get(resource, namespace, name);
        object.unwrap_or_else(|| panic!("{resource} {namespace}/{name} is gone"))["metadata"]["uid"].clone()
    }

    /// Waits until the status of a commit holds all of these words.
    #[track_caller]
    fn wait_said(&self, commit: &str, words: &[&str]) -> Value {
        self.wait_status(commit, |status| {
            let text = status["sources"][0].to_string();
            words.iter().all(|word| text.contains(word))
        })
    }

    /// Merges a patch into an object, as an administrator does by hand.
    fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &str) {
        let mut arguments = vec!["patch", resource, name, "--type=merge", "-p", patch];
        if !namespace.is_empty() {
            arguments.extend(["-n", namespace]);
        }
        self.cluster.kubectl(&arguments);
    }
}

impl Deref for Case {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.story
    }
}

impl DerefMut for Case {
    fn deref_mut(&mut self) -> &mut Story {
        &mut self.story
    }
}

/// A control plane of one's own that lives until the test run ends: for stories that break it for everybody.
fn own_cluster() -> &'static TestCluster {
    Box::leak(Box::new(TestCluster::start()))
}

/// A template list for names with one ConfigMap.
fn list(names: &str, more: &str) -> String {
    format!(
        "apiVersion: bowline.dev/v1\nkind: TemplateList\nmetadata: {{name: defaults}}\nspec:\n  namespaces: [{names}]\n{more}  \
         templates:\n  - object: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: settings}}, data: {{a: \"1\"}}}}\n"
    )
}
