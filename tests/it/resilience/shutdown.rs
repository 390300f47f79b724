//! Clients that hang up (P20), and a service that is stopped under load (P21).

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

use super::{Token, client, times};
use crate::support::{
    Database, Engine,
    binary::{Running, command},
};

on_both_databases!(
    a_stop_under_load_fails_no_request,
    a_stop_answers_every_request_of_busy_connections,
    a_request_in_the_socket_is_answered_before_the_stop,
);

/// How many connections to the database the service has in the test of clients that hang up: one that is lost is missed.
const CONNECTIONS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_no_transaction_open() {
    let database = Database::empty(Engine::Postgres).await;
    let mut serve = command(&database.url);
    serve.env("TOKENWARD_DATABASE__MAX_CONNECTIONS", CONNECTIONS.to_string());
    let running = Running::start_with(serve);
    let (http, admin) = (client(), Token::made_by(&running).await);
    let ask = || {
        let send = http.post(format!("{}/v4/apiAccessTokens", running.url)).bearer_auth(&admin.value);
        send.json(&json!({"lifetimeSeconds": 60})).send()
    };
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let tokens = "select count(*) from token";
    let before = count(&mut connection, tokens).await;
    given_up_in_mid_transaction(&database, &mut connection, ask).await;
    assert_eq!(count(&mut connection, tokens).await, before + 1, "what had begun is written");
    let (mut given_up, tries) = (0, times(200, 1_000) as u64);
    for n in 0..tries {
        // Given up after a time that differs from try to try; some are answered first.
        let patience = Duration::from_micros(n * 7_919 % 6_000);
        given_up += usize::from(tokio::time::timeout(patience, ask()).await.is_err());
    }
    at_rest(&mut connection).await;
    let written = count(&mut connection, tokens).await - before;
    // Every connection is still there to be used: one that was lost would keep one of these waiting.
    let all = futures_util::future::join_all((0..4 * CONNECTIONS).map(|_| ask())).await;
    assert!(all.into_iter().all(|reply| reply.unwrap().status() == 201));
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    let answered = log.lines().filter(|line| line.contains("\"POST\"") && line.contains("\"answered\"")).count();
    let hung_up = log.matches("the client hung up").count();
    println!("P20 Postgres: {given_up} of {tries} writes given up, {written} written, {hung_up} lines tell of it");
    // The token that asks, and those that were made at the end, are answered, too.
    let lines = i64::try_from(answered + hung_up - 1 - 4 * CONNECTIONS).unwrap();
    assert!(given_up > 0 && hung_up > 0 && lines >= written, "{written} writes, {lines} lines: {log}");
}

/// Holds a write back, and gives it up while the database has it.
async fn given_up_in_mid_transaction<F: Future>(database: &Database, watch: &mut PgConnection, ask: impl Fn() -> F) {
    let mut lock = PgConnection::connect(&database.url).await.unwrap();
    lock.execute("begin; lock table token in exclusive mode").await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let mut asked = Box::pin(ask());
    let is_waiting = async {
        while count(watch, waits).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut asked => panic!("nothing held it back"),
        () = is_waiting => {}
    }
    drop(asked);
    lock.execute("commit").await.unwrap();
    at_rest(watch).await;
}

/// Waits until no session of the service has a transaction open: writes that had begun go on.
async fn at_rest(watch: &mut PgConnection) {
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                and pid <> pg_backend_pid() and application_name = 'tokenward'";
    let rest = async {
        while count(watch, busy).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rest).await.expect("a session has a transaction open for good");
}

async fn count(connection: &mut PgConnection, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(connection).await.unwrap()
}

/// What a client saw until nobody listened any more.
#[derive(Default)]
struct Answers {
    whole: usize,
    failed: Vec<String>,
}

async fn a_stop_under_load_fails_no_request(engine: Engine) {
    for _ in 0..times(1, 20) {
        stop_under_load(engine).await;
    }
}

async fn stop_under_load(engine: Engine) {
    let database = Database::empty(engine).await;
    let running = Running::start(&database.url);
    let admin = Token::made_by(&running).await;
    let clients: Vec<_> = (0..20).map(|n| spawn_client(n, &running.url, &admin)).collect();
    // As long as ten rounds of theirs.
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.signal("TERM");
    let begun = Instant::now();
    let (code, log) = spawn_blocking(move || running.wait()).await.unwrap();
    let took = begun.elapsed();
    let mut all = Answers::default();
    for client in clients {
        let answers = client.await.unwrap();
        all.whole += answers.whole;
        all.failed.extend(answers.failed);
    }
    println!(
        "P21 {engine:?}: {} requests answered until SIGTERM, {} failed, exit {code:?} after {took:.1?}",
        all.whole,
        all.failed.len()
    );
    assert!(all.failed.is_empty() && all.whole > 0, "{:?}", all.failed);
    assert!(code == Some(0) && took < Duration::from_secs(10), "{log}");
}

/// Ten requests a second, each on a connection of its own: one that is accepted has a right to an answer.
fn spawn_client(n: u64, url: &str, admin: &Token) -> JoinHandle<Answers> {
    let (url, admin) = (url.to_owned(), admin.clone());
    drop(client());
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    tokio::spawn(async move {
        let mut answers = Answers::default();
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(5 * n)).await;
        loop {
            pace.tick().await;
            let asked = http.post(format!("{url}/v4/apiAccessTokens")).bearer_auth(&admin.value);
            match asked.json(&json!({"lifetimeSeconds": 60})).send().await {
                Ok(reply) if reply.status() == 201 => answers.whole += 1,
                Ok(reply) => answers.failed.push(reply.status().to_string()),
                Err(error) if error.is_connect() => return answers,
                Err(error) => answers.failed.push(format!("{error:?}")),
            }
        }
    })
}

/// A connection that is kept, and what is read on it.
struct Kept(TcpStream);

/// How a request on a kept connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Answered,
    /// The response says that it is the last one, and the connection ended after it.
    Last,
}

impl Kept {
    fn open(url: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    fn send(&mut self, token: &str) {
        let request = format!("GET /v4/auth HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
        self.0.write_all(request.as_bytes()).expect("a request is taken");
    }

    /// Reads a whole response. The end of the connection in place of it is a failure.
    fn read(&mut self) -> Ended {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).expect("a response");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        self.0.read_exact(&mut vec![0; length]).expect("a whole response");
        if !head.contains("connection: close\r\n") {
            return Ended::Answered;
        }
        assert_eq!(self.rest(), 0);
        Ended::Last
    }

    /// Bytes until the connection is closed by its end, not by a reset.
    fn rest(&mut self) -> usize {
        self.0.read_to_end(&mut Vec::new()).expect("a clean end")
    }
}

/// Connections without a pause between two requests, connections with one, and silent ones.
async fn a_stop_answers_every_request_of_busy_connections(engine: Engine) {
    let database = Database::empty(engine).await;
    for _ in 0..times(3, 50) {
        let running = Running::start(&database.url);
        let token = Token::made_by(&running).await.value;
        let rounds: Arc<[AtomicUsize]> = (0..60).map(|_| AtomicUsize::new(0)).collect();
        let busy: Vec<_> = (0..60)
            .map(|n: u32| {
                let (mut kept, token, rounds) = (Kept::open(&running.url), token.clone(), Arc::clone(&rounds));
                spawn_blocking(move || {
                    let pause = Duration::from_millis(5 * u64::from(n.saturating_sub(39)));
                    loop {
                        kept.send(&token);
                        if kept.read() == Ended::Last {
                            return;
                        }
                        rounds[usize::try_from(n).unwrap()].fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(pause);
                    }
                })
            })
            .collect();
        let mut silent: Vec<_> = (0..10).map(|_| Kept::open(&running.url)).collect();
        silent[..5].iter_mut().for_each(|kept| {
            kept.send(&token);
            assert_eq!(kept.read(), Ended::Answered);
        });
        while rounds.iter().any(|rounds| rounds.load(Ordering::SeqCst) < 2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.signal("TERM");
        for (n, busy) in busy.into_iter().enumerate() {
            busy.await.unwrap_or_else(|error| panic!("{engine:?}, connection {n}: {error}"));
        }
        // Between two requests a connection may end without a word, but not by a reset.
        assert!(silent.iter_mut().all(|kept| kept.rest() == 0));
        let (code, log) = spawn_blocking(move || running.wait()).await.unwrap();
        assert_eq!(code, Some(0), "{log}");
    }
}

/// The service stands still while requests arrive and the signal comes: on connections that are kept, on new ones, and on some that the
/// service has not accepted.
async fn a_request_in_the_socket_is_answered_before_the_stop(engine: Engine) {
    let database = Database::empty(engine).await;
    for _ in 0..times(3, 50) {
        let running = Running::start(&database.url);
        let token = Token::made_by(&running).await.value;
        let mut kept: Vec<_> = (0..30).map(|_| Kept::open(&running.url)).collect();
        kept[..20].iter_mut().for_each(|kept| {
            kept.send(&token);
            assert_eq!(kept.read(), Ended::Answered);
        });
        running.signal("STOP");
        kept.extend((0..10).map(|_| Kept::open(&running.url)));
        kept.iter_mut().for_each(|kept| kept.send(&token));
        running.signal("TERM");
        running.signal("CONT");
        // Each is answered: reading fails where a connection ends without a response. What was answered before the process came to
        // the signal does not announce the end.
        for kept in &mut kept {
            kept.read();
        }
        let (code, log) = spawn_blocking(move || running.wait()).await.unwrap();
        assert_eq!(code, Some(0), "{log}");
    }
}
