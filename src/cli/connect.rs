//! Options that several verbs share: which cluster, which repository.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::output;
use crate::cluster::{self, Cluster};
use crate::daemon::config;
use crate::error::Error;
use crate::load::Account;
use crate::net::Secret;
use crate::source::{self, Checkout, Credentials, Fetched, Reference, Source};

/// Which cluster is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Kubeconfig file; the usual places when left out
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one when left out
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace of bowline's own records
    #[arg(long, value_name = "NAME", default_value = crate::render::OWN_NAMESPACE)]
    pub bowline_namespace: String,
}

impl ClusterArgs {
    /// Connects to the cluster.
    ///
    /// # Errors
    /// The configuration cannot be used, or the server does not answer.
    pub async fn connect(&self) -> Result<Cluster, Error> {
        // An empty KUBECONFIG means none; a list of files is kube's to merge.
        let file = self
            .kubeconfig
            .as_deref()
            .filter(|file| !file.as_os_str().is_empty() && !file.to_string_lossy().contains(':'));
        let unreachable = |error: cluster::Error| {
            Error::new("the cluster cannot be reached")
                .because(error)
                .hint("check --kubeconfig and --context, or run `kubectl version`")
        };
        let configuration = cluster::configuration(file, self.context.as_deref()).await.map_err(unreachable)?;
        Cluster::connect(configuration).await.map_err(unreachable)
    }
}

/// Which repository is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct RepoArgs {
    /// Repository: https, ssh, file, or a local folder
    #[arg(long, value_name = "URL", default_value = ".")]
    pub repo: String,
    /// Name of the source, as the daemon has it
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub source: String,
    /// Branch to read; the default one when left out
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Folder inside the repository
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// Commit to read, by its id
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// Account that the source acts as, as the daemon's configuration says: namespace/name, or name for the one in each
    /// unit's namespace
    #[arg(long, value_name = "ACCOUNT", value_parser = Account::parse)]
    pub service_account: Option<Account>,
}

impl RepoArgs {
    /// The same as an entry of the configuration file.
    pub fn entry(&self) -> config::Source {
        config::Source {
            name: self.source.clone(),
            url: self.repo.clone(),
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            path: self.path.clone(),
            service_account: self.service_account.as_ref().map(ToString::to_string),
            ..config::Source::default()
        }
    }

    /// Reads the repository once.
    ///
    /// # Errors
    /// It cannot be read; the error names the way out.
    pub fn checkout(&self) -> Result<Checkout, Error> {
        let cache =
            tempfile::tempdir().map_err(|error| Error::new("no temporary folder can be made").because(error))?;
        let mut source = open(&self.entry(), cache.path())?;
        match source.fetch().map_err(source_error)? {
            Fetched::Moved(checkout, _) => Ok(checkout),
            Fetched::Unchanged => Err(Error::new("the repository has no commit")),
        }
    }
}

/// Opens a source of the configuration.
///
/// # Errors
/// The entry cannot be used.
pub fn open(entry: &config::Source, cache: &Path) -> Result<Source, Error> {
    Source::open(source_config(entry)?, cache).map_err(source_error)
}

/// A source of the configuration as its module wants it. Environment variables that it names are read here.
///
/// # Errors
/// A variable is not there.
pub fn source_config(entry: &config::Source) -> Result<source::Config, Error> {
    let mut config = source::Config::new(&entry.name, &entry.url);
    config.reference = match (&entry.branch, &entry.tag, &entry.semver, &entry.commit) {
        (Some(branch), ..) => Reference::Branch(branch.clone()),
        (_, Some(tag), ..) => Reference::Tag(tag.clone()),
        (_, _, Some(range), _) => Reference::Semver(range.clone()),
        (.., Some(commit)) => Reference::Commit(commit.clone()),
        _ => Reference::Head,
    };
    config.path = entry.path.clone().unwrap_or_default();
    config.depth = entry.depth;
    config.ca_file.clone_from(&entry.ca_file);
    config.proxy = entry.proxy.clone().map(Secret::given);
    config.allow_http = entry.allow_http;
    config.credentials = credentials(entry)?;
    config.known_hosts = match &entry.known_hosts_file {
        Some(file) => vec![file.clone()],
        None => environment("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts")).into_iter().collect(),
    };
    Ok(config)
}

fn credentials(entry: &config::Source) -> Result<Credentials, Error> {
    let password =
        match (&entry.password_file, &entry.password_env) {
            (Some(file), _) => Some(Secret::file(file)),
            (None, Some(name)) => Some(Secret::given(environment(name).ok_or_else(|| {
                Error::new(format!("source `{}`: the environment has no variable {name}", entry.name))
            })?)),
            (None, None) => None,
        };
    Ok(match (password, &entry.ssh_key_file) {
        (Some(password), _) => {
            Credentials::Basic { username: entry.username.clone().unwrap_or_else(|| "git".to_owned()), password }
        }
        (None, Some(file)) => Credentials::SshKey { file: file.clone(), passphrase: None },
        (None, None) if entry.url.starts_with("ssh://") || (entry.url.contains('@') && !entry.url.contains("://")) => {
            Credentials::SshAgent
        }
        (None, None) => Credentials::None,
    })
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "the environment is read here")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The error of a source with its way out.
pub fn source_error(error: source::Error) -> Error {
    let hint = error.hint();
    let error = Error::new(error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A progress bar on a terminal, and nothing elsewhere.
pub fn progress(length: usize, doing: &'static str) -> indicatif::ProgressBar {
    if !output::is_terminal() || length < 20 {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}").ok();
    let bar = indicatif::ProgressBar::new(length as u64);
    if let Some(style) = style {
        bar.set_style(style);
    }
    bar.set_message(doing);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
