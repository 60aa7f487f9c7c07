//! Zones: UTC, the tz database by name, and fixed offsets that parsing makes up.

use super::Time;
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// Where a time is shown: Go's `*time.Location`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// UTC.
    Utc,
    /// A zone of the tz database.
    Named(Tz),
    /// A fixed offset in seconds, perhaps with an abbreviation.
    Fixed {
        /// What `MST` in a layout prints; empty for none.
        name: String,
        /// Seconds east of UTC.
        offset: i32,
    },
}

impl Zone {
    /// The zone of a tz database name; the empty name is UTC, an unknown one is none.
    pub fn named(name: &str) -> Option<Zone> {
        match name {
            "" | "UTC" => Some(Zone::Utc),
            _ => name.parse().ok().map(Zone::Named),
        }
    }

    /// The zone's own name, as Go's `Location.String`.
    pub fn name(&self) -> &str {
        match self {
            Zone::Utc => "UTC",
            Zone::Named(zone) => zone.name(),
            Zone::Fixed { name, .. } => name,
        }
    }

    /// The abbreviation and the offset in seconds in force at a Unix time.
    pub(crate) fn at(&self, seconds: i64) -> (String, i32) {
        match self {
            Zone::Utc => ("UTC".to_owned(), 0),
            Zone::Named(zone) => {
                let offset = zone.offset_from_utc_datetime(&naive(seconds));
                let seconds = offset.fix().local_minus_utc();
                (offset.abbreviation().map_or_else(|| numeric(seconds), str::to_owned), seconds)
            }
            Zone::Fixed { name, offset } => (name.clone(), *offset),
        }
    }

    /// The instant at which a clock in this zone shows `local` seconds since 1970.
    ///
    /// In the hour that a clock change leaves out, or shows twice, this is the one Go's `time.Date` takes.
    pub(crate) fn instant(&self, local: i64, nanos: u32) -> Time {
        let guess = self.at(local).1;
        let offset = self.at(local.saturating_sub(i64::from(guess))).1;
        let offset = if guess == 0 { 0 } else { offset };
        Time::from_unix(local.saturating_sub(i64::from(offset)), nanos, self.clone())
    }

    /// The offset of an abbreviation that is in use in this zone: near the time if it can, else at any time.
    pub(crate) fn offset_of(&self, abbreviation: &str, seconds: i64) -> Option<i32> {
        let Zone::Named(_) = self else {
            let (name, offset) = self.at(0);
            return (name == abbreviation).then_some(offset);
        };
        // Half a year apart sees both winter and summer time; the years before see what was in use once.
        let half_year = 182 * 86_400;
        let candidates =
            [0, 1, -1].into_iter().chain((2..=240).map(|n| -n)).map(|n| seconds.saturating_add(n * half_year));
        for moment in candidates {
            let (name, offset) = self.at(moment);
            if name == abbreviation {
                return Some(offset);
            }
        }
        None
    }
}

/// The abbreviation of zones that have none by name: `-03`, `+0545`.
fn numeric(offset: i32) -> String {
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("{sign}{hours:02}"),
        (hours, minutes) => format!("{sign}{hours:02}{minutes:02}"),
    }
}

/// chrono's form of a Unix time, the nearest it can hold.
fn naive(seconds: i64) -> NaiveDateTime {
    // chrono reaches 262,000 years to both sides.
    let seconds = seconds.clamp(-8_000_000_000_000, 8_000_000_000_000);
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}
