//! The signal that a request waits for the revocation barrier.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Tells the time limit of a request that its change is committed and waits until it is effective on
/// every node. Clones share their state; all values are equal.
#[derive(Clone, Debug, Default)]
pub struct BarrierWait(Arc<AtomicBool>);

impl BarrierWait {
    /// Records that the wait begins.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether a wait has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for BarrierWait {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for BarrierWait {}
