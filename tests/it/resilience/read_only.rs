//! Somebody makes the database read-only: writes are 503, checks go on, and when it is over so is that.

use std::time::Duration;

use super::{Token, check, client, delete, make, times, within, writes_within};
use crate::{
    cluster::administer,
    support::{
        binary::{Running, command},
        postgres::Server,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_read_only_is_read() {
    let server = tokio::task::block_in_place(Server::durable);
    administer(server.port, "postgres", "create database tokenward").await;
    let running = Running::start_with(command(&Server::url_by(server.port, "tokenward")));
    let (http, url) = (client(), &running.url);
    let admin = Token::made_by(&running).await;
    let [good, gone] = [Token::made_by(&running).await, Token::made_by(&running).await];
    assert_eq!(delete(&http, url, &gone).await, Some(204));
    administer(server.port, "postgres", "alter database tokenward set default_transaction_read_only = on").await;
    // Sessions that began before go on as they are, also those that are beginning just now: ended until none is left that writes.
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = 'tokenward'";
    let is_refused = || async {
        administer(server.port, "postgres", end).await;
        let tries = futures_util::future::join_all((0..20).map(|_| make(&http, url, &admin))).await;
        tries.iter().all(|answer| matches!(answer, Some((503, _))))
    };
    within(Duration::from_secs(60), "writes are refused", is_refused).await;
    let is_let_in = || async { check(&http, url, &good.value).await == Some(200) };
    within(Duration::from_secs(60), "checks go on", is_let_in).await;
    let tries = times(30, 1_000);
    for _ in 0..tries {
        assert_eq!(make(&http, url, &admin).await.unwrap().0, 503);
        assert_eq!(delete(&http, url, &good).await, Some(503));
        assert_eq!(check(&http, url, &good.value).await, Some(200));
        assert_eq!(check(&http, url, &gone.value).await, Some(401));
    }
    administer(server.port, "postgres", "alter database tokenward reset default_transaction_read_only").await;
    let back = writes_within(Duration::from_secs(60), url, &admin).await;
    // Not one session is left that cannot write.
    let whole = || async {
        for _ in 0..50 {
            if make(&http, url, &admin).await.unwrap().0 != 201 {
                return false;
            }
        }
        true
    };
    within(Duration::from_secs(60), "every session writes", whole).await;
    println!(
        "read-only Postgres: {} writes answered 503, {} checks, 0 wrong, writes again after {back:.1?} without a restart",
        2 * tries,
        2 * tries
    );
}
