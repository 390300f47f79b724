//! A database that becomes read-only: writes return 503, checks continue, and writes succeed again
//! afterwards.

use std::time::Duration;

use super::{Token, check_token, client, create_token, delete_token, iterations, wait_until, wait_until_recovered};
use crate::{
    cluster::execute_sql,
    support::{
        binary::{ServerProcess, tokenward_command},
        postgres::PostgresServer,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_still_serves_checks() {
    let server = tokio::task::block_in_place(PostgresServer::durable);
    execute_sql(server.port, "postgres", "create database tokenward").await;
    let running = ServerProcess::start_with(tokenward_command(&PostgresServer::url_via_port(server.port, "tokenward")));
    let (http, url) = (client(), &running.url);
    let admin = Token::create(&running).await;
    let [valid, deleted] = [Token::create(&running).await, Token::create(&running).await];
    assert_eq!(delete_token(&http, url, &deleted).await, Some(204));
    execute_sql(server.port, "postgres", "alter database tokenward set default_transaction_read_only = on").await;
    // Existing sessions keep the old setting, even those that are just starting. They are
    // terminated until none can write.
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'tokenward'";
    let all_writes_fail = || async {
        execute_sql(server.port, "postgres", end).await;
        let results = futures_util::future::join_all((0..20).map(|_| create_token(&http, url, &admin))).await;
        results.iter().all(|result| matches!(result, Some((503, _))))
    };
    wait_until(Duration::from_secs(60), "writes are rejected", all_writes_fail).await;
    let is_accepted = || async { check_token(&http, url, &valid.value).await == Some(200) };
    wait_until(Duration::from_secs(60), "checks continue", is_accepted).await;
    let rounds = iterations(30, 1_000);
    for _ in 0..rounds {
        assert_eq!(create_token(&http, url, &admin).await.unwrap().0, 503);
        assert_eq!(delete_token(&http, url, &valid).await, Some(503));
        assert_eq!(check_token(&http, url, &valid.value).await, Some(200));
        assert_eq!(check_token(&http, url, &deleted.value).await, Some(401));
    }
    execute_sql(server.port, "postgres", "alter database tokenward reset default_transaction_read_only").await;
    let recovery = wait_until_recovered(Duration::from_secs(60), url, &admin).await;
    // No session of the pool is still read-only.
    let all_sessions_write = || async {
        for _ in 0..50 {
            if create_token(&http, url, &admin).await.unwrap().0 != 201 {
                return false;
            }
        }
        true
    };
    wait_until(Duration::from_secs(60), "every session can write", all_sessions_write).await;
    println!(
        "[measured] read-only, Postgres: {} writes failed with 503, {} checks, 0 wrong, writes again after {recovery:.1?} without a \
         restart",
        2 * rounds,
        2 * rounds
    );
}
