//! Wrong passwords in a row: each of them costs whoever tries the next one more time, and nobody is shut out for good.

use super::time::Timestamp;

/// So many wrong passwords cost nothing: people mistype.
const FREE: u32 = 10;
/// The longest that a try must wait.
const LONGEST_SECONDS: i64 = 15 * 60;
/// After this long without a wrong password everything is forgotten.
pub const FORGOTTEN_AFTER_SECONDS: i64 = 86_400;

/// The wrong passwords that somebody has tried for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// In a row, none of them older than [`FORGOTTEN_AFTER_SECONDS`] when the next one came.
    pub failures: u32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Tries {
    /// How many seconds the next try must wait; none: it may be made.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<u64> {
        let over = self.failures.checked_sub(FREE)?;
        // 1, 2, 4 .. seconds; from the eleventh doubling on it is over the longest.
        let delay = (1_i64 << over.min(10)).min(LONGEST_SECONDS);
        let left = self.last_at.plus_seconds(delay).as_millis() - now.as_millis();
        u64::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_delay_grows_and_ends() {
        let wait = |failures, now| Tries { failures, last_at: at(0) }.wait(at(now));
        assert_eq!(wait(9, 0), None);
        for (failures, seconds) in [(10, 1), (11, 2), (12, 4), (19, 512), (20, 900), (21, 900), (u32::MAX, 900)] {
            assert_eq!(wait(failures, 0), Some(seconds), "{failures}");
            let seconds = i64::try_from(seconds).unwrap();
            assert_eq!(wait(failures, seconds - 1), Some(1));
            assert_eq!(wait(failures, seconds), None);
        }
    }

    #[test]
    fn a_clock_that_is_behind_shuts_nobody_out_for_longer() {
        assert_eq!(Tries { failures: 10, last_at: at(5) }.wait(at(0)), Some(6));
    }
}
