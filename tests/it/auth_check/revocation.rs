//! Strangers who send made-up values to the revocation endpoint: they spend a budget of their own, and every token that is sent is
//! deleted all the same.

use axum::body::Body;
use tokenward::domain::random::Random;
use tokenward_guard::token_format::TokenFormat;

use crate::support::{Bearer, Client, Database, Engine, Reply, TestApp};

on_both_databases!(
    made_up_values_spend_a_budget_and_tokens_are_deleted_all_the_same,
    tokens_that_are_deleted_cost_nothing,
    what_cannot_be_a_token_never_reaches_the_store,
);

const STRANGER: &str = "192.0.2.1";

async fn start(engine: Engine) -> TestApp {
    TestApp::with(Database::migrated(engine).await, |config| config.limits.refused_bearers_per_minute = 3).await
}

async fn revoke(client: &Client, value: &str) -> Reply {
    let mut request = client.request("POST", "/oauth2/revoke", Body::from(format!("token={value}")));
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    client.send(request).await
}

fn made_up() -> String {
    TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned()
}

async fn made_up_values_spend_a_budget_and_tokens_are_deleted_all_the_same(engine: Engine) {
    let app = start(engine).await;
    let stranger = app.anonymous().from(STRANGER);
    let (cached, fresh) = (app.admin().bearer().await, app.admin().bearer().await);
    assert!(cached.works().await);
    for n in 0..3 {
        assert_eq!(revoke(&stranger, &made_up()).await.status, 200, "{n}");
    }
    for n in 0..5 {
        let reply = revoke(&stranger, &made_up()).await.expect(429);
        assert_eq!(
            (&reply.json["error"], reply.headers.contains_key("retry-after")),
            (&"slow_down".into(), true),
            "{n}"
        );
    }
    // Now as before every token dies, known to the cache or not; a second time it is a made-up value.
    for token in [&cached, &fresh] {
        revoke(&stranger, &token.value).await.expect(200);
        assert!(!token.works().await);
        revoke(&stranger, &token.value).await.expect(429);
    }
    // Others are not concerned, and 20 seconds later one more is free.
    revoke(&app.anonymous().from("192.0.2.2"), &made_up()).await.expect(200);
    app.advance_seconds(20);
    revoke(&stranger, &made_up()).await.expect(200);
    revoke(&stranger, &made_up()).await.expect(429);
}

async fn tokens_that_are_deleted_cost_nothing(engine: Engine) {
    let app = start(engine).await;
    let stranger = app.anonymous().from(STRANGER);
    for _ in 0..10 {
        let token: Bearer = app.admin().bearer().await;
        revoke(&stranger, &token.value).await.expect(200);
        assert!(!token.works().await);
    }
    revoke(&stranger, &made_up()).await.expect(200);
}

async fn what_cannot_be_a_token_never_reaches_the_store(engine: Engine) {
    let app = start(engine).await;
    let stranger = app.anonymous().from(STRANGER);
    let value = made_up();
    let (head, last) = value.split_at(value.len() - 1);
    let wrong_checksum = format!("{head}{}", if last == "0" { "1" } else { "0" });
    app.store.close().await;
    for value in [&wrong_checksum, head, "nonsense", "twd_", ""] {
        for _ in 0..5 {
            revoke(&stranger, value).await.expect(200);
        }
    }
    revoke(&stranger, &value).await.expect(503);
}
