//! Charts in registries (OCI distribution): versions are tags, archives are layers, everything has a digest.
//!
//! ```text
//! name, range -> tags -> name with a tag -> manifest -> layers
//! archive -> layers, configuration -> manifest -> tag          push
//! ```
//! The protocol is a handful of requests, asked by `web` like all others, so that redirects, limits and credentials
//! follow one set of rules (`docs/decisions/0020-own-registry-client.md`).
//!
//! Start at [`Registry::pull`].

mod manifest;
mod name;
mod push;
mod token;

use std::collections::BTreeSet;

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, LINK};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

pub use name::Name;
pub use push::{Parcel, Pushed};

pub(super) use name::sha256;
pub(super) use token::Tokens;

use super::cache::Cache;
use super::error::Error;
use super::logins::Logins;
use super::web::{Access, Answer, Call};
use crate::chart::version;
use crate::net::{same_origin, shown};
use crate::template::semver::Version;
use manifest::{CHART, CONFIG, Descriptor, INDEX, MANIFEST, Manifest, OLD_CHART, PROVENANCE};

const MAX_MANIFEST: u64 = 4 << 20;
const MAX_TAG_PAGE: u64 = 16 << 20;
const MAX_TAGS: usize = 100_000;
/// Manifests of a list that are looked at for a chart.
const MAX_LISTED: usize = 32;

/// A registry that is asked for one chart.
pub(super) struct Registry<'a> {
    access: &'a Access,
    logins: &'a Logins,
    name: &'a Name,
    home: Url,
    cache: Option<&'a Cache>,
}

/// A chart as it came.
pub(super) struct Pulled {
    /// The manifest's digest, with `sha256:`.
    pub(super) manifest: String,
    pub(super) archive: Vec<u8>,
    pub(super) provenance: Option<Vec<u8>>,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
struct Words {
    #[serde(default)]
    errors: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    code: String,
}

impl<'a> Registry<'a> {
    pub(super) fn new(
        access: &'a Access,
        logins: &'a Logins,
        name: &'a Name,
        cache: Option<&'a Cache>,
    ) -> Result<Self, Error> {
        let home = name.server(access.scheme(name.host()))?;
        Ok(Registry { access, logins, name, home, cache })
    }

    /// The name with the tag of the newest version in a range; a version that is written out is taken as it is.
    pub(super) fn choose(&self, range: &str) -> Result<Name, Error> {
        if let Some(tag) = &self.name.tag {
            if !range.is_empty() && range != tag {
                let message = format!("{} names version {tag} already", self.name);
                return Err(Error::BadRange { range: range.to_owned(), message });
            }
            return Ok(self.name.clone());
        }
        if self.name.digest.is_some() {
            return Ok(self.name.clone());
        }
        if Version::parse(range).is_ok() {
            return self.name.at(range);
        }
        let tags = self.versions()?;
        let known: Vec<&str> = tags.iter().map(String::as_str).collect();
        let chosen = version::choose(range, &known);
        match chosen.map_err(|message| Error::BadRange { range: range.to_owned(), message })? {
            Some(at) => self.name.at(known[at]),
            None => Err(self.no_version(range, &known)),
        }
    }

    /// The versions that the tags name, newest first, as Helm reads them: other tags are not versions.
    pub(super) fn versions(&self) -> Result<Vec<String>, Error> {
        let tags = self.tags()?;
        let versions = tags.iter().map(|tag| tag.replace('_', "+"));
        let mut versions: Vec<String> = versions.filter(|tag| Version::parse_strict(tag).is_ok()).collect();
        version::newest_first(&mut versions, |version| version);
        Ok(versions)
    }

    fn tags(&self) -> Result<BTreeSet<String>, Error> {
        let mut tags = BTreeSet::new();
        let mut next = Some(self.url("tags/list?n=1000"));
        while let Some(url) = next {
            let answer = self.get(url.clone(), "application/json", MAX_TAG_PAGE)?;
            let page: Tags =
                serde_json::from_slice(&answer.body).map_err(|_| self.broken("what it sends is no list of tags"))?;
            let before = tags.len();
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(self.broken(&format!("it has more than {MAX_TAGS} tags; name a version")));
            }
            // A page that brings nothing new would be followed by itself for ever.
            next = following(&answer).filter(|next| same_origin(next, &self.home) && tags.len() > before);
        }
        Ok(tags)
    }

    /// Brings the chart that a name with a tag or digest names.
    pub(super) fn pull(&self, name: &Name, with_provenance: bool, max_bytes: u64) -> Result<Pulled, Error> {
        let (digest, manifest) = self.manifest(name)?;
        let mut warnings = Vec::new();
        let Some(layer) = manifest.layer(&[CHART, OLD_CHART]) else {
            let types: BTreeSet<&str> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let types: Vec<&str> = types.into_iter().collect();
            return Err(self.broken(&format!("its manifest names no chart, only {}", words(&types.join(", ")))));
        };
        if layer.media_type == OLD_CHART {
            warnings.push(format!("{name}: chart media type {OLD_CHART} is deprecated"));
        }
        let archive = self.blob(layer, max_bytes)?;
        let provenance = match manifest.layer(&[PROVENANCE]) {
            Some(layer) if with_provenance => Some(self.blob(layer, MAX_MANIFEST)?),
            _ => None,
        };
        Ok(Pulled { manifest: digest, archive, provenance, warnings })
    }

    /// The manifest of a chart and its digest. In a list of manifests the first one of a chart is meant.
    fn manifest(&self, name: &Name) -> Result<(String, Manifest), Error> {
        let reference = name.reference().ok_or_else(|| self.broken("neither tag nor digest"))?;
        let (digest, kind, body) = self.raw_manifest(&reference)?;
        if kind != INDEX {
            return Ok((digest, self.parse(&body)?));
        }
        let list: manifest::Index =
            serde_json::from_slice(&body).map_err(|_| self.broken("what it sends is no list of manifests"))?;
        for entry in list.manifests.iter().filter(|entry| entry.media_type == MANIFEST).take(MAX_LISTED) {
            let (digest, _, body) = self.raw_manifest(&entry.digest)?;
            if let Ok(manifest) = self.parse(&body) {
                return Ok((digest, manifest));
            }
        }
        Err(self.broken("none of the manifests that it lists is that of a chart"))
    }

    fn parse(&self, body: &[u8]) -> Result<Manifest, Error> {
        let manifest: Manifest =
            serde_json::from_slice(body).map_err(|_| self.broken("what it sends is no manifest"))?;
        if manifest.config.media_type != CONFIG {
            let kind = words(&manifest.config.media_type);
            return Err(self.broken(&format!("it is no chart: its configuration is of type {kind}, not {CONFIG}")));
        }
        Ok(manifest)
    }

    fn raw_manifest(&self, reference: &str) -> Result<(String, String, Vec<u8>), Error> {
        let url = self.url(&format!("manifests/{reference}"));
        let answer = match self.get(url, &format!("{MANIFEST}, {INDEX}"), MAX_MANIFEST) {
            Err(Error::Missing { url }) => return Err(self.missing(reference, url)),
            answer => answer?,
        };
        let digest = manifest::digest(&answer.body);
        if sha256(reference).is_some() && reference != digest {
            return Err(self.wrong_digest(reference, &answer.body));
        }
        let kind = answer.header(&CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        Ok((digest, kind, answer.body))
    }

    fn blob(&self, part: &Descriptor, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let url = self.url(&format!("blobs/{}", part.digest));
        let Some(expected) = sha256(&part.digest) else {
            return Err(self.broken(&format!("its manifest names a part by {}", words(&part.digest))));
        };
        if part.size > max_bytes {
            return Err(Error::TooBig { url: shown(&url), limit: max_bytes });
        }
        if let Some(kept) = self.cache.and_then(|cache| cache.archive(expected)) {
            return Ok(kept);
        }
        let body = self.get(url, "*/*", part.size)?.body;
        if hex::encode(Sha256::digest(&body)) != expected {
            return Err(self.wrong_digest(&part.digest, &body));
        }
        if let Some(cache) = self.cache {
            cache.keep_archive(expected, &body);
        }
        Ok(body)
    }

    /// Nothing stands at a tag: that may be all, or there are others.
    fn missing(&self, reference: &str, url: String) -> Error {
        if sha256(reference).is_some() {
            return Error::Missing { url };
        }
        match self.versions() {
            Ok(known) => self.no_version(reference, &known.iter().map(String::as_str).collect::<Vec<_>>()),
            Err(_) => Error::Missing { url },
        }
    }

    fn no_version(&self, range: &str, known: &[&str]) -> Error {
        let place = Name { tag: None, digest: None, ..self.name.clone() }.to_string();
        Error::NoVersion { place, range: range.to_owned(), near: version::nearest(range, known) }
    }

    fn wrong_digest(&self, expected: &str, body: &[u8]) -> Error {
        let found = hex::encode(Sha256::digest(body));
        Error::WrongDigest { place: self.name.to_string(), expected: expected.to_owned(), found }
    }

    fn broken(&self, message: &str) -> Error {
        Error::BadAnswer { url: self.name.to_string(), message: message.to_owned() }
    }

    fn url(&self, rest: &str) -> Url {
        let path = format!("v2/{}/{rest}", self.name.repository);
        self.home.join(&path).unwrap_or_else(|_| self.home.clone())
    }

    fn get(&self, url: Url, accept: &str, limit: u64) -> Result<Answer, Error> {
        self.accepted(self.ask(Call::get(url, &self.home, limit).header(ACCEPT, accept), "pull")?)
    }

    /// Asks; when the registry wants to know who we are, tells it and asks again.
    fn ask(&self, mut call: Call<'_>, actions: &str) -> Result<Answer, Error> {
        let registry = &self.name.registry;
        let scope = format!("repository:{}:{actions}", self.name.repository);
        let known = self.access.tokens.find(registry, &scope);
        call.authorization = known.map(|value| (value, self.home.clone()));
        let answer = self.access.ask(&call)?;
        if answer.status != StatusCode::UNAUTHORIZED || !same_origin(&answer.url, &self.home) {
            return Ok(answer);
        }
        let value = token::enter(self.access, self.logins, registry, &self.home, &scope, &answer)?;
        call.authorization = Some((value, self.home.clone()));
        self.access.ask(&call)
    }

    /// Turns what is no success into an error, with the registry's own code for it. Its sentence is left out: it may
    /// repeat what we showed it.
    fn accepted(&self, answer: Answer) -> Result<Answer, Error> {
        let told: Words = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = told.errors.into_iter().next().map(|word| word.code).unwrap_or_default();
        let is_code = code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') && code.len() <= 40;
        let code = if code.is_empty() || !is_code { String::new() } else { format!(" ({code})") };
        match answer.success() {
            Err(Error::Refused { url, message, .. }) => {
                let login = token::who(self.access, self.logins, &self.name.registry)?;
                Err(Error::Refused { url, message: message + &code, hint: token::helped(&login) })
            }
            Err(Error::BadAnswer { url, message }) => Err(Error::BadAnswer { url, message: message + &code }),
            other => other,
        }
    }
}

/// The page that a server says comes next.
fn following(answer: &Answer) -> Option<Url> {
    let link: HeaderName = LINK;
    let (target, rest) = answer.header(&link)?.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
    if is_next { answer.url.join(target).ok() } else { None }
}

/// A server's words on one line, bounded.
fn words(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect();
    text.trim().to_owned()
}
