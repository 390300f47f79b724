//! The last-used buffer: uses of tokens that are recorded in memory and written in batches.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::time::Timestamp,
    store::{self, Store},
};

/// The maximum number of tokens in the buffer. A full buffer wakes the flush task, and drops uses
/// of further tokens until then, so that recording a use never delays a check.
const MAX_PENDING: usize = 100_000;

/// The time limit of a write, so that an unresponsive connection does not block later flushes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Buffers uses of tokens. Uses of cached tokens stay in the token cache until the next flush.
/// Cheap to clone; clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastUsedBuffer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pending: Mutex<HashMap<Uuid, Timestamp>>,
    /// Held during a flush. After it is acquired, all earlier uses are written or pending again.
    flushing: tokio::sync::Mutex<()>,
    full: Notify,
}

impl LastUsedBuffer {
    /// Records a use. Keeps the latest use of each token.
    pub(crate) fn record(&self, token_id: Uuid, at: Timestamp) {
        let mut pending = self.pending();
        if pending.len() >= MAX_PENDING && !pending.contains_key(&token_id) {
            drop(pending);
            self.0.full.notify_one();
            return;
        }
        merge(&mut pending, token_id, at);
    }

    /// Adds uses, even if the buffer is full.
    pub(crate) fn extend(&self, uses: impl IntoIterator<Item = (Uuid, Timestamp)>) {
        let mut uses = uses.into_iter().peekable();
        if uses.peek().is_none() {
            return;
        }
        let mut pending = self.pending();
        for (token_id, at) in uses {
            merge(&mut pending, token_id, at);
        }
    }

    /// Writes the buffered uses, together with those that `take_cached_uses` returns. Uses that
    /// could not be written stay in the buffer.
    ///
    /// # Errors
    /// Returns the error of the first write that failed or timed out.
    pub(crate) async fn flush(
        &self,
        store: &Store,
        take_cached_uses: impl FnOnce() -> Vec<(Uuid, Timestamp)>,
    ) -> store::Result<()> {
        let _flushing = self.0.flushing.lock().await;
        self.extend(take_cached_uses());
        let mut uses: Vec<_> = std::mem::take(&mut *self.pending()).into_iter().collect();
        if uses.is_empty() {
            return Ok(());
        }
        // Every node writes in the same order, because otherwise two nodes could deadlock.
        uses.sort_unstable_by_key(|(token_id, _)| *token_id);
        let mut unwritten = UnwrittenUses { buffer: self, uses };
        while !unwritten.uses.is_empty() {
            let first = unwritten.uses.len().saturating_sub(store::LAST_USED_BATCH_SIZE);
            let write = store.update_last_used(&unwritten.uses[first..]);
            let written = tokio::time::timeout(WRITE_TIMEOUT, write).await;
            written.map_err(|_| store::Error::timed_out())??;
            unwritten.uses.truncate(first);
        }
        Ok(())
    }

    /// Completes when the buffer is full and should be flushed at once.
    pub(crate) async fn wait_until_full(&self) {
        self.0.full.notified().await;
    }

    /// Takes the buffered uses, without writing them.
    #[cfg(test)]
    pub(crate) fn take(&self) -> Vec<(Uuid, Timestamp)> {
        std::mem::take(&mut *self.pending()).into_iter().collect()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        self.0.pending.lock()
    }
}

fn merge(pending: &mut HashMap<Uuid, Timestamp>, token_id: Uuid, at: Timestamp) {
    pending.entry(token_id).and_modify(|latest| *latest = at.max(*latest)).or_insert(at);
}

/// The uses that a flush has not written yet. When it is dropped, because of an error or because
/// the flush was cancelled, they return to the buffer.
struct UnwrittenUses<'a> {
    buffer: &'a LastUsedBuffer,
    uses: Vec<(Uuid, Timestamp)>,
}

impl Drop for UnwrittenUses<'_> {
    fn drop(&mut self) {
        self.buffer.extend(self.uses.drain(..));
    }
}
