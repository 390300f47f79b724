//! Known sources: a persistent attacker does not lock the owner out of an address or browser that
//! the account has signed in from.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{
        id::PersonId,
        login_failures::LoginFailures,
        person::EmailKey,
        source::{DeviceValue, SignInSource},
        time::Timestamp,
    },
    store::LoginFailureCounts,
};

use crate::support::{Browser, Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases};

const ADA: &str = "ada@example.com";
const HOME: &str = "198.51.100.7";
const ELSEWHERE: &str = "203.0.113.99";

async fn attempt(app: &TestApp, email: &str, password: &str, from: &str) -> TestResponse {
    app.client_with_authorization(&[&basic_auth(email, password)]).with_address(from).get("/v4/people/current").await
}

async fn assert_attempts(app: &TestApp, from: &str, password: &str, count: usize, status: u16) {
    for n in 0..count {
        assert_eq!(attempt(app, ADA, password, from).await.status, status, "attempt {n}");
    }
}

/// Creates an account whose owner has signed in from one address and, at another address, with one
/// browser. Returns the browser, now at a third address.
async fn create_ada_with_known_sources(app: &TestApp) -> Browser {
    app.add_person("ada").await;
    assert_attempts(app, HOME, PASSWORD, 1, 200).await;
    let browser = app.browser().keeping_device_cookie().with_address("198.51.100.8");
    browser.sign_in(ADA, PASSWORD).await.expect(303);
    browser.with_address("192.0.2.200")
}

/// Signs in with the right password from the known address and with the known browser.
async fn assert_owner_can_sign_in(app: &TestApp, browser: &Browser) {
    assert_attempts(app, HOME, PASSWORD, 1, 200).await;
    browser.sign_in(ADA, PASSWORD).await.expect(303);
}

#[apply(both_databases)]
async fn five_persistent_attackers_do_not_lock_the_owner_out(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = create_ada_with_known_sources(&app).await;
    let attackers = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"];
    let (mut wait, mut checked, mut unknown_logins) = (0_i64, 0, 0);
    for _ in 0..300 {
        // When a delay ends, each attacker sends two attempts first.
        if wait <= 1 {
            for from in attackers.iter().chain(&attackers) {
                let response = attempt(&app, ADA, "wrong", from).await;
                checked += usize::from(response.status == 401);
                if let Some(after) = response.headers.get("retry-after") {
                    wait = after.to_str().unwrap().parse().unwrap();
                }
            }
        }
        assert_owner_can_sign_in(&app, &browser).await;
        unknown_logins += usize::from(attempt(&app, ADA, PASSWORD, ELSEWHERE).await.status == 200);
        app.advance_seconds(1);
        wait -= 1;
    }
    // The common counter admits ten attempts at once, then one after 1, 3, 7, 15, 31, 63, 127 and
    // 255 seconds. The owner never uses it.
    assert_eq!((checked, unknown_logins), (10 + 8, 0));
}

#[apply(both_databases)]
async fn one_persistent_attacker_does_not_lock_the_owner_out(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = create_ada_with_known_sources(&app).await;
    let mut wait = 0;
    for _ in 0..193 {
        if wait <= 0 {
            let response = attempt(&app, ADA, "wrong", "203.0.113.1").await;
            wait = response.headers.get("retry-after").map_or(0, |after| after.to_str().unwrap().parse().unwrap());
        }
        assert_owner_can_sign_in(&app, &browser).await;
        app.advance_millis(1_000);
        wait -= 1;
    }
}

#[apply(both_databases)]
async fn a_known_address_has_its_own_free_attempts(engine: Engine) {
    let app = TestApp::start(engine).await;
    create_ada_with_known_sources(&app).await;
    assert_attempts(&app, HOME, "wrong", 10, 401).await;
    for seconds in [1, 2, 4, 8] {
        let response = attempt(&app, ADA, PASSWORD, HOME).await.expect(429);
        assert_eq!(response.headers["retry-after"], seconds.to_string());
        app.advance_seconds(seconds);
        assert_attempts(&app, HOME, "wrong", 1, 401).await;
    }
    assert_attempts(&app, HOME, PASSWORD, 1, 429).await;
    // The counters of unknown and of other known sources are separate, and a login there does not
    // reset this one.
    assert_attempts(&app, ELSEWHERE, "wrong", 1, 401).await;
    assert_attempts(&app, "198.51.100.8", PASSWORD, 1, 200).await;
    assert_attempts(&app, HOME, PASSWORD, 1, 429).await;
    app.advance_seconds(16);
    assert_attempts(&app, HOME, PASSWORD, 1, 200).await;
    assert_attempts(&app, HOME, "wrong", 10, 401).await;
    assert_attempts(&app, HOME, PASSWORD, 1, 429).await;
}

#[apply(both_databases)]
async fn a_known_browser_can_sign_in_from_any_address(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = create_ada_with_known_sources(&app).await;
    assert_attempts(&app, ELSEWHERE, "wrong", 10, 401).await;
    assert_attempts(&app, ELSEWHERE, PASSWORD, 1, 429).await;
    // The browser can sign in even if an attacker uses the address of the owner.
    assert_attempts(&app, HOME, "wrong", 10, 401).await;
    assert_attempts(&app, HOME, PASSWORD, 1, 429).await;
    let browser = browser.with_address(HOME);
    for _ in 0..3 {
        browser.sign_in(ADA, PASSWORD).await.expect(303);
    }
    // A stolen device cookie has its own counter, separate from that of the address.
    let thief = browser.with_device_cookie(browser.device_cookie()).with_address("203.0.113.50");
    for _ in 0..10 {
        thief.sign_in(ADA, "wrong").await.expect(403);
    }
    thief.sign_in(ADA, PASSWORD).await.expect(429);
    // A cookie of another account, an invented one, a malformed one, and none.
    app.add_person("ben").await;
    let bens = app.browser().keeping_device_cookie();
    bens.sign_in("ben@example.com", PASSWORD).await.expect(303);
    let invented = format!("tokenward-device={}", "a".repeat(43));
    for device in [bens.device_cookie(), Some(invented), Some("tokenward-device=x".to_owned()), None] {
        assert_ne!(device, browser.device_cookie());
        browser.with_device_cookie(device).sign_in(ADA, PASSWORD).await.expect(429);
    }
}

#[apply(both_databases)]
async fn a_login_from_a_known_source_does_not_reset_the_common_counter(engine: Engine) {
    let app = TestApp::start(engine).await;
    create_ada_with_known_sources(&app).await;
    assert_attempts(&app, ELSEWHERE, "wrong", 10, 401).await;
    assert_attempts(&app, HOME, PASSWORD, 3, 200).await;
    assert_attempts(&app, ELSEWHERE, "wrong", 1, 429).await;
    // At a new address the owner waits like any unknown source, and is known from then on.
    app.advance_seconds(1);
    assert_attempts(&app, ELSEWHERE, PASSWORD, 1, 200).await;
    assert_attempts(&app, "203.0.113.98", "wrong", 10, 401).await;
    assert_attempts(&app, "203.0.113.98", PASSWORD, 1, 429).await;
    assert_attempts(&app, ELSEWHERE, PASSWORD, 1, 200).await;
}

#[apply(both_databases)]
async fn a_proxy_address_is_not_a_known_source(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let by_proxy = async |password: &str| {
        let client = app.client_with_authorization(&[&basic_auth(ADA, password)]).with_address("10.0.0.1");
        let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", HOME.parse().unwrap());
        client.send(request).await.status
    };
    assert_eq!(by_proxy(PASSWORD).await, 200);
    assert_attempts(&app, ELSEWHERE, "wrong", 10, 401).await;
    assert_eq!(by_proxy(PASSWORD).await, 429, "an attacker may use the same proxy");
}

#[apply(both_databases)]
async fn an_administrator_resets_the_source_counters(engine: Engine) {
    let app = TestApp::start(engine).await;
    create_ada_with_known_sources(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let ada = app.admin().get(&format!("/v4/people?email={ADA}")).await.json["data"][0]["id"].as_i64().unwrap();
    let path = format!("/admin/users/{ada}");
    assert!(!admin.get(&path).await.text.contains("Allow sign-in now"));
    assert_attempts(&app, HOME, "wrong", 10, 401).await;
    assert_attempts(&app, HOME, PASSWORD, 1, 429).await;
    assert!(admin.get(&path).await.text.contains("Allow sign-in now"));
    admin.post(&format!("{path}/enable"), &[]).await.expect(303);
    assert_attempts(&app, HOME, PASSWORD, 1, 200).await;
    assert!(!admin.get(&path).await.text.contains("Allow sign-in now"));
    // A new password also resets the counters, and the sources stay known.
    assert_attempts(&app, HOME, "wrong", 10, 401).await;
    let password = "another phrase of words";
    app.admin().update_person(ada, json!({"password": password, "password2": password})).await.expect(200);
    assert_attempts(&app, ELSEWHERE, "wrong", 10, 401).await;
    assert_attempts(&app, HOME, password, 1, 200).await;
}

#[apply(both_databases)]
async fn sources_are_kept_per_account_and_kind_and_expire(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let ada = PersonId::new(app.add_person("ada").await.id);
    let email = EmailKey::from_text(ADA).digest();
    let at = |n: i64| Timestamp::from_millis(1_767_225_600_000).plus_seconds(n);
    let addresses: Vec<SignInSource> =
        (0..12).map(|n| SignInSource::from_address(ada, format!("192.0.2.{n}").parse().unwrap())).collect();
    let device = SignInSource::from_device(ada, &DeviceValue::generate(&tokenward::domain::random::Random::system()));
    app.store.record_source(ada, &device, at(0)).await.unwrap();
    for (n, source) in (0..).zip(&addresses) {
        app.store.record_source(ada, source, at(n)).await.unwrap();
    }
    let find = async |source: SignInSource, now| {
        let found = app.store.find_login_failure_counts(&email, Some(ada), &[source], now).await.unwrap();
        found.known_sources.first().copied()
    };
    // Each account keeps ten sources of each kind: the two oldest addresses were replaced, the
    // browser was not.
    for (n, source) in (0..).zip(&addresses) {
        assert_eq!(find(*source, at(20)).await.is_some(), n >= 2, "{n}");
    }
    assert!(find(device, at(20)).await.is_some_and(|found| found.failures.is_none()));
    for _ in 0..2 {
        assert!(app.store.record_source_failure(ada, &device.digest, at(30)).await.unwrap());
    }
    assert!(!app.store.record_source_failure(ada, &addresses[0].digest, at(30)).await.unwrap());
    let failures = Some(LoginFailures { count: 2, last_failed_at: at(30) });
    assert_eq!(find(device, at(40)).await.unwrap().failures, failures);
    assert_eq!(app.store.list_login_failures(&email, ada, at(40)).await.unwrap(), Vec::from_iter(failures));
    assert_eq!(find(device, at(30 + 86_400)).await.unwrap().failures, None, "a failure expires after a day");
    // Sources of other accounts, and sources older than 90 days, are unknown.
    let other = app.store.find_login_failure_counts(&email, Some(PersonId::new(1)), &[device], at(40)).await.unwrap();
    assert_eq!(other, LoginFailureCounts::default());
    let end = 90 * 86_400;
    assert!(find(device, at(end - 1)).await.is_some() && find(device, at(end)).await.is_none());
    assert_eq!(app.store.purge_sources(at(end + 2)).await.unwrap(), 2, "the browser and an address");
    app.admin().delete(&format!("/v4/people/{ada}")).await.expect(204);
    app.store.record_source(ada, &device, at(end)).await.unwrap();
    assert_eq!(app.query_text("select cast(count(*) as text) from known_source").await.as_deref(), Some("0"));
}

#[apply(both_databases)]
async fn an_unknown_account_has_no_known_sources(engine: Engine) {
    let app = TestApp::start(engine).await;
    // No source is stored for an account that does not exist, and the responses are the same.
    for _ in 0..10 {
        assert_eq!(attempt(&app, "unknown@example.com", "wrong", HOME).await.status, 401);
    }
    assert_eq!(attempt(&app, "unknown@example.com", "wrong", HOME).await.status, 429);
    assert_eq!(attempt(&app, "unknown@example.com", "wrong", ELSEWHERE).await.status, 429);
}

#[tokio::test]
async fn known_source_is_recognized_on_every_node() {
    let first = TestApp::start_with(Database::migrated(Engine::Postgres).await, |_| ()).await;
    let second = TestApp::start_with(first.database.for_another_node(), |_| ()).await;
    first.add_person("ada").await;
    assert_attempts(&first, HOME, PASSWORD, 1, 200).await;
    assert_attempts(&second, ELSEWHERE, "wrong", 10, 401).await;
    for node in [&first, &second] {
        assert_attempts(node, ELSEWHERE, PASSWORD, 1, 429).await;
        assert_attempts(node, HOME, PASSWORD, 1, 200).await;
    }
    for n in 0..10 {
        assert_attempts(if n % 2 == 0 { &first } else { &second }, HOME, "wrong", 1, 401).await;
    }
    assert_attempts(&first, HOME, PASSWORD, 1, 429).await;
    assert_attempts(&second, HOME, PASSWORD, 1, 429).await;
}
