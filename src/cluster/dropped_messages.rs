//! The count of dropped messages: those that are not authentic or were received before.

use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The shortest time between two log lines about dropped messages.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// Counts dropped messages, and limits how often they are logged.
#[derive(Debug, Default)]
pub(crate) struct DroppedMessages {
    count: AtomicU64,
    last_warning: Mutex<LastWarning>,
}

#[derive(Debug, Default)]
struct LastWarning {
    /// The count at the time of the warning.
    count: u64,
    /// The time since boot; `None` before the first warning.
    logged_at: Option<Duration>,
}

impl DroppedMessages {
    pub(crate) fn record(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the number of messages dropped since the last warning, for a warning at `now`.
    /// Returns `None` if there are none, or if the last warning is less than a minute old.
    pub(crate) fn take_unreported(&self, now: Duration) -> Option<u64> {
        let mut last = self.last_warning.lock();
        let count = self.count();
        let unreported = count - last.count;
        if unreported == 0 || last.logged_at.is_some_and(|logged_at| now < logged_at + WARN_INTERVAL) {
            return None;
        }
        *last = LastWarning { count, logged_at: Some(now) };
        Some(unreported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_reported_once_a_minute() {
        let dropped = DroppedMessages::default();
        let at = Duration::from_secs;
        assert_eq!(dropped.take_unreported(at(1)), None);
        (0..3).for_each(|_| dropped.record());
        assert_eq!(dropped.take_unreported(at(2)), Some(3));
        (0..5).for_each(|_| dropped.record());
        assert_eq!(dropped.take_unreported(at(61)), None);
        assert_eq!(dropped.take_unreported(at(62)), Some(5));
        assert_eq!(dropped.take_unreported(at(200)), None);
        assert_eq!(dropped.count(), 8);
    }
}
