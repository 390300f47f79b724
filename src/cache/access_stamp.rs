//! When a token was last used, in one word that many checks write at once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::time::Timestamp;

/// The last use: milliseconds above two marks. The later use is the greater word.
#[derive(Debug, Default)]
pub(crate) struct Used(AtomicU64);

impl Used {
    /// Nobody has written this use yet.
    const UNWRITTEN: u64 = 1;
    /// Used again since the hand came by.
    const AGAIN: u64 = 2;
    const MARKS: u32 = 2;

    /// Notes a use; answers whether it is the first that is not written.
    pub(crate) fn note(&self, at: Timestamp, again: bool) -> bool {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let noted = millis << Self::MARKS | Self::UNWRITTEN | if again { Self::AGAIN } else { 0 };
        if self.0.load(Ordering::Relaxed) >= noted {
            return false;
        }
        let before = self.0.fetch_max(noted, Ordering::AcqRel);
        before < noted && before & Self::UNWRITTEN == 0
    }

    pub(crate) fn take_unwritten(&self) -> Option<Timestamp> {
        let word = self.0.fetch_and(!Self::UNWRITTEN, Ordering::AcqRel);
        let millis = i64::try_from(word >> Self::MARKS).unwrap_or(0);
        (word & Self::UNWRITTEN != 0).then(|| Timestamp::from_millis(millis))
    }

    /// Whether it was used again since this was asked last.
    pub(crate) fn take_again(&self) -> bool {
        self.0.fetch_and(!Self::AGAIN, Ordering::Relaxed) & Self::AGAIN != 0
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
        let used = Used::default();
        assert_eq!(used.take_unwritten(), None);
        assert!(used.note(at(5), true), "the first that is not written");
        assert!(!used.note(at(7), true) && !used.note(at(6), true));
        assert_eq!((used.take_unwritten(), used.take_unwritten()), (Some(at(7)), None));
        assert!(!used.note(at(6), true), "an earlier use than the one written");
        assert!(used.note(at(7), true), "another use in the same millisecond");
        assert_eq!(used.take_unwritten(), Some(at(7)));
    }

    #[test]
    fn only_a_use_after_the_first_spares_a_token() {
        let used = Used::default();
        used.note(at(5), false);
        assert!(!used.take_again());
        used.note(at(5), true);
        assert!(used.take_again() && !used.take_again());
        assert_eq!(used.take_unwritten(), Some(at(5)));
    }
}
