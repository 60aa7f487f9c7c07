//! The steps of the demo, in the order in which they are told. Each waits for what it promises and fails when it does
//! not come.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cluster::{Mark, Process, TestCluster, wait_until};

/// How long a step may take on a busy machine; on a quiet one it takes a second or two.
const PATIENCE: Duration = Duration::from_secs(120);

const WEB: &str = "stages/prod/web/web.yaml";
const OLD_IMAGE: &str = "registry.example.org/shop/web:1.7.2";
const NEW_IMAGE: &str = "registry.example.org/shop/web:1.8.0";

/// A control plane, a repository and the daemon between them. Dropping it ends all of it.
pub(crate) struct Story {
    daemon: Process,
    bowline: PathBuf,
    repository: PathBuf,
    mark: Mark,
    cluster: TestCluster,
}

impl Story {
    /// Starts the control plane, makes the repository, starts the daemon.
    pub(crate) fn begin() -> Result<Story> {
        title("A control plane: etcd, API server, controllers, scheduler, three simulated nodes");
        let start = Instant::now();
        let bowline = binary()?;
        let cluster = TestCluster::try_start()?;
        println!("  up after {:.1} s at {}", start.elapsed().as_secs_f32(), cluster.server());
        cluster.try_kubectl(&[
            "create",
            "clusterrolebinding",
            "bowline",
            "--clusterrole=cluster-admin",
            "--user=bowline",
        ])?;

        title("A Git repository, made from examples-repo/");
        let origin = cluster.folder().join("origin.git");
        let repository = cluster.folder().join("work");
        make_repository(&origin, &repository)?;
        println!("{}", indent(&git(&repository, &["log", "--oneline"])?));

        title("The daemon follows it");
        let kubeconfig = cluster.kubeconfig_for("bowline")?;
        let mut command = Command::new(&bowline);
        command.arg("run").arg("--repo").arg(&origin).args(["--branch", "main", "--path", ".", "--poll", "2s"]);
        command.arg("--kubeconfig").arg(&kubeconfig).env("HOME", cluster.folder());
        println!(
            "  $ bowline run --repo {} --branch main --path . --poll 2s --kubeconfig {}",
            origin.display(),
            kubeconfig.display()
        );
        let mark = cluster.audit_mark();
        let daemon = Process::start(cluster.folder(), "bowline", &command)?;
        Ok(Story { daemon, bowline, repository, mark, cluster })
    }

    /// Everything that the repository asks for comes up and is healthy.
    pub(crate) fn first_sync(&mut self) -> Result<()> {
        title("The first commit is applied, in order: definitions and namespaces, databases, what depends on them");
        self.timed("everything is applied and healthy", |story| {
            story.expect_field("deployment", "prod", "web", "/status/readyReplicas", &Value::from(3))?;
            story.expect_field("deployment", "dev", "web", "/status/readyReplicas", &Value::from(1))?;
            story.expect_field("quota", "prod", "quota", "/spec/hard/pods", &Value::from("100"))?;
            story.expect_field("backups.example.org", "prod", "db", "/spec/target", &Value::from("db"))?;
            story.all_ready()
        })?;
        println!("{}", indent(&self.bowline(&["status"])?));
        Ok(())
    }

    /// A pushed commit changes the cluster.
    pub(crate) fn push(&mut self) -> Result<()> {
        title("A commit is pushed: another image for the shop");
        let file = self.repository.join(WEB);
        let text = fs::read_to_string(&file)?;
        if !text.contains(OLD_IMAGE) {
            bail!("{WEB} does not name {OLD_IMAGE}");
        }
        fs::write(&file, text.replace(OLD_IMAGE, NEW_IMAGE))?;
        git(&self.repository, &["commit", "-q", "-a", "-m", "web: 1.8.0 for production"])?;
        println!("{}", indent(&git(&self.repository, &["show", "--format=%h %s", "-U0"])?));
        git(&self.repository, &["push", "-q"])?;
        self.timed("Deployment/prod/web runs the new image", |story| story.expect_image(NEW_IMAGE))?;
        self.timed("and all of it is healthy", Story::all_ready)
    }

    /// A namespace that somebody makes gets what the template lists hold for it.
    pub(crate) fn new_namespace(&mut self, name: &str) -> Result<()> {
        title(&format!("Somebody makes a namespace by hand: {name}"));
        self.user(&["create", "namespace", name])?;
        self.timed("it has its quota, its limits and its service account", |story| {
            story.expect_there("quota", name, "quota")?;
            story.expect_there("limitrange", name, "limits")?;
            story.expect_there("serviceaccount", name, "deployer")
        })?;
        let listed = self.user(&["get", "quota,limitrange,serviceaccount,configmap", "-n", name, "-o", "name"])?;
        println!("{}", indent(&listed));
        Ok(())
    }

    /// Takes a namespace away again; its objects go with it.
    pub(crate) fn remove_namespace(&mut self, name: &str) -> Result<()> {
        self.user(&["delete", "namespace", name, "--timeout=120s"]).map(drop)
    }

    /// What somebody changes or deletes by hand comes back.
    pub(crate) fn hand_edits(&mut self) -> Result<()> {
        title("Somebody edits and deletes by hand what Git holds");
        self.user(&["set", "image", "deployment/web", "web=example.org/not-reviewed:latest", "-n", "prod"])?;
        self.timed("the image is what Git says", |story| story.expect_image(NEW_IMAGE))?;
        self.user(&["delete", "service", "web", "-n", "prod"])?;
        self.timed("Service/prod/web is there again", |story| story.expect_there("service", "prod", "web"))
    }

    /// `git revert` takes the change back.
    pub(crate) fn revert(&mut self) -> Result<()> {
        title("git revert takes the change back");
        git(&self.repository, &["revert", "--no-edit", "HEAD"])?;
        git(&self.repository, &["push", "-q"])?;
        self.timed("Deployment/prod/web runs the old image", |story| story.expect_image(OLD_IMAGE))?;
        self.timed("and all of it is healthy", Story::all_ready)
    }

    /// History names commit, author and message of each revision; nothing was deleted on the way.
    pub(crate) fn look_back(&mut self) -> Result<()> {
        title("What happened");
        println!("{}", indent(&self.bowline(&["history", "main/prod/web"])?));
        let history: Value = serde_json::from_str(&self.bowline(&["history", "main/prod/web", "-o", "json"])?)?;
        let revisions = history.as_array().context("the history is no list")?;
        let messages: Vec<&str> =
            revisions.iter().filter_map(|revision| revision["commit"]["message"].as_str()).collect();
        if !messages.iter().any(|message| message.starts_with("web: 1.8.0"))
            || !messages.iter().any(|message| message.starts_with("Revert"))
        {
            bail!("the history lacks a commit: {messages:?}");
        }
        let events = self.cluster.audit_since(self.mark);
        let ours: Vec<_> = events.iter().filter(|event| event.user() == "bowline").collect();
        let writes = ours.iter().filter(|event| event.is_write()).count();
        let deletes: Vec<_> =
            ours.iter().filter(|event| event.verb.starts_with("delete") && !event.is_dry_run()).collect();
        println!(
            "  the API server answered {} requests of bowline, {writes} of them writes, {} deletions",
            ours.len(),
            deletes.len()
        );
        match deletes.iter().find(|event| event.resource() != "secrets") {
            Some(delete) => bail!("bowline deleted {}, which nobody asked for", delete.uri),
            None => Ok(()),
        }
    }

    /// Says how to go on.
    pub(crate) fn invite(&self) {
        title("It stays up for you to play with; Ctrl-C ends it");
        println!("  export KUBECONFIG={}", self.cluster.kubeconfig().display());
        if let Ok(kubectl) = crate::cluster::find("kubectl") {
            println!("  alias kubectl={}", kubectl.display());
        }
        println!("  alias bowline={}", self.bowline.display());
        println!("  cd {}      # edit, git commit, git push", self.repository.display());
        println!("  tail -f {}", self.cluster.folder().join("bowline.log").display());
    }

    /// Asks the daemon to end as a rollout would, and ends everything else.
    pub(crate) fn end(mut self) -> Result<()> {
        title("The end");
        let folder = self.cluster.folder().to_owned();
        match self.daemon.terminate(PATIENCE) {
            Some(0) => println!("  the daemon ended in order"),
            status => bail!("the daemon did not end in order: {status:?}\n{}", self.daemon.log_tail()),
        }
        drop(self);
        if folder.exists() {
            bail!("{} was left behind", folder.display());
        }
        println!("  the control plane is ended, its folder removed");
        Ok(())
    }

    /// Resident memory of the daemon in KiB.
    pub(crate) fn memory(&self) -> Result<u64> {
        let output = Command::new("ps").args(["-o", "rss=", "-p", &self.daemon.pid().to_string()]).output()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().context("ps prints no number")
    }

    /// Waits for a condition, tells how long it took, and shows the daemon's last words when it does not come.
    fn timed(&self, promise: &str, condition: impl Fn(&Story) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let waited = wait_until(PATIENCE, || match self.daemon.exit_status() {
            Some(status) => Ok(Err(anyhow::anyhow!("the daemon ended with {status}"))),
            None => condition(self).map(Ok),
        });
        if let Err(error) = waited.and_then(|ended| ended) {
            bail!("{promise}: {error:#}\n--- the daemon's last words\n{}", self.daemon.log_tail());
        }
        println!("  {promise}: after {:.1} s", start.elapsed().as_secs_f32());
        Ok(())
    }

    fn expect_image(&self, image: &str) -> Result<()> {
        self.expect_field("deployment", "prod", "web", "/spec/template/spec/containers/0/image", &Value::from(image))
    }

    fn expect_there(&self, resource: &str, namespace: &str, name: &str) -> Result<()> {
        self.cluster.try_kubectl(&["get", resource, name, "-n", namespace]).map(drop)
    }

    fn expect_field(&self, resource: &str, namespace: &str, name: &str, pointer: &str, wanted: &Value) -> Result<()> {
        let text = self.cluster.try_kubectl(&["get", resource, name, "-n", namespace, "-o", "json"])?;
        let object: Value = serde_json::from_str(&text)?;
        let found = object.pointer(pointer).unwrap_or(&Value::Null);
        if found == wanted {
            Ok(())
        } else {
            bail!("{resource} {namespace}/{name}: {pointer} is {found}, not {wanted}")
        }
    }

    /// Every unit is at the commit that was pushed last, applied and healthy.
    fn all_ready(&self) -> Result<()> {
        let head = git(&self.repository, &["rev-parse", "HEAD"])?;
        let status: Value = serde_json::from_str(&self.bowline(&["status", "-o", "json"])?)?;
        let commit = status.pointer("/sources/0/commit/id").and_then(Value::as_str).unwrap_or_default();
        if commit != head.trim() {
            bail!("the source is at {commit}, not at {}", head.trim());
        }
        let units = status["units"].as_array().map(Vec::as_slice).unwrap_or_default();
        match units.iter().find(|unit| unit["ready"] != true) {
            None if units.is_empty() => bail!("there are no units yet"),
            None => Ok(()),
            Some(unit) => bail!("{unit} is not ready"),
        }
    }

    /// Runs a verb of the binary. Exit code 1 of `status` means that something is not in order, which its output says.
    fn bowline(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.bowline);
        command.args(arguments).arg("--kubeconfig").arg(self.cluster.kubeconfig()).env("HOME", self.cluster.folder());
        let output = command.stdin(Stdio::null()).output().context("bowline could not be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() || (arguments[0] == "status" && !text.is_empty()) {
            return Ok(text);
        }
        bail!("bowline {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end())
    }

    /// Runs `kubectl` as a person would, and shows it.
    fn user(&self, arguments: &[&str]) -> Result<String> {
        println!("  $ kubectl {}", arguments.join(" "));
        self.cluster.try_kubectl(arguments)
    }
}

/// The binary beside this example: `target/debug/bowline`.
fn binary() -> Result<PathBuf> {
    let example = std::env::current_exe()?;
    let folder = example.ancestors().nth(2).context("the example lies in target/*/examples")?;
    let binary = folder.join("bowline");
    if binary.is_file() { Ok(binary) } else { bail!("{} is not built\nhint: make demo", binary.display()) }
}

/// A bare repository to push to, and a work folder that holds a copy of `examples-repo/`.
fn make_repository(origin: &Path, repository: &Path) -> Result<()> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo");
    copy_folder(&example, repository)?;
    let origin = origin.to_str().context("the temporary folder's path is not UTF-8")?;
    git(repository, &["init", "-q", "--bare", "-b", "main", origin])?;
    git(repository, &["init", "-q", "-b", "main"])?;
    git(repository, &["remote", "add", "origin", origin])?;
    git(repository, &["add", "-A"])?;
    git(repository, &["commit", "-q", "-m", "the shop, as examples-repo/ has it"])?;
    git(repository, &["push", "-q", "-u", "origin", "main"]).map(drop)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Runs `git` without the machine's settings: no hooks, no signing, a name of its own.
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]).args(arguments);
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    let output = git.stdin(Stdio::null()).output().context("git could not be started")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end())
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn indent(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
