//! The binary under test with a repository of its own: one story per test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::cluster::{Folder, Mark, Process, TestCluster, unique, wait_until};

/// How long the daemon may take for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A Git repository, a source name and a namespace for records that no other test has.
pub(crate) struct Story {
    pub(crate) cluster: &'static TestCluster,
    pub(crate) source: String,
    pub(crate) own_namespace: String,
    /// As whom the binary runs: the administrator, until a test says otherwise.
    pub(crate) kubeconfig: PathBuf,
    // Dropped in this order: the folder waits for the processes that run in it.
    daemon: Option<Process>,
    folder: Folder,
}

impl Story {
    /// An empty repository on the shared control plane.
    pub(crate) fn new(name: &str) -> Self {
        Story::on(name, TestCluster::shared())
    }

    /// An empty repository on a control plane.
    pub(crate) fn on(name: &str, cluster: &'static TestCluster) -> Self {
        let folder = Folder::new("bowline-story-").expect("a temporary folder can be made");
        let source = unique(&name[..name.len().min(14)]);
        let own_namespace = format!("bowline-{source}");
        let story = Story { cluster, source, own_namespace, kubeconfig: cluster.kubeconfig(), daemon: None, folder };
        fs::create_dir_all(story.repo()).expect("a folder can be made");
        story.git(&["init", "-q", "-b", "main"]);
        story
    }

    /// The repository's work folder.
    pub(crate) fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// Runs `git` in the repository, without the machine's settings.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.repo())
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")])
            .output()
            .expect("git can be started");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes files and commits them.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.repo().join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        self.commit_all(message)
    }

    /// Removes files and commits that.
    pub(crate) fn remove(&self, message: &str, paths: &[&str]) -> String {
        for path in paths {
            self.git(&["rm", "-q", path]);
        }
        self.commit_all(message)
    }

    fn commit_all(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The binary with this story's cluster, source and record namespace; the machine's environment stays outside.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command.env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.args(arguments).arg("--kubeconfig").arg(&self.kubeconfig);
        command.args(["--bowline-namespace", &self.own_namespace]);
        command
    }

    /// Runs a verb on the repository and the cluster.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).stdin(Stdio::null()).output().expect("the binary can be started"))
    }

    /// Runs a verb that reads the repository.
    pub(crate) fn on_repo(&self, verb: &str, arguments: &[&str]) -> Ran {
        let repo = self.repo();
        let mut all = vec![verb, "--repo", repo.to_str().expect("a UTF-8 path"), "--source", &self.source];
        all.extend(arguments);
        self.verb(&all)
    }

    /// Starts the daemon on the repository.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the daemon with further options.
    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        let repo = self.repo();
        let mut command = self.command(&["run", "--poll", "300ms", "--source", &self.source]);
        command.arg("--repo").arg(repo).args(arguments);
        self.daemon = Some(Process::start(self.folder.path(), "bowline", &command).expect("the daemon can be started"));
    }

    /// Writes a configuration file for this story's source, with further lines at its top level.
    pub(crate) fn config(&self, name: &str, more: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.yaml"));
        let text = format!(
            "namespace: {}\n{more}\nsources:\n- {{name: {}, url: \"{}\", poll: 300ms}}\n",
            self.own_namespace,
            self.source,
            self.repo().display(),
        );
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts one more daemon, whose files are called so, by a configuration file and as the user of a kubeconfig.
    pub(crate) fn daemon(&self, name: &str, config: &Path, kubeconfig: &Path, environment: &[(&str, &str)]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command.env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.envs(environment.iter().copied());
        command.arg("run").arg("--config").arg(config).arg("--kubeconfig").arg(kubeconfig);
        Process::start(self.folder.path(), name, &command).expect("the daemon can be started")
    }

    /// Ends the daemon as a rollout would, and returns its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.daemon.take().and_then(|mut daemon| daemon.terminate(PATIENCE))
    }

    /// Kills the daemon on the spot.
    #[allow(dead_code, reason = "stories of crashes need it")]
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// What the daemon has logged.
    pub(crate) fn log(&self) -> String {
        self.daemon.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Waits until `attempt` succeeds; on failure the daemon's log is part of the message.
    #[track_caller]
    pub(crate) fn eventually<T>(&self, what: &str, attempt: impl FnMut() -> Result<T>) -> T {
        match wait_until(PATIENCE, attempt) {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error:#}\n--- daemon\n{}", self.log()),
        }
    }

    /// Waits until an object has a value at a JSON pointer.
    #[track_caller]
    pub(crate) fn wait_for(&self, resource: &str, namespace: &str, name: &str, pointer: &str, wanted: &Value) {
        self.eventually(&format!("{resource} {namespace}/{name} {pointer} = {wanted}"), || {
            let object = self.cluster.get(resource, namespace, name);
            match object.as_ref().and_then(|object| object.pointer(pointer)) {
                Some(found) if found == wanted => Ok(()),
                found => bail!("it is {found:?}"),
            }
        });
    }

    /// Waits until an object exists.
    #[track_caller]
    pub(crate) fn wait_there(&self, resource: &str, namespace: &str, name: &str) -> Value {
        self.eventually(&format!("{resource} {namespace}/{name} exists"), || {
            match self.cluster.get(resource, namespace, name) {
                Some(object) => Ok(object),
                None => bail!("it does not"),
            }
        })
    }

    /// Waits until an object is gone.
    #[track_caller]
    pub(crate) fn wait_gone(&self, resource: &str, namespace: &str, name: &str) {
        self.eventually(&format!("{resource} {namespace}/{name} is gone"), || {
            match self.cluster.get(resource, namespace, name) {
                None => Ok(()),
                Some(_) => bail!("it is there"),
            }
        });
    }

    /// Waits until `bowline status` shows this commit, all units ready or not, and returns the status as JSON.
    #[track_caller]
    pub(crate) fn wait_status(&self, commit: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.eventually(&format!("the status of {commit}"), || {
            let ran = self.verb(&["status", "--source", &self.source, "-o", "json"]);
            let status: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
            let shown = status.pointer("/sources/0/commit/id").and_then(Value::as_str);
            if shown == Some(commit) && wanted(&status) { Ok(status) } else { bail!("{}{}", ran.stdout, ran.stderr) }
        })
    }

    /// Whether everything of a commit is applied and ready, as `bowline status` shows it.
    pub(crate) fn is_ready(&self, commit: &str) -> Result<()> {
        let ran = self.verb(&["status", "--source", &self.source, "-o", "json"]);
        let status: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let source = &status["sources"][0];
        let shown = source.pointer("/commit/id").and_then(Value::as_str) == Some(commit);
        let calm = source.get("units").is_none() && source.get("problems").is_none();
        let units = status["units"].as_array().map(Vec::as_slice).unwrap_or_default();
        if shown && calm && units.iter().all(|unit| unit["ready"] == true) {
            return Ok(());
        }
        bail!("{}{}", ran.stdout, ran.stderr)
    }

    /// Waits until everything of a commit is applied and ready.
    #[track_caller]
    pub(crate) fn wait_ready(&self, commit: &str) -> Value {
        self.wait_status(commit, |status| {
            let sources = status["sources"][0].as_object();
            let calm = sources.is_some_and(|source| !source.contains_key("units") && !source.contains_key("problems"));
            let units = status["units"].as_array().map(Vec::as_slice).unwrap_or_default();
            calm && units.iter().all(|unit| unit["ready"] == true)
        })
    }

    /// Deletions that somebody other than the control plane asked for since the mark, in the story's namespaces: the
    /// shared server's other tests are left out by the name of the source or namespace.
    pub(crate) fn deletes_since(&self, mark: Mark, namespace: &str) -> Vec<String> {
        let events = self.cluster.audit_since(mark);
        let ours =
            events.iter().filter(|event| event.verb.starts_with("delete") && event.user_agent.starts_with("bowline"));
        ours.filter(|event| event.namespace() == namespace || event.uri.ends_with(&format!("/namespaces/{namespace}")))
            .map(|event| event.uri.clone())
            .collect()
    }
}

/// A finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, having gone well.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// What it wrote to stderr, having failed.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        self.stderr
    }

    /// The JSON on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{}\n{}", self.stdout, self.stderr))
    }
}

/// A namespace manifest.
pub(crate) fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

/// A ConfigMap manifest with one key.
pub(crate) fn config_map(namespace: &str, name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{{key}: \"{value}\"}}\n"
    )
}

/// A Deployment manifest of two pods.
pub(crate) fn deployment(namespace: &str, name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  replicas: 2\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: main, image: \"{image}\"}}]}}\n"
    )
}
