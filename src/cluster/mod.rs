//! What this process knows right now: tokens it has looked up, and uses that are not written yet.
//!
//! # Why nobody gets in by what was taken away
//!
//! The promise: when an act that takes a right away has answered, no check that *begins* later, on whatever node, accepts.
//!
//! **One process.** The act's change is committed, then [forgotten](Live::take_away) here, and only then answered. A later check
//! does not find the old facts, and reads the new. A read that was under way meanwhile may have seen the old ones; it is not
//! kept, because the changes since it began are remembered (`change`).
//!
//! **Many nodes, over PostgreSQL.** Triggers announce every change as it is committed. PostgreSQL puts the notifications of all
//! transactions into one queue, in the order of their commits, and gives them to every listener in that order.
//!
//! 1. A node answers from memory only while it holds a lease (`lease`), counted on its own stopwatch from *before* it
//!    asked.
//! 2. It asks through the queue: the lease begins when the node hears its own request come back (`hearing`). By then it has heard, and
//!    forgotten, everything that was committed before the request. So a lease that was asked for after a change never covers
//!    facts from before it.
//! 3. After its commit the act calls all nodes (`agreement`), and waits until each has answered (it has heard the change) or a whole
//!    lease has passed on the act's own stopwatch (what the node held was asked for before the change, and is over).
//! 4. A check looks at the lease first and at memory second.
//!
//! Any role of the server may send notifications, so each carries a code under a secret that only the owner of the schema can read
//! (`keys`). What is not authentic is passed over, and what is repeated does nothing.
//!
//! Let a check begin after the act has answered, on a node that answered the call: it has forgotten. On one that did not: the
//! lease it held when the act was committed is over; if it holds another, that one was asked for after the change, and it has
//! forgotten before it got it. In neither case are the old facts there to be found.
//!
//! A node that was paused, cut off or killed finds its lease over before it looks at memory, and reads the database; where it
//! cannot, the answer is 503. When the connection over which it listens was lost it forgets everything, after it listens again.
//!
//! What is assumed: stopwatches run alike within 2 %, and go on while a machine sleeps. No clock is compared with another.
//! `docs/decisions/0001-leases.md` says more, and `tests/it/nodes` tries to break it.

mod barrier;
mod dropped_messages;
mod message;
mod message_keys;
#[cfg(test)]
mod model;
mod node_state;
mod replay_filter;
mod subscriber;
mod waits;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    cache::{BatchLoader, Lease, LeasedCache, TokenCache, Unavailable, entry::CachedToken, invalidation::Change},
    last_used::LastUse,
};
use crate::{
    domain::{
        random::Random,
        time::{Clock, Timestamp},
    },
    store::{self, ClusterSecret, Store},
};
use barrier::Agreement;
use dropped_messages::Dropped;
use message_keys::Keys;
use subscriber::Ear;
use tokenward_guard::token_format::TokenDigest;
pub use waits::{BOUNDS, Waits};

/// How much may be known, and for how long without hearing from the others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most tokens in memory; 0: nothing is kept, every check reads.
    pub tokens: usize,
    /// About how many bytes they may take, with the people who hold them.
    pub bytes: usize,
    /// How long a lease lasts.
    pub lease: Duration,
}

/// What this process knows. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Live(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    memory: Arc<Memory>,
    misses: BatchLoader,
    last_use: LastUse,
    /// None on SQLite, which one process has to itself.
    agreement: Option<Agreement>,
    clock: Clock,
    random: Random,
    lease: Duration,
}

/// The state of this node that its connection, its barriers and its checks share.
#[derive(Debug)]
struct Memory {
    cache: Arc<LeasedCache>,
    /// The ID under which the other nodes know this one; `None` while it is not a member of the cluster.
    node: Mutex<Option<Uuid>>,
    /// The keys that authenticate messages; `None` before the first connection.
    keys: Mutex<Option<Arc<Keys>>>,
    dropped: Dropped,
    hearing: watch::Sender<bool>,
}

/// What memory did until now, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub tokens: usize,
    pub bytes: usize,
    pub hits: u64,
    pub evicted: u64,
    /// Statements that read tokens, and the tokens they asked for.
    pub statements: u64,
    pub asked: u64,
    pub has_lease: bool,
    /// Messages that were not authentic, or repeated.
    pub dropped: u64,
}

impl Live {
    /// Knows nothing yet. On PostgreSQL it does not answer from memory until [`Live::run`] hears the other nodes.
    #[must_use]
    pub fn new(store: Store, clock: Clock, random: Random, limits: Limits) -> Self {
        let last_use = LastUse::default();
        let known = (limits.tokens > 0).then(|| TokenCache::new(limits.tokens, limits.bytes, last_use.clone()));
        let nodes = store.nodes();
        let lease = if nodes.is_some() { Lease::none(clock.clone()) } else { Lease::for_ever(clock.clone()) };
        let cache = Arc::new(LeasedCache::new(known, lease));
        let memory = Arc::new(Memory::new(Arc::clone(&cache)));
        let caller = uuid::Builder::from_random_bytes(random.bytes()).into_uuid();
        let agreement = nodes.map(|nodes| Agreement::new(nodes, Arc::clone(&memory), caller, limits.lease));
        let misses = BatchLoader::new(store.clone(), cache);
        Self(Arc::new(Inner { store, memory, misses, last_use, agreement, clock, random, lease: limits.lease }))
    }

    /// The facts of a token, from memory where it may be asked.
    #[must_use]
    pub fn find(&self, digest: &TokenDigest) -> Option<CachedToken> {
        self.0.memory.cache.find(digest)
    }

    /// The facts of a token, from the store; none where there is no such token.
    ///
    /// # Errors
    /// [`Unavailable`], which is not "no such token".
    pub async fn read(&self, digest: &TokenDigest) -> Result<Option<CachedToken>, Unavailable> {
        self.0.misses.read(digest).await
    }

    /// Does what takes something away, or changes it, and returns when no node lets in by what was before. `what` names the
    /// changes that came of it. Also where there are none it waits: an act that is sent again, because its answer was lost, may
    /// find nothing left to do before the other nodes have heard of it.
    ///
    /// # Errors
    /// The act's own. Whether it was done is unknown then, and nothing is promised.
    pub async fn take_away<T>(
        &self,
        act: impl Future<Output = store::Result<T>>,
        what: impl FnOnce(&T) -> Vec<Change>,
    ) -> store::Result<T> {
        let done = act.await;
        match (&done, &self.0.agreement) {
            (Ok(done), agreement) => {
                what(done).iter().for_each(|change| self.0.memory.cache.invalidate(*change));
                if let Some(agreement) = agreement {
                    agreement.reached().await;
                }
            }
            // Nothing was written.
            (Err(store::Error::AuthorityLost(_)), _) => {}
            // Nobody will announce it, and it may have been done.
            (Err(_), None) => self.0.memory.cache.invalidate(Change::Everything),
            (Err(_), Some(_)) => {}
        }
        done
    }

    /// Notes that a token was used.
    pub fn note_use(&self, facts: &CachedToken, at: Timestamp) {
        let noted = self.0.memory.cache.record_use(facts, at);
        if !noted {
            self.0.last_use.note(facts.token_id, at);
        }
    }

    /// Writes the uses noted until now. What could not be written waits on.
    ///
    /// # Errors
    /// Whatever kept the store from writing.
    pub async fn flush_uses(&self) -> store::Result<()> {
        let Inner { store, memory, last_use, .. } = &*self.0;
        last_use.flush(store, || memory.cache.take_uses()).await
    }

    /// Completes when so many uses wait that they should be written before their time.
    pub async fn uses_are_many(&self) {
        self.0.last_use.is_full().await;
    }

    /// Hears the other nodes until `stopped` changes; at once where there are none to hear.
    pub async fn run(self, stopped: watch::Receiver<()>) {
        let Inner { store, memory, agreement, clock, random, lease, .. } = &*self.0;
        let (Some(nodes), Some(agreement)) = (store.nodes(), agreement) else { return };
        let ear = Ear {
            nodes,
            memory: Arc::clone(memory),
            agreement: agreement.clone(),
            clock: clock.clone(),
            random: random.clone(),
            lease: *lease,
        };
        ear.run(stopped).await;
    }

    /// Completes when the other nodes are heard; at once where there are none to hear.
    pub async fn is_hearing(&self) {
        if self.0.agreement.is_some() {
            self.0.memory.hearing.subscribe().wait_for(|hearing| *hearing).await.ok();
        }
    }

    /// What memory did until now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let memory = &self.0.memory;
        let (statements, asked) = self.0.misses.tally();
        let has_lease = memory.cache.is_enabled() && memory.cache.lease().is_live();
        let dropped = memory.dropped.count();
        let Some(known) = memory.cache.cache() else { return Tally { statements, asked, dropped, ..Tally::default() } };
        let (hits, evicted) = known.table().tally();
        let (tokens, bytes) = (known.table().len(), known.table().bytes());
        Tally { tokens, bytes, hits, evicted, statements, asked, has_lease, dropped }
    }

    /// How long acts waited for the other nodes; none where there are none.
    #[must_use]
    pub fn waits(&self) -> Option<&Waits> {
        self.0.agreement.as_ref().map(Agreement::waits)
    }
}

impl Memory {
    fn new(cache: Arc<LeasedCache>) -> Self {
        let hearing = watch::Sender::new(false);
        Self { cache, node: Mutex::default(), keys: Mutex::default(), dropped: Dropped::default(), hearing }
    }

    fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the keys of a secret; gives them.
    fn learn(&self, secret: &ClusterSecret) -> Arc<Keys> {
        let keys = Keys::of(secret);
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(known) if **known == keys => Arc::clone(known),
            _ => Arc::clone(known.insert(Arc::new(keys))),
        }
    }

    fn node(&self) -> Option<Uuid> {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_node(&self, id: Uuid) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    fn take_node(&self) -> Option<Uuid> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_hearing(&self, hearing: bool) {
        self.hearing.send_replace(hearing);
    }
}
