//! Timestamps in UTC with millisecond precision.

mod clock;
mod rfc3339;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

pub use clock::Clock;
use rfc3339::format_rfc3339;

/// A point in time in UTC, in milliseconds since 1970. Its precision in responses, in the database
/// and in comparisons is the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const MIN: Self = Self(0);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Creates a timestamp from milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Adds whole seconds. The result saturates at the range of the integer.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// Subtracts a duration. The result saturates at the range of the integer.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Parses a date such as `2026-11-24` and returns the beginning of the day in UTC. Returns
    /// `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn parse_date(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text)?;
        let start = Self::from(date.and_time(NaiveTime::MIN).and_utc());
        (start >= Self::MIN).then_some(start)
    }

    /// Parses a timestamp in RFC 3339 format. Returns `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp = Self::from(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        (Self::MIN..=Self::MAX).contains(&timestamp).then_some(timestamp)
    }

    /// Returns the time as an HTTP date (RFC 9110, section 5.6.7), rounded down to seconds.
    #[must_use]
    pub fn to_http_date(self) -> String {
        DateTime::<Utc>::from(self).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Appends the [`Display`](fmt::Display) text.
    pub fn append_to(self, buffer: &mut Vec<u8>) {
        self.with_rfc3339(|text| buffer.extend_from_slice(text.as_bytes()));
    }

    /// Calls `use_text` with the [`Display`](fmt::Display) text.
    fn with_rfc3339<R>(self, use_text: impl FnOnce(&str) -> R) -> R {
        match format_rfc3339(self) {
            Some(text) => use_text(std::str::from_utf8(&text).unwrap_or_default()),
            None => use_text(&DateTime::<Utc>::from(self).to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_millis())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(timestamp: Timestamp) -> Self {
        let limit = if timestamp.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_millis(timestamp.0).unwrap_or(limit)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let distance = Duration::from_millis(timestamp.0.unsigned_abs());
        if timestamp.0 < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since_epoch) => Self(millis(since_epoch)),
            // Rounds down to the whole millisecond, as after 1970.
            Err(before_epoch) => Self(-millis(before_epoch.duration() + Duration::from_nanos(999_999))),
        }
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 with exactly three decimals and `Z`: `2019-01-16T00:05:01.743Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_rfc3339(|text| f.write_str(text))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_rfc3339(|text| serializer.serialize_str(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_parses_to_the_beginning_of_the_day() {
        assert_eq!(Timestamp::parse_date("2019-01-16").unwrap().to_string(), "2019-01-16T00:00:00.000Z");
        for invalid in ["", "2019-02-30", "1969-12-31", "+2019-01-1", "2019-1-016", "x", "20190116"] {
            assert_eq!(Timestamp::parse_date(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn the_end_of_the_maximum_lifetime_has_a_year_of_four_digits() {
        let end = Timestamp::from_millis(1_795_000_000_000).plus_seconds(3_153_600_000);
        assert_eq!(end.to_string(), "2126-10-25T11:06:40.000Z");
    }

    #[test]
    fn conversion_to_other_time_types_keeps_the_millisecond() {
        let timestamp = Timestamp::from_millis(1_547_597_101_743);
        let since_epoch = SystemTime::from(timestamp).duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since_epoch.as_millis(), 1_547_597_101_743);
        assert_eq!(Timestamp::from(DateTime::from(timestamp)), timestamp);
    }
}
