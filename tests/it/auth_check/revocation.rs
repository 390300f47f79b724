//! Rate limiting of the revocation endpoint: unknown values use up the limit of the client address,
//! and existing tokens are deleted regardless.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::random::Random;
use tokenward_guard::token_format::TokenFormat;

use crate::support::{ApiClient, Database, Engine, TestApp, TestResponse, TokenClient, both_databases_multi_thread};

const CLIENT_IP: &str = "192.0.2.1";

async fn start(engine: Engine) -> TestApp {
    TestApp::start_with(Database::migrated(engine).await, |config| {
        config.rate_limits.rejected_tokens_per_ip_per_minute = 3;
    })
    .await
}

async fn revoke(client: &ApiClient, value: &str) -> TestResponse {
    let mut request = client.request("POST", "/oauth2/revoke", Body::from(format!("token={value}")));
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    client.send(request).await
}

fn unknown_token() -> String {
    TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned()
}

#[apply(both_databases_multi_thread)]
async fn unknown_values_are_rate_limited_and_tokens_are_deleted_regardless(engine: Engine) {
    let app = start(engine).await;
    let client = app.anonymous().with_address(CLIENT_IP);
    let (cached, fresh) = (app.admin().create_token().await, app.admin().create_token().await);
    assert!(cached.is_accepted().await);
    for n in 0..3 {
        assert_eq!(revoke(&client, &unknown_token()).await.status, 200, "{n}");
    }
    for n in 0..5 {
        let reply = revoke(&client, &unknown_token()).await.expect(429);
        assert_eq!(
            (&reply.json["error"], reply.headers.contains_key("retry-after")),
            (&"slow_down".into(), true),
            "{n}"
        );
    }
    // Existing tokens are still deleted, cached or not. After that, their values are unknown.
    for token in [&cached, &fresh] {
        revoke(&client, &token.value).await.expect(200);
        assert!(!token.is_accepted().await);
        revoke(&client, &token.value).await.expect(429);
    }
    // Other addresses are not limited, and 20 seconds later one more request is allowed.
    revoke(&app.anonymous().with_address("192.0.2.2"), &unknown_token()).await.expect(200);
    app.advance_seconds(20);
    revoke(&client, &unknown_token()).await.expect(200);
    revoke(&client, &unknown_token()).await.expect(429);
}

#[apply(both_databases_multi_thread)]
async fn deleting_a_token_does_not_use_up_the_limit(engine: Engine) {
    let app = start(engine).await;
    let client = app.anonymous().with_address(CLIENT_IP);
    for _ in 0..10 {
        let token: TokenClient = app.admin().create_token().await;
        revoke(&client, &token.value).await.expect(200);
        assert!(!token.is_accepted().await);
    }
    revoke(&client, &unknown_token()).await.expect(200);
}

#[apply(both_databases_multi_thread)]
async fn malformed_values_never_reach_the_store(engine: Engine) {
    let app = start(engine).await;
    let client = app.anonymous().with_address(CLIENT_IP);
    let value = unknown_token();
    let (head, last) = value.split_at(value.len() - 1);
    let wrong_checksum = format!("{head}{}", if last == "0" { "1" } else { "0" });
    app.store.close().await;
    for value in [&wrong_checksum, head, "nonsense", "twd_", ""] {
        for _ in 0..5 {
            revoke(&client, value).await.expect(200);
        }
    }
    revoke(&client, &value).await.expect(503);
}
