//! JSON as Go's `encoding/json` prints and reads it.
//!
//! Printing: keys sorted, `<`, `>` and `&` escaped unless told otherwise, floats by Go's rules. Reading: Go's messages.

use super::error::Failure;
use super::strconv;
use super::value::{List, MAX_NESTING, Map, Numbers, Type, Value};
use base64::Engine as _;

/// How JSON is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// `<`, `>` and `&` as `\u003c` and so on.
    pub(crate) escape_html: bool,
    /// An item a line, two spaces a level.
    pub(crate) pretty: bool,
}

/// Prints a value.
pub(crate) fn write(value: &Value, style: Style) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    write_value(&mut out, value, style, 0)?;
    Ok(out)
}

fn write_value(out: &mut Vec<u8>, value: &Value, style: Style, depth: usize) -> Result<(), Failure> {
    if depth > MAX_NESTING {
        return Err(Failure::new("json: unsupported value: nested too deeply"));
    }
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
        Value::Int(number) | Value::Int64(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Integer(number) => out.extend_from_slice(number.as_i128().to_string().as_bytes()),
        Value::Float(number) => out.extend_from_slice(float(*number)?.as_bytes()),
        Value::String(text) => write_text(out, text, style.escape_html),
        Value::Bytes(bytes) => {
            write_text(out, base64::engine::general_purpose::STANDARD.encode(&**bytes).as_bytes(), false);
        }
        Value::List(list) if list.is_nil() => out.extend_from_slice(b"null"),
        Value::List(list) => {
            let items = list.iter().map(|item| (None, item));
            write_items(out, (b'[', b']'), items, style, depth)?;
        }
        Value::Map(map) if map.is_nil() => out.extend_from_slice(b"null"),
        Value::Map(map) => {
            let entries = map.borrow();
            let items = entries.iter().map(|(key, value)| (Some(&**key), value));
            write_items(out, (b'{', b'}'), items, style, depth)?;
        }
        Value::Object(object) => {
            let json = Value::from_json_with(&object.to_json()?, Numbers::Int64);
            write_value(out, &json, style, depth)?;
        }
    }
    Ok(())
}

fn write_items<'v>(
    out: &mut Vec<u8>,
    (open, close): (u8, u8),
    items: impl Iterator<Item = (Option<&'v [u8]>, &'v Value)>,
    style: Style,
    depth: usize,
) -> Result<(), Failure> {
    let new_line = |out: &mut Vec<u8>, depth: usize| {
        if style.pretty {
            out.push(b'\n');
            out.resize(out.len() + 2 * depth, b' ');
        }
    };
    out.push(open);
    let start = out.len();
    for (key, item) in items {
        if out.len() > start {
            out.push(b',');
        }
        new_line(out, depth + 1);
        if let Some(key) = key {
            write_text(out, key, style.escape_html);
            out.extend_from_slice(if style.pretty { b": " } else { b":" });
        }
        write_value(out, item, style, depth + 1)?;
    }
    if out.len() > start {
        new_line(out, depth);
    }
    out.push(close);
    Ok(())
}

/// A float as Go's encoder prints it: exponents only for the very small and the very large.
pub(crate) fn float(number: f64) -> Result<String, Failure> {
    if !number.is_finite() {
        let name = strconv::format_float(number, 'g', None);
        return Err(Failure::new(format!("json: unsupported value: {name}")));
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // Go prints e-09, and JSON takes one zero away.
        let text = strconv::format_float(number, 'e', None);
        return Ok(text.replacen("e-0", "e-", 1));
    }
    Ok(strconv::format_float(number, 'f', None))
}

fn write_text(out: &mut Vec<u8>, text: &[u8], escape_html: bool) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\u{8}' => out.extend_from_slice(b"\\b"),
                '\u{c}' => out.extend_from_slice(b"\\f"),
                '<' | '>' | '&' if escape_html => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
                '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
                }
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

/// Reads a text that must hold one value; numbers become `float64`.
pub(crate) fn read(text: &[u8]) -> Result<Value, Failure> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(value),
        Some(byte) => Err(unexpected(byte, "after top-level value")),
    }
}

/// Reads a text into a variable of Go's type `map[string]interface {}`: `null` is the nil map.
pub(crate) fn read_map(text: &[u8]) -> Result<Map, Failure> {
    into_map(read(text)?)
}

/// What Go makes of decoded JSON where a `map[string]interface {}` is wanted.
pub(crate) fn into_map(value: Value) -> Result<Map, Failure> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Nil => Ok(Map::nil(Type::MAP)),
        other => Err(mismatch(&other, "map[string]interface {}")),
    }
}

/// Reads a text into a variable of Go's type `[]interface {}`: `null` is the nil slice.
pub(crate) fn read_list(text: &[u8]) -> Result<List, Failure> {
    into_list(read(text)?)
}

/// What Go makes of decoded JSON where a `[]interface {}` is wanted.
pub(crate) fn into_list(value: Value) -> Result<List, Failure> {
    match value {
        Value::List(list) => Ok(list),
        Value::Nil => Ok(List::nil(Type::LIST)),
        other => Err(mismatch(&other, "[]interface {}")),
    }
}

fn mismatch(value: &Value, wanted: &str) -> Failure {
    let found = match value {
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    };
    Failure::new(format!("json: cannot unmarshal {found} into Go value of type {wanted}"))
}

fn unexpected(byte: u8, place: &str) -> Failure {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        _ => {
            let quoted = strconv::quote(char::from(byte).encode_utf8(&mut [0; 4]).as_bytes());
            quoted[1..quoted.len() - 1].to_owned()
        }
    };
    Failure::new(format!("invalid character '{shown}' {place}"))
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space.
    fn visible(&mut self) -> Result<u8, Failure> {
        self.skip_space();
        self.byte()
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        let byte = self.peek().ok_or_else(|| Failure::new("unexpected end of JSON input"))?;
        self.at += 1;
        Ok(byte)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Failure> {
        if depth > MAX_NESTING {
            return Err(Failure::new("exceeded max depth"));
        }
        match self.visible()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Value::string),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Nil),
            byte @ (b'-' | b'0'..=b'9') => self.number(byte),
            byte => Err(unexpected(byte, "looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, Failure> {
        for expected in word.bytes().skip(1) {
            let byte = self.byte()?;
            if byte != expected {
                return Err(unexpected(byte, &format!("in literal {word} (expecting '{}')", char::from(expected))));
            }
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, Failure> {
        let map = Map::new();
        let mut first = true;
        loop {
            match self.visible()? {
                b'}' if first => return Ok(map.into()),
                b'"' => {}
                byte => return Err(unexpected(byte, "looking for beginning of object key string")),
            }
            first = false;
            let key = self.string()?;
            match self.visible()? {
                b':' => {}
                byte => return Err(unexpected(byte, "after object key")),
            }
            map.insert(key, self.value(depth + 1)?);
            match self.visible()? {
                b',' => {}
                b'}' => return Ok(map.into()),
                byte => return Err(unexpected(byte, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Failure> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.visible()? {
                b',' => {}
                b']' => return Ok(Value::list(items)),
                byte => return Err(unexpected(byte, "after array element")),
            }
        }
    }

    /// The rest of a string whose opening quote has been read.
    fn string(&mut self) -> Result<String, Failure> {
        let mut out = Vec::new();
        loop {
            match self.byte()? {
                b'"' => return Ok(String::from_utf8_lossy(&out).into_owned()),
                b'\\' => {
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                byte @ 0..=0x1f => return Err(unexpected(byte, "in string literal")),
                byte => out.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        Ok(match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hexadecimal()?;
                let mut code = high;
                // A pair of surrogates is one character; half a pair is none.
                if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with(b"\\u") {
                    let before = self.at;
                    self.at += 2;
                    let low = self.hexadecimal()?;
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = before;
                    }
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            byte => return Err(unexpected(byte, "in string escape code")),
        })
    }

    fn hexadecimal(&mut self) -> Result<u32, Failure> {
        (0..4).try_fold(0, |code, _| {
            let byte = self.byte()?;
            let digit = char::from(byte).to_digit(16);
            Ok(code << 4 | digit.ok_or_else(|| unexpected(byte, "in \\u hexadecimal character escape"))?)
        })
    }

    fn number(&mut self, first: u8) -> Result<Value, Failure> {
        let start = self.at - 1;
        let mut digit = first;
        if first == b'-' {
            digit = self.byte()?;
            if !digit.is_ascii_digit() {
                return Err(unexpected(digit, "in numeric literal"));
            }
        }
        if digit != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.needed_digit("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.needed_digit("in exponent of numeric literal")?;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(Failure::new(format!("json: cannot unmarshal number {text} into Go value of type float64"))),
        }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn needed_digit(&mut self, place: &str) -> Result<(), Failure> {
        let byte = self.byte()?;
        if !byte.is_ascii_digit() {
            return Err(unexpected(byte, place));
        }
        self.digits();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_of_go() {
        for (text, want) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("1 2", "invalid character '2' after top-level value"),
            ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e", "unexpected end of JSON input"),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
            ("'a'", "invalid character '\\'' looking for beginning of value"),
        ] {
            assert_eq!(read(text.as_bytes()).map(|_| ()).unwrap_err().to_string(), want, "{text}");
        }
        assert!(read("[".repeat(1_000_000).as_bytes()).is_err());
    }
}
