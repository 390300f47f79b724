//! The machine's clock is set, forth and back, under a running service (P17): what has expired stays expired.

use std::{path::Path, process::Command, time::Duration};

use super::{Token, check, client, times, within};
use crate::support::{
    Database, Engine, PASSWORD,
    binary::{Running, command},
};

on_both_databases!(a_clock_that_is_set_expires_and_revives_nothing_it_should_not);

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
