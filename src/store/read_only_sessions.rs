//! Which sessions may be unable to write.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Remembers when a session last began that could only read: those that began no later are asked before they are used.
#[derive(Debug)]
pub(super) struct Doubt {
    begun: Instant,
    /// Microseconds since then; 0: never.
    noted: AtomicU64,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { begun: Instant::now(), noted: AtomicU64::new(0) }
    }
}

impl Doubt {
    /// A session began that can only read.
    pub(super) fn note(&self) {
        self.noted.fetch_max(self.now(), Ordering::Relaxed);
    }

    /// Whether a session of this age may be one that can only read.
    pub(super) fn covers(&self, age: Duration) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        // Its age is counted from a moment after the note.
        noted > 0 && self.now().saturating_sub(micros(age)) <= noted + MARGIN
    }

    fn now(&self) -> u64 {
        micros(self.begun.elapsed())
    }
}

/// Between a session's first answer and the moment from which its age is counted.
const MARGIN: u64 = 1_000_000;

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sessions_from_before_the_note_are_doubtful() {
        let doubt = Doubt::default();
        assert!(!doubt.covers(Duration::from_secs(60)));
        doubt.note();
        assert!(doubt.covers(Duration::ZERO) && doubt.covers(Duration::from_secs(60)));
        let later = Doubt { begun: Instant::now() - Duration::from_secs(10), noted: AtomicU64::new(5_000_000) };
        assert!(later.covers(Duration::from_secs(5)) && !later.covers(Duration::from_secs(1)));
    }
}
