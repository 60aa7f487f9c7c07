//! The configuration file of the daemon: every field documented, every mistake named with its place.

use std::path::PathBuf;

use serde::Deserialize;

use super::leader::Times;
use crate::error::Error;
use crate::load::Account;

/// The example that `bowline config --example` prints, and that a test reads.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// What `bowline run` is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Repositories to follow.
    pub sources: Vec<Source>,
    /// Namespace of bowline's own records and leases.
    pub namespace: String,
    /// Address of `/healthz`, `/readyz`, `/metrics` and `/hook/<source>`; empty for none.
    pub listen: String,
    /// Revisions kept of each unit.
    pub history: u64,
    /// Units worked on side by side, over all sources.
    pub concurrency: usize,
    /// Folder for the Git objects; a temporary one when empty.
    pub cache: Option<PathBuf>,
    /// Which of several that follow the same cluster works.
    pub leader_election: LeaderElection,
}

/// Of several daemons with the same namespace, the one that holds a Lease in it works; the others stand by.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaderElection {
    /// Whether there is an election; without one, a second daemon works against the first.
    pub enabled: bool,
    /// Name of the Lease.
    pub lease: String,
    /// After so long without a renewal a stand-by takes over.
    pub lease_duration: String,
    /// After so long without a renewal the leader writes no more.
    pub renew_deadline: String,
    /// Time between two renewals, and between two looks of a stand-by.
    pub retry_period: String,
}

impl Default for LeaderElection {
    fn default() -> Self {
        LeaderElection {
            enabled: true,
            lease: "bowline".to_owned(),
            lease_duration: "15s".to_owned(),
            renew_deadline: "10s".to_owned(),
            retry_period: "2s".to_owned(),
        }
    }
}

impl LeaderElection {
    /// The lengths of time.
    ///
    /// # Errors
    /// One cannot be read, or each is not clearly shorter than the one before: then a leader that is merely slow would
    /// lose its lease.
    pub fn times(&self) -> Result<Times, Error> {
        let field = |name: &str, text: &str| {
            duration(text).map_err(|error| Error::new(format!("leaderElection.{name}")).because(error))
        };
        let times = Times {
            lease: field("leaseDuration", &self.lease_duration)?,
            renew: field("renewDeadline", &self.renew_deadline)?,
            retry: field("retryPeriod", &self.retry_period)?,
        };
        let fits = times.renew < times.lease && times.retry * 2 <= times.renew && !times.retry.is_zero();
        if fits {
            return Ok(times);
        }
        Err(Error::new("leaderElection: a renewal has no time to fail and be tried again").hint(
            "let renewDeadline be less than leaseDuration, and at least twice retryPeriod; 15s, 10s, 2s are usual",
        ))
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            sources: Vec::new(),
            namespace: crate::render::OWN_NAMESPACE.to_owned(),
            listen: String::new(),
            history: 10,
            concurrency: 16,
            cache: None,
            leader_election: LeaderElection::default(),
        }
    }
}

/// One repository.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// Name, at most 20 characters; part of every unit's name.
    pub name: String,
    /// `https://`, `ssh://`, `git@host:path`, `file://` or a local folder.
    pub url: String,
    /// Branch to follow; `main` when no other reference is given.
    pub branch: Option<String>,
    /// Tag to follow.
    pub tag: Option<String>,
    /// Range of version tags; the highest one counts.
    pub semver: Option<String>,
    /// Commit to stay at.
    pub commit: Option<String>,
    /// Folder inside the repository.
    pub path: Option<String>,
    /// Time between polls, such as `30s`, `5m`; jitter is added.
    pub poll: Option<String>,
    /// Cron expression of polls, of 5 or 6 fields, in place of `poll`.
    pub schedule: Option<String>,
    /// Time zone of the schedule, such as `Europe/Berlin`; UTC when absent.
    pub time_zone: Option<String>,
    /// Commits to fetch; all when absent.
    pub depth: Option<u32>,
    /// User name for HTTP.
    pub username: Option<String>,
    /// File that holds the password or token for HTTP.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password or token for HTTP.
    pub password_env: Option<String>,
    /// Private key for SSH; the agent is asked when absent.
    pub ssh_key_file: Option<PathBuf>,
    /// Known hosts for SSH; `~/.ssh/known_hosts` when absent.
    pub known_hosts_file: Option<PathBuf>,
    /// Certificates to trust for HTTPS, in PEM, beside the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Proxy for HTTP and HTTPS.
    pub proxy: Option<String>,
    /// Allow plain HTTP to a host that is not loopback.
    pub allow_http: bool,
    /// File that holds the secret of `POST /hook/<source>`; the hook is off when absent.
    pub webhook_secret_file: Option<PathBuf>,
    /// Account that the source's units are read and written as: `namespace/name`, or `name` for the account of that name in
    /// each unit's own namespace. Settings inside the repository cannot choose another one.
    pub service_account: Option<String>,
}

impl Source {
    /// The account that the source is bound to; [`check`] has seen that it has a name.
    pub fn account(&self) -> Option<Account> {
        self.service_account.as_deref().and_then(|text| Account::parse(text).ok())
    }
}

/// Reads a configuration file's text.
///
/// # Errors
/// Not YAML, an unknown field (the nearest known one is named), a value of the wrong type; each with its line.
pub fn read(text: &str, file: &str) -> Result<Config, Error> {
    let value = crate::yaml::read(text.as_bytes(), &crate::yaml::Options::manifests()).map_err(|error| {
        Error::new(format!("{file}:{}:{}: {}", error.position.line, error.position.column, error.message))
    })?;
    let mut unknown = Vec::new();
    let config: Config = serde_ignored::deserialize(value, |path| unknown.push(path.to_string()))
        .map_err(|error| Error::new(format!("{file}: {error}")).hint("see `bowline config --example`"))?;
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|path| unknown_field(path, text, file)).collect();
        return Err(Error::new(names.join("\n")).hint("see `bowline config --example`"));
    }
    check(&config, file)?;
    Ok(config)
}

const SOURCE_FIELDS: [&str; 21] = [
    "name",
    "url",
    "branch",
    "tag",
    "semver",
    "commit",
    "path",
    "poll",
    "schedule",
    "timeZone",
    "depth",
    "username",
    "passwordFile",
    "passwordEnv",
    "sshKeyFile",
    "knownHostsFile",
    "caFile",
    "proxy",
    "allowHttp",
    "webhookSecretFile",
    "serviceAccount",
];
const FIELDS: [&str; 7] = ["sources", "namespace", "listen", "history", "concurrency", "cache", "leaderElection"];
const ELECTION_FIELDS: [&str; 5] = ["enabled", "lease", "leaseDuration", "renewDeadline", "retryPeriod"];

fn unknown_field(path: &str, text: &str, file: &str) -> String {
    let steps: Vec<crate::yaml::Step> = path
        .split('.')
        .map(|step| step.parse().map_or_else(|_| crate::yaml::Step::Key(step.to_owned()), crate::yaml::Step::Index))
        .collect();
    let place = crate::yaml::locate(text.as_bytes(), 0, &steps)
        .map_or_else(|| file.to_owned(), |position| format!("{file}:{}:{}", position.line, position.column));
    let field = path.rsplit('.').next().unwrap_or(path);
    let known: &[&str] = match path.split_once('.') {
        Some(("leaderElection", _)) => &ELECTION_FIELDS,
        Some(_) => &SOURCE_FIELDS,
        None => &FIELDS,
    };
    let nearest =
        known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, field)).copied().unwrap_or_default();
    format!("{place}: unknown field {field}, did you mean {nearest}?")
}

/// Checks what types cannot say.
///
/// # Errors
/// A name that is empty, too long or given twice; a source without URL; two references.
pub fn check(config: &Config, file: &str) -> Result<(), Error> {
    config.leader_election.times().map_err(|error| Error::new(file).because(error))?;
    let mut names = std::collections::BTreeSet::new();
    for source in &config.sources {
        let wrong = |what: String| Err(Error::new(format!("{file}: source `{}`: {what}", source.name)));
        let usable = source.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if source.name.is_empty() || source.name.len() > 20 || !usable {
            return wrong("a name has 1 to 20 small letters, digits and dashes".to_owned());
        }
        if !names.insert(source.name.clone()) {
            return wrong("the name is given twice".to_owned());
        }
        if source.url.is_empty() {
            return wrong("url is missing".to_owned());
        }
        let references = [&source.branch, &source.tag, &source.semver, &source.commit];
        if references.iter().filter(|reference| reference.is_some()).count() > 1 {
            return wrong("give one of branch, tag, semver and commit".to_owned());
        }
        if let Some(Err(what)) = source.service_account.as_deref().map(Account::parse) {
            return wrong(format!("serviceAccount {what}: write namespace/name, or name"));
        }
        if source.poll.is_some() && source.schedule.is_some() {
            return wrong("give poll or schedule, not both".to_owned());
        }
    }
    Ok(())
}

/// Reads a length of time such as `500ms`, `30s`, `5m`, `1h`.
///
/// # Errors
/// Anything else.
pub fn duration(text: &str) -> Result<std::time::Duration, Error> {
    let wrong = || Error::new(format!("`{text}` is not a length of time")).hint("write 500ms, 30s, 5m or 1h");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    Ok(std::time::Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_names_every_field_and_is_read() {
        let config = read(EXAMPLE, "example.yaml").unwrap();
        assert!(!config.sources.is_empty());
        for field in FIELDS.iter().chain(&SOURCE_FIELDS).chain(&ELECTION_FIELDS) {
            assert!(EXAMPLE.contains(&format!("{field}:")), "{field} is not in the example");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place_and_its_neighbour() {
        let error = read("sources:\n- name: main\n  urll: x\n", "c.yaml").unwrap_err();
        assert_eq!(error.to_string(), "c.yaml:3:3: unknown field urll, did you mean url?");
    }

    #[test]
    fn an_election_leaves_time_to_try_a_renewal_again() {
        let error = read("sources: []\nleaderElection: {renewDeadline: 15s}\n", "c.yaml").unwrap_err();
        assert!(error.to_string().starts_with("c.yaml"), "{error}");
        let error = read("leaderElection:\n  lease: a\n  retry: 1s\n", "c.yaml").unwrap_err();
        assert_eq!(error.to_string(), "c.yaml:3:3: unknown field retry, did you mean lease?");
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(duration("90s").unwrap(), std::time::Duration::from_secs(90));
        assert!(duration("90").is_err());
        assert!(duration("s").is_err());
    }
}
