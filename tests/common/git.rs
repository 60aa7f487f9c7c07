//! Real Git for tests: repositories made by `git` itself, served by `git http-backend` with faults on request.
//!
//! ```text
//! TestRepo    a bare repository in a temporary folder; commits are made without a work tree, dates count up
//! GitServer   HTTP or HTTPS on loopback; asks for credentials, cuts, stalls or redirects as told; remembers requests
//! ```
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may panic, and `git` is found by PATH")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

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

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    ends: AtomicBool,
}

/// `git http-backend` behind a small HTTP server on loopback, which ends with this value.
pub(crate) struct GitServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Serves the repositories below a folder over HTTP.
    pub(crate) fn start(root: &Path) -> Self {
        GitServer::serve(root, None)
    }

    /// Serves them over HTTPS; returns the certificate to trust, in PEM form.
    pub(crate) fn start_tls(root: &Path) -> (Self, String) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        (GitServer::serve(root, Some(Arc::new(config))), made.cert.pem())
    }

    fn serve(root: &Path, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (root, state) = (root.to_owned(), shared.clone());
        let accept = move || {
            for stream in listener.incoming() {
                if state.ends.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), root, state, tls) = (stream, root.clone(), state.clone(), tls.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    // A client that goes away early is no concern of the server.
                    let _ = match tls {
                        None => answer(stream, &root, &state),
                        Some(config) => rustls::ServerConnection::new(config)
                            .map_err(io::Error::other)
                            .and_then(|session| answer(rustls::StreamOwned::new(session, stream), &root, &state)),
                    };
                });
            }
        };
        GitServer { address, scheme, shared, thread: Some(std::thread::spawn(accept)) }
    }

    /// The address of `repo.git`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/repo.git", self.scheme, self.address)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the server does from the next request on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap());
    }

    /// Takes the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request and closes the connection.
fn answer(stream: impl Read + Write, root: &Path, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    // What a client asks of a proxy begins with the server's name.
    let place = path.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if method.is_empty() {
        return Ok(());
    }
    let authorization = headers.get("authorization").cloned();
    let seen = Seen { method: method.clone(), path: path.clone(), authorization, body };
    shared.seen.lock().unwrap().push(seen.clone());
    let behaviour = shared.behaviour.lock().unwrap().clone();
    let mut stream = reader.into_inner();
    if behaviour.authorization.is_some() && behaviour.authorization != seen.authorization {
        return stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    match behaviour.fault {
        Fault::Silent => hold(shared),
        Fault::Status(status) => {
            write!(stream, "HTTP/1.1 {status} told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Fault::Redirect(base) => {
            let rest = path.trim_start_matches("/repo.git");
            write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {base}{rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        }
        Fault::WebPage => {
            let page = "<html>log in</html>";
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len())
        }
        fault => {
            let protocol = headers.get("git-protocol").filter(|_| !behaviour.is_old);
            let (status, kind, mut bytes) =
                backend(root, place.as_ref().unwrap_or(&path), &seen, protocol.map(String::as_str))?;
            let total = bytes.len();
            let is_list = String::from_utf8_lossy(&seen.body).contains("command=ls-refs");
            match fault {
                Fault::Cut(at) if method == "POST" => bytes.truncate(at),
                Fault::Flip(back) if method == "POST" && total > back && !is_list => bytes[total - back] ^= 0x55,
                Fault::Stall => bytes.truncate(total / 2),
                _ => {}
            }
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {total}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(&bytes)?;
            stream.flush()?;
            if fault == Fault::Stall { hold(shared) } else { Ok(()) }
        }
    }?;
    stream.flush()
}

/// Keeps a connection open until the server ends or the behaviour is changed.
fn hold(shared: &Shared) -> io::Result<()> {
    let fault = shared.behaviour.lock().unwrap().fault.clone();
    while !shared.ends.load(Ordering::Relaxed) && shared.behaviour.lock().unwrap().fault == fault {
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
