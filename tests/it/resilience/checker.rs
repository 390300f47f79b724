//! Clients that continuously check valid, deleted and unknown tokens.

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

use super::{Token, check_token, client};

const KINDS: [TokenKind; 3] = [TokenKind::Valid, TokenKind::Deleted, TokenKind::Unknown];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenKind {
    Valid,
    Deleted,
    /// Well-formed, but never issued.
    Unknown,
}

/// The number of checks by token kind and status, 0 for a check without a response.
#[derive(Debug, Default)]
pub struct CheckResults {
    pub counts: BTreeMap<(TokenKind, u16), usize>,
    /// The longest time until a 503.
    pub slowest_503: Duration,
}

/// Clients that check tokens until they are stopped.
pub struct Checkers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<CheckResults>>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    tokens: Mutex<BTreeMap<TokenKind, Vec<Token>>>,
    stopped: AtomicBool,
    unavailable: AtomicUsize,
}

impl Checkers {
    pub fn start(url: &str, valid: &[Token], deleted: &[Token], count: usize) -> Self {
        let (format, random) = (TokenFormat::default(), Random::system());
        let unknown = (0..50).map(|_| Token {
            id: String::new(),
            value: format.generate(|bytes| random.fill(bytes)).expose().to_owned(),
        });
        let tokens = BTreeMap::from([
            (TokenKind::Valid, valid.to_vec()),
            (TokenKind::Deleted, deleted.to_vec()),
            (TokenKind::Unknown, unknown.collect()),
        ]);
        let shared = Arc::new(Shared {
            url: url.to_owned(),
            tokens: Mutex::new(tokens),
            stopped: AtomicBool::new(false),
            unavailable: AtomicUsize::new(0),
        });
        let tasks = (0..count).map(|n| tokio::spawn(Arc::clone(&shared).run_checker(n))).collect();
        Self { shared, tasks }
    }

    /// Adds tokens that have been deleted.
    pub fn add_deleted(&self, deleted: Vec<Token>) {
        self.shared.tokens.lock().unwrap().entry(TokenKind::Deleted).or_default().extend(deleted);
    }

    /// Waits until a check has returned 503.
    pub async fn wait_for_503(&self) {
        while self.shared.unavailable.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn stop(self) -> CheckResults {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let mut results = CheckResults::default();
        for task in self.tasks {
            let other = task.await.unwrap();
            for (key, count) in other.counts {
                *results.counts.entry(key).or_default() += count;
            }
            results.slowest_503 = results.slowest_503.max(other.slowest_503);
        }
        results
    }
}

impl Shared {
    async fn run_checker(self: Arc<Self>, checker: usize) -> CheckResults {
        let (http, mut results) = (client(), CheckResults::default());
        for n in checker.. {
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let kind = KINDS[n % KINDS.len()];
            let token = {
                let tokens = self.tokens.lock().unwrap();
                let of_kind = &tokens[&kind];
                // The latest first, because a recently deleted token is the most likely one to be
                // accepted.
                (!of_kind.is_empty()).then(|| of_kind[of_kind.len() - 1 - n / KINDS.len() % of_kind.len()].clone())
            };
            let Some(token) = token else { continue };
            let start = Instant::now();
            let status = check_token(&http, &self.url, &token.value).await.unwrap_or(0);
            *results.counts.entry((kind, status)).or_default() += 1;
            if status == 503 {
                self.unavailable.fetch_add(1, Ordering::SeqCst);
                results.slowest_503 = results.slowest_503.max(start.elapsed());
            }
        }
        results
    }
}

impl CheckResults {
    pub fn count(&self, kind: TokenKind, status: u16) -> usize {
        self.counts.get(&(kind, status)).copied().unwrap_or(0)
    }

    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }

    pub fn unavailable(&self) -> usize {
        KINDS.iter().map(|kind| self.count(*kind, 503)).sum()
    }

    /// Asserts that no invalid token was accepted and that no valid one was rejected.
    pub fn assert_no_wrong_result(&self) {
        for (kind, status) in self.counts.keys() {
            let allowed: &[u16] = if *kind == TokenKind::Valid { &[200, 503] } else { &[401, 503] };
            assert!(allowed.contains(status), "{kind:?} token: status {status}: {:?}", self.counts);
        }
    }
}
