//! A flood of wrong passwords, at what passwords cost in production and with little memory (P9): checks go on.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Token, check, client};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command},
};

const FLOOD: Duration = Duration::from_secs(60);
const SENDERS: usize = 200;

/// A memory cgroup (version 1) with 256 MiB, gone when this is dropped.
struct Cage(PathBuf);

impl Cage {
    fn new() -> Self {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory/tokenward-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("this test needs root and memory cgroups of version 1");
        std::fs::write(folder.join("memory.limit_in_bytes"), "256M").unwrap();
        Self(folder)
    }

    /// The program inside.
    fn around(&self, serve: &Command) -> Command {
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display());
        let mut caged = Command::new("sh");
        caged.args(["-c", &enter]).arg(serve.get_program());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => caged.env(name, value),
                None => caged.env_remove(name),
            };
        }
        caged
    }

    fn figure(&self, file: &str) -> u64 {
        std::fs::read_to_string(self.0.join(file)).unwrap().trim().parse().unwrap()
    }

    fn is_killed(&self) -> bool {
        let control = std::fs::read_to_string(self.0.join("memory.oom_control")).unwrap();
        !control.lines().any(|line| line == "oom_kill 0")
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).ok();
    }
}

#[derive(Default)]
struct Flood {
    is_over: AtomicBool,
    refused: AtomicUsize,
    turned_away: AtomicUsize,
    slowest_503_ms: AtomicUsize,
}

#[ignore = "a minute, root: scripts/torture runs it"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_passwords_does_not_stop_checks() {
    let database = Database::empty(Engine::Sqlite).await;
    let cage = Cage::new();
    let mut serve = command(&database.url);
    serve
        .env("TOKENWARD_PASSWORDS__MEMORY_KIB", "19456")
        .env("TOKENWARD_PASSWORDS__ITERATIONS", "2")
        // As if each try came from an address of its own.
        .env("TOKENWARD_LIMITS__WRONG_PASSWORDS_PER_ADDRESS", "0")
        .env("RUST_LOG", "error");
    let running = Running::start_with(cage.around(&serve));
    let token = Token::made_by(&running).await;
    let idle = p99(&running.url, &token, Duration::from_secs(10)).await;
    let flood = Arc::new(Flood::default());
    // One client for all: making 200 takes so long on a busy machine that some would send no header within five seconds.
    let http = client();
    let send = |n| tokio::spawn(Arc::clone(&flood).send(http.clone(), running.url.clone(), n));
    let senders: Vec<_> = (0..SENDERS).map(send).collect();
    let flooded = p99(&running.url, &token, FLOOD).await;
    flood.is_over.store(true, Ordering::SeqCst);
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(check(&client(), &running.url, &token.value).await, Some(200));
    let slowest = Duration::from_millis(flood.slowest_503_ms.load(Ordering::SeqCst) as u64);
    let peak = cage.figure("memory.max_usage_in_bytes") >> 20;
    println!(
        "P9 Sqlite: {SENDERS} senders for {FLOOD:?}, {} answered 401, {} turned away (503) after at most {slowest:.1?}; p99 of checks \
         {idle:.2?} idle, {flooded:.2?} flooded, ratio {:.1}; peak memory {peak} MiB of 256, OOM kills: {}",
        flood.refused.load(Ordering::SeqCst),
        flood.turned_away.load(Ordering::SeqCst),
        flooded.as_secs_f64() / idle.as_secs_f64(),
        cage.is_killed(),
    );
    assert!(!cage.is_killed() && flood.refused.load(Ordering::SeqCst) > 0);
    drop(running);
}

impl Flood {
    async fn send(self: Arc<Self>, http: reqwest::Client, url: String, sender: usize) {
        // A name of its own for each try: nobody is slowed down for guessing one.
        for n in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let begun = Instant::now();
            let asked = http.get(format!("{url}/v4/people/current"));
            let asked = asked.basic_auth(format!("s{sender}-{n}@example.com"), Some(format!("not {PASSWORD}")));
            match asked.send().await.map(|reply| reply.status().as_u16()) {
                Ok(401) => self.refused.fetch_add(1, Ordering::SeqCst),
                Ok(503) => {
                    let took = usize::try_from(begun.elapsed().as_millis()).unwrap();
                    self.slowest_503_ms.fetch_max(took, Ordering::SeqCst);
                    self.turned_away.fetch_add(1, Ordering::SeqCst)
                }
                other => panic!("{other:?}"),
            };
        }
    }
}

/// The 99th of a hundred checks, one every ten milliseconds.
async fn p99(url: &str, token: &Token, length: Duration) -> Duration {
    let (http, begun, mut took) = (client(), Instant::now(), Vec::new());
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    while begun.elapsed() < length {
        pace.tick().await;
        let asked = Instant::now();
        assert_eq!(check(&http, url, &token.value).await, Some(200));
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}
