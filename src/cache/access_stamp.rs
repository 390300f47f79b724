//! The time of a token's last use, in one word that concurrent checks update.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::time::Timestamp;

/// The time of the last use in milliseconds, shifted left by two flag bits. A later use is a
/// greater word.
#[derive(Debug, Default)]
pub(super) struct AccessStamp(AtomicU64);

impl AccessStamp {
    /// The use is not written to the database.
    const DIRTY: u64 = 1;
    /// The token was used again since the clock hand passed.
    const REFERENCED: u64 = 2;
    const FLAG_BITS: u32 = 2;

    /// Records a use. Returns `true` if it is the first use since the last write.
    pub(super) fn record(&self, at: Timestamp, is_repeated: bool) -> bool {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let referenced = if is_repeated { Self::REFERENCED } else { 0 };
        let word = millis << Self::FLAG_BITS | Self::DIRTY | referenced;
        if self.0.load(Ordering::Relaxed) >= word {
            return false;
        }
        let before = self.0.fetch_max(word, Ordering::AcqRel);
        before < word && before & Self::DIRTY == 0
    }

    /// Clears the dirty bit. Returns the time if it was set.
    pub(super) fn take_dirty(&self) -> Option<Timestamp> {
        let word = self.0.fetch_and(!Self::DIRTY, Ordering::AcqRel);
        let millis = i64::try_from(word >> Self::FLAG_BITS).unwrap_or(0);
        (word & Self::DIRTY != 0).then(|| Timestamp::from_millis(millis))
    }

    /// Clears the reference bit. Returns `true` if it was set.
    pub(super) fn take_referenced(&self) -> bool {
        self.0.fetch_and(!Self::REFERENCED, Ordering::Relaxed) & Self::REFERENCED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_latest_use_is_taken_once() {
        let stamp = AccessStamp::default();
        assert_eq!(stamp.take_dirty(), None);
        assert!(stamp.record(at(5), true), "the first use since the last write");
        assert!(!stamp.record(at(7), true));
        assert!(!stamp.record(at(6), true));
        assert_eq!(stamp.take_dirty(), Some(at(7)));
        assert_eq!(stamp.take_dirty(), None);
        assert!(!stamp.record(at(6), true), "an earlier use than the written one");
        assert!(stamp.record(at(7), true), "another use in the same millisecond");
        assert_eq!(stamp.take_dirty(), Some(at(7)));
    }

    #[test]
    fn only_a_repeated_use_sets_the_reference_bit() {
        let stamp = AccessStamp::default();
        stamp.record(at(5), false);
        assert!(!stamp.take_referenced());
        stamp.record(at(5), true);
        assert!(stamp.take_referenced());
        assert!(!stamp.take_referenced());
        assert_eq!(stamp.take_dirty(), Some(at(5)));
    }
}
