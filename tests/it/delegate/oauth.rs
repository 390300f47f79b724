//! Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414)

use axum::body::Body;
use http::HeaderValue;
use serde_json::json;

use crate::support::{Client, Database, Engine, Reply, TestApp};

const INACTIVE: &str = r#"{"active":false}"#;

on_both!(
    an_active_token_is_described,
    what_is_not_active_is_said_in_the_same_two_words,
    whoever_asks_must_be_let_in_first,
    the_form_must_name_one_token,
    asking_counts_as_use,
    whoever_holds_a_token_may_kill_it,
    an_outage_is_neither_inactive_nor_revoked,
    stock_clients_find_the_endpoints,
);

async fn form(client: &Client, path: &str, body: &str) -> Reply {
    let mut request = client.request("POST", path, Body::from(body.to_owned()));
    let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", content_type);
    client.send(request).await
}

async fn introspect(client: &Client, token: &str) -> Reply {
    form(client, "/oauth2/introspect", &format!("token={token}&token_type_hint=nonsense")).await
}

async fn an_active_token_is_described(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let expected = json!({"active": true, "token_type": "Bearer", "sub": "1", "username": "admin@example.com",
        "exp": 1_767_229_200, "iat": 1_767_225_600, "jti": bearer.token_id, "iss": "http://127.0.0.1:3005",
        "tokenward_workspace_id": 1, "tokenward_is_admin": true, "tokenward_name": "Administrator"});
    for asker in [&*app.admin(), &*bearer] {
        assert_eq!(introspect(asker, &bearer.value).await.expect(200).json, expected);
    }
    let forever = app.admin().bearer_for(json!({"lifetimeSeconds": -1})).await;
    assert!(introspect(&app.admin(), &forever.value).await.expect(200).json.get("exp").is_none());
}

async fn what_is_not_active_is_said_in_the_same_two_words(app: TestApp) {
    app.set("allowUsers", true).await;
    let admin = app.admin();
    let asker = admin.bearer().await;
    let ada = app.person("ada").await;
    let [expired, deleted, disabled] =
        [ada.bearer_for(json!({"lifetimeSeconds": 1})).await, admin.bearer().await, ada.bearer().await];
    app.advance_seconds(1);
    admin.delete(&deleted.path()).await.expect(204);
    admin.change(ada.id, json!({"isDisabled": true})).await.expect(200);
    let other = app.other_admin("eve").await;
    let theirs = other.bearer().await;
    for token in [&expired.value, &deleted.value, &disabled.value, "", "x", "twd_", "%00", "a%20b", &"x".repeat(10_000)]
    {
        assert_eq!(introspect(&asker, token).await.expect(200).text, INACTIVE, "{token}");
    }
    // Another workspace's token is active to its own members and to platform administrators.
    assert_eq!(introspect(&other, &asker.value).await.expect(200).text, INACTIVE);
    assert_eq!(introspect(&other, &theirs.value).await.expect(200).json["active"], true);
    assert_eq!(introspect(&asker, &theirs.value).await.expect(200).json["active"], true);
    let bob = admin.add("bob", true).await;
    assert_eq!(introspect(&bob, &theirs.value).await.expect(200).text, INACTIVE);
}

async fn whoever_asks_must_be_let_in_first(app: TestApp) {
    let bearer = app.admin().bearer().await;
    for asker in [app.anonymous(), app.presenting(&["Bearer twd_x"]), (*app.admin().with_password("wrong")).clone()] {
        for body in [format!("token={}", bearer.value), String::new()] {
            let reply = form(&asker, "/oauth2/introspect", &body).await.expect(401);
            assert_eq!(reply.json["error"], "invalid_client");
            assert!(reply.headers.contains_key("www-authenticate") && reply.json["error_description"].is_string());
        }
    }
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    assert_eq!(introspect(&ada, &bearer.value).await.expect(403).json["error"], "access_denied");
    app.set("enabled", false).await;
    assert_eq!(introspect(&bearer, &bearer.value).await.expect(401).json["error"], "invalid_client");
    assert_eq!(introspect(&app.admin(), &bearer.value).await.expect(200).text, INACTIVE);
}

async fn the_form_must_name_one_token(app: TestApp) {
    let admin = app.admin();
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        for body in ["", "x=1", "token=a&token=b", "Token=a"] {
            assert_eq!(form(&admin, path, body).await.expect(400).json["error"], "invalid_request", "{path} {body}");
        }
        let json = admin.post(path, &json!({"token": "x"})).await.expect(400);
        assert_eq!(json.json["error"], "invalid_request");
        admin.get(path).await.expect(404);
    }
}

async fn asking_counts_as_use(app: TestApp) {
    let bearer = app.admin().bearer().await;
    introspect(&app.admin(), &bearer.value).await.expect(200);
    assert_eq!(app.admin().get(&bearer.path()).await.json["lastUsed"], "2026-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn asking_may_be_made_not_to_count_as_use() {
    let quiet = |config: &mut tokenward::config::Config| config.delegate.introspection_counts_as_use = false;
    let app = TestApp::with(Database::migrated(Engine::Sqlite).await, quiet).await;
    let bearer = app.admin().bearer().await;
    assert_eq!(introspect(&app.admin(), &bearer.value).await.expect(200).json["active"], true);
    assert!(app.admin().get(&bearer.path()).await.json["lastUsed"].is_null());
}

async fn whoever_holds_a_token_may_kill_it(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let anonymous = app.anonymous();
    for token in [&bearer.value, &bearer.value, "twd_unknown", "a%20b"] {
        let reply = form(&anonymous, "/oauth2/revoke", &format!("token={token}")).await.expect(200);
        assert!(reply.text.is_empty());
    }
    assert!(!bearer.works().await);
    // A token that opens nothing at the moment is killed, too.
    let bearer = app.admin().bearer().await;
    app.set("enabled", false).await;
    form(&anonymous, "/oauth2/revoke", &format!("token={}", bearer.value)).await.expect(200);
    app.set("enabled", true).await;
    assert!(!bearer.works().await);
}

async fn an_outage_is_neither_inactive_nor_revoked(app: TestApp) {
    let bearer = app.admin().bearer().await;
    app.store.close().await;
    for reply in [
        introspect(&bearer, &bearer.value).await,
        introspect(&app.admin(), &bearer.value).await,
        form(&app.anonymous(), "/oauth2/revoke", &format!("token={}", bearer.value)).await,
    ] {
        assert_eq!(reply.json["error"], "temporarily_unavailable", "{}", reply.text);
        assert!(reply.status == 503 && reply.headers.contains_key("retry-after"));
    }
}

async fn stock_clients_find_the_endpoints(app: TestApp) {
    let found = app.anonymous().get("/.well-known/oauth-authorization-server").await.expect(200).json;
    assert_eq!(found["issuer"], "http://127.0.0.1:3005");
    assert_eq!(found["introspection_endpoint"], "http://127.0.0.1:3005/oauth2/introspect");
    assert_eq!(found["revocation_endpoint"], "http://127.0.0.1:3005/oauth2/revoke");
}
