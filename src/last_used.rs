//! The last-used buffer: uses of tokens that are recorded in memory and written in batches.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{time::Timestamp, token_use::TokenUse},
    store::{self, Store},
};

/// The maximum number of tokens in the buffer. A full buffer wakes the flush task, and drops uses
/// of further tokens until then, so that recording a use never delays a check. Also the maximum number
/// of noted addresses, beyond which the uses of further tokens have none.
const MAX_PENDING: usize = 100_000;

/// The time limit of a write, so that an unresponsive connection does not block later flushes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Buffers uses of tokens. Uses of cached tokens stay in the token cache until the next flush.
/// Cheap to clone; clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastUsedBuffer(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    pending: Mutex<HashMap<Uuid, PendingUse>>,
    /// The addresses of the first uses of cached tokens since the last flush. Apart from `pending`,
    /// whose lock a flush holds for longer.
    addresses: Mutex<HashMap<Uuid, (Timestamp, IpAddr)>>,
    /// Held during a flush. After it is acquired, all earlier uses are written or pending again.
    flushing: tokio::sync::Mutex<()>,
    full: Notify,
}

/// The latest use of a token, with the latest noted address.
#[derive(Clone, Copy, Debug)]
struct PendingUse {
    at: Timestamp,
    address: Option<IpAddr>,
}

impl LastUsedBuffer {
    /// Records a use. Keeps the latest use of each token.
    pub(crate) fn record(&self, used: TokenUse) {
        let mut pending = self.pending();
        if pending.len() >= MAX_PENDING && !pending.contains_key(&used.token_id) {
            drop(pending);
            self.0.full.notify_one();
            return;
        }
        merge(&mut pending, used);
    }

    /// Notes the address of a use that is recorded in the token cache. Called for the first use of a
    /// token after each flush.
    pub(crate) fn note_address(&self, token_id: Uuid, at: Timestamp, address: IpAddr) {
        let mut addresses = self.0.addresses.lock();
        if addresses.len() < MAX_PENDING || addresses.contains_key(&token_id) {
            addresses.insert(token_id, (at, address));
        }
    }

    /// Adds uses of the token cache, even if the buffer is full.
    pub(crate) fn extend(&self, uses: impl IntoIterator<Item = (Uuid, Timestamp)>) {
        self.extend_uses(uses.into_iter().map(|(token_id, at)| TokenUse { token_id, at, address: None }));
    }

    fn extend_uses(&self, uses: impl IntoIterator<Item = TokenUse>) {
        let mut uses = uses.into_iter().peekable();
        if uses.peek().is_none() {
            return;
        }
        let mut pending = self.pending();
        for used in uses {
            merge(&mut pending, used);
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
        // Before the uses: the address of a use that is taken without it follows with the next flush.
        let addresses = self.take_addresses();
        self.extend(take_cached_uses());
        self.extend_uses(addresses.into_iter().map(|(token_id, (at, address))| TokenUse {
            token_id,
            at,
            address: Some(address),
        }));
        let mut uses = self.take_pending();
        if uses.is_empty() {
            return Ok(());
        }
        // Every node writes in the same order, because otherwise two nodes could deadlock.
        uses.sort_unstable_by_key(|used| used.token_id);
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
    pub(crate) fn take(&self) -> Vec<TokenUse> {
        self.take_pending()
    }

    fn take_pending(&self) -> Vec<TokenUse> {
        let pending = std::mem::take(&mut *self.pending());
        pending.into_iter().map(|(token_id, PendingUse { at, address })| TokenUse { token_id, at, address }).collect()
    }

    /// Takes the noted addresses. The next flush will have about as many, so the new map has room for
    /// them and does not grow under the lock.
    fn take_addresses(&self) -> HashMap<Uuid, (Timestamp, IpAddr)> {
        let mut addresses = self.0.addresses.lock();
        let empty = HashMap::with_capacity(addresses.len());
        std::mem::replace(&mut *addresses, empty)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Uuid, PendingUse>> {
        self.0.pending.lock()
    }
}

fn merge(pending: &mut HashMap<Uuid, PendingUse>, used: TokenUse) {
    let TokenUse { token_id, at, address } = used;
    let latest = pending.entry(token_id).or_insert(PendingUse { at, address });
    if at >= latest.at {
        *latest = PendingUse { at, address: address.or(latest.address) };
    } else {
        latest.address = latest.address.or(address);
    }
}

/// The uses that a flush has not written yet. When it is dropped, because of an error or because
/// the flush was cancelled, they return to the buffer.
struct UnwrittenUses<'a> {
    buffer: &'a LastUsedBuffer,
    uses: Vec<TokenUse>,
}

impl Drop for UnwrittenUses<'_> {
    fn drop(&mut self) {
        self.buffer.extend_uses(self.uses.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(at: i64, address: Option<&str>) -> TokenUse {
        let address = address.map(|text| text.parse().unwrap());
        TokenUse { token_id: Uuid::from_u128(1), at: Timestamp::from_millis(at), address }
    }

    #[test]
    fn the_latest_use_keeps_the_latest_noted_address() {
        let (a, b) = (Some("192.0.2.1"), Some("192.0.2.2"));
        for (uses, expected) in [
            (vec![used(1, a), used(2, b)], used(2, b)),
            (vec![used(2, b), used(1, a)], used(2, b)),
            (vec![used(1, a), used(2, None)], used(2, a)),
            (vec![used(2, None), used(1, a)], used(2, a)),
            (vec![used(1, None)], used(1, None)),
        ] {
            let buffer = LastUsedBuffer::default();
            uses.iter().for_each(|used| buffer.record(*used));
            assert_eq!(buffer.take(), [expected], "{uses:?}");
        }
    }
}
