//! Sources on this machine: plain folders, work folders, `git daemon`; and being told of changes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bowline::source::{Error, ReadError, Reference, watch};
use tempfile::TempDir;

use super::{config, main_branch, moved, open, paths, text, unchanged};
use crate::common::git::{TestRepo, git};

#[test]
fn a_plain_folder_is_a_source() {
    let (folder, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("dev")).unwrap();
    fs::write(path("dev/a.yaml"), "1").unwrap();
    symlink("a.yaml", path("dev/link.yaml")).unwrap();
    symlink("/etc/passwd", path("dev/out")).unwrap();
    let mut source = open(config(folder.path().to_str().unwrap(), main_branch()), cache.path());
    let (first, history) = moved(source.fetch());
    assert_eq!(paths(&first), ["dev/a.yaml", "dev/link.yaml", "dev/out"]);
    assert_eq!(text(&first, "dev/link.yaml"), "1");
    assert!(matches!(first.read("dev/out"), Err(ReadError::Outside { .. })));
    assert_eq!((first.commit.id.len(), history.previous), (40, None));
    unchanged(source.fetch());

    fs::write(path("dev/a.yaml"), "22").unwrap();
    let (second, history) = moved(source.fetch());
    assert_eq!((text(&second, "dev/a.yaml").as_str(), text(&first, "dev/a.yaml").as_str()), ("22", "1"));
    assert_eq!(history.previous.as_deref(), Some(first.commit.id.as_str()));
    assert_eq!(source.at(&second.commit.id[..8]).unwrap().commit, second.commit);
    fs::write(path("dev/a.yaml"), "1").unwrap();
    assert_eq!(moved(source.fetch()).0.commit.id, first.commit.id, "the id is the content's");

    fs::remove_dir_all(path("dev")).unwrap();
    assert!(matches!(source.fetch(), Err(Error::Empty { .. })));
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(source.fetch(), Err(Error::Folder { .. })));
    assert_eq!(source.cached().unwrap().unwrap().commit.id, first.commit.id);
}

#[test]
fn a_work_folder_is_read_at_its_commits_and_not_as_it_lies_there() {
    let (folder, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let run = |arguments: &[&str]| {
        assert!(git(folder.path()).current_dir(folder.path()).args(arguments).status().unwrap().success());
    };
    run(&["init", "--quiet", "--initial-branch=main", "."]);
    fs::write(folder.path().join("a"), "committed").unwrap();
    run(&["add", "."]);
    run(&["commit", "--quiet", "-m", "first"]);
    run(&["branch", "other"]);
    fs::write(folder.path().join("a"), "not committed").unwrap();
    for reference in [Reference::Head, main_branch(), Reference::Branch("other".to_owned())] {
        let mut source = open(config(folder.path().to_str().unwrap(), reference), cache.path());
        let (checkout, _) = moved(source.fetch());
        assert_eq!((text(&checkout, "a").as_str(), checkout.commit.subject()), ("committed", "first"));
    }
}

#[test]
fn a_daemon_of_git_is_asked_where_that_is_allowed() {
    let repo = TestRepo::with(&[("a", "1")]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Not by way of `git`, which would leave the daemon running when it is ended.
    let place = git(repo.root()).arg("--exec-path").output().unwrap();
    let place = String::from_utf8(place.stdout).unwrap();
    let mut command = std::process::Command::new(format!("{}/git-daemon", place.trim()));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args(["--export-all", "--listen=127.0.0.1", "--reuseaddr"]).arg(format!("--port={port}"));
    command.arg(format!("--base-path={}", repo.root().display())).stdout(Stdio::null()).stderr(Stdio::null());
    let mut daemon = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let cache = TempDir::new().unwrap();
    let mut source = open(config(&format!("git://127.0.0.1:{port}/repo.git"), main_branch()), cache.path());
    let first = source.fetch();
    repo.commit("second", &[("a", "2")]);
    let second = source.fetch();
    let _ = daemon.kill();
    let _ = daemon.wait();
    assert_eq!(text(&moved(first).0, "a"), "1");
    assert_eq!(text(&moved(second).0, "a"), "2");
    assert!(matches!(source.fetch(), Err(Error::Unreachable { .. })));
}

/// Changes until the watch tells of one: it may begin a moment after it was asked for.
fn is_told(url: &str, mut change: impl FnMut(usize)) {
    let (sender, told) = mpsc::channel();
    let _watch = watch(&config(url, main_branch()), move || sender.send(()).unwrap_or_default()).unwrap().unwrap();
    let came = (0..60).any(|n| {
        change(n);
        told.recv_timeout(Duration::from_secs(1)).is_ok()
    });
    assert!(came, "{url}: no word of a change");
}

#[test]
fn changes_on_this_machine_are_told() {
    let repo = TestRepo::with(&[("a", "1")]);
    is_told(&repo.url(), |n| drop(repo.commit("more", &[("a", &n.to_string())])));
    is_told(repo.path().to_str().unwrap(), |n| drop(repo.commit("more", &[("b", &n.to_string())])));
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    is_told(folder.path().to_str().unwrap(), |n| fs::write(folder.path().join("sub/a"), n.to_string()).unwrap());
    assert!(watch(&config("https://example.org/r.git", main_branch()), || {}).unwrap().is_none());
    assert!(matches!(watch(&config("/no/such/folder", main_branch()), || {}), Err(Error::Folder { .. })));
}
