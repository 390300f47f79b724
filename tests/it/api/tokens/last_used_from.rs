//! `lastUsedFrom`: the client address of the last use.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{ApiClient, Engine, TestApp, TokenClient, both_databases};

const PATH: &str = "/v4/apiAccessTokens";

/// Uses a token from an address.
async fn use_from(token: &TokenClient, path: &str, address: &str) {
    ApiClient::clone(token).with_address(address).get(path).await.expect(200);
}

/// Returns `lastUsedFrom` of a token, which has the same value in the list and in the read. Reading
/// writes all uses.
async fn last_used_from(app: &TestApp, token: &TokenClient) -> Value {
    let read = app.admin().get(&token.token_path()).await.expect(200);
    let list = app.admin().get(&format!("{PATH}?allUsers=true")).await.expect(200);
    let row = list.rows().iter().find(|row| row["tokenId"] == token.token_id.as_str()).unwrap();
    assert_eq!(row.get("lastUsedFrom"), read.json.get("lastUsedFrom"));
    read.json.get("lastUsedFrom").cloned().unwrap_or(Value::Null)
}

async fn record_addresses(app: &TestApp, is_on: bool) {
    let body = json!({"configuration": [{"key": "tokenward.recordAddresses", "value": is_on}]});
    app.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
}

#[apply(both_databases)]
async fn the_first_use_after_each_flush_notes_its_address(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    assert_eq!(last_used_from(&app, &token).await, Value::Null);
    for (path, first, second) in [
        ("/v4/people/current", "192.0.2.1", "192.0.2.2"),
        ("/v4/auth", "::ffff:192.0.2.3", "192.0.2.4"),
        ("/v4/auth/any", "2001:db8::1", "192.0.2.6"),
    ] {
        app.advance_seconds(1);
        use_from(&token, path, first).await;
        app.advance_seconds(1);
        use_from(&token, path, second).await;
        let expected = first.trim_start_matches("::ffff:");
        assert_eq!(last_used_from(&app, &token).await, expected, "{path}");
    }
    app.advance_seconds(1);
    token.get("/v4/auth").await.expect(200);
    assert_eq!(last_used_from(&app, &token).await, Value::Null, "the address of the last use is unknown");
}

#[apply(both_databases)]
async fn introspection_does_not_know_the_address(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (token, service) = (app.admin().create_token().await, app.admin().create_token().await);
    let service = ApiClient::clone(&service).with_address("192.0.2.1");
    let mut request = service.request("POST", "/oauth2/introspect", format!("token={}", token.value).into());
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(service.send(request).await.expect(200).json["active"], true);
    assert_eq!(last_used_from(&app, &token).await, Value::Null);
    assert!(app.admin().get(&token.token_path()).await.json["lastUsed"].is_string());
}

#[apply(both_databases)]
async fn a_workspace_can_forbid_the_record(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    use_from(&token, "/v4/auth", "192.0.2.1").await;
    assert_eq!(last_used_from(&app, &token).await, "192.0.2.1");
    record_addresses(&app, false).await;
    assert_eq!(last_used_from(&app, &token).await, Value::Null, "not shown any more");
    app.advance_seconds(1);
    use_from(&token, "/v4/auth", "192.0.2.2").await;
    assert_eq!(last_used_from(&app, &token).await, Value::Null);
    record_addresses(&app, true).await;
    assert_eq!(last_used_from(&app, &token).await, Value::Null, "not stored");
    app.advance_seconds(1);
    use_from(&token, "/v4/auth", "192.0.2.3").await;
    assert_eq!(last_used_from(&app, &token).await, "192.0.2.3");
}
