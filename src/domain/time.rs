//! Moments in UTC to the millisecond, and the clock that tells them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use rustix::time::{ClockId, clock_gettime};

/// A moment in UTC, exact to the millisecond: what is shown is what is stored and compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const FIRST: Self = Self(0);
    /// The last moment of the year 9999.
    pub const LAST: Self = Self(253_402_300_799_999);

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

impl Timestamp {
    /// Where a day in UTC begins that is written as `2026-11-24`, of the years 1970 to 9999.
    #[must_use]
    pub fn of_day(text: &str) -> Option<Self> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| day.to_string() == text)?;
        let begin = Self::from(day.and_time(NaiveTime::MIN).and_utc());
        (begin >= Self(0)).then_some(begin)
    }
}

impl Timestamp {
    /// Reads an instant as RFC 3339 writes it, of the years 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = Self::from(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        (Self::FIRST..=Self::LAST).contains(&moment).then_some(moment)
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
        let millis = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        match moment.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            // Down to the whole millisecond, as behind 1970.
            Err(before) => Self(-millis(before.duration() + Duration::from_nanos(999_999))),
        }
    }
}

impl Timestamp {
    /// Calls `write` with what [`Display`](fmt::Display) shows.
    fn with_text<R>(self, write: impl FnOnce(&str) -> R) -> R {
        match written(self) {
            Some(text) => write(std::str::from_utf8(&text).unwrap_or_default()),
            None => write(&DateTime::<Utc>::from(self).to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }

    /// Appends what [`Display`](fmt::Display) shows.
    pub fn append_to(self, text: &mut Vec<u8>) {
        self.with_text(|written| text.extend_from_slice(written.as_bytes()));
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 with exactly three decimals and `Z`: `2019-01-16T00:05:01.743Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|written| f.write_str(written))
    }
}

/// The 24 characters of a moment within the years 1970 to 9999. It stands in the answer of every check, and the general
/// formatter costs many times as much.
fn written(moment: Timestamp) -> Option<[u8; 24]> {
    let millis = u64::try_from(moment.0).ok().filter(|_| moment <= Timestamp::LAST)?;
    let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, of_day / 3_600_000),
        (14, 2, of_day / 60_000 % 60),
        (17, 2, of_day / 1_000 % 60),
        (20, 3, of_day % 1_000),
    ];
    for (at, digits, mut rest) in parts {
        for place in text[at..at + digits].iter_mut().rev() {
            *place += (rest % 10) as u8;
            rest /= 10;
        }
    }
    Some(text)
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of its year, and months have 153 days in five.
const fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 0000-03-01 and 1970-01-01; 400 years have 146,097.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year_of_era + next, month, day)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|written| serializer.serialize_str(written))
    }
}

/// Tells the time, and how much of it passes. Nothing else in the house does.
#[derive(Clone)]
pub struct Clock {
    now: Now,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

#[derive(Clone)]
enum Now {
    Plain(Arc<dyn Fn() -> Timestamp + Send + Sync>),
    Forward(Arc<Forward>),
}

impl Clock {
    /// The machine's clock, except that it never goes back: a clock that is set back must not revive an expired token.
    #[must_use]
    pub fn system() -> Self {
        Self::forward(
            || {
                #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine's clock")]
                let now = SystemTime::now();
                Timestamp::from(now)
            },
            since_boot,
        )
    }

    /// A clock that follows another while that goes forward. While the other is behind it goes on by the stopwatch.
    #[must_use]
    pub fn forward(
        machine: impl Fn() -> Timestamp + Send + Sync + 'static,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        let elapsed: Arc<dyn Fn() -> Duration + Send + Sync> = Arc::new(elapsed);
        let forward = Forward {
            machine: Box::new(machine),
            elapsed: Arc::clone(&elapsed),
            latest: AtomicI64::new(i64::MIN),
            is_behind: AtomicBool::new(false),
            anchor: Mutex::default(),
        };
        Self { now: Now::Forward(Arc::new(forward)), elapsed }
    }

    /// A clock of the caller's own, for tests.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { now: Now::Plain(Arc::new(now)), elapsed: Arc::new(since_boot) }
    }

    /// The same clock with a stopwatch of the caller's own.
    #[must_use]
    pub fn with_stopwatch(self, elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { elapsed: Arc::new(elapsed), ..self }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.now {
            Now::Plain(now) => now(),
            Now::Forward(forward) => forward.now(),
        }
    }

    /// What the machine's clock says, even if it was set back.
    #[must_use]
    pub fn machine(&self) -> Timestamp {
        match &self.now {
            Now::Plain(now) => now(),
            Now::Forward(forward) => (forward.machine)(),
        }
    }

    /// Goes on from a later moment, which another process has seen. A clock of a test stays as it is.
    pub fn raise(&self, floor: Timestamp) {
        if let Now::Forward(forward) = &self.now {
            forward.raise(floor);
        }
    }

    /// The time that has passed since some beginning: nobody sets it, and it goes on while the machine is suspended, which
    /// `Instant` does not.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }
}

/// Follows the machine's clock as long as that goes forward.
struct Forward {
    machine: Box<dyn Fn() -> Timestamp + Send + Sync>,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
    latest: AtomicI64,
    /// The machine's clock is behind, and the anchor tells the time.
    is_behind: AtomicBool,
    anchor: Mutex<Anchor>,
}

/// What time it was at a moment of the stopwatch.
#[derive(Clone, Copy, Default)]
struct Anchor {
    millis: i64,
    at: Duration,
}

impl Forward {
    /// So far behind is no clock that was set back: another thread may have looked at it a little later.
    const TOLERATED_MILLIS: i64 = 50;

    fn now(&self) -> Timestamp {
        let now = (self.machine)().0;
        // Written once a millisecond at the most: all threads read it, and a write takes it from them.
        let latest = self.latest.load(Ordering::Relaxed);
        if now <= latest {
            return Timestamp(if latest - now <= Self::TOLERATED_MILLIS { latest } else { self.by_stopwatch() });
        }
        if self.is_behind.load(Ordering::Relaxed) {
            self.is_behind.store(false, Ordering::Relaxed);
        }
        Timestamp(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// Time must not stand still until the machine's clock has caught up, or tokens would live longer. But it must not run ahead
    /// for good, either, if the machine's clock was ahead before and is right now: so nine milliseconds pass in ten.
    fn by_stopwatch(&self) -> i64 {
        let mut anchor = self.anchor();
        if !self.is_behind.swap(true, Ordering::Relaxed) {
            *anchor = Anchor { millis: self.latest.load(Ordering::Relaxed), at: (self.elapsed)() };
        }
        let now = anchor.millis.saturating_add(self.passed_since(anchor.at));
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }

    fn raise(&self, floor: Timestamp) {
        if floor <= self.now() {
            return;
        }
        let mut anchor = self.anchor();
        *anchor = Anchor { millis: floor.0, at: (self.elapsed)() };
        self.latest.fetch_max(floor.0, Ordering::Relaxed);
        self.is_behind.store(true, Ordering::Relaxed);
    }

    fn passed_since(&self, at: Duration) -> i64 {
        let passed = (self.elapsed)().saturating_sub(at).as_millis();
        i64::try_from(passed * 9 / 10).unwrap_or(i64::MAX)
    }

    fn anchor(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_day_is_read() {
        assert_eq!(Timestamp::of_day("2019-01-16").unwrap().to_string(), "2019-01-16T00:00:00.000Z");
        for wrong in ["", "2019-02-30", "1969-12-31", "+2019-01-1", "2019-1-016", "x", "20190116"] {
            assert_eq!(Timestamp::of_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_moment_is_written_as_the_general_formatter_writes_it() {
        let edges = [0, 951_782_399_999, 951_782_400_000, 951_868_800_000, 253_402_300_799_999, 253_402_300_800_000];
        for millis in (-70_000_000_000_000..300_000_000_000_000).step_by(9_999_999_967).chain(edges) {
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

    /// A machine whose clock and stopwatch are set by the test, in milliseconds.
    fn machine() -> (Clock, Arc<AtomicI64>, Arc<AtomicI64>) {
        let (time, passed) = (Arc::new(AtomicI64::new(1_000_000)), Arc::new(AtomicI64::new(0)));
        let (told, counted) = (Arc::clone(&time), Arc::clone(&passed));
        let elapsed = move || Duration::from_millis(counted.load(Ordering::SeqCst).unsigned_abs());
        (Clock::forward(move || Timestamp(told.load(Ordering::SeqCst)), elapsed), time, passed)
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_by_the_stopwatch_until_the_machine_has_caught_up() {
        let (clock, time, passed) = machine();
        assert_eq!(clock.now(), Timestamp(1_000_000));
        time.store(700_000, Ordering::SeqCst);
        assert_eq!((clock.now(), clock.machine()), (Timestamp(1_000_000), Timestamp(700_000)));
        for (seconds, expected) in [(10, 1_009_000), (100, 1_090_000), (1_000, 1_900_000)] {
            passed.store(seconds * 1_000, Ordering::SeqCst);
            assert_eq!(clock.now(), Timestamp(expected));
        }
        time.store(1_900_001, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(1_900_001));
        // The next time it is set back it goes on from then.
        time.store(1_000, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(1_900_001));
        passed.fetch_add(10, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(1_900_010));
    }

    #[test]
    fn a_clock_goes_on_from_the_latest_moment_that_another_has_seen() {
        let (clock, time, passed) = machine();
        clock.raise(Timestamp(5_000_000));
        assert_eq!(clock.now(), Timestamp(5_000_000));
        passed.store(1_000, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(5_000_900));
        clock.raise(Timestamp(4_000_000));
        assert_eq!(clock.now(), Timestamp(5_000_900), "an earlier moment changes nothing");
        clock.raise(Timestamp(6_000_000));
        time.store(5_999_999, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(6_000_000));
        time.store(6_000_001, Ordering::SeqCst);
        assert_eq!(clock.now(), Timestamp(6_000_001));
    }
}
