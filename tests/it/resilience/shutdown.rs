//! Clients that disconnect, and a service that is stopped under load.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Token, client, iterations};
use crate::support::{
    Database, Engine,
    binary::{ServerProcess, tokenward_command},
    both_databases_multi_thread,
};

/// The number of database connections in the test of disconnecting clients. A leaked one would be
/// noticed.
const MAX_CONNECTIONS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnecting_clients_leave_no_transaction_open() {
    let database = Database::empty(Engine::Postgres).await;
    let mut serve = tokenward_command(&database.url);
    serve.env("TOKENWARD_DATABASE__MAX_CONNECTIONS", MAX_CONNECTIONS.to_string());
    // On a busy machine, the last requests wait longer than usual for a connection.
    serve.env("TOKENWARD_DATABASE__ACQUIRE_TIMEOUT", "20s").env("TOKENWARD_HTTP__REQUEST_TIMEOUT", "30s");
    let running = ServerProcess::start_with(serve);
    let (http, admin) = (client(), Token::create(&running).await);
    let create = || {
        let send = http.post(format!("{}/v4/apiAccessTokens", running.url)).bearer_auth(&admin.value);
        send.json(&json!({"lifetimeSeconds": 60})).send()
    };
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let tokens = "select count(*) from token";
    let before = query_count(&mut connection, tokens).await;
    abandon_blocked_write(&database, &mut connection, create).await;
    assert_eq!(query_count(&mut connection, tokens).await, before + 1, "a started write is committed");
    let (mut abandoned, attempts) = (0, iterations(200, 1_000) as u64);
    for n in 0..attempts {
        // The timeout varies. Some requests get a response first.
        let limit = Duration::from_micros(n * 7_919 % 6_000);
        abandoned += usize::from(tokio::time::timeout(limit, create()).await.is_err());
    }
    wait_until_idle(&mut connection).await;
    let written = query_count(&mut connection, tokens).await - before;
    // Every connection is still usable. A leaked one would block one of these requests.
    let all = futures_util::future::join_all((0..4 * MAX_CONNECTIONS).map(|_| create())).await;
    assert!(all.into_iter().all(|reply| reply.unwrap().status() == 201));
    running.send_signal("TERM");
    let (code, log) = running.wait_for_exit();
    assert_eq!(code, Some(0));
    let responded = log.lines().filter(|line| line.contains("\"POST\"") && line.contains("\"responded\"")).count();
    let disconnected = log.matches("the client disconnected").count();
    println!(
        "[measured] disconnects, Postgres: {abandoned} of {attempts} writes abandoned, {written} committed, {disconnected} logged"
    );
    // The responses for the token of the caller and for the last tokens are in the log too.
    let lines = i64::try_from(responded + disconnected - 1 - 4 * MAX_CONNECTIONS).unwrap();
    assert!(abandoned > 0 && disconnected > 0 && lines >= written, "{written} writes, {lines} lines: {log}");
}

/// Blocks a write with a lock, and disconnects while the database executes it.
async fn abandon_blocked_write<F: Future>(database: &Database, monitor: &mut PgConnection, create: impl Fn() -> F) {
    let mut lock = PgConnection::connect(&database.url).await.unwrap();
    lock.execute("begin; lock table token in exclusive mode").await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let mut request = Box::pin(create());
    let is_waiting = async {
        while query_count(monitor, waits).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut request => panic!("the write was not blocked"),
        () = is_waiting => {}
    }
    drop(request);
    lock.execute("commit").await.unwrap();
    wait_until_idle(monitor).await;
}

/// Waits until no session of the service has an open transaction. Started writes continue until
/// then.
async fn wait_until_idle(monitor: &mut PgConnection) {
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                and pid <> pg_backend_pid() and application_name = 'tokenward'";
    let rest = async {
        while query_count(monitor, busy).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rest).await.expect("a session keeps its transaction open");
}

async fn query_count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

/// The results of a client until the service stopped listening.
#[derive(Default)]
struct ClientResults {
    succeeded: usize,
    failed: Vec<String>,
}

#[apply(both_databases_multi_thread)]
async fn a_shutdown_under_load_fails_no_request(engine: Engine) {
    for _ in 0..iterations(1, 20) {
        stop_under_load(engine).await;
    }
}

async fn stop_under_load(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = ServerProcess::start(&database.url);
    let admin = Token::create(&running).await;
    let clients: Vec<_> = (0..20).map(|n| spawn_client(n, &running.url, &admin)).collect();
    // Ten requests of each client.
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.send_signal("TERM");
    let start = Instant::now();
    let (code, log) = spawn_blocking(move || running.wait_for_exit()).await.unwrap();
    let elapsed = start.elapsed();
    let mut all = ClientResults::default();
    for client in clients {
        let results = client.await.unwrap();
        all.succeeded += results.succeeded;
        all.failed.extend(results.failed);
    }
    println!(
        "[measured] shutdown, {engine:?}: {} requests succeeded, {} failed, exit code {code:?} {elapsed:.1?} after SIGTERM",
        all.succeeded,
        all.failed.len()
    );
    assert!(all.failed.is_empty() && all.succeeded > 0, "{:?}", all.failed);
    assert!(code == Some(0) && elapsed < Duration::from_secs(10), "{log}");
}

/// Starts a client with ten requests per second, each on a new connection. Every accepted
/// connection must get a response.
fn spawn_client(n: u64, url: &str, admin: &Token) -> JoinHandle<ClientResults> {
    let (url, admin) = (url.to_owned(), admin.clone());
    drop(client());
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    tokio::spawn(async move {
        let mut results = ClientResults::default();
        let mut interval = tokio::time::interval(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(5 * n)).await;
        loop {
            interval.tick().await;
            let request = http.post(format!("{url}/v4/apiAccessTokens")).bearer_auth(&admin.value);
            match request.json(&json!({"lifetimeSeconds": 60})).send().await {
                Ok(reply) if reply.status() == 201 => results.succeeded += 1,
                Ok(reply) => results.failed.push(reply.status().to_string()),
                Err(error) if error.is_connect() => return results,
                Err(error) => results.failed.push(format!("{error:?}")),
            }
        }
    })
}

/// A persistent connection.
struct KeepAliveConnection(TcpStream);

/// The state of the connection after a response.
#[derive(Debug, PartialEq, Eq)]
enum ResponseEnd {
    KeepAlive,
    /// The response has `connection: close`, and the server closed the connection.
    Close,
}

impl KeepAliveConnection {
    fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    fn send_check(&mut self, token: &str) {
        let request = format!("GET /v4/auth HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
        self.0.write_all(request.as_bytes()).expect("a request can be sent");
    }

    /// Reads a complete response.
    ///
    /// # Panics
    ///
    /// Panics if the connection ends before.
    fn read_response(&mut self) -> ResponseEnd {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("a response");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        self.0.read_exact(&mut vec![0; length]).expect("a complete response");
        if !head.contains("connection: close\r\n") {
            return ResponseEnd::KeepAlive;
        }
        assert_eq!(self.read_to_close(), 0);
        ResponseEnd::Close
    }

    /// Reads until the connection is closed. Returns the number of bytes. A reset is a failure.
    fn read_to_close(&mut self) -> usize {
        self.0.read_to_end(&mut Vec::new()).expect("an orderly close")
    }
}

/// The connections send requests without a pause, with a pause, or not at all.
#[apply(both_databases_multi_thread)]
async fn a_shutdown_completes_every_request_of_busy_connections(engine: Engine) {
    let database = Database::empty(engine).await;
    for _ in 0..iterations(3, 50) {
        let running = ServerProcess::start(&database.url);
        let token = Token::create(&running).await.value;
        let rounds: Arc<[AtomicUsize]> = (0..60).map(|_| AtomicUsize::new(0)).collect();
        let busy: Vec<_> = (0..60)
            .map(|n: u32| {
                let (mut kept, token, rounds) =
                    (KeepAliveConnection::open(&running.url), token.clone(), Arc::clone(&rounds));
                spawn_blocking(move || {
                    let pause = Duration::from_millis(5 * u64::from(n.saturating_sub(39)));
                    loop {
                        kept.send_check(&token);
                        if kept.read_response() == ResponseEnd::Close {
                            return;
                        }
                        rounds[usize::try_from(n).unwrap()].fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(pause);
                    }
                })
            })
            .collect();
        let mut silent: Vec<_> = (0..10).map(|_| KeepAliveConnection::open(&running.url)).collect();
        silent[..5].iter_mut().for_each(|kept| {
            kept.send_check(&token);
            assert_eq!(kept.read_response(), ResponseEnd::KeepAlive);
        });
        while rounds.iter().any(|rounds| rounds.load(Ordering::SeqCst) < 2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.send_signal("TERM");
        for (n, busy) in busy.into_iter().enumerate() {
            busy.await.unwrap_or_else(|error| panic!("{engine:?}, connection {n}: {error}"));
        }
        // An idle connection may be closed without a response, but not reset.
        assert!(silent.iter_mut().all(|kept| kept.read_to_close() == 0));
        let (code, log) = spawn_blocking(move || running.wait_for_exit()).await.unwrap();
        assert_eq!(code, Some(0), "{log}");
    }
}

/// The service is paused while requests arrive and SIGTERM is sent. The requests are on open
/// connections, and on new ones that the service has not accepted yet.
#[apply(both_databases_multi_thread)]
async fn a_request_in_the_socket_is_completed_before_shutdown(engine: Engine) {
    let database = Database::empty(engine).await;
    for _ in 0..iterations(3, 50) {
        let running = ServerProcess::start(&database.url);
        let token = Token::create(&running).await.value;
        let mut kept: Vec<_> = (0..30).map(|_| KeepAliveConnection::open(&running.url)).collect();
        kept[..20].iter_mut().for_each(|kept| {
            kept.send_check(&token);
            assert_eq!(kept.read_response(), ResponseEnd::KeepAlive);
        });
        running.send_signal("STOP");
        kept.extend((0..10).map(|_| KeepAliveConnection::open(&running.url)));
        kept.iter_mut().for_each(|kept| kept.send_check(&token));
        running.send_signal("TERM");
        running.send_signal("CONT");
        // Each request gets a response. Those from before the signal was handled have no
        // `connection: close`.
        for kept in &mut kept {
            kept.read_response();
        }
        let (code, log) = spawn_blocking(move || running.wait_for_exit()).await.unwrap();
        assert_eq!(code, Some(0), "{log}");
    }
}
