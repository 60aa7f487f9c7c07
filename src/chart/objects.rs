//! What templates see: `.Release`, `.Chart`, `.Values`, `.Files`, `.Capabilities`, `.Template`, `.Subcharts`.

use std::any::Any;

use base64::Engine as _;

use super::capabilities::Capabilities;
use super::dependencies::Member;
use super::glob::Glob;
use super::render::Release;
use super::{Dependency, File, paths};
use crate::template::funcs::Function;
use crate::template::{Failure, List, Map, Named, Object, State, Type, Under, Value};
use crate::yaml;

/// `.Release`, shared by all charts of a release. What is only examined is neither installed nor upgraded.
pub(crate) fn release(release: &Release, is_made: bool) -> Value {
    let upgrade = release.is_upgrade;
    Value::map([
        ("Name", Value::from(&*release.name)),
        ("Namespace", Value::from(&*release.namespace)),
        ("IsUpgrade", Value::from(upgrade)),
        ("IsInstall", Value::from(is_made && !upgrade)),
        ("Revision", Value::Int(release.revision)),
        ("Service", Value::from("Helm")),
    ])
}

/// `.Chart`: the fields of the metadata under their Go names.
pub(crate) fn chart(member: &Member, is_root: bool) -> Value {
    let metadata = &member.metadata;
    let text = |text: &String| Value::from(text.as_str());
    let texts = |texts: &[String]| Value::list(texts.iter().map(text).collect());
    let maintainers = metadata.maintainers.iter().map(|person| {
        Value::map([("Name", text(&person.name)), ("Email", text(&person.email)), ("URL", text(&person.url))])
    });
    let annotations = match &metadata.annotations {
        None => Map::nil(Type::STRING_MAP),
        Some(entries) => {
            let map = Map::typed(Type::STRING_MAP);
            entries.iter().for_each(|(key, value)| map.insert(key.as_str(), text(value)));
            map
        }
    };
    Value::map([
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", Value::list(maintainers.collect())),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::from(metadata.deprecated)),
        ("Annotations", Value::Map(annotations)),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", Value::list(metadata.dependencies.iter().map(dependency).collect())),
        ("Type", text(&metadata.kind)),
        ("IsRoot", Value::from(is_root)),
    ])
}

fn dependency(dependency: &Dependency) -> Value {
    let text = |text: &String| Value::from(text.as_str());
    Value::map([
        ("Name", text(&dependency.name)),
        ("Version", text(&dependency.version)),
        ("Repository", text(&dependency.repository)),
        ("Condition", text(&dependency.condition)),
        ("Tags", Value::list(dependency.tags.iter().map(text).collect())),
        ("Enabled", Value::from(dependency.enabled)),
        ("ImportValues", Value::list(dependency.import_values.iter().map(Value::from_json).collect())),
        ("Alias", text(&dependency.alias)),
    ])
}

/// `.Files`.
pub(crate) fn files(files: &[File]) -> Value {
    let map = Map::typed(Type::Named(&FILES));
    for file in files {
        map.insert(&*file.name, Value::Bytes((&*file.data).into()));
    }
    Value::Map(map)
}

static FILES: Named =
    Named { name: "engine.files", under: Under::Type(Type::Map(&Type::BYTES)), methods: FILE_METHODS };

const FILE_METHODS: &[Function] = &[
    method("Get", &[Type::String], "the text of a file, empty when there is none", |_, arguments| {
        Ok(Value::String(content(arguments).into()))
    }),
    method("GetBytes", &[Type::String], "the bytes of a file, empty when there is none", |_, arguments| {
        Ok(Value::Bytes(content(arguments).into()))
    }),
    method("Glob", &[Type::String], "the files whose names match a pattern", |_, arguments| {
        let [Value::Map(files), pattern] = arguments else { return Ok(Value::Nil) };
        let glob = Glob::new(&String::from_utf8_lossy(pattern.text()));
        let found = Map::typed(Type::Named(&FILES));
        for (name, data) in files.entries() {
            if glob.matches(&name.to_str_lossy()) {
                found.insert(name, data);
            }
        }
        Ok(Value::Map(found))
    }),
    method("AsConfig", &[], "the files as YAML for the data of a ConfigMap", |_, arguments| {
        Ok(as_yaml(arguments, |data| String::from_utf8_lossy(data).into_owned()))
    }),
    method("AsSecrets", &[], "the files as YAML for the data of a Secret", |_, arguments| {
        Ok(as_yaml(arguments, |data| base64::engine::general_purpose::STANDARD.encode(data)))
    }),
    method("Lines", &[Type::String], "the lines of a file", |_, arguments| {
        let text = content(arguments);
        if text.is_empty() {
            return Ok(Value::strings::<&str>([]));
        }
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        Ok(Value::strings(text.split(|&byte| byte == b'\n')))
    }),
];

const fn method(
    name: &'static str,
    params: &'static [Type],
    doc: &'static str,
    body: crate::template::funcs::Body,
) -> Function {
    Function { name, params, variadic: None, family: "objects", doc, body }
}

fn content(arguments: &[Value]) -> Vec<u8> {
    match arguments {
        [Value::Map(files), name] => files.get(name.text()).map_or_else(Vec::new, |data| data.text().to_vec()),
        _ => Vec::new(),
    }
}

/// One entry per file under the last element of its name, as `toYaml` writes it.
fn as_yaml(arguments: &[Value], convert: impl Fn(&[u8]) -> String) -> Value {
    let [Value::Map(files)] = arguments else { return Value::from("") };
    let mut entries = serde_json::Map::new();
    for (name, data) in files.entries() {
        entries.insert(paths::base(&name.to_str_lossy()).to_owned(), convert(data.text()).into());
    }
    let text = yaml::write(&serde_json::Value::Object(entries));
    Value::from(text.strip_suffix('\n').unwrap_or(&text))
}

/// `.Values` of a chart, which Go has under a type of its own; only the outermost map is a new one.
pub(crate) fn named_values(values: &Map) -> Map {
    let named = Map::typed(Type::Named(&VALUES));
    values.entries().into_iter().for_each(|(key, value)| named.insert(key, value));
    named
}

static VALUES: Named = Named {
    name: "common.Values",
    under: Under::Type(Type::MAP),
    methods: &[
        method("AsMap", &[], "the values as a map without methods", |_, arguments| match arguments {
            [Value::Map(values)] => Ok(Value::Map(values.entries().into_iter().collect())),
            _ => Ok(Value::Nil),
        }),
        method("YAML", &[], "the values as YAML", |_, arguments| {
            Ok(Value::from(yaml::write(&arguments[0].to_json()?)))
        }),
    ],
};

/// `.Capabilities`.
pub(crate) fn capabilities(capabilities: &Capabilities) -> Value {
    Value::object(Abilities(capabilities.clone()))
}

struct Abilities(Capabilities);

impl Object for Abilities {
    fn type_of(&self) -> Type {
        static TYPE: Named = Named { name: "*common.Capabilities", under: Under::Pointer, methods: &[COPY] };
        const COPY: Function = method("Copy", &[], "the capabilities", |_, arguments| Ok(arguments[0].clone()));
        Type::Named(&TYPE)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let versions = self.0.api_versions.iter().map(|version| Value::from(version.as_str())).collect();
        vec![
            ("KubeVersion", Value::object(Kube(self.0.clone()))),
            ("APIVersions", Value::List(List::typed(Type::Named(&VERSION_SET), versions))),
            ("HelmVersion", Value::object(Helm(self.0.helm_version.clone()))),
        ]
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

static VERSION_SET: Named = Named {
    name: "common.VersionSet",
    under: Under::Type(Type::STRINGS),
    methods: &[method("Has", &[Type::String], "whether a group/version or group/version/Kind is served", has)],
};

fn has(_: &mut State<'_>, arguments: &[Value]) -> Result<Value, Failure> {
    let [Value::List(versions), wanted] = arguments else { return Ok(Value::from(false)) };
    Ok(Value::from(versions.iter().any(|version| version.text() == wanted.text())))
}

struct Kube(Capabilities);

impl Object for Kube {
    fn type_of(&self) -> Type {
        static TYPE: Named =
            Named { name: "common.KubeVersion", under: Under::Struct, methods: &[STRING, GIT_VERSION] };
        const STRING: Function = method("String", &[], "the version without suffixes", |_, arguments| {
            Ok(kube_text(arguments, |kube| kube.normalized.clone()))
        });
        const GIT_VERSION: Function = method("GitVersion", &[], "the whole version", |_, arguments| {
            Ok(kube_text(arguments, |kube| kube.version.clone()))
        });
        Type::Named(&TYPE)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let kube = &self.0.kube_version;
        vec![
            ("Version", Value::from(&*kube.version)),
            ("Major", Value::from(&*kube.major)),
            ("Minor", Value::from(&*kube.minor)),
        ]
    }

    fn string(&self) -> Option<String> {
        Some(self.0.kube_version.normalized.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn kube_text(arguments: &[Value], text: impl Fn(&super::KubeVersion) -> String) -> Value {
    let Some(Value::Object(object)) = arguments.first() else { return Value::Nil };
    object.as_any().downcast_ref::<Kube>().map_or(Value::Nil, |kube| Value::from(text(&kube.0.kube_version)))
}

struct Helm(String);

impl Object for Helm {
    fn type_of(&self) -> Type {
        static TYPE: Named = Named { name: "version.BuildInfo", under: Under::Struct, methods: &[] };
        Type::Named(&TYPE)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Version", Value::from(&*self.0)),
            ("GitCommit", Value::from("")),
            ("GitTreeState", Value::from("")),
            ("GoVersion", Value::from(GO_VERSION)),
            ("KubeClientVersion", Value::from(KUBE_CLIENT_VERSION)),
        ]
    }

    fn to_json(&self) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::json!({
            "version": self.0, "go_version": GO_VERSION, "kube_client_version": KUBE_CLIENT_VERSION,
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The Go and the client library that Helm 4.3.1 is built with; charts can see them.
const GO_VERSION: &str = "go1.26.8";
const KUBE_CLIENT_VERSION: &str = "v1.37";
