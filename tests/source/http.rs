//! Git over HTTP: what it costs, whom it tells the credentials, and what a bad server does to it.

use std::time::Duration;

use base64::Engine as _;
use bowline::net::Secret;
use bowline::source::{Credentials, Error, Fetched, Source};
use tempfile::TempDir;

use super::{config, main_branch, moved, noise, open, text, unchanged};
use crate::common::git::{Fault, GitServer, TestRepo};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn an_idle_poll_is_one_request() {
    for is_old in [false, true] {
        let repo = TestRepo::with(&[("a", "1")]);
        for n in 0..50 {
            repo.set_branch(&format!("other-{n}"), "main");
        }
        let server = GitServer::start(repo.root());
        server.behave(|behaviour| behaviour.is_old = is_old);
        let cache = TempDir::new().unwrap();
        let mut source = open(config(&server.url(), main_branch()), cache.path());
        moved(source.fetch());
        assert_eq!(server.requests().len(), if is_old { 2 } else { 3 });
        for _ in 0..3 {
            unchanged(source.fetch());
            let requests = server.requests();
            assert_eq!(requests.len(), 1);
            if !is_old {
                let body = String::from_utf8_lossy(&requests[0].body).into_owned();
                assert!(body.contains("command=ls-refs") && body.contains("ref-prefix refs/heads/main"), "{body}");
            }
        }
        repo.commit("second", &[("a", "2")]);
        moved(source.fetch());
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "one look, one fetch");
        assert!(String::from_utf8_lossy(&requests[1].body).contains("have "), "only what is missing is fetched");
    }
}

#[test]
fn a_shallow_source_fetches_few_commits_and_still_tells_a_push_from_a_rewrite() {
    for is_old in [false, true] {
        let repo = TestRepo::new();
        for n in 0..100 {
            repo.commit(&format!("commit {n}"), &[("a", &n.to_string())]);
        }
        let server = GitServer::start(repo.root());
        server.behave(|behaviour| behaviour.is_old = is_old);
        let cache = TempDir::new().unwrap();
        let shallow = || {
            let mut shallow = config(&server.url(), main_branch());
            shallow.depth = Some(1);
            shallow
        };
        let mut source = open(shallow(), cache.path());
        let (first, _) = moved(source.fetch());
        assert_eq!(text(&first, "a"), "99");
        assert!(source.at(&format!("{}~1", first.commit.id)).is_err(), "the parent was not fetched");

        repo.commit("next", &[("a", "100")]);
        let (_, history) = moved(source.fetch());
        assert!(history.descendant);
        assert_eq!(history.commits.len(), 1);
        repo.set_branch("main", "main~5");
        repo.commit("rewritten", &[("a", "x")]);
        let (rewritten, history) = moved(source.fetch());
        assert_eq!((text(&rewritten, "a").as_str(), history.descendant), ("x", false));

        drop(source);
        let mut source = open(shallow(), cache.path());
        assert_eq!(text(&moved(source.fetch()).0, "a"), "x");
        drop(source);
        repo.commit("last", &[("a", "y")]);
        let mut source = open(config(&server.url(), main_branch()), cache.path());
        let (full, _) = moved(source.fetch());
        assert!(source.at(&format!("{}~90", full.commit.id)).is_ok(), "without a depth the rest is fetched");
    }
}

#[test]
fn credentials_are_sent_and_refused() {
    let repo = TestRepo::with(&[("a", "1")]);
    let server = GitServer::start(repo.root());
    let folder = TempDir::new().unwrap();
    let fetch = |credentials: Credentials, url: &str| {
        let cache = TempDir::new().unwrap();
        let mut with = config(url, main_branch());
        with.credentials = credentials;
        open(with, cache.path()).fetch().map(|_| ())
    };
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "canary\n").unwrap();
    let basic_auth = |password| Credentials::Basic { username: "me".to_owned(), password };

    server.behave(|behaviour| behaviour.authorization = Some(basic("me", "canary")));
    fetch(basic_auth(Secret::given("canary")), &server.url()).unwrap();
    fetch(basic_auth(Secret::file(&token_file)), &server.url()).unwrap();
    fetch(Credentials::None, &server.url().replace("://", "://me:canary@")).unwrap();
    let error = fetch(Credentials::None, &server.url()).unwrap_err();
    assert!(matches!(&error, Error::Refused { message, .. } if message.contains("there are none")), "{error}");
    let error = fetch(Credentials::None, &server.url().replace("://", "://me:canary2@")).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !format!("{error} {error:?}").contains("canary"), "{error}");

    server.behave(|behaviour| behaviour.authorization = Some("Bearer canary".to_owned()));
    fetch(Credentials::Bearer(Secret::file(&token_file)), &server.url()).unwrap();
    let missing = fetch(Credentials::Bearer(Secret::file(folder.path().join("no"))), &server.url()).unwrap_err();
    assert!(matches!(missing, Error::UnreadableFile { .. }));
}

#[test]
fn a_renewed_token_is_read_again() {
    let repo = TestRepo::with(&[("a", "1")]);
    let server = GitServer::start(repo.root());
    let folder = TempDir::new().unwrap();
    let token = folder.path().join("token");
    let mut with = config(&server.url(), main_branch());
    with.credentials = Credentials::Bearer(Secret::file(&token));
    let mut source = open(with, folder.path());
    std::fs::write(&token, "one").unwrap();
    server.behave(|behaviour| behaviour.authorization = Some("Bearer one".to_owned()));
    moved(source.fetch());
    server.behave(|behaviour| behaviour.authorization = Some("Bearer two".to_owned()));
    assert!(matches!(source.fetch(), Err(Error::Refused { .. })));
    std::fs::write(&token, "two").unwrap();
    unchanged(source.fetch());
}

#[test]
fn credentials_stay_with_their_host_and_port() {
    let repo = TestRepo::with(&[("a", "1")]);
    let server = GitServer::start(repo.root());
    let elsewhere = GitServer::start(repo.root());
    server.behave(|behaviour| behaviour.fault = Fault::Redirect(elsewhere.url()));
    let cache = TempDir::new().unwrap();
    let mut with = config(&server.url(), main_branch());
    with.credentials = Credentials::Bearer(Secret::given("canary"));
    let mut source = open(with, cache.path());
    moved(source.fetch());
    assert!(server.requests().iter().all(|seen| seen.authorization().is_some()));
    let seen = elsewhere.requests();
    assert!(seen.len() == 3 && seen.iter().all(|seen| seen.authorization().is_none()), "{seen:?}");
}

#[test]
fn redirects_lead_to_no_bad_place() {
    let repo = TestRepo::with(&[("a", "1")]);
    let server = GitServer::start(repo.root());
    let mut reasons = Vec::new();
    for target in [
        "http://169.254.169.254/repo.git",
        "https://169.254.169.254/repo.git",
        "https://[fe80::1]/repo.git",
        "http://192.0.2.1/repo.git",
        "file:///etc",
        "https://0.0.0.0/repo.git",
    ] {
        server.behave(|behaviour| behaviour.fault = Fault::Redirect(target.to_owned()));
        let cache = TempDir::new().unwrap();
        let error = open(config(&server.url(), main_branch()), cache.path()).fetch().unwrap_err();
        assert!(matches!(error, Error::Redirected { .. }), "{target}: {error}");
        reasons.push(error.to_string());
    }
    let own = server.url();
    server.behave(|behaviour| behaviour.fault = Fault::Redirect(own));
    let cache = TempDir::new().unwrap();
    let error = open(config(&server.url(), main_branch()), cache.path()).fetch().unwrap_err();
    assert!(error.to_string().contains("too many in a row"), "{error}");

    let (tls, certificate) = GitServer::start_tls(repo.root());
    let plain = server.url();
    tls.behave(|behaviour| behaviour.fault = Fault::Redirect(plain));
    let file = cache.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();
    let mut with = config(&tls.url(), main_branch());
    with.ca_file = Some(file);
    let error = open(with, cache.path()).fetch().unwrap_err();
    assert!(error.to_string().contains("no longer be encrypted"), "{error}");
}

#[test]
fn a_certificate_is_checked_against_the_given_authority() {
    let repo = TestRepo::with(&[("a", "1")]);
    let (server, certificate) = GitServer::start_tls(repo.root());
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let mut with = config(&server.url(), main_branch());
    let error = open(with.clone(), folder.path()).fetch().unwrap_err();
    assert!(matches!(&error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");

    with.ca_file = Some(file.clone());
    assert!(matches!(open(with.clone(), folder.path()).fetch(), Err(Error::UnreadableFile { .. })));
    std::fs::write(&file, "no certificate").unwrap();
    assert!(matches!(open(with.clone(), folder.path()).fetch(), Err(Error::Invalid { field: "caFile", .. })));
    std::fs::write(&file, certificate).unwrap();
    moved(open(with, folder.path()).fetch());
}

#[test]
fn plaintext_to_another_host_must_be_allowed() {
    let cache = TempDir::new().unwrap();
    let error = Source::open(config("http://192.0.2.1/repo.git", main_branch()), cache.path()).err().unwrap();
    assert!(error.hint().unwrap().contains("allowHTTP"), "{error}");
    let mut with = config("http://192.0.2.1/repo.git", main_branch());
    with.allow_http = true;
    assert!(Source::open(with, cache.path()).is_ok());
}

#[test]
fn a_proxy_is_used() {
    let repo = TestRepo::with(&[("a", "1")]);
    // A plain HTTP proxy sees the whole address; this one serves what it is asked for itself.
    let proxy = GitServer::start(repo.root());
    let cache = TempDir::new().unwrap();
    let mut with = config("http://git.example.invalid/repo.git", main_branch());
    with.allow_http = true;
    with.proxy = Some(Secret::given(format!("http://{}", proxy.address())));
    moved(open(with, cache.path()).fetch());
    let requests = proxy.requests();
    assert!(requests[0].path.starts_with("http://git.example.invalid/repo.git/info/refs"), "{}", requests[0].path);
}

/// Breaks the server after a first good fetch; the error must fit, and the next fetch must work.
fn broken(fault: &Fault, fits: impl Fn(&Error) -> bool) {
    for is_old in [false, true] {
        let repo = TestRepo::with(&[("a", &"1".repeat(5000))]);
        let server = GitServer::start(repo.root());
        server.behave(|behaviour| behaviour.is_old = is_old);
        let cache = TempDir::new().unwrap();
        let mut with = config(&server.url(), main_branch());
        with.timeouts.silence = Duration::from_secs(2);
        let mut source = open(with, cache.path());
        let (good, _) = moved(source.fetch());
        let noise = noise(20_000);
        repo.commit("second", &[("a", "2"), ("noise", &noise)]);
        server.behave(|behaviour| behaviour.fault = fault.clone());
        for _ in 0..2 {
            let error = source.fetch().unwrap_err();
            assert!(fits(&error), "{fault:?}, old server {is_old}: {error:?}");
        }
        assert_eq!(source.cached().unwrap().unwrap().commit.id, good.commit.id);
        assert_eq!(text(&good, "a").len(), 5000);
        server.behave(|behaviour| behaviour.fault = Fault::None);
        let (healed, history) = moved(source.fetch());
        assert_eq!((text(&healed, "a").as_str(), history.descendant), ("2", true));
        assert_eq!(history.previous.as_deref(), Some(good.commit.id.as_str()));
    }
}

#[test]
fn a_cut_answer_leaves_the_copy_usable() {
    for at in [0, 3, 40, 700, 4000] {
        broken(&Fault::Cut(at), |error| matches!(error, Error::BadAnswer { .. } | Error::Unreachable { .. }));
    }
}

#[test]
fn a_broken_pack_leaves_the_copy_usable() {
    for back in [10, 60, 3000] {
        broken(&Fault::Flip(back), |error| matches!(error, Error::BadAnswer { .. }));
    }
}

#[test]
fn a_silent_server_times_out() {
    broken(&Fault::Silent, |error| matches!(error, Error::TimedOut { .. }));
    broken(&Fault::Stall, |error| matches!(error, Error::TimedOut { .. }));
}

#[test]
fn what_a_server_answers_is_told_apart() {
    broken(&Fault::Status(503), |error| matches!(error, Error::Unreachable { .. }));
    broken(&Fault::Status(404), |error| matches!(error, Error::NoRepository { .. }));
    broken(&Fault::Status(403), |error| matches!(error, Error::Refused { .. }));
    broken(&Fault::WebPage, |error| error.to_string().contains("a web page, not a Git repository"));
}

#[test]
fn a_fetch_has_a_limit() {
    let repo = TestRepo::new();
    let noise = noise(200_000);
    repo.commit("large", &[("a", &noise)]);
    let server = GitServer::start(repo.root());
    let cache = TempDir::new().unwrap();
    let mut with = config(&server.url(), main_branch());
    with.limits.fetch_bytes = 10_000;
    let error = open(with.clone(), cache.path()).fetch().unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    with.limits.fetch_bytes = 10_000_000;
    assert!(matches!(open(with, cache.path()).fetch(), Ok(Fetched::Moved(..))));
}
