//! Reading what is not known, many checks at a time.
//!
//! Whatever misses wait while a read is under way are asked for by the next one, in one statement: no delay is added, and a
//! lone miss is asked for at once. A miss is never answered by a read that began before it did: that could have seen the token
//! before it was taken away. It waits for that read to end, and is then answered from cache, or asked for anew.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{entry::CachedToken, leased::LeasedCache};
use crate::store::{self, Store};
use tokenward_guard::token_format::TokenDigest;

/// The most tokens of one statement.
const MOST_AT_ONCE: usize = 256;
/// How long a read may take: a database that has fallen silent must not keep the readers for itself.
const LONGEST_READ: Duration = Duration::from_millis(1_500);
/// How long a check waits for its answer, the read before its own included. Whoever asked would rather hear that there is none.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What could not be found out. It is never "no such token".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

type Answer = Result<Option<CachedToken>, Unavailable>;

/// The misses of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BatchLoader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    cache: Arc<LeasedCache>,
    queue: Mutex<Queue>,
    statements: AtomicU64,
    tokens: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: HashMap<TokenDigest, Vec<oneshot::Sender<Answer>>>,
    /// What reads under way are asking for.
    asked: HashSet<TokenDigest>,
    readers: usize,
}

impl BatchLoader {
    pub(crate) fn new(store: Store, cache: Arc<LeasedCache>) -> Self {
        let (statements, tokens) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { store, cache, queue: Mutex::default(), statements, tokens }))
    }

    /// Reads the facts of a token; none where there is no such token.
    pub(crate) async fn read(&self, digest: &TokenDigest) -> Answer {
        let (sender, answer) = oneshot::channel();
        let begin = {
            let mut queue = self.0.queue();
            queue.waiting.entry(*digest).or_default().push(sender);
            let begin = queue.readers < self.0.store.readers();
            queue.readers += usize::from(begin);
            begin
        };
        if begin {
            tokio::spawn(Arc::clone(&self.0).read_on());
        }
        match tokio::time::timeout(LONGEST_WAIT, answer).await {
            Ok(Ok(answer)) => answer,
            _ => Err(Unavailable),
        }
    }

    /// How many statements were sent, and for how many tokens.
    pub(crate) fn tally(&self) -> (u64, u64) {
        (self.0.statements.load(Ordering::Relaxed), self.0.tokens.load(Ordering::Relaxed))
    }
}

impl Inner {
    /// Reads until nothing waits.
    async fn read_on(self: Arc<Self>) {
        let mut reader = Reader { of: &self, is_done: false };
        while let Some(mut batch) = reader.next_batch() {
            batch.answer_known(&self.cache);
            let digests: Vec<TokenDigest> = batch.waiting.keys().copied().collect();
            if !digests.is_empty() {
                self.ask(&mut batch, &digests).await;
            }
        }
    }

    async fn ask(&self, batch: &mut Batch<'_>, digests: &[TokenDigest]) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(digests.len() as u64, Ordering::Relaxed);
        let version = self.cache.version();
        let found = tokio::time::timeout(LONGEST_READ, self.store.find_by_digests(digests)).await;
        let found = match found.unwrap_or_else(|_| Err(store::Error::timed_out())) {
            Ok(found) => found,
            Err(error) => {
                let tokens = digests.len();
                tracing::warn!(tokens, error = ?anyhow::Error::from(error), "tokens could not be checked");
                return;
            }
        };
        for (digest, found) in found {
            let facts = self.cache.insert(version, &digest, &found);
            batch.answer(&digest, &Ok(Some(facts)));
        }
        for digest in digests {
            batch.answer(digest, &Ok(None));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader at work; however it ends, another may begin.
struct Reader<'a> {
    of: &'a Inner,
    is_done: bool,
}

impl<'a> Reader<'a> {
    /// What waits and is not being asked for. Where there is nothing the reader is done, and says so before anybody else can
    /// come to wait for it.
    fn next_batch(&mut self) -> Option<Batch<'a>> {
        let mut queue = self.of.queue();
        let Queue { waiting, asked, readers } = &mut *queue;
        if waiting.len() > MOST_AT_ONCE {
            // Some may have waited too long, and must not pile up while the store is away.
            waiting.retain(|_, senders| senders.iter().any(|sender| !sender.is_closed()));
        }
        let next: Vec<_> =
            waiting.keys().filter(|digest| !asked.contains(*digest)).take(MOST_AT_ONCE).copied().collect();
        if next.is_empty() {
            *readers -= 1;
            self.is_done = true;
            return None;
        }
        let waiting = next.iter().filter_map(|digest| waiting.remove_entry(digest)).collect();
        asked.extend(next.iter().copied());
        Some(Batch { of: self.of, digests: next, waiting })
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.of.queue().readers -= 1;
        }
    }
}

/// What one statement asks for. Whoever has no answer when it is dropped is told that there is none.
struct Batch<'a> {
    of: &'a Inner,
    digests: Vec<TokenDigest>,
    waiting: HashMap<TokenDigest, Vec<oneshot::Sender<Answer>>>,
}

impl Batch<'_> {
    /// Answers those that became known while they waited.
    fn answer_known(&mut self, cache: &LeasedCache) {
        for digest in self.digests.clone() {
            if let Some(facts) = cache.find(&digest) {
                self.answer(&digest, &Ok(Some(facts)));
            }
        }
    }

    fn answer(&mut self, digest: &TokenDigest, answer: &Answer) {
        for waiting in self.waiting.remove(digest).into_iter().flatten() {
            // Whoever asked may have gone away.
            waiting.send(answer.clone()).ok();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut queue = self.of.queue();
        for digest in &self.digests {
            queue.asked.remove(digest);
        }
    }
}
