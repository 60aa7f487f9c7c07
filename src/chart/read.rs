//! Reads charts: from a folder, from an archive, from files that are already in memory.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::archive::{self, Budget, Limits};
use super::ignore::{Entry, Rules};
use super::metadata::{Draft, Lock};
use super::values;
use super::{Chart, File, Unreadable, paths};
use crate::yaml;

/// Reads a chart from a folder, leaving out what its `.helmignore` names. Links are followed, as Helm follows them.
///
/// # Errors
/// The folder or a file cannot be read, or is no valid chart.
pub fn read_dir(folder: &Path) -> Result<Chart, Unreadable> {
    read_any_dir(folder)?.known()
}

/// Reads a chart from a folder whatever its `apiVersion` says, as Helm does where a chart is only looked at.
///
/// # Errors
/// As [`read_dir`], except that every `apiVersion` will do.
pub fn read_any_dir(folder: &Path) -> Result<Chart, Unreadable> {
    let chart_file = folder.join("Chart.yaml");
    if let Err(error) = std::fs::metadata(&chart_file) {
        let text = values::io_words("open", &chart_file, &error);
        return Err(Unreadable::NotAChart { folder: chart_file, reason: text });
    }
    let rules = match std::fs::read(folder.join(".helmignore")) {
        Ok(text) => {
            Rules::parse(&String::from_utf8_lossy(&text)).map_err(|error| Unreadable::Ignore(error.to_string()))?
        }
        Err(_) => Rules::parse("").unwrap_or_default(),
    };
    let mut budget = Budget::new(Limits::default());
    let mut walk = Walk { rules, budget: &mut budget, files: Vec::new() };
    walk.folder(folder, "", 0)?;
    let files = walk.files;
    assemble(files, &mut budget, 0)
}

/// Reads a chart from a packed archive (`.tgz`), as a stream: nothing is written anywhere.
///
/// # Errors
/// It is no gzip, no tar, beyond the limits, holds anything but plain files in one folder, or is no valid chart.
pub fn read_archive(source: impl Read) -> Result<Chart, Unreadable> {
    read_archive_within(source, Limits::default())
}

/// Reads a chart from a packed archive within limits of one's own.
///
/// # Errors
/// As [`read_archive`].
pub fn read_archive_within(source: impl Read, limits: Limits) -> Result<Chart, Unreadable> {
    read_any_archive_within(source, limits)?.known()
}

/// Reads a chart from a packed archive whatever its `apiVersion` says.
///
/// # Errors
/// As [`read_archive`], except that every `apiVersion` will do.
pub fn read_any_archive(source: impl Read) -> Result<Chart, Unreadable> {
    read_any_archive_within(source, Limits::default())
}

/// Reads a chart from a packed archive within limits of one's own, whatever its `apiVersion` says.
///
/// # Errors
/// As [`read_any_archive`].
pub fn read_any_archive_within(source: impl Read, limits: Limits) -> Result<Chart, Unreadable> {
    let mut budget = Budget::new(limits);
    let files = archive::files(source, &mut budget)?;
    assemble(files, &mut budget, 0)
}

/// Reads a chart from files in memory, named from the chart's folder (`templates/web.yaml`). A `.helmignore` among them
/// counts as it does in a folder.
///
/// # Errors
/// They are no valid chart.
pub fn read_files<N: Into<String>, D: Into<Vec<u8>>>(
    files: impl IntoIterator<Item = (N, D)>,
) -> Result<Chart, Unreadable> {
    let files = files.into_iter().map(|(name, data)| File::new(name.into(), data.into()));
    read_any_files(files.collect())?.known()
}

/// Reads a chart of whatever `apiVersion` from files in memory.
pub(super) fn read_any_files(mut files: Vec<File>) -> Result<Chart, Unreadable> {
    if !files.iter().any(|file| &*file.name == "Chart.yaml") {
        return Err(Unreadable::NoChartFile);
    }
    let rules = files.iter().find(|file| &*file.name == ".helmignore");
    let rules = Rules::parse(&rules.map_or_else(Default::default, |file| file.text()))
        .map_err(|error| Unreadable::Ignore(error.to_string()))?;
    files.retain(|file| !left_out(&rules, &file.name));
    // As a folder is walked: name by name, what is in a folder before the next name.
    files.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let mut budget = Budget::new(Limits::default());
    for file in &mut files {
        budget.entry()?;
        let size = file.data.len() as u64;
        let data = budget.read(&file.name, size, &file.data[..])?;
        *file = File::new(file.name.to_string(), data);
    }
    assemble(files, &mut budget, 0)
}

fn left_out(rules: &Rules, name: &str) -> bool {
    let folders = name.match_indices('/').map(|(at, _)| &name[..at]);
    folders.into_iter().any(|folder| rules.leave_out(folder, Entry::Folder)) || rules.leave_out(name, Entry::File)
}

impl Chart {
    /// The chart, if it is of a kind that Helm knows; charts below it are not looked at.
    ///
    /// # Errors
    /// Its `apiVersion` is none of v1, v2, v3.
    pub fn known(self) -> Result<Chart, Unreadable> {
        match self.metadata().api_version.as_str() {
            "v1" | "v2" | "v3" => Ok(self),
            _ => Err(Unreadable::Version),
        }
    }
}

struct Walk<'b> {
    rules: Rules,
    budget: &'b mut Budget,
    files: Vec<File>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Unreadable> {
        // A link to a folder above leads round and round; no chart is this deep.
        if depth > 40 {
            return Err(Unreadable::TooDeep(prefix.to_owned()));
        }
        let listing = std::fs::read_dir(folder).map_err(|error| Unreadable::io(prefix, &error))?;
        let mut names = Vec::new();
        for entry in listing {
            let name = entry.map_err(|error| Unreadable::io(prefix, &error))?.file_name();
            names.push(name.into_string().map_err(|_| Unreadable::IllegalName)?);
        }
        names.sort_unstable();
        for name in names {
            let path = folder.join(&name);
            let inside = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let kind = std::fs::metadata(&path).map_err(|error| Unreadable::io(&inside, &error))?;
            let entry = if kind.is_dir() { Entry::Folder } else { Entry::File };
            if self.rules.leave_out(&inside, entry) {
                continue;
            }
            self.budget.entry()?;
            if kind.is_dir() {
                self.folder(&path, &inside, depth + 1)?;
                continue;
            }
            if !kind.is_file() {
                return Err(Unreadable::Irregular(path));
            }
            let source = std::fs::File::open(&path).map_err(|error| Unreadable::io(&inside, &error))?;
            let data = self.budget.read(&inside, kind.len(), source)?;
            self.files.push(File::new(inside, data));
        }
        Ok(())
    }
}

/// Sorts files into the parts of a chart, and reads the charts below `charts/` in the same way.
fn assemble(files: Vec<File>, budget: &mut Budget, depth: usize) -> Result<Chart, Unreadable> {
    if depth > budget.nesting() {
        return Err(Unreadable::TooDeep("charts".to_owned()));
    }
    let mut draft: Option<Draft> = None;
    for file in files.iter().filter(|file| &*file.name == "Chart.yaml") {
        decode_into(draft.get_or_insert_default(), file)?;
    }
    let mut chart = super::Parts::default();
    let mut below: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for file in &files {
        match &*file.name {
            "Chart.yaml" => {}
            "values.yaml" => chart.values = values::read(&file.data).map_err(|error| Unreadable::file(file, error))?,
            "values.schema.json" => chart.schema = Some(file.clone()),
            "Chart.lock" => chart.lock = read_lock(file)?,
            "requirements.lock" => {
                chart.lock = read_lock(file)?;
                keep_in_v1(&mut chart, draft.get_or_insert_default(), file);
            }
            "requirements.yaml" => {
                decode_into(draft.get_or_insert_default(), file)?;
                keep_in_v1(&mut chart, draft.get_or_insert_default(), file);
            }
            name if name.starts_with("templates/") => chart.templates.push(file.clone()),
            name => match name.strip_prefix("charts/") {
                Some(inside) if paths::extension(name) != ".prov" => {
                    let folder = inside.split('/').next().unwrap_or(inside);
                    let renamed = File { name: inside.into(), data: file.data.clone() };
                    below.entry(folder.to_owned()).or_default().push(renamed);
                }
                _ => chart.files.push(file.clone()),
            },
        }
    }
    let draft = draft.ok_or(Unreadable::NoChartFile)?;
    chart.metadata = draft.check().map_err(Unreadable::Invalid)?;
    chart.raw = files;
    for (name, files) in below {
        if name.starts_with(['_', '.']) {
            continue;
        }
        let dependency = subchart(&name, files, &chart.metadata.name, budget, depth + 1).map_err(|error| {
            Unreadable::Below { name: name.clone(), parent: chart.metadata.name.clone(), error: Box::new(error) }
        })?;
        chart.dependencies.push(dependency);
    }
    Ok(chart.into())
}

fn subchart(
    name: &str,
    files: Vec<File>,
    parent: &str,
    budget: &mut Budget,
    depth: usize,
) -> Result<Chart, Unreadable> {
    if paths::extension(name) == ".tgz" {
        let Some(file) = files.first().filter(|file| &*file.name == name) else {
            let got = files.first().map_or_else(String::new, |file| file.name.to_string());
            return Err(Unreadable::NotAnArchive { name: name.to_owned(), parent: parent.to_owned(), got });
        };
        let files = archive::files(&file.data[..], budget)?;
        return assemble(files, budget, depth);
    }
    let files = files.into_iter().filter_map(|file| {
        let (_, inside) = file.name.split_once('/')?;
        Some(File { name: inside.into(), data: file.data.clone() })
    });
    assemble(files.collect(), budget, depth)
}

fn decode_into(draft: &mut Draft, file: &File) -> Result<(), Unreadable> {
    let value =
        yaml::read(&file.data, &yaml::Options::helm()).map_err(|error| Unreadable::file(file, error.in_go()))?;
    draft.decode(&value).map_err(|error| Unreadable::file(file, error))
}

fn read_lock(file: &File) -> Result<Option<Lock>, Unreadable> {
    let value =
        yaml::read(&file.data, &yaml::Options::helm()).map_err(|error| Unreadable::file(file, error.in_go()))?;
    Lock::decode(&value).map_err(|error| Unreadable::file(file, error))
}

fn keep_in_v1(chart: &mut super::Parts, draft: &Draft, file: &File) {
    if draft.api_version() == "v1" {
        chart.files.push(file.clone());
    }
}
