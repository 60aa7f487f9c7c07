//! Git over SSH against a real `sshd` on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bowline::net::Secret;
use bowline::source::{Config, Credentials, Error};
use tempfile::TempDir;

use super::{config, main_branch, moved, open, text, unchanged};
use crate::common::git::TestRepo;

/// An `sshd` of our own, ended with this value.
struct Sshd {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Sshd {
    /// `None`, with one loud line, where there is no `sshd`.
    fn start() -> Option<Self> {
        let Some(binary) =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].iter().find(|path| Path::new(path).exists())
        else {
            eprintln!("SKIPPED: no sshd on this machine (install openssh-server): Git over SSH is not tested");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["host_ed25519", "host_other", "user", "user_locked", "stranger"] {
            keygen(&path(name), if name == "user_locked" { "canary" } else { "" });
        }
        let authorized = ["user.pub", "user_locked.pub"].map(|name| fs::read_to_string(path(name)).unwrap()).concat();
        fs::write(path("authorized_keys"), authorized).unwrap();
        // As root, sshd insists on this folder; elsewhere it is not needed and cannot be made.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxAuthTries 20\n\
             MaxStartups 100\n",
            path("host_ed25519").display(),
            path("authorized_keys").display(),
        );
        fs::write(path("config"), settings).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let mut command = Command::new(binary);
        command.args(["-D", "-e", "-f"]).arg(path("config")).stdin(Stdio::null()).stderr(log);
        let mut server = Sshd { child: command.spawn().unwrap(), port, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            let log = fs::read_to_string(server.path("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn user() -> String {
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A host key as known_hosts has it, under a name.
    fn known(&self, host: &str, key: &str) -> String {
        let key = fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        let mut words = key.split(' ');
        format!("{host} {} {}\n", words.next().unwrap(), words.next().unwrap())
    }

    fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// A source that would work.
    fn config(&self, repo: &TestRepo, known_hosts: &str) -> Config {
        let file = self.path("known_hosts");
        fs::write(&file, known_hosts).unwrap();
        let url = format!("ssh://{}@127.0.0.1:{}{}", Sshd::user(), self.port, repo.path().display());
        let mut config = config(&url, main_branch());
        config.known_hosts = vec![file];
        config.credentials = Credentials::SshKey { file: self.path("user"), passphrase: None };
        config
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f"]).arg(path);
    assert!(command.status().unwrap().success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_branch_is_followed_over_ssh() {
    let Some(server) = Sshd::start() else { return };
    let repo = TestRepo::with(&[("a", "1")]);
    let cache = TempDir::new().unwrap();
    let mut source = open(server.config(&repo, &server.known(&server.name(), "host_ed25519")), cache.path());
    assert_eq!(text(&moved(source.fetch()).0, "a"), "1");
    unchanged(source.fetch());
    repo.commit("second", &[("a", "2")]);
    let (checkout, history) = moved(source.fetch());
    assert_eq!((text(&checkout, "a").as_str(), history.descendant), ("2", true));

    repo.git(&["update-ref", "-d", "refs/heads/main"]);
    assert!(matches!(source.fetch(), Err(Error::NoReference { .. })));
}

#[test]
fn a_shallow_source_works_over_ssh() {
    let Some(server) = Sshd::start() else { return };
    let repo = TestRepo::new();
    for n in 0..5 {
        repo.commit("more", &[("a", &n.to_string())]);
    }
    let cache = TempDir::new().unwrap();
    let mut shallow = server.config(&repo, &server.known(&server.name(), "host_ed25519"));
    shallow.depth = Some(1);
    let mut source = open(shallow, cache.path());
    let (checkout, _) = moved(source.fetch());
    assert!(source.at(&format!("{}~1", checkout.commit.id)).is_err(), "the parent was not fetched");
    repo.commit("next", &[("a", "x")]);
    let (checkout, history) = moved(source.fetch());
    assert_eq!((text(&checkout, "a").as_str(), history.descendant), ("x", true));
}

#[test]
fn a_host_must_be_known() {
    let Some(server) = Sshd::start() else { return };
    let repo = TestRepo::with(&[("a", "1")]);
    let fetch = |known_hosts: &str| {
        let cache = TempDir::new().unwrap();
        open(server.config(&repo, known_hosts), cache.path()).fetch().map(|_| ())
    };
    let error = fetch("").unwrap_err();
    assert!(matches!(&error, Error::UnknownHost { host, .. } if *host == server.name()), "{error}");
    let print = Command::new("ssh-keygen").arg("-lf").arg(server.path("host_ed25519.pub")).output().unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    assert!(error.to_string().contains(print.split(' ').nth(1).unwrap()), "{error} has the fingerprint {print}");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&format!("ssh-keyscan -p {} 127.0.0.1", server.port)), "{hint}");
    assert!(
        matches!(fetch(&server.known("127.0.0.1", "host_ed25519")), Err(Error::UnknownHost { .. })),
        "another port"
    );

    let error = fetch(&format!("# keys\n{}", server.known(&server.name(), "host_other"))).unwrap_err();
    assert!(matches!(&error, Error::ChangedHost { line: 2, .. }), "{error}");
    let both = server.known(&server.name(), "host_ed25519");
    assert!(matches!(fetch(&format!("{both}@revoked {both}")), Err(Error::ChangedHost { line: 2, .. })));

    // What ssh-keygen makes of a file when it hashes the names.
    fs::write(server.path("hashed"), server.known(&server.name(), "host_ed25519")).unwrap();
    let hashed = Command::new("ssh-keygen").arg("-Hf").arg(server.path("hashed")).output().unwrap();
    assert!(hashed.status.success());
    let hashed = fs::read_to_string(server.path("hashed")).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    fetch(&hashed).unwrap();
}

#[test]
fn keys_are_taken_and_refused() {
    let Some(server) = Sshd::start() else { return };
    let repo = TestRepo::with(&[("a", "1")]);
    let known = server.known(&server.name(), "host_ed25519");
    let fetch = |credentials: Credentials| {
        let cache = TempDir::new().unwrap();
        let mut config = server.config(&repo, &known);
        config.credentials = credentials;
        open(config, cache.path()).fetch().map(|_| ())
    };
    let key = |name: &str, passphrase: Option<&str>| Credentials::SshKey {
        file: server.path(name),
        passphrase: passphrase.map(Secret::given),
    };
    fetch(key("user_locked", Some("canary"))).unwrap();
    for refused in
        [key("user_locked", Some("canary2")), key("user_locked", None), key("stranger", None), Credentials::None]
    {
        let error = fetch(refused.clone()).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{refused:?}: {error:?}");
        assert!(!error.to_string().contains("canary"));
    }
    assert!(matches!(fetch(key("absent", None)), Err(Error::UnreadableFile { .. })));
    let password = Credentials::Basic { username: "x".to_owned(), password: Secret::given("canary") };
    assert!(matches!(fetch(password), Err(Error::Refused { .. })));
}

#[test]
fn a_repository_that_is_not_there_is_told() {
    let Some(server) = Sshd::start() else { return };
    let repo = TestRepo::with(&[("a", "1")]);
    let cache = TempDir::new().unwrap();
    let mut away = server.config(&repo, &server.known(&server.name(), "host_ed25519"));
    away.url = away.url.replace("repo.git", "other.git");
    let error = open(away, cache.path()).fetch().unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. } | Error::Unreachable { .. }), "{error:?}");
    let mut deaf = server.config(&repo, "");
    deaf.url = format!("ssh://git@127.0.0.1:{}/repo.git", free_port());
    assert!(matches!(open(deaf, cache.path()).fetch(), Err(Error::Unreachable { .. })));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_silent_server_is_left_behind() {
    // It takes the connection and never says a word: not even libssh2 can be told to stop waiting.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = TempDir::new().unwrap();
    for url in ["ssh://git@HOST/repo.git", "git://HOST/repo.git"] {
        let mut silent = config(&url.replace("HOST", &listener.local_addr().unwrap().to_string()), main_branch());
        silent.timeouts.silence = Duration::from_millis(300);
        silent.credentials = Credentials::Basic { username: "x".to_owned(), password: Secret::given("y") };
        let mut source = open(silent, cache.path());
        for _ in 0..2 {
            let error = source.fetch().unwrap_err();
            assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        }
    }
}
