//! Counts the messages that were not authentic.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The log tells of them no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Dropped {
    count: AtomicU64,
    /// Up to which message the log has told, and when.
    warned: Mutex<(u64, Option<Duration>)>,
}

impl Dropped {
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many the log has to tell of now; none where there are none, or it told a short while ago.
    pub(crate) fn untold(&self, now: Duration) -> Option<u64> {
        let count = self.count();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, at) = *warned;
        if count == told || at.is_some_and(|at| now < at + WARN_EVERY) {
            return None;
        }
        *warned = (count, Some(now));
        Some(count - told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_once_a_minute_of_what_came_meanwhile() {
        let (dropped, at) = (Dropped::default(), Duration::from_secs);
        assert_eq!(dropped.untold(at(1)), None);
        (0..3).for_each(|_| dropped.note());
        assert_eq!(dropped.untold(at(2)), Some(3));
        (0..5).for_each(|_| dropped.note());
        assert_eq!((dropped.untold(at(61)), dropped.untold(at(62)), dropped.untold(at(200))), (None, Some(5), None));
        assert_eq!(dropped.count(), 8);
    }
}
