//! The tokens of one shard: equally sized slots, an index of slot numbers, and the clock hand that
//! chooses which token to evict.

use std::sync::Arc;

use hashbrown::HashTable;
use uuid::Uuid;

use super::{
    access_stamp::AccessStamp,
    entry::{CachedLimits, CachedPerson, CachedToken},
    slot_ref::{LastUse, SlotRef},
};
use crate::domain::{invalidation::DigestPrefix, time::Timestamp};
use tokenward_guard::token_format::TokenDigest;

/// Slots are allocated in chunks of this size, so that growing copies none.
const SLOTS_PER_CHUNK: usize = 256;
/// The stored end of a token that never stops authenticating.
const NEVER: i64 = i64::MAX;

#[derive(Debug, Default)]
pub(super) struct Slab {
    index: HashTable<u32>,
    chunks: Vec<Vec<Slot>>,
    /// The number of allocated slots.
    allocated: u32,
    free: Vec<u32>,
    clock_hand: u32,
}

#[derive(Debug)]
pub(super) struct Slot {
    digest: TokenDigest,
    id: Uuid,
    created_at: i64,
    ends_at: i64,
    limits: Option<Arc<CachedLimits>>,
    /// `None` if the slot is free.
    person: Option<Arc<CachedPerson>>,
    stamp: AccessStamp,
    is_replaced: bool,
}

impl Slab {
    pub(super) fn find_slot(&self, digest: &TokenDigest) -> Option<u32> {
        // The comparison need not take constant time: finding a value whose digest is close to a
        // cached one means breaking SHA-256.
        self.index.find(hash(digest.as_bytes()), |slot_no| self.slot(*slot_no).digest == *digest).copied()
    }

    pub(super) fn find_slot_by_prefix(&self, prefix: DigestPrefix) -> Option<u32> {
        self.index.find(hash(&prefix.0), |slot_no| prefix.is_prefix_of(&self.slot(*slot_no).digest)).copied()
    }

    pub(super) fn slot(&self, slot_no: u32) -> &Slot {
        &self.chunks[slot_no as usize / SLOTS_PER_CHUNK][slot_no as usize % SLOTS_PER_CHUNK]
    }

    pub(super) fn slot_mut(&mut self, slot_no: u32) -> &mut Slot {
        &mut self.chunks[slot_no as usize / SLOTS_PER_CHUNK][slot_no as usize % SLOTS_PER_CHUNK]
    }

    pub(super) fn get(&self, slot_no: u32) -> Option<&Slot> {
        self.chunks.get(slot_no as usize / SLOTS_PER_CHUNK)?.get(slot_no as usize % SLOTS_PER_CHUNK)
    }

    /// Returns the number of tokens.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Adds a token. Returns its slot number.
    pub(super) fn add(&mut self, slot: Slot) -> u32 {
        let digest = slot.digest;
        let slot_no = match self.free.pop() {
            Some(slot_no) => {
                *self.slot_mut(slot_no) = slot;
                slot_no
            }
            None => self.allocate(slot),
        };
        let Self { index, chunks, .. } = self;
        let rehash = |slot_no: &u32| {
            let slot_no = *slot_no as usize;
            hash(chunks[slot_no / SLOTS_PER_CHUNK][slot_no % SLOTS_PER_CHUNK].digest.as_bytes())
        };
        index.insert_unique(hash(digest.as_bytes()), slot_no, rehash);
        slot_no
    }

    fn allocate(&mut self, slot: Slot) -> u32 {
        if self.chunks.last().is_none_or(|last| last.len() == SLOTS_PER_CHUNK) {
            self.chunks.push(Vec::with_capacity(SLOTS_PER_CHUNK));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(slot);
        }
        self.allocated += 1;
        self.allocated - 1
    }

    /// Frees a slot. Returns its unwritten use.
    pub(super) fn free(&mut self, slot_no: u32) -> Option<LastUse> {
        let slot = self.slot_mut(slot_no);
        let unwritten = slot.take_use();
        slot.person = None;
        slot.limits = None;
        let digest = slot.digest;
        if let Ok(entry) = self.index.find_entry(hash(digest.as_bytes()), |other| *other == slot_no) {
            entry.remove();
        }
        self.free.push(slot_no);
        unwritten
    }

    /// Advances the clock hand to the next token to evict.
    pub(super) fn next_victim(&mut self) -> Option<u32> {
        // Two rounds, because the first may only clear reference bits.
        for _ in 0..2 * u64::from(self.allocated) {
            let slot_no = self.clock_hand % self.allocated;
            self.clock_hand = slot_no + 1;
            let slot = self.slot(slot_no);
            let Some(person) = &slot.person else { continue };
            if !person.is_current() || !slot.stamp.take_referenced() {
                return Some(slot_no);
            }
        }
        None
    }
}

impl Slot {
    pub(super) fn new(digest: &TokenDigest, token: &CachedToken) -> Self {
        Self {
            digest: *digest,
            id: token.token_id,
            created_at: token.created_at.as_millis(),
            ends_at: token.ends_at.map_or(NEVER, Timestamp::as_millis),
            limits: token.limits.clone(),
            person: Some(Arc::clone(&token.person)),
            stamp: AccessStamp::default(),
            is_replaced: token.is_replaced,
        }
    }

    /// Returns the token, unless its owner or their workspace was invalidated.
    pub(super) fn cached_token(&self, slot: SlotRef) -> Option<CachedToken> {
        let person = self.person.as_ref().filter(|person| person.is_current())?;
        Some(CachedToken {
            token_id: self.id,
            created_at: Timestamp::from_millis(self.created_at),
            ends_at: (self.ends_at != NEVER).then(|| Timestamp::from_millis(self.ends_at)),
            is_replaced: self.is_replaced,
            limits: self.limits.clone(),
            person: Arc::clone(person),
            slot: Some(slot),
        })
    }

    /// Replaces the token by a newer read of it, and keeps the recorded uses.
    pub(super) fn update(&mut self, token: &CachedToken) {
        let stamp = std::mem::take(&mut self.stamp);
        *self = Self { stamp, ..Self::new(&self.digest, token) };
    }

    /// Returns `true` if the slot still contains this token.
    pub(super) fn holds(&self, token_id: Uuid) -> bool {
        self.id == token_id && self.person.is_some()
    }

    /// Records a use. Returns `true` if it is the first use since the last write.
    pub(super) fn record_use(&self, at: Timestamp, is_repeated: bool) -> bool {
        self.stamp.record(at, is_repeated)
    }

    /// Takes the unwritten use.
    pub(super) fn take_use(&self) -> Option<LastUse> {
        self.person.as_ref()?;
        self.stamp.take_dirty().map(|at| (self.id, at))
    }
}

/// Returns the first bytes of a digest, which are uniformly distributed.
fn hash(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}
