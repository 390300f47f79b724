//! The table of cached tokens: a bounded map from digests to tokens for concurrent readers.
//!
//! The table is divided into shards by the digest. Each shard has its own lock, so that concurrent
//! checks rarely wait for each other. A token takes 96 bytes in its slot and about ten in the index.
//! A full shard evicts by the CLOCK algorithm. A token that was used repeatedly survives one round of
//! the clock hand; a token that was used once does not, so that a scan of all tokens does not evict
//! those in regular use.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

use super::{
    entry::CachedToken,
    slab::{Slab, Slot},
    slot_ref::{LastUse, RecordedUse, SlotRef},
};
use crate::domain::{invalidation::DigestPrefix, time::Timestamp};
use tokenward_guard::token_format::TokenDigest;

const SHARDS: u8 = 64;
/// The byte of the digest that selects the shard. The index uses the bytes before it.
const SHARD_BYTE: usize = 8;
/// The size of a token: its slot and its share of the index.
const TOKEN_BYTES: usize = size_of::<Slot>() + 11;
/// The maximum number of evictions per insertion, which bounds the delay of one check.
const MAX_EVICTIONS_PER_INSERT: usize = 16;

/// A bounded map from digests to tokens.
#[derive(Debug)]
pub(super) struct ShardedTable {
    shards: Box<[Shard]>,
    max_tokens_per_shard: usize,
    max_bytes: usize,
    entries: AtomicUsize,
    evictions: AtomicU64,
    /// The size of the owners and the limits that the tokens point to.
    pub(super) shared_bytes: Arc<AtomicUsize>,
}

/// One shard, aligned so that no two shards share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    slab: RwLock<Slab>,
    /// Slots with an unwritten use.
    dirty_slots: Mutex<Vec<u32>>,
    hits: AtomicU64,
}

impl ShardedTable {
    pub(super) fn new(max_tokens: usize, max_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            max_tokens_per_shard: max_tokens.div_ceil(usize::from(SHARDS)).max(1),
            max_bytes,
            entries: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            shared_bytes: Arc::default(),
        }
    }

    /// Returns a token, unless its owner or their workspace was invalidated.
    pub(super) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        let (shard_no, shard) = self.shard(digest);
        let slab = shard.read();
        let slot_no = slab.find_slot(digest)?;
        let token = slab.slot(slot_no).cached_token(SlotRef { shard: shard_no, slot: slot_no, is_new: false })?;
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(token)
    }

    /// Inserts a token, and evicts others if the table is full. Returns the unwritten uses of evicted
    /// tokens.
    pub(super) fn insert(&self, digest: &TokenDigest, token: &mut CachedToken) -> Vec<LastUse> {
        let (shard_no, shard) = self.shard(digest);
        let mut unwritten = Vec::new();
        let mut slab = shard.write();
        let slot_no = match slab.find_slot(digest) {
            Some(slot_no) => {
                slab.slot_mut(slot_no).update(token);
                slot_no
            }
            None => {
                self.make_room(&mut slab, &mut unwritten);
                self.entries.fetch_add(1, Ordering::Relaxed);
                slab.add(Slot::new(digest, token))
            }
        };
        token.slot = Some(SlotRef { shard: shard_no, slot: slot_no, is_new: true });
        unwritten
    }

    fn make_room(&self, slab: &mut Slab, unwritten: &mut Vec<LastUse>) {
        for _ in 0..MAX_EVICTIONS_PER_INSERT {
            if slab.len() < self.max_tokens_per_shard && self.bytes() < self.max_bytes {
                return;
            }
            let Some(slot_no) = slab.next_victim() else { return };
            unwritten.extend(self.free(slab, slot_no));
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn free(&self, slab: &mut Slab, slot_no: u32) -> Option<LastUse> {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        slab.free(slot_no)
    }

    /// Removes a token. Returns its unwritten use.
    pub(super) fn remove(&self, digest: &TokenDigest) -> Option<LastUse> {
        let mut slab = self.shard(digest).1.write();
        let slot_no = slab.find_slot(digest)?;
        self.free(&mut slab, slot_no)
    }

    /// Removes the token whose digest starts with `prefix`. Returns its unwritten use.
    pub(super) fn remove_by_prefix(&self, prefix: DigestPrefix) -> Option<LastUse> {
        let mut slab = self.shard_of(prefix.0[SHARD_BYTE]).1.write();
        let slot_no = slab.find_slot_by_prefix(prefix)?;
        self.free(&mut slab, slot_no)
    }

    /// Removes all tokens. Returns the unwritten uses.
    pub(super) fn clear(&self) -> Vec<LastUse> {
        let mut unwritten = Vec::new();
        for shard in &self.shards {
            let removed = std::mem::take(&mut *shard.write());
            unwritten.extend(shard.dirty_slots().drain(..).filter_map(|slot_no| removed.get(slot_no)?.take_use()));
            self.entries.fetch_sub(removed.len(), Ordering::Relaxed);
        }
        unwritten
    }

    /// Records a use, unless the slot no longer contains the token.
    pub(super) fn record_use(&self, slot: SlotRef, token_id: Uuid, at: Timestamp) -> RecordedUse {
        let shard = &self.shards[usize::from(slot.shard)];
        let slab = shard.read();
        let Some(found) = slab.get(slot.slot).filter(|found| found.holds(token_id)) else {
            return RecordedUse::Uncached;
        };
        if !found.record_use(at, !slot.is_new) {
            return RecordedUse::Repeated;
        }
        shard.dirty_slots().push(slot.slot);
        RecordedUse::First
    }

    /// Takes the unwritten uses. The caller writes them.
    pub(super) fn take_unwritten_uses(&self) -> Vec<LastUse> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            let dirty_slots = std::mem::take(&mut *shard.dirty_slots());
            let slab = shard.read();
            uses.extend(dirty_slots.iter().filter_map(|slot_no| slab.get(*slot_no)?.take_use()));
        }
        uses
    }

    /// Returns the number of tokens.
    pub(super) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Returns the approximate size of tokens and owners in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.len() * TOKEN_BYTES + self.shared_bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of hits.
    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| shard.hits.load(Ordering::Relaxed)).sum()
    }

    /// Returns the number of evictions.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn shard(&self, digest: &TokenDigest) -> (u8, &Shard) {
        self.shard_of(digest.as_bytes()[SHARD_BYTE])
    }

    fn shard_of(&self, byte: u8) -> (u8, &Shard) {
        let shard_no = byte % SHARDS;
        (shard_no, &self.shards[usize::from(shard_no)])
    }
}

impl Shard {
    fn read(&self) -> RwLockReadGuard<'_, Slab> {
        self.slab.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Slab> {
        self.slab.write()
    }

    fn dirty_slots(&self) -> MutexGuard<'_, Vec<u32>> {
        self.dirty_slots.lock()
    }
}
