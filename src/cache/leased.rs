//! The token cache behind a lease.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    entry::CachedToken,
    invalidation::Version,
    lease::Lease,
    slot_ref::{LastUse, RecordedUse},
    token_cache::{TokenCache, uncached_token},
};
use crate::{
    domain::{invalidation::Invalidation, time::Timestamp},
    store::FoundToken,
};
use tokenward_guard::token_format::TokenDigest;

/// The token cache of a node together with its lease. Returns cached tokens only while the lease is
/// valid.
#[derive(Debug)]
pub(crate) struct LeasedCache {
    lease: Lease,
    /// `None` if the cache is disabled.
    cache: Option<TokenCache>,
    misses: AtomicU64,
}

impl LeasedCache {
    pub(crate) fn new(cache: Option<TokenCache>, lease: Lease) -> Self {
        Self { lease, cache, misses: AtomicU64::new(0) }
    }

    /// Returns `true` if tokens are cached at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.cache.is_some()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns the cache without regard to the lease; `None` if it is disabled.
    pub(crate) fn cache(&self) -> Option<&TokenCache> {
        self.cache.as_ref()
    }

    /// Returns a cached token. Reads the lease before the cache: see [`Lease::is_valid`].
    pub(crate) fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        let cache = self.cache.as_ref()?;
        if self.lease.is_valid() { cache.find(digest) } else { None }
    }

    /// Makes every entry stale that the invalidation affects.
    pub(crate) fn invalidate(&self, invalidation: Invalidation) {
        if let Some(cache) = &self.cache {
            cache.invalidate(invalidation);
        }
    }

    /// Returns the version to pass to [`LeasedCache::insert`]. Take it before the row is read.
    pub(crate) fn version(&self) -> Option<Version> {
        self.cache.as_ref().map(TokenCache::version)
    }

    /// Caches a row that was read after `version` was taken, unless an invalidation since then affects
    /// it. Returns the row's token.
    pub(crate) fn insert(&self, version: Option<Version>, digest: &TokenDigest, row: &FoundToken) -> CachedToken {
        match (&self.cache, version) {
            (Some(cache), Some(version)) => cache.insert(version, digest, row),
            _ => uncached_token(row),
        }
    }

    /// Counts a check that the cache could not answer.
    pub(crate) fn record_miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of misses.
    pub(crate) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Records a use of a cached token, if it is still cached.
    pub(crate) fn record_use(&self, token: &CachedToken, at: Timestamp) -> RecordedUse {
        self.cache.as_ref().map_or(RecordedUse::Uncached, |cache| cache.record_use(token, at))
    }

    /// Takes the unwritten uses. The caller writes them.
    pub(crate) fn take_unwritten_uses(&self) -> Vec<LastUse> {
        self.cache.as_ref().map(TokenCache::take_unwritten_uses).unwrap_or_default()
    }
}
