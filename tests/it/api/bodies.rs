//! Bodies of every wrong kind.

use axum::body::Body;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestApp};

const PATH: &str = "/v4/apiAccessTokens";

on_both!(
    bodies_of_the_wrong_form_are_refused,
    only_json_is_taken,
    large_bodies_are_refused,
    a_get_may_say_json_without_a_body,
    misspelled_fields_are_named_and_nothing_is_done,
    what_real_clients_send_beside_is_ignored,
    a_limit_that_there_is_not_makes_no_token,
    a_byte_order_mark_is_passed_over,
    compressed_bodies_are_refused_everywhere,
);

async fn bodies_of_the_wrong_form_are_refused(app: TestApp) {
    let admin = app.admin();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for body in [
        "",
        "[]",
        "[3600]",
        "1",
        "null",
        "\"x\"",
        "x",
        "{",
        "{\"lifetimeSeconds\":1,}",
        "{\"lifetimeSeconds\":1}{}",
        &deep,
    ] {
        admin.with_json("POST", PATH, body.to_owned()).await.expect_error(400, "ApiValidationFailed");
    }
    let latin1 = b"{\"lifetimeSeconds\":1,\"description\":\"caf\xe9\"}".to_vec();
    admin.with_json("POST", PATH, latin1).await.expect_error(400, "ApiValidationFailed");
    let surrogate = r#"{"lifetimeSeconds":1,"description":"\ud800"}"#;
    admin.with_json("POST", PATH, surrogate).await.expect_error(400, "ApiValidationFailed");
    let twice = r#"{"lifetimeSeconds":1,"lifetimeSeconds":-1}"#;
    admin.with_json("POST", PATH, twice).await.expect_error(400, "ApiValidationFailed");
    assert!(admin.get(PATH).await.rows().is_empty());
}

async fn only_json_is_taken(app: TestApp) {
    let admin = app.admin();
    for (content_type, status) in [
        (Some("application/json"), 201),
        (Some("application/JSON; charset=UTF-8"), 201),
        (None, 201),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("text/plain"), 415),
        (Some(""), 415),
    ] {
        let mut request = admin.request("POST", PATH, Body::from(r#"{"lifetimeSeconds":1}"#));
        if let Some(content_type) = content_type {
            request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        }
        assert_eq!(admin.send(request).await.status, status, "{content_type:?}");
    }
}

async fn large_bodies_are_refused(app: TestApp) {
    let admin = app.admin();
    let padded = |size: usize| format!("{{\"lifetimeSeconds\":1{}}}", " ".repeat(size - 21));
    admin.with_json("POST", PATH, padded(65_536)).await.expect(201);
    for size in [65_537, 1 << 20, 16 << 20] {
        admin.with_json("POST", PATH, padded(size)).await.expect_error(413, "PayloadTooLargeException");
    }
    // A body of unknown length is stopped while it is read.
    let frames = (0..100).map(|_| Ok::<_, std::io::Error>(bytes_of(1_024)));
    let stream = Body::from_stream(futures_util::stream::iter(frames));
    admin.with_json("POST", PATH, stream).await.expect_error(413, "PayloadTooLargeException");
}

fn bytes_of(size: usize) -> Vec<u8> {
    vec![b' '; size]
}

async fn a_get_may_say_json_without_a_body(app: TestApp) {
    let admin = app.admin();
    admin.with_json("GET", PATH, Body::empty()).await.expect(200);
    let bearer = admin.bearer().await;
    admin.with_json("DELETE", &bearer.path(), Body::empty()).await.expect(204);
}

/// An object with one field more.
fn with(mut object: Value, name: &str, value: &Value) -> Value {
    object.as_object_mut().unwrap().insert(name.to_owned(), value.clone());
    object
}

#[expect(clippy::too_many_lines, reason = "a table")]
async fn misspelled_fields_are_named_and_nothing_is_done(app: TestApp) {
    let admin = app.admin();
    let ada = admin.add("ada", true).await;
    let token = ada.bearer().await;
    let (person, configuration) = (format!("/v4/people/{}", ada.id), "/v4/workspaces/current/configuration");
    let reset = "/v4/workspaces/current/delete-configuration";
    let create = json!({"lifetimeSeconds": 60});
    let new_person = json!({"email": "new@example.com", "name": "New", "password": PASSWORD});
    let new_admin = json!({"email": "w@example.com", "name": "W", "password": PASSWORD});
    let workspace = |admin: Value| json!({"name": "W", "admin": admin});
    let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true});
    let state = async || {
        let lists = ["/v4/apiAccessTokens?allUsers=true", "/v4/people", "/v4/workspaces", configuration];
        let mut seen = Vec::new();
        for path in lists {
            seen.push(admin.get(path).await.expect(200).text);
        }
        seen
    };
    let before = state().await;
    let is_true = json!(true);
    for (method, path, body, right) in [
        ("POST", PATH, with(create.clone(), "descripton", &json!("x")), "description"),
        ("POST", PATH, with(create.clone(), "lifetimeSecond", &json!(1)), "lifetimeSeconds"),
        ("POST", PATH, json!({"lifetime_seconds": 60}), "lifetimeSeconds"),
        ("POST", PATH, json!({"lifetimeseconds": 60}), "lifetimeSeconds"),
        ("POST", PATH, with(create.clone(), "expiredAt", &json!("2026-01-01T00:00:00.000Z")), "lifetimeSeconds"),
        ("POST", PATH, with(create.clone(), "expires_in", &json!(null)), "lifetimeSeconds"),
        ("POST", PATH, with(create.clone(), "lifetimeDays", &json!(1)), "lifetimeSeconds"),
        ("POST", PATH, with(create.clone(), "ttl", &json!(1)), "lifetimeSeconds"),
        ("POST", "/v4/people", with(new_person.clone(), "is_admin", &is_true), "isAdmin"),
        ("POST", "/v4/people", with(new_person.clone(), "admin", &is_true), "isAdmin"),
        ("POST", "/v4/people", with(new_person, "pasword2", &json!("x")), "password2"),
        ("PATCH", &person, json!({"isDisable": true}), "isDisabled"),
        ("PATCH", &person, json!({"is_disabled": true}), "isDisabled"),
        ("PATCH", &person, json!({"enabled": false}), "isDisabled"),
        ("PATCH", &person, json!({"isadmin": false}), "isAdmin"),
        ("PATCH", &person, json!({"tokenAcces": "disabled"}), "tokenAccess"),
        ("PATCH", &person, json!({"token_access": "disabled"}), "tokenAccess"),
        ("PATCH", &person, json!({"forcePaswordChange": true}), "forcePasswordChange"),
        ("PATCH", &person, json!({"emailAddress": "x@example.com"}), "email"),
        ("PATCH", &person, json!({"name": "Other", "eMail": "x@example.com"}), "email"),
        ("PATCH", "/v4/workspaces/1", json!({"name": "Other", "Name": "x"}), "name"),
        ("POST", "/v4/workspaces", with(workspace(new_admin.clone()), "admins", &json!([])), "admin"),
        ("POST", "/v4/workspaces", workspace(with(new_admin.clone(), "e_mail", &json!("x"))), "email"),
        (
            "PATCH",
            configuration,
            json!({"configuration": [setting, with(setting.clone(), "values", &is_true)]}),
            "value",
        ),
        ("PATCH", configuration, json!({"configuration": [setting], "configurations": []}), "configuration"),
        ("POST", reset, json!({"settings": [], "setting": "x"}), "settings"),
        ("POST", "/v4/leaks", json!({"values": [token.value], "value": "x"}), "values"),
    ] {
        let details = admin.with_json(method, path, body.to_string()).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains(&format!("did you mean {right}?")) && details.ends_with('.'), "{body}: {details}");
    }
    let unequal = workspace(with(new_admin, "password2", &json!("another one entirely")));
    admin.post("/v4/workspaces", &unequal).await.expect_error(400, "ValidationFailed");
    assert_eq!(state().await, before);
    assert!(token.works().await);
}

async fn what_real_clients_send_beside_is_ignored(app: TestApp) {
    let admin = app.admin();
    let beside = json!({"name": "x", "tokenId": "x", "createdAt": "x", "lastUsed": null, "status": "active", "hint": "x",
        "workspaceId": 7, "userId": 7, "tags": [], "nested": {"descripton": 1, "scopes": []}});
    for (name, value) in beside.as_object().unwrap() {
        let made = admin.post(PATH, &with(json!({"lifetimeSeconds": 60}), name, value)).await;
        assert_eq!(made.status, 201, "{name}: {}", made.text);
    }
    let person = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD, "password2": PASSWORD,
        "accept": "accept", "workspaceId": 7, "isPlatformAdmin": true, "state": "active", "ssoPrincipal": null,
        "hadoopPrincipal": "x", "outputHomeDir": "/x", "lastName": "L", "lname": "L"});
    let ada = admin.post("/v4/people", &person).await.expect(201).json["id"].as_i64().unwrap();
    admin
        .change(ada, json!({"name": "Ada L.", "accept": "accept", "lastStateChange": "x", "createdBy": 1}))
        .await
        .expect(200);
    let first =
        json!({"email": "w@example.com", "name": "W", "password": PASSWORD, "password2": PASSWORD, "accept": "accept"});
    admin.post("/v4/workspaces", &json!({"name": "W", "admin": first, "description": "x"})).await.expect(201);
    let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true, "id": 1, "workspaceId": 1});
    let settings = json!({"configuration": [setting], "id": 1});
    admin.patch("/v4/workspaces/current/configuration", &settings).await.expect(200);
}

async fn a_limit_that_there_is_not_makes_no_token(app: TestApp) {
    let admin = app.admin();
    for name in [
        "permissions",
        "tokenPermission",
        "cidrs",
        "ip_restrictions",
        "allowList",
        "network-policy",
        "roles",
        "Role",
        "maxScopes",
        "replaceToken",
    ] {
        for value in [json!(["x"]), json!([]), json!(null)] {
            let reply = admin.post(PATH, &with(json!({"lifetimeSeconds": 60}), name, &value)).await;
            let details = reply.expect_error(400, "ApiValidationFailed");
            assert!(details.contains(name) && details.ends_with('.'), "{details}");
        }
    }
    assert!(admin.get(PATH).await.rows().is_empty());
}

async fn a_byte_order_mark_is_passed_over(app: TestApp) {
    let admin = app.admin();
    admin.with_json("POST", PATH, "\u{feff}{\"lifetimeSeconds\":60}").await.expect(201);
    for wrong in ["\u{feff}", "\u{feff}\u{feff}{\"lifetimeSeconds\":60}", "{\"lifetimeSeconds\":60}\u{feff}"] {
        admin.with_json("POST", PATH, wrong).await.expect_error(400, "ApiValidationFailed");
    }
    assert_eq!(admin.get(PATH).await.rows().len(), 1);
}

/// What `gzip` makes of nothing.
const GZIP: [u8; 20] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

async fn compressed_bodies_are_refused_everywhere(app: TestApp) {
    let admin = app.admin();
    let bearer = admin.bearer().await;
    let form = "application/x-www-form-urlencoded";
    for (method, path, kind) in [
        ("POST", PATH, "application/json"),
        ("POST", "/v4/people", "application/json"),
        ("PATCH", "/v4/workspaces/current/configuration", "application/json"),
        ("DELETE", PATH, "application/json"),
        ("POST", "/v4/leaks", "application/json"),
        ("POST", "/oauth2/introspect", form),
        ("POST", "/oauth2/revoke", form),
    ] {
        for coding in ["gzip", "br", "identity, GZIP", "x"] {
            let mut request = admin.request(method, path, Body::from(GZIP.to_vec()));
            request.headers_mut().insert("content-type", kind.parse().unwrap());
            request.headers_mut().insert("content-encoding", coding.parse().unwrap());
            let reply = admin.send(request).await.expect(415);
            assert!(reply.text.contains("Content-Encoding"), "{path}: {}", reply.text);
            assert_eq!(reply.headers["accept-encoding"], "identity");
        }
    }
    let browser = app.signed_in("admin@example.com").await;
    for (visitor, path) in [(&app.visitor(), "/sign-in"), (&browser, "/preferences/access-tokens/delete-all")] {
        let mut request = visitor.form(path, &[("email", "admin@example.com"), ("password", PASSWORD)]);
        request.headers_mut().insert("origin", HeaderValue::from_static("http://127.0.0.1:3005"));
        request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        let reply = visitor.send(request).await.expect(415);
        assert!(reply.text.contains("Content-Encoding"), "{}", reply.text);
    }
    assert!(bearer.works().await);
    // What is not compressed may say so, and a proxy passes on the field of a body that it keeps.
    let mut plain = admin.request("POST", PATH, Body::from(r#"{"lifetimeSeconds":1}"#));
    plain.headers_mut().insert("content-encoding", HeaderValue::from_static("identity"));
    admin.send(plain).await.expect(201);
    for (method, path, status) in [("GET", "/v4/auth", 200), ("POST", "/v4/auth/any", 200), ("GET", PATH, 200)] {
        let mut request = bearer.request(method, path, Body::empty());
        request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        bearer.send(request).await.expect(status);
    }
}
