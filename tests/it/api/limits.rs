//! Rate limits per person and per client address.

use rstest::rstest;
use rstest_reuse::apply;
use std::{
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{future::join_all, poll};
use serde_json::json;
use tokenward::{
    config::Config,
    domain::{person::EmailKey, time::Timestamp},
};

use crate::support::{
    Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases_multi_thread, one_hour_token,
};

async fn start_with_config(engine: Engine, change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::start_with(Database::migrated(engine).await, change).await
}

#[apply(both_databases_multi_thread)]
async fn token_creation_is_limited_per_person(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.token_creation_per_minute = 60).await;
    let ada = app.admin().add_person("ada", true).await;
    let create = || async { app.admin().post("/v4/apiAccessTokens", &one_hour_token()).await };
    for _ in 0..60 {
        create().await.expect(201);
    }
    let response = create().await;
    response.expect_error(429, "TooManyRequestsException");
    assert_eq!(
        (&response.headers["retry-after"], &response.headers["x-retry-after"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
    ada.post("/v4/apiAccessTokens", &one_hour_token()).await.expect(201);
    app.advance_seconds(1);
    create().await.expect(201);
    create().await.expect(429);
    app.advance_seconds(60);
    for _ in 0..60 {
        create().await.expect(201);
    }
}

#[apply(both_databases_multi_thread)]
async fn active_tokens_per_person_are_limited(engine: Engine) {
    let app = start_with_config(engine, |config| config.tokens.max_active_per_person = Some(2)).await;
    let first = app.admin().create_token().await;
    app.admin().create_token().await;
    let response = app.admin().post("/v4/apiAccessTokens", &one_hour_token()).await;
    assert!(response.expect_error(409, "ConflictException").contains("2 active tokens"));
    app.admin().delete(&first.token_path()).await.expect(204);
    app.admin().create_token().await;
}

async fn attempt(app: &TestApp, email: &str, password: &str, from: &str) -> TestResponse {
    let client = app.client_with_authorization(&[&basic_auth(email, password)]).with_address(from);
    let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
    // A different address each time, which is ignored because the peer is not trusted.
    let spoofed = format!("203.0.113.{}", random_octet());
    request.headers_mut().insert("x-forwarded-for", spoofed.parse().unwrap());
    client.send(request).await
}

fn random_octet() -> u8 {
    tokenward::domain::random::Random::system().bytes::<1>()[0]
}

#[apply(both_databases_multi_thread)]
async fn failed_logins_are_limited_per_address_whatever_it_forwards(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.failed_logins_per_ip = 5).await;
    let email_of = |n: u32| format!("user{n}@example.com");
    for n in 0..5 {
        assert_eq!(attempt(&app, &email_of(n), "wrong", "2001:db8:1:2::1").await.status, 401, "{n}");
    }
    // Other accounts, other addresses of the same /64 and the right password are limited as well.
    for (email, password) in [(email_of(9), "wrong"), ("admin@example.com".to_owned(), PASSWORD)] {
        let response = attempt(&app, &email, password, "2001:db8:1:2:ffff::9").await;
        assert_eq!((response.status, &response.headers["retry-after"]), (429, &"6".parse().unwrap()));
    }
    assert_eq!(
        attempt(&app, "admin@example.com", PASSWORD, "2001:db8:1:3::1").await.status,
        200,
        "other networks are not limited"
    );
    app.advance_seconds(6);
    // A successful login does not use the limit.
    for _ in 0..3 {
        assert_eq!(attempt(&app, "admin@example.com", PASSWORD, "2001:db8:1:2::1").await.status, 200);
    }
    assert_eq!(attempt(&app, &email_of(1), "wrong", "2001:db8:1:2::1").await.status, 401);
    assert_eq!(attempt(&app, &email_of(1), "wrong", "2001:db8:1:2::1").await.status, 429);
    // An auth check returns 401, not 429.
    let proxied =
        app.client_with_authorization(&[&basic_auth("admin@example.com", PASSWORD)]).with_address("2001:db8:1:2::1");
    assert_eq!(proxied.get("/v4/auth").await.status, 401);
    let token = app.admin().create_token().await;
    let bearer = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).with_address("2001:db8:1:2::1");
    assert_eq!(bearer.get("/v4/auth").await.status, 200, "tokens are not affected");
}

#[apply(both_databases_multi_thread)]
async fn concurrent_failed_logins_each_use_the_address_limit_once(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.failed_logins_per_ip = 20).await;
    let attempts = (0..50).map(|n| {
        let app = &app;
        async move { attempt(app, &format!("user{n}@example.com"), "wrong", "192.0.2.1").await.status }
    });
    let statuses = join_all(attempts).await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (20, 30));
}

#[apply(both_databases_multi_thread)]
async fn an_aborted_login_uses_the_address_limit(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.failed_logins_per_ip = 3).await;
    let permits = app.state.sign_in().pause_hashing().await;
    for n in 0..3 {
        let email = format!("user{n}@example.com");
        let mut login = Box::pin(attempt(&app, &email, "wrong", "192.0.2.1"));
        // The login waits in the queue while hashing is blocked, so it cannot have completed.
        while app.state.sign_in().hasher_counts().1 == 0 {
            let polled = poll!(login.as_mut());
            assert!(polled.is_pending(), "{polled:?}");
            tokio::task::yield_now().await;
        }
        drop(login);
        let now = Timestamp::from_millis(1_767_225_600_000);
        assert_eq!(
            app.store.find_login_failures(&EmailKey::from_text(&email).digest(), now).await.unwrap(),
            None,
            "an aborted login counts no failure of the account"
        );
    }
    drop(permits);
    assert_eq!(attempt(&app, "user@example.com", "wrong", "192.0.2.1").await.status, 429);
}

/// Sends a request with a forwarding header, and returns the status.
async fn status_through_proxy(
    app: &TestApp,
    (email, password): (&str, &str),
    peer: &str,
    field: (&'static str, &str),
) -> u16 {
    let client = app.client_with_authorization(&[&basic_auth(email, password)]).with_address(peer);
    let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
    request.headers_mut().insert(field.0, field.1.parse().unwrap());
    client.send(request).await.status
}

#[apply(both_databases_multi_thread)]
async fn clients_behind_an_untrusted_proxy_do_not_lock_each_other_out(engine: Engine) {
    let app = start_with_config(engine, |_| ()).await;
    let right = ("admin@example.com", PASSWORD);
    for (peer, field) in [
        ("127.0.0.1", ("x-forwarded-for", "203.0.113.9")),
        ("172.17.0.2", ("x-forwarded-for", "203.0.113.9")),
        ("fd00::1", ("forwarded", "for=203.0.113.9")),
    ] {
        for n in 0..101 {
            let email = format!("user{n}@{}.example", peer.replace([':', '.'], "-"));
            assert_eq!(status_through_proxy(&app, (&email, "wrong"), peer, field).await, 401, "{n}");
        }
        assert_eq!(status_through_proxy(&app, right, peer, field).await, 200, "{peer}");
        let browser = app.browser().with_address(peer);
        let mut form = browser.form_request("/sign-in", &[("email", right.0), ("password", right.1)]);
        form.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
        form.headers_mut().insert(field.0, field.1.parse().unwrap());
        browser.send(form).await.expect(303);
        // The failures of the account still count.
        let ben = format!("ben@{}.example", peer.replace([':', '.'], "-"));
        for _ in 0..10 {
            assert_eq!(status_through_proxy(&app, (&ben, "wrong"), peer, field).await, 401);
        }
        assert_eq!(status_through_proxy(&app, (&ben, "wrong"), peer, field).await, 429);
        // One client behind the proxy does not use up the leak reports of the others.
        for _ in 0..3 {
            let reporter = app.anonymous().with_address(peer);
            let values = json!({"values": unknown_token_values(100)});
            let mut request = reporter.request("POST", "/v4/leaks", values.to_string().into());
            request.headers_mut().insert("content-type", "application/json".parse().unwrap());
            request.headers_mut().insert(field.0, field.1.parse().unwrap());
            reporter.send(request).await.expect(202);
        }
    }
}

#[apply(both_databases_multi_thread)]
async fn a_public_address_that_sends_forwarding_headers_is_limited(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.failed_logins_per_ip = 5).await;
    let right = ("admin@example.com", PASSWORD);
    for (peer, field) in [
        ("203.0.113.1", ("x-forwarded-for", "127.0.0.1")),
        ("2001:4860::1", ("forwarded", "for=10.0.0.1")),
        // A private address, but without a forwarding header.
        ("10.0.0.9", ("x-real-ip", "203.0.113.9")),
    ] {
        for n in 0..5 {
            let email = format!("user{n}@{}.example", peer.replace([':', '.'], "-"));
            assert_eq!(status_through_proxy(&app, (&email, "wrong"), peer, field).await, 401);
        }
        assert_eq!(status_through_proxy(&app, right, peer, field).await, 429, "{peer}");
    }
}

#[apply(both_databases_multi_thread)]
async fn rejected_tokens_are_delayed_and_valid_ones_are_not(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.rejected_tokens_per_ip_per_minute = 3).await;
    let (good, deleted) = (app.admin().create_token().await, app.admin().create_token().await);
    app.admin().delete(&deleted.token_path()).await.expect(204);
    let check = async |value: &str| {
        app.client_with_authorization(&[&format!("Bearer {value}")])
            .with_address("192.0.2.1")
            .get("/v4/auth")
            .await
            .status
    };
    for _ in 0..3 {
        assert_eq!(check(&deleted.value).await, 401);
    }
    // A valid token is accepted from the cache without waiting. If its entry has just been read
    // again, the next request is.
    let mut polled = Poll::Pending;
    for _ in 0..100 {
        assert_eq!(check(&good.value).await, 200);
        polled = poll!(pin!(check(&good.value)));
        if polled.is_ready() {
            break;
        }
    }
    assert_eq!(polled, Poll::Ready(200));
    let begun = Instant::now();
    assert_eq!(check(&deleted.value).await, 401, "the response is delayed");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let leaked = json!({"values": [good.value]});
    app.anonymous().with_address("192.0.2.1").post("/v4/leaks", &leaked).await.expect(202);
}

#[apply(both_databases_multi_thread)]
async fn leak_reports_are_limited_per_address(engine: Engine) {
    let app = start_with_config(engine, |config| config.rate_limits.leak_reports_per_ip_per_minute = 60).await;
    let (first, second) = (app.admin().create_token().await, app.admin().create_token().await);
    let reporter = app.anonymous().with_address("192.0.2.5");
    let mut values = unknown_token_values(99);
    values.push(first.value.clone());
    reporter.post("/v4/leaks", &json!({"values": values})).await.expect(202);
    assert!(!first.is_accepted().await, "a report may have as many values as the limit");
    let mut values = unknown_token_values(1);
    values.push(second.value.clone());
    let response = reporter.post("/v4/leaks", &json!({"values": values})).await;
    response.expect_error(429, "TooManyRequestsException");
    assert_eq!(response.headers["retry-after"], "1");
    assert!(second.is_accepted().await, "a report is processed completely or not at all");
    // Values that are no tokens do not use the limit, and other addresses are not affected.
    reporter.post("/v4/leaks", &json!({"values": ["nonsense"]})).await.expect(202);
    app.anonymous().with_address("192.0.2.6").post("/v4/leaks", &json!({"values": values})).await.expect(202);
    assert!(!second.is_accepted().await);
}

/// Returns well-formed values of tokens that do not exist.
fn unknown_token_values(count: usize) -> Vec<String> {
    let (format, random) =
        (tokenward_guard::token_format::TokenFormat::default(), tokenward::domain::random::Random::system());
    (0..count).map(|_| format.generate(|bytes| random.fill(bytes)).expose().to_owned()).collect()
}
