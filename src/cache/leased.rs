//! The token cache behind a lease.

use uuid::Uuid;

use super::{
    entry::CachedToken,
    invalidation::{Change, Mark},
    lease::Lease,
    token_cache::{TokenCache, facts_of},
};
use crate::{domain::time::Timestamp, store::Found};
use tokenward_guard::token_format::TokenDigest;

/// The token cache of a node together with its lease. Returns cached tokens only while the lease is valid.
#[derive(Debug)]
pub(crate) struct LeasedCache {
    lease: Lease,
    /// `None` if the cache is disabled.
    cache: Option<TokenCache>,
}

impl LeasedCache {
    pub(crate) fn new(cache: Option<TokenCache>, lease: Lease) -> Self {
        Self { lease, cache }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.cache.is_some()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn cache(&self) -> Option<&TokenCache> {
        self.cache.as_ref()
    }

    /// Returns a cached token. Reads the lease before the cache: see [`Lease::is_live`].
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        let cache = self.cache.as_ref()?;
        if self.lease.is_live() { cache.find(digest) } else { None }
    }

    /// Removes every entry that a change concerns.
    pub(crate) fn invalidate(&self, change: Change) {
        if let Some(cache) = &self.cache {
            cache.forget(change);
        }
    }

    /// Returns the version to pass to [`LeasedCache::insert`]. Take it before the row is read.
    pub(crate) fn version(&self) -> Option<Mark> {
        self.cache.as_ref().map(TokenCache::mark)
    }

    /// Caches a row that was read after `version` was taken, unless an invalidation since then concerns it.
    pub(crate) fn insert(&self, version: Option<Mark>, digest: &TokenDigest, found: &Found) -> CachedToken {
        match (&self.cache, version) {
            (Some(cache), Some(version)) => cache.keep(version, digest, found),
            _ => facts_of(found),
        }
    }

    /// Records a use of a cached token. Returns `false` if the token is no longer cached.
    pub(crate) fn record_use(&self, token: &CachedToken, at: Timestamp) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.note_use(token, at))
    }

    /// Takes the uses that are not written to the database yet.
    pub(crate) fn take_uses(&self) -> Vec<(Uuid, Timestamp)> {
        self.cache.as_ref().map(TokenCache::take_uses).unwrap_or_default()
    }
}
