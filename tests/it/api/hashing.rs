//! The queue of password hashing: which logins wait in it, and what a failed login costs.

use futures_util::{future::join_all, poll};
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::config::Config;

use crate::support::{
    ApiClient, Browser, Database, Engine, PASSWORD, TestApp, basic_auth, both_databases_multi_thread,
};

const ATTACKER: &str = "203.0.113.1";

/// Starts the service with an empty queue: a slot for each password that is being hashed, none for
/// waiting.
async fn start_with_empty_queue(engine: Engine) -> TestApp {
    let change = |config: &mut Config| {
        config.passwords.max_queued = 0;
        config.rate_limits.failed_logins_per_ip = 3;
        // Requests that are delayed here must not time out.
        config.http.request_timeout = tokenward::config::ConfigDuration::from_millis(600_000);
    };
    TestApp::start_with(Database::migrated(engine).await, change).await
}

fn client_from(app: &TestApp, email: &str, password: &str, from: &str) -> ApiClient {
    app.client_with_authorization(&[&basic_auth(email, password)]).with_address(from)
}

async fn request_status(client: &ApiClient) -> u16 {
    client.get("/v4/people/current").await.status
}

fn hash_count(app: &TestApp) -> u64 {
    app.state.sign_in().hasher_counts().0
}

fn slots_in_use(app: &TestApp) -> usize {
    app.state.sign_in().hasher_counts().1
}

#[apply(both_databases_multi_thread)]
async fn throttled_logins_do_not_block_other_logins(engine: Engine) {
    let app = start_with_empty_queue(engine).await;
    let attacker = client_from(&app, "admin@example.com", "wrong", ATTACKER);
    for _ in 0..3 {
        assert_eq!(request_status(&attacker).await, 401);
    }
    for connections in [140, 400, 508] {
        let before = hash_count(&app);
        let mut flood = Box::pin(join_all((0..connections).map(|_| request_status(&attacker))));
        // Each request is throttled, and its response delayed.
        assert!(poll!(flood.as_mut()).is_pending());
        assert_eq!(slots_in_use(&app), 0);
        let owner_login = async {
            for n in 0..20 {
                let owner = client_from(&app, "admin@example.com", PASSWORD, "198.51.100.7");
                assert_eq!(request_status(&owner).await, 200, "attempt {n} of {connections} connections");
            }
            app.browser().with_address("198.51.100.8").sign_in("admin@example.com", PASSWORD).await.expect(303);
        };
        let (statuses, ()) = tokio::join!(flood, owner_login);
        assert!(statuses.iter().all(|status| *status == 429));
        assert_eq!(hash_count(&app) - before, 21, "no password of the flood was hashed");
    }
}

#[apply(both_databases_multi_thread)]
async fn logins_of_one_account_hold_a_bounded_number_of_slots(engine: Engine) {
    let change = |config: &mut Config| config.passwords.max_queued = 50;
    let app = TestApp::start_with(Database::migrated(engine).await, change).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let permits = app.state.sign_in().pause_hashing().await;
    let one = app.client_with_authorization(&[&basic_auth("unknown@example.com", "wrong")]);
    let mut flood = Box::pin(join_all((0..100).map(|_| request_status(&one))));
    let owner = app.admin();
    let mut owner_login = Box::pin(owner.get("/v4/people/current"));
    // The queue of the account admits one login per core; the login of the owner comes in addition.
    while slots_in_use(&app) < cores + 1 {
        assert!(poll!(flood.as_mut()).is_pending() && poll!(owner_login.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert!(poll!(flood.as_mut()).is_pending());
        assert_eq!(slots_in_use(&app), cores + 1);
        tokio::task::yield_now().await;
    }
    drop(permits);
    let (statuses, response) = tokio::join!(flood, owner_login);
    assert_eq!(response.status, 200);
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)));
    assert_eq!(slots_in_use(&app), 0);
}

#[apply(both_databases_multi_thread)]
async fn a_full_queue_returns_503_and_counts_no_failure(engine: Engine) {
    let app = start_with_empty_queue(engine).await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let permits = app.state.sign_in().pause_hashing().await;
    let emails = (0..cores).map(|n| basic_auth(&format!("user{n}@example.com"), "wrong"));
    let clients: Vec<ApiClient> = emails.map(|field| app.client_with_authorization(&[&field])).collect();
    let mut waiting = Box::pin(join_all(clients.iter().map(request_status)));
    while slots_in_use(&app) < cores {
        assert!(poll!(waiting.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    let late = client_from(&app, "late@example.com", "wrong", ATTACKER);
    // More than the limit of failed logins of the address in total, but never more at once.
    for _ in 0..2 {
        for response in join_all((0..3).map(|_| late.get("/v4/people/current"))).await {
            response.expect_error(503, "ServiceUnavailableException");
        }
    }
    drop(permits);
    assert!(waiting.await.iter().all(|status| *status == 401));
    assert_eq!(request_status(&late).await, 401, "no failure was counted");
}

#[apply(both_databases_multi_thread)]
async fn unknown_and_disabled_accounts_cost_as_many_hashes(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |_| ()).await;
    app.add_person("ada").await;
    let off = app.add_person("off").await;
    app.admin().update_person(off.id, json!({"isDisabled": true})).await.expect(200);
    let invited = json!({"email": "invited@example.com", "name": "", "invite": true});
    app.admin().post("/v4/people", &invited).await.expect(201);
    let cost = async |email: &str, password: &str| {
        let before = hash_count(&app);
        assert_eq!(request_status(&app.client_with_authorization(&[&basic_auth(email, password)])).await, 401);
        app.browser().sign_in(email, password).await.expect(403);
        hash_count(&app) - before
    };
    for (email, password) in [
        ("ada@example.com", "wrong"),
        ("invited@example.com", PASSWORD),
        ("off@example.com", "wrong"),
        ("off@example.com", PASSWORD),
        ("unknown@example.com", PASSWORD),
        ("unknown", PASSWORD),
        ("", "wrong"),
    ] {
        assert_eq!(cost(email, password).await, 2, "{email} {password}");
    }
    // An empty password is never hashed.
    for email in ["ada@example.com", "unknown@example.com"] {
        assert_eq!(cost(email, "").await, 0);
    }
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/preferences/profile").await.status == 200
}

#[apply(both_databases_multi_thread)]
async fn a_login_after_a_cost_change_rehashes_and_creates_a_session(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |_| ()).await;
    app.add_person("ada").await;
    let TestApp { database, store, state: former, .. } = app;
    store.close().await;
    drop(former);
    let mut app = TestApp::start_with(database, |config| config.passwords.argon2.iterations = 2).await;
    // Concurrently: one login replaces the hash, and both sessions are valid.
    let browsers = [app.browser(), app.browser()];
    for response in join_all(browsers.iter().map(|browser| browser.sign_in("ada@example.com", PASSWORD))).await {
        response.expect(303);
    }
    assert!(is_signed_in(&browsers[0]).await && is_signed_in(&browsers[1]).await);
    assert_eq!(
        request_status(&app.client_with_authorization(&[&basic_auth("admin@example.com", PASSWORD)])).await,
        200
    );
    let before = hash_count(&app);
    app.browser().sign_in("ada@example.com", PASSWORD).await.expect(303);
    assert_eq!(hash_count(&app) - before, 1, "the second login does not rehash");
    assert_eq!(request_status(&app.client_with_authorization(&[&basic_auth("ada@example.com", "wrong")])).await, 401);
    let new =
        app.query_text("select cast(count(*) as text) from person where password_hash like '%m=64,t=2,p=1%'").await;
    assert_eq!(new.as_deref(), Some("2"));
}
