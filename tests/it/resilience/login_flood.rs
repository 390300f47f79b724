//! A flood of wrong passwords at the production cost of password hashes and with little memory.
//! Checks continue.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Token, check_token, client};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, tokenward_command},
};

const FLOOD_DURATION: Duration = Duration::from_secs(60);
const SENDERS: usize = 200;

/// A memory cgroup (version 1) of 256 MiB, removed when dropped.
struct MemoryLimit(PathBuf);

impl MemoryLimit {
    fn new() -> Self {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory/tokenward-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("this test requires root and memory cgroups of version 1");
        std::fs::write(folder.join("memory.limit_in_bytes"), "256M").unwrap();
        Self(folder)
    }

    /// Returns a command that runs the program inside the cgroup.
    fn wrap(&self, serve: &Command) -> Command {
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display());
        let mut command = Command::new("sh");
        command.args(["-c", &enter]).arg(serve.get_program());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn read_value(&self, file: &str) -> u64 {
        std::fs::read_to_string(self.0.join(file)).unwrap().trim().parse().unwrap()
    }

    fn has_oom_kill(&self) -> bool {
        let control = std::fs::read_to_string(self.0.join("memory.oom_control")).unwrap();
        !control.lines().any(|line| line == "oom_kill 0")
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).ok();
    }
}

#[derive(Default)]
struct Flood {
    stopped: AtomicBool,
    unauthorized: AtomicUsize,
    unavailable: AtomicUsize,
    slowest_503_ms: AtomicUsize,
}

#[ignore = "takes a minute and requires root: scripts/soak runs it"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_passwords_does_not_stop_checks() {
    let database = Database::empty(Engine::Sqlite).await;
    let memory = MemoryLimit::new();
    let mut serve = tokenward_command(&database.url);
    serve
        .env("TOKENWARD_PASSWORDS__ARGON2__MEMORY_KIB", "19456")
        .env("TOKENWARD_PASSWORDS__ARGON2__ITERATIONS", "2")
        // As if each attempt came from another address.
        .env("TOKENWARD_RATE_LIMITS__FAILED_LOGINS_PER_IP", "0")
        .env("RUST_LOG", "error,tokenward::cli=info");
    let running = ServerProcess::start_with(memory.wrap(&serve));
    let token = Token::create(&running).await;
    let idle = measure_p99(&running.url, &token, Duration::from_secs(10)).await;
    let flood = Arc::new(Flood::default());
    // One shared client, because 200 take so long to create that some connections would miss the
    // header timeout.
    let http = client();
    let send = |n| tokio::spawn(Arc::clone(&flood).send(http.clone(), running.url.clone(), n));
    let senders: Vec<_> = (0..SENDERS).map(send).collect();
    let flooded = measure_p99(&running.url, &token, FLOOD_DURATION).await;
    flood.stopped.store(true, Ordering::SeqCst);
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(check_token(&client(), &running.url, &token.value).await, Some(200));
    let slowest = Duration::from_millis(flood.slowest_503_ms.load(Ordering::SeqCst) as u64);
    let peak = memory.read_value("memory.max_usage_in_bytes") >> 20;
    println!(
        "[measured] login flood, Sqlite: {SENDERS} senders for {FLOOD_DURATION:?}, {} responses with 401, {} with 503 after at most \
         {slowest:.1?}; p99 of checks {idle:.2?} idle, {flooded:.2?} flooded, ratio {:.1}; peak memory {peak} MiB of 256, OOM \
         kills: {}",
        flood.unauthorized.load(Ordering::SeqCst),
        flood.unavailable.load(Ordering::SeqCst),
        flooded.as_secs_f64() / idle.as_secs_f64(),
        memory.has_oom_kill(),
    );
    assert!(!memory.has_oom_kill() && flood.unauthorized.load(Ordering::SeqCst) > 0);
    drop(running);
}

impl Flood {
    async fn send(self: Arc<Self>, http: reqwest::Client, url: String, sender: usize) {
        // A new name for each attempt, so that no account is throttled.
        for n in 0.. {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let start = Instant::now();
            let request = http.get(format!("{url}/v4/people/current"));
            let request = request.basic_auth(format!("s{sender}-{n}@example.com"), Some(format!("not {PASSWORD}")));
            match request.send().await.map(|reply| reply.status().as_u16()) {
                Ok(401) => self.unauthorized.fetch_add(1, Ordering::SeqCst),
                Ok(503) => {
                    let elapsed_ms = usize::try_from(start.elapsed().as_millis()).unwrap();
                    self.slowest_503_ms.fetch_max(elapsed_ms, Ordering::SeqCst);
                    self.unavailable.fetch_add(1, Ordering::SeqCst)
                }
                other => panic!("{other:?}"),
            };
        }
    }
}

/// Sends one check every ten milliseconds. Returns the 99th percentile of the response times.
async fn measure_p99(url: &str, token: &Token, length: Duration) -> Duration {
    let (http, start, mut times) = (client(), Instant::now(), Vec::new());
    let mut interval = tokio::time::interval(Duration::from_millis(10));
    while start.elapsed() < length {
        interval.tick().await;
        let sent = Instant::now();
        assert_eq!(check_token(&http, url, &token.value).await, Some(200));
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}
