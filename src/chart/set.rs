//! The values that `--set` and its relatives write, in Helm's grammar.
//!
//! ```text
//! a.b=1,c[0].d={x,y}      names, indexes, lists; a comma ends a value
//! kubernetes\.io/x=a\,b   a backslash takes the next character as it is
//! ```
//!
//! ```
//! use bowline::chart::set::{Flag, set};
//! let mut values = serde_json::json!({"image": {"tag": "1"}}).as_object().unwrap().clone();
//! set(&mut values, Flag::Set, "image.tag=2,ports={80,443}", &mut |_| unreachable!()).unwrap();
//! assert_eq!(serde_json::Value::from(values), serde_json::json!({"image": {"tag": 2}, "ports": [80, 443]}));
//! ```

use serde_json::{Map, Value};

/// Highest index of a list, as in Helm.
const MAX_INDEX: i64 = 65_536;
/// Most dots in a name, as in Helm.
const MAX_NAMES: usize = 30;
/// Most steps of any kind in a name; Helm has no limit on indexes.
const MAX_STEPS: usize = 500;

/// One of the options that set values, in the order in which Helm applies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flag {
    /// `--set-json`: values are JSON; the whole line may be one JSON object.
    Json,
    /// `--set`: numbers, true, false and null are what they look like.
    Set,
    /// `--set-string`: all values are texts.
    Text,
    /// `--set-file`: values are names of files and stand for their content.
    File,
    /// `--set-literal`: one name, then everything behind the sign as it is.
    Literal,
}

impl Flag {
    /// The option as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Json => "--set-json",
            Flag::Set => "--set",
            Flag::Text => "--set-string",
            Flag::File => "--set-file",
            Flag::Literal => "--set-literal",
        }
    }
}

/// Why a line sets nothing; shown as Helm shows it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed parsing {} data: {message}", flag.name())]
pub struct Error {
    /// The option.
    pub flag: Flag,
    /// What is wrong with its line, in Helm's words.
    pub message: String,
}

/// Writes what a line says into the values; `read_file` gives the content of a file for [`Flag::File`].
///
/// # Errors
/// Helm's own. The values may have taken a part of the line by then.
pub fn set(
    values: &mut Map<String, Value>,
    flag: Flag,
    line: &str,
    read_file: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(), Error> {
    let failed = |message: String| Error { flag, message };
    if flag == Flag::Json && line.trim_start().starts_with('{') {
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| failed(error.to_string()))?;
        merge(values, object);
        return Ok(());
    }
    let mut parser = Parser { rest: line, flag, read_file };
    loop {
        match parser.key(values, 0, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Wrong(message)) => return Err(failed(message)),
        }
    }
}

/// Puts values over others; mappings are merged all the way down.
pub fn merge(values: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, value) => {
                values.insert(key, value);
            }
        }
    }
}

/// Why a part of a line was left.
enum Stop {
    /// The line ended where it may end, or in an index, which Helm takes for the same.
    End,
    Wrong(String),
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Wrong(message.into()))
}

struct Parser<'a> {
    rest: &'a str,
    flag: Flag,
    read_file: &'a mut dyn FnMut(&str) -> Result<String, String>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    /// What comes before one of the marks, and the mark; `None` when the line ends first.
    fn until(&mut self, marks: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(character) = self.next() {
            if marks.contains(&character) {
                return (text, Some(character));
            }
            if character != '\\' || self.flag == Flag::Literal {
                text.push(character);
            } else {
                match self.next() {
                    Some(escaped) => text.push(escaped),
                    None => break,
                }
            }
        }
        (text, None)
    }

    /// Reads one name and its value into a mapping.
    fn key(&mut self, values: &mut Map<String, Value>, names: usize, steps: usize) -> Result<(), Stop> {
        let marks: &[char] = if self.flag == Flag::Literal { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, mark) = self.until(marks);
        match mark {
            None if key.is_empty() => Err(Stop::End),
            None => wrong(format!("key {key:?} has no value")),
            Some('=') => {
                let value = self.value()?;
                put(values, key, value);
                Ok(())
            }
            Some('[') => self.list_of_key(values, key, names, steps),
            Some(',') => {
                let message = format!("key {key:?} has no value (cannot end with ,)");
                put(values, key, Value::from(""));
                wrong(message)
            }
            Some(_) => self.map_of_key(values, key, names + 1, steps),
        }
    }

    /// `key[..`
    fn list_of_key(
        &mut self,
        values: &mut Map<String, Value>,
        key: String,
        names: usize,
        steps: usize,
    ) -> Result<(), Stop> {
        let index = self.index()?;
        let mut list = match values.remove(&key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                let message = not_a(&other, "[]interface {}");
                values.insert(key, other);
                return wrong(message);
            }
        };
        let result = self.item(&mut list, index, names, steps + 1);
        put(values, key, Value::Array(list));
        result
    }

    /// `key.`
    fn map_of_key(
        &mut self,
        values: &mut Map<String, Value>,
        key: String,
        names: usize,
        steps: usize,
    ) -> Result<(), Stop> {
        if names > MAX_NAMES {
            let message = "value name nested level is greater than maximum supported nested level of";
            return wrong(format!("{message} {MAX_NAMES}"));
        }
        let known = values.remove(&key);
        let existed = known.is_some();
        let mut inner = match known {
            None => Map::new(),
            Some(Value::Object(inner)) => inner,
            Some(other) => {
                let message = not_a(&other, "map[string]interface {}");
                values.insert(key, other);
                return wrong(message);
            }
        };
        let result = self.key(&mut inner, names, steps + 1);
        if inner.is_empty() && result.is_ok() {
            return wrong(format!("key map {key:?} has no value"));
        }
        if existed || !inner.is_empty() {
            put(values, key, Value::Object(inner));
        }
        result
    }

    /// The number of an index, up to its bracket.
    fn index(&mut self) -> Result<i64, Stop> {
        let (digits, Some(_)) = self.until(&[']']) else { return Err(Stop::End) };
        digits.parse().map_err(|_| {
            let number = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let why = if is_number { "value out of range" } else { "invalid syntax" };
            Stop::Wrong(format!("error parsing index: strconv.Atoi: parsing {digits:?}: {why}"))
        })
    }

    /// What follows `[index]`.
    fn item(&mut self, list: &mut Vec<Value>, index: i64, names: usize, steps: usize) -> Result<(), Stop> {
        if index < 0 {
            return wrong(format!("negative {index} index not allowed"));
        }
        if steps > MAX_STEPS {
            return wrong(format!("more than {MAX_STEPS} names and indexes in one name"));
        }
        let (data, mark) = self.until(&['[', '.', '=']);
        if !data.is_empty() {
            let characters: Vec<String> = data.chars().map(|character| format!("{character:?}")).collect();
            return wrong(format!("unexpected data at end of array index: [{}]", characters.join(" ")));
        }
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        match mark {
            None => Err(Stop::End),
            Some('=') => {
                let value = self.value()?;
                set_item(list, index, value)
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get(at) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner.clone(),
                    Some(other) => return wrong(not_a(other, "[]interface {}")),
                };
                self.item(&mut inner, next, names, steps + 1)?;
                set_item(list, index, Value::Array(inner))
            }
            Some(_) => {
                let mut inner = match list.get_mut(at).map(Value::take) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                let result = self.key(&mut inner, names, steps + 1);
                if let Some(place) = list.get_mut(at) {
                    *place = Value::Object(inner);
                    return result;
                }
                result?;
                set_item(list, index, Value::Object(inner))
            }
        }
    }

    /// What follows the equals sign, with the comma behind it.
    fn value(&mut self) -> Result<Value, Stop> {
        match self.flag {
            Flag::Literal => Ok(Value::from(std::mem::take(&mut self.rest))),
            Flag::Json => self.json(),
            _ if self.rest.is_empty() => Ok(Value::from("")),
            _ if self.rest.starts_with('{') => self.list(),
            _ => {
                let (text, _) = self.until(&[',']);
                self.typed(text)
            }
        }
    }

    fn json(&mut self) -> Result<Value, Stop> {
        if self.is_empty_value() {
            return Ok(Value::Null);
        }
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return wrong(error.to_string()),
            None => return wrong("unexpected end of JSON input"),
        };
        self.rest = self.rest.get(stream.byte_offset()..).unwrap_or_default();
        self.is_empty_value();
        Ok(value)
    }

    /// Goes past blanks and one comma; whether nothing else stood there.
    fn is_empty_value(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }

    /// `{a,b}`
    fn list(&mut self) -> Result<Value, Stop> {
        self.next();
        let mut list = Vec::new();
        loop {
            let (text, mark) = self.until(&[',', '}']);
            if mark.is_none() {
                return wrong("list must terminate with '}'");
            }
            if mark == Some('}') {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                list.push(self.typed(text)?);
                return Ok(Value::Array(list));
            }
            list.push(self.typed(text)?);
        }
    }

    fn typed(&mut self, text: String) -> Result<Value, Stop> {
        match self.flag {
            Flag::File => (self.read_file)(&text).map(Value::from).map_err(Stop::Wrong),
            Flag::Set => Ok(typed(text)),
            _ => Ok(Value::from(text)),
        }
    }
}

fn typed(text: String) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::from(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::from(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    // Leading zeros are kept: they are identifiers more often than numbers.
    if (text == "0" || !text.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::from(number);
    }
    Value::from(text)
}

/// Helm ignores what would have an empty name.
fn put(values: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        values.insert(key, value);
    }
}

fn set_item(list: &mut Vec<Value>, index: i64, value: Value) -> Result<(), Stop> {
    if index > MAX_INDEX {
        return wrong(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}"));
    }
    let index = usize::try_from(index).unwrap_or_default();
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
    Ok(())
}

/// What Go says when a value is not of the kind that its name asks for.
fn not_a(value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    format!("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")
}
