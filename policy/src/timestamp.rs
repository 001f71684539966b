//! A point in time as the protocol and the policies see it: UTC, millisecond resolution. Never reads a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};
use time::{Date, Month, OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with a `Z` (DSP 2025-1: agreement timestamps).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text was not an RFC 3339 date-time with a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 date-time with a time zone: {0:?}")]
pub struct TimestampError(String);

impl Timestamp {
    /// The largest instant that RFC 3339 can write: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The smallest instant that RFC 3339 can write: 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000);

    /// From milliseconds since the Unix epoch; clamped to what RFC 3339 can write.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// From whole seconds since the Unix epoch; clamped as [`Timestamp::from_millis`] does.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved into the future; stops at [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This instant so many calendar months later, in UTC; the last day of a month that is too short (`P1M` from 31 January is the last of
    /// February). Stops at [`Timestamp::MAX`].
    pub fn plus_months(self, months: u32) -> Self {
        let moved = || {
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()?;
            let month = i64::from(at.year()) * 12 + i64::from(u8::from(at.month())) - 1 + i64::from(months);
            let year = i32::try_from(month.div_euclid(12)).ok()?;
            let month = Month::try_from(u8::try_from(month.rem_euclid(12) + 1).ok()?).ok()?;
            let day = at.day().min(month.length(year));
            let date = Date::from_calendar_date(year, month, day).ok()?;
            i64::try_from(at.replace_date(date).unix_timestamp_nanos().div_euclid(1_000_000)).ok()
        };
        moved().map_or(Self::MAX, Self::from_millis)
    }

    /// This instant moved into the past; stops at [`Timestamp::MIN`].
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from `earlier` to this instant; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed =
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError(text.chars().take(64).collect()))?;
        // The count is of UTC whatever the zone: turned into UTC first, the last hours of 9999 west of Greenwich would panic.
        let millis = parsed.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|instant| instant.format(&Rfc3339).ok())
            .unwrap_or_default();
        f.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_zone_and_writes_utc() {
        let noon: Timestamp = "2026-01-01T13:00:00+01:00".parse().unwrap();
        assert_eq!(noon.to_string(), "2026-01-01T12:00:00Z");
        assert_eq!(noon.seconds(), 1_767_268_800);
    }

    #[test]
    fn what_lies_beyond_the_ends_of_the_calendar_in_utc_is_the_end() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(at("9999-12-31T23:59:59-01:00"), Timestamp::MAX);
        assert_eq!(at("9999-12-31T23:59:59-23:59"), Timestamp::MAX);
        assert_eq!(at("0000-01-01T00:00:00+14:00"), Timestamp::MIN);
    }

    #[test]
    fn refuses_a_time_without_zone() {
        assert!("2026-01-01T13:00:00".parse::<Timestamp>().is_err());
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::MAX.plus(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.minus(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn months_are_counted_on_the_calendar_and_end_with_a_short_month() {
        let plus = |text: &str, months| text.parse::<Timestamp>().unwrap().plus_months(months).to_string();
        assert_eq!(plus("2026-01-31T12:00:00Z", 1), "2026-02-28T12:00:00Z");
        assert_eq!(plus("2028-01-31T12:00:00Z", 1), "2028-02-29T12:00:00Z");
        assert_eq!(plus("2028-02-29T00:00:00.5Z", 12), "2029-02-28T00:00:00.5Z");
        assert_eq!(plus("2026-12-15T00:00:00Z", 1), "2027-01-15T00:00:00Z");
        assert_eq!(plus("2026-06-15T00:00:00Z", 0), "2026-06-15T00:00:00Z");
        assert_eq!(Timestamp::MAX.plus_months(u32::MAX), Timestamp::MAX);
    }
}
