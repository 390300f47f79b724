//! Allowed networks of tokens: where a token authenticates, and what is recorded elsewhere.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::token_limits::{create_token, introspect};
use crate::support::{ApiClient, Engine, TestApp, TokenClient, both_databases};

#[apply(both_databases)]
async fn a_token_authenticates_within_its_networks_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = create_token(&admin, json!({"allowedNetworks": ["10.0.0.0/8", "2001:db8::7"]})).await;
    let from = |address: &str| ApiClient::clone(&bearer).with_address(address);
    for round in ["read from the database", "cached"] {
        for path in ["/v4/people/current", "/v4/auth", "/v4/auth/workspace=1"] {
            for address in ["10.9.9.9", "::ffff:10.0.0.1", "2001:db8::7"] {
                assert_eq!(from(address).get(path).await.status, 200, "{round} {address} {path}");
            }
            for address in ["11.0.0.1", "2001:db8::8", "127.0.0.1"] {
                from(address).get(path).await.expect_error(401, "MissingPersonException");
            }
            bearer.get(path).await.expect(401);
        }
    }
    for (extra, is_active) in [
        ("", false),
        ("&client_address=10.0.0.1", true),
        ("&client_address=%3A%3Affff%3A10.0.0.1", true),
        ("&client_address=192.0.2.1", false),
    ] {
        let response = introspect(&admin, &bearer.value, extra).await.expect(200);
        assert_eq!(response.json["active"], json!(is_active), "{extra}");
    }
    for invalid in ["&client_address=", "&client_address=x", "&client_address=10.0.0.1&client_address=10.0.0.2"] {
        introspect(&admin, &bearer.value, invalid).await.expect(400);
    }
}

#[apply(both_databases)]
async fn a_rejection_is_recorded_with_the_address_that_was_compared(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let limited = json!({"allowedNetworks": ["10.0.0.0/8"]});
    let expired = create_token(&admin, json!({"lifetimeSeconds": 1, "scopes": []})).await;
    app.advance_seconds(1);
    let asker = create_token(&admin, json!({})).await;
    let asker = ApiClient::clone(&asker).with_address("10.0.0.5");
    let outside = "outside the allowed networks";
    let batch = |bearer: &TokenClient| json!({"tokens": [{"token": bearer.value, "clientAddress": "192.0.2.8"}]});
    let unknown = "client address unknown";
    for (n, (cause, address)) in [
        (outside, json!("192.0.2.6")),
        (outside, json!("192.0.2.7")),
        (outside, json!("192.0.2.8")),
        (unknown, Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let bearer = create_token(&admin, limited.clone()).await;
        match n {
            0 => drop(ApiClient::clone(&bearer).with_address("192.0.2.6").get("/v4/auth").await.expect(401)),
            1 => drop(introspect(&asker, &bearer.value, "&client_address=192.0.2.7").await.expect(200)),
            2 => drop(asker.post("/v4/auth/batch", &batch(&bearer)).await.expect(200)),
            _ => drop(introspect(&asker, &bearer.value, "").await.expect(200)),
        }
        app.state.denied_attempts().flush(true).await.unwrap();
        let events = admin.get("/v4/events?allUsers=true&action=token.rejected_network").await.expect(200);
        let event = &events.rows()[0];
        assert_eq!((&event["target"], &event["details"]["cause"]), (&json!(bearer.token_id), &json!(cause)));
        assert_eq!(event["address"], address, "{n}");
    }
    // The same holds for a token that has expired.
    introspect(&asker, &expired.value, "&client_address=192.0.2.9").await.expect(200);
    app.state.denied_attempts().flush(true).await.unwrap();
    let events = admin.get("/v4/events?allUsers=true&action=token.rejected_revoked").await.expect(200);
    assert_eq!(events.rows()[0]["address"], json!("192.0.2.9"));
}
