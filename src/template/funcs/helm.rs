//! What Helm adds to sprig: includes, checks, lookups, and YAML, JSON and TOML in and out.

use super::convert::{argument, bytes, text};
use super::{ANY, Failure, STRING};
use crate::template::exec::State;
use crate::template::json::{self, Style};
use crate::template::value::{Map, Value};
use crate::template::{pretty, toml};
use crate::yaml;

type Result<T = Value> = std::result::Result<T, Failure>;

const COMPACT: Style = Style { escape_html: true, pretty: false };
const PRETTY: Style = Style { escape_html: true, pretty: true };
const RAW: Style = Style { escape_html: false, pretty: false };

functions! { "helm";
    "include"(STRING, ANY) = include, "What a named template writes with the second argument as dot.";
    "lookup"(STRING, STRING, STRING, STRING) = lookup, "An object of the cluster: API version, kind, namespace, name.";
    "required"(STRING, ANY) = required, "The second argument; rendering ends with the message if it is nil or the empty text.";
    "tpl"(STRING, ANY) = tpl, "What a text writes as a template with the second argument as dot.";
    "fromJson"(STRING) = |_, a| Ok(map_or_error(json::read_map(bytes(a, 0)))), "Reads a JSON object; a bad one is a map with the key `Error`.";
    "fromJsonArray"(STRING) = from_json_array, "Reads a JSON array; a bad one is a list of the error.";
    "mustFromJson"(STRING) = |_, a| json::read(bytes(a, 0)), "Reads any JSON.";
    "toJson"(ANY) = |_, a| Ok(written(a, COMPACT).unwrap_or_else(|_| "".into())), "JSON; nothing where there is none.";
    "mustToJson"(ANY) = |_, a| written(a, COMPACT), "JSON.";
    "toPrettyJson"(ANY) = |_, a| Ok(written(a, PRETTY).unwrap_or_else(|_| "".into())), "JSON on many lines.";
    "mustToPrettyJson"(ANY) = |_, a| written(a, PRETTY), "As `toPrettyJson`.";
    "toRawJson"(ANY) = |_, a| written(a, RAW), "JSON that leaves `<`, `>` and `&` alone.";
    "mustToRawJson"(ANY) = |_, a| written(a, RAW), "As `toRawJson`.";
    "fromToml"(STRING) = |_, a| Ok(map_or_error(toml::read(&text(a, 0)))), "Reads TOML; a bad one is a map with the key `Error`.";
    "toToml"(ANY) = to_toml, "TOML, or the error as text.";
    "mustToToml"(ANY) = |_, a| toml::write(argument(a, 0)).map(Value::from), "TOML.";
    "fromYaml"(STRING) = |_, a| Ok(map_or_error(read_yaml(a, Map::new().into()).and_then(|value| decoded(json::into_map(value))))), "Reads a YAML map; a bad one is a map with the key `Error`.";
    "fromYamlArray"(STRING) = from_yaml_array, "Reads a YAML list; a bad one is a list of the error.";
    "toYaml"(ANY) = |_, a| Ok(to_yaml(a).unwrap_or_else(|_| "".into())), "YAML; nothing where there is none.";
    "mustToYaml"(ANY) = |_, a| to_yaml(a), "YAML.";
    "toYamlPretty"(ANY) = |_, a| Ok(pretty::write(argument(a, 0)).unwrap_or_default().into()), "YAML whose lists are indented.";
}

fn include(state: &mut State<'_>, a: &[Value]) -> Result {
    state.include(bytes(a, 0), argument(a, 1).clone()).map(Value::from)
}

fn tpl(state: &mut State<'_>, a: &[Value]) -> Result {
    let template = argument(a, 0).as_text().cloned().unwrap_or_default();
    state.tpl(&template, argument(a, 1).clone()).map(Value::from)
}

fn required(state: &mut State<'_>, a: &[Value]) -> Result {
    let value = argument(a, 1);
    let missing = match value {
        Value::Nil => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    match (missing, state.context().lint) {
        (false, _) => Ok(value.clone()),
        (true, true) => Ok("".into()),
        (true, false) => Err(Failure::said(&text(a, 0))),
    }
}

fn lookup(state: &mut State<'_>, a: &[Value]) -> Result {
    if state.context().lint {
        return Ok(Map::new().into());
    }
    let found = state.context().lookup.lookup(&text(a, 0), &text(a, 1), &text(a, 2), &text(a, 3));
    found.map_err(Failure::new)
}

fn map_or_error(read: Result<Map>) -> Value {
    match read {
        Ok(map) => map.into(),
        Err(failure) => Value::map([("Error", Value::from(failure.to_string()))]),
    }
}

fn from_json_array(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(json::read_list(bytes(a, 0)).map_or_else(|failure| Value::list(vec![failure.to_string().into()]), Value::from))
}

fn from_yaml_array(_: &mut State<'_>, a: &[Value]) -> Result {
    let list = read_yaml(a, Value::list(Vec::new())).and_then(|value| decoded(json::into_list(value)));
    Ok(list.map_or_else(|failure| Value::list(vec![failure.to_string().into()]), Value::from))
}

/// Reads YAML; nothing but null leaves Helm's variable as it was.
fn read_yaml(a: &[Value], nothing: Value) -> Result {
    match yaml::read(bytes(a, 0), &yaml::Options::helm()) {
        Ok(serde_json::Value::Null) => Ok(nothing),
        Ok(json) => Ok(Value::from_json(&json)),
        Err(error) => Err(Failure::new(error.in_go())),
    }
}

/// Helm reads YAML by way of JSON, and its errors say so.
fn decoded<T>(read: Result<T>) -> Result<T> {
    read.map_err(|failure| Failure::new(format!("error unmarshaling JSON: while decoding JSON: {failure}")))
}

fn written(a: &[Value], style: Style) -> Result {
    json::write(argument(a, 0), style).map(Value::from)
}

fn to_toml(_: &mut State<'_>, a: &[Value]) -> Result {
    if matches!(argument(a, 0), Value::Nil) {
        // Helm takes errors for text, but this is a panic of the library.
        return toml::write(&Value::Nil).map(Value::from);
    }
    Ok(toml::write(argument(a, 0)).unwrap_or_else(|failure| failure.to_string()).into())
}

fn to_yaml(a: &[Value]) -> Result {
    let json =
        argument(a, 0).to_json().map_err(|failure| Failure::new(format!("error marshaling into JSON: {failure}")))?;
    let text = yaml::write(&json);
    Ok(text.strip_suffix('\n').unwrap_or(&text).into())
}
