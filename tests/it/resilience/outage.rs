//! Database outages under load: no check has a wrong result, requests fail with 503 within a limit,
//! and the service recovers without a restart.

use std::time::Duration;

use tokio::{task::block_in_place, time::sleep};

use super::{
    Token,
    acknowledged_writes::Writers,
    checker::{Checkers, TokenKind},
    client, create_token, delete_token, is_long, iterations, wait_until, wait_until_recovered,
};
use crate::{
    cluster::{
        execute_sql,
        proxy::{Mode, Proxy},
    },
    support::{
        Database, TestApp,
        binary::{ServerProcess, tokenward_command},
        postgres::{PostgresServer, ShutdownMode},
    },
};

/// A fault of the database, or of the network to it.
#[derive(Clone, Copy, Debug)]
enum DatabaseFault {
    Stopped,
    Network(Mode),
}

/// The last fault resembles the first one, and is only part of the long form.
const FAULTS: [DatabaseFault; 4] = [
    DatabaseFault::Stopped,
    DatabaseFault::Network(Mode::Stall),
    DatabaseFault::Network(Mode::Reset),
    DatabaseFault::Network(Mode::Refuse),
];

/// Returns the limit for a response with 503. It is generous in the short form, which runs beside
/// other tests.
fn max_rejection_time() -> Duration {
    Duration::from_secs(if is_long() { 3 } else { 15 })
}

/// Returns the limit for the recovery after the outage.
fn max_recovery_time() -> Duration {
    Duration::from_secs(if is_long() { 5 } else { 60 })
}

struct OutageTest {
    server: PostgresServer,
    proxy: Proxy,
    running: ServerProcess,
    admin: Token,
    good: Vec<Token>,
    deleted: Vec<Token>,
}

impl OutageTest {
    async fn start() -> Self {
        let server = block_in_place(PostgresServer::durable);
        execute_sql(server.port, "postgres", "create database tokenward").await;
        let proxy = Proxy::start(server.port).await;
        let mut serve = tokenward_command(&PostgresServer::url_via_port(proxy.port, "tokenward"));
        serve.env("RUST_LOG", "error,tokenward::cli=info");
        let running = block_in_place(|| ServerProcess::start_with(serve));
        let admin = Token::create(&running).await;
        let (http, mut good, mut deleted) = (client(), Vec::new(), Vec::new());
        for n in 0..40 {
            let token = create_token(&http, &running.url, &admin).await.unwrap().1.unwrap();
            if n % 2 == 0 {
                assert_eq!(delete_token(&http, &running.url, &token).await, Some(204));
                deleted.push(token);
            } else {
                good.push(token);
            }
        }
        Self { server, proxy, running, admin, good, deleted }
    }

    /// Injects a fault for this time, and at least until a check has returned 503.
    async fn inject(&mut self, fault: DatabaseFault, length: Duration, checkers: &Checkers) {
        let duration = async {
            sleep(length).await;
            checkers.wait_for_503().await;
        };
        match fault {
            DatabaseFault::Stopped => {
                block_in_place(|| self.server.stop(ShutdownMode::Immediate));
                duration.await;
                block_in_place(|| self.server.start_again());
            }
            DatabaseFault::Network(mode) => {
                self.proxy.set_mode(mode);
                duration.await;
                self.proxy.set_mode(Mode::Pass);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_outage_yields_no_wrong_check_result() {
    let mut test = OutageTest::start().await;
    let length = Duration::from_secs(iterations(3, 60) as u64);
    for fault in FAULTS.into_iter().take(iterations(3, 4)) {
        let checkers = Checkers::start(&test.running.url, &test.good, &test.deleted, 8);
        let writers = Writers::start(&test.running.url, &test.admin, 2);
        writers.wait_for_writes(10).await;
        let before = resident_kib(test.running.pid());
        test.inject(fault, length, &checkers).await;
        let recovery = wait_until_recovered(max_recovery_time(), &test.running.url, &test.admin).await;
        let growth = resident_kib(test.running.pid()).saturating_sub(before);
        let (log, results) = (writers.stop().await, checkers.stop().await);
        results.assert_no_wrong_result();
        log.verify(&test.running.url).await;
        println!(
            "[measured] outage, Postgres {fault:?}: {} checks, 0 wrong, {} responses with 503 after at most {:.1?}; {} of {} writes \
             failed with 503 after at most {:.1?}; recovered after {recovery:.1?}; memory grew by {growth} KiB",
            results.total(),
            results.unavailable(),
            results.slowest_503,
            log.rejected,
            log.acknowledged() + log.rejected,
            log.slowest_rejection,
        );
        assert!(results.unavailable() > 0 && results.count(TokenKind::Valid, 200) > 0, "{results:?}");
        assert!(results.slowest_503 < max_rejection_time(), "{:?}", results.slowest_503);
        assert_eq!(log.unanswered, 0);
        // Memory growth does not depend on the length of the outage.
        assert!(growth < 64 * 1024, "memory grew by {growth} KiB");
    }
}

/// The node knows that it cannot connect, so no check waits for a query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_fail_without_a_query_while_the_database_is_unreachable() {
    let mut server = block_in_place(PostgresServer::durable);
    execute_sql(server.port, "postgres", "create database tokenward").await;
    let database = Database::on_own_server(&PostgresServer::url_via_port(server.port, "tokenward"));
    let app = TestApp::start_with(database, |_| ()).await;
    let token = app.admin().create_token().await;
    token.get("/v4/auth").await.expect(200);
    block_in_place(|| server.stop(ShutdownMode::Immediate));
    let queries = || app.state.node().stats().lookup_queries;
    // Until its lease has run out, the node answers from its cache.
    let fails_without_a_query = || async {
        let before = queries();
        let status = token.get("/v4/auth").await.status;
        assert!(matches!(status, 200 | 503), "{status}");
        status == 503 && queries() == before
    };
    wait_until(max_recovery_time(), "the node notices the outage", fails_without_a_query).await;
    for _ in 0..3 {
        assert!(fails_without_a_query().await);
    }
    block_in_place(|| server.start_again());
    let is_accepted = || async { token.get("/v4/auth").await.status == 200 };
    wait_until(max_recovery_time(), "checks after the outage", is_accepted).await;
}

/// Returns the resident memory of a process in KiB.
pub fn resident_kib(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the line VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
