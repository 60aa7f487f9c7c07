//! Go's fmt: every verb and flag, width and precision, `*` and `[n]`, the `%!` forms, maps in order of their keys.
//!
//! Start at [`sprint`] and [`sprintf`].

use super::error::Failure;
use super::strconv::{self, decode, push_char};
use super::value::{MAX_NESTING, Object, Type, Under, Value};

pub use super::strconv::{format_float, parse_float, parse_int, parse_uint, quote, quote_to_ascii};

/// `fmt.Sprint`: a space between operands when neither is a string.
pub fn sprint(arguments: &[Value]) -> Vec<u8> {
    try_sprint(arguments).unwrap_or_default()
}

/// `fmt.Sprintf`.
pub fn sprintf(format: &[u8], arguments: &[Value]) -> Vec<u8> {
    try_sprintf(format, arguments).unwrap_or_default()
}

/// As [`sprint`].
///
/// # Errors
/// A value is nested without end.
pub fn try_sprint(arguments: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::default();
    let mut after_string = true;
    for argument in arguments {
        let is_string = matches!(argument, Value::String(_));
        if !is_string && !after_string {
            printer.out.push(b' ');
        }
        printer.argument(argument, 'v');
        after_string = is_string;
    }
    printer.finish()
}

/// `fmt.Sprintln`: a space between all operands, a newline at the end.
///
/// # Errors
/// A value is nested without end.
pub fn try_sprintln(arguments: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::default();
    for (at, argument) in arguments.iter().enumerate() {
        if at > 0 {
            printer.out.push(b' ');
        }
        printer.argument(argument, 'v');
    }
    printer.out.push(b'\n');
    printer.finish()
}

/// As [`sprintf`].
///
/// # Errors
/// A value is nested without end.
pub fn try_sprintf(format: &[u8], arguments: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut directive =
        Directives { printer: Printer::default(), format, at: 0, arguments, next: 0, reordered: false, good: true };
    directive.run();
    directive.printer.finish()
}

/// Appends a value as `%v` prints it.
pub(super) fn print_to(out: &mut Vec<u8>, value: &Value) -> Result<(), Failure> {
    match value {
        Value::Int(number) | Value::Int64(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Float(number) => out.extend_from_slice(format_float(*number, 'g', None).as_bytes()),
        _ => out.extend_from_slice(&try_sprint(std::slice::from_ref(value))?),
    }
    Ok(())
}

// What stands between the percent sign and the verb.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`
    plus_v: bool,
    /// `%#v`
    sharp_v: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

// Walks a format string.
struct Directives<'a> {
    printer: Printer,
    format: &'a [u8],
    at: usize,
    arguments: &'a [Value],
    next: usize,
    reordered: bool,
    good: bool,
}

impl Directives<'_> {
    fn run(&mut self) {
        while self.at < self.format.len() {
            let rest = &self.format[self.at..];
            let text = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            self.printer.out.extend_from_slice(&rest[..text]);
            self.at += text;
            if self.at < self.format.len() {
                self.at += 1;
                self.directive();
            }
        }
        if !self.reordered && self.next < self.arguments.len() {
            self.extra();
        }
    }

    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn directive(&mut self) {
        self.good = true;
        self.printer.flags = Flags::default();
        self.flags();
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            self.star_width();
            after_index = false;
        } else {
            self.printer.flags.width = self.number();
            if after_index && self.printer.flags.width.is_some() {
                self.good = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            after_index = self.precision(after_index);
        }
        if !after_index {
            self.index();
        }
        self.verb();
    }

    fn flags(&mut self) {
        while let Some(byte) = self.peek() {
            let flags = &mut self.printer.flags;
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
    }

    fn star_width(&mut self) {
        let width = self.integer_argument();
        let flags = &mut self.printer.flags;
        match width {
            None => self.printer.out.extend_from_slice(b"%!(BADWIDTH)"),
            Some(width) => {
                flags.width = Some(width.unsigned_abs() as usize);
                if width < 0 {
                    flags.minus = true;
                    flags.zero = false;
                }
            }
        }
    }

    fn precision(&mut self, mut after_index: bool) -> bool {
        if after_index {
            self.good = false;
        }
        after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.integer_argument() {
                Some(precision) if precision >= 0 => self.printer.flags.precision = Some(precision as usize),
                _ => self.printer.out.extend_from_slice(b"%!(BADPREC)"),
            }
            return false;
        }
        self.printer.flags.precision = Some(self.number().unwrap_or(0));
        after_index
    }

    // A number up to a million or so; what is longer takes all that follows, as in Go.
    fn number(&mut self) -> Option<usize> {
        let (number, after) = number_at(self.format, self.at, self.format.len());
        self.at = after;
        number
    }

    // `[3]` chooses the argument that comes next; whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let close = if rest.len() < 3 { None } else { rest.iter().position(|byte| *byte == b']') };
        let Some(close) = close else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let (number, after) = number_at(rest, 1, close);
        self.at += close + 1;
        match number {
            Some(number) if after == close => {
                match number.checked_sub(1).filter(|index| *index < self.arguments.len()) {
                    Some(index) => self.next = index,
                    None => self.good = false,
                }
                true
            }
            _ => {
                self.good = false;
                false
            }
        }
    }

    fn integer_argument(&mut self) -> Option<i64> {
        let value = self.arguments.get(self.next)?;
        self.next += 1;
        let number = i64::try_from(value.as_integer()?).ok()?;
        (-1_000_000..=1_000_000).contains(&number).then_some(number)
    }

    fn verb(&mut self) {
        let printer = &mut self.printer;
        if self.at >= self.format.len() {
            printer.out.extend_from_slice(b"%!(NOVERB)");
            return;
        }
        let (verb, width) = decode(&self.format[self.at..]);
        self.at += width;
        match self.arguments.get(self.next) {
            _ if verb == '%' => printer.out.push(b'%'),
            _ if !self.good => printer.complain(verb, b"(BADINDEX)"),
            None => printer.complain(verb, b"(MISSING)"),
            Some(argument) => {
                let flags = &mut printer.flags;
                if matches!(verb, 'v' | 'w') {
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus_v = std::mem::take(&mut flags.plus);
                }
                printer.argument(argument, verb);
                self.next += 1;
            }
        }
    }

    fn extra(&mut self) {
        let printer = &mut self.printer;
        printer.flags = Flags::default();
        printer.out.extend_from_slice(b"%!(EXTRA ");
        for (at, argument) in self.arguments[self.next..].iter().enumerate() {
            if at > 0 {
                printer.out.extend_from_slice(b", ");
            }
            printer.typed(argument);
        }
        printer.out.push(b')');
    }
}

fn number_at(text: &[u8], start: usize, end: usize) -> (Option<usize>, usize) {
    let mut number: Option<usize> = None;
    for (at, byte) in text.iter().enumerate().take(end).skip(start) {
        if !byte.is_ascii_digit() {
            return (number, at);
        }
        let before = number.unwrap_or(0);
        if before > 1_000_000 {
            return (None, end);
        }
        number = Some(before * 10 + usize::from(byte - b'0'));
    }
    (number, end)
}

// Prints values by one verb and its flags.
#[derive(Default)]
struct Printer {
    out: Vec<u8>,
    flags: Flags,
    /// Inside of a `%!` form, where methods are not called.
    complaining: bool,
    /// The named type of the scalar being printed.
    named: Option<Type>,
    too_deep: bool,
}

impl Printer {
    fn finish(self) -> Result<Vec<u8>, Failure> {
        if self.too_deep { Err(Failure::new("value is nested too deeply to be printed")) } else { Ok(self.out) }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn complain(&mut self, verb: char, what: &[u8]) {
        self.push("%!");
        push_char(&mut self.out, verb);
        self.out.extend_from_slice(what);
    }

    fn bad_verb(&mut self, verb: char, value: &Value) {
        self.complaining = true;
        self.complain(verb, b"(");
        self.typed(value);
        self.push(")");
        self.complaining = false;
    }

    // `int=3`
    fn typed(&mut self, value: &Value) {
        if matches!(value, Value::Nil) {
            self.push("<nil>");
            return;
        }
        let name = self.named.map_or_else(|| value.type_name(), |named| named.to_string());
        self.push(&name);
        self.push("=");
        self.argument(value, 'v');
    }

    // ---- values ----

    fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (_, 'T') => self.string(value.type_name().as_bytes()),
            (Value::List(_) | Value::Map(_) | Value::Object(_), 'w') => self.bad_verb(verb, value),
            (Value::Bytes(bytes), _) => self.bytes(value, bytes, verb, "[]byte"),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if depth > MAX_NESTING {
            self.too_deep = true;
            return;
        }
        match value {
            Value::Nil if depth == 0 => self.bad_verb(verb, value),
            Value::Nil if self.flags.sharp_v => self.push("interface {}(nil)"),
            Value::Nil => self.push("<nil>"),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => self.pad(if *truth { b"true" } else { b"false" }),
            Value::Bool(_) => self.bad_verb(verb, value),
            Value::Int(number) | Value::Int64(number) => self.integer(*number as u64, true, verb, value),
            Value::Integer(number) => {
                self.integer(number.as_i128() as u64, !number.is_unsigned(), verb, value);
            }
            Value::Float(number) => self.float(*number, verb, value),
            Value::String(text) => self.text(text, verb, value),
            Value::Bytes(bytes) if matches!(verb, 's' | 'q' | 'x' | 'X') => self.bytes(value, bytes, verb, "[]uint8"),
            Value::Bytes(bytes) => {
                let items = bytes.iter().map(|byte| Value::Integer(super::value::Integer::Uint8(*byte)));
                self.list("[]uint8", false, items, verb, depth);
            }
            Value::List(list) => {
                self.list(&list.type_of().to_string(), list.is_nil(), list.iter().cloned(), verb, depth);
            }
            Value::Map(map) => {
                let open = if self.flags.sharp_v { map.type_of().to_string() } else { "map".to_owned() };
                self.push(&open);
                if self.flags.sharp_v && map.is_nil() {
                    self.push("(nil)");
                    return;
                }
                self.push(if self.flags.sharp_v { "{" } else { "[" });
                for (at, (key, item)) in map.entries().into_iter().enumerate() {
                    self.separate(at);
                    self.value(&Value::String(key), verb, depth + 1);
                    self.push(":");
                    self.value(&item, verb, depth + 1);
                }
                self.push(if self.flags.sharp_v { "}" } else { "]" });
            }
            Value::Object(object) => self.object(&**object, value, verb, depth),
        }
    }

    fn separate(&mut self, at: usize) {
        if at > 0 {
            self.push(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    fn list(&mut self, kind: &str, nil: bool, items: impl Iterator<Item = Value>, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.push(kind);
            if nil {
                self.push("(nil)");
                return;
            }
        }
        self.push(if self.flags.sharp_v { "{" } else { "[" });
        for (at, item) in items.enumerate() {
            self.separate(at);
            self.value(&item, verb, depth + 1);
        }
        self.push(if self.flags.sharp_v { "}" } else { "]" });
    }

    fn object(&mut self, object: &dyn Object, value: &Value, verb: char, depth: usize) {
        let stringable = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.flags.sharp_v && !self.complaining;
        if let Some(text) = object.string().filter(|_| stringable) {
            return self.text(text.as_bytes(), verb, value);
        }
        let kind = object.type_of();
        if let Some(under) = object.underlying() {
            // A verb that does not fit complains of the named type.
            self.named = Some(kind).filter(|_| !matches!(under, Value::List(_) | Value::Map(_)));
            self.value(&under, verb, depth);
            self.named = None;
            return;
        }
        let name = kind.to_string();
        let mut struct_name = name.as_str();
        if let Type::Named(named) = kind
            && matches!(named.under, Under::Pointer)
        {
            if depth > 0 {
                return self.push("0xc000000000");
            }
            self.push("&");
            struct_name = name.trim_start_matches('*');
        }
        if self.flags.sharp_v {
            self.push(struct_name);
        }
        self.push("{");
        for (at, (name, field)) in object.fields().into_iter().enumerate() {
            self.separate(at);
            if self.flags.plus_v || self.flags.sharp_v {
                self.push(name);
                self.push(":");
            }
            self.value(&field, verb, depth + 1);
        }
        self.push("}");
    }

    // ---- strings ----

    fn text(&mut self, text: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'x' => self.hexadecimal(text, b"0123456789abcdefx"),
            'X' => self.hexadecimal(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.bad_verb(verb, value),
        }
    }

    fn bytes(&mut self, value: &Value, bytes: &[u8], verb: char, kind: &str) {
        match verb {
            'v' | 'd' if self.flags.sharp_v => {
                let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
                self.push(kind);
                self.push(&format!("{{{}}}", bytes.join(", ")));
            }
            'v' | 'd' => {
                self.push("[");
                for (at, byte) in bytes.iter().enumerate() {
                    self.separate(at);
                    self.integer(u64::from(*byte), false, 'd', value);
                }
                self.push("]");
            }
            's' | 'q' | 'x' | 'X' => self.text(bytes, verb, value),
            _ => self.value(value, verb, 0),
        }
    }

    fn string(&mut self, text: &[u8]) {
        self.pad(self.truncated(text));
    }

    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let mut end = 0;
        for _ in 0..precision {
            if end >= text.len() {
                break;
            }
            end += decode(&text[end..]).1;
        }
        &text[..end]
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        if self.flags.sharp && strconv::can_backquote(text) {
            let mut quoted = vec![b'`'];
            quoted.extend_from_slice(text);
            quoted.push(b'`');
            return self.pad(&quoted);
        }
        let quoted = if self.flags.plus { quote_to_ascii(text) } else { quote(text) };
        self.pad(quoted.as_bytes());
    }

    fn hexadecimal(&mut self, text: &[u8], digits: &[u8; 17]) {
        let text = &text[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let mut hexadecimal = Vec::with_capacity(text.len() * 2 + 2);
        for (at, byte) in text.iter().enumerate() {
            if self.flags.space && at > 0 {
                hexadecimal.push(b' ');
            }
            if self.flags.sharp && (at == 0 || self.flags.space) {
                hexadecimal.extend_from_slice(&[b'0', digits[16]]);
            }
            hexadecimal.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        self.pad(&hexadecimal);
    }

    // ---- numbers ----

    fn integer(&mut self, bits: u64, signed: bool, verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(bits, 16, signed, verb);
                self.flags.sharp = sharp;
            }
            'v' | 'd' => self.digits(bits, 10, signed, verb),
            'b' => self.digits(bits, 2, signed, verb),
            'o' | 'O' => self.digits(bits, 8, signed, verb),
            'x' | 'X' => self.digits(bits, 16, signed, verb),
            'c' => {
                let mut text = Vec::new();
                push_char(&mut text, character(bits));
                self.pad(&text);
            }
            'q' => self.pad(strconv::quote_char(character(bits), self.flags.plus).as_bytes()),
            'U' => self.code_point(bits),
            _ => self.bad_verb(verb, value),
        }
    }

    fn digits(&mut self, bits: u64, base: u32, signed: bool, verb: char) {
        let flags = self.flags;
        let negative = signed && (bits as i64) < 0;
        let magnitude = if negative { bits.wrapping_neg() } else { bits };
        let mut least = flags.precision.unwrap_or(0);
        match flags.precision {
            Some(0) if magnitude == 0 => {
                // Nothing but padding.
                let width = flags.width.unwrap_or(0);
                self.out.extend(std::iter::repeat_n(b' ', width));
                return;
            }
            None if flags.zero && !flags.minus => {
                let sign = usize::from(negative || flags.plus || flags.space);
                least = flags.width.unwrap_or(0).saturating_sub(sign);
            }
            _ => {}
        }
        let digits = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        let mut text = "0".repeat(least.saturating_sub(digits.len()));
        text.push_str(&digits);
        let prefix = match (base, verb) {
            (2, _) if flags.sharp => "0b",
            (8, 'O') if flags.sharp && !text.starts_with('0') => "0o0",
            (8, 'O') => "0o",
            (8, _) if flags.sharp && !text.starts_with('0') => "0",
            (16, 'X') if flags.sharp => "0X",
            (16, _) if flags.sharp => "0x",
            _ => "",
        };
        text.insert_str(0, prefix);
        text.insert_str(0, sign(negative, &flags));
        self.pad_with_spaces(text.as_bytes());
    }

    fn code_point(&mut self, bits: u64) {
        let digits = format!("{bits:X}");
        let least = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        let shown = u32::try_from(bits).ok().and_then(char::from_u32);
        if let Some(shown) = shown.filter(|shown| self.flags.sharp && strconv::is_print(*shown)) {
            text.push_str(&format!(" '{shown}'"));
        }
        self.pad_with_spaces(text.as_bytes());
    }

    fn float(&mut self, number: f64, verb: char, value: &Value) {
        let (form, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'F' => ('f', Some(6)),
            'e' | 'E' => (verb, Some(6)),
            _ => return self.bad_verb(verb, value),
        };
        let flags = self.flags;
        let precision = flags.precision.or(precision);
        let text = format_float(number, form, precision);
        let (negative, text) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest.to_owned()),
            None => (false, text),
        };
        let sign = sign(negative, &flags);
        if !number.is_finite() {
            // Infinity has its sign always; neither is padded with zeros.
            let sign = if number.is_infinite() && sign.is_empty() && !flags.plus { "+" } else { sign };
            return self.pad_with_spaces(format!("{sign}{text}").as_bytes());
        }
        let text = if flags.sharp && verb != 'b' { with_point(&text, form, precision) } else { text };
        let width = flags.width.unwrap_or(0);
        if flags.zero && !flags.minus && !sign.is_empty() && width > text.len() + 1 {
            self.push(sign);
            self.push(&"0".repeat(width - 1 - text.len()));
            self.push(&text);
            return;
        }
        self.pad(format!("{sign}{text}").as_bytes());
    }

    // ---- padding ----

    fn pad(&mut self, text: &[u8]) {
        let fill = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.pad_by(text, fill);
    }

    fn pad_with_spaces(&mut self, text: &[u8]) {
        self.pad_by(text, b' ');
    }

    fn pad_by(&mut self, text: &[u8], fill: u8) {
        let width = self.flags.width.unwrap_or(0);
        let missing = if width == 0 { 0 } else { width.saturating_sub(count_chars(text)) };
        let padding = std::iter::repeat_n(fill, missing);
        if self.flags.minus {
            self.out.extend_from_slice(text);
            self.out.extend(padding);
        } else {
            self.out.extend(padding);
            self.out.extend_from_slice(text);
        }
    }
}

fn sign(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn character(bits: u64) -> char {
    u32::try_from(bits).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn count_chars(mut text: &[u8]) -> usize {
    let mut count = 0;
    while !text.is_empty() {
        text = &text[decode(text).1..];
        count += 1;
    }
    count
}

// `%#g` and its like: always a decimal point, and trailing zeros up to the precision.
fn with_point(text: &str, form: char, precision: Option<usize>) -> String {
    let is_hexadecimal = matches!(form, 'x' | 'X');
    let exponent = text.find(if is_hexadecimal { ['p', 'P'] } else { ['e', 'E'] }).unwrap_or(text.len());
    let (mantissa, tail) = text.split_at(exponent);
    let mut wanted = match form {
        'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let mut out = mantissa.to_owned();
    let mut seen = false;
    for digit in mantissa.chars().filter(|character| *character != '.') {
        seen |= digit != '0';
        wanted = wanted.saturating_sub(usize::from(seen));
    }
    if !mantissa.contains('.') {
        if mantissa == "0" {
            wanted = wanted.saturating_sub(1);
        }
        out.push('.');
    }
    out.push_str(&"0".repeat(wanted));
    out.push_str(tail);
    out
}
