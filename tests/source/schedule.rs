//! Cron expressions: by example where clocks change, and against croner everywhere else.

use std::time::Duration;

use bowline::source::{Schedule, Timer, until_poll};
use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The fires after a moment, as local times with their offset.
fn fires(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(expression, zone).unwrap();
    let shown: chrono_tz::Tz =
        expression.strip_prefix("TZ=").map_or(zone, |rest| rest.split(' ').next().unwrap()).parse().unwrap();
    std::iter::successors(schedule.next_after(at(after)), |fire| schedule.next_after(*fire))
        .take(count)
        .map(|fire| fire.with_timezone(&shown).format("%a %m-%d %H:%M:%S %:z").to_string())
        .collect()
}

#[test]
fn fields_mean_what_crontab_says() {
    let after = "2026-11-20T08:07:30Z";
    let first = |expression: &str| fires(expression, "UTC", after, 1).remove(0);
    assert_eq!(first("*/5 * * * *"), "Fri 11-20 08:10:00 +00:00");
    assert_eq!(first("*/5 * * * * *"), "Fri 11-20 08:07:35 +00:00");
    assert_eq!(first("0 9 * * 1"), "Mon 11-23 09:00:00 +00:00");
    assert_eq!(first("0 9 * * 0"), first("0 9 * * 7"));
    assert_eq!(first("0 9 * * 7"), "Sun 11-22 09:00:00 +00:00");
    assert_eq!(first("0 9 * * sun"), first("0 9 * * SUN"));
    assert_eq!(fires("0 9 * * FRI-SUN", "UTC", after, 3)[2], "Sun 11-22 09:00:00 +00:00");
    assert_eq!(first("0 0 1 feb *"), "Mon 02-01 00:00:00 +00:00");
    assert_eq!(first("0 0 ? * 5-7"), "Sat 11-21 00:00:00 +00:00");
    assert_eq!(first("@hourly"), "Fri 11-20 09:00:00 +00:00");
    assert_eq!(first("TZ=Asia/Kolkata 0 9 * * *"), "Sat 11-21 09:00:00 +05:30");
    assert_eq!(
        fires("0 0 13 * FRI", "UTC", after, 4),
        [
            "Fri 11-27 00:00:00 +00:00",
            "Fri 12-04 00:00:00 +00:00",
            "Fri 12-11 00:00:00 +00:00",
            "Sun 12-13 00:00:00 +00:00",
        ]
    );
    assert_eq!(fires("0 0 L * *", "UTC", after, 4)[3], "Sun 02-28 00:00:00 +00:00");
    assert_eq!(fires("0 0 15,L * *", "UTC", after, 3)[1], "Tue 12-15 00:00:00 +00:00");
    assert_eq!(first("0 0 29 2 *"), "Tue 02-29 00:00:00 +00:00");
}

#[test]
fn what_is_wrong_is_said() {
    let error = |expression: &str| Schedule::parse(expression, "UTC").unwrap_err().to_string();
    assert_eq!(error("* * * *"), "schedule `* * * *`: has 4 fields; write 5 (minute first) or 6 (second first)");
    assert_eq!(error("60 * * * *"), "schedule `60 * * * *`: minute: `60` is not within 0 to 59");
    assert_eq!(error("0 0 * * FOO"), "schedule `0 0 * * FOO`: day of week: `FOO` is not understood");
    assert_eq!(error("0 0 30 2 *"), "schedule `0 0 30 2 *`: never comes: no month has that day");
    for wrong in
        ["", "5-1 * * * *", "*/0 * * * *", "1- * * * *", "+1 * * * *", "@often", "0 0 * L *", "a b c d e", "0 0 0 * *"]
    {
        assert!(Schedule::parse(wrong, "UTC").is_err(), "{wrong}");
    }
    assert!(error("TZ=Mars/Base 0 0 * * *").contains("`Mars/Base` is no time zone"));
    assert!(Schedule::parse("0 0 * * *", "Mars/Base").is_err());
}

#[test]
fn a_time_of_day_that_is_skipped_fires_right_after() {
    // Berlin, 2026-03-29: 02:00 is followed by 03:00.
    let after = "2026-03-28T12:00:00Z";
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", after, 2),
        ["Sun 03-29 03:00:00 +02:00", "Mon 03-30 02:30:00 +02:00"]
    );
    assert_eq!(
        fires("15,45 2 * * *", "Europe/Berlin", after, 2),
        ["Sun 03-29 03:00:00 +02:00", "Mon 03-30 02:15:00 +02:00"]
    );
    assert_eq!(
        fires("0 2,3 * * *", "Europe/Berlin", after, 2),
        ["Sun 03-29 03:00:00 +02:00", "Mon 03-30 02:00:00 +02:00"]
    );
    // Apia left out the whole of 2011-12-30.
    assert_eq!(fires("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["Sat 12-31 00:00:00 +14:00"]);
}

#[test]
fn a_time_of_day_that_comes_twice_fires_once() {
    // Berlin, 2026-10-25: 03:00 is followed by 02:00.
    let after = "2026-10-24T12:00:00Z";
    assert_eq!(
        fires("30 2 * * *", "Europe/Berlin", after, 2),
        ["Sun 10-25 02:30:00 +02:00", "Mon 10-26 02:30:00 +01:00"]
    );
    assert_eq!(fires("0,30 2 * * *", "Europe/Berlin", after, 3)[2], "Mon 10-26 02:00:00 +01:00");
}

#[test]
fn every_so_often_goes_by_real_time() {
    let spring = fires("*/20 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 3);
    assert_eq!(spring, ["Sun 03-29 01:40:00 +01:00", "Sun 03-29 03:00:00 +02:00", "Sun 03-29 03:20:00 +02:00"]);
    let autumn = fires("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5);
    assert_eq!(autumn[0], "Sun 10-25 02:00:00 +02:00");
    assert_eq!(autumn[2..4], ["Sun 10-25 02:00:00 +01:00", "Sun 10-25 02:30:00 +01:00"]);
    assert_eq!(autumn[4], "Sun 10-25 03:00:00 +01:00");
}

#[test]
fn the_last_fire_is_the_one_before_the_next() {
    for expression in ["* * * * * *", "0 9 * * 1", "30 2 * * *", "0 0 29 2 *", "*/7 * 1 1 *"] {
        let schedule = Schedule::parse(expression, "Europe/Berlin").unwrap();
        let next = schedule.next_after(at("2026-11-20T08:07:30Z")).unwrap();
        assert_eq!(schedule.last_until(next), Some(next), "{expression}");
        let last = schedule.last_until(next - chrono::TimeDelta::seconds(1)).unwrap();
        assert_eq!(schedule.next_after(last), Some(next), "{expression}");
    }
}

#[test]
fn a_timer_fires_once_after_a_clock_that_jumped() {
    let schedule = Schedule::parse("*/10 * * * *", "UTC").unwrap();
    let mut timer = Timer::new(schedule, at("2026-11-20T08:00:00Z"));
    assert!(!timer.is_due(at("2026-11-20T08:09:59Z")));
    assert!(timer.is_due(at("2026-11-20T08:10:00Z")));
    assert!(!timer.is_due(at("2026-11-20T08:10:01Z")));
    assert!(timer.is_due(at("2026-11-21T20:00:05Z")), "a day and a half ahead: once");
    assert!(!timer.is_due(at("2026-11-21T20:00:06Z")));
    assert!(!timer.is_due(at("2026-11-20T08:15:00Z")), "set back: counts from there");
    assert_eq!(timer.next(), Some(at("2026-11-20T08:20:00Z")));
    assert!(timer.is_due(at("2026-11-20T08:20:00Z")));
    assert_eq!(timer.wait(at("2026-11-20T08:29:50Z")), Duration::from_secs(10));
    assert_eq!(timer.wait(at("2026-11-20T08:21:00Z")), Duration::from_secs(60), "clocks are set: never sleep long");
}

#[test]
fn polls_are_spread_around_their_interval() {
    let interval = Duration::from_secs(30);
    assert_eq!(until_poll(interval, 0.0), Duration::from_secs(27));
    assert_eq!(until_poll(interval, 0.5), interval);
    assert_eq!(until_poll(interval, 1.0), Duration::from_secs(33));
}

fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let value = least..=most;
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => value.clone().prop_map(|value| value.to_string()),
        1 => (1..=most).prop_map(|step| format!("*/{step}")),
        1 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (value.clone(), value, 1..6u32).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
        1 => proptest::collection::vec(least..=most, 2..4)
            .prop_map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
    ]
}

fn day_of_month() -> impl Strategy<Value = String> {
    prop_oneof![5 => Just("*".to_owned()), 5 => field(1, 28), 1 => Just("L".to_owned())]
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Apia",
];

/// One time of day, or `*` and steps: there croner and we mean the same where clocks change. Lists and ranges are times
/// of day to us and intervals to croner.
fn is_shared(minute: &str, hour: &str) -> bool {
    let is_single = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
    let is_open = |field: &str| field.contains(['*', '/']);
    (is_single(minute) && is_single(hour)) || is_open(minute) || is_open(hour)
}

/// Any time, and often one close to where a clock changes.
fn start() -> impl Strategy<Value = i64> {
    let changes = [
        "2026-03-29T01:00:00Z", // Berlin
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z", // New York
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z", // Lord Howe, half an hour
        "2026-10-03T15:30:00Z",
        "2018-11-04T03:00:00Z", // Sao Paulo, at midnight
        "2018-02-18T02:00:00Z",
        "2026-02-15T02:00:00Z", // Casablanca
        "2026-03-22T02:00:00Z",
    ];
    let changes = changes.map(|text| at(text).timestamp());
    prop_oneof![
        2 => 1_500_000_000_i64..1_900_000_000,
        3 => (proptest::sample::select(changes.to_vec()), -100_000_i64..10_000).prop_map(|(change, away)| change + away),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn fires_are_those_of_croner(
        minute in field(0, 59),
        hour in field(0, 23),
        day in day_of_month(),
        month in prop_oneof![1 => Just("*".to_owned()), 1 => field(1, 12)],
        weekday in prop_oneof![1 => Just("*".to_owned()), 1 => field(0, 7)],
        zone in proptest::sample::select(&ZONES[..]),
        start in start(),
    ) {
        prop_assume!(is_shared(&minute, &hour));
        let expression = format!("{minute} {hour} {day} {month} {weekday}");
        let peer = CronParser::builder().seconds(Seconds::Optional).build().parse(&expression).unwrap();
        let zone_value: chrono_tz::Tz = zone.parse().unwrap();
        let schedule = Schedule::parse(&expression, zone).unwrap();
        let mut ours = DateTime::from_timestamp(start, 0).unwrap();
        let mut theirs = ours.with_timezone(&zone_value);
        for _ in 0..5 {
            ours = schedule.next_after(ours).unwrap();
            theirs = peer.find_next_occurrence(&theirs, false).unwrap();
            prop_assert_eq!(ours, theirs.to_utc(), "{} in {} after {}", expression, zone, start);
        }
    }
}
