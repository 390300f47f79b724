//! A rate limiter with one token bucket per key, for example per client address or person.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::domain::{
    rate_limit::{Rate, TokenBucket},
    time::Timestamp,
};

/// The maximum number of buckets in memory. Above it the limiter evicts full buckets, and then
/// every other bucket, which resets the limit of those keys.
const MAX_KEYS: usize = 65_536;

/// A rate limiter by key. Cheap to clone; all clones share one state.
#[derive(Clone, Debug)]
pub(super) struct KeyedRateLimiter<K> {
    rate: Rate,
    buckets: Arc<Mutex<HashMap<K, TokenBucket>>>,
    rejections: Arc<AtomicU64>,
}

impl<K: Copy + Eq + Hash> KeyedRateLimiter<K> {
    /// Creates a limiter. A rate with a burst of 0 is unlimited.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Arc::default(), rejections: Arc::default() }
    }

    /// Takes one token from the bucket of `key`.
    ///
    /// # Errors
    /// The milliseconds until the bucket has a token again.
    pub(super) fn try_acquire(&self, key: K, now: Timestamp) -> Result<(), u64> {
        if self.rate.burst == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= MAX_KEYS {
                evict_half(&mut buckets);
            }
        }
        let acquired = buckets.entry(key).or_insert(TokenBucket::full()).try_acquire(self.rate, now);
        if acquired.is_err() {
            self.rejections.fetch_add(1, Ordering::Relaxed);
        }
        acquired
    }

    /// Returns how often [`Self::try_acquire`] failed since the start.
    pub(super) fn rejections(&self) -> u64 {
        self.rejections.load(Ordering::Relaxed)
    }

    /// Returns one token to the bucket of `key`.
    pub(super) fn refund(&self, key: K) {
        if let Some(bucket) = self.buckets.lock().get_mut(&key) {
            bucket.refund(self.rate);
        }
    }
}

/// Evicts every other bucket. This is rare, and cheaper than finding the fullest buckets.
fn evict_half<K>(buckets: &mut HashMap<K, TokenBucket>) {
    let mut keep = false;
    buckets.retain(|_, _| {
        keep = !keep;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn each_key_has_its_own_bucket() {
        let limiter = KeyedRateLimiter::new(Rate { burst: 1, interval_millis: 500 });
        assert_eq!(limiter.try_acquire(1, NOW), Ok(()));
        assert_eq!(limiter.try_acquire(2, NOW), Ok(()));
        assert_eq!(limiter.try_acquire(1, NOW), Err(500));
        assert_eq!(limiter.rejections(), 1);
        limiter.refund(1);
        assert_eq!(limiter.try_acquire(1, NOW), Ok(()));
        assert!((0..100).all(|_| KeyedRateLimiter::new(Rate::per_minute(0)).try_acquire(1, NOW).is_ok()));
    }

    #[test]
    fn number_of_keys_is_bounded() {
        let limiter = KeyedRateLimiter::new(Rate { burst: 2, interval_millis: 1_000 });
        for key in 0..1_000_000_u32 {
            assert!(limiter.try_acquire(key, NOW).is_ok());
        }
        assert!(limiter.buckets.lock().len() <= MAX_KEYS);
    }
}
