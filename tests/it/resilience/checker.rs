//! Whoever asks, all the time, about tokens that are good, deleted or made up.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokenward::domain::random::Random;
use tokenward_guard::token_format::TokenFormat;
use tokio::task::JoinHandle;

use super::{Token, check, client};

const KINDS: [Kind; 3] = [Kind::Good, Kind::Deleted, Kind::MadeUp];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Good,
    Deleted,
    /// Of the right form, but nobody was given it.
    MadeUp,
}

/// What was answered, and how late. A check without an answer has status 0.
#[derive(Debug, Default)]
pub struct Seen {
    pub counts: BTreeMap<(Kind, u16), usize>,
    /// The slowest "not now".
    pub slowest_503: Duration,
}

/// Clients that check until they are stopped.
pub struct Checkers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Seen>>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    tokens: Mutex<BTreeMap<Kind, Vec<Token>>>,
    is_over: AtomicBool,
    unavailable: AtomicUsize,
}

impl Checkers {
    pub fn start(url: &str, good: &[Token], deleted: &[Token], count: usize) -> Self {
        let (format, random) = (TokenFormat::default(), Random::system());
        let made_up = (0..50).map(|_| Token {
            id: String::new(),
            value: format.generate(|bytes| random.fill(bytes)).expose().to_owned(),
        });
        let tokens = BTreeMap::from([
            (Kind::Good, good.to_vec()),
            (Kind::Deleted, deleted.to_vec()),
            (Kind::MadeUp, made_up.collect()),
        ]);
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            tokens: Mutex::new(tokens),
            is_over: AtomicBool::new(false),
            unavailable: AtomicUsize::new(0),
        });
        let tasks = (0..count).map(|n| tokio::spawn(Arc::clone(&shared).look(n))).collect();
        Self { shared, tasks }
    }

    /// These have been deleted.
    pub fn know_deleted(&self, deleted: Vec<Token>) {
        self.shared.tokens.lock().unwrap().entry(Kind::Deleted).or_default().extend(deleted);
    }

    /// Completes when a check has been answered 503.
    pub async fn have_seen_503(&self) {
        while self.shared.unavailable.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn stop(self) -> Seen {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let mut seen = Seen::default();
        for task in self.tasks {
            let other = task.await.unwrap();
            for (what, count) in other.counts {
                *seen.counts.entry(what).or_default() += count;
            }
            seen.slowest_503 = seen.slowest_503.max(other.slowest_503);
        }
        seen
    }
}

impl Shared {
    async fn look(self: Arc<Self>, checker: usize) -> Seen {
        let (http, mut seen) = (client(), Seen::default());
        for n in checker.. {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            let kind = KINDS[n % KINDS.len()];
            let token = {
                let tokens = self.tokens.lock().unwrap();
                let of_kind = &tokens[&kind];
                // The latest first: what was taken away a moment ago is what may still be let in.
                (!of_kind.is_empty()).then(|| of_kind[of_kind.len() - 1 - n / KINDS.len() % of_kind.len()].clone())
            };
            let Some(token) = token else { continue };
            let begun = Instant::now();
            let status = check(&http, &self.url, &token.value).await.unwrap_or(0);
            *seen.counts.entry((kind, status)).or_default() += 1;
            if status == 503 {
                self.unavailable.fetch_add(1, Ordering::SeqCst);
                seen.slowest_503 = seen.slowest_503.max(begun.elapsed());
            }
        }
        seen
    }
}

impl Seen {
    pub fn count(&self, kind: Kind, status: u16) -> usize {
        self.counts.get(&(kind, status)).copied().unwrap_or(0)
    }

    pub fn all(&self) -> usize {
        self.counts.values().sum()
    }

    pub fn unavailable(&self) -> usize {
        KINDS.iter().map(|kind| self.count(*kind, 503)).sum()
    }

    /// Insists that nobody was let in who must not be, and that no good token was called bad.
    pub fn expect_closed(&self) {
        for (kind, status) in self.counts.keys() {
            let allowed: &[u16] = if *kind == Kind::Good { &[200, 503] } else { &[401, 503] };
            assert!(allowed.contains(status), "{kind:?} answered {status}: {:?}", self.counts);
        }
    }
}
