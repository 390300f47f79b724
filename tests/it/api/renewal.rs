//! Renewal with overlap: a new token replaces an older one, which is deleted after a grace period.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{ApiClient, Engine, TestApp, TestResponse, TokenClient, both_databases};

const TOKENS: &str = "/v4/apiAccessTokens";

async fn replace(client: &ApiClient, token_id: &str, more: Value) -> TestResponse {
    let mut body = json!({"replaces": token_id});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(TOKENS, &body).await
}

#[apply(both_databases)]
async fn a_renewed_token_inherits_and_the_old_one_ends_after_the_grace_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    let body = json!({"lifetimeSeconds": 3_600, "description": "nightly", "scopes": ["tokenward:tokens:write"],
        "allowedNetworks": ["10.0.0.0/8"]});
    let old = app.admin().create_token_with(body).await;
    let inside = ApiClient::clone(&old).with_address("10.0.0.1");
    app.advance_seconds(600);
    let created = replace(&inside, &old.token_id, json!({"graceSeconds": 60})).await.expect(201);
    let info = &created.json["tokenInfo"];
    assert_eq!(info["description"], json!("nightly"));
    assert_eq!(info["expiredAt"], json!("2026-01-01T01:10:00.000Z"), "the lifetime of the old token, from now");
    assert_eq!(
        (&info["scopes"], &info["allowedNetworks"]),
        (&json!(["tokenward:tokens:write"]), &json!(["10.0.0.0/8"]))
    );
    let read = app.admin().get(&old.token_path()).await.expect(200).json;
    assert_eq!(read["expiredAt"], json!("2026-01-01T01:00:00.000Z"), "nothing of the old token changes");
    assert_eq!((&read["deletesAt"], &read["replacedBy"]), (&json!("2026-01-01T00:11:00.000Z"), &info["tokenId"]));
    let response = inside.get("/v4/people/current").await.expect(200);
    assert_eq!(response.header_values("sunset"), ["Thu, 01 Jan 2026 00:11:00 GMT"]);
    assert_eq!(response.header_values("x-tokenward-token-expires"), ["2026-01-01T00:11:00.000Z"]);
    let check = inside.get("/v4/auth").await.expect(200);
    assert_eq!(check.header_values("sunset"), ["Thu, 01 Jan 2026 00:11:00 GMT"]);
    app.advance_millis(59_999);
    inside.get("/v4/auth").await.expect(200);
    app.advance_millis(1);
    inside.get("/v4/auth").await.expect(401);
    let new = TokenClient::from_response(&old, &created);
    ApiClient::clone(&new).with_address("10.0.0.1").get("/v4/auth").await.expect(200);
    assert_eq!(app.state.tokens().delete_replaced().await.unwrap(), 1);
    assert_eq!(app.state.tokens().delete_replaced().await.unwrap(), 0);
    app.admin().get(&old.token_path()).await.expect_error(404, "DataNotFoundException");
    let events = app.admin().get("/v4/events?allUsers=true").await.expect(200);
    let about_old = events.rows().iter().filter(|row| row["target"] == json!(old.token_id));
    let actions: Vec<_> = about_old.map(|row| row["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"token.replaced") && actions.contains(&"token.deleted"), "{actions:?}");
    // A clock that is set back does not revive it.
    app.advance_millis(-30_000);
    inside.get("/v4/auth").await.expect(401);
}

#[apply(both_databases)]
async fn no_grace_period_deletes_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await;
    let created = replace(&old, &old.token_id, json!({"graceSeconds": 0})).await.expect(201);
    assert!(!old.is_accepted().await);
    assert!(TokenClient::from_response(&old, &created).is_accepted().await);
    app.admin().get(&old.token_path()).await.expect_error(404, "DataNotFoundException");
}

#[apply(both_databases)]
async fn the_old_token_never_outlives_its_expiry(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await;
    let by_default = app.admin().create_token_with(json!({"lifetimeSeconds": -1})).await;
    replace(&app.admin(), &old.token_id, json!({"graceSeconds": 2_592_000})).await.expect(201);
    replace(&app.admin(), &by_default.token_id, json!({})).await.expect(201);
    let deletes_at =
        async |bearer: &TokenClient| app.admin().get(&bearer.token_path()).await.expect(200).json["deletesAt"].clone();
    assert_eq!(deletes_at(&old).await, json!("2026-01-01T01:00:00.000Z"));
    assert_eq!(deletes_at(&by_default).await, json!("2026-01-02T00:00:00.000Z"));
}

#[apply(both_databases)]
async fn only_an_own_active_token_is_replaced_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let (admin, ada) = (app.admin(), app.add_person("ada").await);
    let (old, adas) = (admin.create_token().await, ada.create_token().await);
    let short = admin.create_token_with(json!({"lifetimeSeconds": 1})).await;
    let deleted = admin.create_token().await;
    admin.delete(&deleted.token_path()).await.expect(204);
    app.advance_seconds(1);
    replace(&admin, &short.token_id, json!({})).await.expect_error(409, "ConflictException");
    let unknown = "00000000-0000-7000-8000-000000000000";
    for id in [deleted.token_id.as_str(), adas.token_id.as_str(), unknown, "x", ""] {
        replace(&admin, id, json!({})).await.expect_error(404, "DataNotFoundException");
    }
    for grace in [json!(-1), json!(2_592_001), json!(9_223_372_036_854_775_807_i64)] {
        let rejected = replace(&admin, &old.token_id, json!({"graceSeconds": grace})).await;
        let details = rejected.expect_error(400, "ValidationFailed");
        assert!(details.contains(&grace.to_string()), "{details}");
    }
    for malformed in [json!({"graceSeconds": null}), json!({"lifetimeSeconds": null}), json!({"graceSeconds": "1"})] {
        replace(&admin, &old.token_id, malformed).await.expect_error(400, "ApiValidationFailed");
    }
    admin.post(TOKENS, &json!({"replaces": null})).await.expect_error(400, "ApiValidationFailed");
    let new = TokenClient::from_response(&admin, &replace(&admin, &old.token_id, json!({})).await.expect(201));
    replace(&admin, &old.token_id, json!({})).await.expect_error(409, "ConflictException");
    // The older token can renew the newer one; a circle needs a replaced token and is rejected.
    replace(&old, &new.token_id, json!({})).await.expect(201);
    replace(&new, &old.token_id, json!({})).await.expect_error(409, "ConflictException");
}

/// The old token learns its end from every response to a request that it authenticated.
#[apply(both_databases)]
async fn errors_announce_the_deletion_as_well(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let scoped = admin.create_token_with(json!({"lifetimeSeconds": 3_600, "scopes": []})).await;
    let asker = admin.create_token_with(json!({"lifetimeSeconds": 3_600, "scopes": ["tokenward:introspect"]})).await;
    let expected = ["Thu, 01 Jan 2026 00:01:00 GMT"];
    for old in [&scoped, &asker] {
        replace(&admin, &old.token_id, json!({"graceSeconds": 60})).await.expect(201);
    }
    for (client, method, path, status) in [
        (&scoped, "GET", "/v4/people", 403),
        (&scoped, "GET", "/v4/people/current?x=1", 400),
        (&scoped, "GET", "/v4/auth/scope=a", 403),
        (&scoped, "GET", "/v4/auth/workspace=2", 403),
        (&scoped, "GET", "/v4/auth/invalid", 403),
        (&scoped, "POST", "/oauth2/introspect", 403),
        (&scoped, "POST", "/v4/auth/batch", 403),
        (&asker, "POST", "/oauth2/introspect", 400),
        (&asker, "POST", "/v4/auth/batch", 400),
    ] {
        // Twice: at first, the token may not be cached.
        for _ in 0..2 {
            let response = client.send_json(method, path, "{}").await.expect(status);
            assert_eq!(response.header_values("sunset"), expected, "{method} {path}");
            assert_eq!(response.headers.get("x-tokenward-token-expires"), None, "{method} {path}");
        }
    }
    app.advance_seconds(60);
    assert_eq!(scoped.get("/v4/people").await.expect(401).headers.get("sunset"), None);
}

#[apply(both_databases)]
async fn rules_for_new_tokens_apply_to_renewals(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let forever = admin.create_token_with(json!({"lifetimeSeconds": -1})).await;
    let limited = admin.create_token_with(json!({"lifetimeSeconds": 60, "scopes": ["tokenward:tokens:write"]})).await;
    // A token with scopes cannot renew one with full access, unless the new one has its scopes.
    let details = replace(&limited, &forever.token_id, json!({})).await.expect_error(400, "ValidationFailed");
    assert!(details.contains("Scopes must be among"), "{details}");
    app.set_setting("maxLifetimeDays", 1).await;
    let details = replace(&admin, &forever.token_id, json!({})).await.expect_error(400, "ValidationFailed");
    assert!(details.contains("maximum lifetime"), "{details}");
    replace(&admin, &forever.token_id, json!({"lifetimeSeconds": 86_400})).await.expect(201);
    let forbidden = json!({"configuration": [{"key": "tokenward.childTokens", "value": "forbidden"}]});
    admin.patch("/v4/workspaces/current/configuration", &forbidden).await.expect(200);
    replace(&limited, &limited.token_id, json!({})).await.expect_error(403, "AccessControlException");
    assert_eq!(admin.get(&limited.token_path()).await.expect(200).json.get("deletesAt"), None);
}

#[apply(both_databases)]
async fn a_repeated_renewal_gets_the_same_response(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await;
    let send = async |body: Value| {
        let mut request = old.request("POST", TOKENS, body.to_string().into());
        request.headers_mut().insert("idempotency-key", "0123456789abcdef".parse().unwrap());
        old.send(request).await
    };
    let body = json!({"replaces": old.token_id, "scopes": ["a"]});
    let (first, second) = (send(body.clone()).await.expect(201), send(body).await.expect(201));
    assert_eq!(first.json, second.json);
    for other in [
        json!({"replaces": old.token_id}),
        json!({"replaces": old.token_id, "scopes": ["a"], "graceSeconds": 1}),
        json!({"replaces": old.token_id, "scopes": ["a"], "description": ""}),
        json!({"replaces": old.token_id, "scopes": ["a"], "allowedNetworks": ["10.0.0.0/8"]}),
    ] {
        send(other).await.expect_error(400, "ValidationFailed");
    }
}

#[apply(both_databases)]
async fn of_concurrent_renewals_one_succeeds(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token().await;
    let admin = app.admin();
    let responses = join_all((0..4).map(|_| replace(&admin, &old.token_id, json!({"graceSeconds": 60})))).await;
    let mut statuses: Vec<_> = responses.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 2);
}
