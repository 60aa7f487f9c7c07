//! Dates, durations, and Go's `time.Time` and `time.Duration` with their methods.
//!
//! The clock and the zone `Local` are those of the context, so that a run can be repeated.

use std::any::Any;
use std::cmp::Ordering;

use super::convert::{argument, bytes, float_to_int64, integer, text};
use super::{ANY, Failure, INT, STRING};
use crate::template::exec::State;
use crate::template::time::{Duration, Time, Zone, month_name, weekday_name};
use crate::template::value::{Integer, Named, Object, Type, Under, Value};
use crate::template::{format, strconv};

type Result<T = Value> = std::result::Result<T, Failure>;

functions! { "dates";
    "ago"(ANY) = ago, "The time since a date, in seconds.";
    "date"(STRING, ANY) = |state, a| date(state, bytes(a, 0), argument(a, 1), b"Local"), "Prints a date by a layout.";
    "dateInZone"(STRING, ANY, STRING) = |state, a| date(state, bytes(a, 0), argument(a, 1), bytes(a, 2)), "Prints a date by a layout in a zone.";
    "date_in_zone"(STRING, ANY, STRING) = |state, a| date(state, bytes(a, 0), argument(a, 1), bytes(a, 2)), "Old name of `dateInZone`.";
    "dateModify"(STRING, TIME) = date_modify, "A date some duration later; the same date if that is none.";
    "date_modify"(STRING, TIME) = date_modify, "Old name of `dateModify`.";
    "mustDateModify"(STRING, TIME) = must_date_modify, "As `dateModify`, but a bad duration is an error.";
    "must_date_modify"(STRING, TIME) = must_date_modify, "Old name of `mustDateModify`.";
    "duration"(ANY) = |_, a| Ok(duration(argument(a, 0)).to_string().into()), "Seconds as a duration: `1m35s`.";
    "durationRound"(ANY) = duration_round, "A duration in its largest unit: `3mo`.";
    "durationDays"(ANY) = |_, a| Ok((hours(a) / 24.0).into()), "A duration in days.";
    "durationHours"(ANY) = |_, a| Ok(hours(a).into()), "A duration in hours.";
    "durationMicroseconds"(ANY) = |_, a| Ok(Value::Int64(lenient(argument(a, 0)).0 / 1_000)), "A duration in microseconds.";
    "durationMilliseconds"(ANY) = |_, a| Ok(Value::Int64(lenient(argument(a, 0)).0 / 1_000_000)), "A duration in milliseconds.";
    "durationMinutes"(ANY) = |_, a| Ok(lenient(argument(a, 0)).minutes().into()), "A duration in minutes.";
    "durationNanoseconds"(ANY) = |_, a| Ok(Value::Int64(lenient(argument(a, 0)).0)), "A duration in nanoseconds.";
    "durationRoundTo"(ANY, ANY) = |_, a| Ok(stepped(a, Duration::round)), "A duration rounded to a multiple of another.";
    "durationSeconds"(ANY) = |_, a| Ok(lenient(argument(a, 0)).seconds().into()), "A duration in seconds.";
    "durationTruncateTo"(ANY, ANY) = |_, a| Ok(stepped(a, Duration::truncate)), "A duration cut off to a multiple of another.";
    "durationWeeks"(ANY) = |_, a| Ok((hours(a) / 24.0 / 7.0).into()), "A duration in weeks.";
    "mustToDuration"(ANY) = |_, a| as_duration(argument(a, 0)).map(Value::object), "Text or seconds as a duration.";
    "htmlDate"(ANY) = |state, a| date(state, b"2006-01-02", argument(a, 0), b"Local"), "A date for HTML's date picker.";
    "htmlDateInZone"(ANY, STRING) = |state, a| date(state, b"2006-01-02", argument(a, 0), bytes(a, 1)), "As `htmlDate`, in a zone.";
    "now"() = |state, _| Ok(Value::object(now(state))), "The date and time of the run.";
    "toDate"(STRING, STRING) = |state, a| Ok(Value::object(to_date(state, a).unwrap_or_else(|_| Time::zero()))), "Reads a date by a layout; the zero time if it is none.";
    "mustToDate"(STRING, STRING) = |state, a| to_date(state, a).map(Value::object), "As `toDate`, but a bad date is an error.";
    "unixEpoch"(TIME) = |_, a| Ok(time(a, 0).unix().to_string().into()), "Seconds since 1970.";
}

/// The zone that Go calls `Local`.
fn local(state: &mut State<'_>) -> Zone {
    Zone::named(state.context().clock.zone()).unwrap_or(Zone::Utc)
}

fn now(state: &mut State<'_>) -> Time {
    let moment = state.context().clock.now();
    let zone = local(state);
    Time::from_unix(moment.seconds, moment.nanoseconds, zone)
}

/// The time of an argument; the engine has seen to its type.
fn time(a: &[Value], at: usize) -> Time {
    as_time(argument(a, at)).unwrap_or_else(Time::zero)
}

fn as_time(value: &Value) -> Option<Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<Time>().cloned(),
        _ => None,
    }
}

/// A date, or seconds since 1970 of an integer type; anything else is now, as in sprig.
fn date(state: &mut State<'_>, layout: &[u8], date: &Value, zone: &[u8]) -> Result {
    let local = local(state);
    let time = match date {
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_unix(*seconds, 0, local.clone()),
        Value::Integer(Integer::Int32(seconds)) => Time::from_unix(i64::from(*seconds), 0, local.clone()),
        _ => as_time(date).unwrap_or_else(|| now(state)),
    };
    let zone = match &*String::from_utf8_lossy(zone) {
        "Local" => local,
        name => Zone::named(name).unwrap_or(Zone::Utc),
    };
    Ok(time.in_zone(zone).format(&String::from_utf8_lossy(layout)).into())
}

fn to_date(state: &mut State<'_>, a: &[Value]) -> Result<Time> {
    let zone = local(state);
    Time::parse(&text(a, 0), &text(a, 1), &zone).map_err(|error| Failure::new(error.to_string()))
}

fn date_modify(_: &mut State<'_>, a: &[Value]) -> Result {
    Ok(match Duration::parse(&text(a, 0)) {
        Ok(duration) => Value::object(time(a, 1).add(duration)),
        Err(_) => argument(a, 1).clone(),
    })
}

fn must_date_modify(_: &mut State<'_>, a: &[Value]) -> Result {
    let duration = Duration::parse(&text(a, 0)).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Value::object(time(a, 1).add(duration)))
}

fn ago(state: &mut State<'_>, a: &[Value]) -> Result {
    let now = now(state);
    let then = match argument(a, 0) {
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_unix(*seconds, 0, Zone::Utc),
        other => as_time(other).unwrap_or_else(|| now.clone()),
    };
    Ok(now.since(&then).round(Duration::from_seconds(1)).to_string().into())
}

/// sprig's seconds: decimal text or `int64`, anything else is none.
fn duration(seconds: &Value) -> Duration {
    Duration::from_seconds(match seconds {
        Value::Int64(seconds) => *seconds,
        Value::String(text) => decimal(&text.to_str_lossy()),
        _ => 0,
    })
}

/// `strconv.ParseInt` with base 10, whose error is dropped: what is too large is the largest.
fn decimal(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().unwrap_or(limit) } else { 0 }
}

fn duration_round(state: &mut State<'_>, a: &[Value]) -> Result {
    const HOUR: u64 = 3_600_000_000_000;
    let duration = match argument(a, 0) {
        Value::String(text) => Duration::parse(&text.to_str_lossy()).unwrap_or_default(),
        Value::Int64(nanos) => Duration(*nanos),
        other => as_time(other).map_or_else(Duration::default, |then| now(state).since(&then)),
    };
    let nanos = duration.0.unsigned_abs();
    let units = [
        (HOUR * 24 * 365, "y"),
        (HOUR * 24 * 30, "mo"),
        (HOUR * 24, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ];
    let unit = units.into_iter().find(|(unit, _)| nanos > *unit);
    Ok(unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit)).into())
}

/// Helm's reading of durations: text with units, or seconds as text or number.
fn as_duration(value: &Value) -> Result<Duration> {
    match value {
        Value::Nil => Err(Failure::new("invalid duration")),
        Value::String(given) => {
            let given = given.to_str_lossy();
            let trimmed = given.trim();
            if trimmed.is_empty() {
                return Err(Failure::new("empty duration"));
            }
            if let Ok(duration) = Duration::parse(trimmed) {
                return Ok(duration);
            }
            match strconv::parse_float(trimmed) {
                Some(seconds) => from_float(seconds),
                None => Err(Failure::new(format!("could not parse duration {}", format::quote(given.as_bytes())))),
            }
        }
        Value::Float(seconds) => from_float(*seconds),
        Value::Object(object) if object.as_any().is::<Duration>() => Ok(duration_of(value)),
        _ => match value.as_integer() {
            Some(seconds) => match i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000)) {
                Some(nanos) => Ok(Duration(nanos)),
                None => Err(Failure::new(format!("duration seconds overflow: {seconds}"))),
            },
            None => Err(Failure::new(format!("unsupported duration type {}", value.type_name()))),
        },
    }
}

fn from_float(seconds: f64) -> Result<Duration> {
    let shown = strconv::format_float(seconds, 'g', None);
    if !seconds.is_finite() {
        return Err(Failure::new(format!("invalid duration seconds: {shown}")));
    }
    let limit = i64::MAX as f64;
    if seconds.abs() > limit / 1e9 {
        return Err(Failure::new(format!("duration seconds overflow: {shown}")));
    }
    Ok(Duration(float_to_int64(seconds * 1e9)))
}

fn lenient(value: &Value) -> Duration {
    as_duration(value).unwrap_or_default()
}

fn hours(a: &[Value]) -> f64 {
    lenient(argument(a, 0)).hours()
}

fn stepped(a: &[Value], step: fn(Duration, Duration) -> Duration) -> Value {
    let duration = lenient(argument(a, 0));
    Value::object(match as_duration(argument(a, 1)) {
        _ if as_duration(argument(a, 0)).is_err() => Duration::default(),
        Ok(multiple) => step(duration, multiple),
        Err(_) => duration,
    })
}

/// The duration of an argument, also where a constant stands for one.
fn duration_of(value: &Value) -> Duration {
    match value {
        Value::Object(object) => match object.as_any().downcast_ref::<Duration>() {
            Some(duration) => *duration,
            None => Duration(value.integer()),
        },
        _ => Duration(value.integer()),
    }
}

/// `time.Time` as a parameter: types are told apart by name, and a table cannot refer to a type that refers to it.
const TIME: Type = Type::Named(&Named { name: "time.Time", under: Under::Struct, methods: &[] });
/// `time.Duration` as a parameter.
const DURATION: Type = Type::Named(&Named { name: "time.Duration", under: Under::Type(Type::Int64), methods: &[] });

static TIME_TYPE: Named = Named { name: "time.Time", under: Under::Struct, methods: time_methods::FUNCTIONS };
static DURATION_TYPE: Named =
    Named { name: "time.Duration", under: Under::Type(Type::Int64), methods: duration_methods::FUNCTIONS };
static MONTH_TYPE: Named = Named { name: "time.Month", under: Under::Type(Type::Int), methods: names::FUNCTIONS };
static WEEKDAY_TYPE: Named = Named { name: "time.Weekday", under: Under::Type(Type::Int), methods: names::FUNCTIONS };
static LOCATION_TYPE: Named = Named { name: "*time.Location", under: Under::Pointer, methods: names::FUNCTIONS };

mod names {
    use super::super::convert::to_text;
    use super::argument;

    functions! { "methods of names";
        "String"() = |_, a| Ok(to_text(argument(a, 0)).into()), "Its name.";
    }
}

mod time_methods {
    use super::*;

    functions! { "methods of time.Time";
        "Add"(DURATION) = |_, a| Ok(Value::object(time(a, 0).add(duration_of(argument(a, 1))))), "The time later.";
        "AddDate"(INT, INT, INT) = |_, a| Ok(Value::object(time(a, 0).add_date(integer(a, 1), integer(a, 2), integer(a, 3)))), "The date years, months and days later.";
        "After"(TIME) = |_, a| Ok((time(a, 0) > time(a, 1)).into()), "Whether it is later.";
        "Before"(TIME) = |_, a| Ok((time(a, 0) < time(a, 1)).into()), "Whether it is earlier.";
        "Compare"(TIME) = |_, a| Ok(Value::Int(ordering(time(a, 0).partial_cmp(&time(a, 1))))), "-1, 0 or 1.";
        "Day"() = |_, a| Ok(Value::Int(time(a, 0).day().into())), "The day of the month.";
        "Equal"(TIME) = |_, a| Ok((time(a, 0) == time(a, 1)).into()), "Whether it is the same instant.";
        "Format"(STRING) = |_, a| Ok(time(a, 0).format(&text(a, 1)).into()), "Prints it by a layout.";
        "Hour"() = |_, a| Ok(Value::Int(time(a, 0).hour().into())), "The hour.";
        "IsZero"() = |_, a| Ok(time(a, 0).is_zero().into()), "Whether it is the zero time.";
        "Local"() = |state, a| Ok(Value::object(time(a, 0).in_zone(local(state)))), "The same instant in the local zone.";
        "Location"() = |_, a| Ok(Value::object(Location(time(a, 0).zone().name().to_owned()))), "The zone.";
        "Minute"() = |_, a| Ok(Value::Int(time(a, 0).minute().into())), "The minute.";
        "Month"() = |_, a| Ok(Value::object(Month(time(a, 0).month()))), "The month.";
        "Nanosecond"() = |_, a| Ok(Value::Int(time(a, 0).nanosecond().into())), "The nanoseconds within the second.";
        "Round"(DURATION) = |_, a| Ok(Value::object(time(a, 0).round(duration_of(argument(a, 1))))), "Rounded to a multiple.";
        "Second"() = |_, a| Ok(Value::Int(time(a, 0).second().into())), "The second.";
        "String"() = |_, a| Ok(time(a, 0).to_string().into()), "Date, time and zone.";
        "Sub"(TIME) = |_, a| Ok(Value::object(time(a, 0).since(&time(a, 1)))), "The duration since another time.";
        "Truncate"(DURATION) = |_, a| Ok(Value::object(time(a, 0).truncate(duration_of(argument(a, 1))))), "Cut off to a multiple.";
        "UTC"() = |_, a| Ok(Value::object(time(a, 0).in_zone(Zone::Utc))), "The same instant in UTC.";
        "Unix"() = |_, a| Ok(Value::Int64(time(a, 0).unix())), "Seconds since 1970.";
        "UnixMicro"() = |_, a| Ok(Value::Int64(time(a, 0).unix_micros())), "Microseconds since 1970.";
        "UnixMilli"() = |_, a| Ok(Value::Int64(time(a, 0).unix_millis())), "Milliseconds since 1970.";
        "UnixNano"() = |_, a| Ok(Value::Int64(time(a, 0).unix_nanos())), "Nanoseconds since 1970.";
        "Weekday"() = |_, a| Ok(Value::object(Weekday(time(a, 0).weekday()))), "The day of the week.";
        "Year"() = |_, a| Ok(Value::Int(time(a, 0).year())), "The year.";
        "YearDay"() = |_, a| Ok(Value::Int(time(a, 0).year_day().into())), "The day of the year.";
    }
}

mod duration_methods {
    use super::*;

    fn own(a: &[Value]) -> Duration {
        duration_of(argument(a, 0))
    }

    functions! { "methods of time.Duration";
        "Abs"() = |_, a| Ok(Value::object(Duration(own(a).0.checked_abs().unwrap_or(i64::MAX)))), "Without sign.";
        "Hours"() = |_, a| Ok(own(a).hours().into()), "In hours.";
        "Microseconds"() = |_, a| Ok(Value::Int64(own(a).0 / 1_000)), "In microseconds.";
        "Milliseconds"() = |_, a| Ok(Value::Int64(own(a).0 / 1_000_000)), "In milliseconds.";
        "Minutes"() = |_, a| Ok(own(a).minutes().into()), "In minutes.";
        "Nanoseconds"() = |_, a| Ok(Value::Int64(own(a).0)), "In nanoseconds.";
        "Round"(DURATION) = |_, a| Ok(Value::object(own(a).round(duration_of(argument(a, 1))))), "Rounded to a multiple.";
        "Seconds"() = |_, a| Ok(own(a).seconds().into()), "In seconds.";
        "String"() = |_, a| Ok(own(a).to_string().into()), "As `1h2m3s`.";
        "Truncate"(DURATION) = |_, a| Ok(Value::object(own(a).truncate(duration_of(argument(a, 1))))), "Cut off to a multiple.";
    }
}

fn ordering(ordering: Option<Ordering>) -> i64 {
    ordering.map_or(0, |ordering| ordering as i64)
}

impl Object for Time {
    fn type_of(&self) -> Type {
        Type::Named(&TIME_TYPE)
    }

    fn string(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Time>().is_some_and(|other| self == other && self.zone() == other.zone())
    }

    fn to_json(&self) -> std::result::Result<serde_json::Value, Failure> {
        if !(0..10_000).contains(&self.year()) {
            return Err(Failure::new("Time.MarshalJSON: year outside of range [0,9999]"));
        }
        Ok(self.format("2006-01-02T15:04:05.999999999Z07:00").into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Object for Duration {
    fn type_of(&self) -> Type {
        Type::Named(&DURATION_TYPE)
    }

    fn string(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int64(self.0))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Duration>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `time.Month`, from 1.
struct Month(u32);

impl Object for Month {
    fn type_of(&self) -> Type {
        Type::Named(&MONTH_TYPE)
    }

    fn string(&self) -> Option<String> {
        Some(month_name(self.0).to_owned())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.0.into()))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Month>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `time.Weekday`, Sunday being 0.
struct Weekday(u32);

impl Object for Weekday {
    fn type_of(&self) -> Type {
        Type::Named(&WEEKDAY_TYPE)
    }

    fn string(&self) -> Option<String> {
        Some(weekday_name(self.0).to_owned())
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int(self.0.into()))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Weekday>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `*time.Location`.
struct Location(String);

impl Object for Location {
    fn type_of(&self) -> Type {
        Type::Named(&LOCATION_TYPE)
    }

    fn string(&self) -> Option<String> {
        Some(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
