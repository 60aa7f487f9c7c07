//! What a scalar means in YAML 1.1 as Go's yaml.v2 understands it.

use serde_json::{Number, Value};

/// A scalar with the type its spelling gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    /// `~`, `null` or nothing.
    Null,
    /// One of the many words for true and false.
    Bool(bool),
    /// A whole number up to 64 bits.
    Int(i64),
    /// A whole number that only fits without a sign.
    Unsigned(u64),
    /// Any other number; may be infinite or not a number when the words for that were written.
    Float(f64),
    /// A date or time: stays the text it is, but is quoted when a text looks like it.
    Timestamp,
    /// Anything else: the text itself.
    Text,
}

/// The type of a plain scalar.
pub(super) fn resolve(text: &str) -> Scalar {
    let Some(&first) = text.as_bytes().first() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            _ => float(text),
        },
        b'0'..=b'9' => number(text),
        b'+' | b'-' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
            _ => number(text),
        },
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let without;
    let plain = if text.contains('_') {
        without = text.replace('_', "");
        without.as_str()
    } else {
        text
    };
    let (negative, magnitude) = match plain.as_bytes().first() {
        Some(b'-') => (true, &plain[1..]),
        Some(b'+') => (false, &plain[1..]),
        _ => (false, plain),
    };
    let signed = magnitude.len() != plain.len();
    if let Some(scalar) = integer(negative, signed, magnitude) {
        return scalar;
    }
    match float(plain) {
        Scalar::Text => odd_binary(plain),
        scalar => scalar,
    }
}

/// Go's `ParseInt` and then `ParseUint`, both with base 0: the prefix tells the base.
fn integer(negative: bool, signed: bool, magnitude: &str) -> Option<Scalar> {
    let (digits, radix) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&magnitude[2..], 16),
        [b'0', b'b' | b'B', ..] => (&magnitude[2..], 2),
        [b'0', b'o' | b'O', ..] => (&magnitude[2..], 8),
        [b'0', _, ..] => (&magnitude[1..], 8),
        _ => (magnitude, 10),
    };
    if !digits.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None; // from_str_radix would take a second sign
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return (value <= i64::MIN.unsigned_abs()).then(|| Scalar::Int((value as i64).wrapping_neg()));
    }
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) => (!signed).then_some(Scalar::Unsigned(value)),
    }
}

/// `0b-1`: yaml.v2 reads what follows the prefix once more, sign included.
fn odd_binary(plain: &str) -> Scalar {
    let Some(digits) = plain.strip_prefix("0b") else { return Scalar::Text };
    if !digits.starts_with(['+', '-']) {
        return Scalar::Text;
    }
    i64::from_str_radix(digits, 2).map_or(Scalar::Text, Scalar::Int)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, within the range of a double.
fn float(text: &str) -> Scalar {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(start);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
        if whole == start && end == whole + 1 {
            return Scalar::Text;
        }
    } else if whole == start {
        return Scalar::Text;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        end = digits(exponent);
        if end == exponent {
            return Scalar::Text;
        }
    }
    if end != bytes.len() {
        return Scalar::Text;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Scalar::Float(value),
        _ => Scalar::Text,
    }
}

/// Whether Go's yaml.v2 takes the text for a date, a time with a zone, or a date and a time apart.
pub(super) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return false;
    }
    timestamp(bytes).is_some()
}

fn timestamp(bytes: &[u8]) -> Option<()> {
    let year = bytes[..4].iter().fold(0u32, |year, digit| year * 10 + u32::from(digit - b'0'));
    let (month, rest) = one_or_two(&bytes[5..])?;
    let (day, rest) = one_or_two(rest.strip_prefix(b"-")?)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(month, year) {
        return None;
    }
    let (zone, rest) = match rest {
        [] => return Some(()),
        [b'T' | b't', rest @ ..] => (true, rest),
        [b' ', rest @ ..] => (false, rest),
        _ => return None,
    };
    let (hour, rest) = one_or_two(rest)?;
    let (minute, rest) = one_or_two(rest.strip_prefix(b":")?)?;
    let (second, mut rest) = one_or_two(rest.strip_prefix(b":")?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let [b'.' | b',', b'0'..=b'9', ..] = rest {
        let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = &rest[1 + digits..];
    }
    match (zone, rest) {
        (false, []) | (true, [b'Z']) => Some(()),
        (true, [b'+' | b'-', h1, h2, b':', m1, m2]) => {
            let two = |a: &u8, b: &u8| (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'));
            (two(h1, h2)? <= 24 && two(m1, m2)? <= 60).then_some(())
        }
        _ => None,
    }
}

fn one_or_two(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let value = |digit: &u8| u32::from(digit - b'0');
    match bytes {
        [a, b, rest @ ..] if a.is_ascii_digit() && b.is_ascii_digit() => Some((value(a) * 10 + value(b), rest)),
        [a, rest @ ..] if a.is_ascii_digit() => Some((value(a), rest)),
        _ => None,
    }
}

fn days_in(month: u32, year: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A number as JSON shows it after Go printed it: `1.0` is 1, `1e3` is 1000. `None` for infinities and NaN.
pub(super) fn json_number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 1e21 && !(value == 0.0 && value.is_sign_negative()) {
        // Go prints the shortest digits that give the number back, padded with zeros; so does Rust.
        let digits = value.to_string();
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(Value::from(whole));
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Some(Value::from(whole));
        }
    }
    Number::from_f64(value).map(Value::Number)
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 64)`, or with 32 bits for keys.
pub(super) fn go_float(value: f64, bits: u8) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-.inf" } else { ".inf" }.to_owned();
    }
    let scientific = if bits == 32 { format!("{:e}", value as f32) } else { format!("{value:e}") };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    if mantissa.ends_with("inf") {
        return if value < 0.0 { "-.inf" } else { ".inf" }.to_owned(); // too large for 32 bits
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        if bits == 32 { (value as f32).to_string() } else { value.to_string() }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }
}
