//! Options that verbs of charts share: which chart, how its server is reached, who we are there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::environment;
use super::output;
use crate::error::Error;
use crate::fetch::{
    Access, Credentials, Entry, Fetched, Fetcher, Limits, Logins, Place, Plaintext, Repositories, Settings, Trusted,
    Wanted,
};
use crate::net::{self, Identity, Secret, Trust};

/// Where a chart comes from
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Origin {
    /// Look for the chart in the repository at this address
    #[arg(long, value_name = "URL")]
    repo: Option<String>,

    /// Take the newest version in this range; without it the newest release
    #[arg(long, value_name = "RANGE")]
    version: Option<String>,

    /// Take pre-releases, too, as `--version '>0.0.0-0'` does
    #[arg(long)]
    devel: bool,

    #[command(flatten)]
    pub(super) reach: Reach,
}

/// How servers of charts are reached, and who we are there
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Reach {
    /// User name for the repository or registry
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Password or token for it; better: --password-stdin, or a login that is kept
    #[arg(long, value_name = "TEXT", requires = "username")]
    password: Option<String>,

    /// Read the password from the standard input
    #[arg(long, requires = "username", conflicts_with = "password")]
    password_stdin: bool,

    /// Tell the password to every server that the repository leads to, too
    #[arg(long)]
    pass_credentials: bool,

    /// Certificate of ours, for servers that ask for one (PEM)
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,

    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,

    /// Believe the certificates of these authorities only (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Believe every certificate: nobody knows then who answers
    #[arg(long)]
    insecure_skip_tls_verify: bool,

    /// Speak HTTP without encryption, elsewhere than on this machine, too
    #[arg(long)]
    plain_http: bool,

    /// Reach servers through this proxy: http://, https:// or socks5://
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,

    /// Go to this host although it is nearer than the repository, or the metadata service; may be given again
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// File with names of repositories, as `helm repo add` writes it
    #[arg(long, value_name = "FILE", env = "HELM_REPOSITORY_CONFIG")]
    repository_config: Option<PathBuf>,

    /// File with logins to registries, as `helm registry login` writes it; Docker's is read behind it
    #[arg(long, value_name = "FILE", env = "HELM_REGISTRY_CONFIG")]
    registry_config: Option<PathBuf>,
}

impl Origin {
    /// Brings the chart that a text names.
    ///
    /// # Errors
    /// The text names none, or it cannot be brought.
    pub(super) fn bring(&self, name: &str) -> Result<Fetched, Error> {
        self.bring_with(&self.reach.fetcher(), name, false)
    }

    /// Brings the chart that a text names, with its provenance file if there is one.
    pub(super) fn bring_with(&self, fetcher: &Fetcher, name: &str, provenance: bool) -> Result<Fetched, Error> {
        let (place, access) = self.place(name)?;
        let wanted = Wanted { place, version: self.range().to_owned(), digest: None, access: &access, provenance };
        let fetched = fetcher.fetch(&wanted)?;
        for warning in &fetched.warnings {
            output::words(&format!("warning: {warning}"));
        }
        Ok(fetched)
    }

    fn range(&self) -> &str {
        match &self.version {
            Some(version) => version.trim(),
            None if self.devel => ">0.0.0-0",
            None => "",
        }
    }

    /// What a text names, in Helm's order: what lies here, an address, a chart of a repository with a name.
    fn place(&self, name: &str) -> Result<(Place, Access), Error> {
        let name = name.trim();
        if let Some(repository) = &self.repo {
            let place = Place::in_repository(repository, name)?;
            let known = self.reach.repositories()?;
            return Ok((place, self.reach.access(known.at(repository))?));
        }
        let path = Path::new(name);
        if path.exists() || path.is_absolute() || name.starts_with('.') {
            return Ok((Place::Path(path.to_owned()), self.reach.access(None)?));
        }
        if name.contains("://") {
            return Ok((Place::address(name)?, self.reach.access(None)?));
        }
        match name.split_once('/') {
            Some((repository, chart)) => {
                let known = self.reach.repositories()?;
                let entry = known.named(repository)?;
                Ok((Place::in_repository(&entry.url, chart)?, self.reach.access(Some(entry))?))
            }
            None => Ok((Place::Path(path.to_owned()), self.reach.access(None)?)),
        }
    }
}

impl Reach {
    /// What brings charts for one run of a verb: lists are asked for once.
    pub(super) fn fetcher(&self) -> Fetcher {
        let cache = environment("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| in_home(".cache"));
        Fetcher::new(Settings {
            cache: cache.map(|folder| folder.join("bowline/charts")),
            logins: self.logins(),
            limits: Limits::default(),
            fresh: Duration::from_secs(24 * 3600),
        })
    }

    /// Access to a server; what is not said here is as the repository of that name has it.
    pub(super) fn access(&self, entry: Option<&Entry>) -> Result<Access, Error> {
        let ca_file = self.ca_file.clone().or_else(|| entry?.ca_file.clone());
        let trust = match ca_file {
            _ if self.insecure_skip_tls_verify || entry.is_some_and(|entry| entry.insecure) => Trust::Anybody,
            Some(file) => Trust::File(file),
            None => Trust::System,
        };
        let ours = self.cert_file.clone().zip(self.key_file.clone());
        let identity = ours.or_else(|| entry?.identity.clone());
        let settings = net::Settings {
            trust,
            identity: identity.map(|(certificate, key)| Identity { certificate, key }),
            proxy: self.proxy.clone().map(Secret::given),
            ..net::Settings::standard(concat!("bowline/", env!("CARGO_PKG_VERSION")))
        };
        let passes_on = self.pass_credentials || entry.is_some_and(|entry| entry.pass_credentials);
        let trusted = if passes_on { Trusted::Everybody } else { Trusted::Home };
        let plaintext = if self.plain_http { Plaintext::Anywhere } else { Plaintext::Loopback };
        let access = Access::new(settings).credentials(self.credentials(entry)?, trusted).plaintext(plaintext);
        Ok(access.allow_hosts(self.allow_host.iter().cloned()))
    }

    fn credentials(&self, entry: Option<&Entry>) -> Result<Credentials, Error> {
        let Some(username) = self.username.clone() else {
            let known = entry.filter(|entry| !entry.username.is_empty() && !entry.password.is_empty());
            return Ok(known.map_or(Credentials::None, |entry| Credentials::Basic {
                username: entry.username.clone(),
                password: Secret::given(entry.password.clone()),
            }));
        };
        let password = match &self.password {
            Some(password) => password.clone(),
            None if self.password_stdin => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|error| Error::new("the standard input cannot be read").because(error))?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
            None => return Err(Error::new("--username needs a password").hint("add --password-stdin or --password")),
        };
        Ok(Credentials::Basic { username, password: Secret::given(password) })
    }

    /// The repositories that have names.
    pub(super) fn repositories(&self) -> Result<Repositories, Error> {
        let file = self.repository_config.clone().or_else(|| Some(helm_folder()?.join("repositories.yaml")));
        match file {
            Some(file) => Ok(Repositories::read(&file)?),
            None => Ok(Repositories::default()),
        }
    }

    fn logins(&self) -> Logins {
        let helms = self.registry_config.clone().or_else(|| Some(helm_folder()?.join("registry/config.json")));
        let dockers = environment("DOCKER_CONFIG").map(PathBuf::from).or_else(|| in_home(".docker"));
        Logins::new(helms.into_iter().chain(dockers.map(|folder| folder.join("config.json"))))
    }
}

/// Where Helm keeps its configuration.
fn helm_folder() -> Option<PathBuf> {
    let own = environment("HELM_CONFIG_HOME").map(PathBuf::from);
    let users = environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| in_home(".config"));
    own.or_else(|| users.map(|folder| folder.join("helm")))
}

fn in_home(name: &str) -> Option<PathBuf> {
    environment("HOME").map(|home| PathBuf::from(home).join(name))
}
