//! Introspection (RFC 7662), revocation (RFC 7009) and metadata (RFC 8414)

use axum::body::Body;
use http::HeaderValue;
use serde_json::json;

use crate::support::{Client, Database, Engine, PASSWORD, Reply, TestApp, basic};

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
    a_client_may_encode_its_name_and_password,
    what_is_encoded_costs_as_much_for_accounts_that_are_not_there,
    both_forms_of_a_password_are_one_try,
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

/// Encodes a form field as RFC 6749 asks for in section 2.3.1 and appendix B.
fn encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b' ' => "+".to_owned(),
        b if b.is_ascii_alphanumeric() || b"-._*".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

async fn ask_as(app: &TestApp, name: &str, password: &str) -> Reply {
    introspect(&app.presenting(&[&basic(name, password)]), "x").await
}

async fn a_client_may_encode_its_name_and_password(app: TestApp) {
    let email = "ada+tools@example.com";
    for (n, password) in
        ["k\u{e4}se & brot+wurst: 50% off", "really %40 and + and %2B and %", "only plain letters"].iter().enumerate()
    {
        let email = format!("{n}{email}");
        let body = json!({"email": email, "name": "A", "password": password});
        app.admin().post("/v4/people", &body).await.expect(201);
        for (name, typed) in [
            (email.clone(), (*password).to_owned()),
            (encoded(&email), encoded(password)),
            (encoded(&email).to_lowercase(), encoded(password)),
            (encoded(&email), encoded(password).replace('+', "%20")),
            // Half of it encoded.
            (email.clone(), encoded(password)),
            (encoded(&email), (*password).to_owned()),
        ] {
            assert_eq!(ask_as(&app, &name, &typed).await.expect(200).text, INACTIVE, "{name} {typed}");
        }
        for (name, typed) in [
            (encoded(&email), encoded("wrong %40+")),
            (email.clone(), "%ff%zz%".to_owned()),
            (encoded(&encoded(&email)), encoded(password)),
            (format!("%ff{}", encoded(&email)), encoded(password)),
        ] {
            assert_eq!(ask_as(&app, &name, &typed).await.expect(401).json["error"], "invalid_client");
        }
        // Nowhere else is it decoded.
        let field = basic(&encoded(&email), &encoded(password));
        for path in ["/v4/people/current", "/v4/auth"] {
            app.presenting(&[&field]).get(path).await.expect(401);
        }
    }
    let twice = encoded(&encoded("k\u{e4}se & brot+wurst: 50% off"));
    ask_as(&app, &encoded(&format!("0{email}")), &twice).await.expect(401);
}

async fn what_is_encoded_costs_as_much_for_accounts_that_are_not_there(app: TestApp) {
    app.person("ada").await;
    let off = app.person("off").await;
    app.admin().change(off.id, json!({"isDisabled": true})).await.expect(200);
    let hashes = || app.app.sign_in().hashing().0;
    for (password, cost) in [("plain", 1), ("a%20b", 2), ("a+b", 2), ("%ff", 1), ("100%", 1)] {
        for email in ["ada@example.com", "off@example.com", "nobody@example.com"] {
            for name in [email.to_owned(), encoded(email)] {
                let before = hashes();
                let reply = ask_as(&app, &name, password).await.expect(401);
                assert_eq!(hashes() - before, cost, "{name} {password}");
                assert_eq!(reply.json["error"], "invalid_client");
            }
        }
        app.advance_seconds(86_400);
    }
}

async fn both_forms_of_a_password_are_one_try(app: TestApp) {
    app.person("ada").await;
    for n in 0..10 {
        let name = if n % 2 == 0 { "ada@example.com" } else { "ada%40example.com" };
        ask_as(&app, name, "wrong%20one").await.expect(401);
    }
    for name in ["ada@example.com", "ada%40example.com"] {
        assert_eq!(ask_as(&app, name, &encoded(PASSWORD)).await.expect(429).json["error"], "slow_down");
    }
    app.advance_seconds(1);
    ask_as(&app, "ada%40example.com", &encoded(PASSWORD)).await.expect(200);
}
