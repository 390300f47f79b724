//! The clock: the only source of the current time in the service.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};
use rustix::time::{ClockId, clock_gettime};

use super::Timestamp;

/// The current time, and the time since boot. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    source: TimeSource,
    boottime: Arc<BootTime>,
}

type BootTime = dyn Fn() -> Duration + Send + Sync;

#[derive(Clone)]
enum TimeSource {
    Function(Arc<dyn Fn() -> Timestamp + Send + Sync>),
    Monotonic(Arc<MonotonicClock>),
}

impl Clock {
    /// Returns the system clock, except that it never goes back. Setting the system clock back must
    /// not make an expired token valid again.
    #[must_use]
    pub fn system() -> Self {
        Self::monotonic(
            || {
                #[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
                let now = SystemTime::now();
                Timestamp::from(now)
            },
            read_boottime,
        )
    }

    /// Creates a clock that follows `wall_time` and never goes back. After `wall_time` was set
    /// back, the clock advances by `boottime` until `wall_time` has caught up.
    #[must_use]
    pub fn monotonic(
        wall_time: impl Fn() -> Timestamp + Send + Sync + 'static,
        boottime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        let boottime: Arc<BootTime> = Arc::new(boottime);
        let clock = MonotonicClock {
            wall_time: Box::new(wall_time),
            boottime: Arc::clone(&boottime),
            latest: AtomicI64::new(i64::MIN),
            is_behind: AtomicBool::new(false),
            anchor: Mutex::default(),
        };
        Self { source: TimeSource::Monotonic(Arc::new(clock)), boottime }
    }

    /// Creates a clock from a function, for tests.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { source: TimeSource::Function(Arc::new(now)), boottime: Arc::new(read_boottime) }
    }

    /// Replaces the time since boot, for tests.
    #[must_use]
    pub fn with_boottime(self, boottime: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { boottime: Arc::new(boottime), ..self }
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            TimeSource::Function(now) => now(),
            TimeSource::Monotonic(clock) => clock.now(),
        }
    }

    /// Returns the time of the system clock, even if it was set back.
    #[must_use]
    pub fn wall_time(&self) -> Timestamp {
        match &self.source {
            TimeSource::Function(now) => now(),
            TimeSource::Monotonic(clock) => (clock.wall_time)(),
        }
    }

    /// Advances the clock to at least `floor`, a time that another process has read. Has no effect
    /// on a clock from a function.
    pub fn advance_to(&self, floor: Timestamp) {
        if let TimeSource::Monotonic(clock) = &self.source {
            clock.advance_to(floor);
        }
    }

    /// Returns the time since boot (`CLOCK_BOOTTIME`). Setting the system clock does not change it,
    /// and unlike `Instant` it includes the time in which the machine is suspended.
    #[must_use]
    pub fn boottime(&self) -> Duration {
        (self.boottime)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A clock that follows the system clock and never goes back.
struct MonotonicClock {
    wall_time: Box<dyn Fn() -> Timestamp + Send + Sync>,
    boottime: Arc<BootTime>,
    /// The latest time that was returned, in milliseconds since 1970.
    latest: AtomicI64,
    /// The system clock is behind `latest`, and `anchor` determines the time.
    is_behind: AtomicBool,
    anchor: Mutex<Anchor>,
}

/// A pair of simultaneous times, from which later times are extrapolated.
#[derive(Clone, Copy, Default)]
struct Anchor {
    /// Milliseconds since 1970.
    millis: i64,
    /// The time since boot.
    boottime: Duration,
}

impl MonotonicClock {
    /// A difference up to this is not a clock that was set back: another thread may have read the
    /// system clock a little later.
    const TOLERATED_MILLIS: i64 = 50;

    fn now(&self) -> Timestamp {
        let now = (self.wall_time)().as_millis();
        // All threads read `latest`, and a write invalidates it in their CPU caches. It is
        // therefore written at most once per millisecond.
        let latest = self.latest.load(Ordering::Relaxed);
        if now <= latest {
            let is_tolerated = latest - now <= Self::TOLERATED_MILLIS;
            return Timestamp::from_millis(if is_tolerated { latest } else { self.extrapolate() });
        }
        if self.is_behind.load(Ordering::Relaxed) {
            self.is_behind.store(false, Ordering::Relaxed);
        }
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }

    /// Returns the time by the time since boot, in milliseconds since 1970.
    ///
    /// The clock must not stop until the system clock has caught up, because tokens would live
    /// longer. It must not stay ahead either if the system clock was ahead before and is correct
    /// now. It therefore advances by nine milliseconds in ten.
    fn extrapolate(&self) -> i64 {
        let mut anchor = self.lock_anchor();
        if !self.is_behind.swap(true, Ordering::Relaxed) {
            *anchor = Anchor { millis: self.latest.load(Ordering::Relaxed), boottime: (self.boottime)() };
        }
        let now = anchor.millis.saturating_add(self.scaled_elapsed_since(anchor.boottime));
        self.latest.fetch_max(now, Ordering::Relaxed).max(now)
    }

    fn advance_to(&self, floor: Timestamp) {
        if floor <= self.now() {
            return;
        }
        let mut anchor = self.lock_anchor();
        *anchor = Anchor { millis: floor.as_millis(), boottime: (self.boottime)() };
        self.latest.fetch_max(floor.as_millis(), Ordering::Relaxed);
        self.is_behind.store(true, Ordering::Relaxed);
    }

    /// Returns nine tenths of the time since `start`, in milliseconds.
    fn scaled_elapsed_since(&self, start: Duration) -> i64 {
        let elapsed = (self.boottime)().saturating_sub(start).as_millis();
        i64::try_from(elapsed * 9 / 10).unwrap_or(i64::MAX)
    }

    fn lock_anchor(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock()
    }
}

fn read_boottime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock whose system time and time since boot the test sets, in milliseconds.
    struct TestClock {
        clock: Clock,
        wall_time: Arc<AtomicI64>,
        boottime: Arc<AtomicI64>,
    }

    impl TestClock {
        fn new() -> Self {
            let wall_time = Arc::new(AtomicI64::new(1_000_000));
            let boottime = Arc::new(AtomicI64::new(0));
            let clock = Clock::monotonic(
                {
                    let wall_time = Arc::clone(&wall_time);
                    move || Timestamp::from_millis(wall_time.load(Ordering::SeqCst))
                },
                {
                    let boottime = Arc::clone(&boottime);
                    move || Duration::from_millis(boottime.load(Ordering::SeqCst).unsigned_abs())
                },
            );
            Self { clock, wall_time, boottime }
        }

        fn now(&self) -> i64 {
            self.clock.now().as_millis()
        }

        fn set_wall_time(&self, millis: i64) {
            self.wall_time.store(millis, Ordering::SeqCst);
        }

        fn set_boottime(&self, millis: i64) {
            self.boottime.store(millis, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_advances_by_the_boot_time_until_the_system_clock_has_caught_up() {
        let test = TestClock::new();
        assert_eq!(test.now(), 1_000_000);
        test.set_wall_time(700_000);
        assert_eq!(test.now(), 1_000_000);
        assert_eq!(test.clock.wall_time(), Timestamp::from_millis(700_000));
        for (seconds, expected) in [(10, 1_009_000), (100, 1_090_000), (1_000, 1_900_000)] {
            test.set_boottime(seconds * 1_000);
            assert_eq!(test.now(), expected);
        }
        test.set_wall_time(1_900_001);
        assert_eq!(test.now(), 1_900_001);
        // When it is set back again, it advances from the latest time.
        test.set_wall_time(1_000);
        assert_eq!(test.now(), 1_900_001);
        test.set_boottime(1_000_010);
        assert_eq!(test.now(), 1_900_010);
    }

    #[test]
    fn a_clock_continues_from_the_latest_time_of_another_process() {
        let test = TestClock::new();
        let advance_to = |millis| test.clock.advance_to(Timestamp::from_millis(millis));
        advance_to(5_000_000);
        assert_eq!(test.now(), 5_000_000);
        test.set_boottime(1_000);
        assert_eq!(test.now(), 5_000_900);
        advance_to(4_000_000);
        assert_eq!(test.now(), 5_000_900, "an earlier time has no effect");
        advance_to(6_000_000);
        test.set_wall_time(5_999_999);
        assert_eq!(test.now(), 6_000_000);
        test.set_wall_time(6_000_001);
        assert_eq!(test.now(), 6_000_001);
    }
}
