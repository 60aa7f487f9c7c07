//! Reading a time by a layout.

use super::civil::Civil;
use super::layout::{self, Element, OffsetParts, OffsetStyle};
use super::{MONTHS, Time, WEEKDAYS, Zone, civil, quote};

/// Why a text is not a time of a layout; prints Go's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parsing time {}{}", quote(.value), .problem)]
pub struct ParseError {
    value: Vec<u8>,
    problem: String,
}

/// What the elements said so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i32>,
    abbreviation: String,
}

/// Why one element does not fit.
enum Misfit {
    /// The text is not of the element's form.
    Form,
    /// The number is out of range: its name and what follows it.
    Range(&'static str),
}

type Rest<'a> = Result<&'a [u8], Misfit>;

impl Time {
    /// Reads a text by Go's layout; a time without zone is one of `local`, as Go's `ParseInLocation`.
    pub fn parse(layout: &str, text: &str, local: &Zone) -> Result<Time, ParseError> {
        let error = |problem: String| ParseError { value: text.as_bytes().to_vec(), problem };
        let unfit = |value: &[u8], element: &[u8]| {
            error(format!(" as {}: cannot parse {} as {}", quote(layout.as_bytes()), quote(value), quote(element)))
        };
        let mut fields = Fields::default();
        let (mut pattern, mut value) = (layout.as_bytes(), text.as_bytes());
        loop {
            let chunk = layout::next(pattern);
            value = skip(value, chunk.prefix).map_err(|value| unfit(value, chunk.prefix))?;
            let Some(element) = chunk.element else {
                if value.is_empty() {
                    break;
                }
                return Err(error(format!(": extra text: {}", quote(value))));
            };
            pattern = chunk.suffix;
            value = match fields.read(element, value, pattern) {
                Ok(rest) => rest,
                Err(Misfit::Form) => return Err(unfit(value, chunk.text)),
                Err(Misfit::Range(what)) => return Err(error(format!(": {what} out of range"))),
            };
        }
        fields.resolve_date().map_err(|problem| error(problem.to_owned()))?;
        Ok(fields.time(local))
    }
}

impl Fields {
    /// Reads one element and returns the text after it.
    fn read<'a>(&mut self, element: Element, value: &'a [u8], pattern: &[u8]) -> Rest<'a> {
        let rest;
        match element {
            Element::Year => {
                let (year, after) = digits(value, 2)?;
                self.year = i64::from(year) + if year >= 69 { 1900 } else { 2000 };
                rest = after;
            }
            Element::LongYear => {
                let (year, after) = digits(value, 4)?;
                self.year = i64::from(year);
                rest = after;
            }
            Element::Month | Element::LongMonth => {
                let (index, after) = name(&MONTHS, value, element == Element::Month)?;
                self.month = Some(index as u32 + 1);
                rest = after;
            }
            Element::NumericMonth | Element::ZeroMonth => {
                let (month, after) = one_or_two(value, element == Element::ZeroMonth)?;
                self.month = Some(within(month, 1, 12, "month")?);
                rest = after;
            }
            Element::Weekday | Element::LongWeekday => {
                rest = name(&WEEKDAYS, value, element == Element::Weekday)?.1;
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let value =
                    if element == Element::UnderDay { value.strip_prefix(b" ").unwrap_or(value) } else { value };
                let (day, after) = one_or_two(value, element == Element::ZeroDay)?;
                self.day = Some(day);
                rest = after;
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let (day, after) = year_day(value, element == Element::ZeroYearDay)?;
                self.year_day = Some(day);
                rest = after;
            }
            Element::UpperPm | Element::LowerPm => {
                self.afternoon = Some(match (value.get(..2).ok_or(Misfit::Form)?, element == Element::UpperPm) {
                    (b"PM", true) | (b"pm", false) => true,
                    (b"AM", true) | (b"am", false) => false,
                    _ => return Err(Misfit::Form),
                });
                rest = &value[2..];
            }
            Element::Offset(style) => return self.read_offset(style, value),
            Element::Abbreviation => return self.read_abbreviation(value),
            Element::FractionZeros { digits, .. } => {
                let fraction = value.get(..digits + 1).ok_or(Misfit::Form)?;
                self.nanos = nanos(fraction)?;
                rest = &value[digits + 1..];
            }
            Element::FractionNines { .. } => return self.read_fraction(value),
            _ => return self.read_clock(element, value, pattern),
        }
        Ok(rest)
    }

    fn read_clock<'a>(&mut self, element: Element, value: &'a [u8], pattern: &[u8]) -> Rest<'a> {
        let fixed = matches!(element, Element::ZeroHour12 | Element::ZeroMinute | Element::ZeroSecond);
        let (number, rest) = one_or_two(value, fixed)?;
        match element {
            Element::Hour => self.hour = within(number, 0, 23, "hour")?,
            Element::Hour12 | Element::ZeroHour12 => self.hour = within(number, 0, 12, "hour")?,
            Element::Minute | Element::ZeroMinute => self.minute = within(number, 0, 59, "minute")?,
            _ => {
                self.second = within(number, 0, 59, "second")?;
                // A fraction may follow the seconds though the layout does not say so.
                let next = layout::next(pattern).element;
                if !matches!(next, Some(Element::FractionZeros { .. } | Element::FractionNines { .. })) {
                    return self.read_fraction(rest);
                }
            }
        }
        Ok(rest)
    }

    /// Reads a fraction of a second if there is one.
    fn read_fraction<'a>(&mut self, value: &'a [u8]) -> Rest<'a> {
        if !matches!(value, [b'.' | b',', b'0'..=b'9', ..]) {
            return Ok(value);
        }
        let end = 1 + value[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.nanos = nanos(&value[..end])?;
        Ok(&value[end..])
    }

    fn read_offset<'a>(&mut self, style: OffsetStyle, value: &'a [u8]) -> Rest<'a> {
        if style.zulu
            && let Some(rest) = value.strip_prefix(b"Z")
        {
            self.utc = true;
            return Ok(rest);
        }
        let (&sign, mut rest) = value.split_first().ok_or(Misfit::Form)?;
        let parts = match style.parts {
            OffsetParts::Hours => 1,
            OffsetParts::Minutes => 2,
            OffsetParts::Seconds => 3,
        };
        let mut numbers = [0u32; 3];
        for (index, number) in numbers.iter_mut().enumerate().take(parts) {
            if index > 0 && style.colons {
                rest = rest.strip_prefix(b":").ok_or(Misfit::Form)?;
            }
            (*number, rest) = one_or_two(rest, true)?;
        }
        let [hours, minutes, seconds] = numbers;
        within(hours, 0, 24, "time zone offset hour")?;
        within(minutes, 0, 60, "time zone offset minute")?;
        within(seconds, 0, 60, "time zone offset second")?;
        let offset = ((hours * 60 + minutes) * 60 + seconds) as i32;
        self.offset = Some(match sign {
            b'+' => offset,
            b'-' => -offset,
            _ => return Err(Misfit::Form),
        });
        Ok(rest)
    }

    fn read_abbreviation<'a>(&mut self, value: &'a [u8]) -> Rest<'a> {
        if let Some(rest) = value.strip_prefix(b"UTC") {
            self.utc = true;
            return Ok(rest);
        }
        let length = abbreviation_length(value).ok_or(Misfit::Form)?;
        self.abbreviation = String::from_utf8_lossy(&value[..length]).into_owned();
        Ok(&value[length..])
    }

    /// Settles month and day, also from the day of the year, or says why they do not exist.
    fn resolve_date(&mut self) -> Result<(), &'static str> {
        if let Some(year_day) = self.year_day {
            let last = if civil::is_leap(self.year) { 366 } else { 365 };
            if year_day < 1 || year_day > last {
                return Err(": day-of-year out of range");
            }
            let days = civil::days_from_civil(self.year, 1, 1) + i64::from(year_day) - 1;
            let date = Civil::from_seconds(days * 86_400);
            if self.month.is_some_and(|month| month != date.month) {
                return Err(": day-of-year does not match month");
            }
            if self.day.is_some_and(|day| day != date.day) {
                return Err(": day-of-year does not match day");
            }
            (self.month, self.day) = (Some(date.month), Some(date.day));
        }
        let (month, day) = (*self.month.get_or_insert(1), *self.day.get_or_insert(1));
        if day < 1 || day > civil::days_in(month, self.year) {
            return Err(": day out of range");
        }
        match self.afternoon {
            Some(true) if self.hour < 12 => self.hour += 12,
            Some(false) if self.hour == 12 => self.hour = 0,
            _ => {}
        }
        Ok(())
    }

    fn time(self, local: &Zone) -> Time {
        let days = civil::days_from_civil(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1));
        let seconds = days * 86_400 + i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        if self.utc {
            return Time::from_unix(seconds, self.nanos, Zone::Utc);
        }
        // Go keeps "no offset" as -1 seconds, so an offset of -1 second is none.
        if let Some(offset) = self.offset.filter(|offset| *offset != -1) {
            let seconds = seconds - i64::from(offset);
            let (name, in_force) = local.at(seconds);
            let zone = if in_force == offset && (self.abbreviation.is_empty() || name == self.abbreviation) {
                local.clone()
            } else {
                Zone::Fixed { name: self.abbreviation, offset }
            };
            return Time::from_unix(seconds, self.nanos, zone);
        }
        if self.abbreviation.is_empty() {
            return local.instant(seconds, self.nanos);
        }
        if let Some(offset) = local.offset_of(&self.abbreviation, seconds) {
            return Time::from_unix(seconds - i64::from(offset), self.nanos, local.clone());
        }
        let hours = self.abbreviation.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0);
        // Go reads the clock as UTC here and only shows it with the made-up zone.
        Time::from_unix(seconds, self.nanos, Zone::Fixed { name: self.abbreviation, offset: hours * 3600 })
    }
}

/// Removes the literal text of a layout, any run of spaces being like any other.
fn skip<'a>(mut value: &'a [u8], mut prefix: &[u8]) -> Result<&'a [u8], &'a [u8]> {
    while let Some((&byte, rest)) = prefix.split_first() {
        if byte == b' ' {
            if value.first().is_some_and(|first| *first != b' ') {
                return Err(value);
            }
            prefix = prefix.trim_ascii_start_spaces();
            value = value.trim_ascii_start_spaces();
            continue;
        }
        if value.first() != Some(&byte) {
            return Err(value);
        }
        (prefix, value) = (rest, &value[1..]);
    }
    Ok(value)
}

trait TrimSpaces {
    fn trim_ascii_start_spaces(&self) -> &Self;
}

impl TrimSpaces for [u8] {
    fn trim_ascii_start_spaces(&self) -> &[u8] {
        let spaces = self.iter().take_while(|byte| **byte == b' ').count();
        &self[spaces..]
    }
}

fn digits(value: &[u8], count: usize) -> Result<(u32, &[u8]), Misfit> {
    let text = value.get(..count).filter(|text| text.iter().all(u8::is_ascii_digit)).ok_or(Misfit::Form)?;
    Ok((text.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), &value[count..]))
}

fn one_or_two(value: &[u8], fixed: bool) -> Result<(u32, &[u8]), Misfit> {
    match digits(value, 2) {
        Err(_) if !fixed => digits(value, 1),
        other => other,
    }
}

fn year_day(value: &[u8], fixed: bool) -> Result<(u32, &[u8]), Misfit> {
    if fixed {
        return digits(value, 3);
    }
    let spaces = value.iter().take(2).take_while(|byte| **byte == b' ').count();
    let value = &value[spaces..];
    let length = value.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 { Err(Misfit::Form) } else { digits(value, length) }
}

/// Finds a month or weekday name in any case at the start of a text.
fn name<'a>(names: &[&str], value: &'a [u8], short: bool) -> Result<(usize, &'a [u8]), Misfit> {
    for (index, name) in names.iter().enumerate() {
        let name = if short { &name[..3] } else { name };
        if value.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes())) {
            return Ok((index, &value[name.len()..]));
        }
    }
    Err(Misfit::Form)
}

fn within(number: u32, least: u32, most: u32, what: &'static str) -> Result<u32, Misfit> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(Misfit::Range(what)) }
}

/// Nanoseconds of a fraction with its separator; digits beyond the ninth are dropped.
fn nanos(fraction: &[u8]) -> Result<u32, Misfit> {
    let Some((b'.' | b',', digits)) = fraction.split_first() else { return Err(Misfit::Form) };
    let mut value = 0;
    for index in 0..9 {
        let digit = match digits.get(index) {
            None => 0,
            Some(digit) if digit.is_ascii_digit() => u32::from(digit - b'0'),
            Some(_) => return Err(Misfit::Form),
        };
        value = value * 10 + digit;
    }
    Ok(value)
}

/// The length of a zone abbreviation at the start of a text, by Go's guesses.
fn abbreviation_length(value: &[u8]) -> Option<usize> {
    if value.len() < 3 {
        return None;
    }
    if value.starts_with(b"ChST") || value.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = value.strip_prefix(b"GMT") {
        return Some(3 + signed_hours_length(rest));
    }
    if value[0] == b'+' || value[0] == b'-' {
        return Some(signed_hours_length(value)).filter(|length| *length > 0);
    }
    match value.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count() {
        5 if value[4] == b'T' => Some(5),
        4 if value[3] == b'T' || value.starts_with(b"WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

fn signed_hours_length(value: &[u8]) -> usize {
    let Some((b'+' | b'-', digits)) = value.split_first() else { return 0 };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours = digits[..length].iter().fold(0u32, |sum, digit| (sum * 10 + u32::from(digit - b'0')).min(1000));
    if length == 0 || hours > 23 { 0 } else { 1 + length }
}
