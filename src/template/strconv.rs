//! Go's strconv: quoting, unquoting, numbers as the language writes them, floats as it prints them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// The first character of a text, and its width; U+FFFD of width 1 for a byte that is not UTF-8.
pub(super) fn decode(text: &[u8]) -> (char, usize) {
    let width = match text.first() {
        None => return (char::REPLACEMENT_CHARACTER, 0),
        Some(0..=0x7f) => 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        Some(_) => return (char::REPLACEMENT_CHARACTER, 1),
    };
    let character = text.get(..width).and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    character.map_or((char::REPLACEMENT_CHARACTER, 1), |character| (character, width))
}

/// Appends a character as UTF-8.
pub(super) fn push_char(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `unicode.IsLetter` or `unicode.IsDigit`.
pub(super) fn is_letter_or_digit(character: char) -> bool {
    static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}]$").ok());
    if character.is_ascii() {
        return character.is_ascii_alphanumeric();
    }
    let mut buffer = [0; 4];
    let text: &str = character.encode_utf8(&mut buffer);
    CLASS.as_ref().is_some_and(|class| class.is_match(text))
}

/// `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space.
pub(super) fn is_print(character: char) -> bool {
    if character.is_ascii() {
        return (' '..='~').contains(&character);
    }
    // Rust escapes the same set, but combining marks too where they come first: hence the letter before it.
    let mut buffer = [b'x'; 5];
    let end = 1 + character.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..end]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// `%#U`: `U+0021 '!'`.
pub(super) fn unicode_name(character: char) -> String {
    let code = u32::from(character);
    if is_print(character) { format!("U+{code:04X} '{character}'") } else { format!("U+{code:04X}") }
}

/// `strconv.Quote`: in double quotes, with escapes for what is not printable or not UTF-8.
pub fn quote(text: &[u8]) -> String {
    quote_with(text, '"', false)
}

/// `strconv.QuoteToASCII`.
pub fn quote_to_ascii(text: &[u8]) -> String {
    quote_with(text, '"', true)
}

/// `strconv.QuoteRune`, or its ASCII variant.
pub(super) fn quote_char(character: char, ascii: bool) -> String {
    quote_with(character.encode_utf8(&mut [0; 4]).as_bytes(), '\'', ascii)
}

fn quote_with(mut text: &[u8], mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    while !text.is_empty() {
        let (character, width) = decode(text);
        if width == 1 && character == char::REPLACEMENT_CHARACTER {
            out.push_str(&format!("\\x{:02x}", text[0]));
        } else {
            escape_char(&mut out, character, mark, ascii);
        }
        text = &text[width..];
    }
    out.push(mark);
    out
}

fn escape_char(out: &mut String, character: char, mark: char, ascii: bool) {
    match character {
        '\\' => out.push_str("\\\\"),
        _ if character == mark => {
            out.push('\\');
            out.push(mark);
        }
        _ if is_print(character) && (character.is_ascii() || !ascii) => out.push(character),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ => {
            let code = u32::from(character);
            out.push_str(&match code {
                0..=0x1f | 0x7f => format!("\\x{code:02x}"),
                0..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            });
        }
    }
}

/// `strconv.CanBackquote`: one line of UTF-8 without control characters or backquotes.
pub(super) fn can_backquote(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|character| match character {
            '\u{feff}' | '`' | '\x7f' => false,
            '\t' => true,
            _ => character >= ' ',
        })
    })
}

/// `strconv.Unquote` of a string in double quotes or backquotes.
pub(super) fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quoted[0] == b'`' {
        return Some(inner.iter().copied().filter(|byte| *byte != b'\r').collect());
    }
    if !inner.contains(&b'\\') && std::str::from_utf8(inner).is_ok() {
        return Some(inner.to_vec());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (escaped, after) = unquote_char(rest, b'"')?;
        match escaped {
            Unquoted::Char(character) => push_char(&mut out, character),
            Unquoted::Byte(byte) => out.push(byte),
        }
        rest = after;
    }
    Some(out)
}

/// A character of a quoted string: `\x` and octal escapes are single bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unquoted {
    Char(char),
    Byte(u8),
}

/// `strconv.UnquoteChar`: the first character or escape, and what follows.
pub(super) fn unquote_char(text: &[u8], mark: u8) -> Option<(Unquoted, &[u8])> {
    match text {
        [] => None,
        [first, ..] if *first == mark => None,
        [b'\\', rest @ ..] => unescape(rest, mark),
        _ => {
            let (character, width) = decode(text);
            Some((Unquoted::Char(character), &text[width..]))
        }
    }
}

fn unescape(text: &[u8], mark: u8) -> Option<(Unquoted, &[u8])> {
    let (first, rest) = text.split_first()?;
    let simple = |character| Some((Unquoted::Char(character), rest));
    match first {
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0c'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0b'),
        b'\\' => simple('\\'),
        b'\'' | b'"' if *first == mark => simple(char::from(mark)),
        b'x' => digits(rest, 2, 16).map(|(code, rest)| (Unquoted::Byte(code as u8), rest)),
        b'u' | b'U' => {
            let (code, rest) = digits(rest, if *first == b'u' { 4 } else { 8 }, 16)?;
            Some((Unquoted::Char(char::from_u32(code)?), rest))
        }
        b'0'..=b'7' => {
            let (code, rest) = digits(text, 3, 8)?;
            Some((Unquoted::Byte(u8::try_from(code).ok()?), rest))
        }
        _ => None,
    }
}

fn digits(text: &[u8], count: usize, base: u32) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let mut code: u32 = 0;
    for digit in digits {
        code = code.checked_mul(base)?.checked_add(char::from(*digit).to_digit(base)?)?;
    }
    Some((code, rest))
}

/// `strconv.ParseUint` with base 0: prefixes `0x 0o 0b 0`, underscores between digits.
pub fn parse_uint(text: &str) -> Option<u64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let (digits, base) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    let digits: Cow<'_, str> = if digits.contains('_') { digits.replace('_', "").into() } else { digits.into() };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&digits, base).ok()
}

/// `strconv.ParseInt` with base 0.
pub fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `strconv.ParseFloat`: decimal and hexadecimal, underscores between digits; `None` when out of range too.
pub fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let clean: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    let (sign, digits) = match clean.as_bytes() {
        [b'-', ..] => (-1.0, &clean[1..]),
        [b'+', ..] => (1.0, &clean[1..]),
        _ => (1.0, &*clean),
    };
    let lower = digits.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    let magnitude = match lower.strip_prefix("0x") {
        Some(hexadecimal) => parse_hex_float(hexadecimal)?,
        None if lower.starts_with(|first: char| first.is_ascii_digit() || first == '.') => lower.parse().ok()?,
        None => return None,
    };
    f64::is_finite(magnitude).then_some(sign * magnitude)
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once('p')?;
    let mut exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut sticky = false;
    for (at, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 58 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if at >= whole.len() { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if at >= whole.len() { 0 } else { 4 };
        }
    }
    // Halving a subnormal must round once only: scale in two exact steps, with the sticky bit kept below.
    let mantissa = (mantissa << 1 | u64::from(sticky)) as f64;
    let exponent = i32::try_from(exponent - 1).ok()?.clamp(-2_000, 2_000);
    let half = exponent / 2;
    Some(mantissa * 2f64.powi(half) * 2f64.powi(exponent - half))
}

// An underscore stands between digits, or between the base prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-']).as_bytes();
    let (mut last, rest, hexadecimal) = match text {
        [b'0', base, rest @ ..] if matches!(base.to_ascii_lowercase(), b'b' | b'o' | b'x') => {
            (b'0', rest, base.eq_ignore_ascii_case(&b'x'))
        }
        _ => (b'^', text, false),
    };
    for byte in rest {
        match byte {
            b'0'..=b'9' => last = b'0',
            _ if hexadecimal && byte.is_ascii_hexdigit() => last = b'0',
            b'_' if last != b'0' => return false,
            b'_' => last = b'_',
            _ if last == b'_' => return false,
            _ => last = b'!',
        }
    }
    last != b'_'
}

/// `strconv.FormatFloat`: the form is one of `b e E f g G x X`, no precision means the fewest digits that give it back.
pub fn format_float(value: f64, form: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    // No float has more digits than that; Rust's own limit is 65,535.
    let zeros = precision.map_or(0, |precision| precision.saturating_sub(MOST_DIGITS));
    let precision = precision.map(|precision| precision.min(MOST_DIGITS));
    let body = match form {
        'b' => binary_form(value),
        'x' | 'X' => hexadecimal_form(value, precision),
        'e' | 'E' => exponent_form(&Digits::of(value, precision.map(|digits| digits + 1)), precision),
        'f' => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        _ => general_form(value, precision),
    };
    let body = if zeros > 0 { with_zeros(&body, form, zeros) } else { body };
    let body = if matches!(form, 'E' | 'G' | 'X') { body.to_ascii_uppercase() } else { body };
    format!("{sign}{body}")
}

const MOST_DIGITS: usize = 1_100;

// Zeros after the last digit of the fraction, where the form has one of fixed length.
fn with_zeros(body: &str, form: char, zeros: usize) -> String {
    if matches!(form, 'b' | 'g' | 'G') {
        return body.to_owned();
    }
    let (mantissa, exponent) = body.split_at(body.find(['e', 'p']).unwrap_or(body.len()));
    format!("{mantissa}{}{exponent}", "0".repeat(zeros))
}

// Significant digits without trailing zeros, and where the point is: 0.digits * 10^point.
struct Digits {
    digits: String,
    point: i32,
}

impl Digits {
    fn of(value: f64, count: Option<usize>) -> Self {
        let text = match count {
            Some(count) => format!("{value:.*e}", count.saturating_sub(1)),
            None => format!("{value:e}"),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.replace('.', "");
        let digits = digits.trim_end_matches('0').to_owned();
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Digits { digits, point }
    }
}

fn exponent_form(digits: &Digits, precision: Option<usize>) -> String {
    let all = &digits.digits;
    let mut out = all.get(..1).unwrap_or("0").to_owned();
    let fraction = all.get(1..).unwrap_or("");
    let width = precision.unwrap_or(fraction.len());
    if width > 0 {
        out.push_str(&format!(".{fraction:0<width$}"));
    }
    let exponent = if all.is_empty() { 0 } else { digits.point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{out}e{sign}{:02}", exponent.abs())
}

fn general_form(value: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|digits| digits.max(1));
    let digits = Digits::of(value, precision);
    let count = digits.digits.len();
    let mut limit = precision.unwrap_or(6);
    if limit > count && i64::try_from(count).unwrap_or(i64::MAX) >= i64::from(digits.point) {
        limit = count;
    }
    if precision.is_none() {
        limit = 6;
    }
    let exponent = digits.point - 1;
    if exponent < -4 || i64::from(exponent) >= i64::try_from(limit).unwrap_or(i64::MAX) {
        return exponent_form(&digits, None);
    }
    let point = digits.point;
    if point <= 0 {
        let zeros = point.unsigned_abs() as usize;
        return if count == 0 { "0".to_owned() } else { format!("0.{}{}", "0".repeat(zeros), digits.digits) };
    }
    let point = point as usize;
    if count <= point {
        return format!("{}{}", digits.digits, "0".repeat(point - count));
    }
    format!("{}.{}", &digits.digits[..point], &digits.digits[point..])
}

// The mantissa as an integer, and the power of two it is multiplied with.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

fn binary_form(value: f64) -> String {
    let (mantissa, exponent) = parts(value);
    let sign = if exponent < 0 { "" } else { "+" };
    format!("{mantissa}p{sign}{exponent}")
}

fn hexadecimal_form(value: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(value);
    exponent += 52;
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        exponent -= shift - 8;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let shift = precision as u32 * 4;
        let extra = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        mantissa += u64::from(extra | (mantissa & 1) > 1 << 59);
        mantissa <<= 60 - shift;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut out = format!("0x{}", mantissa >> 60 & 1);
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        Some(precision) => format!("{fraction:0<precision$}")[..precision].to_owned(),
        None => fraction.trim_end_matches('0').to_owned(),
    };
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(&fraction);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{out}p{sign}{:02}", exponent.abs())
}
