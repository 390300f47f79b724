//! One shard's tokens: slots of one size, an index of slot numbers, and the hand that makes room.

use std::sync::Arc;

use hashbrown::HashTable;
use uuid::Uuid;

use super::{
    access_stamp::Used,
    entry::{CachedToken, CachedPerson},
    invalidation::TokenName,
    sharded::{Place, Use},
};
use crate::domain::time::Timestamp;
use tokenward_guard::token_format::TokenDigest;

/// Slots are made this many at a time, so that growing never copies them.
const CHUNK: usize = 256;
/// No expiry: the greatest moment there is.
const NEVER: i64 = i64::MAX;

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    index: HashTable<u32>,
    chunks: Vec<Vec<Slot>>,
    /// How many slots there are.
    made: u32,
    free: Vec<u32>,
    hand: u32,
}

#[derive(Debug)]
pub(crate) struct Slot {
    digest: TokenDigest,
    id: Uuid,
    created_at: i64,
    expires_at: i64,
    /// None: the slot is free.
    person: Option<Arc<CachedPerson>>,
    used: Used,
}

impl Tokens {
    pub(crate) fn position(&self, digest: &TokenDigest) -> Option<u32> {
        // Not in constant time: whoever could make a digest near to one that is here had broken SHA-256.
        self.index.find(hash(digest), |slot_no| self.slot(*slot_no).digest == *digest).copied()
    }

    pub(crate) fn position_named(&self, name: TokenName) -> Option<u32> {
        self.index.find(hash_of(&name.0), |slot_no| name.is_of(&self.slot(*slot_no).digest)).copied()
    }

    pub(crate) fn slot(&self, slot_no: u32) -> &Slot {
        &self.chunks[slot_no as usize / CHUNK][slot_no as usize % CHUNK]
    }

    pub(crate) fn slot_mut(&mut self, slot_no: u32) -> &mut Slot {
        &mut self.chunks[slot_no as usize / CHUNK][slot_no as usize % CHUNK]
    }

    pub(crate) fn get(&self, slot_no: u32) -> Option<&Slot> {
        self.chunks.get(slot_no as usize / CHUNK)?.get(slot_no as usize % CHUNK)
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn add(&mut self, slot: Slot) -> u32 {
        let digest = slot.digest;
        let slot_no = match self.free.pop() {
            Some(slot_no) => {
                *self.slot_mut(slot_no) = slot;
                slot_no
            }
            None => {
                if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                if let Some(last) = self.chunks.last_mut() {
                    last.push(slot);
                }
                self.made += 1;
                self.made - 1
            }
        };
        let Self { index, chunks, .. } = self;
        let digest_of = |slot_no: &u32| hash(&chunks[*slot_no as usize / CHUNK][*slot_no as usize % CHUNK].digest);
        index.insert_unique(hash(&digest), slot_no, digest_of);
        slot_no
    }

    pub(crate) fn free(&mut self, slot_no: u32) -> Option<Use> {
        let slot = self.slot_mut(slot_no);
        let unwritten = slot.take_use();
        slot.person = None;
        let digest = slot.digest;
        if let Ok(entry) = self.index.find_entry(hash(&digest), |other| *other == slot_no) {
            entry.remove();
        }
        self.free.push(slot_no);
        unwritten
    }

    /// The next token that the hand does not spare.
    pub(crate) fn dispensable(&mut self) -> Option<u32> {
        // Twice round: the first time may have spared all of them.
        for _ in 0..2 * u64::from(self.made) {
            let at = self.hand % self.made;
            self.hand = at + 1;
            let slot = self.slot(at);
            let Some(person) = &slot.person else { continue };
            if !person.is_current() || !slot.used.take_again() {
                return Some(at);
            }
        }
        None
    }
}

impl Slot {
    pub(crate) fn new(digest: &TokenDigest, facts: &CachedToken) -> Self {
        Self {
            digest: *digest,
            id: facts.token_id,
            created_at: facts.created_at.as_millis(),
            expires_at: facts.expires_at.map_or(NEVER, Timestamp::as_millis),
            person: Some(Arc::clone(&facts.person)),
            used: Used::default(),
        }
    }

    /// The facts, unless person or workspace have changed since they were read.
    pub(crate) fn facts(&self, place: Place) -> Option<CachedToken> {
        let person = self.person.as_ref().filter(|person| person.is_current())?;
        Some(CachedToken {
            token_id: self.id,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: (self.expires_at != NEVER).then(|| Timestamp::from_millis(self.expires_at)),
            person: Arc::clone(person),
            place: Some(place),
        })
    }

    /// Takes newer facts of the same token.
    pub(crate) fn renew(&mut self, facts: &CachedToken) {
        let used = std::mem::take(&mut self.used);
        *self = Self { used, ..Self::new(&self.digest, facts) };
    }

    pub(crate) fn holds(&self, token_id: Uuid) -> bool {
        self.id == token_id && self.person.is_some()
    }

    /// Notes a use; answers whether it is the first that nobody has written.
    pub(crate) fn note_use(&self, at: Timestamp, again: bool) -> bool {
        self.used.note(at, again)
    }

    pub(crate) fn take_use(&self) -> Option<Use> {
        self.person.as_ref()?;
        self.used.take_unwritten().map(|at| (self.id, at))
    }
}

fn hash(digest: &TokenDigest) -> u64 {
    hash_of(digest.as_bytes())
}

/// The first bytes of a digest are random already.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}
