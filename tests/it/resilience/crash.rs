//! The service or PostgreSQL is killed during writes: no acknowledged token is lost, no deleted one
//! is accepted again, and none is incomplete.

use crate::support::both_databases_multi_thread;
use rstest::rstest;
use rstest_reuse::apply;
use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{WriteLog, Writers},
    assert_audit_log_matches, client, iterations, list_token_ids, wait_until_recovered,
};
use crate::{
    cluster::execute_sql,
    support::{
        Database, Engine, PASSWORD,
        binary::{ServerProcess, tokenward_command},
        postgres::{PostgresServer, ShutdownMode},
    },
};

/// The limit for the recovery after the service or its database was killed.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

#[apply(both_databases_multi_thread)]
async fn killing_the_service_loses_no_acknowledged_write(engine: Engine) {
    let database = Database::empty(engine).await;
    let kills = iterations(5, 100);
    let mut all = WriteLog::default();
    let mut running = ServerProcess::start(&database.url);
    let admin = Token::create(&running).await;
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let writers = Writers::start(&running.url, &admin, 4);
        // The time of the kill varies by round.
        writers.wait_for_writes(10 + round * 7 % 60).await;
        running.send_signal("KILL");
        let log = writers.stop().await;
        drop(running);
        if engine == Engine::Sqlite {
            assert_integrity(Path::new(database.url.trim_start_matches("sqlite:"))).await;
        }
        let start = Instant::now();
        running = ServerProcess::start(&database.url);
        slowest = slowest.max(start.elapsed());
        log.verify(&running.url).await;
        all.merge(log);
    }
    all.verify(&running.url).await;
    assert_tokens_complete(&running.url).await;
    let listed = list_token_ids(&running.url).await;
    drop(running);
    assert_audit_log_matches(&database.url, &listed, &all);
    assert!(slowest < RECOVERY_TIMEOUT, "ready after {slowest:?}");
    assert!(all.created.len() > kills && !all.deleted.is_empty());
    let acknowledged = all.acknowledged();
    println!(
        "[measured] crash, {engine:?}: {kills} kills, {acknowledged} acknowledged writes, 0 lost, ready after at most {slowest:.1?}"
    );
}

/// Checks a copy of the file and its write-ahead log, because the service itself has to recover the
/// original.
async fn assert_integrity(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let path_of = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(path_of(file), path_of(&copy)).unwrap();
    }
    assert_eq!(integrity_check(&copy).await, "ok");
}

pub async fn integrity_check(file: &Path) -> String {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.unwrap()
}

/// Asserts that each token in the list is complete.
async fn assert_tokens_complete(url: &str) {
    let request = client().get(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
    let list: Value = request.send().await.unwrap().json().await.unwrap();
    for row in list["data"].as_array().unwrap() {
        let has_text = |field| row[field].as_str().is_some_and(|text: &str| !text.is_empty());
        assert!(["tokenId", "createdAt", "hint"].into_iter().all(has_text), "incomplete: {row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_postgres_loses_no_acknowledged_write() {
    let mut server = block_in_place(PostgresServer::durable);
    execute_sql(server.port, "postgres", "create database tokenward").await;
    let running = ServerProcess::start_with(tokenward_command(&PostgresServer::url_via_port(server.port, "tokenward")));
    let admin = Token::create(&running).await;
    let kills = iterations(1, 50);
    let writers = Writers::start(&running.url, &admin, 4);
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        writers.wait_for_writes(10 + round * 7 % 60).await;
        block_in_place(|| {
            server.stop(ShutdownMode::Killed);
            server.start_again();
        });
        slowest = slowest.max(wait_until_recovered(RECOVERY_TIMEOUT, &running.url, &admin).await);
    }
    let log = writers.stop().await;
    log.verify(&running.url).await;
    assert_tokens_complete(&running.url).await;
    let url = PostgresServer::url_via_port(server.port, "tokenward");
    assert_audit_log_matches(&url, &list_token_ids(&running.url).await, &log);
    println!(
        "[measured] crash, Postgres server: {kills} kills, {} acknowledged writes, 0 lost, {} responses with 503, {} without a \
         response, writes again at most {slowest:.1?} after the restart",
        log.acknowledged(),
        log.rejected,
        log.unanswered
    );
    assert_eq!(log.unanswered, 0, "the service was not restarted");
}
