//! `bowline search`

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::charts::Reach;
use super::columns::columns;
use super::output::Form;
use super::{Exit, output};
use crate::chart::go_json;
use crate::chart::index::{self, Keep, List};
use crate::chart::search::{Found, Query, search};
use crate::error::Error;
use crate::fetch::{Access, Entry, Fetcher, web_address};

/// Look for charts by words in their names, descriptions and keywords
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Repo(Box<Repo>),
    Index(Box<File>),
}

/// Look in the repositories of the repositories file, or in one
#[derive(Debug, clap::Args)]
struct Repo {
    #[command(flatten)]
    look: Look,

    /// Look in the repository at this address only
    #[arg(long, value_name = "URL")]
    repo: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

/// Look in the list of a repository that lies here
#[derive(Debug, clap::Args)]
struct File {
    /// The list (`index.yaml`)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    look: Look,
}

/// What is looked for, and how it is shown
#[derive(Debug, clap::Args)]
struct Look {
    /// Words as they stand; without any all charts are shown
    #[arg(value_name = "WORDS")]
    words: Vec<String>,

    /// The words are a regular expression
    #[arg(short, long)]
    regexp: bool,

    /// Show every version, not only the newest
    #[arg(short = 'l', long)]
    versions: bool,

    /// Show pre-releases, too
    #[arg(long)]
    devel: bool,

    /// Show versions in this range
    #[arg(long, value_name = "RANGE", default_value = "")]
    version: String,

    /// Widest column of the table
    #[arg(long, value_name = "COLUMNS", default_value_t = 50)]
    max_col_width: usize,

    /// End with code 1 when nothing is found
    #[arg(long)]
    fail_on_no_result: bool,

    /// Form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// One line of the result, with Helm's names.
#[derive(Debug, Serialize)]
struct Line<'a> {
    name: &'a str,
    version: &'a str,
    app_version: &'a str,
    description: &'a str,
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    match &args.verb {
        Verb::Repo(repo) => in_repositories(repo),
        Verb::Index(file) => in_file(file),
    }
}

fn in_repositories(args: &Repo) -> Result<Exit, Error> {
    let known = args.reach.repositories()?;
    let entries: Vec<(String, String, Option<&Entry>)> = match &args.repo {
        Some(url) => {
            let entry = known.at(url);
            vec![(entry.map_or_else(|| url.clone(), |entry| entry.name.clone()), url.clone(), entry)]
        }
        None => known.iter().map(|entry| (entry.name.clone(), entry.url.clone(), Some(entry))).collect(),
    };
    if entries.is_empty() {
        return Err(Error::new("no repositories configured").hint("give the address of one by --repo"));
    }
    let fetcher = args.reach.fetcher();
    let mut lists = Vec::new();
    for (name, url, entry) in &entries {
        let list = list(&fetcher, url, &args.reach.access(*entry)?);
        match list {
            Ok(list) => lists.push((name.as_str(), list)),
            // One repository that is away does not hide the others.
            Err(error) if entries.len() > 1 => output::words(&format!("warning: repository {name}: {error}")),
            Err(error) => return Err(error),
        }
    }
    let lists: Vec<_> = lists.iter().map(|(name, list)| (*name, &list.index)).collect();
    show(&lists, &args.look)
}

/// All charts of a repository, without those that cannot be used.
fn list(fetcher: &Fetcher, url: &str, access: &Access) -> Result<Arc<List>, Error> {
    if url.starts_with("oci://") {
        return Err(Error::new(format!("{url}: a registry has no list of charts")));
    }
    let list = fetcher.list(&web_address(url)?, Keep::All, access)?;
    for warning in &list.warnings {
        output::words(&format!("warning: {url}: {warning}"));
    }
    Ok(list)
}

fn in_file(args: &File) -> Result<Exit, Error> {
    let path = &args.file;
    let text = std::fs::read(path)
        .map_err(|error| Error::new(format!("{}: cannot be read", path.display())).because(error))?;
    let list = index::read(&text, Keep::All, index::MAX_BYTES)
        .map_err(|error| Error::new(format!("{}: is no list of charts: {error}", path.display())))?;
    let name = path.parent().and_then(|folder| folder.file_name()).map(|name| name.to_string_lossy().into_owned());
    show(&[(&name.unwrap_or_else(|| ".".to_owned()), &list.index)], &args.look)
}

fn show(lists: &[(&str, &index::Index)], look: &Look) -> Result<Exit, Error> {
    let words = look.words.join(" ");
    let range = if look.version.is_empty() && look.devel { ">0.0.0-0" } else { &look.version };
    let query = Query { words: &words, regexp: look.regexp, range, all: look.versions };
    let found = search(lists, &query).map_err(Error::new)?;
    if found.is_empty() && look.fail_on_no_result {
        return Err(Error::new("no results found"));
    }
    let lines: Vec<Line<'_>> = found.iter().map(Line::of).collect();
    match look.output {
        Form::Table if lines.is_empty() => output::data("No results found\n"),
        Form::Table => {
            let heading = ["NAME", "CHART VERSION", "APP VERSION", "DESCRIPTION"].map(str::to_owned).to_vec();
            let rows = lines
                .iter()
                .map(|line| [line.name, line.version, line.app_version, line.description].map(str::to_owned).to_vec());
            let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
            output::data(&format!("{}\n", columns(&rows, look.max_col_width)));
        }
        Form::Json => output::data(&format!("{}\n", go_json::line(&lines))),
        Form::Yaml => output::data(&crate::yaml::write(&serde_json::to_value(&lines).unwrap_or_default())),
    }
    Ok(Exit::Done)
}

impl<'a> Line<'a> {
    fn of(found: &'a Found<'_>) -> Self {
        let metadata = &found.entry.metadata;
        Line {
            name: &found.name,
            version: &metadata.version,
            app_version: &metadata.app_version,
            description: &metadata.description,
        }
    }
}
