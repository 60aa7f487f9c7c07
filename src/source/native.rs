//! Git by libgit2's own transports: `ssh` (libssh2), `git://`, and repositories on this machine.
//!
//! Each operation runs in a thread of its own beside a watch: libgit2 cannot be told to give up a silent connection, so
//! a silent one is left behind, and nothing new begins until it has ended.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode, FetchOptions,
    RemoteCallbacks, Repository,
};

use super::address::Place;
use super::config::{Config, Credentials};
use super::error::Error;
use super::known_hosts::{self, Verdict};
use super::smart::{self, Advertised};
use super::store::Store;
use crate::net::Secret;

/// Where a fetch writes what it brought.
pub(super) const SEEN: &str = "refs/bowline/seen";

/// One repository behind one of libgit2's transports.
pub(super) struct Server {
    target: Target,
    is_local: bool,
    silence: Duration,
    fetch_bytes: u64,
    /// An operation that was left behind.
    behind: Option<JoinHandle<()>>,
}

/// All that an operation needs, so that it can move to its thread.
#[derive(Clone)]
struct Target {
    url: String,
    shown: String,
    /// Host, port and user of an SSH server.
    ssh: Option<(String, u16, String)>,
    credentials: Credentials,
    known_hosts: Vec<PathBuf>,
}

/// What an operation and its watch share.
#[derive(Default)]
struct Watch {
    ticks: AtomicU64,
    is_left: AtomicBool,
    /// The reason of a failure that libgit2 only knows as "callback said no".
    reason: Mutex<Option<Error>>,
}

impl Watch {
    /// Notes progress; false asks libgit2 to stop.
    fn tick(&self) -> bool {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        !self.is_left.load(Ordering::Relaxed)
    }

    fn refuse(&self, reason: Error) -> git2::Error {
        let text = reason.to_string();
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        git2::Error::new(ErrorCode::User, ErrorClass::Callback, text)
    }
}

impl Server {
    pub(super) fn new(place: &Place, shown: String, found: Option<(String, Secret)>, config: &Config) -> Self {
        let (url, ssh) = match place {
            Place::Ssh { url, host, port, user } => (url.clone(), Some((host.clone(), *port, user.clone()))),
            Place::Git { url, .. } => (url.clone(), None),
            Place::Http(url) => (url.to_string(), None),
            Place::Local(path) => (path.display().to_string(), None),
        };
        let credentials = match (&config.credentials, found) {
            (Credentials::None, Some((username, password))) => Credentials::Basic { username, password },
            (configured, _) => configured.clone(),
        };
        Server {
            target: Target { url, shown, ssh, credentials, known_hosts: config.known_hosts.clone() },
            is_local: matches!(place, Place::Local(_)),
            silence: config.timeouts.silence,
            fetch_bytes: config.limits.fetch_bytes,
            behind: None,
        }
    }

    /// Asks for all references.
    pub(super) fn references(&mut self, store: &Store) -> Result<Vec<Advertised>, Error> {
        let (target, path) = (self.target.clone(), store.path().to_owned());
        self.watched("listing references", move |watch| target.references(&path, watch))
    }

    /// Fetches what the refspecs name. Afterwards the references of ours that they name lead there.
    pub(super) fn fetch(&mut self, store: &Store, refspecs: &[String], depth: Option<u32>) -> Result<(), Error> {
        let (target, path) = (self.target.clone(), store.path().to_owned());
        let (refspecs, limit) = (refspecs.to_vec(), self.fetch_bytes);
        // libgit2's transport for this machine knows no depth; nothing is sent over a network there.
        let depth = depth.filter(|_| !self.is_local);
        let fetched = self.watched("fetching", move |watch| target.fetch(&path, watch, &refspecs, depth, limit));
        store.forget_handles();
        fetched
    }

    /// Runs an operation in its own thread and leaves it behind when nothing moves for too long.
    fn watched<T: Send + 'static>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&Arc<Watch>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let seconds = self.silence.as_secs();
        let timed_out = |url: &str| Error::TimedOut { url: url.to_owned(), action, seconds };
        if self.behind.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(timed_out(&self.target.shown));
        }
        self.behind = None;
        let watch = Arc::new(Watch::default());
        let (sender, receiver) = mpsc::channel();
        let watched = watch.clone();
        let run = move || {
            // The receiver is gone when the operation was left behind.
            let _ = sender.send(work(&watched));
        };
        let started = std::thread::Builder::new().name("git".to_owned()).spawn(run);
        let failed = |message: String| Error::Unreachable { url: self.target.shown.clone(), message };
        let thread = started.map_err(|error| failed(format!("no thread: {error}")))?;
        let mut ticks = 0;
        loop {
            match receiver.recv_timeout(self.silence) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(failed("libgit2 ended without a result".to_owned())),
                Err(RecvTimeoutError::Timeout) => {
                    let now = watch.ticks.load(Ordering::Relaxed);
                    if now == ticks {
                        watch.is_left.store(true, Ordering::Relaxed);
                        self.behind = Some(thread);
                        return Err(timed_out(&self.target.shown));
                    }
                    ticks = now;
                }
            }
        }
    }
}

impl Target {
    fn references(&self, path: &Path, watch: &Arc<Watch>) -> Result<Vec<Advertised>, Error> {
        let list = || {
            let repository = Repository::open_bare(path)?;
            let mut remote = repository.remote_anonymous(&self.url)?;
            let connection = remote.connect_auth(Direction::Fetch, Some(self.callbacks(watch, u64::MAX)), None)?;
            let mut advertised: Vec<Advertised> = Vec::new();
            for head in connection.list()? {
                let target = head.symref_target().map(str::to_owned);
                match (head.name().strip_suffix("^{}"), advertised.last_mut()) {
                    (Some(tag), Some(last)) if last.name == tag => last.peeled = Some(head.oid()),
                    (Some(_), _) => {}
                    (None, _) => {
                        let name = head.name().to_owned();
                        advertised.push(Advertised { name, id: head.oid(), peeled: None, target });
                    }
                }
            }
            Ok(advertised)
        };
        list().map_err(|error: git2::Error| self.failed(&error, watch))
    }

    fn fetch(
        &self,
        path: &Path,
        watch: &Arc<Watch>,
        refspecs: &[String],
        depth: Option<u32>,
        limit: u64,
    ) -> Result<(), Error> {
        let fetch = || {
            let repository = Repository::open_bare(path)?;
            let mut options = FetchOptions::new();
            options.remote_callbacks(self.callbacks(watch, limit));
            options.download_tags(AutotagOption::None).update_fetchhead(false);
            if let Some(depth) = depth {
                options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
            }
            repository.remote_anonymous(&self.url)?.fetch(refspecs, Some(&mut options), Some(""))
        };
        fetch().map_err(|error: git2::Error| self.failed(&error, watch))
    }

    fn callbacks(&self, watch: &Arc<Watch>, limit: u64) -> RemoteCallbacks<'static> {
        let mut callbacks = RemoteCallbacks::new();
        let ticks = watch.clone();
        callbacks.sideband_progress(move |_| ticks.tick());
        let ticks = watch.clone();
        callbacks.transfer_progress(move |progress| {
            if progress.received_bytes() as u64 > limit {
                ticks.refuse(Error::TooMuch { what: "a fetch".to_owned(), limit: format!("{limit} bytes") });
                return false;
            }
            ticks.tick()
        });
        let (target, checked) = (self.clone(), watch.clone());
        callbacks.certificate_check(move |certificate, host| {
            checked.tick();
            let key = certificate.as_hostkey().and_then(|key| key.hostkey());
            match target.check_host(host, key) {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(reason) => Err(checked.refuse(reason)),
            }
        });
        let (target, asked) = (self.clone(), watch.clone());
        let mut attempts = 0;
        callbacks.credentials(move |_, _, allowed| {
            asked.tick();
            attempts += 1;
            match target.credential(allowed, attempts) {
                Ok(credential) => Ok(credential),
                Err(reason) => Err(asked.refuse(reason)),
            }
        });
        callbacks
    }

    /// The server's key must be the known one; nothing is learned on first sight.
    fn check_host(&self, host: &str, key: Option<&[u8]>) -> Result<(), Error> {
        let Some((_, port, _)) = &self.ssh else {
            return Err(Error::Unreachable {
                url: self.shown.clone(),
                message: "an unexpected certificate".to_owned(),
            });
        };
        let name = known_hosts::host_name(host, *port);
        let Some((key, key_type)) = key.and_then(|key| Some((key, known_hosts::key_type(key)?.to_owned()))) else {
            return Err(Error::Unreachable { url: self.shown.clone(), message: format!("{name} shows no host key") });
        };
        let mut texts = Vec::new();
        for path in &self.known_hosts {
            let text = std::fs::read(path).map_err(|source| Error::UnreadableFile { path: path.clone(), source })?;
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
        let fingerprint = known_hosts::fingerprint(key);
        match known_hosts::check(&texts, host, *port, key) {
            Verdict::Known => Ok(()),
            Verdict::Unknown => Err(Error::UnknownHost { host: name, key_type, fingerprint }),
            Verdict::Changed { text, line } => {
                let file = self.known_hosts.get(text).map(|path| path.display().to_string()).unwrap_or_default();
                Err(Error::ChangedHost { host: name, key_type, fingerprint, file, line })
            }
        }
    }

    fn credential(&self, allowed: CredentialType, attempts: usize) -> Result<Cred, Error> {
        let refused = |message: String| Error::Refused { url: self.shown.clone(), message };
        let user = self.ssh.as_ref().map(|(_, _, user)| user.as_str()).unwrap_or_default();
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(user).map_err(|error| refused(error.message().to_owned()));
        }
        let (kind, credential) = match &self.credentials {
            Credentials::SshKey { file, passphrase } if allowed.contains(CredentialType::SSH_KEY) => {
                let passphrase = passphrase.as_ref().map(Secret::reveal).transpose()?;
                // Read here, so that a missing key is told from a refused one.
                std::fs::metadata(file).map_err(|source| Error::UnreadableFile { path: file.clone(), source })?;
                ("the key", Cred::ssh_key(user, None, file, passphrase.as_deref()))
            }
            Credentials::SshAgent if allowed.contains(CredentialType::SSH_KEY) => {
                ("the agent's keys", Cred::ssh_key_from_agent(user))
            }
            Credentials::Basic { password, .. } if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                ("the password", Cred::userpass_plaintext(user, &password.reveal()?))
            }
            _ => return Err(refused("it wants a key, an agent or a password, and there is none that fits".to_owned())),
        };
        // libgit2 asks again and again while the server says no.
        if attempts > 1 {
            return Err(refused(format!("{kind} of user {user}: not accepted")));
        }
        credential.map_err(|error| refused(format!("{kind} of user {user}: {}", error.message())))
    }

    fn failed(&self, error: &git2::Error, watch: &Watch) -> Error {
        if let Some(reason) = watch.reason.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return reason;
        }
        let (url, message) = (self.shown.clone(), smart::words(error.message().as_bytes()));
        match (error.class(), error.code()) {
            (_, ErrorCode::Auth) => Error::Refused { url, message },
            // A wrong passphrase and a key of an unknown form have no code of their own.
            (ErrorClass::Ssh, _) if message.contains("authenticat") => Error::Refused { url, message },
            (_, ErrorCode::Owner) => {
                let message = "it belongs to another user; name it as safe.directory in Git's configuration".to_owned();
                Error::Refused { url, message }
            }
            (ErrorClass::Repository, _) | (ErrorClass::Os, ErrorCode::NotFound) if self.ssh.is_none() => {
                Error::NoRepository { url }
            }
            (ErrorClass::Ssh | ErrorClass::Net | ErrorClass::Os, _) => Error::Unreachable { url, message },
            (ErrorClass::Indexer | ErrorClass::Zlib, _) => {
                Error::BadAnswer { url, message: format!("its pack is broken: {message}") }
            }
            (ErrorClass::Odb | ErrorClass::Object | ErrorClass::Reference, _) => Error::Damaged { message },
            _ => Error::Unreachable { url, message },
        }
    }
}

/// The refspec that fetches one reference or commit.
pub(super) fn refspec(what: &str) -> String {
    format!("+{what}:{SEEN}/tip")
}

/// The refspecs that fetch everything, for servers that give no commit by its id.
pub(super) fn everything() -> Vec<String> {
    vec![format!("+refs/heads/*:{SEEN}/heads/*"), format!("+refs/tags/*:{SEEN}/tags/*")]
}
