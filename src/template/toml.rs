//! TOML as Helm's library prints it, and read into template values.
//!
//! Printing keeps plain values before tables, keys sorted, and two spaces for each level below the first.

use super::error::Failure;
use super::strconv;
use super::time::{Time, Zone};
use super::value::{MAX_NESTING, Map, Value};

const NIL_ELEMENT: &str = "toml: cannot encode array with nil element";
const NO_KEY: &str = "toml: top-level values must be Go maps or structs";

/// Prints a value: a map as a document, anything else as it stands in one.
pub(crate) fn write(value: &Value) -> Result<String, Failure> {
    if matches!(value, Value::Nil) {
        return Err(Failure::new("reflect: call of reflect.Value.Type on zero Value"));
    }
    let mut writer = Writer { out: String::new(), key: Vec::new() };
    writer.value(value)?;
    Ok(writer.out)
}

/// What a value is in TOML.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Nothing,
    Plain,
    Table,
    Tables,
}

fn shape(value: &Value, depth: usize) -> Result<Shape, Failure> {
    if depth > MAX_NESTING {
        return Err(Failure::new("toml: the value is nested too deeply"));
    }
    Ok(match value {
        _ if value.is_nil() => Shape::Nothing,
        Value::Map(_) => Shape::Table,
        Value::List(list) => {
            let mut all_tables = !list.is_empty();
            for item in list.iter() {
                match shape(item, depth + 1)? {
                    Shape::Nothing => return Err(Failure::new(NIL_ELEMENT)),
                    other => all_tables &= other == Shape::Table,
                }
            }
            if all_tables { Shape::Tables } else { Shape::Plain }
        }
        Value::Object(object) if !object.fields().is_empty() => Shape::Table,
        _ => Shape::Plain,
    })
}

fn is_table(shape: Shape) -> bool {
    matches!(shape, Shape::Table | Shape::Tables)
}

struct Writer {
    out: String,
    /// Names of the tables we are in.
    key: Vec<String>,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match shape(value, self.key.len())? {
            Shape::Nothing => Ok(()),
            Shape::Table => self.table(value),
            Shape::Tables => self.tables(value),
            Shape::Plain if self.key.is_empty() => self.element(value, 0),
            Shape::Plain => {
                self.indent();
                let name = self.key.last().map(|name| quoted_key(name)).unwrap_or_default();
                self.out.push_str(&format!("{name} = "));
                self.element(value, 0)?;
                self.out.push('\n');
                Ok(())
            }
        }
    }

    fn indent(&mut self) {
        let levels = self.key.len().saturating_sub(1);
        self.out.extend(std::iter::repeat_n("  ", levels));
    }

    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn dotted_key(&self) -> String {
        self.key.iter().map(|name| quoted_key(name)).collect::<Vec<_>>().join(".")
    }

    fn table(&mut self, value: &Value) -> Result<(), Failure> {
        if self.key.len() == 1 {
            self.new_line();
        }
        if !self.key.is_empty() {
            self.indent();
            self.out.push_str(&format!("[{}]\n", self.dotted_key()));
        }
        self.entries(value)
    }

    fn tables(&mut self, value: &Value) -> Result<(), Failure> {
        if self.key.is_empty() {
            return Err(Failure::new(NO_KEY));
        }
        for item in value.as_list().iter().flat_map(|list| list.iter()) {
            self.new_line();
            self.indent();
            self.out.push_str(&format!("[[{}]]\n", self.dotted_key()));
            self.entries(item)?;
        }
        Ok(())
    }

    /// The entries of a table: plain ones first, so that they are not taken for those of a table inside.
    fn entries(&mut self, value: &Value) -> Result<(), Failure> {
        if self.key.len() > MAX_NESTING {
            return Err(Failure::new("toml: the value is nested too deeply"));
        }
        let entries = fields(value);
        let depth = self.key.len();
        for tables in [false, true] {
            for (name, item) in &entries {
                if is_table(shape(item, depth)?) == tables && !item.is_nil() {
                    self.key.push(name.clone());
                    self.value(item)?;
                    self.key.pop();
                }
            }
        }
        Ok(())
    }

    /// A value after an equals sign or in an array.
    fn element(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > MAX_NESTING {
            return Err(Failure::new("toml: the value is nested too deeply"));
        }
        match value {
            Value::Nil => return Err(Failure::new("reflect: call of reflect.Value.Interface on zero Value")),
            Value::Bool(truth) => self.out.push_str(&truth.to_string()),
            Value::Int(number) | Value::Int64(number) => self.out.push_str(&number.to_string()),
            Value::Integer(number) => self.out.push_str(&number.as_i128().to_string()),
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(text) => self.out.push_str(&quoted(&text.to_str_lossy())),
            Value::Bytes(bytes) => {
                let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
                self.out.push_str(&format!("[{}]", numbers.join(", ")));
            }
            Value::List(list) => {
                self.out.push('[');
                for (at, item) in list.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(_) => self.inline_table(value, depth)?,
            Value::Object(object) => match object.as_any().downcast_ref::<Time>() {
                Some(time) => self.out.push_str(&time_text(time)),
                None if object.fields().is_empty() => {
                    self.out.push_str(&quoted(&object.string().unwrap_or_default()));
                }
                None => self.inline_table(value, depth)?,
            },
        }
        Ok(())
    }

    fn inline_table(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        let mut direct = Vec::new();
        let mut tables = Vec::new();
        for (name, item) in fields(value) {
            let group = if is_table(shape(&item, depth + 1)?) { &mut tables } else { &mut direct };
            group.push((name, item));
        }
        self.out.push('{');
        // A comma follows each entry but the last one of its group; it counts nil ones, which are left out.
        for (group, always) in [(&direct, !tables.is_empty()), (&tables, false)] {
            for (at, (name, item)) in group.iter().enumerate() {
                if item.is_nil() {
                    continue;
                }
                self.out.push_str(&format!("{} = ", quoted_key(name)));
                self.element(item, depth + 1)?;
                if always || at + 1 < group.len() {
                    self.out.push_str(", ");
                }
            }
        }
        self.out.push('}');
        Ok(())
    }
}

/// The entries of a map, or the fields of a struct.
fn fields(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Map(map) => {
            map.entries().into_iter().map(|(key, item)| (key.to_str_lossy().into_owned(), item)).collect()
        }
        Value::Object(object) => object.fields().into_iter().map(|(name, item)| (name.to_owned(), item)).collect(),
        _ => Vec::new(),
    }
}

fn float(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_nan() {
        return format!("{sign}nan");
    }
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    let text = strconv::format_float(number, 'g', None);
    if text.contains(['e', '.']) { text } else { format!("{text}.0") }
}

fn time_text(time: &Time) -> String {
    let layout = match time.zone().name() {
        "datetime-local" => "2006-01-02T15:04:05.999999999",
        "date-local" => "2006-01-02",
        "time-local" => "15:04:05.999999999",
        _ => "2006-01-02T15:04:05.999999999Z07:00",
    };
    time.format(layout)
}

fn quoted_key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads a document; whole numbers are `int64`, dates are `time.Time`.
pub(crate) fn read(text: &str) -> Result<Map, Failure> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Failure::new(format!("toml: line {line}: {}", error.message()))
    })?;
    Ok(map(table))
}

fn map(table: toml::Table) -> Map {
    table.into_iter().map(|(key, item)| (key, value(item))).collect()
}

fn value(item: toml::Value) -> Value {
    match item {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => Value::Int64(number),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(datetime) => Value::object(time(&datetime)),
        // Go's library gives a list of tables a type of its own; templates see the difference in `typeOf` only.
        toml::Value::Array(items) => Value::list(items.into_iter().map(value).collect()),
        toml::Value::Table(table) => map(table).into(),
    }
}

fn time(datetime: &toml::value::Datetime) -> Time {
    let local = |name: &str| Zone::Fixed { name: name.to_owned(), offset: 0 };
    let (layout, zone) = match (datetime.date, datetime.time, datetime.offset) {
        (_, _, Some(_)) => ("2006-01-02T15:04:05.999999999Z07:00", Zone::Utc),
        (Some(_), Some(_), None) => ("2006-01-02T15:04:05.999999999", local("datetime-local")),
        (Some(_), None, None) => ("2006-01-02", local("date-local")),
        _ => ("15:04:05.999999999", local("time-local")),
    };
    Time::parse(layout, &datetime.to_string(), &zone).unwrap_or_else(|_| Time::zero())
}
