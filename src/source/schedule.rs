//! When a source is looked at: cron expressions in a time zone, and polls that do not all come at once.
//!
//! ```text
//! [TZ=Europe/Berlin] [second] minute hour day-of-month month day-of-week      @daily and its like
//! ```
//! Five or six fields with the meaning of crontab(5): names, ranges, steps, lists; 0 and 7 are Sunday; `L` is the last
//! day of a month; a day counts when either day field names it, if both are restricted. The `cron` crate finds the wall
//! clock times; what they are in a zone with summer time is decided here:
//!
//! - A time of day that is skipped fires at the first moment after; one that comes twice fires the first time.
//! - `*` and steps in the minute or hour mean "every so often": they go by real time, skip nothing and repeat what
//!   comes twice.
//!
//! Start at [`Schedule::parse`] and [`Timer`].

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// No zone has ever moved its clock by more.
const LARGEST_SHIFT: TimeDelta = TimeDelta::hours(26);
/// Longest sleep of a timer: a clock that was set is noticed after it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule `{text}`: {message}")]
pub struct NotASchedule {
    text: String,
    message: String,
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    zone: Tz,
    /// It fires when any of them does.
    parts: Vec<Part>,
    /// Times of day rather than "every so often".
    is_by_clock: bool,
}

#[derive(Debug, Clone)]
struct Part {
    wall: cron::Schedule,
    /// Only the last day of a month counts.
    is_last_day: bool,
}

impl Schedule {
    /// Reads an expression; `zone` is an IANA name such as `Europe/Berlin`, which a `TZ=` in front overrides.
    ///
    /// ```
    /// use bowline::source::Schedule;
    /// let schedule = Schedule::parse("30 2 * * MON-FRI", "Europe/Berlin").unwrap();
    /// let after = "2026-03-27T12:00:00Z".parse().unwrap();
    /// assert_eq!(schedule.next_after(after).unwrap().to_rfc3339(), "2026-03-30T00:30:00+00:00");
    /// ```
    ///
    /// # Errors
    /// What is wrong with which field, an unknown zone, or a date that never comes.
    pub fn parse(text: &str, zone: &str) -> Result<Self, NotASchedule> {
        let failed = |message: String| NotASchedule { text: text.to_owned(), message };
        let (zone, fields) = match text.trim().strip_prefix("CRON_TZ=").or_else(|| text.trim().strip_prefix("TZ=")) {
            Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            None => (zone, text),
        };
        let zone =
            Tz::from_str(zone).map_err(|_| failed(format!("`{zone}` is no time zone; write one as Europe/Berlin")))?;
        let (parts, is_by_clock) = parts(fields.trim()).map_err(failed)?;
        let schedule = Schedule { text: text.trim().to_owned(), zone, parts, is_by_clock };
        let start = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap_or_default();
        if schedule.next_after(start).is_none() {
            return Err(failed("never comes: no month has that day".to_owned()));
        }
        Ok(schedule)
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first moment after `after` at which it fires; `None` when there is none before the year 2100.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_by_clock { self.next_by_clock(after) } else { self.next_by_time(after) }
    }

    /// The last moment up to and including `until` at which it fired, if there was one in the eight years before.
    pub fn last_until(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let looks =
            [TimeDelta::hours(1), TimeDelta::days(1), TimeDelta::days(32), TimeDelta::days(366), TimeDelta::days(2923)];
        looks.into_iter().find_map(|back| {
            let fires = std::iter::successors(self.next_after(until - back), |fire| self.next_after(*fire));
            fires.take_while(|fire| *fire <= until).last()
        })
    }

    /// The next wall clock time after one.
    fn next_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let next = |part: &Part| {
            let mut walls = part.wall.after(&after.and_utc()).map(|wall| wall.naive_utc());
            walls.find(|wall| !part.is_last_day || is_last_day(wall))
        };
        self.parts.iter().filter_map(next).min()
    }

    /// Each wall clock time is one moment: the first of two, or the end of the gap it falls into.
    fn next_by_clock(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = after.with_timezone(&self.zone).naive_local() - LARGEST_SHIFT;
        let mut walls = std::iter::successors(self.next_wall(start), |wall| self.next_wall(*wall));
        walls.find_map(|wall| self.first_moment(wall).filter(|moment| *moment > after))
    }

    /// The first moment at which the clock shows this time or, where it never does, a later one.
    fn first_moment(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(moment) => Some(moment.to_utc()),
            LocalResult::Ambiguous(first, second) => Some(first.to_utc().min(second.to_utc())),
            LocalResult::None => {
                let before = wall.and_utc() - LARGEST_SHIFT;
                let shown = |moment: DateTime<Utc>| moment.with_timezone(&self.zone).naive_local();
                let reached = |moment: &DateTime<Utc>| shown(*moment) >= wall;
                first_second(before, wall.and_utc() + LARGEST_SHIFT, reached)
            }
        }
    }

    /// Every moment counts at which the clock shows a fitting time: from one change of the offset to the next.
    fn next_by_time(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut after = after;
        // Zones change a few times a year, and the next fitting time is at most a few years away.
        for _ in 0..64 {
            let offset = self.offset(after + TimeDelta::seconds(1));
            let wall = self.next_wall((after + offset).naive_utc())?;
            let moment = wall.and_utc() - offset;
            match self.next_change(after + TimeDelta::seconds(1), moment, offset) {
                Some(change) => after = change - TimeDelta::seconds(1),
                None => return Some(moment),
            }
        }
        None
    }

    fn offset(&self, moment: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    /// The first moment up to `until` with another offset.
    fn next_change(&self, from: DateTime<Utc>, until: DateTime<Utc>, offset: TimeDelta) -> Option<DateTime<Utc>> {
        let mut day = from;
        while day < until {
            let next = (day + Days::new(1)).min(until);
            if self.offset(next) != offset {
                return first_second(day, next, |moment| self.offset(*moment) != offset);
            }
            day = next;
        }
        None
    }
}

/// The first second in `from..=until` at which something has come to be so, if it is so at the end.
fn first_second(
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    holds: impl Fn(&DateTime<Utc>) -> bool,
) -> Option<DateTime<Utc>> {
    let (mut low, mut high) = (from.timestamp(), until.timestamp());
    let at = |second: i64| DateTime::from_timestamp(second, 0);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(&at(middle)?) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    at(low).filter(holds)
}

fn is_last_day(wall: &NaiveDateTime) -> bool {
    wall.date().succ_opt().is_none_or(|next| next.month() != wall.month())
}

/// One field of an expression, understood.
struct Field {
    values: BTreeSet<u32>,
    /// Written as `*` or `?`: it restricts nothing.
    is_star: bool,
    /// Neither `*` nor a step in it.
    is_plain: bool,
    /// Holds `L`.
    has_last: bool,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEK: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What a field may hold.
struct Form {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of the values from `least` on.
    names: &'static [&'static str],
    takes_last: bool,
}

const FORMS: [Form; 6] = [
    Form { name: "second", least: 0, most: 59, names: &[], takes_last: false },
    Form { name: "minute", least: 0, most: 59, names: &[], takes_last: false },
    Form { name: "hour", least: 0, most: 23, names: &[], takes_last: false },
    Form { name: "day of month", least: 1, most: 31, names: &[], takes_last: true },
    Form { name: "month", least: 1, most: 12, names: &MONTHS, takes_last: false },
    Form { name: "day of week", least: 0, most: 7, names: &WEEK, takes_last: false },
];

/// The schedules whose union an expression is, and whether it means times of day.
fn parts(text: &str) -> Result<(Vec<Part>, bool), String> {
    let text = match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        word if word.starts_with('@') => {
            return Err(format!("`{word}` is not one of @yearly @monthly @weekly @daily @hourly"));
        }
        _ => text,
    };
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.len() == 5 {
        words.insert(0, "0");
    }
    if words.len() != FORMS.len() {
        return Err(format!("has {} fields; write 5 (minute first) or 6 (second first)", words.len()));
    }
    let fields = words.iter().zip(&FORMS).map(|(word, form)| field(word, form)).collect::<Result<Vec<_>, _>>()?;
    let [second, minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err("has too few fields".to_owned());
    };
    let list =
        |values: &mut dyn Iterator<Item = u32>| values.map(|value| value.to_string()).collect::<Vec<_>>().join(",");
    let plain = |field: &Field| list(&mut field.values.iter().copied());
    // The crate counts the days of a week from 1.
    let weekdays: BTreeSet<u32> = weekday.values.iter().map(|value| value % 7 + 1).collect();
    let weekdays = list(&mut weekdays.into_iter());
    let mut parts = Vec::new();
    let mut add = |days: &str, weekdays: &str, is_last_day: bool| {
        let (second, minute, hour, month) = (plain(second), plain(minute), plain(hour), plain(month));
        let text = format!("{second} {minute} {hour} {days} {month} {weekdays}");
        let wall = cron::Schedule::from_str(&text).map_err(|error| error.to_string())?;
        parts.push(Part { wall, is_last_day });
        Ok::<(), String>(())
    };
    let days = plain(day);
    // With both day fields restricted either of them is enough.
    let either = !day.is_star && !weekday.is_star;
    if day.has_last {
        add("28-31", if either { "*" } else { &weekdays }, true)?;
    }
    if !days.is_empty() {
        add(&days, if either { "*" } else { &weekdays }, false)?;
    }
    if either {
        add("*", &weekdays, false)?;
    }
    Ok((parts, minute.is_plain && hour.is_plain && second.is_plain))
}

fn field(text: &str, form: &Form) -> Result<Field, String> {
    let failed = |what: &str| format!("{}: `{text}` {what}", form.name);
    let upper = text.to_ascii_uppercase();
    let is_star = matches!(text, "*" | "?");
    let mut field =
        Field { values: BTreeSet::new(), is_star, is_plain: !text.contains(['*', '/', '?']), has_last: false };
    let value = |word: &str| {
        let named = form.names.iter().zip(form.least..).find(|(name, _)| **name == word).map(|(_, value)| value);
        let digits = !word.is_empty() && word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        let value =
            named.or_else(|| word.parse().ok().filter(|_| digits)).ok_or_else(|| failed("is not understood"))?;
        if (form.least..=form.most).contains(&value) {
            return Ok(value);
        }
        Err(failed(&format!("is not within {} to {}", form.least, form.most)))
    };
    for item in upper.split(',') {
        if item == "L" && form.takes_last {
            field.has_last = true;
            continue;
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0))),
            None => (item, None),
        };
        let step = match step {
            Some(None) => return Err(failed("has a step that is no number from 1 on")),
            Some(Some(step)) => Some(step),
            None => None,
        };
        let most = if form.most == 7 { 6 } else { form.most };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (form.least, most),
            Some((from, to)) => (value(from)?, value(to)?),
            None if step.is_some() => (value(range)?, form.most),
            None => (value(range)?, value(range)?),
        };
        // SUN is 0, but after FRI it is 7.
        let to = if form.most == 7 && to == 0 && from > 0 { 7 } else { to };
        if from > to {
            return Err(failed("is a range from high to low"));
        }
        field.values.extend((from..=to).step_by(step.unwrap_or(1)));
    }
    Ok(field)
}

/// Says when a schedule is due, once for any number of missed times.
#[derive(Debug, Clone)]
pub struct Timer {
    schedule: Schedule,
    seen: DateTime<Utc>,
}

impl Timer {
    /// A timer that is due at the first time after `now`.
    pub fn new(schedule: Schedule, now: DateTime<Utc>) -> Self {
        Timer { schedule, seen: now }
    }

    /// Says whether a time has come since the last call. After a clock that jumped ahead this is so once; a clock that
    /// was set back counts from where it is.
    pub fn is_due(&mut self, now: DateTime<Utc>) -> bool {
        let is_due = self.schedule.next_after(self.seen).is_some_and(|next| next <= now);
        self.seen = now;
        is_due
    }

    /// How long to sleep until it is worth asking again: at most a minute, because clocks are set.
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        let next = self.schedule.next_after(now.max(self.seen));
        let until = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(LONGEST_WAIT);
        until.min(LONGEST_WAIT)
    }

    /// When it is due next.
    pub fn next(&self) -> Option<DateTime<Utc>> {
        self.schedule.next_after(self.seen)
    }
}

/// The time to the next poll: the interval, a tenth shorter to a tenth longer, so that many sources and daemons do not
/// ask all at once. `random` is from 0 to 1.
pub fn until_poll(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}
