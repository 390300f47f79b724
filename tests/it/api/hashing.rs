//! The queue of passwords to be hashed: what waits in it, what does not, and what a try costs.

use futures_util::{future::join_all, poll};
use serde_json::json;
use tokenward::config::Config;

use crate::support::{Client, Database, Engine, PASSWORD, TestApp, Visitor, basic};

on_both_databases!(
    tries_that_are_rejected_unread_keep_nobody_out,
    tries_of_one_account_hold_no_more_places_than_are_hashed,
    a_full_queue_is_an_outage_and_costs_no_try,
    accounts_that_are_unknown_or_disabled_cost_as_many_hashes,
    a_sign_in_after_a_change_of_cost_hashes_again_and_begins_a_session,
);

const ATTACKER: &str = "203.0.113.1";

/// Each place of the queue is one that is hashed in.
async fn start(engine: Engine) -> TestApp {
    let change = |config: &mut Config| {
        config.passwords.queue = 0;
        config.limits.wrong_passwords_per_address = 3;
        // What is held back here is not given up.
        config.http.request_timeout_ms = 600_000;
    };
    TestApp::with(Database::migrated(engine).await, change).await
}

fn client(app: &TestApp, email: &str, password: &str, from: &str) -> Client {
    app.presenting(&[&basic(email, password)]).from(from)
}

async fn status(client: &Client) -> u16 {
    client.get("/v4/people/current").await.status
}

fn hashes(app: &TestApp) -> u64 {
    app.app.sign_in().hashing().0
}

fn places(app: &TestApp) -> usize {
    app.app.sign_in().hashing().1
}

async fn tries_that_are_rejected_unread_keep_nobody_out(engine: Engine) {
    let app = start(engine).await;
    let attacker = client(&app, "admin@example.com", "wrong", ATTACKER);
    for _ in 0..3 {
        assert_eq!(status(&attacker).await, 401);
    }
    for connections in [140, 400, 508] {
        let before = hashes(&app);
        let mut flood = Box::pin(join_all((0..connections).map(|_| status(&attacker))));
        // Each of them has been rejected, and is delayed.
        assert!(poll!(flood.as_mut()).is_pending());
        assert_eq!(places(&app), 0);
        let honest = async {
            for n in 0..20 {
                let owner = client(&app, "admin@example.com", PASSWORD, "198.51.100.7");
                assert_eq!(status(&owner).await, 200, "{n} beside {connections}");
            }
            app.visitor().from("198.51.100.8").sign_in("admin@example.com", PASSWORD).await.expect(303);
        };
        let (statuses, ()) = tokio::join!(flood, honest);
        assert!(statuses.iter().all(|status| *status == 429));
        assert_eq!(hashes(&app) - before, 21, "none of the flood was hashed");
    }
}

async fn tries_of_one_account_hold_no_more_places_than_are_hashed(engine: Engine) {
    let change = |config: &mut Config| config.passwords.queue = 50;
    let app = TestApp::with(Database::migrated(engine).await, change).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let held = app.app.sign_in().hold_hashing().await;
    let one = app.presenting(&[&basic("nobody@example.com", "wrong")]);
    let mut flood = Box::pin(join_all((0..100).map(|_| status(&one))));
    let owner = app.admin();
    let mut honest = Box::pin(owner.get("/v4/people/current"));
    // The account's queue lets one for each core through; the owner's place comes on top.
    while places(&app) < cores + 1 {
        assert!(poll!(flood.as_mut()).is_pending() && poll!(honest.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!(poll!(flood.as_mut()).is_pending());
        assert_eq!(places(&app), cores + 1);
        tokio::task::yield_now().await;
    }
    drop(held);
    let (statuses, reply) = tokio::join!(flood, honest);
    assert_eq!(reply.status, 200);
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)));
    assert_eq!(places(&app), 0);
}

async fn a_full_queue_is_an_outage_and_costs_no_try(engine: Engine) {
    let app = start(engine).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let held = app.app.sign_in().hold_hashing().await;
    let emails = (0..cores).map(|n| basic(&format!("somebody{n}@example.com"), "wrong"));
    let clients: Vec<Client> = emails.map(|field| app.presenting(&[&field])).collect();
    let mut waiting = Box::pin(join_all(clients.iter().map(status)));
    while places(&app) < cores {
        assert!(poll!(waiting.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let late = client(&app, "late@example.com", "wrong", ATTACKER);
    // More of them than the address may get wrong, and never more at once.
    for _ in 0..2 {
        for reply in join_all((0..3).map(|_| late.get("/v4/people/current"))).await {
            reply.expect_error(503, "ServiceUnavailableException");
        }
    }
    drop(held);
    assert!(waiting.await.iter().all(|status| *status == 401));
    assert_eq!(status(&late).await, 401, "nothing was counted");
}

async fn accounts_that_are_unknown_or_disabled_cost_as_many_hashes(engine: Engine) {
    let app = TestApp::with(Database::migrated(engine).await, |_| ()).await;
    app.person("ada").await;
    let off = app.person("off").await;
    app.admin().change(off.id, json!({"isDisabled": true})).await.expect(200);
    let cost = async |email: &str, password: &str| {
        let before = hashes(&app);
        assert_eq!(status(&app.presenting(&[&basic(email, password)])).await, 401);
        app.visitor().sign_in(email, password).await.expect(403);
        hashes(&app) - before
    };
    for (email, password) in [
        ("ada@example.com", "wrong"),
        ("off@example.com", "wrong"),
        ("off@example.com", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("", "wrong"),
    ] {
        assert_eq!(cost(email, password).await, 2, "{email} {password}");
    }
    // What no account can have costs none, whoever is named.
    for email in ["ada@example.com", "nobody@example.com"] {
        assert_eq!(cost(email, "").await, 0);
    }
}

async fn is_in(visitor: &Visitor) -> bool {
    visitor.get("/preferences/profile").await.status == 200
}

async fn a_sign_in_after_a_change_of_cost_hashes_again_and_begins_a_session(engine: Engine) {
    let app = TestApp::with(Database::migrated(engine).await, |_| ()).await;
    app.person("ada").await;
    let TestApp { database, store, app: former, .. } = app;
    store.close().await;
    drop(former);
    let mut app = TestApp::with(database, |config| config.passwords.iterations = 2).await;
    // At once: one of them replaces the hash, and the sessions of both are good.
    let visitors = [app.visitor(), app.visitor()];
    for reply in join_all(visitors.iter().map(|visitor| visitor.sign_in("ada@example.com", PASSWORD))).await {
        reply.expect(303);
    }
    assert!(is_in(&visitors[0]).await && is_in(&visitors[1]).await);
    assert_eq!(status(&app.presenting(&[&basic("admin@example.com", PASSWORD)])).await, 200);
    let before = hashes(&app);
    app.visitor().sign_in("ada@example.com", PASSWORD).await.expect(303);
    assert_eq!(hashes(&app) - before, 1, "the second time nothing is hashed again");
    assert_eq!(status(&app.presenting(&[&basic("ada@example.com", "wrong")])).await, 401);
    let new = app.look("select cast(count(*) as text) from person where password_hash like '%m=64,t=2,p=1%'").await;
    assert_eq!(new.as_deref(), Some("2"));
}
