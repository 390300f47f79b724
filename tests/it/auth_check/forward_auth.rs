//! Forward auth: `/v4/auth` and `/v4/auth/{requirements}`.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Database, Engine, PASSWORD, TestApp, TestResponse, both_databases, one_hour_token};

/// The headers that identify the owner of the credential.
const IDENTITY_HEADERS: [&str; 8] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-tokenward-person-id",
    "x-tokenward-workspace-id",
    "x-tokenward-token-id",
    "x-tokenward-token-expires",
];

fn identity_values(reply: &TestResponse) -> Vec<&str> {
    IDENTITY_HEADERS.iter().map(|name| reply.headers[*name].to_str().unwrap()).collect()
}

#[apply(both_databases)]
async fn the_owner_is_returned_for_every_method(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let reply = bearer.send(bearer.request(method, "/v4/auth?workspace=2", Body::from("x"))).await.expect(200);
        let expected = json!({"personId": 1, "workspaceId": 1, "email": "admin@example.com", "name": "Administrator",
            "isAdmin": true, "tokenId": bearer.token_id, "tokenExpiredAt": "2026-01-01T01:00:00.000Z"});
        assert_eq!(reply.json, expected, "{method}");
        assert_eq!(
            (&reply.headers["vary"], &reply.headers["cache-control"]),
            (&"authorization".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }
    let reply = app.admin().get("/v4/auth").await.expect(200);
    assert!(reply.json["tokenId"].is_null() && reply.json["tokenExpiredAt"].is_null());
}

#[apply(both_databases)]
async fn every_identity_header_is_present_and_not_empty(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let body = json!({"email": "jos\u{e9}@example.com", "name": "", "password": PASSWORD});
    let id = app.admin().post("/v4/people", &body).await.expect(201).json["id"].to_string();
    let jose = app.client_with_authorization(&[&crate::support::basic_auth("jos\u{e9}@example.com", PASSWORD)]);
    let escaped = "jos%C3%A9@example.com";
    let reply = jose.get("/v4/auth/any").await.expect(200);
    assert_eq!(identity_values(&reply), [escaped, escaped, escaped, "user", &id, "1", "-", "never"]);
    let bearer = app.admin().create_token_with(json!({"lifetimeSeconds": 60})).await;
    let reply = bearer.get("/v4/auth/any/x").await.expect(200);
    let email = "admin@example.com";
    let expires = "2026-01-01T00:01:00.000Z";
    assert_eq!(
        identity_values(&reply),
        [email, "Administrator", email, "user,admin", "1", "1", &bearer.token_id, expires]
    );
}

#[apply(both_databases)]
async fn requirements_are_parsed_from_the_first_segment_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let (ada, admin) = (app.add_person("ada").await.create_token().await, app.admin().create_token().await);
    let other = app.create_workspace_with_admin("eve").await;
    let other_bearer = other.create_token().await;
    let other_workspace = format!("workspace={}", other.workspace_id);
    // The expected statuses of ada, admin, and the administrator of the other workspace.
    let table = [
        ("any", [200, 200, 200]),
        ("workspace=1", [200, 200, 403]),
        (&other_workspace, [403, 403, 200]),
        ("admin", [403, 200, 200]),
        ("workspace=1,admin", [403, 200, 403]),
        ("admin,workspace=1", [403, 200, 403]),
    ];
    for (requirements, expected) in table {
        for rest in ["", "/", "/any", "/workspace=1/admin", "/../any", "/..%2f", "//x?y=/v4/auth/any", "/%00/\u{7e}"] {
            let path = format!("/v4/auth/{requirements}{rest}");
            let statuses =
                [ada.get(&path).await.status, admin.get(&path).await.status, other_bearer.get(&path).await.status];
            assert_eq!(statuses, expected, "{path}");
        }
    }
}

#[apply(both_databases)]
async fn invalid_requirements_deny_every_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin().create_token().await;
    for invalid in [
        "Any",
        "any,admin",
        "workspace=01",
        "workspace=1,workspace=1",
        "workspace%3D1",
        "%61ny",
        "root",
        "..",
        ".",
        "workspace=1;admin",
    ] {
        let reply = admin.get(&format!("/v4/auth/{invalid}/any")).await;
        reply.expect_error(403, "AccessControlException");
        app.anonymous().get(&format!("/v4/auth/{invalid}")).await.expect_error(401, "MissingPersonException");
    }
    admin.get("/v4/auth//any").await.expect_error(403, "AccessControlException");
}

#[apply(both_databases)]
async fn client_input_does_not_change_the_result(engine: Engine) {
    let app = TestApp::start(engine).await;
    let anonymous = app.anonymous();
    for path in ["/v4/auth", "/v4/auth/any/v4/auth", "/v4/auth/any?access_token=x"] {
        let mut request = anonymous.request("POST", path, Body::from("x".repeat(1 << 20)));
        for name in [
            "x-forwarded-uri",
            "x-original-url",
            "x-forwarded-user",
            "remote-user",
            "x-tokenward-person-id",
            "user-agent",
        ] {
            request.headers_mut().insert(name, "/v4/auth/any".parse().unwrap());
        }
        let reply = anonymous.send(request).await;
        reply.expect_error(401, "MissingPersonException");
        assert!(IDENTITY_HEADERS.iter().all(|name| !reply.headers.contains_key(*name)));
    }
    // A body of any size is ignored.
    let bearer = app.admin().create_token().await;
    let large = bearer.request("PUT", "/v4/auth/any", Body::from("x".repeat(1 << 20)));
    bearer.send(large).await.expect(200);
}

#[apply(both_databases)]
async fn credentials_rejected_by_the_api_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    app.anonymous().get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.set_setting("enabled", false).await;
    bearer.get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.set_setting("enabled", true).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    ada.get("/v4/auth/any").await.expect_error(403, "AccessControlException");
    app.store.close().await;
    for path in ["/v4/auth", "/v4/auth/any/x", "/v4/auth/workspace=1"] {
        bearer.get(path).await.expect_error(503, "ServiceUnavailableException");
        app.admin().get(path).await.expect_error(503, "ServiceUnavailableException");
    }
}

#[apply(both_databases)]
async fn a_check_updates_last_used(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    bearer.get("/v4/auth/workspace=2").await.expect(403);
    assert_eq!(app.admin().get(&bearer.token_path()).await.json["lastUsed"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn basic_credentials_can_be_disabled_for_forward_auth() {
    let app =
        TestApp::start_with(Database::migrated(Engine::Sqlite).await, |config| config.forward_auth.allow_basic = false)
            .await;
    for client in [&*app.admin(), &app.anonymous()] {
        let rejected = client.get("/v4/auth/any").await;
        rejected.expect_error(401, "MissingPersonException");
        assert_eq!(rejected.header_values("www-authenticate"), [r#"Bearer realm="tokenward""#]);
    }
    app.admin().get("/v4/people/current").await.expect(200);
    let created = app.admin().post("/v4/apiAccessTokens", &one_hour_token()).await.expect(201);
    crate::support::TokenClient::from_response(&app.anonymous(), &created).get("/v4/auth/any").await.expect(200);
}
