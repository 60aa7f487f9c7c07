//! YAML as Helm's `toYamlPretty` prints it: lists indented, lines never folded, floats as Go prints them.
//!
//! The layout is made here; how a text is quoted is asked of [`yaml::write`], whose rules are the same for one text.

use super::error::Failure;
use super::strconv;
use super::value::{MAX_NESTING, Numbers, Value};
use crate::yaml;

/// Longest key in bytes that stands before its colon.
const SIMPLE_KEY: usize = 128;

/// Prints a value without a final line end.
pub(crate) fn write(value: &Value) -> Result<String, Failure> {
    let mut out = String::new();
    node(&mut out, value, 0, 0)?;
    out.truncate(out.strip_suffix('\n').map_or(out.len(), str::len));
    Ok(out)
}

/// Writes a value whose lines after the first start at `indent`, with a line end.
fn node(out: &mut String, value: &Value, indent: usize, depth: usize) -> Result<(), Failure> {
    if depth > MAX_NESTING {
        return Err(Failure::new("yaml: the value is nested too deeply"));
    }
    match value {
        Value::List(list) if !list.is_empty() => {
            for (at, item) in list.iter().enumerate() {
                start_line(out, indent, at);
                out.push_str("- ");
                node(out, item, indent + 2, depth + 1)?;
            }
        }
        Value::Map(map) if !map.is_empty() => {
            let names = map.keys().into_iter().map(|key| (key.to_str_lossy().into_owned(), serde_json::Value::Null));
            let names = names.collect();
            for (at, (name, _)) in yaml::in_order(&names).into_iter().enumerate() {
                start_line(out, indent, at);
                let item = map.get(name.as_bytes()).unwrap_or_default();
                key(out, name, indent);
                entry(out, &item, indent, depth)?;
            }
        }
        Value::Object(object) => {
            node(out, &Value::from_json_with(&object.to_json()?, Numbers::Int), indent, depth + 1)?;
        }
        scalar => out.push_str(&scalar_text(scalar, indent)?),
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(())
}

/// The value of a key: on its line, or below it with two more spaces.
fn entry(out: &mut String, item: &Value, indent: usize, depth: usize) -> Result<(), Failure> {
    let is_block = match item {
        Value::List(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent + 2));
        return node(out, item, indent + 2, depth + 1);
    }
    out.push(' ');
    node(out, item, indent, depth + 1)
}

fn start_line(out: &mut String, indent: usize, at: usize) {
    if at > 0 {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn key(out: &mut String, name: &str, indent: usize) {
    if name.len() <= SIMPLE_KEY && !name.contains('\n') {
        out.push_str(&text(name, indent));
        out.push(':');
        return;
    }
    out.push_str("? ");
    out.push_str(&text(name, indent));
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n(' ', indent));
    out.push(':');
}

fn scalar_text(value: &Value, indent: usize) -> Result<String, Failure> {
    Ok(match value {
        Value::Float(number) => match number {
            number if number.is_nan() => ".nan".to_owned(),
            number if number.is_infinite() => if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
            number => strconv::format_float(*number, 'g', None),
        },
        Value::String(given) => text(&given.to_str_lossy(), indent),
        Value::List(_) => "[]".to_owned(),
        Value::Map(_) => "{}".to_owned(),
        other => yaml::write(&other.to_json()?).trim_end_matches('\n').to_owned(),
    })
}

/// A text in the style that its content asks for.
fn text(given: &str, indent: usize) -> String {
    let written = yaml::write(&given.into());
    let lines = written.strip_suffix('\n').unwrap_or(&written);
    if !lines.contains('\n') {
        return lines.to_owned();
    }
    match written.as_bytes().first() {
        Some(b'|') => {
            // The other writer starts at the left edge with two spaces a level.
            let spaces = " ".repeat(indent);
            let indented = written.split_inclusive('\n').enumerate().map(|(at, line)| match line {
                "\n" => line.to_owned(),
                line if at == 0 => line.to_owned(),
                line => format!("{spaces}{line}"),
            });
            indented.collect()
        }
        // Folded at 80 columns there, never here.
        Some(b'\'') => format!("'{}'", given.replace('\'', "''")),
        Some(b'"') => unfolded(lines),
        _ => given.to_owned(),
    }
}

/// A double-quoted text on one line again.
fn unfolded(lines: &str) -> String {
    let mut out = String::new();
    for (at, line) in lines.split('\n').enumerate() {
        if at == 0 {
            out.push_str(line);
            continue;
        }
        let line = line.trim_start();
        // A space at which a line was folded is gone, unless it is escaped as the first character of the next.
        if !line.starts_with("\\ ") {
            out.push(' ');
        }
        out.push_str(line.strip_prefix('\\').filter(|rest| rest.starts_with(' ')).unwrap_or(line));
    }
    out
}
