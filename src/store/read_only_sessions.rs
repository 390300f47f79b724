//! Tracking of pooled sessions that may be unable to write.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Time at which a read-only session last began. Sessions of that age or older are tested before
/// they are used.
#[derive(Debug)]
pub(super) struct ReadOnlySessionTracker {
    created_at: Instant,
    /// Microseconds since `created_at`; 0 if no read-only session ever began.
    last_recorded_micros: AtomicU64,
}

impl Default for ReadOnlySessionTracker {
    fn default() -> Self {
        Self { created_at: Instant::now(), last_recorded_micros: AtomicU64::new(0) }
    }
}

impl ReadOnlySessionTracker {
    /// Records that a read-only session began now.
    pub(super) fn record(&self) {
        self.last_recorded_micros.fetch_max(self.elapsed_micros(), Ordering::Relaxed);
    }

    /// Returns true if a session of this age may be read-only.
    pub(super) fn may_be_read_only(&self, age: Duration) -> bool {
        let last_recorded = self.last_recorded_micros.load(Ordering::Relaxed);
        // The pool counts the age from a moment after the record.
        last_recorded > 0 && self.elapsed_micros().saturating_sub(micros(age)) <= last_recorded + MARGIN_MICROS
    }

    fn elapsed_micros(&self) -> u64 {
        micros(self.created_at.elapsed())
    }
}

/// Upper bound in microseconds between the first response of a session and the moment from which
/// the pool counts its age.
const MARGIN_MICROS: u64 = 1_000_000;

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sessions_begun_before_the_record_may_be_read_only() {
        let tracker = ReadOnlySessionTracker::default();
        assert!(!tracker.may_be_read_only(Duration::from_secs(60)));
        tracker.record();
        assert!(tracker.may_be_read_only(Duration::ZERO));
        assert!(tracker.may_be_read_only(Duration::from_secs(60)));
        let tracker = ReadOnlySessionTracker {
            created_at: Instant::now() - Duration::from_secs(10),
            last_recorded_micros: AtomicU64::new(5_000_000),
        };
        assert!(tracker.may_be_read_only(Duration::from_secs(5)));
        assert!(!tracker.may_be_read_only(Duration::from_secs(1)));
    }
}
