//! Printing a time by a layout.

use super::civil::Civil;
use super::layout::{self, Element, OffsetParts, OffsetStyle};
use super::{MONTHS, Time, WEEKDAYS};

impl Time {
    /// The time as Go's layout asks for it.
    pub fn format(&self, layout: &str) -> String {
        let (abbreviation, offset) = self.offset();
        let civil = Civil::from_seconds(self.seconds.saturating_add(i64::from(offset)));
        let mut out = Vec::with_capacity(layout.len() + 10);
        let mut rest = layout.as_bytes();
        while !rest.is_empty() {
            let chunk = layout::next(rest);
            out.extend_from_slice(chunk.prefix);
            rest = chunk.suffix;
            match chunk.element {
                None => break,
                Some(Element::Abbreviation) if !abbreviation.is_empty() => {
                    out.extend_from_slice(abbreviation.as_bytes());
                }
                Some(Element::Abbreviation) => {
                    let style = OffsetStyle { zulu: false, colons: false, parts: OffsetParts::Minutes };
                    out.extend_from_slice(offset_text(offset, style).as_bytes());
                }
                Some(Element::Offset(style)) => out.extend_from_slice(offset_text(offset, style).as_bytes()),
                Some(Element::FractionZeros { digits, separator }) => {
                    out.extend_from_slice(fraction(self.nanos, digits, separator, false).as_bytes());
                }
                Some(Element::FractionNines { digits, separator }) => {
                    out.extend_from_slice(fraction(self.nanos, digits, separator, true).as_bytes());
                }
                Some(element) => out.extend_from_slice(date_or_clock(&civil, element).as_bytes()),
            }
        }
        // Cutting at ASCII elements leaves the rest of the layout whole.
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn date_or_clock(now: &Civil, element: Element) -> String {
    let (hour, minute, second) = (now.second_of_day / 3600, now.second_of_day / 60 % 60, now.second_of_day % 60);
    let hour12 = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
    let month = MONTHS[now.month as usize - 1];
    let weekday = WEEKDAYS[now.weekday() as usize];
    match element {
        Element::LongMonth => month.to_owned(),
        Element::Month => month[..3].to_owned(),
        Element::NumericMonth => now.month.to_string(),
        Element::ZeroMonth => format!("{:02}", now.month),
        Element::LongWeekday => weekday.to_owned(),
        Element::Weekday => weekday[..3].to_owned(),
        Element::Day => now.day.to_string(),
        Element::UnderDay => format!("{:2}", now.day),
        Element::ZeroDay => format!("{:02}", now.day),
        Element::UnderYearDay => format!("{:3}", now.year_day()),
        Element::ZeroYearDay => format!("{:03}", now.year_day()),
        Element::Hour => format!("{hour:02}"),
        Element::Hour12 => hour12.to_string(),
        Element::ZeroHour12 => format!("{hour12:02}"),
        Element::Minute => minute.to_string(),
        Element::ZeroMinute => format!("{minute:02}"),
        Element::Second => second.to_string(),
        Element::ZeroSecond => format!("{second:02}"),
        // Go pads the digits, not digits and sign: year -1 is `-0001`.
        Element::LongYear if now.year < 0 => format!("-{:04}", now.year.unsigned_abs()),
        Element::LongYear => format!("{:04}", now.year),
        Element::Year => format!("{:02}", now.year.unsigned_abs() % 100),
        Element::UpperPm => if hour >= 12 { "PM" } else { "AM" }.to_owned(),
        Element::LowerPm => if hour >= 12 { "pm" } else { "am" }.to_owned(),
        Element::Abbreviation | Element::Offset(_) | Element::FractionZeros { .. } | Element::FractionNines { .. } => {
            String::new()
        }
    }
}

fn offset_text(offset: i32, style: OffsetStyle) -> String {
    if style.zulu && offset == 0 {
        return "Z".to_owned();
    }
    // The sign is that of the whole minutes: an offset of -30 seconds is `+00`.
    let sign = if offset / 60 < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (offset.abs() / 3600, offset.abs() / 60 % 60, offset.abs() % 60);
    let colon = if style.colons { ":" } else { "" };
    match style.parts {
        OffsetParts::Hours => format!("{sign}{hours:02}"),
        OffsetParts::Minutes => format!("{sign}{hours:02}{colon}{minutes:02}"),
        OffsetParts::Seconds => format!("{sign}{hours:02}{colon}{minutes:02}{colon}{seconds:02}"),
    }
}

fn fraction(nanos: u32, digits: usize, separator: u8, trim: bool) -> String {
    let mut text = format!("{nanos:09}");
    // More than nine zeros or nines still print nanoseconds only.
    if digits <= 9 {
        text.truncate(digits);
    }
    if trim {
        text.truncate(text.trim_end_matches('0').len());
        if text.is_empty() {
            return text;
        }
    }
    text.insert(0, char::from(separator));
    text
}
