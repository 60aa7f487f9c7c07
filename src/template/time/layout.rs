//! Layouts: Go's reference time `Mon Jan 2 15:04:05 MST 2006` cut into elements.

/// What one element of a layout stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    NumericMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    Abbreviation,
    Offset(OffsetStyle),
    /// Fractional seconds: `digits` zeros, always printed.
    FractionZeros {
        digits: usize,
        separator: u8,
    },
    /// Fractional seconds: `digits` nines, trailing zeros dropped.
    FractionNines {
        digits: usize,
        separator: u8,
    },
}

/// How an offset from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    /// `Z` stands for UTC.
    pub(super) zulu: bool,
    pub(super) colons: bool,
    pub(super) parts: OffsetParts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OffsetParts {
    Hours,
    Minutes,
    Seconds,
}

/// The first element of a layout with the text before it and after it.
pub(super) struct Chunk<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) element: Option<Element>,
    /// How the element is written in the layout.
    pub(super) text: &'a [u8],
    pub(super) suffix: &'a [u8],
}

/// Cuts a layout at its first element.
pub(super) fn next(layout: &[u8]) -> Chunk<'_> {
    for start in 0..layout.len() {
        if let Some((skip, length, element)) = element(&layout[start..]) {
            let from = start + skip;
            return Chunk {
                prefix: &layout[..from],
                element: Some(element),
                text: &layout[from..from + length],
                suffix: &layout[from + length..],
            };
        }
    }
    Chunk { prefix: layout, element: None, text: &[], suffix: &[] }
}

/// The element at the start of a text: bytes that belong to the text before it, its length, and what it is.
fn element(text: &[u8]) -> Option<(usize, usize, Element)> {
    use Element::*;
    // `Month` is no month name with an `h` behind it.
    let short = |length: usize| !text.get(length).is_some_and(u8::is_ascii_lowercase);
    let is = |prefix: &str| text.starts_with(prefix.as_bytes());
    let found = match text[0] {
        b'J' if is("January") => (7, LongMonth),
        b'J' if is("Jan") && short(3) => (3, Month),
        b'M' if is("Monday") => (6, LongWeekday),
        b'M' if is("Mon") && short(3) => (3, Weekday),
        b'M' if is("MST") => (3, Abbreviation),
        b'0' if is("01") => (2, ZeroMonth),
        b'0' if is("02") => (2, ZeroDay),
        b'0' if is("03") => (2, ZeroHour12),
        b'0' if is("04") => (2, ZeroMinute),
        b'0' if is("05") => (2, ZeroSecond),
        b'0' if is("06") => (2, Year),
        b'0' if is("002") => (3, ZeroYearDay),
        b'1' if is("15") => (2, Hour),
        b'1' => (1, NumericMonth),
        b'2' if is("2006") => (4, LongYear),
        b'2' => (1, Day),
        b'_' if is("_2006") => return Some((1, 4, LongYear)),
        b'_' if is("_2") => (2, UnderDay),
        b'_' if is("__2") => (3, UnderYearDay),
        b'3' => (1, Hour12),
        b'4' => (1, Minute),
        b'5' => (1, Second),
        b'P' if is("PM") => (2, UpperPm),
        b'p' if is("pm") => (2, LowerPm),
        b'-' | b'Z' => offset(text)?,
        b'.' | b',' => fraction(text)?,
        _ => return None,
    };
    Some((0, found.0, found.1))
}

fn offset(text: &[u8]) -> Option<(usize, Element)> {
    let styles: [(&str, bool, OffsetParts); 5] = [
        ("070000", false, OffsetParts::Seconds),
        ("07:00:00", true, OffsetParts::Seconds),
        ("0700", false, OffsetParts::Minutes),
        ("07:00", true, OffsetParts::Minutes),
        ("07", false, OffsetParts::Hours),
    ];
    let zulu = text[0] == b'Z';
    let (digits, colons, parts) = styles.into_iter().find(|(digits, ..)| text[1..].starts_with(digits.as_bytes()))?;
    Some((digits.len() + 1, Element::Offset(OffsetStyle { zulu, colons, parts })))
}

fn fraction(text: &[u8]) -> Option<(usize, Element)> {
    let (separator, digit) = (text[0], *text.get(1)?);
    if digit != b'0' && digit != b'9' {
        return None;
    }
    let digits = text[1..].iter().take_while(|byte| **byte == digit).count();
    // Only a fraction is all zeros or all nines: `.90` is text.
    if text.get(digits + 1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let element = match digit {
        b'0' => Element::FractionZeros { digits, separator },
        _ => Element::FractionNines { digits, separator },
    };
    Some((digits + 1, element))
}
