//! The machine's clock is set, forth and back, under a running service, across a restart and differently on two nodes (P17): what has
//! expired stays expired.

use std::{path::Path, process::Command, time::Duration};

use super::{Token, check, client, times, within};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command, run},
};

on_both_databases!(
    a_clock_that_is_set_expires_and_revives_nothing_it_should_not,
    a_clock_that_is_set_back_across_a_restart_revives_nothing,
    a_machine_whose_clock_was_a_year_ahead_does_not_spoil_the_database,
);

const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];

async fn a_clock_that_is_set_expires_and_revives_nothing_it_should_not(engine: Engine) {
    let database = Database::empty(engine).await;
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set(&clock, "+0s");
    let running = Running::start_with(under(&clock, &database.url));
    let (http, url) = (client(), &running.url);
    let short = token_for(&running, 1_800).await;
    let long = token_for(&running, 100_000).await;
    assert_eq!(check(&http, url, &short.value).await, Some(200));
    set(&clock, "+3600s");
    let is_expired = || async { check(&http, url, &short.value).await == Some(401) };
    within(Duration::from_secs(3), "an hour later it has expired", is_expired).await;
    assert_eq!(check(&http, url, &long.value).await, Some(200));
    set(&clock, "-3600s");
    let checks = times(300, 10_000);
    for n in 0..checks {
        assert_eq!(check(&http, url, &short.value).await, Some(401), "check {n} after the clock went back");
        assert_eq!(check(&http, url, &long.value).await, Some(200));
    }
    // What is made now lives from the latest moment that was seen.
    let fresh = token_for(&running, 60).await;
    assert_eq!(check(&http, url, &fresh.value).await, Some(200));
    println!("P17 {engine:?}: an hour forth, two back: 0 of {checks} checks let in by what had expired, 0 early");
}

fn set(clock: &Path, offset: &str) {
    // In one piece, as the service may look at any moment.
    let next = clock.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::rename(next, clock).unwrap();
}

fn under(clock: &Path, url: &str) -> Command {
    let library = LIBRARIES.iter().find(|library| Path::new(library).exists());
    let library = library.expect("this test needs libfaketime: scripts/test installs it (package faketime)");
    let mut serve = command(url);
    serve.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
    serve.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    serve
}

async fn token_for(running: &Running, seconds: u32) -> Token {
    let asked = client().post(format!("{}/v4/apiAccessTokens", running.url));
    let asked = asked.basic_auth("admin@example.com", Some(PASSWORD));
    let reply = asked.json(&serde_json::json!({"lifetimeSeconds": seconds})).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    Token::of(&reply.json().await.unwrap())
}

/// A node whose clock goes by this file.
struct Machine {
    folder: tempfile::TempDir,
    url: String,
}

impl Machine {
    fn of(database: &Database, offset: &str) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), url: database.url.clone() };
        machine.set(offset);
        machine
    }

    fn set(&self, offset: &str) {
        set(&self.folder.path().join("clock"), offset);
    }

    fn command(&self) -> Command {
        under(&self.folder.path().join("clock"), &self.url)
    }

    fn start(&self) -> Running {
        tokio::task::block_in_place(|| Running::start_with(self.command()))
    }

    /// Runs a command to its end; gives whether it went well, and all that it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.command();
        command.args(arguments);
        let output = tokio::task::block_in_place(|| run(command, ""));
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    }
}

fn stop(running: Running) -> String {
    running.signal("TERM");
    let (code, log) = tokio::task::block_in_place(|| running.wait());
    assert_eq!(code, Some(0), "{log}");
    log
}

async fn is_refused(http: &reqwest::Client, running: &Running, token: &Token) -> bool {
    check(http, &running.url, &token.value).await == Some(401)
}

/// For as long as a node may take to write the time, and another to read it.
const SOON: Duration = Duration::from_secs(30);

async fn a_clock_that_is_set_back_across_a_restart_revives_nothing(engine: Engine) {
    let database = Database::empty(engine).await;
    let (http, machine) = (client(), Machine::of(&database, "+0s"));
    let running = machine.start();
    let (short, long) = (token_for(&running, 1_800).await, token_for(&running, 100_000).await);
    assert_eq!(check(&http, &running.url, &short.value).await, Some(200));
    machine.set("+3600s");
    within(SOON, "an hour later it has expired", || is_refused(&http, &running, &short)).await;
    stop(running);
    let restarts = times(3, 20);
    for offset in ["+0s", "-3600s", "+0s"].into_iter().cycle().take(restarts) {
        machine.set(offset);
        let running = machine.start();
        for _ in 0..20 {
            assert_eq!(check(&http, &running.url, &short.value).await, Some(401), "restarted at {offset}");
            assert_eq!(check(&http, &running.url, &long.value).await, Some(200));
        }
        let fresh = token_for(&running, 60).await;
        assert_eq!(check(&http, &running.url, &fresh.value).await, Some(200));
        let (is_fine, said) =
            if engine == Engine::Postgres { machine.run(&["person", "list"]) } else { (true, String::new()) };
        assert!(is_fine, "{said}");
        let log = stop(running);
        assert!(log.contains("behind the latest time in the database"), "{log}");
    }
    println!(
        "P17 {engine:?}: an hour forth, restarted {restarts} times up to two hours back: 0 let in by what had expired"
    );
}

/// PostgreSQL only: one process has a SQLite file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_whose_clocks_are_an_hour_apart_agree_on_what_has_expired() {
    let database = Database::empty(Engine::Postgres).await;
    let (right, behind, ahead) =
        (Machine::of(&database, "+0s"), Machine::of(&database, "-3600s"), Machine::of(&database, "+3600s"));
    let http = client();
    let right = right.start();
    let behind = behind.start();
    let (short, half_an_hour, long) =
        (token_for(&right, 2).await, token_for(&right, 1_800).await, token_for(&behind, 100_000).await);
    within(SOON, "it expires", || is_refused(&http, &right, &short)).await;
    within(SOON, "it expires where the clock is an hour behind", || is_refused(&http, &behind, &short)).await;
    let ahead = ahead.start();
    assert!(is_refused(&http, &ahead, &half_an_hour).await, "by that clock it has expired");
    for node in [&right, &behind] {
        within(SOON, "what has expired on one node expires on all", || is_refused(&http, node, &half_an_hour)).await;
    }
    drop(ahead);
    let checks = times(100, 2_000);
    for node in [&right, &behind] {
        for _ in 0..checks {
            assert!(is_refused(&http, node, &short).await && is_refused(&http, node, &half_an_hour).await);
            assert_eq!(check(&http, &node.url, &long.value).await, Some(200));
        }
    }
    println!("P17 Postgres: three nodes an hour apart: 0 of {} checks let in by what had expired on one", 4 * checks);
}

async fn a_machine_whose_clock_was_a_year_ahead_does_not_spoil_the_database(engine: Engine) {
    let database = Database::empty(engine).await;
    let (http, machine) = (client(), Machine::of(&database, "+0s"));
    let running = machine.start();
    let day = token_for(&running, 86_400).await;
    // A clock that jumps while a node runs takes the time in the database two hours along at the most.
    machine.set("+365d");
    within(SOON, "it has expired by that clock", || is_refused(&http, &running, &day)).await;
    stop(running);
    machine.set("+0s");
    let running = machine.start();
    assert_eq!(check(&http, &running.url, &day.value).await, Some(200), "it had not expired");
    stop(running);
    // One that starts so: PostgreSQL has a clock of its own to hold it against, a file has not.
    machine.set("+365d");
    stop(machine.start());
    machine.set("+0s");
    if engine == Engine::Sqlite {
        for command in [["serve"].as_slice(), &["person", "list"]] {
            let (is_fine, said) = machine.run(command);
            assert!(
                !is_fine && said.contains("more than 24 hours") && said.contains("tokenward clock reset"),
                "{said}"
            );
        }
        let (is_fine, said) = machine.run(&["clock", "reset"]);
        assert!(is_fine && said.contains("the latest time was"), "{said}");
    }
    let running = machine.start();
    assert_eq!(check(&http, &running.url, &day.value).await, Some(200));
}
