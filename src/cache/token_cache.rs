//! The token cache: cached tokens, and how an invalidation makes them stale.
//!
//! A hit takes only the lock of its shard. Insertions and invalidations take one common lock, so
//! that they happen in one order. A read that overlaps with an invalidation is not cached.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

use super::{
    entry::{ByteAccount, CachedLimits, CachedPerson, CachedToken, CachedWorkspace},
    invalidation::{InvalidationLog, Version},
    sharded::ShardedTable,
    slot_ref::{LastUse, RecordedUse},
};
use crate::{
    domain::{
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        time::Timestamp,
        token_limits::TokenLimits,
    },
    last_used::LastUsedBuffer,
    store::FoundToken,
};
use tokenward_guard::{Identity, token_format::TokenDigest};

/// The size of an owner without its texts, including the overhead of the allocator.
const PERSON_BYTES: usize = size_of::<CachedPerson>() + size_of::<Identity>() + 96;
/// The size of limits without their texts, including the map entry and the overhead of the allocator.
const LIMITS_BYTES: usize = 2 * size_of::<CachedLimits>() + 128;
/// The smallest number of owners and workspaces at which unused ones are swept.
const MIN_SWEEP_SIZE: usize = 1_024;

/// A bounded cache of tokens.
#[derive(Debug)]
pub(crate) struct TokenCache {
    table: ShardedTable,
    state: Mutex<InvalidationState>,
    last_used: LastUsedBuffer,
}

/// The state that insertions and invalidations share.
#[derive(Debug, Default)]
struct InvalidationState {
    log: InvalidationLog,
    people: HashMap<PersonId, Weak<CachedPerson>>,
    workspaces: HashMap<WorkspaceId, Weak<CachedWorkspace>>,
    /// The limits of cached tokens, each once.
    limits: HashMap<TokenLimits, Weak<CachedLimits>>,
    /// The number of people, workspaces and limits at which the maps are swept next.
    sweep_at: usize,
}

impl TokenCache {
    /// Creates a cache. `last_used` receives the unwritten uses of tokens that leave the cache.
    pub(crate) fn new(max_tokens: usize, max_bytes: usize, last_used: LastUsedBuffer) -> Self {
        Self { table: ShardedTable::new(max_tokens, max_bytes), state: Mutex::default(), last_used }
    }

    /// Returns a cached token.
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        self.table.find(digest)
    }

    /// Returns the version to pass to [`TokenCache::insert`]. Take it before the row is read.
    pub(crate) fn version(&self) -> Version {
        self.state().log.version()
    }

    /// Caches a row that was read after `version` was taken, unless an invalidation since then affects
    /// it. Returns the row's token either way: the checks that wait for it started before the read.
    pub(crate) fn insert(&self, version: Version, digest: &TokenDigest, row: &FoundToken) -> CachedToken {
        let mut state = self.state();
        if state.log.affects(version, digest, row.person_id, row.workspace_id) {
            return uncached_token(row);
        }
        let person = state.share_person(row, &self.table.shared_bytes);
        let limits = state.share_limits(&row.limits, &self.table.shared_bytes);
        let mut token = new_token(row, person, limits);
        let unwritten = self.table.insert(digest, &mut token);
        state.sweep();
        drop(state);
        self.last_used.extend(unwritten);
        token
    }

    /// Makes every entry stale that the invalidation affects. No later [`TokenCache::find`] returns one.
    pub(crate) fn invalidate(&self, invalidation: Invalidation) {
        let mut state = self.state();
        state.log.push(invalidation);
        let unwritten = match invalidation {
            Invalidation::Token(digest) => self.table.remove(&digest).into_iter().collect(),
            Invalidation::TokenPrefix(prefix) => self.table.remove_by_prefix(prefix).into_iter().collect(),
            Invalidation::Person(id) => {
                state.invalidate_person(id);
                Vec::new()
            }
            Invalidation::Workspace(id) => {
                state.invalidate_workspace(id);
                Vec::new()
            }
            Invalidation::Everything => {
                state.people.clear();
                state.workspaces.clear();
                state.limits.clear();
                self.table.clear()
            }
        };
        drop(state);
        self.last_used.extend(unwritten);
    }

    /// Records a use, if the token is still cached.
    pub(crate) fn record_use(&self, token: &CachedToken, at: Timestamp) -> RecordedUse {
        token.slot.map_or(RecordedUse::Uncached, |slot| self.table.record_use(slot, token.token_id, at))
    }

    /// Takes the unwritten uses. The caller writes them.
    pub(crate) fn take_unwritten_uses(&self) -> Vec<LastUse> {
        self.table.take_unwritten_uses()
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns the approximate size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Returns the number of hits.
    pub(crate) fn hits(&self) -> u64 {
        self.table.hits()
    }

    /// Returns the number of evictions.
    pub(crate) fn evictions(&self) -> u64 {
        self.table.evictions()
    }

    /// Returns the number of people, workspaces and limits in the maps, unused ones included.
    #[cfg(test)]
    pub(super) fn tracked_owners(&self) -> usize {
        self.state().tracked()
    }

    fn state(&self) -> MutexGuard<'_, InvalidationState> {
        self.state.lock()
    }
}

impl InvalidationState {
    /// Returns the cached owner if it equals the row. Otherwise invalidates the cached owner and
    /// creates a new one: a check decides by the row that it has just read.
    fn share_person(&mut self, row: &FoundToken, bytes: &Arc<AtomicUsize>) -> Arc<CachedPerson> {
        let id = row.person_id;
        let cached = self.people.get(&id).and_then(Weak::upgrade);
        if let Some(person) = cached.filter(|person| person.is_current() && person.matches_row(row)) {
            return person;
        }
        self.invalidate_person(id);
        let workspace = self.share_workspace(row);
        let provider = row.provider_sign_in.as_ref().map_or(0, |sign_in| sign_in.provider.len());
        let size = PERSON_BYTES + row.email.len() + row.name.len() + provider;
        let person = Arc::new(CachedPerson::new(row, workspace, ByteAccount::new(size, bytes)));
        self.people.insert(id, Arc::downgrade(&person));
        person
    }

    fn share_workspace(&mut self, row: &FoundToken) -> Arc<CachedWorkspace> {
        let id = row.workspace_id;
        let cached = self.workspaces.get(&id).and_then(Weak::upgrade);
        if let Some(workspace) = cached.filter(|workspace| workspace.enabled == row.enabled) {
            return workspace;
        }
        self.invalidate_workspace(id);
        let workspace = Arc::new(CachedWorkspace::new(row));
        self.workspaces.insert(id, Arc::downgrade(&workspace));
        workspace
    }

    /// Returns the cached limits that equal these. They are immutable facts of a token, so nothing
    /// invalidates them.
    fn share_limits(&mut self, limits: &TokenLimits, bytes: &Arc<AtomicUsize>) -> Option<Arc<CachedLimits>> {
        if limits.is_none() {
            return None;
        }
        if let Some(shared) = self.limits.get(limits).and_then(Weak::upgrade) {
            return Some(shared);
        }
        let size = LIMITS_BYTES + limits.scopes.as_str().map_or(0, str::len) + limits.networks.memory_size();
        let shared = Arc::new(CachedLimits::new(limits.clone(), ByteAccount::new(size, bytes)));
        self.limits.insert(limits.clone(), Arc::downgrade(&shared));
        Some(shared)
    }

    fn invalidate_person(&mut self, id: PersonId) {
        if let Some(person) = self.people.remove(&id).and_then(|person| person.upgrade()) {
            person.invalidated.store(true, Ordering::Release);
        }
    }

    fn invalidate_workspace(&mut self, id: WorkspaceId) {
        if let Some(workspace) = self.workspaces.remove(&id).and_then(|workspace| workspace.upgrade()) {
            workspace.invalidated.store(true, Ordering::Release);
        }
    }

    /// Removes people, workspaces and limits without cached tokens from the maps. Runs only when the maps
    /// have doubled in size since the last time.
    fn sweep(&mut self) {
        if self.tracked() < self.sweep_at.max(MIN_SWEEP_SIZE) {
            return;
        }
        self.people.retain(|_, person| person.strong_count() > 0);
        self.workspaces.retain(|_, workspace| workspace.strong_count() > 0);
        self.limits.retain(|_, limits| limits.strong_count() > 0);
        self.sweep_at = 2 * self.tracked();
    }

    /// Returns the number of entries in the maps, unused ones included.
    fn tracked(&self) -> usize {
        self.people.len() + self.workspaces.len() + self.limits.len()
    }
}

/// Creates a token that is not in the cache, for a single check.
pub(super) fn uncached_token(row: &FoundToken) -> CachedToken {
    let uncounted = || ByteAccount::new(0, &Arc::default());
    let workspace = Arc::new(CachedWorkspace::new(row));
    let limits = (!row.limits.is_none()).then(|| Arc::new(CachedLimits::new(row.limits.clone(), uncounted())));
    new_token(row, Arc::new(CachedPerson::new(row, workspace, uncounted())), limits)
}

fn new_token(row: &FoundToken, person: Arc<CachedPerson>, limits: Option<Arc<CachedLimits>>) -> CachedToken {
    let FoundToken { token_id, created_at, ends_at, is_replaced, .. } = *row;
    CachedToken { token_id, created_at, ends_at, is_replaced, limits, person, slot: None }
}
