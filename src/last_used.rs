//! Uses of tokens that wait to be written: noted in memory by the check, written many at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::time::Timestamp,
    store::{self, Store},
};

/// Tokens whose use may wait here at once. Past it the flusher is woken, and until it has room further tokens are not noted:
/// a check is never slowed for bookkeeping.
const MOST_WAITING: usize = 100_000;

/// How long a write may take: a connection whose other end has vanished must not hold up those that wait behind it.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// The uses that wait, but for those of known tokens, which wait in the table. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastUse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<HashMap<Uuid, Timestamp>>,
    /// Held while writing, so that who waits for it sees everything written that was noted before.
    writing: tokio::sync::Mutex<()>,
    full: Notify,
}

impl LastUse {
    /// Notes a use. Of several the latest counts.
    pub(crate) fn note(&self, token_id: Uuid, at: Timestamp) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST_WAITING && !waiting.contains_key(&token_id) {
            drop(waiting);
            self.0.full.notify_one();
            return;
        }
        enter(&mut waiting, token_id, at);
    }

    /// Takes over uses that waited elsewhere, however many wait already.
    pub(crate) fn take_over(&self, uses: impl IntoIterator<Item = (Uuid, Timestamp)>) {
        let mut uses = uses.into_iter().peekable();
        if uses.peek().is_none() {
            return;
        }
        let mut waiting = self.waiting();
        for (token_id, at) in uses {
            enter(&mut waiting, token_id, at);
        }
    }

    /// Writes what waits here, and with it what `elsewhere` gives. What could not be written waits here.
    ///
    /// # Errors
    /// Whatever kept the store from writing.
    pub(crate) async fn flush(
        &self,
        store: &Store,
        elsewhere: impl FnOnce() -> Vec<(Uuid, Timestamp)>,
    ) -> store::Result<()> {
        let _writing = self.0.writing.lock().await;
        self.take_over(elsewhere());
        let mut batch: Vec<_> = std::mem::take(&mut *self.waiting()).into_iter().collect();
        if batch.is_empty() {
            return Ok(());
        }
        // In one order on every node, or two of them could wait for each other's rows.
        batch.sort_unstable_by_key(|(token_id, _)| *token_id);
        let mut unwritten = Unwritten { of: self, batch };
        while !unwritten.batch.is_empty() {
            let first = unwritten.batch.len().saturating_sub(store::USES_AT_ONCE);
            let written = tokio::time::timeout(LONGEST_WRITE, store.note_uses(&unwritten.batch[first..])).await;
            written.map_err(|_| store::Error::timed_out())??;
            unwritten.batch.truncate(first);
        }
        Ok(())
    }

    /// Completes when so much waits that it should be written at once.
    pub(crate) async fn is_full(&self) {
        self.0.full.notified().await;
    }

    /// What waits, which nobody will write then.
    #[cfg(test)]
    pub(crate) fn take(&self) -> Vec<(Uuid, Timestamp)> {
        std::mem::take(&mut *self.waiting()).into_iter().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enter(waiting: &mut HashMap<Uuid, Timestamp>, token_id: Uuid, at: Timestamp) {
    waiting.entry(token_id).and_modify(|noted| *noted = at.max(*noted)).or_insert(at);
}

/// A batch under way. What of it was not written when it is dropped, by an error or because whoever waited went away, waits on.
struct Unwritten<'a> {
    of: &'a LastUse,
    batch: Vec<(Uuid, Timestamp)>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.of.take_over(self.batch.drain(..));
    }
}
