//! A token bucket: a limit on requests that allows a burst and then refills at a constant rate.

use super::time::Timestamp;

/// The size and the refill rate of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The capacity: the number of requests that may arrive at once.
    pub burst: u32,
    /// The time in which one request becomes available again, in milliseconds.
    pub interval_millis: u32,
}

/// The state of one bucket. It is a single integer, because the service keeps one bucket per key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    /// When the bucket will be full again, in milliseconds since 1970.
    full_at: i64,
}

impl Rate {
    /// Returns a rate of `count` requests per minute with a burst of the same size.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self { burst: count, interval_millis: if count == 0 { 0 } else { 60_000_u32.div_ceil(count) } }
    }
}

impl TokenBucket {
    /// Creates a full bucket.
    #[must_use]
    pub const fn full() -> Self {
        Self { full_at: i64::MIN }
    }

    /// Takes one request out of the bucket.
    ///
    /// # Errors
    /// The number of milliseconds until a request is available, if the bucket is empty.
    pub fn try_acquire(&mut self, rate: Rate, now: Timestamp) -> Result<(), u64> {
        let now = now.as_millis();
        let interval = i64::from(rate.interval_millis);
        // After the clock was set back, the wait must not exceed that of an empty bucket.
        let full_at = self.full_at.clamp(now, now.saturating_add(i64::from(rate.burst) * interval));
        let wait = full_at.saturating_add(interval) - now - i64::from(rate.burst) * interval;
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => Err(wait),
            _ => {
                self.full_at = full_at.saturating_add(interval);
                Ok(())
            }
        }
    }

    /// Returns the last acquired request to the bucket.
    pub fn refund(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(i64::from(rate.interval_millis));
    }

    /// Returns whether the bucket is full.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.full_at <= now.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, interval_millis: 1_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn empty_bucket(now: Timestamp) -> TokenBucket {
        let mut bucket = TokenBucket::full();
        for _ in 0..RATE.burst {
            bucket.try_acquire(RATE, now).unwrap();
        }
        bucket
    }

    #[test]
    fn a_burst_empties_the_bucket_and_time_refills_it() {
        let mut bucket = empty_bucket(at(0));
        assert_eq!(bucket.try_acquire(RATE, at(0)), Err(1_000));
        assert_eq!(bucket.try_acquire(RATE, at(999)), Err(1));
        assert_eq!(bucket.try_acquire(RATE, at(1_000)), Ok(()));
        assert_eq!(bucket.try_acquire(RATE, at(1_000)), Err(1_000));
        assert!(!bucket.is_full(at(3_999)));
        assert!(bucket.is_full(at(4_000)));
        assert!((0..3).all(|_| bucket.try_acquire(RATE, at(4_000)).is_ok()));
        assert!(bucket.try_acquire(RATE, at(4_000)).is_err());
    }

    #[test]
    fn a_refunded_request_can_be_acquired_again() {
        let mut bucket = empty_bucket(at(0));
        bucket.refund(RATE);
        assert_eq!(bucket.try_acquire(RATE, at(0)), Ok(()));
        assert!(bucket.try_acquire(RATE, at(0)).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_extend_the_wait() {
        let mut bucket = empty_bucket(at(1_000_000));
        assert_eq!(bucket.try_acquire(RATE, at(0)), Err(1_000));
    }

    #[test]
    fn a_rate_per_minute_refills_in_equal_intervals() {
        assert_eq!(Rate::per_minute(60), Rate { burst: 60, interval_millis: 1_000 });
    }
}
