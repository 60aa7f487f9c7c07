//! A real control plane on this machine: etcd, API server, controller manager, scheduler, and simulated nodes.
//!
//! ```text
//! TestCluster::shared()   one for the whole test run; each test takes namespaces and a source name of its own
//! TestCluster::start()    an own one, for tests that stop the API server or change the whole cluster
//! ```
//! Pods become Ready at once; `stages.yaml` lists the annotations that let them fail in the ways pods fail. Everything
//! is ended with the process that started it (`process.rs`), also after a panic. The demo runs the same code.

mod audit;
mod process;
mod tools;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::Value;

pub(crate) use audit::{Event, Mark};
pub(crate) use process::{Folder, Process};
pub(crate) use tools::{command, find};

/// How long any part may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const NODES: usize = 3;
const STAGES: &str = include_str!("stages.yaml");

/// A running control plane. Dropping it ends all of it and removes its folder.
pub(crate) struct TestCluster {
    // Fields drop in this order: clients before servers, the folder last.
    followers: Vec<Process>,
    apiserver: Mutex<Option<Process>>,
    etcd: Process,
    authority: Authority,
    port: u16,
    etcd_port: u16,
    folder: Folder,
}

/// The certificate authority of one cluster; signs the server's and the users' certificates.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl TestCluster {
    /// Returns the control plane that all tests of this process share, starting it for the first one.
    ///
    /// # Panics
    /// It cannot be started; the text says what to do.
    pub(crate) fn shared() -> &'static TestCluster {
        static SHARED: OnceLock<Result<TestCluster, String>> = OnceLock::new();
        match SHARED.get_or_init(|| TestCluster::try_start().map_err(|error| format!("{error:#}"))) {
            Ok(cluster) => cluster,
            Err(message) => panic!("the shared control plane did not start: {message}"),
        }
    }

    /// Starts a control plane of one's own.
    ///
    /// # Panics
    /// It cannot be started; the text says what to do.
    pub(crate) fn start() -> TestCluster {
        match TestCluster::try_start() {
            Ok(cluster) => cluster,
            Err(error) => panic!("the control plane did not start: {error:#}"),
        }
    }

    /// Starts a control plane of one's own. Ready means: nodes are Ready and pods can be created.
    pub(crate) fn try_start() -> Result<TestCluster> {
        for tool in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl"] {
            find(tool)?;
        }
        // A port that was free may be taken before its server binds it: then all is tried again with other ports.
        let mut attempt = 1;
        let mut cluster = loop {
            match TestCluster::start_servers() {
                Err(error) if attempt < 3 && format!("{error:#}").contains("address already in use") => attempt += 1,
                other => break other?,
            }
        };
        cluster.start_followers()?;
        cluster.add_nodes()?;
        Ok(cluster)
    }

    fn start_servers() -> Result<TestCluster> {
        let folder = Folder::new("bowline-cluster-")?;
        let (port, etcd_port) = (free_port()?, free_port()?);
        let authority = Authority::new()?;
        write_files(folder.path(), &authority, port)?;
        let etcd = start_etcd(folder.path(), etcd_port)?;
        let apiserver = Mutex::new(None);
        let cluster = TestCluster { followers: Vec::new(), apiserver, etcd, authority, port, etcd_port, folder };
        cluster.try_start_apiserver()?;
        Ok(cluster)
    }

    /// Controller manager, scheduler and simulated kubelets: what watches the API server.
    fn start_followers(&mut self) -> Result<()> {
        let home = self.folder.path();
        let kubeconfig = |user: &str| home.join(format!("{user}.kubeconfig"));

        let mut manager = command("kube-controller-manager", home)?;
        manager.arg("--kubeconfig").arg(kubeconfig("system:kube-controller-manager"));
        manager.arg("--service-account-private-key-file").arg(home.join("service-account.key"));
        manager.arg("--root-ca-file").arg(home.join("ca.crt"));
        manager.args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"]);
        // Nobody renews the simulated nodes' leases, and they are never lost.
        manager.args(["--node-monitor-grace-period=24h", "--node-startup-grace-period=24h"]);

        let mut scheduler = command("kube-scheduler", home)?;
        scheduler.arg("--kubeconfig").arg(kubeconfig("system:kube-scheduler"));
        scheduler.args(["--leader-elect=false", "--secure-port=0"]);

        let mut kwok = command("kwok", home)?;
        kwok.arg("--kubeconfig").arg(kubeconfig("kwok")).arg("--config").arg(home.join("stages.yaml"));
        kwok.args(["--manage-all-nodes=true", "--node-lease-duration-seconds=0"]);

        let followers = [("controller-manager", manager), ("scheduler", scheduler), ("kwok", kwok)];
        for (name, command) in followers {
            self.followers.push(Process::start(home, name, &command)?);
        }
        Ok(())
    }

    fn add_nodes(&self) -> Result<()> {
        let nodes: Vec<Value> = (1..=NODES).map(node).collect();
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": nodes});
        self.try_kubectl_with(&["create", "-f", "-"], &list.to_string())?;
        wait_until(PATIENCE, || {
            let nodes: Value = serde_json::from_str(&self.try_kubectl(&["get", "nodes", "-o", "json"])?)?;
            let nodes = nodes["items"].as_array().context("nodes are no list")?;
            for node in nodes {
                let name = node["metadata"]["name"].as_str().unwrap_or_default();
                let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
                if !conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True") {
                    bail!("node {name} is not Ready");
                }
                if node["spec"]["taints"].is_array() {
                    bail!("node {name} is tainted");
                }
            }
            self.try_kubectl(&["get", "serviceaccount", "default"]).map(drop)
        })
        .map_err(|error| match self.followers.iter().find(|follower| follower.exit_status().is_some()) {
            Some(follower) => error.context(format!("a part of the control plane ended: {}", follower.log_tail())),
            None => error,
        })
    }

    /// `https://127.0.0.1:PORT`.
    #[allow(dead_code, reason = "the demo tells it")]
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A temporary folder that lives as long as the cluster.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The kubeconfig of a member of `system:masters`.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// Writes a kubeconfig (with a client certificate) for any user name. What it may do is what RBAC gives it.
    pub(crate) fn kubeconfig_for(&self, user: &str) -> Result<PathBuf> {
        let (certificate, key) = self.authority.client(user)?;
        let credentials = serde_json::json!({
            "client-certificate-data": base64(&certificate), "client-key-data": base64(&key),
        });
        self.write_kubeconfig(user, &credentials)
    }

    /// Writes a kubeconfig that holds a token of a service account.
    pub(crate) fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.try_kubectl(&["create", "token", name, "-n", namespace, "--duration=24h"])?;
        self.write_kubeconfig(&format!("{namespace}-{name}"), &serde_json::json!({"token": token.trim()}))
    }

    fn write_kubeconfig(&self, name: &str, credentials: &Value) -> Result<PathBuf> {
        write_kubeconfig(self.folder.path(), name, self.port, &self.authority.certificate, credentials)
    }

    /// Process ids by name, for measurements.
    pub(crate) fn pids(&self) -> Vec<(&'static str, u32)> {
        let mut pids = vec![("etcd", self.etcd.pid())];
        pids.extend(self.locked_apiserver().as_ref().map(|apiserver| ("kube-apiserver", apiserver.pid())));
        pids
    }

    /// Kills the API server; everything else stays.
    pub(crate) fn stop_apiserver(&self) {
        *self.locked_apiserver() = None;
    }

    /// Starts the API server again, on the same port and with the same data, and waits until it is ready.
    ///
    /// # Panics
    /// It does not come up.
    pub(crate) fn start_apiserver(&self) {
        if let Err(error) = self.try_start_apiserver() {
            panic!("the API server did not start: {error:#}");
        }
    }

    fn try_start_apiserver(&self) -> Result<()> {
        let command = apiserver_command(self.folder.path(), self.port, self.etcd_port)?;
        let apiserver = Process::start(self.folder.path(), "kube-apiserver", &command)?;
        *self.locked_apiserver() = Some(apiserver);
        wait_until(PATIENCE, || match self.locked_apiserver().as_ref() {
            Some(apiserver) if apiserver.exit_status().is_some() => Ok(Err(anyhow!("{}", apiserver.log_tail()))),
            _ if self.etcd.exit_status().is_some() => Ok(Err(anyhow!("{}", self.etcd.log_tail()))),
            _ => self.try_kubectl(&["get", "--raw", "/readyz"]).map(|_| Ok(())),
        })?
    }

    fn locked_apiserver(&self) -> MutexGuard<'_, Option<Process>> {
        self.apiserver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `kubectl` as administrator and returns what it printed.
    ///
    /// # Panics
    /// It fails; the text is what it wrote to its error output.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        match self.try_kubectl(arguments) {
            Ok(output) => output,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Runs `kubectl` as administrator; its error output is the error.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.try_kubectl_with(arguments, "")
    }

    /// Runs `kubectl` as administrator with a text on its standard input.
    pub(crate) fn try_kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = command("kubectl", self.folder.path())?;
        kubectl.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().context("kubectl could not be started")?;
        if let Some(mut stdin) = child.stdin.take() {
            // It may end without reading all of it; then its own message says why.
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end())
    }

    /// Creates or changes objects as a user with `kubectl` would: field manager `kubectl-client-side-apply`.
    ///
    /// # Panics
    /// kubectl fails.
    pub(crate) fn apply(&self, yaml: &str) -> String {
        match self.try_kubectl_with(&["apply", "-f", "-"], yaml) {
            Ok(output) => output,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Reads one object; `None` when it does not exist. The namespace is empty for cluster-scoped kinds.
    ///
    /// # Panics
    /// Any other failure.
    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut arguments = vec!["get", resource, name, "-o", "json", "--ignore-not-found", "--show-managed-fields"];
        if !namespace.is_empty() {
            arguments.extend(["-n", namespace]);
        }
        let text = match self.try_kubectl(&arguments) {
            // A namespace or a kind that is not there does not hold the object either.
            Err(error) if error.to_string().contains("the server doesn't have a resource type") => return None,
            Err(error) => panic!("{error:#}"),
            Ok(text) => text,
        };
        if text.trim().is_empty() { None } else { Some(serde_json::from_str(&text).expect("kubectl prints JSON")) }
    }

    /// Creates a namespace with a name no other test has, and returns the name.
    ///
    /// # Panics
    /// kubectl fails.
    pub(crate) fn namespace(&self, prefix: &str) -> String {
        let name = unique(prefix);
        self.kubectl(&["create", "namespace", &name]);
        // Pods cannot be created before the controller has made the service account.
        wait_until(PATIENCE, || self.try_kubectl(&["get", "serviceaccount", "default", "-n", &name]))
            .unwrap_or_else(|error| panic!("{error:#}"));
        name
    }

    /// Marks the end of the audit log. Everything answered before is not in what [`Self::audit_since`] returns.
    pub(crate) fn audit_mark(&self) -> Mark {
        Mark(self.fenced_audit_log().len())
    }

    /// Returns all requests answered since the mark, in the order of the log. Open watches are not answered yet.
    pub(crate) fn audit_since(&self, mark: Mark) -> Vec<Event> {
        let log = self.fenced_audit_log();
        let text = String::from_utf8_lossy(&log[mark.0.min(log.len())..]).into_owned();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
        events.filter(|event| !event.uri.contains(FENCE)).collect()
    }

    /// Reads the audit log after a request of our own has appeared in it, so that what was answered before is there.
    fn fenced_audit_log(&self) -> Vec<u8> {
        let fence = unique(FENCE);
        let _ = self.try_kubectl(&["get", "--raw", &format!("/api/v1/namespaces/{fence}")]);
        let path = self.folder.path().join("audit.log");
        wait_until(PATIENCE, || {
            let log = fs::read(&path)?;
            let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
            let tail = String::from_utf8_lossy(&log[end.saturating_sub(65_536)..end]);
            if tail.contains(&fence) { Ok(log[..end].to_vec()) } else { bail!("the audit log lacks {fence}") }
        })
        .unwrap_or_else(|error| panic!("{error:#}"))
    }
}

const FENCE: &str = "audit-fence";

impl Authority {
    fn new() -> Result<Authority> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        parameters.distinguished_name.push(DnType::CommonName, "test authority");
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Authority { certificate, issuer: Issuer::new(parameters, key) })
    }

    /// Certificate and key of the API server.
    fn server(&self) -> Result<(String, String)> {
        let names = ["127.0.0.1", "localhost", "10.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters)
    }

    /// Certificate and key of a user: Kubernetes reads the name from the common name.
    fn client(&self, user: &str) -> Result<(String, String)> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.distinguished_name.push(DnType::CommonName, user);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters)
    }

    fn sign(&self, parameters: &CertificateParams) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        Ok((parameters.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

/// Everything the parts read at their start.
fn write_files(folder: &Path, authority: &Authority, port: u16) -> Result<()> {
    let (certificate, key) = authority.server()?;
    let tokens = "admin-token,admin,admin,\"system:masters\"\n\
                  manager-token,system:kube-controller-manager,manager\n\
                  scheduler-token,system:kube-scheduler,scheduler\n\
                  kwok-token,kwok,kwok,\"system:masters\"\n";
    let signer = KeyPair::generate()?;
    let files = [
        ("ca.crt", authority.certificate.as_str()),
        ("server.crt", &certificate),
        ("server.key", &key),
        ("service-account.key", &signer.serialize_pem()),
        ("service-account.pub", &signer.public_key_pem()),
        ("tokens.csv", tokens),
        ("audit-policy.yaml", audit::POLICY),
        ("stages.yaml", STAGES),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    let users = [
        ("admin", "admin-token"),
        ("system:kube-controller-manager", "manager-token"),
        ("system:kube-scheduler", "scheduler-token"),
        ("kwok", "kwok-token"),
    ];
    for (user, token) in users {
        write_kubeconfig(folder, user, port, &authority.certificate, &serde_json::json!({"token": token}))?;
    }
    Ok(())
}

fn write_kubeconfig(folder: &Path, name: &str, port: u16, ca: &str, credentials: &Value) -> Result<PathBuf> {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority-data": base64(ca),
        }}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
    });
    let path = folder.join(format!("{name}.kubeconfig"));
    // JSON is YAML; the rename keeps readers from half a file.
    let partial = folder.join(format!("{name}.kubeconfig.new"));
    fs::write(&partial, serde_json::to_string_pretty(&config)?)?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

fn start_etcd(folder: &Path, port: u16) -> Result<Process> {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port()?);
    let mut etcd = command("etcd", folder)?;
    etcd.arg("--data-dir").arg(folder.join("etcd"));
    etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    etcd.arg(format!("--initial-cluster=default={peer}"));
    etcd.args(["--unsafe-no-fsync", "--log-level=warn"]);
    Process::start(folder, "etcd-server", &etcd)
}

fn apiserver_command(folder: &Path, port: u16, etcd_port: u16) -> Result<Command> {
    let mut apiserver = command("kube-apiserver", folder)?;
    let files = [
        ("--cert-dir", "certificates"),
        ("--tls-cert-file", "server.crt"),
        ("--tls-private-key-file", "server.key"),
        ("--client-ca-file", "ca.crt"),
        ("--service-account-key-file", "service-account.pub"),
        ("--service-account-signing-key-file", "service-account.key"),
        ("--token-auth-file", "tokens.csv"),
        ("--audit-policy-file", "audit-policy.yaml"),
        ("--audit-log-path", "audit.log"),
    ];
    for (flag, file) in files {
        apiserver.arg(flag).arg(folder.join(file));
    }
    apiserver.arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}")).arg(format!("--secure-port={port}"));
    apiserver.args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=RBAC",
        "--allow-privileged",
        "--audit-log-format=json",
        "--audit-log-maxsize=100000",
    ]);
    Ok(apiserver)
}

fn node(number: usize) -> Value {
    let name = format!("node-{number}");
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": format!("zone-{number}"),
        }},
    })
}

/// Returns a name that no other call in this process returns, such as `drift-7`.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns a port that nobody listens on, from below the range that outgoing connections take theirs from.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 20000 and 32000")
}

/// Repeats `attempt` until it succeeds; after `patience` its last error is returned.
pub(crate) fn wait_until<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("still so after {} s", patience.as_secs())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}
