//! What `Chart.yaml`, `requirements.yaml` and `Chart.lock` say, checked with Helm's rules and words.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::decode::{Fields, WrongType};
use super::paths;
use super::version;
use crate::yaml::Step;

/// Why chart metadata is refused; prints as Helm prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("validation: {0}")]
pub struct Invalid(String);

/// The contents of `Chart.yaml`, with `requirements.yaml` folded in. Serialized, it has the names and the order of the
/// struct that Helm writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The chart's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Home page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub home: String,
    /// Where the sources are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Version of the chart: a semantic version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// One sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// People.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Maintainer>,
    /// URL or data URI of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// `v1` (Helm 2), `v2` or `v3`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Path of a value that turns the chart on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags of the chart itself; not used by Helm either.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// Version of what the chart installs: any text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// Whether the chart should no longer be used.
    #[serde(skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// Free-form notes; `None` where the file has none.
    #[serde(skip_serializing_if = "has_no_entry")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Range of Kubernetes versions the chart works with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    /// Charts it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// `application`, `library`, or empty, which means application.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Whether there is a list of dependencies, be it empty: Helm treats the charts below differently then.
    #[serde(skip)]
    pub(crate) lists_dependencies: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
fn has_no_entry(map: &Option<BTreeMap<String, String>>) -> bool {
    map.as_ref().is_none_or(BTreeMap::is_empty)
}

/// A person behind a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Maintainer {
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Mail address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    /// Page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A chart that another one needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Dependency {
    /// Name of the chart that is needed.
    pub name: String,
    /// Range of its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Where it comes from: URL, `oci://`, `file://`, `@name`.
    pub repository: String,
    /// Comma separated value paths; the first that holds a boolean turns the dependency on or off.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// Tags that turn it on or off together with others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What the file says; Helm overwrites it while it works.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
    /// Values of the child that the parent takes over: texts, or mappings with `child` and `parent`.
    #[serde(rename = "import-values", skip_serializing_if = "Vec::is_empty")]
    pub import_values: Vec<Value>,
    /// Another name for it, so that a chart can be used twice.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

impl Dependency {
    /// The name under which its values lie: the alias, or its own name.
    pub fn key(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }
}

/// The contents of `Chart.lock` or `requirements.lock`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Lock {
    /// When it was made, as written.
    pub generated: String,
    /// Hash over the dependencies of `Chart.yaml` and these.
    pub digest: String,
    /// Exact versions.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    pub(crate) fn decode(value: &Value) -> Result<Option<Self>, WrongType> {
        let Some(fields) = Fields::document(value, "Lock", "v2.Lock")? else { return Ok(None) };
        let mut lock = Lock::default();
        fields.text("generated", &mut lock.generated)?;
        fields.text("digest", &mut lock.digest)?;
        let dependencies = fields.structs("dependencies", "v2.Dependency")?.unwrap_or_default();
        lock.dependencies = dependencies.iter().flatten().map(Dependency::decode).collect::<Result<_, _>>()?;
        Ok(Some(lock))
    }
}

/// What two dependencies of one name are. Some repositories drop the aliases from what they list, and Helm lets it pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Twins {
    Refuse,
    Allow,
}

/// Metadata as read, before [`Draft::check`]: lists may still hold null entries.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(super) metadata: Metadata,
    pub(super) maintainers: Vec<Option<Maintainer>>,
    pub(super) dependencies: Vec<Option<Dependency>>,
}

impl Draft {
    /// Lays the fields of one document over what was read before.
    pub(crate) fn decode(&mut self, value: &Value) -> Result<(), WrongType> {
        let Some(fields) = Fields::document(value, "Metadata", "v2.Metadata")? else { return Ok(()) };
        let metadata = &mut self.metadata;
        for (name, field) in [
            ("name", &mut metadata.name),
            ("home", &mut metadata.home),
            ("version", &mut metadata.version),
            ("description", &mut metadata.description),
            ("icon", &mut metadata.icon),
            ("apiVersion", &mut metadata.api_version),
            ("condition", &mut metadata.condition),
            ("tags", &mut metadata.tags),
            ("appVersion", &mut metadata.app_version),
            ("kubeVersion", &mut metadata.kube_version),
            ("type", &mut metadata.kind),
        ] {
            fields.text(name, field)?;
        }
        fields.texts("sources", &mut metadata.sources)?;
        fields.texts("keywords", &mut metadata.keywords)?;
        fields.boolean("deprecated", &mut metadata.deprecated)?;
        fields.text_map("annotations", &mut metadata.annotations)?;
        if let Some(entries) = fields.structs("maintainers", "v2.Maintainer")? {
            self.maintainers = decode_each(&entries, Maintainer::decode)?;
        }
        if let Some(entries) = fields.structs("dependencies", "v2.Dependency")? {
            self.dependencies = decode_each(&entries, Dependency::decode)?;
            metadata.lists_dependencies = true;
        }
        Ok(())
    }

    /// The API version as read so far, `v1` where the file names none.
    pub(crate) fn api_version(&self) -> &str {
        if self.metadata.api_version.is_empty() { "v1" } else { &self.metadata.api_version }
    }

    /// Cleans all texts and applies Helm's checks in Helm's order.
    pub(crate) fn check(self) -> Result<Metadata, Invalid> {
        self.checked(Twins::Refuse)
    }

    /// As [`Draft::check`], for what a repository lists.
    pub(crate) fn check_listed(self) -> Result<Metadata, Invalid> {
        self.checked(Twins::Allow)
    }

    fn checked(self, twins: Twins) -> Result<Metadata, Invalid> {
        let Draft { mut metadata, maintainers, dependencies } = self;
        if metadata.api_version.is_empty() {
            "v1".clone_into(&mut metadata.api_version);
        }
        for text in [
            &mut metadata.name,
            &mut metadata.description,
            &mut metadata.home,
            &mut metadata.icon,
            &mut metadata.condition,
            &mut metadata.tags,
            &mut metadata.app_version,
            &mut metadata.kube_version,
        ] {
            sanitize(text);
        }
        metadata.sources.iter_mut().for_each(sanitize);
        metadata.keywords.iter_mut().for_each(sanitize);
        check_name(&metadata.name)?;
        check_version(&metadata.version)?;
        if !matches!(metadata.kind.as_str(), "" | "application" | "library") {
            return refuse("chart.metadata.type must be application or library");
        }
        for maintainer in maintainers {
            let Some(mut maintainer) = maintainer else {
                return refuse("maintainers must not contain empty or null nodes");
            };
            for text in [&mut maintainer.name, &mut maintainer.email, &mut maintainer.url] {
                sanitize(text);
            }
            metadata.maintainers.push(maintainer);
        }
        let mut keys = BTreeSet::new();
        for dependency in dependencies {
            let Some(dependency) = dependency else {
                return refuse("dependencies must not contain empty or null nodes");
            };
            let dependency = dependency.check()?;
            if !keys.insert(dependency.key().to_owned()) && twins == Twins::Refuse {
                let key = dependency.key();
                return refuse(format!("more than one dependency with name or alias {key:?}"));
            }
            metadata.dependencies.push(dependency);
        }
        Ok(metadata)
    }
}

/// The first key of a `Chart.yaml` that no field has, in the order in which Helm looks for one.
pub(super) fn unknown_field(document: &Value) -> Option<(String, Vec<Step>)> {
    const CHART: &[&str] = &[
        "name",
        "home",
        "sources",
        "version",
        "description",
        "keywords",
        "maintainers",
        "icon",
        "apiVersion",
        "condition",
        "tags",
        "appVersion",
        "deprecated",
        "annotations",
        "kubeVersion",
        "dependencies",
        "type",
    ];
    const MAINTAINER: &[&str] = &["name", "email", "url"];
    const DEPENDENCY: &[&str] =
        &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];
    let fields = document.as_object()?;
    // Helm's JSON has its keys sorted.
    for (key, value) in fields.iter().collect::<BTreeMap<_, _>>() {
        let step = Step::Key(key.clone());
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        if !CHART.iter().any(|name| is(name)) {
            return Some((key.clone(), vec![step]));
        }
        let known = if is("maintainers") {
            MAINTAINER
        } else if is("dependencies") {
            DEPENDENCY
        } else {
            continue;
        };
        for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
            let mut keys: Vec<&String> = entry.as_object().into_iter().flat_map(Map::keys).collect();
            keys.sort_unstable();
            let unknown = keys.into_iter().find(|key| !known.iter().any(|name| key.eq_ignore_ascii_case(name)));
            if let Some(key) = unknown {
                return Some((key.clone(), vec![step, Step::Index(index), Step::Key(key.clone())]));
            }
        }
    }
    None
}

fn decode_each<'a, T>(
    entries: &[Option<Fields<'a>>],
    decode: impl Fn(&Fields<'a>) -> Result<T, WrongType>,
) -> Result<Vec<Option<T>>, WrongType> {
    entries.iter().map(|entry| entry.as_ref().map(&decode).transpose()).collect()
}

impl Maintainer {
    fn decode(fields: &Fields<'_>) -> Result<Self, WrongType> {
        let mut maintainer = Maintainer::default();
        fields.text("name", &mut maintainer.name)?;
        fields.text("email", &mut maintainer.email)?;
        fields.text("url", &mut maintainer.url)?;
        Ok(maintainer)
    }
}

impl Dependency {
    fn decode(fields: &Fields<'_>) -> Result<Self, WrongType> {
        let mut dependency = Dependency::default();
        fields.text("name", &mut dependency.name)?;
        fields.text("version", &mut dependency.version)?;
        fields.text("repository", &mut dependency.repository)?;
        fields.text("condition", &mut dependency.condition)?;
        fields.texts("tags", &mut dependency.tags)?;
        fields.boolean("enabled", &mut dependency.enabled)?;
        fields.values("import-values", &mut dependency.import_values)?;
        fields.text("alias", &mut dependency.alias)?;
        Ok(dependency)
    }

    fn check(mut self) -> Result<Self, Invalid> {
        for text in [&mut self.name, &mut self.version, &mut self.repository, &mut self.condition] {
            sanitize(text);
        }
        self.tags.iter_mut().for_each(sanitize);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !self.alias.chars().all(allowed) {
            return refuse(format!("dependency {:?} has disallowed characters in the alias", self.name));
        }
        // Ours: a name is used as a key of values and in the paths of templates.
        if self.name.contains(['/', '\\']) || self.name == ".." {
            return refuse(format!("dependency name {:?} is invalid", self.name));
        }
        Ok(self)
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(message.into()))
}

fn check_name(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return refuse("chart.metadata.name is required");
    }
    if matches!(name, "." | "..") {
        return refuse(format!("chart.metadata.name {name:?} is not allowed"));
    }
    // Ours beyond Helm's: a backslash is a separator elsewhere, and no name longer than an object's can ever be used.
    if name != paths::base(name) || name.contains('\\') || name.len() > 253 {
        let shown: String = name.chars().take(80).collect();
        return refuse(format!("chart.metadata.name {shown:?} is invalid"));
    }
    Ok(())
}

fn check_version(version: &str) -> Result<(), Invalid> {
    if version.is_empty() {
        return refuse("chart.metadata.version is required");
    }
    if !version::is_version(version) {
        return refuse(format!("chart.metadata.version {version:?} is invalid"));
    }
    Ok(())
}

/// Turns every white space into a blank and drops what cannot be printed.
pub(super) fn sanitize(text: &mut String) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return;
    }
    *text =
        text.chars().filter_map(|c| if c.is_whitespace() { Some(' ') } else { printable(c).then_some(c) }).collect();
}

/// Go's `unicode.IsPrint` without unassigned code points: no control, format, surrogate or private use character.
fn printable(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..='\u{10ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: &Value) -> Result<Metadata, String> {
        let mut draft = Draft::default();
        draft.decode(value).map_err(|error| error.to_string())?;
        draft.check().map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_that_helm_refuses_is_refused_in_its_words() {
        let cases = [
            (json!({}), "validation: chart.metadata.name is required"),
            (json!({"name": "."}), "validation: chart.metadata.name \".\" is not allowed"),
            (json!({"name": ".."}), "validation: chart.metadata.name \"..\" is not allowed"),
            (json!({"name": "a/b"}), "validation: chart.metadata.name \"a/b\" is invalid"),
            (json!({"name": "a"}), "validation: chart.metadata.version is required"),
            (json!({"name": "a", "version": "x"}), "validation: chart.metadata.version \"x\" is invalid"),
            (
                json!({"name": "a", "version": "1", "type": "other"}),
                "validation: chart.metadata.type must be application or library",
            ),
            (
                json!({"name": "a", "version": "1", "maintainers": [null]}),
                "validation: maintainers must not contain empty or null nodes",
            ),
            (
                json!({"name": "a", "version": "1", "dependencies": [null]}),
                "validation: dependencies must not contain empty or null nodes",
            ),
            (
                json!({"name": "a", "version": "1", "dependencies": [{"name": "b", "alias": "x.y"}]}),
                "validation: dependency \"b\" has disallowed characters in the alias",
            ),
            (
                json!({"name": "a", "version": "1", "dependencies": [{"name": "b"}, {"name": "c", "alias": "b"}]}),
                "validation: more than one dependency with name or alias \"b\"",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(check(&value).unwrap_err(), expected, "{value}");
        }
        let long = "x".repeat(300);
        assert!(check(&json!({"name": long, "version": "1"})).unwrap_err().ends_with("is invalid"));
    }

    #[test]
    fn texts_are_cleaned_and_scalars_written_out() {
        let metadata = check(&json!({
            "name": "a\u{0}", "version": 1, "appVersion": 1.16, "description": "two\n\u{200b}lines",
            "Keywords": ["x\ty"], "annotations": {"n": 1},
        }))
        .unwrap();
        assert_eq!((metadata.name.as_str(), metadata.version.as_str()), ("a", "1"));
        assert_eq!((metadata.app_version.as_str(), metadata.description.as_str()), ("1.16", "two lines"));
        assert_eq!(metadata.keywords, ["x y"]);
        assert_eq!(metadata.annotations.unwrap()["n"], "1");
        assert_eq!(metadata.api_version, "v1");
    }

    #[test]
    fn metadata_is_written_in_helms_order_without_what_is_empty() {
        let metadata = check(&json!({
            "type": "library", "name": "a", "version": "1.0.0", "apiVersion": "v2", "annotations": {},
            "dependencies": [{"version": "^1", "name": "b", "import-values": ["x"]}],
        }));
        assert_eq!(
            serde_json::to_string(&metadata.unwrap()).unwrap(),
            r#"{"name":"a","version":"1.0.0","apiVersion":"v2","dependencies":[{"name":"b","version":"^1","repository":"","import-values":["x"]}],"type":"library"}"#
        );
    }
}
