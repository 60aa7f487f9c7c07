//! Several daemons on one cluster: one works, the others keep warm, and nobody writes without the lease.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{User, page};
use crate::common::bowline::{PATIENCE, Story, config_map};
use crate::common::cluster::{Process, free_port};
use crate::common::git::{GitServer, TestRepo};
use crate::common::proxy::{Fault, Proxy};

/// A lease that ends soon when nobody renews it.
const SHORT: &str = "leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 300ms";
/// A lease that never ends within a test: whoever takes it was given it.
const LONG: &str = "leaseDuration: 1h, renewDeadline: 30m, retryPeriod: 300ms";

/// A daemon, the account it works as, and the port of its pages.
struct Candidate {
    daemon: Process,
    user: User,
    port: u16,
}

impl Candidate {
    fn start(story: &Story, name: &str, times: &str) -> Candidate {
        Candidate::polling(story, name, times, story.repo().to_str().unwrap(), "300ms")
    }

    /// One that reads another address than the story's folder, at its own pace.
    fn polling(story: &Story, name: &str, times: &str, url: &str, poll: &str) -> Candidate {
        let port = free_port().unwrap();
        let config = story.config(name, &format!("listen: 127.0.0.1:{port}\nleaderElection: {{{times}}}"));
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace(story.repo().to_str().unwrap(), url).replace("poll: 300ms", &format!("poll: {poll}"));
        std::fs::write(&config, text).unwrap();
        let user = User::new(story, name);
        Candidate { daemon: story.daemon(name, &config, &user.kubeconfig, &[]), user, port }
    }

    /// One whose requests go through a proxy, or that comes to a fail point.
    fn special(story: &Story, name: &str, times: &str, proxy: Option<&Proxy>, fail_at: &str) -> Candidate {
        let port = free_port().unwrap();
        let config = story.config(name, &format!("listen: 127.0.0.1:{port}\nleaderElection: {{{times}}}"));
        let user = match proxy {
            Some(proxy) => User { name: proxy.user().to_owned(), kubeconfig: proxy.kubeconfig().to_owned() },
            None => User::new(story, name),
        };
        let daemon = story.daemon(name, &config, &user.kubeconfig, &[("BOWLINE_FAIL_AT", fail_at)]);
        Candidate { daemon, user, port }
    }

    /// Waits until it says of itself that it leads, or who leads.
    #[track_caller]
    fn wait_says(&self, story: &Story, wanted: &str) -> String {
        story.eventually(&format!("/readyz says {wanted}"), || {
            let (status, body) = page(self.port, "/readyz").with_context(|| self.daemon.log())?;
            ensure!(status == 200 && body.contains(wanted), "{status} {body}\n{}", self.daemon.log());
            Ok(body)
        })
    }

    fn number(&self, name: &str) -> Result<String> {
        let (_, body) = page(self.port, "/metrics")?;
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).map(str::to_owned);
        line.ok_or_else(|| anyhow::anyhow!("no {name}"))
    }
}

fn lease(story: &Story) -> Value {
    story.cluster.get("lease", &story.own_namespace, "bowline").map(|lease| lease["spec"].clone()).unwrap_or_default()
}

fn holder(story: &Story) -> String {
    lease(story)["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_warm_stand_by_takes_over_from_a_leader_that_was_killed() {
    let story = Story::new("failover");
    let home = story.cluster.namespace("failover");
    let first = story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let mut leader = Candidate::start(&story, "failover-one", SHORT);
    leader.wait_says(&story, "leader");
    story.wait_ready(&first);
    let stand_by = Candidate::start(&story, "failover-two", SHORT);
    let body = stand_by.wait_says(&story, "stand-by: ");
    assert_eq!(body, format!("ok\nstand-by: {} leads\n", holder(&story)));
    assert_eq!(
        (leader.number("bowline_leader").unwrap(), stand_by.number("bowline_leader").unwrap()),
        ("1".to_owned(), "0".to_owned())
    );
    // Warm: it knows the second commit before the leader is gone.
    let before = lease(&story);
    let mark = story.cluster.audit_mark();
    leader.daemon.signal("STOP");
    let second = story.commit("second", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    story.eventually("the stand-by has read the second commit", || {
        ensure!(stand_by.daemon.log().contains(&second[..7]), "{}", stand_by.daemon.log());
        Ok(())
    });
    leader.daemon.kill();

    stand_by.wait_says(&story, "leader");
    story.wait_ready(&second);
    let after = lease(&story);
    assert_eq!(after["leaseTransitions"], before["leaseTransitions"].as_i64().unwrap() + 1);
    assert_ne!(after["holderIdentity"], before["holderIdentity"]);
    let asked = story.cluster.audit_since(mark);
    let accounts: Vec<&str> = asked
        .iter()
        .filter(|event| event.user() == stand_by.user.name && event.uri.contains("sendInitialEvents"))
        .map(|event| event.uri.as_str())
        .collect();
    assert_eq!(accounts, Vec::<&str>::new(), "what it watched as a stand-by it needs not ask again");
    let events = story.cluster.kubectl(&["get", "events", "-n", &story.own_namespace, "-o", "json"]);
    let events: Value = serde_json::from_str(&events).unwrap();
    let told: Vec<&Value> =
        events["items"].as_array().unwrap().iter().filter(|event| event["reason"] == "LeaderElection").collect();
    assert!(told.iter().any(|event| event["message"] == format!("{} leads", holder(&story))), "{told:?}");
    assert_eq!(told[0]["involvedObject"]["kind"], "Lease");
}

#[test]
fn a_stand_by_that_has_not_seen_the_last_commit_does_not_bring_the_old_one_back() {
    let story = Story::new("behind");
    let home = story.cluster.namespace("behind");
    let repo = TestRepo::new();
    let server = GitServer::start(repo.root());
    let first = repo.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let mut leader = Candidate::polling(&story, "behind-one", LONG, &server.url(), "300ms");
    leader.wait_says(&story, "leader");
    story.wait_ready(&first);
    // It looks once, and then not for an hour.
    let stand_by = Candidate::polling(&story, "behind-two", LONG, &server.url(), "1h");
    stand_by.wait_says(&story, "stand-by: ");
    story.eventually("the stand-by has read the first commit", || {
        ensure!(stand_by.daemon.log().contains(&first[..7]), "{}", stand_by.daemon.log());
        Ok(())
    });
    let (a, b) = (config_map(&home, "a", "k", "2"), config_map(&home, "b", "k", "1"));
    let second = repo.commit("second", &[("a.yaml", &a), ("b.yaml", &b)]);
    story.wait_ready(&second);
    let mark = story.cluster.audit_mark();
    assert_eq!(leader.daemon.terminate(PATIENCE), Some(0));
    stand_by.wait_says(&story, "leader");
    // It looks again because it leads now, long before its next poll.
    story.eventually("the new leader has read the second commit", || {
        ensure!(stand_by.daemon.log().contains(&second[..7]), "{}", stand_by.daemon.log());
        Ok(())
    });
    story.wait_ready(&second);
    assert_eq!(stand_by.user.writes(&story, mark), Vec::<String>::new(), "{}", stand_by.daemon.log());
    assert_eq!(story.cluster.get("configmap", &home, "a").unwrap()["data"]["k"], "2");
    assert!(story.cluster.get("configmap", &home, "b").is_some());
}

#[test]
fn a_leader_that_was_paused_past_its_lease_writes_no_more() {
    let story = Story::new("paused");
    let home = story.cluster.namespace("paused");
    let first = story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    // It stands still right before its second write of an object, and does not know how long.
    let mut old = Candidate::special(&story, "paused-old", SHORT, None, "apply.writing:2=stop");
    old.wait_says(&story, "leader");
    story.wait_ready(&first);
    let second = story.commit("second", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    story.eventually("the leader stands still", || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", old.daemon.pid()))?;
        ensure!(state.contains(") T "), "{state}");
        Ok(())
    });
    let new = Candidate::start(&story, "paused-new", SHORT);
    new.wait_says(&story, "leader");
    story.wait_ready(&second);
    let third = story.commit("third", &[("a.yaml", &config_map(&home, "a", "k", "3"))]);
    story.wait_ready(&third);

    let mark = story.cluster.audit_mark();
    old.daemon.signal("CONT");
    old.wait_says(&story, &format!("stand-by: {} leads", holder(&story)));
    story.eventually("the old leader has read the third commit", || {
        ensure!(old.daemon.log().contains(&third[..7]), "{}", old.daemon.log());
        Ok(())
    });
    assert_eq!(old.user.writes(&story, mark), Vec::<String>::new(), "{}", old.daemon.log());
    assert_eq!(story.cluster.get("configmap", &home, "a").unwrap()["data"]["k"], "3");
    // It is as good a stand-by as any.
    drop(new);
    old.wait_says(&story, "leader");
    let fourth = story.commit("fourth", &[("a.yaml", &config_map(&home, "a", "k", "4"))]);
    story.wait_ready(&fourth);
}

#[test]
fn a_write_that_is_under_way_when_the_lease_ends_is_cut_off() {
    let story = Story::new("cutoff");
    let home = story.cluster.namespace("cutoff");
    let first = story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let proxy = Proxy::start(story.cluster, story.repo().parent().unwrap());
    let old = Candidate::special(&story, "cutoff-old", SHORT, Some(&proxy), "");
    old.wait_says(&story, "leader");
    story.wait_ready(&first);
    // The write hangs on its way to the server, and so does every renewal.
    let of_home = format!("/{home}/");
    proxy.hurt(move |seen| seen.is_write() && seen.uri.contains(&of_home), Fault::Hold);
    let second = story.commit("second", &[("a.yaml", &config_map(&home, "a", "k", "2"))]);
    story.eventually("the write is under way", || {
        ensure!(proxy.hurts() == 1, "{}", old.daemon.log());
        Ok(())
    });
    proxy.hurt(|seen| seen.is_lease(), Fault::Refuse);
    story.eventually("the old leader gives the write up", || {
        ensure!(proxy.given_up() == 1, "{}", old.daemon.log());
        Ok(())
    });
    old.wait_says(&story, "stand-by");
    let new = Candidate::start(&story, "cutoff-new", SHORT);
    new.wait_says(&story, "leader");
    story.wait_ready(&second);
    let mark = story.cluster.audit_mark();
    proxy.heal();
    old.wait_says(&story, &format!("stand-by: {} leads", holder(&story)));
    assert_eq!(old.user.writes(&story, mark), Vec::<String>::new(), "{}", old.daemon.log());
}

#[test]
fn a_leader_that_stops_gives_its_lease_up() {
    let story = Story::new("handover");
    let home = story.cluster.namespace("handover");
    let first = story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let mut leader = Candidate::start(&story, "handover-one", LONG);
    leader.wait_says(&story, "leader");
    story.wait_ready(&first);
    let stand_by = Candidate::start(&story, "handover-two", LONG);
    stand_by.wait_says(&story, "stand-by: ");
    assert_eq!(leader.daemon.terminate(PATIENCE), Some(0), "{}", leader.daemon.log());
    // The lease had an hour to go.
    stand_by.wait_says(&story, "leader");
    let mark = story.cluster.audit_mark();
    let second = story.commit("second", &[("b.yaml", &config_map(&home, "b", "k", "1"))]);
    story.wait_ready(&second);
    let wrote = stand_by.user.writes(&story, mark);
    assert!(wrote.contains(&format!("patch configmaps {home}/b")), "{wrote:?}");
    assert!(!wrote.contains(&format!("patch configmaps {home}/a")), "{wrote:?}");
}

#[test]
fn a_stand_by_writes_nothing() {
    let story = Story::new("standby");
    let home = story.cluster.namespace("standby");
    // Somebody else holds the lease, and never works.
    story.cluster.kubectl(&["create", "namespace", &story.own_namespace]);
    story.cluster.apply(&format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: bowline, namespace: {}}}\n\
         spec: {{holderIdentity: nobody, leaseDurationSeconds: 3600, leaseTransitions: 4}}\n",
        story.own_namespace
    ));
    let mark = story.cluster.audit_mark();
    let commit = story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let mut stand_by = Candidate::start(&story, "standby-one", LONG);
    stand_by.wait_says(&story, "stand-by: nobody leads");
    story.eventually("it has read the commit", || {
        ensure!(stand_by.daemon.log().contains(&commit[..7]), "{}", stand_by.daemon.log());
        Ok(())
    });
    assert_eq!(stand_by.daemon.terminate(Duration::from_secs(60)), Some(0));
    assert_eq!(stand_by.user.writes(&story, mark), Vec::<String>::new());
    assert_eq!(story.cluster.get("configmap", &home, "a"), None);
    assert_eq!((holder(&story).as_str(), &lease(&story)["leaseTransitions"]), ("nobody", &json!(4)));
}

#[test]
fn without_rights_on_leases_the_daemon_says_so_and_writes_nothing() {
    let story = Story::new("nolease");
    let home = story.cluster.namespace("nolease");
    story.commit("first", &[("a.yaml", &config_map(&home, "a", "k", "1"))]);
    let user = crate::common::cluster::unique("nolease");
    for (role, verbs, resources) in [
        (format!("{user}-read"), "get,list,watch", "*.*"),
        (format!("{user}-write"), "create,patch,delete", "configmaps,secrets,events,namespaces"),
    ] {
        story.cluster.kubectl(&[
            "create",
            "clusterrole",
            &role,
            &format!("--verb={verbs}"),
            &format!("--resource={resources}"),
        ]);
        story.cluster.kubectl(&[
            "create",
            "clusterrolebinding",
            &role,
            &format!("--clusterrole={role}"),
            &format!("--user={user}"),
        ]);
    }
    let port = free_port().unwrap();
    let config = story.config("nolease", &format!("listen: 127.0.0.1:{port}"));
    let kubeconfig = story.cluster.kubeconfig_for(&user).unwrap();
    let daemon = story.daemon("nolease", &config, &kubeconfig, &[]);
    story.eventually("it says what it lacks", || match daemon.log() {
        log if log.contains("cannot create resource") && log.contains("leaderElection") => Ok(()),
        log => bail!("{log}"),
    });
    let (status, body) = page(port, "/readyz").unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("lease: "), "{body}");
    assert_eq!(story.cluster.get("configmap", &home, "a"), None);
}
