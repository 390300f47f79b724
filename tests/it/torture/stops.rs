//! Clients that hang up (P20), and a service that is stopped under load (P21).

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Token, client, times};
use crate::support::{Database, Engine, binary::Running};

on_both_databases!(a_stop_under_load_fails_no_request);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_no_transaction_open() {
    let database = Database::empty(Engine::Postgres).await;
    let running = Running::start(&database.url);
    let (http, admin) = (client(), Token::made_by(&running).await);
    let (mut given_up, tries) = (0, times(200, 1_000) as u64);
    for n in 0..tries {
        let send = http.post(format!("{}/v4/apiAccessTokens", running.url)).bearer_auth(&admin.value);
        let send = send.json(&json!({"lifetimeSeconds": 60})).send();
        // Given up after a time that differs from try to try; some are answered first.
        let patience = Duration::from_micros(n * 7_919 % 6_000);
        given_up += usize::from(tokio::time::timeout(patience, send).await.is_err());
    }
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    // Writes that had begun go on; a moment later all is at rest.
    let busy = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
                and pid <> pg_backend_pid() and application_name = 'tokenward'";
    let begun = Instant::now();
    while count(&mut connection, busy).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "a session is not at rest");
    }
    let stuck = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
    let stuck = count(&mut connection, stuck).await;
    Token::made_by(&running).await;
    running.signal("TERM");
    let (code, log) = running.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("the client hung up"), "some were given up while under way");
    let open = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    // The server notices the end of a process a moment later.
    let mut left = count(&mut connection, open).await;
    let begun = Instant::now();
    while left > 0 && begun.elapsed() < Duration::from_secs(5) {
        left = count(&mut connection, open).await;
    }
    println!(
        "P20 Postgres: {given_up} of {tries} writes given up, {stuck} idle in transaction, {left} connections leaked"
    );
    assert!(given_up > 0 && stuck == 0 && left == 0);
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
    let (code, log) = spawn_blocking(|| running.wait()).await.unwrap();
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
