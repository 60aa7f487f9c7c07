//! Packs a chart into an archive: the same chart gives the same bytes, on every machine, whenever it is packed.
//!
//! The entries are those that `helm package` writes, in its order, with `Chart.yaml` written anew; charts that lie below as
//! archives become folders. Where Helm takes the time of each file, all entries have one fixed time.

use std::io::Write as _;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use flate2::{Compression, GzBuilder};
use serde::de::IgnoredAny;
use serde_json::Value;
use tar::{EntryType, Header};

use super::metadata::sanitize;
use super::{Chart, Metadata, version};
use crate::yaml;

/// What is packed otherwise than it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packing {
    /// Version of the chart instead of its own.
    pub version: Option<String>,
    /// Version of the application instead of the chart's.
    pub app_version: Option<String>,
    /// Seconds since 1970 that all entries get, and `Chart.lock` with them (`SOURCE_DATE_EPOCH`).
    pub time: Option<u64>,
}

/// A packed chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// `NAME-VERSION.tgz`.
    pub file_name: String,
    /// What `Chart.yaml` in the archive says.
    pub metadata: Metadata,
    /// The archive.
    pub bytes: Vec<u8>,
}

/// Why a chart cannot be packed; prints as Helm prints it.
#[derive(Debug, thiserror::Error)]
pub enum Unpackable {
    /// Helm 4 reads charts of `apiVersion: v3` but does not pack them yet.
    #[error("invalid chart apiVersion")]
    ApiVersion,
    /// The version is none.
    #[error("{0}")]
    Version(String),
    /// `Chart.yaml` lists charts that are not in `charts/`.
    #[error("found in Chart.yaml, but missing in charts/ directory: {}", .0.join(", "))]
    MissingDependencies(Vec<String>),
    /// A schema is no JSON.
    #[error("failed to save: invalid JSON in values.schema.json")]
    Schema,
    /// A text of `Chart.lock` that stands for no time.
    #[error("failed to save: Chart.lock: {0:?} is no time such as 2026-01-31T12:00:00Z")]
    Generated(String),
    /// The archive could not be put together.
    #[error("failed to save: {0}")]
    Archive(std::io::Error),
}

/// The earliest time that every format of archives can hold: 1980-01-01.
const FIXED_TIME: u64 = 315_532_800;

/// Packs a chart.
///
/// # Errors
/// It is not complete, or `packing` makes it invalid.
pub fn pack(chart: &Chart, packing: &Packing) -> Result<Packed, Unpackable> {
    let mut metadata = chart.metadata().clone();
    if metadata.api_version == "v3" {
        return Err(Unpackable::ApiVersion);
    }
    if let Some(version) = &packing.version {
        metadata.version.clone_from(version);
    }
    version::check(&metadata.version).map_err(Unpackable::Version)?;
    if let Some(version) = &packing.app_version {
        metadata.app_version.clone_from(version);
        sanitize(&mut metadata.app_version);
    }
    let present = |name: &str| chart.dependencies().iter().any(|below| below.name() == name);
    let missing: Vec<String> =
        metadata.dependencies.iter().map(|wanted| wanted.name.clone()).filter(|name| !present(name)).collect();
    if !missing.is_empty() {
        return Err(Unpackable::MissingDependencies(missing));
    }
    let mut tar = Tar { builder: tar::Builder::new(Vec::new()), time: packing.time.unwrap_or(FIXED_TIME) };
    tar.chart(chart, &metadata, "", packing.time)?;
    let bytes = tar.builder.into_inner().and_then(|tar| zip(&tar)).map_err(Unpackable::Archive)?;
    Ok(Packed { file_name: format!("{}-{}.tgz", metadata.name, metadata.version), metadata, bytes })
}

/// With the marks by which Helm's archives are known.
fn zip(tar: &[u8]) -> std::io::Result<Vec<u8>> {
    const MARK: &[u8] = b"rr\x28\x00aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=";
    const UNKNOWN_SYSTEM: u8 = 255;
    let header = GzBuilder::new().extra(MARK).comment("Helm").operating_system(UNKNOWN_SYSTEM);
    let mut zip = header.write(Vec::new(), Compression::default());
    zip.write_all(tar)?;
    zip.finish()
}

struct Tar {
    builder: tar::Builder<Vec<u8>>,
    time: u64,
}

impl Tar {
    /// One chart and the charts below it; `time` is what its lock is stamped with.
    fn chart(&mut self, chart: &Chart, metadata: &Metadata, parent: &str, time: Option<u64>) -> Result<(), Unpackable> {
        let folder = format!("{parent}{}", metadata.name);
        self.file(&format!("{folder}/Chart.yaml"), definition(metadata).as_bytes())?;
        if let Some(lock) = chart.lock().filter(|_| metadata.api_version == "v2") {
            let mut lock = lock.clone();
            lock.generated = match time {
                Some(time) => stamp(time),
                None => normal_time(&lock.generated)?,
            };
            self.file(&format!("{folder}/Chart.lock"), as_yaml(&lock).as_bytes())?;
        }
        for file in chart.raw().iter().filter(|file| &*file.name == "values.yaml") {
            self.file(&format!("{folder}/values.yaml"), &file.data)?;
        }
        if let Some(schema) = chart.schema() {
            if serde_json::from_slice::<IgnoredAny>(&schema.data).is_err() {
                return Err(Unpackable::Schema);
            }
            self.file(&format!("{folder}/values.schema.json"), &schema.data)?;
        }
        for file in chart.templates().iter().chain(chart.files()) {
            self.file(&format!("{folder}/{}", file.name), &file.data)?;
        }
        for below in chart.dependencies() {
            self.chart(below, below.metadata(), &format!("{folder}/charts/"), time)?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, data: &[u8]) -> Result<(), Unpackable> {
        self.entry(name, data).map_err(Unpackable::Archive)
    }

    /// A name that the plain format cannot hold is written in an entry before, as Go does it.
    fn entry(&mut self, name: &str, data: &[u8]) -> std::io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(data.len() as u64);
        header.set_entry_type(EntryType::Regular);
        if !name.is_ascii() || header.set_path(name).is_err() {
            self.long_name(name)?;
            set_truncated(&mut header, name);
        }
        header.set_device_major(0)?;
        header.set_device_minor(0)?;
        set_checksum(&mut header)?;
        self.builder.append(&header, data)
    }

    fn long_name(&mut self, name: &str) -> std::io::Result<()> {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let record = record("path", name);
        let mut header = Header::new_ustar();
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(record.len() as u64);
        header.set_entry_type(EntryType::XHeader);
        set_truncated(&mut header, &format!("{folder}/PaxHeaders.0/{file}"));
        set_checksum(&mut header)?;
        self.builder.append(&header, record.as_bytes())
    }
}

/// The sum as POSIX and Go write it: six digits, a zero byte, a blank.
fn set_checksum(header: &mut Header) -> std::io::Result<()> {
    header.set_cksum();
    let sum = format!("{:06o}\0 ", header.cksum()?);
    header.as_old_mut().cksum.copy_from_slice(sum.as_bytes());
    Ok(())
}

/// A record of an extended header: its own length, a key, a value.
fn record(key: &str, value: &str) -> String {
    let mut length = key.len() + value.len() + 3;
    length += length.to_string().len();
    let text = format!("{length} {key}={value}\n");
    // One digit more may be needed for the digits themselves.
    if text.len() == length { text } else { format!("{} {key}={value}\n", text.len()) }
}

/// As much of a name as the header holds, without what is not ASCII.
fn set_truncated(header: &mut Header, name: &str) {
    let Some(header) = header.as_ustar_mut() else { return };
    header.name.fill(0);
    header.prefix.fill(0);
    for (place, byte) in header.name.iter_mut().zip(name.bytes().filter(u8::is_ascii)) {
        *place = byte;
    }
}

/// `Chart.yaml`, in which a chart of Helm 2 lists no dependencies.
fn definition(metadata: &Metadata) -> String {
    if metadata.api_version == "v1" {
        return as_yaml(&Metadata { dependencies: Vec::new(), ..metadata.clone() });
    }
    as_yaml(metadata)
}

fn as_yaml(value: &impl serde::Serialize) -> String {
    yaml::write(&serde_json::to_value(value).unwrap_or(Value::Null))
}

fn stamp(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time as Go writes it: no zeros at the end of its fraction; the year 1 where there is none.
fn normal_time(text: &str) -> Result<String, Unpackable> {
    if text.is_empty() {
        return Ok("0001-01-01T00:00:00Z".to_owned());
    }
    let time: DateTime<FixedOffset> = text.parse().map_err(|_| Unpackable::Generated(text.to_owned()))?;
    let written = time.to_rfc3339_opts(SecondsFormat::Nanos, true);
    let Some((seconds, rest)) = written.split_once('.') else { return Ok(written) };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let fraction = rest[..rest.len() - zone.len()].trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{seconds}{dot}{fraction}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (text, expected) in [
            ("", "0001-01-01T00:00:00Z"),
            ("2020-05-18T14:00:00.120000000+02:00", "2020-05-18T14:00:00.12+02:00"),
            ("2020-05-18T14:00:00Z", "2020-05-18T14:00:00Z"),
            ("2020-05-18T14:00:00.123456789Z", "2020-05-18T14:00:00.123456789Z"),
        ] {
            assert_eq!(normal_time(text).unwrap(), expected);
        }
        assert!(normal_time("yesterday").is_err());
        assert_eq!(stamp(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn records_count_themselves() {
        for length in 80..120 {
            let text = record("path", &"x".repeat(length));
            assert_eq!(text.split(' ').next().unwrap().parse(), Ok(text.len()));
        }
    }
}
