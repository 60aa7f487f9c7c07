//! Reads a packed chart as a stream, into memory only, and refuses what could harm whoever unpacks it.
//!
//! Links, devices, absolute names and names with `..` are errors, not skipped. What is unpacked counts against a budget
//! that charts inside the chart share, so that nesting does not multiply it.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::paths;
use super::{File, Unreadable};

/// How much a chart may hold once it is unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all files together, those of packed dependencies counted again once unpacked.
    pub total: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Number of files and folders.
    pub entries: usize,
    /// Charts inside charts inside charts.
    pub nesting: usize,
}

impl Default for Limits {
    /// Helm's 100 MiB in all, and where Helm has no limit, more than any known chart needs.
    fn default() -> Self {
        Limits { total: 100 << 20, file: 20 << 20, entries: 20_000, nesting: 20 }
    }
}

/// What is left of the limits while a chart and the charts inside it are read.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limits: Limits,
    bytes: u64,
    entries: usize,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Budget { limits, bytes: limits.total, entries: limits.entries }
    }

    pub(crate) fn nesting(&self) -> usize {
        self.limits.nesting
    }

    /// Counts one file or folder.
    pub(crate) fn entry(&mut self) -> Result<(), Unreadable> {
        self.entries = self.entries.checked_sub(1).ok_or(Unreadable::TooManyFiles(self.limits.entries))?;
        Ok(())
    }

    /// Reads a file of an announced size, but never more than the budget has left, whatever was announced.
    pub(crate) fn read(&mut self, name: &str, size: u64, source: impl Read) -> Result<Vec<u8>, Unreadable> {
        let too_big = |budget: &Budget| {
            if budget.bytes < budget.limits.file {
                Unreadable::TooBig(budget.limits.total)
            } else {
                Unreadable::FileTooBig { name: name.to_owned(), limit: budget.limits.file }
            }
        };
        let allowed = self.bytes.min(self.limits.file);
        if size > allowed {
            return Err(too_big(self));
        }
        let mut data = Vec::new();
        source.take(allowed + 1).read_to_end(&mut data).map_err(|error| Unreadable::io(name, &error))?;
        let length = data.len() as u64;
        if length > allowed {
            return Err(too_big(self));
        }
        self.bytes -= length;
        if data.starts_with(b"\xef\xbb\xbf") {
            data.drain(..3);
        }
        Ok(data)
    }
}

/// The files of a packed chart, in the archive's order, without the name of the folder they are packed in.
pub(crate) fn files(source: impl Read, budget: &mut Budget) -> Result<Vec<File>, Unreadable> {
    let Limits { total, entries, .. } = budget.limits;
    let left = total + entries as u64 * 2048;
    let mut archive = tar::Archive::new(Capped { source: MultiGzDecoder::new(source), left, total });
    let mut files = Vec::new();
    let entries = archive.entries().map_err(|error| Unreadable::archive(&error))?;
    for entry in entries {
        let mut entry = entry.map_err(|error| Unreadable::archive(&error))?;
        budget.entry()?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| Unreadable::IllegalName)?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => continue,
            EntryType::Regular if name.ends_with('/') => continue,
            EntryType::Regular | EntryType::Continuous => {}
            _ => return Err(Unreadable::NotAFile(name)),
        }
        let size = entry.size();
        let name = inside(&name)?;
        let data = budget.read(&name, size, &mut entry)?;
        files.push(File::new(name, data));
    }
    if files.is_empty() {
        return Err(Unreadable::NoFiles);
    }
    Ok(files)
}

/// Ends an unpacked stream that is longer than its files may be, headers included: the tar reader keeps long names and
/// extension headers in memory before we see them.
struct Capped<R> {
    source: R,
    left: u64,
    total: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.source.read(buffer)? as u64;
        self.left = self
            .left
            .checked_sub(length)
            .ok_or_else(|| std::io::Error::other(Unreadable::TooBig(self.total).to_string()))?;
        Ok(buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX)))
    }
}

/// The name below the folder that the chart is packed in, cleaned; an error if it leads anywhere else.
fn inside(name: &str) -> Result<String, Unreadable> {
    // Archives made on Windows may use backslashes.
    let separator = if name.contains('\\') { '\\' } else { '/' };
    let (first, rest) = name.split_once(separator).unwrap_or((name, ""));
    let rest = rest.replace(separator, "/");
    if rest.starts_with('/') {
        return Err(Unreadable::Absolute);
    }
    let cleaned = paths::clean(&rest);
    if cleaned == "." {
        return Err(Unreadable::OutsideFolder(name.to_owned()));
    }
    if cleaned.starts_with("..") || first == ".." {
        return Err(Unreadable::Parent);
    }
    let drive = matches!(cleaned.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    if drive || cleaned.contains('\0') {
        return Err(Unreadable::IllegalName);
    }
    if first == "Chart.yaml" {
        return Err(Unreadable::ChartFileOutside);
    }
    Ok(cleaned)
}
