//! Failover: the primary is killed and its standby promoted. The service finds the new primary, no
//! acknowledged write is lost, and no deleted token is ever accepted.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{WriteLog, Writers},
    assert_audit_log_matches,
    checker::{Checkers, TokenKind},
    client, create_token, iterations, list_token_ids, wait_until, wait_until_recovered,
};
use crate::{
    cluster::execute_sql,
    support::{
        binary::{ServerProcess, run_with_stdin, tokenward_command},
        postgres::{PostgresServer, ShutdownMode},
    },
};

/// A primary and a standby with synchronous replication.
struct ReplicatedPair {
    primary: PostgresServer,
    standby: PostgresServer,
}

impl ReplicatedPair {
    async fn start() -> Self {
        let (primary, standby) = block_in_place(|| {
            let primary = PostgresServer::durable();
            let standby = PostgresServer::standby_of(&primary);
            (primary, standby)
        });
        execute_sql(primary.port, "postgres", "create database tokenward").await;
        // A setting of the database overrides the command line. On the promoted standby, which has
        // no synchronous standby itself, it only requires a local flush.
        for statement in [
            "alter database tokenward set synchronous_commit = 'remote_apply'",
            "alter system set synchronous_standby_names = 'standby'",
        ] {
            execute_sql(primary.port, "postgres", statement).await;
        }
        execute_sql(primary.port, "postgres", "select pg_reload_conf()").await;
        while PgConnection::connect(&PostgresServer::url_via_port(standby.port, "tokenward")).await.is_err() {}
        Self { primary, standby }
    }

    /// Returns a URL with both hosts. The standby comes first, so that the service has to skip it.
    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/tokenward?target_session_attrs=read-write",
            self.standby.port, self.primary.port
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_is_found_and_no_write_is_lost() {
    for round in 0..iterations(1, 5) {
        fail_over(round).await;
    }
}

async fn fail_over(round: usize) {
    let mut pair = ReplicatedPair::start().await;
    let nodes = [
        ServerProcess::start_with(tokenward_command(&pair.url())),
        ServerProcess::start_with(tokenward_command(&pair.url())),
    ];
    let admin = Token::create(&nodes[0]).await;
    let good = create_tokens(&nodes[0], &admin, 5).await;
    let writers: Vec<_> = nodes.iter().map(|node| Writers::start(&node.url, &admin, 2)).collect();
    writers[0].wait_for_writes(60 + round * 7).await;
    writers[1].wait_for_writes(1).await;
    let checkers: Vec<_> =
        nodes.iter().map(|node| Checkers::start(&node.url, &good, &deleted_tokens(&writers), 2)).collect();
    writers[0].wait_for_writes(30).await;
    let deleted = deleted_tokens(&writers);
    block_in_place(|| pair.primary.stop(ShutdownMode::Killed));
    checkers.iter().for_each(|checkers| checkers.add_deleted(deleted.clone()));
    let promoted = Instant::now();
    execute_sql(pair.standby.port, "postgres", "select pg_promote()").await;
    for node in &nodes {
        wait_until_recovered(Duration::from_secs(10), &node.url, &admin).await;
    }
    let recovery = promoted.elapsed();
    for checkers in &checkers {
        checkers.add_deleted(deleted_tokens(&writers));
    }
    writers[0].wait_for_writes(30).await;
    let mut all = WriteLog::default();
    for (writers, node) in writers.into_iter().zip(&nodes) {
        let log = writers.stop().await;
        assert_eq!(log.unanswered, 0);
        for node in [node, &nodes[0]] {
            log.verify(&node.url).await;
        }
        all.merge(log);
    }
    assert_audit_log_matches(&pair.url(), &list_token_ids(&nodes[0].url).await, &all);
    let acknowledged = all.acknowledged();
    let (mut checks, mut unavailable) = (0, 0);
    for checkers in checkers {
        let results = checkers.stop().await;
        results.assert_no_wrong_result();
        assert!(results.count(TokenKind::Valid, 200) > 0 && results.count(TokenKind::Deleted, 401) > 0, "{results:?}");
        checks += results.total();
        unavailable += results.unavailable();
    }
    println!(
        "[measured] failover, Postgres: primary killed, standby promoted, writes on both nodes after {recovery:.1?}; \
         {acknowledged} acknowledged writes, 0 lost; {checks} checks, 0 wrong, {unavailable} responses with 503"
    );
}

fn deleted_tokens(writers: &[Writers]) -> Vec<Token> {
    writers.iter().flat_map(Writers::deleted).collect()
}

async fn create_tokens(node: &ServerProcess, admin: &Token, count: usize) -> Vec<Token> {
    let (http, mut tokens) = (client(), Vec::new());
    for _ in 0..count {
        tokens.push(create_token(&http, &node.url, admin).await.unwrap().1.expect("a token"));
    }
    tokens
}

/// A former primary that is restarted still has the tokens that were deleted since the failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_and_a_stale_primary_are_not_used() {
    let mut pair = ReplicatedPair::start().await;
    assert_start_fails_on(&pair.standby);
    let node = ServerProcess::start_with(tokenward_command(&pair.url()));
    let admin = Token::create(&node).await;
    let token = create_tokens(&node, &admin, 1).await.remove(0);
    block_in_place(|| pair.primary.stop(ShutdownMode::Killed));
    execute_sql(pair.standby.port, "postgres", "select pg_promote()").await;
    wait_until_recovered(Duration::from_secs(10), &node.url, &admin).await;
    let http = client();
    assert_eq!(super::delete_token(&http, &node.url, &token).await, Some(204));
    block_in_place(|| {
        pair.primary.start_again();
        pair.standby.stop(ShutdownMode::Fast);
    });
    // The node answers from its cache until its lease ends, and has no database after that.
    let is_503 = || async { super::check_token(&http, &node.url, &admin.value).await == Some(503) };
    wait_until(Duration::from_secs(10), "checks fail without a database", is_503).await;
    let checks: Vec<_> = (0..iterations(10, 200))
        .map(|_| {
            let (http, url, value) = (http.clone(), node.url.clone(), token.value.clone());
            tokio::spawn(async move { super::check_token(&http, &url, &value).await })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), Some(503));
    }
    block_in_place(|| pair.standby.start_again());
    wait_until_recovered(Duration::from_secs(10), &node.url, &admin).await;
    assert_eq!(super::check_token(&http, &node.url, &token.value).await, Some(401));
}

/// The data of a standby may be outdated.
fn assert_start_fails_on(standby: &PostgresServer) {
    let mut serve = tokenward_command(&PostgresServer::url_via_port(standby.port, "tokenward"));
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let output = block_in_place(|| run_with_stdin(serve, ""));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("standby"), "{stderr}");
}
