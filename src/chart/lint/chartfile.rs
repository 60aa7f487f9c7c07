//! The rules for `Chart.yaml`.

use serde_json::Value;

use super::addresses::{is_mail, is_request_url, is_url};
use super::subject::{Entry, Subject};
use super::{Finding, Place, Report, Severity};
use crate::chart::metadata::{Draft, unknown_field};
use crate::chart::paths;
use crate::template::format::quote;
use crate::template::semver::{Constraint, Version};
use crate::yaml::{self, Step};

const FILE: &str = "Chart.yaml";

/// Applies them in Helm's order.
pub(super) fn examine(subject: &Subject, report: &mut Report) {
    let is_folder = match subject.chart_file {
        Entry::Folder => Err(Finding::new("should be a file, not a directory")),
        _ => Ok(()),
    };
    report.check(Severity::Error, FILE, is_folder);
    let text: &[u8] = match &subject.chart_file {
        Entry::File(text) => text,
        Entry::Folder | Entry::Missing => {
            let words = format!("unable to parse YAML\n\tread {}/{FILE}: is a directory", subject.name);
            report.check(Severity::Error, FILE, Err(Finding::new(words)));
            return;
        }
    };
    let (value, draft) = match read(text) {
        Ok(read) => read,
        Err(finding) => {
            report.check(Severity::Error, FILE, Err(finding));
            return;
        }
    };
    let file = ChartFile { text, value, draft };
    report.check(Severity::Warning, FILE, file.strict());
    let outcomes = [
        (Severity::Error, file.name()),
        (Severity::Error, file.api_version()),
        (Severity::Error, file.is_text("version")),
        (Severity::Error, file.version()),
        (Severity::Error, file.is_text("appVersion")),
        (Severity::Error, file.maintainers()),
        (Severity::Error, file.sources()),
        (Severity::Info, file.has_icon()),
        (Severity::Error, file.icon()),
        (Severity::Error, file.kind()),
        (Severity::Error, file.dependencies()),
        (Severity::Warning, file.strict_version()),
    ];
    for (severity, outcome) in outcomes {
        report.check(severity, FILE, outcome);
    }
}

fn read(text: &[u8]) -> Result<(Value, Draft), Finding> {
    let failed = |reason: String| Finding::new(format!("unable to parse YAML\n\t{reason}"));
    let value = yaml::read(text, &yaml::Options::helm())
        .map_err(|error| failed(error.in_go()).at(Some(place(error.position))))?;
    let mut draft = Draft::default();
    draft.decode(&value).map_err(|error| failed(error.to_string()))?;
    Ok((value, draft))
}

fn place(position: yaml::Position) -> Place {
    Place { file: FILE.to_owned(), line: position.line, column: position.column, rendered: false }
}

struct ChartFile<'t> {
    text: &'t [u8],
    value: Value,
    draft: Draft,
}

impl ChartFile<'_> {
    fn at(&self, path: &[Step]) -> Option<Place> {
        yaml::locate(self.text, 0, path).map(place)
    }

    fn wrong(&self, key: &str, words: impl Into<String>) -> Result<(), Finding> {
        let is_written = self.value.get(key).is_some();
        let place = self.at(&[Step::Key(key.to_owned())]).filter(|_| is_written);
        Err(Finding::new(words).at(place))
    }

    fn wrong_item(&self, key: &str, index: usize, words: impl Into<String>) -> Result<(), Finding> {
        Err(Finding::new(words).at(self.at(&[Step::Key(key.to_owned()), Step::Index(index)])))
    }

    /// No key twice, no key that means nothing.
    fn strict(&self) -> Result<(), Finding> {
        let failed = |reason: String| Finding::new(format!("failed to strictly parse chart metadata file\n\t{reason}"));
        let twice = yaml::repeated_keys(self.text);
        if !twice.is_empty() {
            let mut reason = "error converting YAML to JSON: yaml: unmarshal errors:".to_owned();
            for (position, key) in &twice {
                reason.push_str(&format!(
                    "\n  line {}: key {} already set in map",
                    position.line,
                    quote(key.as_bytes())
                ));
            }
            return Err(failed(reason).at(twice.first().map(|(position, _)| place(*position))));
        }
        match unknown_field(&self.value) {
            None => Ok(()),
            Some((key, path)) => {
                let key = quote(key.as_bytes());
                let reason = format!("error unmarshaling JSON: while decoding JSON: json: unknown field {key}");
                Err(failed(reason).at(self.at(&path)))
            }
        }
    }

    fn name(&self) -> Result<(), Finding> {
        let name = &self.draft.metadata.name;
        if name.is_empty() {
            return self.wrong("name", "name is required");
        }
        if paths::base(name) != name {
            return self.wrong("name", format!("chart name {} is invalid", quote(name.as_bytes())));
        }
        Ok(())
    }

    fn api_version(&self) -> Result<(), Finding> {
        match self.draft.metadata.api_version.as_str() {
            "v1" | "v2" => Ok(()),
            "" => self.wrong("apiVersion", "apiVersion is required. The value must be either \"v1\" or \"v2\""),
            other => {
                let words = format!("apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\"");
                self.wrong("apiVersion", words)
            }
        }
    }

    /// A version written without quotes may be a number, and `1.10` is then `1.1`.
    fn is_text(&self, key: &str) -> Result<(), Finding> {
        let found = match self.value.get(key) {
            None | Some(Value::String(_)) => return Ok(()),
            Some(Value::Null) => "<nil>",
            Some(Value::Bool(_)) => "bool",
            Some(Value::Number(_)) => "float64",
            Some(Value::Array(_)) => "[]interface {}",
            Some(Value::Object(_)) => "map[string]interface {}",
        };
        self.wrong(key, format!("{key} should be of type string but it's of type {found}"))
    }

    fn version(&self) -> Result<(), Finding> {
        let text = &self.draft.metadata.version;
        if text.is_empty() {
            return self.wrong("version", "version is required");
        }
        let Ok(version) = Version::parse(text) else {
            return self.wrong("version", format!("version '{text}' is not a valid SemVer"));
        };
        let above_zero = Constraint::parse(">0.0.0-0").and_then(|range| {
            range.validate(&version).map_err(|reasons| reasons.into_iter().next().unwrap_or_default())
        });
        match above_zero {
            Ok(()) => Ok(()),
            Err(reason) => self.wrong("version", format!("version {reason}")),
        }
    }

    fn strict_version(&self) -> Result<(), Finding> {
        let text = &self.draft.metadata.version;
        match Version::parse_strict(text) {
            Ok(_) => Ok(()),
            Err(_) => self.wrong("version", format!("version '{text}' is not a valid SemVerV2")),
        }
    }

    fn maintainers(&self) -> Result<(), Finding> {
        for (index, person) in self.draft.maintainers.iter().enumerate() {
            let wrong = |words: String| self.wrong_item("maintainers", index, words);
            let Some(person) = person else { return wrong("a maintainer entry is empty".to_owned()) };
            let name = &person.name;
            if name.is_empty() {
                return wrong("each maintainer requires a name".to_owned());
            }
            if !person.email.is_empty() && !is_mail(&person.email) {
                return wrong(format!("invalid email '{}' for maintainer '{name}'", person.email));
            }
            if !person.url.is_empty() && !is_url(&person.url) {
                return wrong(format!("invalid url '{}' for maintainer '{name}'", person.url));
            }
        }
        Ok(())
    }

    fn sources(&self) -> Result<(), Finding> {
        match self.draft.metadata.sources.iter().position(|source| !is_request_url(source)) {
            None => Ok(()),
            Some(index) => {
                let words = format!("invalid source URL '{}'", self.draft.metadata.sources[index]);
                self.wrong_item("sources", index, words)
            }
        }
    }

    fn has_icon(&self) -> Result<(), Finding> {
        if self.draft.metadata.icon.is_empty() { self.wrong("icon", "icon is recommended") } else { Ok(()) }
    }

    fn icon(&self) -> Result<(), Finding> {
        let icon = &self.draft.metadata.icon;
        if icon.is_empty() || is_request_url(icon) {
            return Ok(());
        }
        self.wrong("icon", format!("invalid icon URL '{icon}'"))
    }

    fn kind(&self) -> Result<(), Finding> {
        let metadata = &self.draft.metadata;
        if metadata.kind.is_empty() || metadata.api_version == "v2" {
            return Ok(());
        }
        let version = &metadata.api_version;
        self.wrong("type", format!("chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'"))
    }

    fn dependencies(&self) -> Result<(), Finding> {
        let version = &self.draft.metadata.api_version;
        if self.draft.dependencies.is_empty() || version == "v2" {
            return Ok(());
        }
        let words = format!(
            "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid in apiVersion 'v2'"
        );
        self.wrong("dependencies", words)
    }
}
