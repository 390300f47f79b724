//! The batch loader: reads tokens that are not cached, many per query.
//!
//! Misses that arrive during a query are read by the next query, in one statement. No delay is added,
//! and a single miss is read at once. A miss is never answered by a query that started before it,
//! because that query may have seen the token before its deletion. It waits for that query to end, and
//! is then answered from the cache or by the next query.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::{entry::CachedToken, leased::LeasedCache};
use crate::{
    domain::causes::Causes,
    store::{self, Store},
};
use tokenward_guard::token_format::TokenDigest;

/// The maximum number of tokens per query.
const MAX_BATCH: usize = 256;
/// The time limit of a query, so that an unresponsive database does not occupy the loader's tasks.
const READ_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The time for which a check waits for its token, a query before its own included.
const WAIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The token could not be read. This does not mean that there is no such token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

type Lookup = Result<Option<CachedToken>, Unavailable>;

/// Loads tokens from the database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BatchLoader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    cache: Arc<LeasedCache>,
    queue: Mutex<Queue>,
    queries: AtomicU64,
    tokens: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: HashMap<TokenDigest, Vec<oneshot::Sender<Lookup>>>,
    /// The digests that running queries read.
    in_flight: HashSet<TokenDigest>,
    tasks: usize,
}

impl BatchLoader {
    pub(crate) fn new(store: Store, cache: Arc<LeasedCache>) -> Self {
        Self(Arc::new(Inner {
            store,
            cache,
            queue: Mutex::default(),
            queries: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
        }))
    }

    /// Loads a token; `None` if there is no such token.
    ///
    /// # Errors
    /// [`Unavailable`] if the database does not respond in time.
    pub(crate) async fn load(&self, digest: &TokenDigest) -> Lookup {
        self.0.cache.record_miss();
        let (sender, receiver) = oneshot::channel();
        if self.0.enqueue(digest, sender) {
            tokio::spawn(Arc::clone(&self.0).run());
        }
        match tokio::time::timeout(WAIT_TIMEOUT, receiver).await {
            Ok(Ok(lookup)) => lookup,
            _ => Err(Unavailable),
        }
    }

    /// Returns the number of queries.
    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(Ordering::Relaxed)
    }

    /// Returns the number of tokens that the queries asked for.
    pub(crate) fn tokens(&self) -> u64 {
        self.0.tokens.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Queues a miss. Returns `true` if the caller must start another task.
    fn enqueue(&self, digest: &TokenDigest, sender: oneshot::Sender<Lookup>) -> bool {
        let mut queue = self.queue();
        queue.waiting.entry(*digest).or_default().push(sender);
        let starts_task = queue.tasks < self.store.max_concurrent_lookups();
        queue.tasks += usize::from(starts_task);
        starts_task
    }

    /// Loads batches until the queue is empty.
    async fn run(self: Arc<Self>) {
        let mut task = LoaderTask { loader: &self, is_done: false };
        while let Some(mut batch) = task.next_batch() {
            batch.resolve_cached(&self.cache);
            let digests: Vec<TokenDigest> = batch.waiting.keys().copied().collect();
            if !digests.is_empty() {
                self.load_batch(&mut batch, &digests).await;
            }
        }
    }

    async fn load_batch(&self, batch: &mut Batch<'_>, digests: &[TokenDigest]) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(digests.len() as u64, Ordering::Relaxed);
        let version = self.cache.version();
        let rows = tokio::time::timeout(READ_TIMEOUT, self.store.find_by_digests(digests)).await;
        let rows = match rows.unwrap_or_else(|_| Err(store::Error::timed_out())) {
            Ok(rows) => rows,
            Err(error) => {
                let tokens = digests.len();
                tracing::warn!(tokens, error = %Causes(&error), "failed to look up tokens");
                return;
            }
        };
        for (digest, row) in rows {
            let token = self.cache.insert(version, &digest, &row);
            batch.resolve(&digest, &Ok(Some(token)));
        }
        for digest in digests {
            batch.resolve(digest, &Ok(None));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}

/// A running task. Dropping it, in any way, allows another task to start.
struct LoaderTask<'a> {
    loader: &'a Inner,
    is_done: bool,
}

impl<'a> LoaderTask<'a> {
    /// Takes waiting misses that no running query reads. Returns `None` if there are none. The task is
    /// then unregistered before another miss can be queued.
    fn next_batch(&mut self) -> Option<Batch<'a>> {
        let mut queue = self.loader.queue();
        let Queue { waiting, in_flight, tasks } = &mut *queue;
        if waiting.len() > MAX_BATCH {
            // Checks that timed out must not accumulate while the database is unavailable.
            waiting.retain(|_, senders| senders.iter().any(|sender| !sender.is_closed()));
        }
        let digests: Vec<_> =
            waiting.keys().filter(|digest| !in_flight.contains(*digest)).take(MAX_BATCH).copied().collect();
        if digests.is_empty() {
            *tasks -= 1;
            self.is_done = true;
            return None;
        }
        let waiting = digests.iter().filter_map(|digest| waiting.remove_entry(digest)).collect();
        in_flight.extend(digests.iter().copied());
        Some(Batch { loader: self.loader, digests, waiting })
    }
}

impl Drop for LoaderTask<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.loader.queue().tasks -= 1;
        }
    }
}

/// The misses of one query. Misses that are unresolved when the batch is dropped fail.
struct Batch<'a> {
    loader: &'a Inner,
    digests: Vec<TokenDigest>,
    waiting: HashMap<TokenDigest, Vec<oneshot::Sender<Lookup>>>,
}

impl Batch<'_> {
    /// Resolves misses that were cached while they waited.
    fn resolve_cached(&mut self, cache: &LeasedCache) {
        for digest in self.digests.clone() {
            if let Some(token) = cache.find(&digest) {
                self.resolve(&digest, &Ok(Some(token)));
            }
        }
    }

    fn resolve(&mut self, digest: &TokenDigest, lookup: &Lookup) {
        for sender in self.waiting.remove(digest).into_iter().flatten() {
            // A check that timed out has dropped its receiver.
            sender.send(lookup.clone()).ok();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut queue = self.loader.queue();
        for digest in &self.digests {
            queue.in_flight.remove(digest);
        }
    }
}
