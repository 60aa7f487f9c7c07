//! Durations: `1h2m0.5s` to nanoseconds and back.

use super::quote;
use std::fmt;

/// A span of time in nanoseconds: Go's `time.Duration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub i64);

/// Why a text is not a duration; prints Go's message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: {reason} {}", quote(text.as_bytes()))]
pub struct DurationError {
    reason: String,
    text: String,
}

const LIMIT: u64 = 1 << 63;

impl Duration {
    /// Reads a signed sequence of decimal numbers with units, such as `-1.5h` or `2h45m`.
    pub fn parse(text: &str) -> Result<Duration, DurationError> {
        let fail = |reason: &str| DurationError { reason: reason.to_owned(), text: text.to_owned() };
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Duration(0));
        }
        if rest.is_empty() {
            return Err(fail("invalid duration"));
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = part(rest).map_err(|reason| fail(&reason))?;
            rest = after;
            total = total.checked_add(part).filter(|sum| *sum <= LIMIT).ok_or_else(|| fail("invalid duration"))?;
        }
        match (negative, total) {
            (true, _) => Ok(Duration((total as i64).wrapping_neg())),
            (false, LIMIT) => Err(fail("invalid duration")),
            (false, _) => Ok(Duration(total as i64)),
        }
    }

    /// A whole number of seconds, wrapping as Go's multiplication does.
    pub fn from_seconds(seconds: i64) -> Duration {
        Duration(seconds.wrapping_mul(1_000_000_000))
    }

    /// Seconds with their fraction.
    pub fn seconds(self) -> f64 {
        self.in_units(1_000_000_000)
    }

    /// Minutes with their fraction.
    pub fn minutes(self) -> f64 {
        self.in_units(60_000_000_000)
    }

    /// Hours with their fraction.
    pub fn hours(self) -> f64 {
        self.in_units(3_600_000_000_000)
    }

    // Whole and fractional part are converted apart, as Go does, so that the result has the same bits.
    fn in_units(self, unit: i64) -> f64 {
        (self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64
    }

    /// Rounds toward zero to a multiple of `step`; unchanged when `step` is not positive.
    pub fn truncate(self, step: Duration) -> Duration {
        if step.0 <= 0 { self } else { Duration(self.0 - self.0 % step.0) }
    }

    /// Rounds to the nearest multiple of `step`, halves away from zero; the largest duration where it would not fit.
    pub fn round(self, step: Duration) -> Duration {
        if step.0 <= 0 {
            return self;
        }
        let rest = i128::from(self.0) % i128::from(step.0);
        let (value, step) = (i128::from(self.0), i128::from(step.0));
        let rounded = match (rest.abs() * 2 < step, value < 0) {
            (true, _) => value - rest,
            (false, true) => value - rest - step,
            (false, false) => value - rest + step,
        };
        Duration(rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// One number with its unit in nanoseconds, and what follows it.
fn part(text: &str) -> Result<(u64, &str), String> {
    let invalid = || "invalid duration".to_owned();
    if !text.starts_with(|c: char| c == '.' || c.is_ascii_digit()) {
        return Err(invalid());
    }
    let (digits, mut rest) = split_digits(text);
    let whole = digits.bytes().try_fold(0u64, |sum, digit| {
        let next = sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        (next <= LIMIT).then_some(next)
    });
    let whole = whole.ok_or_else(invalid)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = split_digits(after);
    }
    if digits.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    if unit.is_empty() {
        return Err("missing unit in duration".to_owned());
    }
    let nanos: u64 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(format!("unknown unit {} in duration", quote(unit.as_bytes()))),
    };
    let mut value = whole.checked_mul(nanos).filter(|value| *value <= LIMIT).ok_or_else(invalid)?;
    let (numerator, scale) = fraction_of(fraction);
    if numerator > 0 {
        value += (numerator as f64 * (nanos as f64 / scale)) as u64;
        if value > LIMIT {
            return Err(invalid());
        }
    }
    Ok((value, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The digits after the point as a number and its power of ten; digits beyond 63 bits are dropped.
fn fraction_of(digits: &str) -> (u64, f64) {
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in digits.bytes() {
        if value > (LIMIT - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > LIMIT {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value, scale)
}

impl fmt::Display for Duration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        if nanos < 1_000_000_000 {
            return match nanos {
                0 => out.write_str("0s"),
                1..1_000 => write!(out, "{sign}{nanos}ns"),
                1_000..1_000_000 => write!(out, "{sign}{}\u{b5}s", with_fraction(nanos, 1_000)),
                _ => write!(out, "{sign}{}ms", with_fraction(nanos, 1_000_000)),
            };
        }
        out.write_str(sign)?;
        let minutes = nanos / 60_000_000_000;
        if minutes >= 60 {
            write!(out, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(out, "{}m", minutes % 60)?;
        }
        write!(out, "{}s", with_fraction(nanos % 60_000_000_000, 1_000_000_000))
    }
}

fn with_fraction(value: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_as_they_are_read() {
        for text in
            ["0s", "1ns", "1.1\u{b5}s", "2.2ms", "3.3s", "4m5s", "4m5.001s", "5h6m7.001s", "8m0.000000001s", "-1h0m0s"]
        {
            assert_eq!(Duration::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Duration::parse("-9223372036854775808ns").unwrap(), Duration(i64::MIN));
        assert_eq!(Duration(i64::MIN).to_string(), "-2562047h47m16.854775808s");
        assert_eq!(Duration(i64::MIN).round(Duration(1)), Duration(i64::MIN));
    }

    #[test]
    fn errors_are_those_of_go() {
        for (text, want) in [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
        ] {
            assert_eq!(Duration::parse(text).unwrap_err().to_string(), want);
        }
    }
}
