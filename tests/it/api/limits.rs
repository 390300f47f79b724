//! Whoever is too fast is slowed: by person, and by address.

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

use crate::support::{Database, Engine, PASSWORD, Reply, TestApp, an_hour, basic};

on_both_databases!(
    a_person_makes_sixty_tokens_and_then_one_a_second,
    a_person_has_no_more_live_tokens_than_allowed,
    an_address_has_so_many_wrong_passwords_whatever_it_says_of_itself,
    fifty_at_once_from_one_address_use_the_budget_once_each,
    behind_a_proxy_that_is_not_named_one_client_closes_nothing,
    a_client_that_names_a_proxy_at_a_public_address_is_limited,
    an_address_of_many_refused_bearers_waits_and_good_ones_do_not,
    whoever_hangs_up_has_spent_the_try,
    an_address_reports_so_many_leaks_a_minute,
);

async fn start(engine: Engine, change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(Database::migrated(engine).await, change).await
}

async fn a_person_makes_sixty_tokens_and_then_one_a_second(engine: Engine) {
    let app = start(engine, |config| config.limits.created_tokens_per_minute = 60).await;
    let ada = app.admin().add("ada", true).await;
    let make = || async { app.admin().post("/v4/apiAccessTokens", &an_hour()).await };
    for _ in 0..60 {
        make().await.expect(201);
    }
    let reply = make().await;
    reply.expect_error(429, "TooManyRequestsException");
    assert_eq!(
        (&reply.headers["retry-after"], &reply.headers["x-retry-after"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
    ada.post("/v4/apiAccessTokens", &an_hour()).await.expect(201);
    app.advance_seconds(1);
    make().await.expect(201);
    make().await.expect(429);
    app.advance_seconds(60);
    for _ in 0..60 {
        make().await.expect(201);
    }
}

async fn a_person_has_no_more_live_tokens_than_allowed(engine: Engine) {
    let app = start(engine, |config| config.limits.live_tokens_per_person = Some(2)).await;
    let first = app.admin().bearer().await;
    app.admin().bearer().await;
    let refused = app.admin().post("/v4/apiAccessTokens", &an_hour()).await;
    assert!(refused.expect_error(409, "ConflictException").contains("2 live tokens"));
    app.admin().delete(&first.path()).await.expect(204);
    app.admin().bearer().await;
}

async fn attempt(app: &TestApp, email: &str, password: &str, from: &str) -> Reply {
    let client = app.presenting(&[&basic(email, password)]).from(from);
    let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
    // Another one each time: whoever is not trusted says so in vain.
    let spoofed = format!("203.0.113.{}", rand_octet());
    request.headers_mut().insert("x-forwarded-for", spoofed.parse().unwrap());
    client.send(request).await
}

fn rand_octet() -> u8 {
    tokenward::domain::random::Random::system().bytes::<1>()[0]
}

async fn an_address_has_so_many_wrong_passwords_whatever_it_says_of_itself(engine: Engine) {
    let app = start(engine, |config| config.limits.wrong_passwords_per_address = 5).await;
    let tried = |n: u32| format!("somebody{n}@example.com");
    for n in 0..5 {
        assert_eq!(attempt(&app, &tried(n), "wrong", "2001:db8:1:2::1").await.status, 401, "{n}");
    }
    // Another account, another address of the same /64, the right password: all wait.
    for (email, password) in [(tried(9), "wrong"), ("admin@example.com".to_owned(), PASSWORD)] {
        let reply = attempt(&app, &email, password, "2001:db8:1:2:ffff::9").await;
        assert_eq!((reply.status, &reply.headers["retry-after"]), (429, &"6".parse().unwrap()));
    }
    assert_eq!(attempt(&app, "admin@example.com", PASSWORD, "2001:db8:1:3::1").await.status, 200, "others do not");
    app.advance_seconds(6);
    // A right one costs nothing.
    for _ in 0..3 {
        assert_eq!(attempt(&app, "admin@example.com", PASSWORD, "2001:db8:1:2::1").await.status, 200);
    }
    assert_eq!(attempt(&app, &tried(1), "wrong", "2001:db8:1:2::1").await.status, 401);
    assert_eq!(attempt(&app, &tried(1), "wrong", "2001:db8:1:2::1").await.status, 429);
    // At a proxy's check it is a plain no, and on a page it says how long.
    let proxied = app.presenting(&[&basic("admin@example.com", PASSWORD)]).from("2001:db8:1:2::1");
    assert_eq!(proxied.get("/v4/auth").await.status, 401);
    let token = app.admin().bearer().await;
    let bearer = app.presenting(&[&format!("Bearer {}", token.value)]).from("2001:db8:1:2::1");
    assert_eq!(bearer.get("/v4/auth").await.status, 200, "tokens go on working");
}

async fn fifty_at_once_from_one_address_use_the_budget_once_each(engine: Engine) {
    let app = start(engine, |config| config.limits.wrong_passwords_per_address = 20).await;
    let tries = (0..50).map(|n| {
        let app = &app;
        async move { attempt(app, &format!("somebody{n}@example.com"), "wrong", "192.0.2.1").await.status }
    });
    let statuses = join_all(tries).await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (20, 30));
}

async fn whoever_hangs_up_has_spent_the_try(engine: Engine) {
    let app = start(engine, |config| config.limits.wrong_passwords_per_address = 3).await;
    let held = app.app.sign_in().hold_hashing().await;
    for n in 0..3 {
        let email = format!("somebody{n}@example.com");
        let mut asking = Box::pin(attempt(&app, &email, "wrong", "192.0.2.1"));
        // It waits to be hashed, and nothing is hashed: it cannot have been answered.
        while app.app.sign_in().hashing().1 == 0 {
            let polled = poll!(asking.as_mut());
            assert!(polled.is_pending(), "{polled:?}");
            tokio::task::yield_now().await;
        }
        drop(asking);
        let now = Timestamp::from_millis(1_767_225_600_000);
        assert_eq!(app.store.find_tries(&EmailKey::of(&email).digest(), now).await.unwrap(), None, "it was not judged");
    }
    drop(held);
    assert_eq!(attempt(&app, "somebody@example.com", "wrong", "192.0.2.1").await.status, 429);
}

/// A request by a proxy that says for whom it asks.
async fn forwarded(app: &TestApp, (email, password): (&str, &str), peer: &str, field: (&'static str, &str)) -> u16 {
    let client = app.presenting(&[&basic(email, password)]).from(peer);
    let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
    request.headers_mut().insert(field.0, field.1.parse().unwrap());
    client.send(request).await.status
}

async fn behind_a_proxy_that_is_not_named_one_client_closes_nothing(engine: Engine) {
    let app = start(engine, |_| ()).await;
    let right = ("admin@example.com", PASSWORD);
    for (peer, field) in [
        ("127.0.0.1", ("x-forwarded-for", "203.0.113.9")),
        ("172.17.0.2", ("x-forwarded-for", "203.0.113.9")),
        ("fd00::1", ("forwarded", "for=203.0.113.9")),
    ] {
        for n in 0..101 {
            let email = format!("somebody{n}@{}.example", peer.replace([':', '.'], "-"));
            assert_eq!(forwarded(&app, (&email, "wrong"), peer, field).await, 401, "{n}");
        }
        assert_eq!(forwarded(&app, right, peer, field).await, 200, "{peer}");
        let visitor = app.visitor().from(peer);
        let mut form = visitor.form("/sign-in", &[("email", right.0), ("password", right.1)]);
        form.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
        form.headers_mut().insert(field.0, field.1.parse().unwrap());
        visitor.send(form).await.expect(303);
        // The counters of accounts go on.
        let ben = format!("ben@{}.example", peer.replace([':', '.'], "-"));
        for _ in 0..10 {
            assert_eq!(forwarded(&app, (&ben, "wrong"), peer, field).await, 401);
        }
        assert_eq!(forwarded(&app, (&ben, "wrong"), peer, field).await, 429);
        // One of its clients does not use up the reports of leaks for the others.
        for _ in 0..3 {
            let reporter = app.anonymous().from(peer);
            let values = json!({"values": unknown_values(100)});
            let mut request = reporter.request("POST", "/v4/leaks", values.to_string().into());
            request.headers_mut().insert("content-type", "application/json".parse().unwrap());
            request.headers_mut().insert(field.0, field.1.parse().unwrap());
            reporter.send(request).await.expect(202);
        }
    }
}

async fn a_client_that_names_a_proxy_at_a_public_address_is_limited(engine: Engine) {
    let app = start(engine, |config| config.limits.wrong_passwords_per_address = 5).await;
    let right = ("admin@example.com", PASSWORD);
    for (peer, field) in [
        ("203.0.113.1", ("x-forwarded-for", "127.0.0.1")),
        ("2001:4860::1", ("forwarded", "for=10.0.0.1")),
        // Near, but it forwards nobody.
        ("10.0.0.9", ("x-real-ip", "203.0.113.9")),
    ] {
        for n in 0..5 {
            let email = format!("somebody{n}@{}.example", peer.replace([':', '.'], "-"));
            assert_eq!(forwarded(&app, (&email, "wrong"), peer, field).await, 401);
        }
        assert_eq!(forwarded(&app, right, peer, field).await, 429, "{peer}");
    }
}

async fn an_address_of_many_refused_bearers_waits_and_good_ones_do_not(engine: Engine) {
    let app = start(engine, |config| config.limits.refused_bearers_per_minute = 3).await;
    let (good, dead) = (app.admin().bearer().await, app.admin().bearer().await);
    app.admin().delete(&dead.path()).await.expect(204);
    let ask = async |value: &str| {
        app.presenting(&[&format!("Bearer {value}")]).from("192.0.2.1").get("/v4/auth").await.status
    };
    for _ in 0..3 {
        assert_eq!(ask(&dead.value).await, 401);
    }
    // A good one is answered from memory, without waiting for anything; where the process has to ask the store again, the next one is.
    let mut polled = Poll::Pending;
    for _ in 0..100 {
        assert_eq!(ask(&good.value).await, 200);
        polled = poll!(pin!(ask(&good.value)));
        if polled.is_ready() {
            break;
        }
    }
    assert_eq!(polled, Poll::Ready(200));
    let begun = Instant::now();
    assert_eq!(ask(&dead.value).await, 401, "it is slowed, not left without an answer");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let leaked = json!({"values": [good.value]});
    app.anonymous().from("192.0.2.1").post("/v4/leaks", &leaked).await.expect(202);
}

async fn an_address_reports_so_many_leaks_a_minute(engine: Engine) {
    let app = start(engine, |config| config.limits.leak_reports_per_minute = 60).await;
    let (first, second) = (app.admin().bearer().await, app.admin().bearer().await);
    let reporter = app.anonymous().from("192.0.2.5");
    let mut values = unknown_values(99);
    values.push(first.value.clone());
    reporter.post("/v4/leaks", &json!({"values": values})).await.expect(202);
    assert!(!first.works().await, "as many as one report may have");
    let mut values = unknown_values(1);
    values.push(second.value.clone());
    let reply = reporter.post("/v4/leaks", &json!({"values": values})).await;
    reply.expect_error(429, "TooManyRequestsException");
    assert_eq!(reply.headers["retry-after"], "1");
    assert!(second.works().await, "all of a report or nothing");
    // What cannot be a token costs nothing, and others report on.
    reporter.post("/v4/leaks", &json!({"values": ["nonsense"]})).await.expect(202);
    app.anonymous().from("192.0.2.6").post("/v4/leaks", &json!({"values": values})).await.expect(202);
    assert!(!second.works().await);
}

/// Values that are well made and stand for nothing.
fn unknown_values(count: usize) -> Vec<String> {
    let (format, random) =
        (tokenward_guard::token_format::TokenFormat::default(), tokenward::domain::random::Random::system());
    (0..count).map(|_| format.generate(|bytes| random.fill(bytes)).expose().to_owned()).collect()
}
