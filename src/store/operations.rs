//! Counts the operations that use the database, to find out how many wait for a connection.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Number of operations in progress. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct OperationCounter(Arc<AtomicU32>);

/// An operation in progress; it ends when this is dropped.
pub(super) struct OperationGuard<'a>(&'a AtomicU32);

impl OperationCounter {
    /// Counts an operation until the guard is dropped.
    pub(super) fn start(&self) -> OperationGuard<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        OperationGuard(&self.0)
    }

    /// Returns the number of operations in progress.
    pub(super) fn in_progress(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for OperationGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
