//! `bowline template`

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::charts::Origin;
use super::world::World;
use super::{Exit, output};
use crate::chart::{self, Capabilities, Given, KubeVersion, Release, Rendered, Show};
use crate::error::Error;
use crate::template::funcs::Functions;
use crate::template::{State, Templates, Value, on_large_stack};

/// Render a chart and print its manifests, byte for byte as Helm 4 prints them
///
/// Nothing is asked of a cluster: `lookup` finds nothing, and capabilities are what Helm assumes or what is given here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the release, if two arguments are given, and the chart: a folder, a packed chart, its address,
    /// oci://HOST/PATH/CHART, REPOSITORY/CHART, or its name with --repo
    #[arg(value_name = "[NAME] CHART", num_args = 1..=2, required = true)]
    chart: Vec<String>,

    /// Put the release into this namespace
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    namespace: String,

    #[command(flatten)]
    values: Values,

    #[command(flatten)]
    origin: Origin,

    /// Render for this version of Kubernetes
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,

    /// Add API versions to those that charts find in `.Capabilities.APIVersions`
    #[arg(short, long, value_name = "VERSION", value_delimiter = ',')]
    api_versions: Vec<String>,

    /// Render as for an upgrade: `.Release.IsUpgrade` instead of `.Release.IsInstall`
    #[arg(long)]
    is_upgrade: bool,

    /// Print what is in `crds/`, too
    #[arg(long)]
    include_crds: bool,

    /// Leave hooks out
    #[arg(long)]
    no_hooks: bool,

    /// Leave tests out
    #[arg(long)]
    skip_tests: bool,

    /// Print only what comes from this template of the chart; may be a pattern, and be given again
    #[arg(short, long, value_name = "TEMPLATE")]
    show_only: Vec<String>,

    /// Leave `values.schema.json` aside
    #[arg(long)]
    skip_schema_validation: bool,

    /// Write one file for each template below this folder instead of printing
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,

    /// Put the files of `--output-dir` into a folder named as the release
    #[arg(long)]
    release_name: bool,

    /// Make the name of the release up
    #[arg(short, long, conflicts_with = "name_template")]
    generate_name: bool,

    /// Make the name of the release from this template
    #[arg(long, value_name = "TEXT")]
    name_template: Option<String>,

    /// When a document cannot be read, print all that was rendered
    #[arg(long)]
    debug: bool,

    #[command(flatten)]
    world: World,
}

/// Values for a chart
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Values {
    /// Read values from FILE; may be given again, later files win; `-` is the standard input
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',')]
    files: Vec<String>,

    /// Set values: `a.b=1,c[0]=x`
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Set values that stay texts
    #[arg(long, value_name = "NAME=TEXT")]
    set_string: Vec<String>,

    /// Set values to what is in files
    #[arg(long, value_name = "NAME=FILE")]
    set_file: Vec<String>,

    /// Set values from JSON
    #[arg(long, value_name = "NAME=JSON")]
    set_json: Vec<String>,

    /// Set one value to a text as it is
    #[arg(long, value_name = "NAME=TEXT")]
    set_literal: Vec<String>,
}

impl Values {
    /// The values, in Helm's order.
    pub(super) fn merge(&self) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
        let given = Given {
            files: self.files.clone(),
            json: self.set_json.clone(),
            set: self.set.clone(),
            strings: self.set_string.clone(),
            from_files: self.set_file.clone(),
            literals: self.set_literal.clone(),
        };
        given.merge(&mut read_file).map_err(|error| Error::new(error.to_string()))
    }
}

fn read_file(name: &str) -> Result<Vec<u8>, String> {
    if name.trim() == "-" {
        let mut text = Vec::new();
        return std::io::stdin().read_to_end(&mut text).map(|_| text).map_err(|error| error.to_string());
    }
    std::fs::read(name).map_err(|error| chart::io_words("open", Path::new(name), &error))
}

pub(super) fn run(args: &Args) -> Result<Exit, Error> {
    let mut capabilities = Capabilities::default();
    if let Some(version) = &args.kube_version {
        capabilities.kube_version = KubeVersion::parse(version).map_err(|error| Error::new(error.to_string()))?;
    }
    capabilities.api_versions.extend(args.api_versions.iter().cloned());
    let (name, path) = name_and_chart(args)?;
    let values = args.values.merge()?;
    let chart = args.origin.bring(path)?.chart.known().map_err(|error| Error::new(error.to_string()))?;
    let release = Release { name, namespace: args.namespace.clone(), revision: 1, is_upgrade: args.is_upgrade };
    let mut options = args.world.options()?;
    options.skip_schema = args.skip_schema_validation;
    let rendered =
        chart::render(&chart, &values, &release, &capabilities, &options).map_err(|error| failed(&error, args))?;
    for warning in &rendered.warnings {
        output::words(&format!("warning: {warning}"));
    }
    let show = Show {
        crds: args.include_crds,
        no_hooks: args.no_hooks,
        skip_tests: args.skip_tests,
        only: args.show_only.clone(),
    };
    match &args.output_dir {
        None => {
            let text = show.text(&rendered).map_err(|error| Error::new(error.to_string()))?;
            output::bytes(text.as_bytes());
        }
        Some(folder) => write_files(folder, &rendered, &show, &release, args)?,
    }
    Ok(Exit::Done)
}

fn name_and_chart(args: &Args) -> Result<(String, &str), Error> {
    match args.chart.as_slice() {
        [name, chart] => {
            let other = if args.generate_name { Some("--generate-name") } else { None };
            let other = other.or(args.name_template.as_ref().map(|_| "--name-template"));
            match other {
                Some(flag) => Err(Error::new(format!("cannot set {flag} and also specify a name"))),
                None => Ok((name.clone(), chart)),
            }
        }
        [chart] => match &args.name_template {
            Some(template) => Ok((named_by(template, args)?, chart)),
            None if args.generate_name => Ok((generated(chart), chart)),
            None => Ok(("release-name".to_owned(), chart)),
        },
        _ => Err(Error::new("a chart is needed").hint("bowline template [NAME] CHART")),
    }
}

fn generated(chart: &str) -> String {
    let base = Path::new(chart).file_name().and_then(|name| name.to_str()).unwrap_or("chart");
    let base = base.split('.').next().filter(|base| !base.is_empty()).unwrap_or("chart");
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{base}-{}", since.as_secs())
}

fn named_by(template: &str, args: &Args) -> Result<String, Error> {
    let failed = |error: &crate::template::Error| Error::new(error.to_string());
    let mut templates = Templates::new("name-template", Functions::all());
    templates.parse("name-template", template).map_err(|error| failed(&error))?;
    let name = on_large_stack(|| {
        let mut context = args.world.context()?;
        State::new(&templates, &mut context).execute("name-template", Value::Nil).map_err(|error| failed(&error))
    })?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// Helm's message; what it would add; the lines at fault.
fn failed(error: &chart::Error, args: &Args) -> Error {
    let mut message = error.to_string().trim_end().to_owned();
    if let (true, chart::Error::Manifest { files, .. }) = (args.debug, error) {
        for (name, text) in files.iter().filter(|(_, text)| !text.trim().is_empty()) {
            output::bytes(format!("---\n# Source: {name}\n{text}\n").as_bytes());
        }
    } else if error.is_rendering() && !args.debug {
        message.push_str("\n\nUse --debug flag to render out invalid YAML");
    }
    if let Some(excerpt) = error.excerpt() {
        message.push_str(&format!("\n\n{}", excerpt.text.trim_end()));
    }
    Error::new(message)
}

/// One file for each template, its documents in order, and a line on each that was written.
fn write_files(folder: &Path, rendered: &Rendered, show: &Show, release: &Release, args: &Args) -> Result<(), Error> {
    let crds = rendered.crds.iter().filter(|_| args.include_crds);
    let crds = crds.map(|(name, file)| (folder.to_path_buf(), name.as_str(), file.text().into_owned()));
    let inner = if args.release_name { folder.join(&release.name) } else { folder.to_path_buf() };
    let hooks: Vec<_> = show.hooks(rendered).map(|hook| &hook.manifest).collect();
    let manifests = rendered.manifests.iter().chain(hooks);
    let manifests = manifests.map(|manifest| (inner.clone(), manifest.source.as_str(), manifest.text.clone()));
    let mut written = std::collections::BTreeSet::new();
    for (folder, name, text) in crds.chain(manifests) {
        let path = folder.join(name);
        let cannot = |error: std::io::Error| Error::new(format!("cannot write {}", path.display())).because(error);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(cannot)?;
        }
        let again = !written.insert(path.clone());
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.create(true).write(true).append(again).truncate(!again).open(&path).map_err(cannot)?;
        file.write_all(format!("---\n# Source: {name}\n{text}\n").as_bytes()).map_err(cannot)?;
        output::bytes(format!("wrote {}\n", path.display()).as_bytes());
    }
    Ok(())
}
