//! Real Git for tests: repositories made by `git` itself, served by `git http-backend` with faults on request.
//!
//! ```text
//! TestRepo    a bare repository in a temporary folder; commits are made without a work tree, dates count up
//! GitServer   HTTP or HTTPS on loopback; asks for credentials, cuts, stalls or redirects as told; remembers requests
//! ```
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic, and `git` is found by PATH")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::http::{Certificate, HttpServer, Seen, Shared, Stream, head, reply};

/// A bare repository that `git` made, in a folder that goes with it.
pub(crate) struct TestRepo {
    folder: TempDir,
    clock: AtomicI64,
}

impl TestRepo {
    /// An empty repository whose default branch is `main`.
    pub(crate) fn new() -> Self {
        let repo = TestRepo { folder: TempDir::new().unwrap(), clock: AtomicI64::new(1_700_000_000) };
        fs::create_dir(repo.path()).unwrap();
        repo.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        repo.git(&["config", "uploadpack.allowFilter", "true"]);
        repo
    }

    /// A repository with one commit of these files on `main`.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let repo = TestRepo::new();
        repo.commit("first", files);
        repo
    }

    /// The bare repository's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("repo.git")
    }

    /// The folder that a server serves: the repository is `repo.git` in it.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Its `file://` address.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// Runs `git` in the repository with a clean environment and gives back what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, &[], b"")
    }

    fn git_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> String {
        let mut command = git(self.folder.path());
        let date = format!("{} +0000", self.clock.fetch_add(60, Ordering::Relaxed));
        command.current_dir(self.path()).args(arguments).envs(environment.iter().copied());
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", output.status);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Commits files on `main` beside those that are there; returns the commit's id.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        files.iter().fold(self.change(message), |change, (path, text)| change.file(path, text)).commit()
    }

    /// Begins a commit on `main`.
    pub(crate) fn change(&self, message: &str) -> Change<'_> {
        Change { repo: self, message: message.to_owned(), entries: BTreeMap::new() }
    }

    /// The commit a branch, tag or expression names.
    pub(crate) fn id(&self, revision: &str) -> String {
        self.git(&["rev-parse", &format!("{revision}^{{commit}}")])
    }

    /// Writes an object of any kind and content, sound or not.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> String {
        self.git_with(&["hash-object", "-t", kind, "-w", "--literally", "--stdin"], &[], content)
    }

    /// Sets a branch to a commit, wherever it was: what a force push does.
    pub(crate) fn set_branch(&self, name: &str, commit: &str) {
        self.git(&["update-ref", &format!("refs/heads/{name}"), commit]);
    }

    /// Sets a lightweight tag to a commit, wherever it was.
    pub(crate) fn set_tag(&self, name: &str, commit: &str) {
        self.git(&["update-ref", &format!("refs/tags/{name}"), commit]);
    }

    /// Makes an annotated tag, in place of one that is there.
    pub(crate) fn annotate_tag(&self, name: &str, commit: &str) {
        self.git(&["tag", "--force", "-a", "-m", name, name, commit]);
    }
}

/// A commit in the making.
pub(crate) struct Change<'a> {
    repo: &'a TestRepo,
    message: String,
    /// Mode and content by path; `None` removes.
    entries: BTreeMap<Vec<u8>, Option<(&'static str, Content)>>,
}

enum Content {
    Bytes(Vec<u8>),
    Id(String),
}

impl Change<'_> {
    /// Writes a file.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_bytes(), "100644", content.as_ref())
    }

    /// Writes an executable file.
    pub(crate) fn executable(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_bytes(), "100755", content.as_ref())
    }

    /// Writes a symbolic link.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.entry(path.as_bytes(), "120000", target.as_bytes())
    }

    /// Writes a file with any name that Git takes.
    pub(crate) fn entry(mut self, path: &[u8], mode: &'static str, content: &[u8]) -> Self {
        self.entries.insert(path.to_owned(), Some((mode, Content::Bytes(content.to_owned()))));
        self
    }

    /// Writes a submodule that points to some commit.
    pub(crate) fn submodule(mut self, path: &str) -> Self {
        self.entries.insert(path.as_bytes().to_owned(), Some(("160000", Content::Id("1".repeat(40)))));
        self
    }

    /// Removes one file.
    pub(crate) fn remove(mut self, path: &str) -> Self {
        self.entries.insert(path.as_bytes().to_owned(), None);
        self
    }

    /// Makes the commit and moves the branch; returns the commit's id.
    pub(crate) fn commit(self) -> String {
        let repo = self.repo;
        let is_first = repo.git(&["for-each-ref", "refs/heads/main"]).is_empty();
        let parent = (!is_first).then_some("refs/heads/main");
        let mut index = Vec::new();
        for (path, entry) in &self.entries {
            let (mode, id) = match entry {
                None => ("0", "0".repeat(40)),
                Some((mode, Content::Id(id))) => (*mode, id.clone()),
                Some((mode, Content::Bytes(bytes))) => (*mode, repo.object("blob", bytes)),
            };
            index.extend_from_slice(format!("{mode} {id}\t").as_bytes());
            index.extend_from_slice(path);
            index.push(0);
        }
        let _ = fs::remove_file(repo.path().join("index"));
        if let Some(parent) = parent {
            repo.git(&["read-tree", parent]);
        }
        repo.git_with(&["update-index", "-z", "--index-info"], &[], &index);
        let tree = repo.git(&["write-tree"]);
        repo.commit_tree(&tree, parent, &self.message, "main")
    }
}

impl TestRepo {
    /// Commits a tree that is there already.
    pub(crate) fn commit_tree(&self, tree: &str, parent: Option<&str>, message: &str, branch: &str) -> String {
        let mut arguments = vec!["commit-tree", "-m", message, tree];
        arguments.extend(parent.into_iter().flat_map(|parent| ["-p", parent]));
        let id = self.git(&arguments);
        self.set_branch(branch, &id);
        id
    }
}

/// `git` that knows nothing of the machine it runs on.
pub(crate) fn git(home: &Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC").env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@example.org");
    }
    command
}

/// What a server does wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Sends so many bytes of an answer to a POST and closes the connection.
    Cut(usize),
    /// Changes the byte this far before the end of an answer that holds a pack.
    Flip(usize),
    /// Takes the request and never answers.
    Silent,
    /// Sends half of an answer and then nothing more.
    Stall,
    /// Answers with this status.
    Status(u16),
    /// Sends whoever asks to this base address.
    Redirect(String),
    /// Answers with a web page.
    WebPage,
}

/// How a server behaves; may be changed while it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// The only `Authorization` header that is let in.
    pub(crate) authorization: Option<String>,
    /// Answers as servers before protocol version 2 do.
    pub(crate) is_old: bool,
}

/// `git http-backend` behind a small HTTP server on loopback, which ends with this value.
pub(crate) struct GitServer {
    server: HttpServer,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl GitServer {
    /// Serves the repositories below a folder over HTTP.
    pub(crate) fn start(root: &Path) -> Self {
        GitServer::serve(root, None)
    }

    /// Serves them over HTTPS; returns the certificate to trust, in PEM form.
    pub(crate) fn start_tls(root: &Path) -> (Self, String) {
        let made = Certificate::new();
        (GitServer::serve(root, Some(made.server(None))), made.certificate)
    }

    fn serve(root: &Path, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let (root, state) = (root.to_owned(), behaviour.clone());
        let server = HttpServer::start(tls, move |seen, stream, shared| answer(seen, stream, &root, &state, shared));
        GitServer { server, behaviour }
    }

    /// The address of `repo.git`.
    pub(crate) fn url(&self) -> String {
        format!("{}/repo.git", self.server.url())
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Changes what the server does from the next request on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// Takes the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.server.requests()
    }
}

/// Answers one request.
fn answer(
    seen: &Seen,
    stream: &mut dyn Stream,
    root: &Path,
    behaviour: &Mutex<Behaviour>,
    shared: &Shared,
) -> io::Result<()> {
    let now = behaviour.lock().unwrap().clone();
    if now.authorization.is_some() && now.authorization.as_deref() != seen.authorization() {
        return reply(stream, "401 Unauthorized", &[], b"");
    }
    match now.fault {
        Fault::Silent => hold(behaviour, shared),
        Fault::Status(status) => reply(stream, &format!("{status} told"), &[], b""),
        Fault::Redirect(base) => {
            let location = format!("{base}{}", seen.path.trim_start_matches("/repo.git"));
            reply(stream, "302 Found", &[("Location", &location)], b"")
        }
        Fault::WebPage => reply(stream, "200 OK", &[("Content-Type", "text/html")], b"<html>log in</html>"),
        fault => {
            let protocol = seen.header("git-protocol").filter(|_| !now.is_old);
            // What a client asks of a proxy begins with the server's name.
            let place = seen.path.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
            let (status, kind, mut bytes) = backend(root, place.unwrap_or(&seen.path), seen, protocol)?;
            let total = bytes.len();
            let is_list = String::from_utf8_lossy(&seen.body).contains("command=ls-refs");
            match fault {
                Fault::Cut(at) if seen.method == "POST" => bytes.truncate(at),
                Fault::Flip(back) if seen.method == "POST" && total > back && !is_list => bytes[total - back] ^= 0x55,
                Fault::Stall => bytes.truncate(total / 2),
                _ => {}
            }
            head(stream, &status, &[("Content-Type", &kind)], total)?;
            stream.write_all(&bytes)?;
            stream.flush()?;
            if fault == Fault::Stall { hold(behaviour, shared) } else { Ok(()) }
        }
    }
}

/// Keeps a connection open until the server ends or the behaviour is changed.
fn hold(behaviour: &Mutex<Behaviour>, shared: &Shared) -> io::Result<()> {
    let fault = behaviour.lock().unwrap().fault.clone();
    while !shared.ends() && behaviour.lock().unwrap().fault == fault {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}

/// Runs `git http-backend` for one request: status, content type, body.
fn backend(root: &Path, place: &str, seen: &Seen, protocol: Option<&str>) -> io::Result<(String, String, Vec<u8>)> {
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let mut command = git(root);
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("PATH_INFO", path).env("QUERY_STRING", query).env("REQUEST_METHOD", &seen.method);
    command.env("CONTENT_TYPE", "application/x-git-upload-pack-request");
    command.env("CONTENT_LENGTH", seen.body.len().to_string());
    if let Some(protocol) = protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let body = seen.body.clone();
    // The backend may stop reading early; its answer says why.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.stdout.len());
    let (mut status, mut kind) = ("200 OK".to_owned(), String::new());
    for line in String::from_utf8_lossy(&output.stdout[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", value)) => value.clone_into(&mut status),
            Some(("Content-Type", value)) => value.clone_into(&mut kind),
            _ => {}
        }
    }
    Ok((status, kind, output.stdout.get(end + 4..).unwrap_or_default().to_vec()))
}
