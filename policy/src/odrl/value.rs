//! Typed values of operands: what an `xsd:` literal means, and how two compare. A literal that its datatype does not allow is an error when it
//! is read, never a comparison that is false.

use std::{cmp::Ordering, fmt};
use time::{Date, Month, PrimitiveDateTime, Time, UtcOffset};

/// The namespace of the datatypes read here.
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
const NANOS: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * NANOS;

/// A literal that is no value of its datatype.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a value of type {datatype}")]
pub struct ValueError {
    /// What was written.
    pub text: String,
    /// The type that was wanted.
    pub datatype: String,
}

/// A decimal number, exactly: `units / 10^scale`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    /// As many digits as are read; more is refused, so that no comparison can overflow.
    const DIGITS: usize = 18;
    /// Beyond it no exponent moves a digit to where it is read.
    const EXPONENTS: std::ops::RangeInclusive<i32> = -36..=36;
    /// One, in units of 10^-18.
    const ONE: i128 = 10_i128.pow(18);

    /// Reads `-12.50`, and `1.25e1` for doubles. At most 18 digits on each side of the point.
    pub fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        if !Self::EXPONENTS.contains(&exponent) {
            return None;
        }
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.len() <= Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + part.len() == 0 || !all_digits(whole) || !all_digits(part) {
            return None;
        }
        let mut units: i128 = format!("0{whole}{part}").parse().ok()?;
        let mut scale = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        while scale < 0 {
            units = units.checked_mul(10)?;
            scale += 1;
        }
        let scale = u32::try_from(scale).ok()?;
        if scale as usize > Self::DIGITS || units >= 10_i128.pow(18 + scale) {
            return None;
        }
        let units = if negative { -units } else { units };
        Some(Self { units, scale })
    }

    /// The number in units of 10^-18, which is the finest that is read.
    pub(crate) fn key(self) -> i128 {
        // Fewer than 18 digits stand before the point, so this never overflows.
        let missing = u32::try_from(Self::DIGITS).unwrap_or(0).saturating_sub(self.scale);
        self.units.saturating_mul(10_i128.pow(missing))
    }
}

impl Decimal {
    /// The least whole number that is not below it, as far as a `u32` holds it.
    pub(crate) fn whole_from(self) -> u32 {
        let whole = self.key().div_euclid(Self::ONE) + i128::from(!self.is_whole());
        u32::try_from(whole.max(0)).unwrap_or(u32::MAX)
    }

    /// Whether nothing stands after the point.
    pub(crate) fn is_whole(self) -> bool {
        self.key().rem_euclid(Self::ONE) == 0
    }

    /// The number of so many units of 10^-18.
    pub(crate) const fn from_key(key: i128) -> Self {
        Self { units: key, scale: 18 }
    }
}

impl From<i64> for Decimal {
    fn from(units: i64) -> Self {
        Self {
            units: units.into(),
            scale: 0,
        }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tens = 10_i128.pow(self.scale);
        let (whole, part) = (self.units / tens, (self.units % tens).abs());
        let sign = if self.units < 0 && whole == 0 { "-" } else { "" };
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{part:0width$}", width = self.scale as usize);
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// An instant in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i128);

impl Instant {
    /// Reads an `xsd:dateTime`; seconds may be missing (DSP 2025-1 writes such), and so may the zone, which is UTC then. The second part says
    /// whether there was a zone.
    pub fn read(text: &str) -> Option<(Self, bool)> {
        let (date, rest) = text.split_once('T')?;
        let (clock, offset, zoned) = split_zone(rest)?;
        let mut parts = clock.split(':');
        let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
        if parts.next().is_some() {
            return None;
        }
        let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
        if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
        let time = Time::from_hms_nano(two(hour)?, two(minute)?, two(second).or_else(|| one(second))?, nanos).ok()?;
        let at = PrimitiveDateTime::new(day(date)?, time).assume_offset(offset);
        Some((Self(at.unix_timestamp_nanos()), zoned))
    }
}

/// Reads an `xsd:date`, as the interval `[start, end)` that it is.
pub(crate) fn date(text: &str) -> Option<(Instant, Instant, bool)> {
    let (date, rest) = text.split_at_checked("2026-06-30".len())?;
    let (clock, offset, zoned) = split_zone(rest)?;
    if !clock.is_empty() {
        return None;
    }
    let start = PrimitiveDateTime::new(day(date)?, Time::MIDNIGHT)
        .assume_offset(offset)
        .unix_timestamp_nanos();
    Some((Instant(start), Instant(start + DAY), zoned))
}

/// The clock, the offset, and whether one was written.
fn split_zone(text: &str) -> Option<(&str, UtcOffset, bool)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, UtcOffset::UTC, true));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, UtcOffset::UTC, false));
    };
    let (clock, zone) = text.split_at_checked(at)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (i8::try_from(two(hours)?).ok()?, i8::try_from(two(minutes)?).ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    Some((clock, UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?, true))
}

/// Reads an `xsd:gYearMonth` or an `xsd:gYear` as an interval: from its first day to the last one.
fn days(text: &str, length: usize, first: &str, last: &str) -> Option<(Instant, Instant, bool)> {
    let (named, zone) = text.split_at_checked(length)?;
    let at = |day: &str| date(&format!("{named}{day}{zone}"));
    let ((start, _, zoned), (_, end, _)) = (at(first)?, at(last)?);
    Some((start, end, zoned))
}

fn two(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn one(text: &str) -> Option<u8> {
    (text == "0").then_some(0)
}

fn day(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) || parts.next().is_some() {
        return None;
    }
    Date::from_calendar_date(year.parse().ok()?, Month::try_from(two(month)?).ok()?, two(day)?).ok()
}

/// An `xsd:duration`: months and nanoseconds, which no number of days converts into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Months; a year is twelve.
    pub months: i64,
    /// The rest.
    pub nanos: i128,
}

impl Duration {
    /// Reads `P3M`, `PT60M`, `P1Y2M3DT4H5M6.7S`, `-P1D`.
    pub fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let rest = rest.strip_prefix('P')?;
        let (days, clock) = match rest.split_once('T') {
            Some((_, "")) => return None,
            Some((days, clock)) => (days, clock),
            None => (rest, ""),
        };
        if days.is_empty() && clock.is_empty() {
            return None;
        }
        let [years, months, weeks, day_count] = fields(days, ['Y', 'M', 'W', 'D'])?;
        let [hours, minutes, seconds] = fields(clock, ['H', 'M', 'S'])?;
        let whole = |value: i128| (value % NANOS == 0).then_some(value / NANOS);
        let months = i64::try_from(whole(years)?.checked_mul(12)?.checked_add(whole(months)?)?).ok()?;
        let clock = whole(hours)? * 3_600 * NANOS + whole(minutes)? * 60 * NANOS + seconds;
        let nanos = (whole(weeks)? * 7 + whole(day_count)?)
            .checked_mul(DAY)?
            .checked_add(clock)?;
        let sign = if negative { -1 } else { 1 };
        Some(Self {
            months: months * sign,
            nanos: nanos * i128::from(sign),
        })
    }

    /// Comparable only when one part decides: both without months, both without the rest, or no part the other way round.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self.months.cmp(&other.months), self.nanos.cmp(&other.nanos)) {
            (months, Ordering::Equal) => Some(months),
            (Ordering::Equal, nanos) => Some(nanos),
            (months, nanos) if months == nanos => Some(months),
            _ => None,
        }
    }
}

/// `12Y3M` by its letters, in their order, each in billionths; a letter that is not there is 0.
fn fields<const N: usize>(text: &str, letters: [char; N]) -> Option<[i128; N]> {
    let (mut rest, mut found) = (text, [0; N]);
    for (slot, letter) in found.iter_mut().zip(letters) {
        let Some((number, after)) = rest.split_once(letter) else {
            continue;
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || part.len() > 9 || !digits(whole) || !digits(part) {
            return None;
        }
        *slot = whole.parse::<i128>().ok()? * NANOS + format!("{part:0<9}").parse::<i128>().ok()?;
        rest = after;
    }
    rest.is_empty().then_some(found)
}

/// A value of an operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(Decimal),
    /// A point in time; false when it was written without a zone and UTC was assumed.
    Instant(Instant, bool),
    /// A day, a month or a year: its first instant and the first after it; false as above.
    Day(Instant, Instant, bool),
    /// A length of time.
    Duration(Duration),
    /// Yes or no.
    Boolean(bool),
    /// The name of something.
    Iri(String),
    /// Anything else, compared by code point.
    Text(String),
}

impl Value {
    /// Reads a literal of a datatype; a plain string when there is none. A type not known here is text.
    ///
    /// # Errors
    /// [`ValueError`] when the datatype is known and the text is no value of it.
    pub fn literal(text: &str, datatype: Option<&str>) -> Result<Self, ValueError> {
        let kind = datatype.and_then(|datatype| datatype.strip_prefix(XSD).or_else(|| datatype.strip_prefix("xsd:")));
        let span = |span: Option<_>| span.map(|(start, end, zoned)| Self::Day(start, end, zoned));
        let read = match kind {
            Some(
                "integer" | "int" | "long" | "short" | "byte" | "decimal" | "double" | "float" | "nonNegativeInteger"
                | "positiveInteger" | "unsignedInt" | "unsignedLong",
            ) => Decimal::read(text).map(Self::Number),
            Some("dateTime" | "dateTimeStamp") => Instant::read(text).map(|(at, zoned)| Self::Instant(at, zoned)),
            Some("date") => date(text).map(|(start, end, zoned)| Self::Day(start, end, zoned)),
            Some("gYear") => span(days(text, "2026".len(), "-01-01", "-12-31")),
            Some("gYearMonth") => {
                let until = |last| days(text, "2026-06".len(), "-01", last);
                span(["-31", "-30", "-29", "-28"].into_iter().find_map(until))
            }
            Some("duration" | "dayTimeDuration" | "yearMonthDuration") => Duration::read(text).map(Self::Duration),
            Some("boolean") => match text {
                "true" | "1" => Some(Self::Boolean(true)),
                "false" | "0" => Some(Self::Boolean(false)),
                _ => None,
            },
            Some("anyURI") => Some(Self::Iri(text.to_owned())),
            _ => Some(Self::Text(text.to_owned())),
        };
        read.ok_or_else(|| ValueError {
            text: text.to_owned(),
            datatype: datatype.unwrap_or_default().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xsd(text: &str, kind: &str) -> Result<Value, ValueError> {
        Value::literal(text, Some(&format!("{XSD}{kind}")))
    }

    #[test]
    fn numbers_compare_by_value_and_not_by_spelling() {
        assert_eq!(xsd("5", "integer"), xsd("5.00", "decimal"));
        assert_eq!(xsd("1.25e1", "double"), xsd("12.5", "decimal"));
        assert!(Decimal::read("-0.5").unwrap() < Decimal::read("0").unwrap());
        // The exponent of a zero moves nothing, however long one multiplies by it.
        for bad in [
            "",
            ".",
            "1_0",
            "1e",
            "0x1",
            "9999999999999999999",
            "1e400",
            "0e2147483647",
            "0e-2147483648",
            "١",
        ] {
            assert_eq!(Decimal::read(bad).map(|number| number.to_string()), None, "{bad}");
        }
        assert!(Decimal::read("999999999999999999e18").is_none());
        assert_eq!(Decimal::read("-0.50").unwrap().to_string(), "-0.5");
    }

    #[test]
    fn times_are_points_on_one_line() {
        assert_eq!(
            xsd("2024-12-31T23:59:59.000Z", "dateTime"),
            xsd("2025-01-01T01:59:59+02:00", "dateTime")
        );
        assert_eq!(
            Instant::read("2023-12-31T06:00Z"),
            Instant::read("2023-12-31T06:00:00Z")
        );
        assert!(!Instant::read("2026-01-11T11:43:10.665638").unwrap().1);
        for bad in [
            "2024-02-30T00:00:00Z",
            "2024-01-01",
            "2024-01-01T25:00:00Z",
            "2024-01-01T00:00:00+15:00",
            "2024-01-01T0:00Z",
        ] {
            assert_eq!(Instant::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_month_is_no_number_of_days() {
        let read = |text| Duration::read(text).unwrap();
        assert_eq!(read("PT60M"), read("PT1H"));
        assert_eq!(read("P60M"), read("P5Y"));
        assert_eq!(read("P1M").compare(read("P30D")), None);
        assert_eq!(read("P1M").compare(read("P2M")), Some(Ordering::Less));
        assert_eq!(read("P1MT1H").compare(read("P1MT2H")), Some(Ordering::Less));
        for bad in ["P", "PT", "60M", "P1", "P1.5M", "PT1M1H", "P1H", "P-1D"] {
            assert_eq!(Duration::read(bad), None, "{bad}");
        }
    }
}
