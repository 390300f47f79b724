//! Uses of tokens that wait to be written: noted in memory by the check, written many at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::time::Timestamp,
    store::{self, Store},
};

/// Tokens whose use may wait at once. Past it the flusher is woken, and until it has room further tokens are not noted:
/// a check is never slowed for bookkeeping.
const MOST_WAITING: usize = 100_000;

/// How long a write may take: a connection whose other end has vanished must not hold up those that wait behind it.
const LONGEST_WRITE: Duration = Duration::from_secs(5);

/// The uses that wait. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct LastUse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<HashMap<Uuid, Timestamp>>,
    /// Held while writing, so that who waits for it sees everything written that was noted before.
    writing: tokio::sync::Mutex<()>,
    full: Notify,
}

impl LastUse {
    /// Notes a use. Of several the latest counts.
    pub fn note(&self, token_id: Uuid, at: Timestamp) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST_WAITING && !waiting.contains_key(&token_id) {
            drop(waiting);
            self.0.full.notify_one();
            return;
        }
        waiting.entry(token_id).and_modify(|noted| *noted = at.max(*noted)).or_insert(at);
    }

    /// Writes what was noted until now. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever kept the store from writing.
    pub async fn flush(&self, store: &Store) -> store::Result<()> {
        let _writing = self.0.writing.lock().await;
        let mut batch: Vec<_> = std::mem::take(&mut *self.waiting()).into_iter().collect();
        if batch.is_empty() {
            return Ok(());
        }
        // In one order on every node, or two of them could wait for each other's rows.
        batch.sort_unstable_by_key(|(token_id, _)| *token_id);
        let mut unwritten = Unwritten { of: self, batch };
        let written = tokio::time::timeout(LONGEST_WRITE, store.note_uses(&unwritten.batch)).await;
        written.map_err(|_| store::Error::timed_out())??;
        unwritten.batch.clear();
        Ok(())
    }

    /// Completes when so much waits that it should be written at once.
    pub async fn is_full(&self) {
        self.0.full.notified().await;
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch under way. Dropped before it was written, by an error or because whoever waited went away, it is noted again.
struct Unwritten<'a> {
    of: &'a LastUse,
    batch: Vec<(Uuid, Timestamp)>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        for (token_id, at) in self.batch.drain(..) {
            self.of.note(token_id, at);
        }
    }
}
