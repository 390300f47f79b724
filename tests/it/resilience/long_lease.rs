//! A long lease: nodes answer auth checks from their caches while the database is away, and a revocation
//! waits for a node that is cut off.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::{Token, client, create_token, delete_token, wait_until};
use crate::{
    cluster::{
        execute_sql,
        proxy::{Mode, Proxy},
    },
    support::{
        binary::{ServerProcess, tokenward_command},
        postgres::{PostgresServer, ShutdownMode},
    },
};

/// The limit for everything that is awaited; a lease of two minutes outlasts it.
const LIMIT: Duration = Duration::from_secs(90);

async fn start_server() -> PostgresServer {
    let server = block_in_place(PostgresServer::durable);
    execute_sql(server.port, "postgres", "create database tokenward").await;
    server
}

fn start_node(port: u16, lease: &str) -> ServerProcess {
    let mut serve = tokenward_command(&PostgresServer::url_via_port(port, "tokenward"));
    serve.env("RUST_LOG", "warn,tokenward::cli=info").env("TOKENWARD_CACHE__LEASE_DURATION", lease);
    block_in_place(|| ServerProcess::start_with(serve))
}

/// Returns the status of a request with a token.
async fn status(node: &ServerProcess, path: &str, token: &Token) -> u16 {
    let request = client().get(format!("{}{path}", node.url)).bearer_auth(&token.value);
    request.send().await.map_or(0, |response| response.status().as_u16())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_lease_bridges_an_outage_of_the_database() {
    let mut server = start_server().await;
    let node = start_node(server.port, "120s");
    let admin = Token::create(&node).await;
    let [cached, uncached] = [
        create_token(&client(), &node.url, &admin).await.unwrap().1.unwrap(),
        create_token(&client(), &node.url, &admin).await.unwrap().1.unwrap(),
    ];
    for _ in 0..2 {
        assert_eq!(status(&node, "/v4/auth", &cached).await, 200, "a check that fills the cache");
    }
    block_in_place(|| server.stop(ShutdownMode::Immediate));
    // An outage is noticed when the database does not answer the next connection.
    wait_until(LIMIT, "the node notices the outage", async || status(&node, "/v4/auth", &uncached).await == 503).await;
    for _ in 0..3 {
        assert_eq!(status(&node, "/v4/auth", &cached).await, 200, "a cached token");
        assert_eq!(status(&node, "/v4/auth", &uncached).await, 503, "a token that is not cached");
        assert_eq!(status(&node, "/v4/apiAccessTokens", &cached).await, 503, "a list");
    }
    wait_until(LIMIT, "readiness", async || status(&node, "/health/ready", &cached).await == 200).await;
    block_in_place(|| server.start_again());
    wait_until(LIMIT, "checks after the outage", async || status(&node, "/v4/auth", &uncached).await == 200).await;
    // The node has deleted the row of its former lease, so the deletion does not wait for it.
    let started_at = Instant::now();
    assert_eq!(delete_token(&client(), &node.url, &cached).await, Some(204));
    assert_eq!(status(&node, "/v4/auth", &cached).await, 401);
    println!("[measured] long lease: the deletion after the outage took {:.0?}", started_at.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_waits_for_a_node_that_is_cut_off() {
    let server = start_server().await;
    let proxy = Proxy::start(server.port).await;
    let [near, far] = [start_node(server.port, "4s"), start_node(proxy.port, "4s")];
    let admin = Token::create(&near).await;
    let token = create_token(&client(), &near.url, &admin).await.unwrap().1.unwrap();
    wait_until(LIMIT, "a cached check", async || status(&far, "/v4/auth", &token).await == 200).await;
    proxy.set_mode(Mode::Refuse);
    let started_at = Instant::now();
    assert_eq!(delete_token(&client(), &near.url, &token).await, Some(204));
    println!("[measured] a lease of 4 s: the deletion waited {:.1?} for a node that was cut off", started_at.elapsed());
    for _ in 0..20 {
        assert_eq!(status(&far, "/v4/auth", &token).await, 503, "the far node cannot perform checks");
    }
    proxy.set_mode(Mode::Pass);
    wait_until(LIMIT, "checks of the far node", async || status(&far, "/v4/auth", &admin).await == 200).await;
    assert_eq!(status(&far, "/v4/auth", &token).await, 401);
}
