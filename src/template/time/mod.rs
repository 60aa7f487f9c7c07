//! Instants, zones and durations that print and parse as Go's `time` package does.
//!
//! ```text
//! "Jan 2, 2006 at 3:04pm" --layout--> elements --format--> text
//!                                              <--parse--- text
//! ```
//!
//! Start at [`Time::format`] and [`Time::parse`]. The clock is never read here: `now` is a value of the render's context.

mod civil;
mod duration;
mod format;
mod layout;
mod parse;
mod zone;

pub use duration::{Duration, DurationError};
pub use parse::ParseError;
pub use zone::Zone;

use civil::Civil;
use std::cmp::Ordering;

/// Seconds from Go's zero time (1 January of year 1) to the Unix epoch.
const ZERO_TO_EPOCH: i64 = 62_135_596_800;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// An instant with the zone it is shown in: Go's `time.Time`.
#[derive(Debug, Clone)]
pub struct Time {
    seconds: i64,
    nanos: u32,
    zone: Zone,
}

impl Time {
    /// The instant `seconds` and `nanos` after the Unix epoch.
    pub fn from_unix(seconds: i64, nanos: u32, zone: Zone) -> Time {
        Time { seconds, nanos: nanos % 1_000_000_000, zone }
    }

    /// Go's zero time: midnight UTC, 1 January of year 1.
    pub fn zero() -> Time {
        Time::from_unix(-ZERO_TO_EPOCH, 0, Zone::Utc)
    }

    /// Whether this is Go's zero time.
    pub fn is_zero(&self) -> bool {
        self.seconds == -ZERO_TO_EPOCH && self.nanos == 0
    }

    /// The same instant, shown in another zone.
    pub fn in_zone(&self, zone: Zone) -> Time {
        Time { zone, ..*self }
    }

    /// The zone the instant is shown in.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whole seconds since the Unix epoch.
    pub fn unix(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn nanosecond(&self) -> u32 {
        self.nanos
    }

    /// Nanoseconds since the Unix epoch, wrapping as Go's does far away from it.
    pub fn unix_nanos(&self) -> i64 {
        self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos))
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_millis(&self) -> i64 {
        self.seconds.wrapping_mul(1000).wrapping_add(i64::from(self.nanos / 1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub fn unix_micros(&self) -> i64 {
        self.seconds.wrapping_mul(1_000_000).wrapping_add(i64::from(self.nanos / 1000))
    }

    /// The instant a duration later.
    pub fn add(&self, duration: Duration) -> Time {
        let total = i64::from(self.nanos) + duration.0 % 1_000_000_000;
        let seconds =
            self.seconds.wrapping_add(duration.0 / 1_000_000_000).wrapping_add(total.div_euclid(1_000_000_000));
        Time::from_unix(seconds, total.rem_euclid(1_000_000_000) as u32, self.zone.clone())
    }

    /// The date some years, months and days later, overflowing days carried on as Go's `AddDate`.
    pub fn add_date(&self, years: i64, months: i64, days: i64) -> Time {
        let now = self.civil();
        let months = i64::from(now.month).saturating_sub(1).saturating_add(months);
        let year = now.year.saturating_add(years).saturating_add(months.div_euclid(12));
        let month = months.rem_euclid(12) as u32 + 1;
        let day = i64::from(now.day).saturating_add(days);
        let midnight =
            civil::days_from_civil(year, month, 1).saturating_add(day.saturating_sub(1)).saturating_mul(86_400);
        self.zone.instant(midnight.saturating_add(i64::from(now.second_of_day)), self.nanos)
    }

    /// The time between two instants, at most what a duration can hold.
    pub fn since(&self, earlier: &Time) -> Duration {
        let nanos = (i128::from(self.seconds) - i128::from(earlier.seconds)) * 1_000_000_000 + i128::from(self.nanos)
            - i128::from(earlier.nanos);
        Duration(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// Rounds down to a multiple of `step` since the zero time.
    pub fn truncate(&self, step: Duration) -> Time {
        if step.0 <= 0 {
            return self.clone();
        }
        self.add(Duration(-(self.past(step) as i64)))
    }

    /// Rounds to the nearest multiple of `step` since the zero time, halves up.
    pub fn round(&self, step: Duration) -> Time {
        if step.0 <= 0 {
            return self.clone();
        }
        let past = self.past(step) as i64;
        match past.checked_mul(2) {
            Some(twice) if twice < step.0 => self.add(Duration(-past)),
            _ => self.add(Duration(step.0 - past)),
        }
    }

    /// Nanoseconds since the last multiple of `step`.
    fn past(&self, step: Duration) -> i128 {
        let nanos = (i128::from(self.seconds) + i128::from(ZERO_TO_EPOCH)) * 1_000_000_000 + i128::from(self.nanos);
        nanos.rem_euclid(i128::from(step.0))
    }

    /// The calendar date and clock shown in the time's zone.
    pub(crate) fn civil(&self) -> Civil {
        Civil::from_seconds(self.seconds.saturating_add(i64::from(self.offset().1)))
    }

    /// The zone's abbreviation and its offset in seconds at this instant.
    pub fn offset(&self) -> (String, i32) {
        self.zone.at(self.seconds)
    }

    /// The year shown.
    pub fn year(&self) -> i64 {
        self.civil().year
    }

    /// The month shown, from 1.
    pub fn month(&self) -> u32 {
        self.civil().month
    }

    /// The day of the month shown.
    pub fn day(&self) -> u32 {
        self.civil().day
    }

    /// The hour shown.
    pub fn hour(&self) -> u32 {
        self.civil().second_of_day / 3600
    }

    /// The minute shown.
    pub fn minute(&self) -> u32 {
        self.civil().second_of_day / 60 % 60
    }

    /// The second shown.
    pub fn second(&self) -> u32 {
        self.civil().second_of_day % 60
    }

    /// The day of the week shown, Sunday being 0.
    pub fn weekday(&self) -> u32 {
        self.civil().weekday()
    }

    /// The day of the year shown, from 1.
    pub fn year_day(&self) -> u32 {
        self.civil().year_day()
    }

    /// The ISO 8601 year and week shown.
    pub fn iso_week(&self) -> (i64, u32) {
        let now = self.civil();
        // The week belongs to the year of its Thursday.
        let thursday = now.days() + 3 - i64::from((now.weekday() + 6) % 7);
        let date = Civil::from_seconds(thursday.saturating_mul(86_400));
        (date.year, (date.year_day() - 1) / 7 + 1)
    }
}

/// The English name of a month counted from 1, as Go prints a `time.Month`.
pub fn month_name(month: u32) -> &'static str {
    MONTHS[(month as usize).clamp(1, 12) - 1]
}

/// The English name of a weekday counted from Sunday = 0.
pub fn weekday_name(weekday: u32) -> &'static str {
    WEEKDAYS[weekday as usize % 7]
}

impl PartialEq for Time {
    fn eq(&self, other: &Time) -> bool {
        (self.seconds, self.nanos) == (other.seconds, other.nanos)
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Time) -> Option<Ordering> {
        (self.seconds, self.nanos).partial_cmp(&(other.seconds, other.nanos))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

/// Quotes a text as Go's `time` package does in its errors: bytes outside of ASCII as `\xNN`.
pub(crate) fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in text {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse("2006-01-02T15:04:05.999999999Z07:00", text, &Zone::Utc).expect(text)
    }

    #[test]
    fn dates_carry_over_as_in_go() {
        assert_eq!(time("2024-01-31T00:00:00Z").add_date(0, 1, 0).to_string(), "2024-03-02 00:00:00 +0000 UTC");
        assert_eq!(time("2024-02-29T10:00:00Z").add_date(-1, 0, -1).to_string(), "2023-02-28 10:00:00 +0000 UTC");
        assert_eq!(time("2024-12-31T00:00:00Z").iso_week(), (2025, 1));
        assert_eq!(time("2021-01-03T00:00:00Z").iso_week(), (2020, 53));
        assert_eq!(Time::zero().to_string(), "0001-01-01 00:00:00 +0000 UTC");
    }

    #[test]
    fn far_away_times_do_not_panic() {
        for seconds in [i64::MIN, i64::MAX, -ZERO_TO_EPOCH] {
            let far = Time::from_unix(seconds, 999_999_999, Zone::named("Europe/Berlin").unwrap());
            let _ = far.format("Mon Jan _2 15:04:05.000 MST 2006 002");
            let _ = far.add(Duration(i64::MAX)).add_date(i64::MAX, i64::MIN, i64::MAX);
            let _ = far.since(&Time::zero());
            let _ = far.round(Duration(i64::MAX));
        }
    }
}
