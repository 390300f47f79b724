//! The right to answer from memory, for a time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::domain::time::Clock;

/// A lease as its holder sees it, on its own stopwatch.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Nanoseconds of the stopwatch at which it ends; 0 is none.
    ends: AtomicU64,
    clock: Clock,
}

/// No configuration allows a longer one, and the schema takes no row with one.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(10);

const NONE: u64 = 0;
/// For the one process of a SQLite file, which nobody else may change.
const FOR_EVER: u64 = u64::MAX;

impl Lease {
    pub(crate) fn none(clock: Clock) -> Self {
        Self { ends: AtomicU64::new(NONE), clock }
    }

    pub(crate) fn for_ever(clock: Clock) -> Self {
        Self { ends: AtomicU64::new(FOR_EVER), clock }
    }

    /// Whether memory may be asked. To be asked *before* memory is: the lease is lengthened only after everything that was
    /// announced before it has been forgotten, so whoever sees the longer lease sees the forgetting, too.
    pub(crate) fn is_live(&self) -> bool {
        match self.ends.load(Ordering::Acquire) {
            NONE => false,
            FOR_EVER => true,
            ends => nanos(self.clock.elapsed()) < ends,
        }
    }

    /// Lets it run until a moment of the stopwatch.
    pub(crate) fn extend(&self, ends: Duration) {
        self.ends.store(nanos(ends), Ordering::Release);
    }

    /// Gives it up.
    pub(crate) fn end(&self) {
        self.ends.store(NONE, Ordering::Release);
    }
}

fn nanos(duration: Duration) -> u64 {
    // Below the mark of the lease that never ends: five hundred years.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(FOR_EVER - 1)
}
