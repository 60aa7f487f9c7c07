//! Keeps revisions as Secrets of type `bowline.dev/revision.v1` in bowline's own namespace.
//!
//! The newest revision of a unit carries the label `bowline.dev/current`, so that a restart reads the inventories of all
//! units with a few paged lists. The rendered objects lie under a key of their own, in further Secrets where they are
//! large, and are read only when somebody asks for them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::revision::{Place, Revision};
use crate::cluster::client::Verb;
use crate::cluster::{self, Cluster};
use crate::diff::Digest;
use crate::failpoint::{Point, reach};
use crate::unit::UnitName;

const SECRET_TYPE: &str = "bowline.dev/revision.v1";
const UNIT_LABEL: &str = "bowline.dev/record";
const SOURCE_LABEL: &str = "bowline.dev/source";
const CURRENT_LABEL: &str = "bowline.dev/current";
const PART_LABEL: &str = "bowline.dev/part";
const UNIT_ANNOTATION: &str = "bowline.dev/unit-name";
/// Bytes of objects in one Secret: base64 of it and of the record stay under the 1 MiB limit of a Secret's data.
const PART: usize = 700_000;
/// Bytes that a record may unpack to; one of 50,000 objects has about 30 MB.
const UNPACKED: u64 = 256 << 20;

/// Why a record could not be kept or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The cluster refused or did not answer.
    #[error("{doing}: {source}")]
    Cluster {
        /// What was tried.
        doing: String,
        /// What the cluster said.
        source: cluster::Error,
    },
    /// A Secret does not hold what it should.
    #[error("Secret {secret} does not hold a revision: {why}")]
    Damaged {
        /// Name of the Secret.
        secret: String,
        /// What is wrong.
        why: String,
    },
    /// The unit's work ended in a panic: a defect of bowline.
    #[error("the work on {unit} panicked: this is a defect of bowline; the unit is tried again with back-off")]
    Panicked {
        /// The unit.
        unit: UnitName,
    },
    /// Somebody else wrote the record since it was read: another bowline is at work.
    #[error("the record of {unit} was written by somebody else: another bowline is at work on it")]
    Taken {
        /// The unit.
        unit: UnitName,
    },
}

/// The records of all units, in one namespace of one cluster.
#[derive(Debug, Clone)]
pub struct Store {
    cluster: Cluster,
    namespace: String,
    keep: u64,
}

/// All current revisions, and the Secrets that could not be read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// By unit.
    pub revisions: BTreeMap<UnitName, Revision>,
    /// Records that are damaged: nothing of their units is touched.
    pub damaged: Vec<Error>,
    /// Revisions that are called current and are not: the process ended before it closed them.
    pub outdated: Vec<Revision>,
}

impl Store {
    /// Keeps records in a namespace; `keep` revisions of each unit.
    pub fn new(cluster: Cluster, namespace: &str, keep: u64) -> Self {
        Store { cluster, namespace: namespace.to_owned(), keep: keep.max(1) }
    }

    /// Makes the namespace if it is not there.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn prepare(&self) -> Result<(), Error> {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        match self.cluster.own(Verb::Get, &path, None).await {
            Err(error) if error.is_not_found() => {
                let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
                match self.cluster.own(Verb::Create, "/api/v1/namespaces", Some(&body)).await {
                    Err(error) if error.refusal().is_some_and(|refusal| refusal.reason == "AlreadyExists") => Ok(()),
                    other => {
                        other.map(drop).map_err(|source| failed(format!("making namespace {}", self.namespace), source))
                    }
                }
            }
            other => other.map(drop).map_err(|source| failed(format!("reading namespace {}", self.namespace), source)),
        }
    }

    fn secrets(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    async fn list(&self, selector: &str) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        let mut more = String::new();
        loop {
            let path = format!("{}?{}", self.secrets(), page_query(selector, &more));
            let mut page = self
                .cluster
                .own(Verb::List, &path, None)
                .await
                .map_err(|source| failed("listing revisions".to_owned(), source))?;
            if let Some(Value::Array(page)) = page.get_mut("items").map(Value::take) {
                items.extend(page);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(next) if !next.is_empty() => next.clone_into(&mut more),
                _ => return Ok(items),
            }
        }
    }

    /// Reads the current revision of every unit of a source, or of all sources.
    ///
    /// # Errors
    /// The cluster refuses or does not answer; damaged records are part of the result.
    pub async fn load(&self, source: Option<&str>) -> Result<Loaded, Error> {
        let mut loaded = Loaded::default();
        let selector = match source {
            Some(source) => format!("{CURRENT_LABEL}=true,{SOURCE_LABEL}={source}"),
            None => format!("{CURRENT_LABEL}=true"),
        };
        for secret in self.list(&selector).await? {
            match read(&secret) {
                // After a crash between two writes both the old and the new revision are current: the later counts.
                Ok(revision) => match loaded.revisions.get(&revision.unit) {
                    Some(known) if known.number > revision.number => loaded.outdated.push(revision),
                    _ => loaded.outdated.extend(loaded.revisions.insert(revision.unit.clone(), revision)),
                },
                Err(error) => loaded.damaged.push(error),
            }
        }
        Ok(loaded)
    }

    /// Reads the current revision of one unit; `None` when it has none.
    ///
    /// # Errors
    /// The cluster refuses or does not answer, or the record is damaged.
    pub async fn current(&self, unit: &UnitName) -> Result<Option<Revision>, Error> {
        let secrets = self.list(&format!("{UNIT_LABEL}={},{CURRENT_LABEL}=true", label(unit))).await?;
        let revisions = secrets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(revisions.into_iter().max_by_key(|revision| revision.number))
    }

    /// Reads all kept revisions of a unit, oldest first.
    ///
    /// # Errors
    /// The cluster refuses or does not answer, or a record is damaged.
    pub async fn history(&self, unit: &UnitName) -> Result<Vec<Revision>, Error> {
        let secrets = self.list(&format!("{UNIT_LABEL}={},!{PART_LABEL}", label(unit))).await?;
        let mut revisions = secrets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// Writes a new revision; `objects` are its rendered objects.
    ///
    /// # Errors
    /// The cluster refuses; [`Error::Taken`] when the number is there already.
    pub async fn create(&self, revision: &mut Revision, objects: &Value) -> Result<(), Error> {
        let name = format!("bowline-{}-v{}", label(&revision.unit), revision.number);
        let packed = pack(objects);
        let parts: Vec<&[u8]> = packed.chunks(PART).collect();
        for (index, part) in parts.iter().enumerate().skip(1) {
            let mut secret = self.secret(&format!("{name}-p{index}"), revision);
            secret["metadata"]["labels"][PART_LABEL] = json!(index.to_string());
            secret["data"] = json!({"objects": BASE64.encode(part)});
            self.write_part(&secret, &name, revision).await?;
            reach(Point::RecordPart);
        }
        let mut secret = self.secret(&name, revision);
        secret["metadata"]["labels"][CURRENT_LABEL] = json!("true");
        secret["metadata"]["annotations"]["bowline.dev/parts"] = json!(parts.len().to_string());
        secret["data"] = json!({
            "record": BASE64.encode(pack(&json!(revision))),
            "objects": BASE64.encode(parts.first().copied().unwrap_or_default()),
        });
        let written = self.write_new(&secret, revision).await?;
        revision.place = place(&written);
        Ok(())
    }

    /// Writes a part. One that is there without its revision was left by a process that ended in between.
    async fn write_part(&self, secret: &Value, name: &str, revision: &Revision) -> Result<(), Error> {
        let unit = match self.write_new(secret, revision).await {
            Err(Error::Taken { unit }) => unit,
            other => return other.map(drop),
        };
        if self.read(name).await?.is_some() {
            return Err(Error::Taken { unit });
        }
        let part = secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if self.read(part).await?.is_some_and(|left| left.get("data") == secret.get("data")) {
            return Ok(());
        }
        self.delete(part).await?;
        self.write_new(secret, revision).await.map(drop)
    }

    /// Reads a Secret; `None` when it is not there.
    async fn read(&self, name: &str) -> Result<Option<Value>, Error> {
        match self.cluster.own(Verb::Get, &format!("{}/{name}", self.secrets()), None).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(source) => Err(failed(format!("reading {name}"), source)),
        }
    }

    async fn write_new(&self, secret: &Value, revision: &Revision) -> Result<Value, Error> {
        self.cluster.own(Verb::Create, &self.secrets(), Some(secret)).await.map_err(|source| match source.refusal() {
            Some(refusal) if refusal.reason == "AlreadyExists" => Error::Taken { unit: revision.unit.clone() },
            _ => failed(format!("recording revision {} of {}", revision.number, revision.unit), source),
        })
    }

    /// Writes the record of a revision again; its rendered objects stay as they are.
    ///
    /// # Errors
    /// [`Error::Taken`] when somebody else wrote it; else the cluster refuses.
    pub async fn update(&self, revision: &mut Revision) -> Result<(), Error> {
        let record = BASE64.encode(pack(&json!(revision)));
        let patch = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": revision.place.resource_version},
            {"op": "replace", "path": "/data/record", "value": record},
        ]);
        let path = format!("{}/{}", self.secrets(), revision.place.secret);
        let written =
            self.cluster.own(Verb::Patch, &path, Some(&patch)).await.map_err(|source| match source.refusal() {
                Some(refusal) if refusal.code == 409 => Error::Taken { unit: revision.unit.clone() },
                _ => failed(format!("recording revision {} of {}", revision.number, revision.unit), source),
            })?;
        revision.place = place(&written);
        Ok(())
    }

    /// Ends the time of an older revision: the oldest beyond the kept number goes, and this one is no longer current.
    ///
    /// The label goes last. After an end of the process in between, two revisions are current, and
    /// [`Loaded::outdated`] says what is to be closed again.
    ///
    /// # Errors
    /// The cluster refuses. Nothing is lost then: a later revision counts, whatever the label says.
    pub async fn supersede(&self, old: &Revision) -> Result<(), Error> {
        if let Some(number) = (old.number + 1).checked_sub(self.keep).filter(|number| *number > 0) {
            self.remove(&format!("bowline-{}-v{number}", label(&old.unit))).await?;
        }
        reach(Point::RecordSuperseding);
        let patch = json!([{"op": "remove", "path": format!("/metadata/labels/{}", CURRENT_LABEL.replace('/', "~1"))}]);
        let path = format!("{}/{}", self.secrets(), old.place.secret);
        match self.cluster.own(Verb::Patch, &path, Some(&patch)).await {
            // The label or the Secret is gone already.
            Err(error) if error.is_not_found() || error.refusal().is_some_and(|refusal| refusal.code == 422) => {}
            other => drop(
                other.map_err(|source| failed(format!("closing revision {} of {}", old.number, old.unit), source))?,
            ),
        }
        reach(Point::RecordSuperseded);
        Ok(())
    }

    /// Closes what [`Loaded::outdated`] named. What cannot be closed now is named again by the next load.
    pub async fn close(&self, outdated: &[Revision]) {
        for old in outdated {
            if let Err(error) = self.supersede(old).await {
                tracing::warn!(unit = %old.unit, revision = old.number, %error, "an old revision could not be closed");
            }
        }
    }

    /// Removes a revision: its parts first, since the revision says how many there are.
    async fn remove(&self, name: &str) -> Result<(), Error> {
        let Some(secret) = self.read(name).await? else { return Ok(()) };
        for index in 1..parts(&secret) {
            self.delete(&format!("{name}-p{index}")).await?;
            reach(Point::RecordTrimmed);
        }
        self.delete(name).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.cluster.own(Verb::Delete, &format!("{}/{name}", self.secrets()), None).await {
            Err(source) if !source.is_not_found() => Err(failed(format!("removing {name}"), source)),
            _ => Ok(()),
        }
    }

    /// Removes all revisions of a unit that has been gone for long (see [`Revision::is_expired`]); the current one last, so
    /// that the next start finds it again when this one ends half way.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub async fn forget(&self, unit: &UnitName) -> Result<(), Error> {
        let mut secrets = self.list(&format!("{UNIT_LABEL}={}", label(unit))).await?;
        secrets
            .sort_by_key(|secret| secret.pointer("/metadata/labels").is_some_and(|of| of.get(CURRENT_LABEL).is_some()));
        for secret in secrets {
            self.delete(secret.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()).await?;
            reach(Point::RecordForgotten);
        }
        Ok(())
    }

    /// Reads the rendered objects of a revision.
    ///
    /// # Errors
    /// The cluster refuses, or a Secret is damaged.
    pub async fn objects(&self, revision: &Revision) -> Result<Vec<Value>, Error> {
        let mut packed = Vec::new();
        let mut count = 1;
        let mut index = 0;
        while index < count {
            let suffix = if index == 0 { String::new() } else { format!("-p{index}") };
            let name = format!("{}{suffix}", revision.place.secret);
            let secret = self
                .cluster
                .own(Verb::Get, &format!("{}/{name}", self.secrets()), None)
                .await
                .map_err(|source| failed(format!("reading {name}"), source))?;
            if index == 0 {
                count = parts(&secret);
            }
            packed.extend(data(&secret, "objects")?);
            index += 1;
        }
        let damaged = |why: String| Error::Damaged { secret: revision.place.secret.clone(), why };
        serde_json::from_slice(&unpack(&packed).map_err(damaged)?).map_err(|error| damaged(error.to_string()))
    }

    fn secret(&self, name: &str, revision: &Revision) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE,
            "metadata": {
                "name": name, "namespace": self.namespace,
                "labels": {
                    UNIT_LABEL: label(&revision.unit), SOURCE_LABEL: revision.unit.source,
                    "app.kubernetes.io/managed-by": "bowline",
                },
                "annotations": {UNIT_ANNOTATION: revision.unit.to_string()},
            },
        })
    }
}

/// How many Secrets a revision lies in.
fn parts(secret: &Value) -> usize {
    let annotation = secret.pointer("/metadata/annotations/bowline.dev~1parts").and_then(Value::as_str);
    annotation.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The query of one page of a list.
fn page_query(selector: &str, more: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("labelSelector", selector).append_pair("limit", "250");
    if !more.is_empty() {
        query.append_pair("continue", more);
    }
    query.finish()
}

fn failed(doing: String, source: cluster::Error) -> Error {
    Error::Cluster { doing, source }
}

fn label(unit: &UnitName) -> String {
    Digest::of(unit.to_string().as_bytes()).to_string()
}

fn place(secret: &Value) -> Place {
    let text = |pointer: &str| secret.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Place { secret: text("/metadata/name"), resource_version: text("/metadata/resourceVersion") }
}

fn data(secret: &Value, key: &str) -> Result<Vec<u8>, Error> {
    let name = place(secret).secret;
    let text = secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::Damaged { secret: name.clone(), why: format!("no key {key}") })?;
    BASE64.decode(text).map_err(|error| Error::Damaged { secret: name, why: error.to_string() })
}

fn read(secret: &Value) -> Result<Revision, Error> {
    let name = place(secret).secret;
    let damaged = |why: String| Error::Damaged { secret: name.clone(), why };
    let bytes = unpack(&data(secret, "record")?).map_err(damaged)?;
    let mut revision: Revision = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if revision.format != 1 {
        return Err(damaged(format!("format {} is of a later version of bowline", revision.format)));
    }
    revision.place = place(secret);
    Ok(revision)
}

fn pack(value: &Value) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(value.to_string().as_bytes()).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut limited = GzDecoder::new(packed).take(UNPACKED);
    limited.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 == UNPACKED { Err("too large".to_owned()) } else { Ok(bytes) }
}
