//! This node: its token cache, its lease, and the protocol that keeps both consistent.

use std::{net::IpAddr, sync::Arc, time::Duration};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::watch;

use super::{LocalState, barrier::RevocationBarrier, subscriber::Subscriber};
use crate::{
    cache::{BatchLoader, Lease, LeasedCache, RecordedUse, TokenCache, Unavailable, entry::CachedToken},
    domain::{
        event::RequestContext,
        id::PersonId,
        invalidation::Invalidation,
        random::Random,
        time::{Clock, Timestamp},
        token_use::TokenUse,
    },
    last_used::LastUsedBuffer,
    store::{self, Barrier, Committed, Store},
};
use tokenward_guard::token_format::TokenDigest;

/// The limits of the token cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// The maximum number of tokens; 0 disables the cache.
    pub max_tokens: usize,
    /// The approximate maximum size of tokens and their owners, in bytes.
    pub max_bytes: usize,
    /// The duration of a lease.
    pub lease_duration: Duration,
}

/// Measurements of the token cache since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheStats {
    pub tokens: usize,
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
    /// Queries that read tokens from the database.
    pub lookup_queries: u64,
    /// Tokens that those queries asked for.
    pub lookup_tokens: u64,
    pub holds_lease: bool,
    /// Cluster messages that were forged or replayed.
    pub dropped_messages: u64,
}

/// This node of the cluster. Cheap to clone; clones share their state.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    local: Arc<LocalState>,
    loader: BatchLoader,
    last_used: LastUsedBuffer,
    /// `None` on SQLite, which has a single node.
    barrier: Option<RevocationBarrier>,
    clock: Clock,
    random: Random,
    lease_duration: Duration,
}

impl Node {
    /// Creates a node with an empty cache. On PostgreSQL it reads the database for every check until
    /// [`Node::run`] has connected.
    #[must_use]
    pub fn new(store: Store, clock: Clock, random: Random, limits: CacheLimits) -> Self {
        let CacheLimits { max_tokens, max_bytes, lease_duration } = limits;
        let last_used = LastUsedBuffer::default();
        let token_cache = (max_tokens > 0).then(|| TokenCache::new(max_tokens, max_bytes, last_used.clone()));
        let cluster = store.cluster();
        let lease = if cluster.is_some() { Lease::none(clock.clone()) } else { Lease::unlimited(clock.clone()) };
        let cache = Arc::new(LeasedCache::new(token_cache, lease));
        let local = Arc::new(LocalState::new(Arc::clone(&cache)));
        let process_id = uuid::Builder::from_random_bytes(random.bytes()).into_uuid();
        let barrier =
            cluster.map(|cluster| RevocationBarrier::new(cluster, Arc::clone(&local), process_id, lease_duration));
        let loader = BatchLoader::new(store.clone(), cache);
        Self(Arc::new(Inner { store, local, loader, last_used, barrier, clock, random, lease_duration }))
    }

    /// Returns a token from the cache, if this node holds a lease.
    #[must_use]
    pub fn find_cached(&self, digest: &TokenDigest) -> Option<CachedToken> {
        self.0.local.cache.find(digest)
    }

    /// Reads a token from the database, and caches it; `None` if there is no such token.
    ///
    /// # Errors
    /// [`Unavailable`] if the database does not respond in time. Fails at once while the subscriber
    /// cannot connect to the database.
    pub async fn load(&self, digest: &TokenDigest) -> Result<Option<CachedToken>, Unavailable> {
        if self.0.local.is_database_unreachable() {
            return Err(Unavailable);
        }
        self.0.loader.load(digest).await
    }

    /// Reads a token from the database although it may be cached: its owner may have signed in since.
    ///
    /// # Errors
    /// The same as [`Node::load`].
    pub async fn reload(&self, digest: &TokenDigest, owner: PersonId) -> Result<Option<CachedToken>, Unavailable> {
        self.0.local.cache.invalidate(Invalidation::Person(owner));
        self.load(digest).await
    }

    /// Returns the value of a committed revocation once it is effective on every node. `request` may
    /// then take longer than other requests, see
    /// [`RequestContext::barrier_wait`].
    ///
    /// # Errors
    /// Passes on the error of the transaction. It may have been committed all the same, unless the
    /// error is [`store::Error::AuthorizationLost`].
    pub async fn revoke_and_wait<T>(
        &self,
        request: &RequestContext,
        result: store::Result<Committed<T>>,
    ) -> store::Result<T> {
        match result {
            Ok(committed) => {
                request.barrier_wait.begin();
                Ok(committed.wait_for(self).await)
            }
            Err(error) => {
                let may_be_committed = !matches!(error, store::Error::AuthorizationLost(_));
                // PostgreSQL notifies this node of a committed change. SQLite has no notifications.
                if may_be_committed && self.0.barrier.is_none() {
                    self.0.local.cache.invalidate(Invalidation::Everything);
                }
                Err(error)
            }
        }
    }

    /// Records a use of a token. It is written to the database by [`Node::flush_last_used`]. `address`
    /// returns the client address. It is called for uncached tokens, and for the first use of a cached
    /// token after each flush: further uses neither take a lock for it nor allocate.
    pub fn record_use(&self, token: &CachedToken, at: Timestamp, address: &dyn Fn() -> Option<IpAddr>) {
        let Inner { local, last_used, .. } = &*self.0;
        match local.cache.record_use(token, at) {
            RecordedUse::Repeated => {}
            RecordedUse::First => {
                if let Some(address) = address() {
                    last_used.note_address(token.token_id, at, address);
                }
            }
            RecordedUse::Uncached => {
                last_used.record(TokenUse { token_id: token.token_id, at, address: address() });
            }
        }
    }

    /// Writes the recorded uses to the database. Uses that could not be written stay buffered.
    ///
    /// # Errors
    /// Returns the error of the first write that failed.
    pub async fn flush_last_used(&self) -> store::Result<()> {
        let Inner { store, local, last_used, .. } = &*self.0;
        last_used.flush(store, || local.cache.take_unwritten_uses()).await
    }

    /// Completes when so many uses are buffered that they should be written ahead of schedule.
    pub async fn wait_for_flush_threshold(&self) {
        self.0.last_used.wait_until_full().await;
    }

    /// Takes part in the cluster until `stopped` changes. Returns at once on SQLite.
    pub async fn run(self, stopped: watch::Receiver<()>) {
        let Inner { store, local, barrier, clock, random, lease_duration, .. } = &*self.0;
        let (Some(cluster), Some(barrier)) = (store.cluster(), barrier) else { return };
        let subscriber = Subscriber {
            cluster,
            local: Arc::clone(local),
            barrier: barrier.clone(),
            clock: clock.clone(),
            random: random.clone(),
            lease_duration: *lease_duration,
        };
        subscriber.run(stopped).await;
    }

    /// Returns whether this node answers from its cache although it cannot reach the database.
    #[must_use]
    pub fn outlasts_database(&self) -> bool {
        let local = &self.0.local;
        local.is_database_unreachable() && local.cache.is_enabled() && local.cache.lease().is_valid()
    }

    /// Completes when this node receives the messages of the cluster. Completes at once on SQLite.
    pub async fn wait_until_connected(&self) {
        if self.0.barrier.is_some() {
            self.0.local.connected.subscribe().wait_for(|is_connected| *is_connected).await.ok();
        }
    }

    /// Returns the measurements of the token cache.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let Inner { local, loader, .. } = &*self.0;
        let stats = CacheStats {
            misses: local.cache.misses(),
            lookup_queries: loader.queries(),
            lookup_tokens: loader.tokens(),
            dropped_messages: local.dropped.count(),
            ..CacheStats::default()
        };
        let Some(cache) = local.cache.cache() else { return stats };
        CacheStats {
            tokens: cache.len(),
            bytes: cache.bytes(),
            hits: cache.hits(),
            evictions: cache.evictions(),
            holds_lease: local.cache.lease().is_valid(),
            ..stats
        }
    }

    /// Returns the durations of revocation barriers in seconds; `None` on SQLite.
    #[must_use]
    pub fn propagation_durations(&self) -> Option<&Histogram> {
        self.0.barrier.as_ref().map(RevocationBarrier::durations)
    }
}

impl Barrier for Node {
    async fn wait(&self, invalidations: &[Invalidation]) {
        for invalidation in invalidations {
            self.0.local.cache.invalidate(*invalidation);
        }
        if let Some(barrier) = &self.0.barrier {
            barrier.wait().await;
        }
    }
}
