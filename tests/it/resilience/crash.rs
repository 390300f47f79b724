//! `kill -9` in the middle of writes, of the service (P1) and of PostgreSQL (P2): no acknowledged token is lost, no deleted one
//! comes back, none is half made.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{Ledger, Writers},
    assert_events_agree, client, listed, times, writes_within,
};
use crate::{
    cluster::administer,
    support::{
        Database, Engine, PASSWORD,
        binary::{Running, command},
        postgres::{End, Server},
    },
};

on_both_databases!(killed_in_mid_write_nothing_acknowledged_is_lost);

/// How long a service that was killed may take to answer again, or one whose database was.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);

async fn killed_in_mid_write_nothing_acknowledged_is_lost(engine: Engine) {
    let database = Database::empty(engine).await;
    let kills = times(5, 100);
    let mut all = Ledger::default();
    let mut running = Running::start(&database.url);
    let admin = Token::made_by(&running).await;
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let writers = Writers::start(&running.url, &admin, 4);
        // The moment differs from round to round.
        writers.have_done(10 + round * 7 % 60).await;
        running.signal("KILL");
        let ledger = writers.stop().await;
        drop(running);
        if engine == Engine::Sqlite {
            assert_intact(Path::new(database.url.trim_start_matches("sqlite:"))).await;
        }
        let begun = Instant::now();
        running = Running::start(&database.url);
        slowest = slowest.max(begun.elapsed());
        ledger.verify(&running.url).await;
        all.merge(ledger);
    }
    all.verify(&running.url).await;
    assert_whole(&running.url).await;
    let listed = listed(&running.url).await;
    drop(running);
    assert_events_agree(&database.url, &listed, &all);
    assert!(slowest < AGAIN_WITHIN, "ready again after {slowest:?}");
    assert!(all.made.len() > kills && !all.deleted.is_empty());
    let acknowledged = all.acknowledged();
    println!(
        "P1 {engine:?}: {kills} kills, {acknowledged} acknowledged, 0 lost, ready again after at most {slowest:.1?}"
    );
}

/// Looks at a copy of the file, journal included: the service itself is to mend what a crash left behind.
async fn assert_intact(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let named = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(named(file), named(&copy)).unwrap();
    }
    assert_eq!(integrity(&copy).await, "ok");
}

pub async fn integrity(file: &Path) -> String {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.unwrap()
}

/// Insists that each token of the list has all its parts.
async fn assert_whole(url: &str) {
    let asked = client().get(format!("{url}/v4/apiAccessTokens")).basic_auth("admin@example.com", Some(PASSWORD));
    let list: Value = asked.send().await.unwrap().json().await.unwrap();
    for row in list["data"].as_array().unwrap() {
        let is_whole = |field| row[field].as_str().is_some_and(|text: &str| !text.is_empty());
        assert!(["tokenId", "createdAt", "hint"].into_iter().all(is_whole), "half made: {row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_postgres_is_killed_in_mid_write_nothing_acknowledged_is_lost() {
    let mut server = block_in_place(Server::durable);
    administer(server.port, "postgres", "create database tokenward").await;
    let running = Running::start_with(command(&Server::url_by(server.port, "tokenward")));
    let admin = Token::made_by(&running).await;
    let kills = times(1, 50);
    let writers = Writers::start(&running.url, &admin, 4);
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        writers.have_done(10 + round * 7 % 60).await;
        block_in_place(|| {
            server.end(End::Killed);
            server.start_again();
        });
        slowest = slowest.max(writes_within(AGAIN_WITHIN, &running.url, &admin).await);
    }
    let ledger = writers.stop().await;
    ledger.verify(&running.url).await;
    assert_whole(&running.url).await;
    let url = Server::url_by(server.port, "tokenward");
    assert_events_agree(&url, &listed(&running.url).await, &ledger);
    println!(
        "P2 Postgres: {kills} kills of the database, {} acknowledged, 0 lost, {} answered 503, {} unanswered, writes again \
         at most {slowest:.1?} after PostgreSQL accepted",
        ledger.acknowledged(),
        ledger.refused,
        ledger.unanswered
    );
    assert_eq!(ledger.unanswered, 0, "the service itself lived on");
}
