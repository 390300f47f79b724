//! The system clock is set forward and back: under a running service, across a restart, and
//! differently on several nodes. Expired tokens stay expired, and replaced ones stay deleted.

use std::{path::Path, process::Command, time::Duration};

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{Token, check_token, client, iterations, wait_until};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{ServerProcess, run_with_stdin, tokenward_command},
    both_databases_multi_thread,
};

const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];

#[apply(both_databases_multi_thread)]
async fn setting_the_clock_back_revives_no_expired_token(engine: Engine) {
    let database = Database::empty(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set_clock(&clock, "+0s");
    let running = ServerProcess::start_with(with_fake_clock(&clock, &database.url));
    let (http, url) = (client(), &running.url);
    let short = create_token_with_lifetime(&running, 1_800).await;
    let long = create_token_with_lifetime(&running, 100_000).await;
    let replaced = create_replaced_token(&running, 1_800).await;
    for valid in [&short, &replaced] {
        assert_eq!(check_token(&http, url, &valid.value).await, Some(200));
    }
    set_clock(&clock, "+3600s");
    for ended in [&short, &replaced] {
        wait_until(Duration::from_secs(3), "the tokens end an hour later", || is_rejected(&http, &running, ended))
            .await;
    }
    assert_eq!(check_token(&http, url, &long.value).await, Some(200));
    set_clock(&clock, "-3600s");
    let checks = iterations(300, 10_000);
    for n in 0..checks {
        for ended in [&short, &replaced] {
            assert_eq!(check_token(&http, url, &ended.value).await, Some(401), "check {n} after the clock went back");
        }
        assert_eq!(check_token(&http, url, &long.value).await, Some(200));
    }
    // The lifetime of a new token starts at the latest time that the service has seen.
    let fresh = create_token_with_lifetime(&running, 60).await;
    assert_eq!(check_token(&http, url, &fresh.value).await, Some(200));
    println!(
        "[measured] clock, {engine:?}: one hour forward, two back: 0 of {checks} checks of an expired token accepted"
    );
}

fn set_clock(clock: &Path, offset: &str) {
    // Replaced atomically, because the service reads the file at any time.
    let next = clock.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::rename(next, clock).unwrap();
}

fn with_fake_clock(clock: &Path, url: &str) -> Command {
    let library = LIBRARIES.iter().find(|library| Path::new(library).exists());
    let library = library.expect("this test needs libfaketime: scripts/test installs it (package faketime)");
    let mut serve = tokenward_command(url);
    serve.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
    serve.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    serve
}

async fn create_token_with_lifetime(running: &ServerProcess, seconds: u32) -> Token {
    create_token(running, &json!({"lifetimeSeconds": seconds})).await
}

/// Creates a token that never expires, and replaces it. Returns the replaced token.
async fn create_replaced_token(running: &ServerProcess, grace_seconds: u32) -> Token {
    let old = create_token(running, &json!({"lifetimeSeconds": -1})).await;
    create_token(running, &json!({"replaces": old.id, "graceSeconds": grace_seconds})).await;
    old
}

async fn create_token(running: &ServerProcess, body: &Value) -> Token {
    let request = client().post(format!("{}/v4/apiAccessTokens", running.url));
    let request = request.basic_auth("admin@example.com", Some(PASSWORD));
    let reply = request.json(body).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    Token::from_response(&reply.json().await.unwrap())
}

/// A node whose clock is read from a file.
struct FakeClockNode {
    folder: tempfile::TempDir,
    url: String,
}

impl FakeClockNode {
    fn new(database: &Database, offset: &str) -> Self {
        let fake_node = Self { folder: tempfile::tempdir().unwrap(), url: database.url.clone() };
        fake_node.set(offset);
        fake_node
    }

    fn set(&self, offset: &str) {
        set_clock(&self.folder.path().join("clock"), offset);
    }

    fn command(&self) -> Command {
        with_fake_clock(&self.folder.path().join("clock"), &self.url)
    }

    fn start(&self) -> ServerProcess {
        tokio::task::block_in_place(|| ServerProcess::start_with(self.command()))
    }

    /// Runs a command. Returns whether it succeeded, and its output.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command();
        command.args(arguments);
        let output = tokio::task::block_in_place(|| run_with_stdin(command, ""));
        let bytes = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(bytes).unwrap())
    }
}

fn stop(running: ServerProcess) -> String {
    running.send_signal("TERM");
    let (code, log) = tokio::task::block_in_place(|| running.wait_for_exit());
    assert_eq!(code, Some(0), "{log}");
    log
}

async fn is_rejected(http: &reqwest::Client, running: &ServerProcess, token: &Token) -> bool {
    check_token(http, &running.url, &token.value).await == Some(401)
}

/// The limit for a node to write its time and for another node to read it.
const EXPIRY_TIMEOUT: Duration = Duration::from_secs(30);

#[apply(both_databases_multi_thread)]
async fn setting_the_clock_back_across_a_restart_revives_no_expired_token(engine: Engine) {
    let database = Database::empty(engine).await;
    let (http, fake_node) = (client(), FakeClockNode::new(&database, "+0s"));
    let running = fake_node.start();
    let (short, long) =
        (create_token_with_lifetime(&running, 1_800).await, create_token_with_lifetime(&running, 100_000).await);
    let replaced = create_replaced_token(&running, 1_800).await;
    for valid in [&short, &replaced] {
        assert_eq!(check_token(&http, &running.url, &valid.value).await, Some(200));
    }
    fake_node.set("+3600s");
    for ended in [&short, &replaced] {
        wait_until(EXPIRY_TIMEOUT, "the tokens end an hour later", || is_rejected(&http, &running, ended)).await;
    }
    stop(running);
    let restarts = iterations(3, 20);
    for offset in ["+0s", "-3600s", "+0s"].into_iter().cycle().take(restarts) {
        fake_node.set(offset);
        let running = fake_node.start();
        for _ in 0..20 {
            for ended in [&short, &replaced] {
                assert_eq!(check_token(&http, &running.url, &ended.value).await, Some(401), "restarted at {offset}");
            }
            assert_eq!(check_token(&http, &running.url, &long.value).await, Some(200));
        }
        let fresh = create_token_with_lifetime(&running, 60).await;
        assert_eq!(check_token(&http, &running.url, &fresh.value).await, Some(200));
        let (succeeded, output) =
            if engine == Engine::Postgres { fake_node.run(&["person", "list"]) } else { (true, String::new()) };
        assert!(succeeded, "{output}");
        let log = stop(running);
        assert!(log.contains("behind the latest time in the database"), "{log}");
    }
    println!(
        "[measured] clock, {engine:?}: one hour forward, {restarts} restarts up to two hours back: no expired token accepted"
    );
}

/// PostgreSQL only, because a SQLite file is used by one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_clocks_an_hour_apart_agree_on_expiry() {
    let database = Database::empty(Engine::Postgres).await;
    let (correct, late, early) = (
        FakeClockNode::new(&database, "+0s"),
        FakeClockNode::new(&database, "-3600s"),
        FakeClockNode::new(&database, "+3600s"),
    );
    let http = client();
    let correct = correct.start();
    let late = late.start();
    let long = create_token_with_lifetime(&late, 100_000).await;
    let seconds = [create_token_with_lifetime(&correct, 2).await, create_replaced_token(&late, 2).await];
    let half_an_hour = [create_token_with_lifetime(&correct, 1_800).await, create_replaced_token(&late, 1_800).await];
    for token in &seconds {
        for node in [&correct, &late] {
            let ends = || is_rejected(&http, node, token);
            wait_until(EXPIRY_TIMEOUT, "a token ends also on the node with the late clock", ends).await;
        }
    }
    let early = early.start();
    for token in &half_an_hour {
        assert!(is_rejected(&http, &early, token).await, "the node with the early clock rejects the token");
        for node in [&correct, &late] {
            let ends = || is_rejected(&http, node, token);
            wait_until(EXPIRY_TIMEOUT, "a token that has ended on one node ends on all", ends).await;
        }
    }
    drop(early);
    let checks = iterations(100, 2_000);
    for node in [&correct, &late] {
        for _ in 0..checks {
            for ended in seconds.iter().chain(&half_an_hour) {
                assert!(is_rejected(&http, node, ended).await);
            }
            assert_eq!(check_token(&http, &node.url, &long.value).await, Some(200));
        }
    }
    println!(
        "[measured] clock, Postgres: three nodes an hour apart: 0 of {} checks of an ended token accepted",
        8 * checks
    );
}

#[apply(both_databases_multi_thread)]
async fn a_clock_a_year_ahead_leaves_the_database_usable(engine: Engine) {
    let database = Database::empty(engine).await;
    let (http, fake_node) = (client(), FakeClockNode::new(&database, "+0s"));
    let running = fake_node.start();
    let day = create_token_with_lifetime(&running, 86_400).await;
    // A jump of the clock of a running node advances the time in the database by at most two hours.
    fake_node.set("+365d");
    wait_until(EXPIRY_TIMEOUT, "the token expires by that clock", || is_rejected(&http, &running, &day)).await;
    stop(running);
    fake_node.set("+0s");
    let running = fake_node.start();
    assert_eq!(check_token(&http, &running.url, &day.value).await, Some(200), "the token has not expired");
    stop(running);
    // A node that starts with a wrong clock: PostgreSQL has its own clock for comparison, SQLite
    // has not.
    fake_node.set("+365d");
    stop(fake_node.start());
    fake_node.set("+0s");
    if engine == Engine::Sqlite {
        for command in [["serve"].as_slice(), &["person", "list"]] {
            let (succeeded, output) = fake_node.run(command);
            assert!(
                !succeeded && output.contains("more than 24 hours") && output.contains("tokenward clock reset"),
                "{output}"
            );
        }
        let (succeeded, output) = fake_node.run(&["clock", "reset"]);
        assert!(succeeded && output.contains("the latest time was"), "{output}");
    }
    let running = fake_node.start();
    assert_eq!(check_token(&http, &running.url, &day.value).await, Some(200));
}
