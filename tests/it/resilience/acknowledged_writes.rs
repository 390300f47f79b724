//! What clients were told, to be compared with what is so.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{Token, check, client, delete, make};

/// Tokens whose making was acknowledged, and what became of them.
#[derive(Debug, Default)]
pub struct Ledger {
    pub made: HashSet<Token>,
    pub deleted: HashSet<Token>,
    /// Their deletion was asked for, and what came of it is not known.
    unknown: HashSet<Token>,
    /// Answers that said "not now", and requests without an answer.
    pub refused: usize,
    pub unanswered: usize,
    /// The longest a "not now" took.
    pub slowest_refusal: Duration,
}

impl Ledger {
    pub fn merge(&mut self, other: Self) {
        self.made.extend(other.made);
        self.deleted.extend(other.deleted);
        self.unknown.extend(other.unknown);
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.slowest_refusal = self.slowest_refusal.max(other.slowest_refusal);
    }

    /// Whether the deletion of a token was not even asked for.
    pub fn is_good(&self, token: &Token) -> bool {
        !self.deleted.contains(token) && !self.unknown.contains(token)
    }

    pub fn acknowledged(&self) -> usize {
        self.made.len() + self.deleted.len()
    }

    /// Tokens that must be good.
    pub fn good(&self) -> impl Iterator<Item = &Token> {
        self.made.iter().filter(|token| self.is_good(token))
    }

    /// Insists that nothing acknowledged was lost, and nothing deleted came back.
    pub async fn verify(&self, url: &str) {
        let http = client();
        for (token, expected) in
            self.good().map(|token| (token, 200)).chain(self.deleted.iter().map(|token| (token, 401)))
        {
            assert_eq!(check(&http, url, &token.value).await, Some(expected), "token {}", token.id);
        }
    }
}

/// Clients that make tokens and delete every third, however they are answered, until they are stopped or nobody listens.
pub struct Writers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Ledger>>,
}

#[derive(Debug)]
struct Shared {
    url: Mutex<String>,
    by: Token,
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    /// Those that were made and deleted, for who looks at them meanwhile.
    made: Mutex<Vec<Token>>,
    deleted: Mutex<Vec<Token>>,
}

impl Writers {
    pub fn start(url: &str, by: &Token, count: usize) -> Self {
        let shared = Arc::new(Shared {
            url: Mutex::new(url.to_owned()),
            by: by.clone(),
            is_over: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            made: Mutex::default(),
            deleted: Mutex::default(),
        });
        let tasks = (0..count).map(|n| tokio::spawn(Arc::clone(&shared).write(n))).collect();
        Self { shared, tasks }
    }

    /// Completes when this many more acts have been acknowledged.
    pub async fn have_done(&self, more: usize) {
        let enough = self.shared.acknowledged.load(Ordering::SeqCst) + more;
        let begun = Instant::now();
        while self.shared.acknowledged.load(Ordering::SeqCst) < enough {
            assert!(begun.elapsed() < Duration::from_secs(60), "writes go on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Tokens whose making has been acknowledged.
    pub fn made(&self) -> Vec<Token> {
        self.shared.made.lock().unwrap().clone()
    }

    /// Tokens whose deletion has been acknowledged.
    pub fn deleted(&self) -> Vec<Token> {
        self.shared.deleted.lock().unwrap().clone()
    }

    pub async fn stop(self) -> Ledger {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let mut ledger = Ledger::default();
        for task in self.tasks {
            ledger.merge(task.await.unwrap());
        }
        ledger
    }
}

impl Shared {
    async fn write(self: Arc<Self>, writer: usize) -> Ledger {
        let (http, mut ledger) = (client(), Ledger::default());
        for n in writer.. {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            let url = self.url.lock().unwrap().clone();
            let asked = Instant::now();
            let Some(token) = self.note_made(&mut ledger, asked, make(&http, &url, &self.by).await).await else {
                continue;
            };
            if n % 3 == 0 {
                self.note_deleted(&mut ledger, delete(&http, &url, &token).await, token).await;
            }
        }
        ledger
    }

    async fn note_made(
        &self,
        ledger: &mut Ledger,
        asked: Instant,
        answer: Option<(u16, Option<Token>)>,
    ) -> Option<Token> {
        match answer {
            Some((201, Some(token))) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                self.made.lock().unwrap().push(token.clone());
                ledger.made.insert(token.clone());
                return Some(token);
            }
            Some((status, _)) => {
                assert_eq!(status, 503, "a write that is not done is 503");
                ledger.refused += 1;
                ledger.slowest_refusal = ledger.slowest_refusal.max(asked.elapsed());
            }
            None => ledger.unanswered += 1,
        }
        pause().await;
        None
    }

    async fn note_deleted(&self, ledger: &mut Ledger, answer: Option<u16>, token: Token) {
        if answer == Some(204) {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            self.deleted.lock().unwrap().push(token.clone());
            ledger.deleted.insert(token);
        } else {
            assert!(matches!(answer, None | Some(503)), "{answer:?}");
            ledger.unknown.insert(token);
            pause().await;
        }
    }
}

/// What a client that was refused leaves the machine to others for.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
