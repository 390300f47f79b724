//! An attacker who never stops guessing does not keep the owner out of a place that the account has signed in from.

use serde_json::json;
use tokenward::{
    domain::{
        login_failures::Tries,
        person::EmailKey,
        source::{DeviceValue, Source},
        time::Timestamp,
    },
    store::Record,
};

use crate::support::{Database, Engine, PASSWORD, Reply, TestApp, Visitor, basic};

on_both!(
    five_addresses_that_never_stop_do_not_keep_the_owner_out,
    one_address_that_never_stops_does_not_keep_the_owner_out,
    a_known_address_has_ten_tries_of_its_own,
    a_known_browser_gets_in_from_anywhere,
    a_right_password_from_a_known_source_gives_a_stranger_no_tries,
    an_address_of_many_clients_is_no_source,
    an_administrator_resets_the_counters_of_sources,
    sources_are_kept_by_account_and_kind_and_forgotten,
    an_unknown_account_has_no_source,
);

const ADA: &str = "ada@example.com";
const HOME: &str = "198.51.100.7";
const ELSEWHERE: &str = "203.0.113.99";

async fn attempt(app: &TestApp, email: &str, password: &str, from: &str) -> Reply {
    app.presenting(&[&basic(email, password)]).from(from).get("/v4/people/current").await
}

async fn tries(app: &TestApp, from: &str, password: &str, count: usize, status: u16) {
    for n in 0..count {
        assert_eq!(attempt(app, ADA, password, from).await.status, status, "try {n}");
    }
}

/// An account whose owner has signed in from one address and, elsewhere, in one browser.
async fn ada_at_home(app: &TestApp) -> Visitor {
    app.person("ada").await;
    tries(app, HOME, PASSWORD, 1, 200).await;
    let browser = app.visitor().keeping_device().from("198.51.100.8");
    browser.sign_in(ADA, PASSWORD).await.expect(303);
    browser.from("192.0.2.200")
}

/// The owner asks with the right password at both entry points.
async fn owner_gets_in(app: &TestApp, browser: &Visitor) {
    tries(app, HOME, PASSWORD, 1, 200).await;
    browser.sign_in(ADA, PASSWORD).await.expect(303);
}

async fn five_addresses_that_never_stop_do_not_keep_the_owner_out(app: TestApp) {
    let browser = ada_at_home(&app).await;
    let attackers = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"];
    let (mut wait, mut looked_at, mut strangers_let_in) = (0_i64, 0, 0);
    for _ in 0..300 {
        // Dense where a wait ends: each of the five asks twice before anybody else.
        if wait <= 1 {
            for from in attackers.iter().chain(&attackers) {
                let reply = attempt(&app, ADA, "wrong", from).await;
                looked_at += usize::from(reply.status == 401);
                if let Some(after) = reply.headers.get("retry-after") {
                    wait = after.to_str().unwrap().parse().unwrap();
                }
            }
        }
        owner_gets_in(&app, &browser).await;
        strangers_let_in += usize::from(attempt(&app, ADA, PASSWORD, ELSEWHERE).await.status == 200);
        app.advance_seconds(1);
        wait -= 1;
    }
    // What is said of strangers: ten at once, then one at 1, 3, 7, 15, 31, 63, 127, 255 seconds, and the owner is none.
    assert_eq!((looked_at, strangers_let_in), (10 + 8, 0));
}

async fn one_address_that_never_stops_does_not_keep_the_owner_out(app: TestApp) {
    let browser = ada_at_home(&app).await;
    let mut wait = 0;
    for _ in 0..193 {
        if wait <= 0 {
            let reply = attempt(&app, ADA, "wrong", "203.0.113.1").await;
            wait = reply.headers.get("retry-after").map_or(0, |after| after.to_str().unwrap().parse().unwrap());
        }
        owner_gets_in(&app, &browser).await;
        app.advance_millis(1_000);
        wait -= 1;
    }
}

async fn a_known_address_has_ten_tries_of_its_own(app: TestApp) {
    ada_at_home(&app).await;
    tries(&app, HOME, "wrong", 10, 401).await;
    for seconds in [1, 2, 4, 8] {
        let reply = attempt(&app, ADA, PASSWORD, HOME).await.expect(429);
        assert_eq!(reply.headers["retry-after"], seconds.to_string());
        app.advance_seconds(seconds);
        tries(&app, HOME, "wrong", 1, 401).await;
    }
    tries(&app, HOME, PASSWORD, 1, 429).await;
    // Neither strangers nor another known place pay for it, and a right password there opens nothing here.
    tries(&app, ELSEWHERE, "wrong", 1, 401).await;
    tries(&app, "198.51.100.8", PASSWORD, 1, 200).await;
    tries(&app, HOME, PASSWORD, 1, 429).await;
    app.advance_seconds(16);
    tries(&app, HOME, PASSWORD, 1, 200).await;
    tries(&app, HOME, "wrong", 10, 401).await;
    tries(&app, HOME, PASSWORD, 1, 429).await;
}

async fn a_known_browser_gets_in_from_anywhere(app: TestApp) {
    let browser = ada_at_home(&app).await;
    tries(&app, ELSEWHERE, "wrong", 10, 401).await;
    tries(&app, ELSEWHERE, PASSWORD, 1, 429).await;
    // Beside an attacker at the owner's own address, too.
    tries(&app, HOME, "wrong", 10, 401).await;
    tries(&app, HOME, PASSWORD, 1, 429).await;
    let browser = browser.from(HOME);
    for _ in 0..3 {
        browser.sign_in(ADA, PASSWORD).await.expect(303);
    }
    // A stolen value has as many tries, and they are not the address's.
    let thief = browser.with_device(browser.device()).from("203.0.113.50");
    for _ in 0..10 {
        thief.sign_in(ADA, "wrong").await.expect(403);
    }
    thief.sign_in(ADA, PASSWORD).await.expect(429);
    // A value that another account knows, one that was made up, and none.
    app.person("ben").await;
    let bens = app.visitor().keeping_device();
    bens.sign_in("ben@example.com", PASSWORD).await.expect(303);
    let made_up = format!("tokenward-device={}", "a".repeat(43));
    for device in [bens.device(), Some(made_up), Some("tokenward-device=x".to_owned()), None] {
        assert_ne!(device, browser.device());
        browser.with_device(device).sign_in(ADA, PASSWORD).await.expect(429);
    }
}

async fn a_right_password_from_a_known_source_gives_a_stranger_no_tries(app: TestApp) {
    ada_at_home(&app).await;
    tries(&app, ELSEWHERE, "wrong", 10, 401).await;
    tries(&app, HOME, PASSWORD, 3, 200).await;
    tries(&app, ELSEWHERE, "wrong", 1, 429).await;
    // The owner somewhere new waits as a stranger does, and is known from then on.
    app.advance_seconds(1);
    tries(&app, ELSEWHERE, PASSWORD, 1, 200).await;
    tries(&app, "203.0.113.98", "wrong", 10, 401).await;
    tries(&app, "203.0.113.98", PASSWORD, 1, 429).await;
    tries(&app, ELSEWHERE, PASSWORD, 1, 200).await;
}

async fn an_address_of_many_clients_is_no_source(app: TestApp) {
    app.person("ada").await;
    let by_proxy = async |password: &str| {
        let client = app.presenting(&[&basic(ADA, password)]).from("10.0.0.1");
        let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", HOME.parse().unwrap());
        client.send(request).await.status
    };
    assert_eq!(by_proxy(PASSWORD).await, 200);
    tries(&app, ELSEWHERE, "wrong", 10, 401).await;
    assert_eq!(by_proxy(PASSWORD).await, 429, "an attacker may come by the same proxy");
}

async fn an_administrator_resets_the_counters_of_sources(app: TestApp) {
    ada_at_home(&app).await;
    let admin = app.signed_in("admin@example.com").await;
    let ada = app.admin().get(&format!("/v4/people?email={ADA}")).await.json["data"][0]["id"].as_i64().unwrap();
    let path = format!("/admin/users/{ada}");
    assert!(!admin.get(&path).await.text.contains("Let sign in at once"));
    tries(&app, HOME, "wrong", 10, 401).await;
    tries(&app, HOME, PASSWORD, 1, 429).await;
    assert!(admin.get(&path).await.text.contains("Let sign in at once"));
    admin.post(&format!("{path}/enable"), &[]).await.expect(303);
    tries(&app, HOME, PASSWORD, 1, 200).await;
    assert!(!admin.get(&path).await.text.contains("Let sign in at once"));
    // A new password does the same, and the places stay known.
    tries(&app, HOME, "wrong", 10, 401).await;
    let password = "another phrase of words";
    app.admin().change(ada, json!({"password": password, "password2": password})).await.expect(200);
    tries(&app, ELSEWHERE, "wrong", 10, 401).await;
    tries(&app, HOME, password, 1, 200).await;
}

async fn sources_are_kept_by_account_and_kind_and_forgotten(mut app: TestApp) {
    let ada = app.person("ada").await;
    let email = EmailKey::of(ADA).digest();
    let at = |n: i64| Timestamp::from_millis(1_767_225_600_000).plus_seconds(n);
    let addresses: Vec<Source> =
        (0..12).map(|n| Source::address(ada.id, format!("192.0.2.{n}").parse().unwrap())).collect();
    let device = Source::device(ada.id, &DeviceValue::make(&tokenward::domain::random::Random::system()));
    app.store.note_source(ada.id, &device, at(0)).await.unwrap();
    for (n, source) in (0..).zip(&addresses) {
        app.store.note_source(ada.id, source, at(n)).await.unwrap();
    }
    let known = async |source: Source, now| {
        let found = app.store.find_record(&email, Some(ada.id), &[source], now).await.unwrap();
        found.sources.first().copied()
    };
    // Ten of each kind: the two oldest addresses have given way, the browser has not.
    for (n, source) in (0..).zip(&addresses) {
        assert_eq!(known(*source, at(20)).await.is_some(), n >= 2, "{n}");
    }
    assert!(known(device, at(20)).await.is_some_and(|known| known.tries.is_none()));
    for _ in 0..2 {
        assert!(app.store.count_source_try(ada.id, &device.digest, at(30)).await.unwrap());
    }
    assert!(!app.store.count_source_try(ada.id, &addresses[0].digest, at(30)).await.unwrap());
    let tries = Some(Tries { failures: 2, last_at: at(30) });
    assert_eq!(known(device, at(40)).await.unwrap().tries, tries);
    assert_eq!(app.store.list_tries(&email, ada.id, at(40)).await.unwrap(), Vec::from_iter(tries));
    assert_eq!(known(device, at(30 + 86_400)).await.unwrap().tries, None, "a day later");
    // Those of another account, and those of 90 days ago, are not known.
    let other = app.store.find_record(&email, Some(1), &[device], at(40)).await.unwrap();
    assert_eq!(other, Record::default());
    let end = 90 * 86_400;
    assert!(known(device, at(end - 1)).await.is_some() && known(device, at(end)).await.is_none());
    assert_eq!(app.store.delete_forgotten_sources(at(end + 2)).await.unwrap(), 2, "the browser and an address");
    app.admin().delete(&format!("/v4/people/{}", ada.id)).await.expect(204);
    app.store.note_source(ada.id, &device, at(end)).await.unwrap();
    assert_eq!(app.look("select cast(count(*) as text) from known_source").await.as_deref(), Some("0"));
}

async fn an_unknown_account_has_no_source(app: TestApp) {
    // Nothing is remembered of what a stranger sends for an account that is not there, and it answers as one that is.
    for _ in 0..10 {
        assert_eq!(attempt(&app, "nobody@example.com", "wrong", HOME).await.status, 401);
    }
    assert_eq!(attempt(&app, "nobody@example.com", "wrong", HOME).await.status, 429);
    assert_eq!(attempt(&app, "nobody@example.com", "wrong", ELSEWHERE).await.status, 429);
}

#[tokio::test]
async fn a_source_is_known_on_every_node() {
    let first = TestApp::with(Database::migrated(Engine::Postgres).await, |_| ()).await;
    let second = TestApp::with(first.database.for_another_node(), |_| ()).await;
    first.person("ada").await;
    tries(&first, HOME, PASSWORD, 1, 200).await;
    tries(&second, ELSEWHERE, "wrong", 10, 401).await;
    for node in [&first, &second] {
        tries(node, ELSEWHERE, PASSWORD, 1, 429).await;
        tries(node, HOME, PASSWORD, 1, 200).await;
    }
    for n in 0..10 {
        tries(if n % 2 == 0 { &first } else { &second }, HOME, "wrong", 1, 401).await;
    }
    tries(&first, HOME, PASSWORD, 1, 429).await;
    tries(&second, HOME, PASSWORD, 1, 429).await;
}
