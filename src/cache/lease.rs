//! Leases: the time span in which a node may answer from its cache.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::domain::time::Clock;

/// The longest lease that configuration and schema allow.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(120);

const NONE: u64 = 0;
const UNLIMITED: u64 = u64::MAX;

/// A lease as its holder sees it, measured by the holder's monotonic clock.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The end of the lease in nanoseconds since boot; 0: no lease.
    ends_at: AtomicU64,
    clock: Clock,
}

impl Lease {
    /// Creates a lease that is not held yet.
    pub(crate) fn none(clock: Clock) -> Self {
        Self { ends_at: AtomicU64::new(NONE), clock }
    }

    /// Creates a lease without an end, for the only process of a SQLite file.
    pub(crate) fn unlimited(clock: Clock) -> Self {
        Self { ends_at: AtomicU64::new(UNLIMITED), clock }
    }

    /// Returns `true` if the cache may be read. Call this *before* reading the cache: a lease is
    /// extended only after all earlier invalidations were applied, so a reader that sees the extended
    /// lease also sees the invalidations.
    pub(crate) fn is_valid(&self) -> bool {
        match self.ends_at.load(Ordering::Acquire) {
            NONE => false,
            UNLIMITED => true,
            ends_at => nanos(self.clock.boottime()) < ends_at,
        }
    }

    /// Extends the lease to a time of the monotonic clock.
    pub(crate) fn extend(&self, ends_at: Duration) {
        self.ends_at.store(nanos(ends_at), Ordering::Release);
    }

    /// Releases the lease.
    pub(crate) fn release(&self) {
        self.ends_at.store(NONE, Ordering::Release);
    }
}

fn nanos(duration: Duration) -> u64 {
    // Five hundred years fit below UNLIMITED.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(UNLIMITED - 1)
}
