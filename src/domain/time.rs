//! Moments in UTC to the millisecond, and the clock that tells them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use rustix::time::{ClockId, clock_gettime};

/// A moment in UTC, exact to the millisecond: what is shown is what is stored and compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment plus whole seconds. Lifetimes end at 100 years, so the sum stays in range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.timestamp_millis())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(moment: Timestamp) -> Self {
        let end = if moment.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_millis(moment.0).unwrap_or(end)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(moment: Timestamp) -> Self {
        let since = Duration::from_millis(moment.0.unsigned_abs());
        if moment.0 < 0 { SystemTime::UNIX_EPOCH - since } else { SystemTime::UNIX_EPOCH + since }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        Self::from(DateTime::<Utc>::from(moment))
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 with exactly three decimals and `Z`: `2019-01-16T00:05:01.743Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from(*self);
        match written(moment) {
            Some(text) => f.write_str(std::str::from_utf8(&text).unwrap_or_default()),
            None => f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }
}

/// The 24 characters of a moment within the years 0 to 9999, digit by digit: it stands in the answer of every check, and
/// the general formatter costs ten times as much.
fn written(moment: DateTime<Utc>) -> Option<[u8; 24]> {
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let year = u32::try_from(moment.year()).ok().filter(|year| *year <= 9_999)?;
    let parts = [
        (0, 4, year),
        (5, 2, moment.month()),
        (8, 2, moment.day()),
        (11, 2, moment.hour()),
        (14, 2, moment.minute()),
        (17, 2, moment.second()),
        (20, 3, moment.timestamp_subsec_millis().min(999)),
    ];
    for (at, digits, mut rest) in parts {
        for place in text[at..at + digits].iter_mut().rev() {
            *place += (rest % 10) as u8;
            rest /= 10;
        }
    }
    Some(text)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tells the time, and how much of it passes. Nothing else in the house does.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The machine's clock, except that it never goes back while the process lives: a clock that is set back must not
    /// revive an expired token.
    #[must_use]
    pub fn system() -> Self {
        let latest = AtomicI64::new(i64::MIN);
        Self::from_fn(move || {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine's clock")]
            let now = Timestamp::from(Utc::now()).0;
            // Written once a millisecond at the most: all threads read it, and a write takes it from them.
            let seen = latest.load(Ordering::Relaxed);
            if now <= seen { Timestamp(seen) } else { Timestamp(latest.fetch_max(now, Ordering::Relaxed).max(now)) }
        })
    }

    /// A clock of the caller's own, for tests.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), elapsed: Arc::new(since_boot) }
    }

    /// The same clock with a stopwatch of the caller's own.
    #[must_use]
    pub fn with_stopwatch(self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { elapsed: Arc::new(elapsed), ..self }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// The time that has passed since some beginning: nobody sets it, and it goes on while the machine is suspended, which
    /// `Instant` does not.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }
}

fn since_boot() -> Duration {
    let passed = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(passed.tv_sec).unwrap_or(0), u32::try_from(passed.tv_nsec).unwrap_or(0))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_three_decimals_and_z() {
        assert_eq!(Timestamp::from_millis(1_547_597_101_743).to_string(), "2019-01-16T00:05:01.743Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_moment_is_written_as_the_general_formatter_writes_it() {
        for millis in (-70_000_000_000_000..300_000_000_000_000).step_by(999_999_999_937) {
            let moment = Timestamp::from_millis(millis);
            let general = DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(moment.to_string(), general);
        }
    }

    #[test]
    fn a_hundred_years_from_now_is_still_written_with_four_digits() {
        let end = Timestamp::from_millis(1_795_000_000_000).plus_seconds(3_153_600_000);
        assert_eq!(end.to_string(), "2126-10-25T11:06:40.000Z");
    }

    #[test]
    fn conversion_to_the_standard_clock_keeps_the_millisecond() {
        let moment = Timestamp::from_millis(1_547_597_101_743);
        let back = SystemTime::from(moment).duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(back.as_millis(), 1_547_597_101_743);
        assert_eq!(Timestamp::from(DateTime::from(moment)), moment);
    }
}
