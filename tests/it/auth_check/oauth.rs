//! Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414).

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{ApiClient, Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases};

const INACTIVE: &str = "{\"active\":false}\n";

async fn post_form(client: &ApiClient, path: &str, body: &str) -> TestResponse {
    let mut request = client.request("POST", path, Body::from(body.to_owned()));
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", content_type);
    client.send(request).await
}

async fn introspect(client: &ApiClient, token: &str) -> TestResponse {
    post_form(client, "/oauth2/introspect", &format!("token={token}&token_type_hint=nonsense")).await
}

#[apply(both_databases)]
async fn an_active_token_is_described(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let expected = json!({"active": true, "token_type": "Bearer", "sub": "1", "username": "admin@example.com",
        "exp": 1_767_229_200, "iat": 1_767_225_600, "jti": bearer.token_id, "iss": "http://127.0.0.1:3005",
        "tokenward_workspace_id": 1, "tokenward_is_admin": true, "tokenward_name": "Administrator",
        "tokenward_unrestricted": true});
    for caller in [&*app.admin(), &*bearer] {
        assert_eq!(introspect(caller, &bearer.value).await.expect(200).json, expected);
    }
    let forever = app.admin().create_token_with(json!({"lifetimeSeconds": -1})).await;
    assert!(introspect(&app.admin(), &forever.value).await.expect(200).json.get("exp").is_none());
}

#[apply(both_databases)]
async fn every_inactive_token_gets_the_same_response(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let admin = app.admin();
    let caller = admin.create_token().await;
    let ada = app.add_person("ada").await;
    let [expired, deleted, disabled] = [
        ada.create_token_with(json!({"lifetimeSeconds": 1})).await,
        admin.create_token().await,
        ada.create_token().await,
    ];
    app.advance_seconds(1);
    admin.delete(&deleted.token_path()).await.expect(204);
    admin.update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    let other = app.create_workspace_with_admin("eve").await;
    let other_bearer = other.create_token().await;
    for token in [&expired.value, &deleted.value, &disabled.value, "", "x", "twd_", "%00", "a%20b", &"x".repeat(10_000)]
    {
        assert_eq!(introspect(&caller, token).await.expect(200).text, INACTIVE, "{token}");
    }
    // Another workspace's token is active to its own members and to platform administrators.
    assert_eq!(introspect(&other, &caller.value).await.expect(200).text, INACTIVE);
    assert_eq!(introspect(&other, &other_bearer.value).await.expect(200).json["active"], true);
    assert_eq!(introspect(&caller, &other_bearer.value).await.expect(200).json["active"], true);
    let bob = admin.add_person("bob", true).await;
    assert_eq!(introspect(&bob, &other_bearer.value).await.expect(200).text, INACTIVE);
}

#[apply(both_databases)]
async fn the_caller_must_authenticate_first(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    for caller in [
        app.anonymous(),
        app.client_with_authorization(&["Bearer twd_x"]),
        (*app.admin().with_password("wrong")).clone(),
    ] {
        for body in [format!("token={}", bearer.value), String::new()] {
            let reply = post_form(&caller, "/oauth2/introspect", &body).await.expect(401);
            assert_eq!(reply.json["error"], "invalid_client");
            assert!(reply.headers.contains_key("www-authenticate") && reply.json["error_description"].is_string());
        }
    }
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    assert_eq!(introspect(&ada, &bearer.value).await.expect(403).json["error"], "access_denied");
    app.set_setting("enabled", false).await;
    assert_eq!(introspect(&bearer, &bearer.value).await.expect(401).json["error"], "invalid_client");
    assert_eq!(introspect(&app.admin(), &bearer.value).await.expect(200).text, INACTIVE);
}

#[apply(both_databases)]
async fn the_form_must_name_one_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for body in ["", "x=1", "token=a&token=b", "Token=a"] {
            assert_eq!(
                post_form(&admin, path, body).await.expect(400).json["error"],
                "invalid_request",
                "{path} {body}"
            );
        }
        let json = admin.post(path, &json!({"token": "x"})).await.expect(400);
        assert_eq!(json.json["error"], "invalid_request");
        admin.get(path).await.expect(404);
    }
}

#[apply(both_databases)]
async fn introspection_updates_last_used(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    introspect(&app.admin(), &bearer.value).await.expect(200);
    assert_eq!(app.admin().get(&bearer.token_path()).await.json["lastUsed"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn introspection_can_leave_last_used_unchanged() {
    let configure = |config: &mut tokenward::config::Config| config.introspection.updates_last_used = false;
    let app = TestApp::start_with(Database::migrated(Engine::Sqlite).await, configure).await;
    let bearer = app.admin().create_token().await;
    assert_eq!(introspect(&app.admin(), &bearer.value).await.expect(200).json["active"], true);
    assert!(app.admin().get(&bearer.token_path()).await.json["lastUsed"].is_null());
}

#[apply(both_databases)]
async fn any_holder_of_a_token_can_revoke_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let anonymous = app.anonymous();
    for token in [&bearer.value, &bearer.value, "twd_unknown", "a%20b"] {
        let reply = post_form(&anonymous, "/oauth2/revoke", &format!("token={token}")).await.expect(200);
        assert!(reply.text.is_empty());
    }
    assert!(!bearer.is_accepted().await);
    // A token that is currently disabled is revoked too.
    let bearer = app.admin().create_token().await;
    app.set_setting("enabled", false).await;
    post_form(&anonymous, "/oauth2/revoke", &format!("token={}", bearer.value)).await.expect(200);
    app.set_setting("enabled", true).await;
    assert!(!bearer.is_accepted().await);
}

#[apply(both_databases)]
async fn an_outage_is_neither_inactive_nor_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    app.store.close().await;
    for reply in [
        introspect(&bearer, &bearer.value).await,
        introspect(&app.admin(), &bearer.value).await,
        post_form(&app.anonymous(), "/oauth2/revoke", &format!("token={}", bearer.value)).await,
    ] {
        assert_eq!(reply.json["error"], "temporarily_unavailable", "{}", reply.text);
        assert!(reply.status == 503 && reply.headers.contains_key("retry-after"));
    }
}

#[apply(both_databases)]
async fn stock_clients_find_the_endpoints(engine: Engine) {
    let app = TestApp::start(engine).await;
    let metadata = app.anonymous().get("/.well-known/oauth-authorization-server").await.expect(200).json;
    assert_eq!(metadata["issuer"], "http://127.0.0.1:3005");
    assert_eq!(metadata["introspection_endpoint"], "http://127.0.0.1:3005/oauth2/introspect");
    assert_eq!(metadata["revocation_endpoint"], "http://127.0.0.1:3005/oauth2/revoke");
}

/// Encodes a credential as required by RFC 6749, section 2.3.1 and appendix B.
fn form_encode(text: &str) -> String {
    let byte = |b: u8| match b {
        b' ' => "+".to_owned(),
        b if b.is_ascii_alphanumeric() || b"-._*".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

async fn introspect_as(app: &TestApp, name: &str, password: &str) -> TestResponse {
    introspect(&app.client_with_authorization(&[&basic_auth(name, password)]), "x").await
}

#[apply(both_databases)]
async fn a_client_may_form_encode_its_credentials(engine: Engine) {
    let app = TestApp::start(engine).await;
    let email = "ada+tools@example.com";
    for (n, password) in
        ["k\u{e4}se & brot+wurst: 50% off", "really %40 and + and %2B and %", "only plain letters"].iter().enumerate()
    {
        let email = format!("{n}{email}");
        let body = json!({"email": email, "name": "A", "password": password});
        app.admin().post("/v4/people", &body).await.expect(201);
        for (name, typed) in [
            (email.clone(), (*password).to_owned()),
            (form_encode(&email), form_encode(password)),
            (form_encode(&email).to_lowercase(), form_encode(password)),
            (form_encode(&email), form_encode(password).replace('+', "%20")),
            // Only one of both encoded.
            (email.clone(), form_encode(password)),
            (form_encode(&email), (*password).to_owned()),
        ] {
            assert_eq!(introspect_as(&app, &name, &typed).await.expect(200).text, INACTIVE, "{name} {typed}");
        }
        for (name, typed) in [
            (form_encode(&email), form_encode("wrong %40+")),
            (email.clone(), "%ff%zz%".to_owned()),
            (form_encode(&form_encode(&email)), form_encode(password)),
            (format!("%ff{}", form_encode(&email)), form_encode(password)),
        ] {
            assert_eq!(introspect_as(&app, &name, &typed).await.expect(401).json["error"], "invalid_client");
        }
        // No other endpoint decodes credentials.
        let field = basic_auth(&form_encode(&email), &form_encode(password));
        for path in ["/v4/people/current", "/v4/auth"] {
            app.client_with_authorization(&[&field]).get(path).await.expect(401);
        }
    }
    let twice = form_encode(&form_encode("k\u{e4}se & brot+wurst: 50% off"));
    introspect_as(&app, &form_encode(&format!("0{email}")), &twice).await.expect(401);
}

#[apply(both_databases)]
async fn encoded_credentials_cost_the_same_for_unknown_accounts(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let off = app.add_person("off").await;
    app.admin().update_person(off.id, json!({"isDisabled": true})).await.expect(200);
    let hashes = || app.state.sign_in().hasher_counts().0;
    for (password, cost) in [("plain", 1), ("a%20b", 2), ("a+b", 2), ("%ff", 1), ("100%", 1)] {
        for email in ["ada@example.com", "off@example.com", "unknown@example.com"] {
            for name in [email.to_owned(), form_encode(email)] {
                let before = hashes();
                let reply = introspect_as(&app, &name, password).await.expect(401);
                assert_eq!(hashes() - before, cost, "{name} {password}");
                assert_eq!(reply.json["error"], "invalid_client");
            }
        }
        app.advance_seconds(86_400);
    }
}

#[apply(both_databases)]
async fn both_forms_of_a_password_count_as_one_attempt(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    for n in 0..10 {
        let name = if n % 2 == 0 { "ada@example.com" } else { "ada%40example.com" };
        introspect_as(&app, name, "wrong%20one").await.expect(401);
    }
    for name in ["ada@example.com", "ada%40example.com"] {
        assert_eq!(introspect_as(&app, name, &form_encode(PASSWORD)).await.expect(429).json["error"], "slow_down");
    }
    app.advance_seconds(1);
    introspect_as(&app, "ada%40example.com", &form_encode(PASSWORD)).await.expect(200);
}
