//! Failed logins of an account: each failure in a row delays the next attempt longer, up to a
//! maximum. No account is locked permanently.

use super::time::Timestamp;

/// The number of failures that cause no delay, because people mistype.
const FREE_ATTEMPTS: u32 = 10;
/// The maximum delay before the next attempt.
const MAX_DELAY_SECONDS: i64 = 15 * 60;
/// The time without a failure after which the counter starts again at zero.
pub const RESET_AFTER_SECONDS: i64 = 86_400;

/// The failed logins in a row for one account: from one known source, or from all other sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginFailures {
    /// The number of failures in a row. No two successive ones are further apart than
    /// [`RESET_AFTER_SECONDS`].
    pub count: u32,
    /// When the last attempt failed.
    pub last_failed_at: Timestamp,
}

impl LoginFailures {
    /// Returns the number of seconds that the next attempt must wait, rounded up. `None` if it may
    /// be made now.
    #[must_use]
    pub fn retry_after_seconds(&self, now: Timestamp) -> Option<u64> {
        let excess = self.count.checked_sub(FREE_ATTEMPTS)?;
        // Delays are 1, 2, 4, ... seconds. The tenth doubling already exceeds the maximum.
        let delay = (1_i64 << excess.min(10)).min(MAX_DELAY_SECONDS);
        let remaining = self.last_failed_at.plus_seconds(delay).as_millis() - now.as_millis();
        u64::try_from(remaining).ok().filter(|remaining| *remaining > 0).map(|remaining| remaining.div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_delay_doubles_up_to_the_maximum_and_then_ends() {
        let retry_after = |count, now| LoginFailures { count, last_failed_at: at(0) }.retry_after_seconds(at(now));
        assert_eq!(retry_after(9, 0), None);
        for (count, seconds) in [(10, 1), (11, 2), (12, 4), (19, 512), (20, 900), (21, 900), (u32::MAX, 900)] {
            assert_eq!(retry_after(count, 0), Some(seconds), "{count}");
            let seconds = i64::try_from(seconds).unwrap();
            assert_eq!(retry_after(count, seconds - 1), Some(1));
            assert_eq!(retry_after(count, seconds), None);
        }
    }

    #[test]
    fn a_clock_that_is_behind_extends_the_delay_by_the_difference_only() {
        let failures = LoginFailures { count: 10, last_failed_at: at(5) };
        assert_eq!(failures.retry_after_seconds(at(0)), Some(6));
    }
}
