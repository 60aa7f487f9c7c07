//! Sets clients up: certificates, proxy, timeouts, and how near they may go.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use reqwest::blocking::Client;
use sha2::{Digest, Sha256};

use super::reach::Guard;
use super::{Error, Reach, Secret};

/// How servers are reached. The environment is not read here: its proxy is not used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What we call ourselves.
    pub agent: &'static str,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Our own certificate, for servers that ask for one.
    pub identity: Option<Identity>,
    /// `http://`, `https://` or `socks5://` proxy.
    pub proxy: Option<Secret>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// What is unpacked on arrival.
    pub unpack: Unpack,
}

impl Settings {
    /// The system's certificate authorities, no certificate of our own, no proxy, standard timeouts.
    pub fn standard(agent: &'static str) -> Self {
        Settings {
            agent,
            trust: Trust::System,
            identity: None,
            proxy: None,
            timeouts: Timeouts::standard(),
            unpack: Unpack::Nothing,
        }
    }
}

/// What servers may pack for the way, and the client unpacks without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// Nothing: some servers say of a packed file that it was packed for the way, and its digest is that of the packed
    /// bytes. Who wants more asks for it and unpacks it.
    Nothing,
    /// Answers in gzip.
    Gzip,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those of the system's authorities.
    System,
    /// Those of the authorities in this PEM file only.
    File(PathBuf),
    /// Everybody's: who answers is not known, and nobody should be told a secret.
    Anybody,
}

/// A certificate of ours and its key, both files in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How long to wait for the server.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the first byte of an answer, and then between any two.
    pub silence: Duration,
}

impl Timeouts {
    /// 10 s to connect, 60 s of silence.
    pub fn standard() -> Self {
        Timeouts { connect: Duration::from_secs(10), silence: Duration::from_secs(60) }
    }
}

/// Clients of one setting, one for each reach. Files are read at each use: certificates and proxy may be renewed while
/// we run, and then another client is made.
#[derive(Debug)]
pub(crate) struct Clients {
    settings: Settings,
    made: Mutex<Vec<(Key, Client)>>,
}

/// What a client was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    reach: Reach,
    files: [u8; 32],
    proxy: Option<String>,
}

/// What the files of a setting hold.
#[derive(Default)]
struct Pem {
    authorities: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

impl Clients {
    pub(crate) fn new(settings: Settings) -> Self {
        Clients { settings, made: Mutex::default() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A client that goes to addresses no nearer than `reach`. Hosts that are addresses themselves are the caller's to
    /// check, and a proxy looks names up itself.
    ///
    /// # Errors
    /// A file cannot be read, or holds nothing to use.
    pub(crate) fn get(&self, reach: Reach) -> Result<Client, Error> {
        let pem = self.read()?;
        let digest = Sha256::new().chain_update(pem.authorities.as_deref().unwrap_or_default());
        let files = digest.chain_update([0]).chain_update(pem.identity.as_deref().unwrap_or_default()).finalize();
        let proxy = self.settings.proxy.as_ref().map(Secret::reveal).transpose()?;
        let key = Key { reach, files: files.into(), proxy };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = made.iter().find(|(made_of, _)| *made_of == key) {
            return Ok(client.clone());
        }
        let client = self.connect(&key, &pem)?;
        made.retain(|(made_of, _)| made_of.files == key.files && made_of.proxy == key.proxy);
        made.push((key, client.clone()));
        Ok(client)
    }

    fn read(&self) -> Result<Pem, Error> {
        let authorities = match &self.settings.trust {
            Trust::File(path) => Some(read(path)?),
            Trust::System | Trust::Anybody => None,
        };
        let mut pem = Pem { authorities, identity: None };
        if let Some(identity) = &self.settings.identity {
            let mut both = read(&identity.certificate)?;
            both.push(b'\n');
            both.extend(read(&identity.key)?);
            pem.identity = Some(both);
        }
        Ok(pem)
    }

    fn connect(&self, key: &Key, pem: &Pem) -> Result<Client, Error> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // An error means that the program has chosen one already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let invalid = |field, message: &str| Error::Invalid { field, message: message.to_owned() };
        let mut client = Client::builder()
            .user_agent(self.settings.agent)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .gzip(self.settings.unpack == Unpack::Gzip)
            .connect_timeout(self.settings.timeouts.connect)
            .timeout(self.settings.timeouts.silence)
            .pool_max_idle_per_host(1);
        if let Some(pem) = &pem.authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
            if certificates.is_empty() {
                return Err(invalid("caFile", "holds no certificates in PEM form"));
            }
            client = client.tls_certs_only(certificates);
        }
        if self.settings.trust == Trust::Anybody {
            client = client.tls_danger_accept_invalid_certs(true);
        }
        if let Some(pem) = &pem.identity {
            let identity = reqwest::Identity::from_pem(pem)
                .map_err(|_| invalid("certFile", "with keyFile holds no certificate and its key in PEM form"))?;
            client = client.identity(identity);
        }
        match &key.proxy {
            None => client = client.dns_resolver(Arc::new(Guard(key.reach))),
            Some(proxy) => {
                let proxy = reqwest::Proxy::all(proxy).map_err(|_| invalid("proxy", "is not an address"))?;
                client = client.proxy(proxy);
            }
        }
        client.build().map_err(|error| Error::Invalid { field: "connection", message: chain(error) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::UnreadableFile { path: path.to_owned(), source })
}

/// A client's error with its causes, on one line, without the address it names (which may hold a token).
pub(crate) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(1_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Forbidden;

    #[test]
    fn a_name_leads_no_nearer_than_allowed() {
        let clients = Clients::new(Settings::standard("test"));
        // Port 1 answers nobody: who gets that far was let through.
        let ask = |reach| clients.get(reach).unwrap().get("http://localhost:1/").send().unwrap_err();
        for (reach, is_forbidden) in [(Reach::World, true), (Reach::Site, true), (Reach::Machine, false)] {
            let error = ask(reach);
            assert_eq!(Forbidden::within(&error).is_some(), is_forbidden, "{reach:?}: {}", chain(error));
        }
    }
}
