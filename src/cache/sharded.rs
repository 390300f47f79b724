//! The table of known tokens: from a digest to the facts, bounded, for many readers at once.
//!
//! It is cut into shards by the digest, each with a lock of its own, so that no two checks wait for each other but by chance.
//! A shard keeps its tokens in slots of one size and finds them by an index of slot numbers: 80 bytes a token and about ten for
//! the index. When a shard is full the hand goes round (CLOCK): a token that was used again since the hand last came by is
//! spared once, one that was used only when it came in is not, so that a run through all tokens does not push out those in use.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use uuid::Uuid;

use super::{
    entry::CachedToken,
    invalidation::TokenName,
    slab::{Slot, Tokens},
};
use crate::domain::time::Timestamp;
use tokenward_guard::token_format::TokenDigest;

const SHARDS: u8 = 64;
/// The byte of the digest that decides; the index takes those before it.
const SHARD_BYTE: usize = 8;
/// What one token takes: its slot and its share of the index.
const TOKEN_BYTES: usize = size_of::<Slot>() + 11;
/// Where the table holds a token. It may have moved out since: whoever comes back compares the id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    shard: u8,
    slot: u32,
    /// Whether the token came in with the check that holds this.
    is_new: bool,
}

/// A use that the table no longer keeps and nobody has written.
pub(crate) type Use = (Uuid, Timestamp);

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    shards: Box<[Shard]>,
    most_in_shard: usize,
    most_bytes: usize,
    entries: AtomicUsize,
    evicted: AtomicU64,
    /// Bytes of the people that the tokens point to.
    pub(crate) people_bytes: Arc<AtomicUsize>,
}

/// Aligned so that two shards share no line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    tokens: RwLock<Tokens>,
    /// Slots whose use is not written yet.
    used: Mutex<Vec<u32>>,
    hits: AtomicU64,
}

impl Table {
    pub(crate) fn new(most_tokens: usize, most_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            most_in_shard: most_tokens.div_ceil(usize::from(SHARDS)).max(1),
            most_bytes,
            entries: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            people_bytes: Arc::default(),
        }
    }

    /// The facts of a token, unless person or workspace have changed since they were read.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        let (shard_no, shard) = self.shard(digest);
        let tokens = shard.read();
        let slot_no = tokens.position(digest)?;
        let facts = tokens.slot(slot_no).facts(Place { shard: shard_no, slot: slot_no, is_new: false })?;
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(facts)
    }

    /// Takes a token in, putting others out where there is no room. Gives the uses of those.
    pub(crate) fn insert(&self, digest: &TokenDigest, facts: &mut CachedToken) -> Vec<Use> {
        let (shard_no, shard) = self.shard(digest);
        let mut put_out = Vec::new();
        let mut tokens = shard.write();
        let slot_no = match tokens.position(digest) {
            Some(slot_no) => {
                tokens.slot_mut(slot_no).renew(facts);
                slot_no
            }
            None => {
                self.make_room(&mut tokens, &mut put_out);
                self.entries.fetch_add(1, Ordering::Relaxed);
                tokens.add(Slot::new(digest, facts))
            }
        };
        facts.place = Some(Place { shard: shard_no, slot: slot_no, is_new: true });
        put_out
    }

    /// Bounded, so that one check is not kept by much that others left behind.
    fn make_room(&self, tokens: &mut Tokens, put_out: &mut Vec<Use>) {
        const AT_ONCE: usize = 16;
        for _ in 0..AT_ONCE {
            if tokens.len() < self.most_in_shard && self.bytes() < self.most_bytes {
                return;
            }
            let Some(slot_no) = tokens.dispensable() else { return };
            put_out.extend(self.free(tokens, slot_no));
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn free(&self, tokens: &mut Tokens, slot_no: u32) -> Option<Use> {
        self.entries.fetch_sub(1, Ordering::Relaxed);
        tokens.free(slot_no)
    }

    /// Puts a token out; gives its use if nobody has written it.
    pub(crate) fn remove(&self, digest: &TokenDigest) -> Option<Use> {
        let mut tokens = self.shard(digest).1.write();
        let slot_no = tokens.position(digest)?;
        self.free(&mut tokens, slot_no)
    }

    /// The same, of a token of which only the beginning of its digest is known.
    pub(crate) fn remove_named(&self, name: TokenName) -> Option<Use> {
        let mut tokens = self.shard_of(name.0[SHARD_BYTE]).1.write();
        let slot_no = tokens.position_named(name)?;
        self.free(&mut tokens, slot_no)
    }

    /// Puts all tokens out; gives the uses that nobody has written.
    pub(crate) fn clear(&self) -> Vec<Use> {
        let mut unwritten = Vec::new();
        for shard in &self.shards {
            let gone = std::mem::take(&mut *shard.write());
            unwritten.extend(shard.used().drain(..).filter_map(|slot_no| gone.get(slot_no)?.take_use()));
            self.entries.fetch_sub(gone.len(), Ordering::Relaxed);
        }
        unwritten
    }

    /// Notes a use at its place; answers whether the token is still there.
    pub(crate) fn note_use(&self, place: Place, token_id: Uuid, at: Timestamp) -> bool {
        let shard = &self.shards[usize::from(place.shard)];
        let tokens = shard.read();
        let Some(slot) = tokens.get(place.slot).filter(|slot| slot.holds(token_id)) else {
            return false;
        };
        if slot.note_use(at, !place.is_new) {
            shard.used().push(place.slot);
        }
        true
    }

    /// The uses that nobody has written yet; whoever takes them writes them.
    pub(crate) fn take_uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for shard in &self.shards {
            let slots = std::mem::take(&mut *shard.used());
            let tokens = shard.read();
            let taken = slots.iter().filter_map(|slot_no| tokens.get(*slot_no)?.take_use());
            uses.extend(taken);
        }
        uses
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// About how many bytes tokens and people take.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * TOKEN_BYTES + self.people_bytes.load(Ordering::Relaxed)
    }

    /// How many checks were answered from here, and how many tokens were put out for want of room.
    pub(crate) fn tally(&self) -> (u64, u64) {
        let hits = self.shards.iter().map(|shard| shard.hits.load(Ordering::Relaxed)).sum();
        (hits, self.evicted.load(Ordering::Relaxed))
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
    fn read(&self) -> RwLockReadGuard<'_, Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tokens> {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, Vec<u32>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
