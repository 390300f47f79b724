//! `/v4/auth` and what is below it

use axum::body::Body;
use serde_json::json;

use crate::support::{Database, Engine, PASSWORD, Reply, TestApp, an_hour};

/// Each header that tells who the caller is.
const HEADERS: [&str; 8] = [
    "remote-user",
    "remote-name",
    "remote-email",
    "remote-groups",
    "x-tokenward-person-id",
    "x-tokenward-workspace-id",
    "x-tokenward-token-id",
    "x-tokenward-token-expires",
];

on_both!(
    the_caller_is_told_who_it_is_by_any_method,
    every_header_is_always_there_and_never_empty,
    requirements_are_read_from_the_first_segment_only,
    what_is_no_requirement_lets_nobody_in,
    nothing_a_client_writes_changes_the_outcome,
    whoever_is_not_let_in_elsewhere_is_not_let_in_here,
    a_check_counts_as_use,
);

fn identity(reply: &Reply) -> Vec<&str> {
    HEADERS.iter().map(|name| reply.headers[*name].to_str().unwrap()).collect()
}

async fn the_caller_is_told_who_it_is_by_any_method(app: TestApp) {
    let bearer = app.admin().bearer().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let reply = bearer.send(bearer.request(method, "/v4/auth?workspace=2", Body::from("x"))).await.expect(200);
        let told = json!({"personId": 1, "workspaceId": 1, "email": "admin@example.com", "name": "Administrator",
            "isAdmin": true, "tokenId": bearer.token_id, "tokenExpiredAt": "2026-01-01T01:00:00.000Z"});
        assert_eq!(reply.json, told, "{method}");
        assert_eq!(
            (&reply.headers["vary"], &reply.headers["cache-control"]),
            (&"authorization".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }
    let reply = app.admin().get("/v4/auth").await.expect(200);
    assert!(reply.json["tokenId"].is_null() && reply.json["tokenExpiredAt"].is_null());
}

async fn every_header_is_always_there_and_never_empty(app: TestApp) {
    app.set("allowUsers", true).await;
    let body = json!({"email": "jos\u{e9}@example.com", "name": "", "password": PASSWORD});
    let id = app.admin().post("/v4/people", &body).await.expect(201).json["id"].to_string();
    let jose = app.presenting(&[&crate::support::basic("jos\u{e9}@example.com", PASSWORD)]);
    let escaped = "jos%C3%A9@example.com";
    let reply = jose.get("/v4/auth/any").await.expect(200);
    assert_eq!(identity(&reply), [escaped, escaped, escaped, "user", &id, "1", "-", "never"]);
    let bearer = app.admin().bearer_for(json!({"lifetimeSeconds": 60})).await;
    let reply = bearer.get("/v4/auth/any/x").await.expect(200);
    let email = "admin@example.com";
    let expires = "2026-01-01T00:01:00.000Z";
    assert_eq!(identity(&reply), [email, "Administrator", email, "user,admin", "1", "1", &bearer.token_id, expires]);
}

async fn requirements_are_read_from_the_first_segment_only(app: TestApp) {
    app.set("allowUsers", true).await;
    let (ada, admin) = (app.person("ada").await.bearer().await, app.admin().bearer().await);
    let other = app.other_admin("eve").await;
    let theirs = other.bearer().await;
    let elsewhere = format!("workspace={}", other.workspace_id);
    // requirements; ada, admin, the other workspace's administrator
    let table = [
        ("any", [200, 200, 200]),
        ("workspace=1", [200, 200, 403]),
        (&elsewhere, [403, 403, 200]),
        ("admin", [403, 200, 200]),
        ("workspace=1,admin", [403, 200, 403]),
        ("admin,workspace=1", [403, 200, 403]),
    ];
    for (requirements, expected) in table {
        for rest in ["", "/", "/any", "/workspace=1/admin", "/../any", "/..%2f", "//x?y=/v4/auth/any", "/%00/\u{7e}"] {
            let path = format!("/v4/auth/{requirements}{rest}");
            let seen = [ada.get(&path).await.status, admin.get(&path).await.status, theirs.get(&path).await.status];
            assert_eq!(seen, expected, "{path}");
        }
    }
}

async fn what_is_no_requirement_lets_nobody_in(app: TestApp) {
    let admin = app.admin().bearer().await;
    for wrong in [
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
        let reply = admin.get(&format!("/v4/auth/{wrong}/any")).await;
        reply.expect_error(403, "AccessControlException");
        app.anonymous().get(&format!("/v4/auth/{wrong}")).await.expect_error(401, "MissingPersonException");
    }
    admin.get("/v4/auth//any").await.expect_error(403, "AccessControlException");
}

async fn nothing_a_client_writes_changes_the_outcome(app: TestApp) {
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
        assert!(HEADERS.iter().all(|name| !reply.headers.contains_key(*name)));
    }
    // A body of any size is neither read nor a reason.
    let bearer = app.admin().bearer().await;
    let large = bearer.request("PUT", "/v4/auth/any", Body::from("x".repeat(1 << 20)));
    bearer.send(large).await.expect(200);
}

async fn whoever_is_not_let_in_elsewhere_is_not_let_in_here(app: TestApp) {
    let bearer = app.admin().bearer().await;
    app.anonymous().get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.set("enabled", false).await;
    bearer.get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.set("enabled", true).await;
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    ada.get("/v4/auth/any").await.expect_error(403, "AccessControlException");
    app.store.close().await;
    for path in ["/v4/auth", "/v4/auth/any/x", "/v4/auth/workspace=1"] {
        bearer.get(path).await.expect_error(503, "ServiceUnavailableException");
        app.admin().get(path).await.expect_error(503, "ServiceUnavailableException");
    }
}

async fn a_check_counts_as_use(app: TestApp) {
    let bearer = app.admin().bearer().await;
    bearer.get("/v4/auth/workspace=2").await.expect(403);
    assert_eq!(app.admin().get(&bearer.path()).await.json["lastUsed"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn passwords_can_be_switched_off_for_delegated_checks() {
    let app = TestApp::with(Database::migrated(Engine::Sqlite).await, |config| config.delegate.basic = false).await;
    for client in [&*app.admin(), &app.anonymous()] {
        let refused = client.get("/v4/auth/any").await;
        refused.expect_error(401, "MissingPersonException");
        assert_eq!(refused.header_values("www-authenticate"), [r#"Bearer realm="tokenward""#]);
    }
    app.admin().get("/v4/people/current").await.expect(200);
    let made = app.admin().post("/v4/apiAccessTokens", &an_hour()).await.expect(201);
    crate::support::Bearer::of(&app.anonymous(), &made).get("/v4/auth/any").await.expect(200);
}
