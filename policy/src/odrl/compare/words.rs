//! Values and what is left of an operand, in plain English.

use super::{
    codes::Scheme,
    concepts::Name,
    intervals::{Cut, Intervals},
    space::Region,
    test::{self, How, Scale, Test},
};
use crate::odrl::{Duration, Instant, Value};
use std::{collections::BTreeSet, fmt::Write};
use time::OffsetDateTime;

/// A value as it would be written in a policy.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Instant(at, zoned) => instant(*at, *zoned),
        Value::Day(start, _, zoned) => {
            let text = instant(*start, *zoned);
            text.split('T').next().unwrap_or(&text).to_owned()
        }
        Value::Duration(length) => duration(*length),
        Value::Boolean(flag) => flag.to_string(),
        Value::Iri(text) | Value::Text(text) => text.clone(),
    }
}

fn instant(at: Instant, zoned: bool) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(at.0) else {
        return format!("{} ns since 1970", at.0);
    };
    let (date, clock) = (time.date(), time.time());
    let mut text = format!("{date}T{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second());
    if clock.nanosecond() != 0 {
        let _ = write!(text, ".{:09}", clock.nanosecond());
    }
    if zoned {
        text.push('Z');
    }
    text
}

fn duration(length: Duration) -> String {
    const SECOND: i128 = 1_000_000_000;
    let sign = if length.months < 0 || length.nanos < 0 { "-" } else { "" };
    let (months, nanos) = (length.months.unsigned_abs(), length.nanos.abs());
    let (seconds, part) = (nanos / SECOND, nanos % SECOND);
    let mut text = format!("{sign}P");
    let put = |text: &mut String, count: i128, letter: char| {
        if count != 0 {
            let _ = write!(text, "{count}{letter}");
        }
    };
    put(&mut text, (months / 12).into(), 'Y');
    put(&mut text, (months % 12).into(), 'M');
    put(&mut text, seconds / 86_400, 'D');
    if seconds % 86_400 != 0 || part != 0 {
        text.push('T');
        put(&mut text, seconds % 86_400 / 3_600, 'H');
        put(&mut text, seconds % 3_600 / 60, 'M');
        if part == 0 {
            put(&mut text, seconds % 60, 'S');
        } else {
            let _ = write!(text, "{}.{part:09}S", seconds % 60);
        }
    }
    if months == 0 && nanos == 0 {
        text.push_str("T0S");
    }
    text
}

/// `at most 600 px`, `from 2026-01-01T00:00:00Z to before 2026-02-01T00:00:00Z`.
pub(super) fn line(scale: Scale, unit: Option<&str>, set: &Intervals) -> String {
    let key = |cut: Cut| {
        let (at, after) = cut.parts();
        let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        (format!("{}{unit}", value(&test::value(scale, at))), after)
    };
    let timed = matches!(scale, Scale::Time(_));
    let up_to = |cut: Cut| match (key(cut), timed) {
        ((text, true), true) => format!("until {text}"),
        ((text, false), true) => format!("before {text}"),
        ((text, true), false) => format!("at most {text}"),
        ((text, false), false) => format!("less than {text}"),
    };
    let down_to = |cut: Cut| match (key(cut), timed) {
        ((text, false), true) => format!("from {text}"),
        ((text, true), true) => format!("after {text}"),
        ((text, false), false) => format!("at least {text}"),
        ((text, true), false) => format!("more than {text}"),
    };
    let spans = set.spans().map(|span| match span {
        (Some(low), Some(high)) if low == Cut::before(high.parts().0) && high.parts().1 => {
            format!("exactly {}", key(low).0)
        }
        (Some(low), Some(high)) => format!("{} and {}", down_to(low), up_to(high)),
        (Some(low), None) => down_to(low),
        (None, Some(high)) => up_to(high),
        (None, None) => "any".to_owned(),
    });
    let spans: Vec<String> = spans.collect();
    if spans.is_empty() {
        "nothing".to_owned()
    } else {
        spans.join(", or ")
    }
}

fn list(names: &BTreeSet<Name>, word: &str) -> String {
    let names: Vec<&str> = names.iter().map(short).collect();
    match names.as_slice() {
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} {word} {last}", rest.join(", ")),
        [] => "nothing".to_owned(),
    }
}

/// An action by its bare name, anything else as it is written.
fn short(name: &Name) -> &str {
    match name.scheme {
        Scheme::Action => name.text.rsplit('/').next().unwrap_or(&name.text),
        _ => &name.text,
    }
}

/// A single test on an operand.
pub(super) fn test(test: &Test) -> String {
    match test {
        Test::Line { scale, unit, set } => line(*scale, unit.as_deref(), set),
        Test::Names { how, names, holds } => match (how, holds) {
            (How::Exactly, true) if names.len() == 1 => list(names, "or"),
            (How::Exactly, false) if names.len() == 1 => format!("not {}", list(names, "or")),
            (How::Any, true) => list(names, "or"),
            (How::Any, false) => format!("not {}", list(names, "or")),
            (How::Exactly, true) => format!("exactly {}", list(names, "and")),
            (How::Exactly, false) => format!("not exactly {}", list(names, "and")),
            (How::All, true) => format!("at least {}", list(names, "and")),
            (How::All, false) => format!("not all of {}", list(names, "and")),
            (How::Below, true) => format!("{} or a part of it", list(names, "or")),
            (How::Below, false) => format!("neither {} nor a part of it", list(names, "or")),
            (How::Above, true) => format!("what {} is part of", list(names, "and")),
            (How::Above, false) => format!("not what {} is part of", list(names, "and")),
        },
        Test::Every {
            period, anchor, holds, ..
        } => {
            let length = duration(Duration {
                months: 0,
                nanos: *period,
            });
            let not = if *holds { "" } else { "not " };
            format!("{not}every {length}, as on {}", instant(Instant(*anchor), false))
        }
        Test::Opaque { text, holds, .. } => format!("{}{text}", if *holds { "" } else { "not " }),
    }
}

/// What is left of an operand whose tests make up one set; nothing where the tests say it better.
pub(super) fn region(region: &Region) -> Option<String> {
    match region {
        Region::Line { scale, unit, set } => Some(line(*scale, unit.as_deref(), set)),
        Region::Lengths(_) | Region::Grid(_) | Region::Names(_) | Region::NotStated => None,
    }
}
