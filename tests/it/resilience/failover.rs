//! The primary is killed and its standby promoted (P4): the service finds the new primary by itself, nothing that was
//! acknowledged is lost, and nothing deleted is let in at any moment.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};
use tokio::task::block_in_place;

use super::{
    Token,
    acknowledged_writes::{Ledger, Writers},
    assert_events_agree,
    checker::{Checkers, Kind},
    client, listed, make, times, within, writes_within,
};
use crate::{
    cluster::administer,
    support::{
        binary::{Running, command, run},
        postgres::{End, Server},
    },
};

/// A primary and a standby that has applied whatever the primary acknowledges.
struct Pair {
    primary: Server,
    standby: Server,
}

impl Pair {
    async fn start() -> Self {
        let (primary, standby) = block_in_place(|| {
            let primary = Server::durable();
            let standby = Server::standby_of(&primary);
            (primary, standby)
        });
        administer(primary.port, "postgres", "create database tokenward").await;
        // Of the database, so that it wins over the command line; without names, as on the standby once it is promoted, it asks for
        // nothing more than the own disk.
        for statement in [
            "alter database tokenward set synchronous_commit = 'remote_apply'",
            "alter system set synchronous_standby_names = 'standby'",
        ] {
            administer(primary.port, "postgres", statement).await;
        }
        administer(primary.port, "postgres", "select pg_reload_conf()").await;
        while PgConnection::connect(&Server::url_by(standby.port, "tokenward")).await.is_err() {}
        Self { primary, standby }
    }

    /// The URL of both. The standby first: it has to be passed over.
    fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/tokenward?target_session_attrs=read-write",
            self.standby.port, self.primary.port
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_is_found_and_nothing_is_lost() {
    for round in 0..times(1, 5) {
        fail_over(round).await;
    }
}

async fn fail_over(round: usize) {
    let mut pair = Pair::start().await;
    let nodes = [Running::start_with(command(&pair.url())), Running::start_with(command(&pair.url()))];
    let admin = Token::made_by(&nodes[0]).await;
    let good = stock(&nodes[0], &admin, 5).await;
    let writers: Vec<_> = nodes.iter().map(|node| Writers::start(&node.url, &admin, 2)).collect();
    writers[0].have_done(60 + round * 7).await;
    writers[1].have_done(1).await;
    let checkers: Vec<_> = nodes.iter().map(|node| Checkers::start(&node.url, &good, &deleted(&writers), 2)).collect();
    writers[0].have_done(30).await;
    let gone = deleted(&writers);
    block_in_place(|| pair.primary.end(End::Killed));
    checkers.iter().for_each(|checkers| checkers.know_deleted(gone.clone()));
    let promoted = Instant::now();
    administer(pair.standby.port, "postgres", "select pg_promote()").await;
    for node in &nodes {
        writes_within(Duration::from_secs(10), &node.url, &admin).await;
    }
    let back = promoted.elapsed();
    for checkers in &checkers {
        checkers.know_deleted(deleted(&writers));
    }
    writers[0].have_done(30).await;
    let mut all = Ledger::default();
    for (writers, node) in writers.into_iter().zip(&nodes) {
        let ledger = writers.stop().await;
        assert_eq!(ledger.unanswered, 0);
        for node in [node, &nodes[0]] {
            ledger.verify(&node.url).await;
        }
        all.merge(ledger);
    }
    assert_events_agree(&pair.url(), &listed(&nodes[0].url).await, &all);
    let acknowledged = all.acknowledged();
    let (mut checks, mut refused) = (0, 0);
    for checkers in checkers {
        let seen = checkers.stop().await;
        seen.expect_closed();
        assert!(seen.count(Kind::Good, 200) > 0 && seen.count(Kind::Deleted, 401) > 0, "{seen:?}");
        checks += seen.all();
        refused += seen.unavailable();
    }
    println!(
        "P4 Postgres: primary killed, standby promoted, writes back on both nodes after {back:.1?}; {acknowledged} \
         acknowledged, 0 lost; {checks} checks, 0 wrong, {refused} answered 503"
    );
}

fn deleted(writers: &[Writers]) -> Vec<Token> {
    writers.iter().flat_map(Writers::deleted).collect()
}

async fn stock(node: &Running, admin: &Token, count: usize) -> Vec<Token> {
    let (http, mut tokens) = (client(), Vec::new());
    for _ in 0..count {
        tokens.push(make(&http, &node.url, admin).await.unwrap().1.expect("a token"));
    }
    tokens
}

/// A primary that was overtaken, and comes back as if nothing had happened, has all that was deleted since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_refused_and_so_is_a_primary_that_was_overtaken() {
    let mut pair = Pair::start().await;
    refuses_to_start_on(&pair.standby);
    let node = Running::start_with(command(&pair.url()));
    let admin = Token::made_by(&node).await;
    let token = stock(&node, &admin, 1).await.remove(0);
    block_in_place(|| pair.primary.end(End::Killed));
    administer(pair.standby.port, "postgres", "select pg_promote()").await;
    writes_within(Duration::from_secs(10), &node.url, &admin).await;
    let http = client();
    assert_eq!(super::delete(&http, &node.url, &token).await, Some(204));
    block_in_place(|| {
        pair.primary.start_again();
        pair.standby.end(End::Fast);
    });
    // What it knows by heart lasts as long as its lease; then it asks, and nobody is there to be asked.
    let is_503 = || async { super::check(&http, &node.url, &admin.value).await == Some(503) };
    within(Duration::from_secs(10), "no database", is_503).await;
    let checks: Vec<_> = (0..times(10, 200))
        .map(|_| {
            let (http, url, value) = (http.clone(), node.url.clone(), token.value.clone());
            tokio::spawn(async move { super::check(&http, &url, &value).await })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), Some(503));
    }
    block_in_place(|| pair.standby.start_again());
    writes_within(Duration::from_secs(10), &node.url, &admin).await;
    assert_eq!(super::check(&http, &node.url, &token.value).await, Some(401));
}

/// What a standby says may be old.
fn refuses_to_start_on(standby: &Server) {
    let mut serve = command(&Server::url_by(standby.port, "tokenward"));
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    let output = block_in_place(|| run(serve, ""));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("standby"), "{said}");
}
