//! Clients that write, and the log of their acknowledged writes, which is compared with the state
//! of the service.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{Token, check_token, client, create_token, delete_token};

/// Tokens whose creation was acknowledged, and the results of their deletions.
#[derive(Debug, Default)]
pub struct WriteLog {
    pub created: HashSet<Token>,
    pub deleted: HashSet<Token>,
    /// Tokens whose deletion was requested, without a conclusive response.
    uncertain: HashSet<Token>,
    /// The number of responses with 503.
    pub rejected: usize,
    /// The number of requests without a response.
    pub unanswered: usize,
    /// The longest time until a 503.
    pub slowest_rejection: Duration,
}

impl WriteLog {
    pub fn merge(&mut self, other: Self) {
        self.created.extend(other.created);
        self.deleted.extend(other.deleted);
        self.uncertain.extend(other.uncertain);
        self.rejected += other.rejected;
        self.unanswered += other.unanswered;
        self.slowest_rejection = self.slowest_rejection.max(other.slowest_rejection);
    }

    /// Returns whether the deletion of a token was never requested.
    pub fn is_valid(&self, token: &Token) -> bool {
        !self.deleted.contains(token) && !self.uncertain.contains(token)
    }

    pub fn acknowledged(&self) -> usize {
        self.created.len() + self.deleted.len()
    }

    /// Returns the tokens that must be valid.
    pub fn valid(&self) -> impl Iterator<Item = &Token> {
        self.created.iter().filter(|token| self.is_valid(token))
    }

    /// Asserts that no acknowledged token was lost, and that every deleted one is rejected.
    pub async fn verify(&self, url: &str) {
        let http = client();
        for (token, expected) in
            self.valid().map(|token| (token, 200)).chain(self.deleted.iter().map(|token| (token, 401)))
        {
            assert_eq!(check_token(&http, url, &token.value).await, Some(expected), "token {}", token.id);
        }
    }
}

/// Clients that create tokens and delete every third one, until they are stopped. They continue
/// after failures.
pub struct Writers {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<WriteLog>>,
}

#[derive(Debug)]
struct Shared {
    url: Mutex<String>,
    credential: Token,
    stopped: AtomicBool,
    acknowledged: AtomicUsize,
    /// The acknowledged creations and deletions so far.
    created: Mutex<Vec<Token>>,
    deleted: Mutex<Vec<Token>>,
}

impl Writers {
    pub fn start(url: &str, credential: &Token, count: usize) -> Self {
        let shared = Arc::new(Shared {
            url: Mutex::new(url.to_owned()),
            credential: credential.clone(),
            stopped: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            created: Mutex::default(),
            deleted: Mutex::default(),
        });
        let tasks = (0..count).map(|n| tokio::spawn(Arc::clone(&shared).run_writer(n))).collect();
        Self { shared, tasks }
    }

    /// Waits until this many more writes have been acknowledged.
    pub async fn wait_for_writes(&self, more: usize) {
        let enough = self.shared.acknowledged.load(Ordering::SeqCst) + more;
        let start = Instant::now();
        while self.shared.acknowledged.load(Ordering::SeqCst) < enough {
            assert!(start.elapsed() < Duration::from_secs(60), "too few writes were acknowledged");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Returns the tokens whose creation has been acknowledged.
    pub fn created(&self) -> Vec<Token> {
        self.shared.created.lock().unwrap().clone()
    }

    /// Returns the tokens whose deletion has been acknowledged.
    pub fn deleted(&self) -> Vec<Token> {
        self.shared.deleted.lock().unwrap().clone()
    }

    pub async fn stop(self) -> WriteLog {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let mut log = WriteLog::default();
        for task in self.tasks {
            log.merge(task.await.unwrap());
        }
        log
    }
}

impl Shared {
    async fn run_writer(self: Arc<Self>, writer: usize) -> WriteLog {
        let (http, mut log) = (client(), WriteLog::default());
        for n in writer.. {
            if self.stopped.load(Ordering::SeqCst) {
                break;
            }
            let url = self.url.lock().unwrap().clone();
            let start = Instant::now();
            let Some(token) =
                self.record_creation(&mut log, start, create_token(&http, &url, &self.credential).await).await
            else {
                continue;
            };
            if n % 3 == 0 {
                self.record_deletion(&mut log, delete_token(&http, &url, &token).await, token).await;
            }
        }
        log
    }

    async fn record_creation(
        &self,
        log: &mut WriteLog,
        start: Instant,
        response: Option<(u16, Option<Token>)>,
    ) -> Option<Token> {
        match response {
            Some((201, Some(token))) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                self.created.lock().unwrap().push(token.clone());
                log.created.insert(token.clone());
                return Some(token);
            }
            Some((status, _)) => {
                assert_eq!(status, 503, "a failed write must return 503");
                log.rejected += 1;
                log.slowest_rejection = log.slowest_rejection.max(start.elapsed());
            }
            None => log.unanswered += 1,
        }
        pause().await;
        None
    }

    async fn record_deletion(&self, log: &mut WriteLog, response: Option<u16>, token: Token) {
        if response == Some(204) {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            self.deleted.lock().unwrap().push(token.clone());
            log.deleted.insert(token);
        } else {
            assert!(matches!(response, None | Some(503)), "{response:?}");
            log.uncertain.insert(token);
            pause().await;
        }
    }
}

/// Waits before the next request after a failure.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
