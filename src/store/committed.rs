//! Results of transactions that took a right away.

use crate::domain::invalidation::Invalidation;

/// The result of a committed transaction that revoked or changed a right.
///
/// Caches may still contain the old state. The value is only accessible through
/// [`Committed::wait_for`], so a caller cannot respond before the revocation is effective.
#[derive(Debug)]
#[must_use = "the old state may still be cached; wait for the revocation barrier"]
pub struct Committed<T> {
    value: T,
    invalidations: Vec<Invalidation>,
}

/// Waits until no node accepts what an invalidation made stale.
pub trait Barrier {
    /// Applies the invalidations and returns when they are effective on every node. An empty list waits
    /// as well: a repeated request may find nothing to do before the first one is effective.
    fn wait(&self, invalidations: &[Invalidation]) -> impl Future<Output = ()> + Send;
}

impl<T> Committed<T> {
    pub(super) fn new(value: T, invalidations: Vec<Invalidation>) -> Self {
        Self { value, invalidations }
    }

    /// Creates the result of a transaction that changed nothing.
    pub(super) fn unchanged(value: T) -> Self {
        Self::new(value, Vec::new())
    }

    /// Returns the value of a transaction that took no right away; there is nothing to wait for.
    ///
    /// Only for transactions of a kind that can take one away but did not: an invalidation that is
    /// pending all the same is a bug, which the debug build reports.
    pub fn into_granted(self) -> T {
        debug_assert!(self.invalidations.is_empty(), "a revocation must wait for the barrier");
        self.value
    }

    /// Joins the results of several transactions, to wait for all of them at once.
    pub fn join(parts: Vec<Self>) -> Committed<Vec<T>> {
        let mut joined = Committed::unchanged(Vec::with_capacity(parts.len()));
        for part in parts {
            joined.value.push(part.value);
            joined.invalidations.extend(part.invalidations);
        }
        joined
    }

    /// Waits for the barrier, and returns the value.
    pub async fn wait_for(self, barrier: &impl Barrier) -> T {
        barrier.wait(&self.invalidations).await;
        self.value
    }
}
