//! `/v4/auth`

use axum::body::Body;
use serde_json::json;

use crate::support::TestApp;

on_both!(the_caller_is_told_who_it_is_by_any_method, whoever_is_not_let_in_elsewhere_is_not_let_in_here);

async fn the_caller_is_told_who_it_is_by_any_method(app: TestApp) {
    let bearer = app.admin().bearer().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let reply = bearer.send(bearer.request(method, "/v4/auth?workspace=2", Body::from("x"))).await.expect(200);
        let told = json!({"personId": 1, "workspaceId": 1, "email": "admin@example.com", "name": "Administrator", "isAdmin": true,
            "tokenId": bearer.token_id, "tokenExpiredAt": "2026-01-01T01:00:00.000Z"});
        assert_eq!(reply.json, told, "{method}");
    }
    let reply = app.admin().get("/v4/auth").await.expect(200);
    assert!(reply.json["tokenId"].is_null() && reply.json["tokenExpiredAt"].is_null());
}

async fn whoever_is_not_let_in_elsewhere_is_not_let_in_here(app: TestApp) {
    let bearer = app.admin().bearer().await;
    app.anonymous().get("/v4/auth").await.expect_error(401, "MissingPersonException");
    app.set("enabled", false).await;
    bearer.get("/v4/auth").await.expect_error(401, "MissingPersonException");
}
