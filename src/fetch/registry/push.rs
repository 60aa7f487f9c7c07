//! Brings a chart into a registry, with the manifest that Helm makes: the same file gives the same digest.

use std::collections::BTreeMap;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};

use super::manifest::{CHART, CONFIG, Descriptor, MANIFEST, Manifest, PROVENANCE, digest};
use super::name::to_tag;
use super::{Name, Registry};
use crate::chart::{Metadata, go_json};
use crate::fetch::error::Error;
use crate::fetch::web::Call;

const ACTIONS: &str = "pull,push";
/// Bytes of an answer that only says that it went well.
const MAX_ANSWER: u64 = 1 << 20;

/// Where a chart is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Its name with the version as tag.
    pub name: Name,
    /// Digest of its manifest, with `sha256:`.
    pub digest: String,
}

/// A chart that is to be pushed.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The packed chart.
    pub archive: &'a [u8],
    /// What its `Chart.yaml` says.
    pub metadata: &'a Metadata,
    /// Its provenance file, if it is signed.
    pub provenance: Option<&'a [u8]>,
    /// When it was made, as RFC 3339 has it.
    pub created: &'a str,
}

impl Registry<'_> {
    pub(in crate::fetch) fn push(&self, parcel: &Parcel<'_>) -> Result<Pushed, Error> {
        let name = self.name.at(&parcel.metadata.version)?;
        let config = go_json::line(parcel.metadata);
        let config = (Descriptor::of(CONFIG, config.as_bytes()), config.as_bytes());
        let mut layers = vec![(Descriptor::of(CHART, parcel.archive), parcel.archive)];
        layers.extend(parcel.provenance.map(|text| (Descriptor::of(PROVENANCE, text), text)));
        // Helm sorts them, so that their order says nothing.
        layers.sort_by(|(a, _), (b, _)| a.digest.cmp(&b.digest));
        for (part, bytes) in layers.iter().chain([&config]) {
            self.upload(part, bytes)?;
        }
        let manifest = Manifest {
            schema_version: 2,
            config: config.0,
            layers: layers.into_iter().map(|(part, _)| part).collect(),
            annotations: annotations(parcel),
        };
        let manifest = go_json::line(&manifest);
        let tag = to_tag(&parcel.metadata.version);
        let mut call = Call::get(self.url(&format!("manifests/{tag}")), &self.home, MAX_ANSWER);
        (call.method, call.body) = (Method::PUT, manifest.clone().into_bytes());
        self.accepted(self.ask(call.header(CONTENT_TYPE, MANIFEST), ACTIONS)?)?;
        Ok(Pushed { name, digest: digest(manifest.as_bytes()) })
    }

    /// Uploads a part that is not there yet.
    fn upload(&self, part: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let mut call = Call::get(self.url(&format!("blobs/{}", part.digest)), &self.home, MAX_ANSWER);
        call.method = Method::HEAD;
        if self.ask(call, ACTIONS)?.status == StatusCode::OK {
            return Ok(());
        }
        let mut call = Call::get(self.url("blobs/uploads/"), &self.home, MAX_ANSWER);
        call.method = Method::POST;
        let answer = self.accepted(self.ask(call, ACTIONS)?)?;
        let location = answer.header(&LOCATION).and_then(|text| answer.url.join(text).ok());
        let mut location = location.ok_or_else(|| self.broken("it does not say where to upload to"))?;
        location.query_pairs_mut().append_pair("digest", &part.digest);
        let mut call = Call::get(location, &self.home, MAX_ANSWER);
        (call.method, call.body) = (Method::PUT, bytes.to_vec());
        self.accepted(self.ask(call.header(CONTENT_TYPE, "application/octet-stream"), ACTIONS)?)?;
        Ok(())
    }
}

/// What Helm says of a chart in its manifest: from `Chart.yaml`, and the chart's own annotations, which may replace all
/// but name and version.
fn annotations(parcel: &Parcel<'_>) -> BTreeMap<String, String> {
    let Metadata { name, version, description, home, sources, maintainers, .. } = parcel.metadata;
    let people: Vec<String> = maintainers
        .iter()
        .map(|person| {
            let mail = if person.email.is_empty() { String::new() } else { format!(" ({})", person.email) };
            format!("{}{mail}", person.name)
        })
        .collect();
    let people = people.join(", ");
    let source = sources.first().map(String::as_str).unwrap_or_default();
    let known = [
        ("description", description.as_str()),
        ("title", name),
        ("version", version),
        ("url", home),
        ("created", parcel.created),
        ("source", source),
        ("authors", &people),
    ];
    let known = known.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let mut all: BTreeMap<String, String> =
        known.map(|(key, text)| (format!("org.opencontainers.image.{key}"), text.to_owned())).collect();
    for (key, text) in parcel.metadata.annotations.iter().flatten() {
        if !matches!(key.as_str(), "org.opencontainers.image.version" | "org.opencontainers.image.title") {
            all.insert(key.clone(), text.clone());
        }
    }
    all
}
