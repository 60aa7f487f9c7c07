//! What a source follows, and what happens when it goes away or is rewritten: over `file://` and HTTP alike.

use std::collections::BTreeSet;
use std::time::Duration;

use bowline::source::{Error, Reference, Rewritten};
use tempfile::TempDir;

use super::{config, main_branch, moved, open, paths, text, unchanged};
use crate::common::git::{GitServer, TestRepo};

/// Runs a story over libgit2's own transport and over ours, with a new and an old server.
fn everywhere(story: impl Fn(&TestRepo, &str)) {
    let repo = TestRepo::new();
    story(&repo, &repo.url());
    for is_old in [false, true] {
        let repo = TestRepo::new();
        let server = GitServer::start(repo.root());
        server.behave(|behaviour| behaviour.is_old = is_old);
        story(&repo, &server.url());
    }
}

#[test]
fn a_branch_is_followed_from_commit_to_commit() {
    everywhere(|repo, url| {
        let first = repo.commit("first\n\nwith a body", &[("a.yaml", "a"), ("b/c.yaml", "c")]);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, main_branch()), cache.path());
        let (checkout, history) = moved(source.fetch());
        assert_eq!(checkout.commit.id, first);
        assert_eq!(checkout.commit.author, "Ada <ada@example.org>");
        assert_eq!(checkout.commit.message, "first\n\nwith a body\n");
        assert!(checkout.commit.time >= 1_700_000_000);
        assert_eq!(paths(&checkout), ["a.yaml", "b/c.yaml"]);
        assert_eq!((history.previous, history.descendant), (None, true));
        unchanged(source.fetch());

        let second = repo.commit("second", &[("b/c.yaml", "other")]);
        let (next, history) = moved(source.fetch());
        assert_eq!(next.commit.id, second);
        assert_eq!(text(&next, "b/c.yaml"), "other");
        assert_eq!(text(&checkout, "b/c.yaml"), "c", "an older checkout stays what it was");
        assert_eq!(next.entry("a.yaml"), checkout.entry("a.yaml"));
        assert_eq!((history.previous, history.descendant), (Some(first), true));
        assert_eq!(history.reference, "refs/heads/main");
        assert_eq!(history.commits.iter().map(|commit| commit.id.as_str()).collect::<Vec<_>>(), [second]);
    });
}

#[test]
fn tags_ranges_and_commits_are_followed() {
    everywhere(|repo, url| {
        let first = repo.commit("first", &[("a", "1")]);
        repo.annotate_tag("v1.0.0", &first);
        let second = repo.commit("second", &[("a", "2")]);
        repo.set_tag("v1.1.0", &second);
        let third = repo.commit("third", &[("a", "3")]);
        let cache = TempDir::new().unwrap();
        let at = |reference| {
            let mut source = open(config(url, reference), cache.path());
            moved(source.fetch()).0.commit.id.clone()
        };
        assert_eq!(at(Reference::Tag("v1.0.0".into())), first, "an annotated tag leads to its commit");
        assert_eq!(at(Reference::Tag("v1.1.0".into())), second);
        assert_eq!(at(Reference::Semver("1.x".into())), second);
        assert_eq!(at(Reference::Semver("~1.0".into())), first);
        assert_eq!(at(Reference::Commit(second.clone())), second);
        assert_eq!(at(Reference::Head), third);

        let mut source = open(config(url, Reference::Semver(">=1".into())), cache.path());
        assert_eq!(moved(source.fetch()).0.commit.id, second);
        repo.annotate_tag("v1.2.0", &third);
        let (checkout, history) = moved(source.fetch());
        assert_eq!((checkout.commit.id.as_str(), history.descendant), (third.as_str(), true));
    });
}

#[test]
fn a_commit_that_no_reference_shows_is_fetched_where_the_server_gives_it() {
    everywhere(|repo, url| {
        let hidden = repo.commit("hidden", &[("a", "1")]);
        repo.commit("shown", &[("a", "2")]);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, Reference::Commit(hidden.clone())), cache.path());
        assert_eq!(moved(source.fetch()).0.commit.id, hidden);
        unchanged(source.fetch());
    });
}

#[test]
fn a_reference_that_goes_away_is_an_error_and_the_last_commit_stays() {
    everywhere(|repo, url| {
        let first = repo.commit("first", &[("a", "1")]);
        repo.set_branch("mian", &first);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, main_branch()), cache.path());
        moved(source.fetch());
        repo.git(&["update-ref", "-d", "refs/heads/main"]);
        let error = source.fetch().unwrap_err();
        assert_eq!(error.to_string(), format!("{}: there is no branch main (there are: mian)", source.address()));
        assert_eq!(source.cached().unwrap().unwrap().commit.id, first);
        repo.set_branch("main", &first);
        unchanged(source.fetch());

        let other = TempDir::new().unwrap();
        let mut source = open(config(url, Reference::Tag("v9".into())), other.path());
        assert!(matches!(source.fetch(), Err(Error::NoReference { known, .. }) if known.is_empty()));
    });
}

#[test]
fn an_empty_repository_is_an_error() {
    everywhere(|_, url| {
        let cache = TempDir::new().unwrap();
        let error = open(config(url, main_branch()), cache.path()).fetch().unwrap_err();
        assert!(matches!(error, Error::NoReference { .. }), "{error}");
    });
}

#[test]
fn a_path_that_goes_away_is_an_error_and_never_an_empty_tree() {
    let repo = TestRepo::with(&[("dev/a", "1"), ("prod/a", "1")]);
    let cache = TempDir::new().unwrap();
    let mut with_path = config(&repo.url(), main_branch());
    with_path.path = "dev".to_owned();
    let mut source = open(with_path, cache.path());
    let (good, _) = moved(source.fetch());
    assert_eq!(paths(&good), ["a"]);

    let gone = repo.change("away").remove("dev/a").commit();
    let error = source.fetch().unwrap_err();
    assert_eq!(error.to_string(), format!("dev: commit {gone} has no such folder"));
    assert!(error.hint().unwrap().contains("nothing is deleted"));
    repo.commit("a file in its place", &[("dev", "1")]);
    assert!(matches!(source.fetch(), Err(Error::NoPath { .. })));
    assert_eq!(source.cached().unwrap().unwrap().commit.id, good.commit.id);

    let back = repo.change("back").remove("dev").file("dev/b", "2").commit();
    let (checkout, history) = moved(source.fetch());
    assert_eq!((checkout.commit.id.as_str(), history.previous), (back.as_str(), Some(good.commit.id.clone())));
}

#[test]
fn a_commit_without_any_file_is_an_error() {
    let repo = TestRepo::with(&[("a", "1")]);
    let cache = TempDir::new().unwrap();
    let mut source = open(config(&repo.url(), main_branch()), cache.path());
    moved(source.fetch());
    repo.change("all gone").remove("a").commit();
    let error = source.fetch().unwrap_err();
    assert!(matches!(error, Error::Empty { .. }), "{error}");
    assert_eq!(source.cached().unwrap().unwrap().commit.subject(), "first");
}

#[test]
fn a_force_push_is_followed_and_reported() {
    everywhere(|repo, url| {
        let first = repo.commit("first", &[("a", "1")]);
        let second = repo.commit("second", &[("a", "2")]);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, main_branch()), cache.path());
        moved(source.fetch());
        repo.set_branch("main", &first);
        let other = repo.commit("other", &[("a", "3")]);
        let (checkout, history) = moved(source.fetch());
        assert_eq!(checkout.commit.id, other);
        assert_eq!((history.previous.as_deref(), history.descendant), (Some(second.as_str()), false));
        assert_eq!(history.commits.len(), 1);

        repo.set_branch("main", &first);
        let (checkout, history) = moved(source.fetch());
        assert_eq!((checkout.commit.id.clone(), history.descendant), (first, false), "back to an older commit");
    });
}

#[test]
fn a_rewritten_history_waits_for_consent_where_it_is_to() {
    let repo = TestRepo::with(&[("a", "1")]);
    let first = repo.id("main");
    let second = repo.commit("second", &[("a", "2")]);
    let cache = TempDir::new().unwrap();
    let mut holding = config(&repo.url(), main_branch());
    holding.rewritten = Rewritten::Hold;
    let mut source = open(holding, cache.path());
    moved(source.fetch());
    repo.set_branch("main", &first);
    let other = repo.commit("other", &[("a", "3")]);
    for _ in 0..2 {
        let error = source.fetch().unwrap_err();
        assert!(matches!(&error, Error::Held { last, found, .. } if *last == second && *found == other), "{error}");
    }
    source.allow(&other);
    assert_eq!(moved(source.fetch()).0.commit.id, other);
    unchanged(source.fetch());
}

#[test]
fn a_moved_tag_is_reported() {
    let repo = TestRepo::with(&[("a", "1")]);
    let first = repo.id("main");
    let second = repo.commit("second", &[("a", "2")]);
    repo.annotate_tag("v1", &second);
    let cache = TempDir::new().unwrap();
    let mut source = open(config(&repo.url(), Reference::Tag("v1".into())), cache.path());
    moved(source.fetch());
    repo.annotate_tag("v1", &first);
    let (checkout, history) = moved(source.fetch());
    assert_eq!((checkout.commit.id.clone(), history.descendant), (first, false));
}

#[test]
fn after_a_restart_the_last_commit_is_there_without_the_server() {
    let repo = TestRepo::with(&[("a", "1")]);
    let cache = TempDir::new().unwrap();
    let server = GitServer::start(repo.root());
    let url = server.url();
    moved(open(config(&url, main_branch()), cache.path()).fetch());
    drop(server);
    let mut source = open(config(&url, main_branch()), cache.path());
    let error = source.fetch().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let checkout = source.cached().unwrap().unwrap();
    assert_eq!((checkout.commit.subject(), text(&checkout, "a").as_str()), ("first", "1"));
    assert!(open(config("file:///nowhere/at/all", main_branch()), cache.path()).cached().unwrap().is_none());
}

#[test]
fn one_process_at_a_time_uses_a_local_copy() {
    let repo = TestRepo::with(&[("a", "1")]);
    let cache = TempDir::new().unwrap();
    let _first = open(config(&repo.url(), main_branch()), cache.path());
    let second = bowline::source::Source::open(config(&repo.url(), main_branch()), cache.path());
    assert!(second.is_err_and(|error| error.to_string().contains("in use by another process")));
}

#[test]
fn a_damaged_copy_is_fetched_anew() {
    everywhere(|repo, url| {
        repo.commit("first", &[("a", &"text of a ".repeat(1000)), ("b", "b")]);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, main_branch()), cache.path());
        let (before, _) = moved(source.fetch());
        drop(before);
        drop(source);
        let packs = packs(cache.path());
        assert!(!packs.is_empty());
        for pack in packs {
            let mut bytes = std::fs::read(&pack).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            std::fs::remove_file(&pack).unwrap();
            std::fs::write(&pack, bytes).unwrap();
        }
        let mut source = open(config(url, main_branch()), cache.path());
        let mut checkout = moved(source.fetch()).0;
        if checkout.read("a").is_err() {
            // Only the blob was hit: reading it reports the damage, and the next fetch heals it.
            checkout = moved(source.fetch()).0;
        }
        assert_eq!(text(&checkout, "a").len(), 10_000);
        unchanged(source.fetch());
    });
}

fn packs(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if file.path().is_dir() {
            found.extend(packs(&file.path()));
        } else if file.path().extension().is_some_and(|extension| extension == "pack") {
            found.push(file.path());
        }
    }
    found
}

#[test]
fn pinned_commits_outlive_a_force_push_and_a_tidy() {
    everywhere(|repo, url| {
        let base = repo.commit("base", &[("a", "0")]);
        let first = repo.commit("first", &[("a", "1")]);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(url, main_branch()), cache.path());
        moved(source.fetch());
        repo.set_branch("main", &base);
        let second = repo.commit("second", &[("a", "2")]);
        moved(source.fetch());
        repo.set_branch("main", &base);
        let third = repo.commit("third", &[("a", "3")]);
        assert_eq!(source.pin(&BTreeSet::from([first.clone()])).unwrap(), BTreeSet::new());
        moved(source.fetch());
        source.tidy(Duration::ZERO);
        assert_eq!(packs(cache.path()).len(), 1);
        assert_eq!(text(&source.at(&first).unwrap(), "a"), "1");
        assert_eq!(text(&source.at(&format!("{}~1", &third[..8])).unwrap(), "a"), "0");
        assert!(source.at(&second).is_err(), "nobody needs it");
        let gone = source.pin(&BTreeSet::from([second.clone()])).unwrap();
        assert_eq!(gone, BTreeSet::from([second]));
    });
}
