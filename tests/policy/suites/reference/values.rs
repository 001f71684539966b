//! The reference's own reading of values: instants, days, lengths of time, numbers.

use super::{local, text};
use serde_json::Value;

/// First and last millisecond of an instant or of a day; both need a time zone.
pub(crate) fn span(value: &Value) -> Option<(i64, i64)> {
    const DAY: i64 = 86_400_000;
    let datatype = value.get("@type").map(text).and_then(|written| local("xsd", written));
    let written = text(value);
    let (date, rest) = written.split_at_checked(10)?;
    let days = days(date)?;
    match rest.strip_prefix('T') {
        None if matches!(datatype, None | Some("date")) => {
            let first = days * DAY - zone(rest)?;
            Some((first, first + DAY - 1))
        }
        Some(rest) if matches!(datatype, None | Some("dateTime" | "dateTimeStamp")) => {
            let at = rest.find(['Z', '+', '-'])?;
            let (clock, offset) = rest.split_at(at);
            let instant = days * DAY + time_of_day(clock)? - zone(offset)?;
            Some((instant, instant))
        }
        _ => None,
    }
}

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fraction`, in milliseconds.
fn time_of_day(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<i64> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    match parts.as_slice() {
        [hour, minute] => Some((hour * 60 + minute) * 60_000),
        [hour, minute, second] => Some(((hour * 60 + minute) * 60 + second) * 1000 + millis),
        _ => None,
    }
}

/// `Z`, `+hh:mm` or `-hh:mm`, in milliseconds.
fn zone(offset: &str) -> Option<i64> {
    match offset.split_at_checked(1)? {
        ("Z", "") => Some(0),
        ("+", rest) => time_of_day(rest),
        ("-", rest) => time_of_day(rest).map(|millis| -millis),
        _ => None,
    }
}

/// `yyyy-mm-dd` as days since 1970, counted year by year and month by month.
fn days(date: &str) -> Option<i64> {
    let parts: Vec<i64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts.try_into().ok()?;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(usize::try_from(month).ok()? - 1).sum();
    Some(years + months + day - 1)
}

/// `P1Y2M3DT4H5M6S` as months and milliseconds, whole numbers alone.
pub(crate) fn duration(written: &str) -> Option<(i64, i64)> {
    let (mut months, mut millis, mut number, mut in_clock) = (0, 0, String::new(), false);
    for letter in written.strip_prefix('P')?.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        if letter == 'T' {
            in_clock = true;
            continue;
        }
        let many: i64 = std::mem::take(&mut number).parse().ok()?;
        match (letter, in_clock) {
            ('Y', false) => months += 12 * many,
            ('M', false) => months += many,
            ('D', false) => millis += 86_400_000 * many,
            ('H', true) => millis += 3_600_000 * many,
            ('M', true) => millis += 60_000 * many,
            ('S', true) => millis += 1000 * many,
            _ => return None,
        }
    }
    number.is_empty().then_some((months, millis))
}

/// So many months later on the calendar, month by month; a day that the last month lacks is its last.
pub(crate) fn months_later(from: i64, months: i64) -> i64 {
    const DAY: i64 = 86_400_000;
    let (day_number, clock) = (from.div_euclid(DAY), from.rem_euclid(DAY));
    let first_of = |year: i64, month: i64| days(&format!("{year:04}-{month:02}-01")).unwrap();
    let (mut year, mut month) = (1970, 1);
    let after = |year: i64, month: i64| if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    while {
        let (year, month) = after(year, month);
        first_of(year, month)
    } <= day_number
    {
        (year, month) = after(year, month);
    }
    let day = day_number - first_of(year, month);
    for _ in 0..months {
        (year, month) = after(year, month);
    }
    let (next_year, next_month) = after(year, month);
    let length = first_of(next_year, next_month) - first_of(year, month);
    (first_of(year, month) + day.min(length - 1)) * DAY + clock
}

pub(super) const MILLIONTHS: i64 = 1_000_000;

/// `-12.5` in millionths.
pub(crate) fn decimal(written: &str) -> Option<i64> {
    let (whole, part) = written.split_once('.').unwrap_or((written, "0"));
    let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |rest| (true, rest));
    let amount = whole.parse::<i64>().ok()? * MILLIONTHS + format!("{part:0<6}").parse::<i64>().ok()?;
    Some(if negative { -amount } else { amount })
}

/// When an event begins and when it is over, in milliseconds: `FROM UNTIL`, either of them `-` where there is no such bound.
pub(crate) fn period(written: &str) -> (Option<i64>, Option<i64>) {
    let (from, until) = written.split_once(' ').unwrap();
    (from.parse().ok(), until.parse().ok())
}
