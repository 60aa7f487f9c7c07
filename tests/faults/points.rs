//! The daemon is killed at every point of [`bowline::failpoint`] and started again: what comes out is what an undisturbed
//! run gives, and nothing was written needlessly on the way.
//!
//! ```text
//! round   commit of the play  ->  armed daemon: dies at the point  ->  plain daemon: ready, stopped
//!         what is in the cluster and in the records; what was written, by the audit log
//! ```
//! Rounds of one play follow each other on one repository, and the first is undisturbed: its outcome is what every other
//! must come to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine as _;
use bowline::failpoint::Point;
use serde_json::{Value, json};

use super::User;
use crate::common::bowline::{PATIENCE, Story, config_map, deployment};
use crate::common::cluster::{Process, wait_until};
use crate::common::git::{GitServer, TestRepo};

/// What is played so that the daemon comes by a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Play {
    /// A commit creates, changes, adopts and removes objects of several units.
    Change,
    /// The same, with a local copy of the repository that was damaged on disk.
    Damage,
    /// The same, with a local copy of so many packs that it is tidied.
    Tidy,
    /// A unit whose rendered objects need more than one Secret.
    Large,
    /// What was in the way of an object is gone when the daemon starts.
    Freed,
    /// All of a unit left Git long ago.
    Leave,
}

/// The play of each point. A new point does not compile before it has one.
fn play_of(point: Point) -> Play {
    match point {
        Point::SourceLooked
        | Point::SourcePack
        | Point::SourceFetched
        | Point::SourceWalked
        | Point::SourceMoved
        | Point::ReconcileObserved
        | Point::RecordPlanned
        | Point::RecordSuperseding
        | Point::RecordSuperseded
        | Point::ApplyWriting
        | Point::ApplyAdopted
        | Point::ApplyWritten
        | Point::ApplyTier
        | Point::ApplyWaited
        | Point::PruneDeleting
        | Point::PruneDeleted
        | Point::PruneDone
        | Point::RecordFinished
        | Point::ClientSending
        | Point::ClientAnswered => Play::Change,
        Point::SourceSwapping | Point::SourceSwapped => Play::Damage,
        Point::SourceTidied => Play::Tidy,
        Point::RecordPart | Point::RecordTrimmed => Play::Large,
        Point::RecordGrown => Play::Freed,
        Point::RecordForgotten => Play::Leave,
    }
}

fn points_of(play: Play) -> impl Iterator<Item = String> {
    Point::ALL.iter().filter(move |point| play_of(**point) == play).map(|point| point.name().to_owned())
}

/// What a round came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: String,
    /// How often each object was written.
    writes: BTreeMap<String, usize>,
}

/// A repository, its server, a cache that lives through all rounds, and a namespace.
struct Rig {
    story: Story,
    user: User,
    repo: TestRepo,
    server: GitServer,
    config: PathBuf,
    home: String,
    round: usize,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let story = Story::new(name);
        let home = story.cluster.namespace(name);
        let user = User::new(&story, name);
        let repo = TestRepo::new();
        let server = GitServer::start(repo.root());
        let folder = story.repo().parent().unwrap().to_owned();
        let config = folder.join("config.yaml");
        let text = format!(
            "namespace: {}\nhistory: 2\ncache: {}\nleaderElection: {{enabled: false}}\n\
             sources:\n- {{name: {}, url: \"{}\", branch: main, poll: 300ms}}\n",
            story.own_namespace,
            folder.join("cache").display(),
            story.source,
            server.url(),
        );
        fs::write(&config, text).unwrap();
        Rig { story, user, repo, server, config, home, round: 100 }
    }

    fn cache(&self) -> PathBuf {
        self.config.with_file_name("cache")
    }

    /// A word that only this round has; all rounds' words have the same length.
    fn word(&self) -> String {
        format!("round{}", self.round)
    }

    fn last_word(&self) -> String {
        format!("round{}", self.round - 1)
    }

    fn daemon(&self, fail_at: &str) -> Process {
        self.story.daemon("daemon", &self.config, &self.user.kubeconfig, &[("BOWLINE_FAIL_AT", fail_at)])
    }

    /// Runs the daemon until everything of the commit is ready and the daemon has stopped.
    #[track_caller]
    fn settle(&self, commit: &str) {
        let mut daemon = self.daemon("");
        let ready = wait_until(PATIENCE, || self.story.is_ready(commit));
        let log = daemon.log();
        ready.unwrap_or_else(|error| panic!("{error:#}\n--- daemon\n{log}"));
        assert_eq!(daemon.terminate(PATIENCE), Some(0), "{}", daemon.log());
    }

    /// Plays one round; with a point the daemon is killed there first. `None` when it never came by the point.
    fn play(&mut self, play: Play, fail_at: Option<&str>) -> Option<Outcome> {
        self.round += 1;
        let commit = match play {
            Play::Change => self.foreign(),
            Play::Damage => self.damage(),
            Play::Tidy => self.tidy(),
            Play::Large => self.large(),
            Play::Freed => self.freed(),
            Play::Leave => self.leave(),
        };
        let mark = self.story.cluster.audit_mark();
        let mut reached = true;
        if let Some(point) = fail_at {
            let mut daemon = self.daemon(point);
            reached = self.dies(&daemon, &commit);
            daemon.kill();
        }
        self.settle(&commit);
        let mut writes = BTreeMap::new();
        for write in self.user.writes(&self.story, mark) {
            *writes.entry(self.plain(&write)).or_insert(0) += 1;
        }
        reached.then(|| Outcome { state: self.state(), writes })
    }

    /// Whether the armed daemon died at its point. It never comes by it when all is ready before.
    fn dies(&self, daemon: &Process, commit: &str) -> bool {
        const ABORTED: i32 = 128 + 6;
        let ended = wait_until(PATIENCE, || {
            if let Some(status) = daemon.exit_status() {
                return Ok(Some(status));
            }
            let path = format!("bowline-source-{}", self.story.source);
            let status = self.story.cluster.get("configmap", &self.story.own_namespace, &path);
            let text = status.as_ref().and_then(|status| status["data"]["status"].as_str()).unwrap_or_default();
            ensure!(text.contains(commit) && !text.contains("\"units\""), "it works: {}", daemon.log());
            Ok(None)
        });
        match ended.unwrap_or_else(|error| panic!("{error:#}")) {
            Some(status) => {
                assert_eq!(status, ABORTED, "{}", daemon.log());
                true
            }
            None => false,
        }
    }

    /// Every object of the namespace with the names of this round made plain, and the records of the source.
    fn state(&self) -> String {
        let list = |kinds: &str, namespace: &str| {
            let text =
                self.story.cluster.kubectl(&["get", kinds, "-n", namespace, "-o", "json", "--show-managed-fields"]);
            serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
        };
        let objects = list("configmaps,secrets,services,deployments", &self.home);
        let mut lines: Vec<String> = objects.iter().map(essence).collect();
        let cluster_role = self.story.cluster.get("clusterrole", "", &self.home);
        lines.extend(cluster_role.iter().map(essence));
        let mut records: Vec<String> = list("secrets", &self.story.own_namespace)
            .iter()
            .filter(|secret| secret["type"] == "bowline.dev/revision.v1")
            .map(|secret| record(secret, self.round))
            .collect();
        records.sort();
        lines.extend(records);
        self.plain(&lines.join("\n"))
    }

    fn plain(&self, text: &str) -> String {
        let encoded = base64::engine::general_purpose::STANDARD.encode(self.word());
        let mut text = text.replace(&encoded, "ROUND");
        for (back, plain) in ["ROUND", "LAST", "BEFORE"].iter().enumerate() {
            text = text.replace(&format!("round{}", self.round - back), plain);
        }
        let text = text.replace(&self.home, "HOME").replace(&self.story.own_namespace, "OWN");
        let revision = regex::Regex::new(r"bowline-[0-9a-f]{16}-v\d+").unwrap();
        revision.replace_all(&text.replace(&self.story.source, "SOURCE"), "RECORD").into_owned()
    }

    /// Makes somebody else's object that the commit adopts; one that an older commit adopted and left goes.
    fn foreign(&self) -> String {
        let old = format!("adopted-round{}", self.round - 2);
        self.story.cluster.kubectl(&["delete", "configmap", &old, "-n", &self.home, "--ignore-not-found"]);
        self.story.cluster.apply(&config_map(&self.home, &format!("adopted-{}", self.word()), "from", "somebody"));
        self.change()
    }

    fn change(&self) -> String {
        let word = self.word();
        let adopted = config_map(&self.home, &format!("adopted-{word}"), "from", "Git");
        let adopted = adopted.replace("{name:", "{annotations: {bowline.dev/adopt: \"true\"}, name:");
        let role = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {}, labels: {{round: {word}}}}}\n",
            self.home
        );
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: password, namespace: {}}}\nstringData: {{word: {word}}}\n",
            self.home
        );
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: same, namespace: {}}}\nspec: {{ports: [{{port: 80}}]}}\n",
            self.home
        );
        let changed = config_map(&self.home, "changed", "round", &word);
        let fresh = config_map(&self.home, &format!("fresh-{word}"), "a", "b");
        let (of_unit, new_of_unit) =
            (config_map(&self.home, "unit", "round", &word), config_map(&self.home, &format!("unit-{word}"), "a", "b"));
        let files = [
            ("role.yaml", role),
            ("changed.yaml", format!("{changed}---\n{secret}---\n{service}---\n{adopted}---\n{fresh}")),
            ("web.yaml", deployment(&self.home, "web", &format!("nginx:{word}"))),
            ("unit/bowline.yaml", "apiVersion: bowline.dev/v1\nkind: Settings\nunit: {name: app}\n".to_owned()),
            ("unit/app.yaml", format!("{of_unit}---\n{new_of_unit}")),
        ];
        self.commit(&files)
    }

    fn commit(&self, files: &[(&str, String)]) -> String {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        self.repo.commit(&self.word(), &files)
    }

    /// Flips a byte in every pack of the local copy.
    fn damage(&self) -> String {
        let commit = self.change();
        for pack in packs(&self.cache()) {
            let mut bytes = fs::read(&pack).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            fs::remove_file(&pack).unwrap();
            fs::write(&pack, bytes).unwrap();
        }
        commit
    }

    /// Fetches commit after commit, one pack each.
    fn tidy(&self) -> String {
        use bowline::source::{Config, Reference, Source};
        let mut config = Config::new(&self.story.source, &self.server.url());
        config.reference = Reference::Branch("main".to_owned());
        let mut source = Source::open(config, &self.cache()).unwrap();
        for number in 0..41 {
            self.repo.commit("noise", &[("noise.txt", &format!("{number} {}", self.word()))]);
            source.fetch().unwrap();
        }
        drop(source);
        self.change()
    }

    /// Two kinds of noise that no compression makes small.
    fn large(&self) -> String {
        let noise = |seed: usize| -> String {
            let mut state = (self.round * 8 + seed) as u64;
            let bytes: Vec<u8> = (0..330_000)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            base64::engine::general_purpose::STANDARD.encode(bytes)
        };
        let files: Vec<(String, String)> = (0..3)
            .map(|number| {
                let text = format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large-{number}, namespace: {}}}\ndata: {{noise: \"{}\", word: {}}}\n",
                    self.home,
                    noise(number),
                    self.word(),
                );
                (format!("large-{number}.yaml"), text)
            })
            .collect();
        let files: Vec<(&str, String)> = files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
        self.commit(&files)
    }

    /// The unit has failed on an object of somebody else's, which is gone when the daemon starts.
    fn freed(&self) -> String {
        let name = format!("blocked-{}", self.word());
        let ours = config_map(&self.home, &name, "of", "ours");
        self.story.cluster.apply(&ours.replace("ours", "somebody"));
        let commit =
            self.commit(&[("blocked.yaml", ours), ("other.yaml", config_map(&self.home, "other", "a", &self.word()))]);
        let mut daemon = self.daemon("");
        let unit = format!("{}/{}", self.story.source, self.home);
        let failed = wait_until(PATIENCE, || {
            let ran = self.story.verb(&["status", "--source", &self.story.source, "-o", "json"]);
            let status: Value = serde_json::from_str(&ran.stdout)?;
            let says = status["sources"][0]["units"][&unit]["messages"].to_string();
            ensure!(says.contains("is not ours") && says.contains(&self.word()), "{}", ran.stdout);
            Ok(())
        });
        let log = daemon.log();
        failed.unwrap_or_else(|error| panic!("{error:#}\n{log}"));
        assert_eq!(daemon.terminate(PATIENCE), Some(0));
        self.story.cluster.kubectl(&["delete", "configmap", &name, "-n", &self.home]);
        commit
    }

    /// A folder unit with two revisions left Git, and so long ago that its records may go.
    fn leave(&self) -> String {
        let unit = "apiVersion: bowline.dev/v1\nkind: Settings\nunit: {name: app}\n".to_owned();
        for value in ["1", "2"] {
            let object = config_map(&self.home, "goes", "a", &format!("{value} {}", self.word()));
            let stays = ("stays.yaml", config_map(&self.home, "stays", "a", &self.last_word()));
            self.settle(&self.commit(&[stays, ("app/bowline.yaml", unit.clone()), ("app/goes.yaml", object)]));
        }
        self.settle(&self.repo.change("leave").remove("app/goes.yaml").remove("app/bowline.yaml").commit());
        let selector = format!("bowline.dev/current=true,bowline.dev/source={}", self.story.source);
        let own = self.story.own_namespace.as_str();
        let secrets = self.story.cluster.kubectl(&["get", "secrets", "-n", own, "-l", &selector, "-o", "json"]);
        let secrets: Value = serde_json::from_str(&secrets).unwrap();
        let of_unit = |secret: &&Value| {
            let name = secret["metadata"]["annotations"]["bowline.dev/unit-name"].as_str().unwrap_or_default();
            name.ends_with("/app")
        };
        let secret = secrets["items"].as_array().unwrap().iter().find(of_unit).unwrap();
        let mut record = unpack(secret["data"]["record"].as_str().unwrap());
        record["finished"] = json!("2020-01-01T00:00:00Z");
        let patch = json!({"data": {"record": pack(&record)}}).to_string();
        let name = secret["metadata"]["name"].as_str().unwrap();
        self.story.cluster.kubectl(&["patch", "secret", name, "-n", own, "--type=merge", "-p", &patch]);
        self.commit(&[("stays.yaml", config_map(&self.home, "stays", "a", &self.word()))])
    }
}

fn unpack(record: &str) -> Value {
    let packed = base64::engine::general_purpose::STANDARD.decode(record).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn pack(record: &Value) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(record.to_string().as_bytes()).unwrap();
    base64::engine::general_purpose::STANDARD.encode(encoder.finish().unwrap())
}

/// What an object holds, but for what the server and other controllers put there.
fn essence(object: &Value) -> String {
    let metadata = &object["metadata"];
    let mut annotations = metadata["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.retain(|key, _| key.starts_with("bowline.dev"));
    }
    let managers: Vec<String> = metadata["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["operation"] == "Apply")
        .map(|entry| format!("{} {}", entry["manager"].as_str().unwrap_or_default(), entry["fieldsV1"]))
        .collect();
    let mut labels = metadata["labels"].clone();
    if let Some(unit) = labels.pointer_mut("/bowline.dev~1unit") {
        *unit = json!("UNIT");
    }
    let mut data = object["data"].clone();
    if let Some(noise) = data.get_mut("noise") {
        *noise = json!(noise.as_str().map(str::len));
    }
    let content = json!({
        "labels": labels, "annotations": annotations, "managers": managers, "data": data,
        "image": object.pointer("/spec/template/spec/containers/0/image"),
    });
    format!(
        "{}/{} {content}",
        object["kind"].as_str().unwrap_or_default(),
        metadata["name"].as_str().unwrap_or_default()
    )
}

/// What a record says, with numbers counted back from this round's.
fn record(secret: &Value, round: usize) -> String {
    let mut labels = secret["metadata"]["labels"].clone();
    labels["bowline.dev/record"] = json!("UNIT");
    let unit = &secret["metadata"]["annotations"]["bowline.dev/unit-name"];
    let Some(packed) = secret["data"]["record"].as_str() else { return format!("part {unit} {labels}") };
    let record = unpack(packed);
    let entries: Vec<String> = record["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {} adopted={}", entry["id"], entry["state"], entry["adopted"]))
        .collect();
    let number = record["number"].as_u64().unwrap_or_default() as i64 - round as i64;
    let message = &record["commit"]["message"];
    format!("record {unit} {number} {labels} {} {message} {} {}", record["status"], record["files"], entries.join(", "))
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(packs(&path));
        } else if path.extension().is_some_and(|extension| extension == "pack") {
            found.push(path);
        }
    }
    found
}

/// Plays an undisturbed round, and then one for each point.
fn kill_at(play: Play, name: &str, points: impl Iterator<Item = String>) {
    let mut rig = Rig::new(name);
    // Two rounds more: what the first ones add, later ones only replace; and the history is full.
    for _ in 0..2 {
        rig.play(play, None);
    }
    let undisturbed = rig.play(play, None).unwrap();
    assert!(undisturbed.writes.values().all(|count| *count > 0) && !undisturbed.writes.is_empty());
    let mut wrong = Vec::new();
    for point in points {
        match rig.play(play, Some(&point)) {
            None => wrong.push(format!("{point}: {play:?} never comes by it")),
            Some(outcome) => {
                if let Err(error) = compare(&undisturbed, &outcome) {
                    wrong.push(format!("{point}: {error:#}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn compare(undisturbed: &Outcome, outcome: &Outcome) -> Result<()> {
    let difference = similar::TextDiff::from_lines(&undisturbed.state, &outcome.state);
    let difference: Vec<String> = difference
        .iter_all_changes()
        .filter(|change| change.tag() != similar::ChangeTag::Equal)
        .map(|change| format!("{}{}", change.tag(), change.value().trim_end()))
        .collect();
    let shown: String = difference.join("\n").chars().take(5_000).collect();
    ensure!(difference.is_empty(), "the end is another:\n{shown}");
    let mut more = Vec::new();
    for (write, count) in &outcome.writes {
        let usual = undisturbed.writes.get(write).copied().unwrap_or_default();
        more.extend((usual..*count).map(|_| write.as_str()));
    }
    ensure!(more.len() <= 1, "needless writes: {}", more.join(", "));
    Ok(())
}

#[test]
fn a_kill_at_any_point_of_a_commit_changes_nothing_in_the_end() {
    let some_requests = ["client.answered:4", "client.sending:7", "client.answered:10"].map(str::to_owned);
    kill_at(Play::Change, "points", points_of(Play::Change).chain(some_requests));
}

#[test]
fn a_kill_while_a_damaged_copy_is_replaced_changes_nothing_in_the_end() {
    kill_at(Play::Damage, "damage", points_of(Play::Damage));
}

#[test]
fn a_kill_while_the_copy_is_tidied_changes_nothing_in_the_end() {
    kill_at(Play::Tidy, "tidy", points_of(Play::Tidy));
}

#[test]
fn a_kill_between_the_parts_of_a_large_record_changes_nothing_in_the_end() {
    kill_at(Play::Large, "large", points_of(Play::Large));
}

#[test]
fn a_kill_while_an_inventory_grows_changes_nothing_in_the_end() {
    kill_at(Play::Freed, "freed", points_of(Play::Freed));
}

#[test]
fn a_kill_while_a_unit_is_forgotten_changes_nothing_in_the_end() {
    kill_at(Play::Leave, "leave", points_of(Play::Leave));
}

/// Every single write of a play: killed before it is sent, and after it is answered.
#[test]
#[ignore = "takes minutes: make soak"]
fn soak_a_kill_at_any_request_changes_nothing_in_the_end() {
    for (play, name) in [(Play::Change, "requests"), (Play::Freed, "requests-f"), (Play::Leave, "requests-l")] {
        let mut rig = Rig::new(name);
        for _ in 0..2 {
            rig.play(play, None);
        }
        let undisturbed = rig.play(play, None).unwrap();
        let mut wrong = Vec::new();
        for point in [Point::ClientSending, Point::ClientAnswered] {
            let mut number = 1;
            while let Some(outcome) = rig.play(play, Some(&format!("{}:{number}", point.name()))) {
                if let Err(error) = compare(&undisturbed, &outcome) {
                    wrong.push(format!("{play:?} {} {number}: {error:#}", point.name()));
                }
                number += 1;
            }
            assert!(number > 5, "{play:?} has more writes than {number}");
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }
}
