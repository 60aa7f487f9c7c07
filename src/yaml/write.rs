//! Writes a value with the bytes of Go's `sigs.k8s.io/yaml`: sorted keys, two spaces, lists not indented, quotes where a
//! reader of YAML 1.1 would see something else than text.
//!
//! Go writes by an emitter that keeps a column and two flags ("only white space so far on this line", "only indentation
//! and dashes so far"); line breaks follow from these. The same state is kept here, since folded long lines and keys of
//! several lines depend on it.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::resolve::{Scalar, go_float, json_number, resolve};

/// Columns after which a space becomes a line break.
const WIDTH: usize = 80;
/// Longest key in bytes that stands before its colon on one line.
const SIMPLE_KEY: usize = 128;

/// Writes a value as Go's `yaml.Marshal` of `sigs.k8s.io/yaml` does.
///
/// Control characters that Go cannot marshal (`U+007F` to `U+009F`) are written as escapes.
///
/// ```
/// let value = serde_json::json!({"port": "80", "args": ["yes", "a b"], "empty": {}});
/// assert_eq!(bowline::yaml::write(&value), "args:\n- \"yes\"\n- a b\nempty: {}\nport: \"80\"\n");
/// ```
pub fn write(value: &Value) -> String {
    let mut emitter = Emitter { out: String::new(), column: 0, whitespace: true, indention: true };
    emitter.node(value, None, Place::Root);
    emitter.indent(0);
    emitter.out
}

/// What a node is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Mapping,
    SimpleKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

struct Emitter {
    out: String,
    column: usize,
    /// The last thing written leaves room for a token.
    whitespace: bool,
    /// This line holds only indentation and indicators that indent.
    indention: bool,
}

impl Emitter {
    fn node(&mut self, value: &Value, indent: Option<usize>, place: Place) {
        match value {
            Value::Null => self.plain("null", None),
            Value::Bool(true) => self.plain("true", None),
            Value::Bool(false) => self.plain("false", None),
            Value::Number(number) => self.plain(&number_text(number), None),
            Value::String(text) => self.text(text, indent, place),
            Value::Array(items) if items.is_empty() => self.indicator("[]", true, false, false),
            Value::Object(map) if map.is_empty() => self.indicator("{}", true, false, false),
            Value::Array(items) => self.list(items, indent, place),
            Value::Object(map) => self.mapping(map, indent),
        }
    }

    fn list(&mut self, items: &[Value], indent: Option<usize>, place: Place) {
        let inner = match indent {
            None => 0,
            Some(indent) if place == Place::Mapping && !self.indention => indent,
            Some(indent) => indent + 2,
        };
        for item in items {
            self.indent(inner);
            self.indicator("-", true, false, true);
            self.node(item, Some(inner), Place::Item);
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, indent: Option<usize>) {
        let inner = indent.map_or(0, |indent| indent + 2);
        for (key, value) in in_order(map) {
            self.indent(inner);
            if key.len() <= SIMPLE_KEY && !key.contains(is_break) {
                self.text(key, Some(inner), Place::SimpleKey);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, Some(inner), Place::Mapping);
                self.indent(inner);
                self.indicator(":", true, false, true);
            }
            self.node(value, Some(inner), Place::Mapping);
        }
    }

    /// Begins a line at this indentation, unless that is where we are.
    fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, apart: bool, leaves_room: bool, indents: bool) {
        if apart && !self.whitespace {
            self.put(' ');
        }
        self.out.push_str(text);
        self.column += text.len();
        self.whitespace = leaves_room;
        self.indention = self.indention && indents;
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn put_break(&mut self, character: char) {
        self.out.push(character);
        self.column = 0;
    }

    fn text(&mut self, text: &str, indent: Option<usize>, place: Place) {
        let inner = indent.map_or(2, |indent| indent + 2);
        let fold = (place != Place::SimpleKey).then_some(inner);
        match style(text, place == Place::SimpleKey) {
            Style::Plain => self.plain(text, fold),
            Style::Single => self.single(text, fold),
            Style::Double => self.double(text, fold),
            Style::Literal => self.literal(text, inner),
        }
    }

    fn plain(&mut self, text: &str, fold: Option<usize>) {
        if !self.whitespace {
            self.put(' ');
        }
        match fold {
            Some(indent) => self.folded(text, indent, false),
            None => {
                self.out.push_str(text);
                self.column += text.chars().count();
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, fold: Option<usize>) {
        self.indicator("'", true, false, false);
        self.folded(text, fold.unwrap_or(usize::MAX), true);
        self.indicator("'", false, false, false);
    }

    /// Writes a plain or single-quoted text and breaks it at single spaces past the width.
    fn folded(&mut self, text: &str, indent: usize, quoted: bool) {
        if self.column + text.len() <= WIDTH && !text.contains(['\'', '\u{2028}', '\u{2029}']) {
            self.out.push_str(text);
            self.column += text.chars().count();
            self.indention &= text.is_empty();
            return;
        }
        let (mut spaces, mut breaks) = (false, false);
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            if character == ' ' {
                let inside = !quoted || (at > 0 && next.is_some());
                if indent != usize::MAX && !spaces && self.column > WIDTH && inside && next != Some(' ') {
                    self.indent(indent);
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(character) {
                if !breaks && character == '\n' {
                    self.line_break();
                }
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if quoted && character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn double(&mut self, text: &str, fold: Option<usize>) {
        self.indicator("\"", true, false, false);
        let mut spaces = false;
        let mut characters = text.chars().enumerate().peekable();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|&(_, next)| next);
            if !is_printable(character) || is_break(character) || matches!(character, '"' | '\\') {
                self.escape(character);
                spaces = false;
            } else if character == ' ' {
                match fold {
                    Some(indent) if !spaces && self.column > WIDTH && at > 0 && next.is_some() => {
                        self.indent(indent);
                        if next == Some(' ') {
                            self.put('\\');
                        }
                    }
                    _ => self.put(' '),
                }
                spaces = true;
            } else {
                self.put(character);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn escape(&mut self, character: char) {
        let short = match character {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => character,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(character);
                let escaped = match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                self.out.push_str(&escaped);
                self.column += escaped.len();
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
            self.indicator("2", false, false, false);
        }
        let mut from_end = text.chars().rev();
        match (from_end.next(), from_end.next()) {
            (Some(last), before) if is_break(last) => {
                if before.is_none_or(is_break) {
                    self.indicator("+", false, false, false);
                }
            }
            _ => self.indicator("-", false, false, false),
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for character in text.chars() {
            if is_break(character) {
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

fn number_text(number: &Number) -> Cow<'static, str> {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return Cow::Owned(number.to_string()) };
    if float == 0.0 {
        return Cow::Borrowed("0"); // Go's way leads over JSON, where -0 is an integer
    }
    match json_number(float) {
        Some(Value::Number(whole)) if !whole.is_f64() => Cow::Owned(whole.to_string()),
        _ => Cow::Owned(go_float(float, 64)),
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What Go's emitter takes for printable: nothing above U+FFFF, no tab.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

fn style(text: &str, is_key: bool) -> Style {
    let wanted = if text.contains('\n') {
        Style::Literal
    } else if matches!(resolve(text), Scalar::Text) && !is_base_60(text) {
        Style::Plain
    } else {
        return Style::Double;
    };
    let allowed = Allowed::of(text);
    match wanted {
        Style::Literal if allowed.block && !is_key => Style::Literal,
        Style::Plain if allowed.plain => Style::Plain,
        Style::Plain if allowed.single => Style::Single,
        _ => Style::Double,
    }
}

/// The styles in which a text can be written.
struct Allowed {
    plain: bool,
    single: bool,
    block: bool,
}

impl Allowed {
    fn of(text: &str) -> Self {
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut line_breaks, mut break_space, mut space_break) = (false, false, false, false);
        let (mut previous_space, mut previous_break, mut previous_blank) = (false, false, true);
        let mut characters = text.chars().peekable();
        let mut first = true;
        while let Some(character) = characters.next() {
            let next_blank = characters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match character {
                ':' => next_blank,
                '?' | '-' if first => next_blank,
                '#' => first || previous_blank,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => first,
                _ => false,
            };
            special |= !is_printable(character);
            let (space, line_break) = (character == ' ', is_break(character));
            break_space |= space && previous_break;
            space_break |= line_break && previous_space;
            line_breaks |= line_break;
            previous_blank = space || line_break || character == '\t';
            (previous_space, previous_break) = (space, line_break);
            first = false;
        }
        let edges = text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) || previous_space || previous_break;
        let single = !break_space && !space_break && !special;
        Allowed {
            plain: single && !edges && !line_breaks && !indicators,
            single,
            block: !previous_space && !space_break && !special,
        }
    }
}

/// `12:30:45`: a number to base 60 in YAML 1.1, which Go writes in quotes though it does not read it so.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let mut parts = whole.split(':');
    let Some(head) = parts.next() else { return false };
    let digit_or_underscore = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let sixtieth = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    whole.contains(':')
        && head.starts_with(|first: char| first.is_ascii_digit())
        && head.bytes().all(digit_or_underscore)
        && parts.all(sixtieth)
        && fraction.bytes().all(digit_or_underscore)
}

/// The entries in Go's order: numbers inside keys by value, other characters before letters.
pub(crate) fn in_order(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    let ascending = |pair: &[(&String, &Value)]| natural(pair[0].0, pair[1].0) == Ordering::Less;
    if !entries.windows(2).all(ascending) {
        merge_sort(&mut entries);
    }
    entries
}

/// The order is not total for some long numbers, which the sort of the standard library may answer with a panic.
fn merge_sort(entries: &mut Vec<(&String, &Value)>) {
    if entries.len() < 2 {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    merge_sort(entries);
    merge_sort(&mut right);
    let left = std::mem::take(entries);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if natural(b.0, a.0) == Ordering::Less { right.next() } else { left.next() };
        entries.extend(next);
    }
    entries.extend(left);
    entries.extend(right);
}

fn natural(a: &str, b: &str) -> Ordering {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let mut same = same;
    while !a.is_char_boundary(same) || !b.is_char_boundary(same) {
        same -= 1;
    }
    let (Some(left), Some(right)) = (a[same..].chars().next(), b[same..].chars().next()) else {
        return a.len().cmp(&b.len());
    };
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left.cmp(&right),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let after_number = (left == '0' || right == '0')
        && a[..same].bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit);
        digits.fold((i64::from(after_number), 0usize), |(number, length), digit| {
            (number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), length + 1)
        })
    };
    number(&a[same..]).cmp(&number(&b[same..])).then(left.cmp(&right))
}
