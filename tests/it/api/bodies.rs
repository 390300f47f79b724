//! Request bodies: malformed, too large, misspelled, compressed, and extra fields.

use axum::body::Body;
use http::HeaderValue;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Engine, PASSWORD, TestApp, both_databases};

const PATH: &str = "/v4/apiAccessTokens";

#[apply(both_databases)]
async fn malformed_bodies_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
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
        admin.send_json("POST", PATH, body.to_owned()).await.expect_error(400, "ApiValidationFailed");
    }
    let latin1 = b"{\"lifetimeSeconds\":1,\"description\":\"caf\xe9\"}".to_vec();
    admin.send_json("POST", PATH, latin1).await.expect_error(400, "ApiValidationFailed");
    let surrogate = r#"{"lifetimeSeconds":1,"description":"\ud800"}"#;
    admin.send_json("POST", PATH, surrogate).await.expect_error(400, "ApiValidationFailed");
    let twice = r#"{"lifetimeSeconds":1,"lifetimeSeconds":-1}"#;
    admin.send_json("POST", PATH, twice).await.expect_error(400, "ApiValidationFailed");
    assert!(admin.get(PATH).await.rows().is_empty());
}

#[apply(both_databases)]
async fn only_json_is_accepted(engine: Engine) {
    let app = TestApp::start(engine).await;
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

#[apply(both_databases)]
async fn large_bodies_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let padded = |size: usize| format!("{{\"lifetimeSeconds\":1{}}}", " ".repeat(size - 21));
    admin.send_json("POST", PATH, padded(65_536)).await.expect(201);
    for size in [65_537, 1 << 20, 16 << 20] {
        admin.send_json("POST", PATH, padded(size)).await.expect_error(413, "PayloadTooLargeException");
    }
    // A body of unknown length is rejected while it is read.
    let frames = (0..100).map(|_| Ok::<_, std::io::Error>(body_of_size(1_024)));
    let stream = Body::from_stream(futures_util::stream::iter(frames));
    admin.send_json("POST", PATH, stream).await.expect_error(413, "PayloadTooLargeException");
}

fn body_of_size(size: usize) -> Vec<u8> {
    vec![b' '; size]
}

#[apply(both_databases)]
async fn a_get_may_declare_json_without_a_body(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    admin.send_json("GET", PATH, Body::empty()).await.expect(200);
    let bearer = admin.create_token().await;
    admin.send_json("DELETE", &bearer.token_path(), Body::empty()).await.expect(204);
}

/// Returns the object with one more field.
fn with_field(mut object: Value, name: &str, value: &Value) -> Value {
    object.as_object_mut().unwrap().insert(name.to_owned(), value.clone());
    object
}

#[apply(both_databases)]
async fn misspelled_fields_are_reported_and_change_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let ada = admin.add_person("ada", true).await;
    let token = ada.create_token().await;
    let (person, configuration) = (format!("/v4/people/{}", ada.id), "/v4/workspaces/current/configuration");
    let reset = "/v4/workspaces/current/delete-configuration";
    let create = json!({"lifetimeSeconds": 60});
    let new_person = json!({"email": "new@example.com", "name": "New", "password": PASSWORD});
    let new_admin = json!({"email": "w@example.com", "name": "W", "password": PASSWORD});
    let workspace = |admin: Value| json!({"name": "W", "admin": admin});
    let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true});
    let state = async || {
        let lists = ["/v4/apiAccessTokens?allUsers=true", "/v4/people", "/v4/workspaces", configuration];
        let mut responses = Vec::new();
        for path in lists {
            responses.push(admin.get(path).await.expect(200).text);
        }
        responses
    };
    let before = state().await;
    let is_true = json!(true);
    for (method, path, body, right) in [
        ("POST", PATH, with_field(create.clone(), "descripton", &json!("x")), "description"),
        ("POST", PATH, with_field(create.clone(), "lifetimeSecond", &json!(1)), "lifetimeSeconds"),
        ("POST", PATH, json!({"lifetime_seconds": 60}), "lifetimeSeconds"),
        ("POST", PATH, json!({"lifetimeseconds": 60}), "lifetimeSeconds"),
        ("POST", PATH, with_field(create.clone(), "expiredAt", &json!("2026-01-01T00:00:00.000Z")), "lifetimeSeconds"),
        ("POST", PATH, with_field(create.clone(), "expires_in", &json!(null)), "lifetimeSeconds"),
        ("POST", PATH, with_field(create.clone(), "lifetimeDays", &json!(1)), "lifetimeSeconds"),
        ("POST", PATH, with_field(create.clone(), "ttl", &json!(1)), "lifetimeSeconds"),
        ("POST", "/v4/people", with_field(new_person.clone(), "is_admin", &is_true), "isAdmin"),
        ("POST", "/v4/people", with_field(new_person.clone(), "admin", &is_true), "isAdmin"),
        ("POST", "/v4/people", with_field(new_person, "pasword2", &json!("x")), "password2"),
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
        ("POST", "/v4/workspaces", with_field(workspace(new_admin.clone()), "admins", &json!([])), "admin"),
        ("POST", "/v4/workspaces", workspace(with_field(new_admin.clone(), "e_mail", &json!("x"))), "email"),
        (
            "PATCH",
            configuration,
            json!({"configuration": [setting, with_field(setting.clone(), "values", &is_true)]}),
            "value",
        ),
        ("PATCH", configuration, json!({"configuration": [setting], "configurations": []}), "configuration"),
        ("POST", reset, json!({"settings": [], "setting": "x"}), "settings"),
        ("POST", "/v4/leaks", json!({"values": [token.value], "value": "x"}), "values"),
    ] {
        let details = admin.send_json(method, path, body.to_string()).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains(&format!("did you mean {right}?")) && details.ends_with('.'), "{body}: {details}");
    }
    let unequal = workspace(with_field(new_admin, "password2", &json!("another one entirely")));
    admin.post("/v4/workspaces", &unequal).await.expect_error(400, "ValidationFailed");
    assert_eq!(state().await, before);
    assert!(token.is_accepted().await);
}

#[apply(both_databases)]
async fn extra_fields_of_existing_clients_are_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let beside = json!({"name": "x", "tokenId": "x", "createdAt": "x", "lastUsed": null, "status": "active", "hint": "x",
        "workspaceId": 7, "userId": 7, "tags": [], "nested": {"descripton": 1, "scopes": []}});
    for (name, value) in beside.as_object().unwrap() {
        let created = admin.post(PATH, &with_field(json!({"lifetimeSeconds": 60}), name, value)).await;
        assert_eq!(created.status, 201, "{name}: {}", created.text);
    }
    let person = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD, "password2": PASSWORD,
        "accept": "accept", "workspaceId": 7, "isPlatformAdmin": true, "state": "active", "ssoPrincipal": null,
        "hadoopPrincipal": "x", "outputHomeDir": "/x", "lastName": "L", "lname": "L"});
    let ada = admin.post("/v4/people", &person).await.expect(201).json["id"].as_i64().unwrap();
    admin
        .update_person(ada, json!({"name": "Ada L.", "accept": "accept", "lastStateChange": "x", "createdBy": 1}))
        .await
        .expect(200);
    let first =
        json!({"email": "w@example.com", "name": "W", "password": PASSWORD, "password2": PASSWORD, "accept": "accept"});
    admin.post("/v4/workspaces", &json!({"name": "W", "admin": first, "description": "x"})).await.expect(201);
    let setting = json!({"key": "feature.apiAccessTokens.allowUsers", "value": true, "id": 1, "workspaceId": 1});
    let settings = json!({"configuration": [setting], "id": 1});
    admin.patch("/v4/workspaces/current/configuration", &settings).await.expect(200);
}

#[apply(both_databases)]
async fn unsupported_limit_fields_create_no_token(engine: Engine) {
    let app = TestApp::start(engine).await;
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
            let response = admin.post(PATH, &with_field(json!({"lifetimeSeconds": 60}), name, &value)).await;
            let details = response.expect_error(400, "ApiValidationFailed");
            assert!(details.contains(name) && details.ends_with('.'), "{details}");
        }
    }
    assert!(admin.get(PATH).await.rows().is_empty());
}

#[apply(both_databases)]
async fn a_byte_order_mark_is_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    admin.send_json("POST", PATH, "\u{feff}{\"lifetimeSeconds\":60}").await.expect(201);
    for wrong in ["\u{feff}", "\u{feff}\u{feff}{\"lifetimeSeconds\":60}", "{\"lifetimeSeconds\":60}\u{feff}"] {
        admin.send_json("POST", PATH, wrong).await.expect_error(400, "ApiValidationFailed");
    }
    assert_eq!(admin.get(PATH).await.rows().len(), 1);
}

/// The output of `gzip` for empty input.
const GZIP: [u8; 20] = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[apply(both_databases)]
async fn compressed_bodies_are_rejected_everywhere(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let bearer = admin.create_token().await;
    let form = "application/x-www-form-urlencoded";
    for (method, path, kind) in [
        ("POST", PATH, "application/json"),
        ("POST", "/v4/people", "application/json"),
        ("PATCH", "/v4/workspaces/current/configuration", "application/json"),
        ("DELETE", PATH, "application/json"),
        ("POST", "/v4/leaks", "application/json"),
        ("POST", "/oauth2/introspect", form),
        ("POST", "/oauth2/revoke", form),
        ("POST", "/oauth2/device_authorization", form),
        ("POST", "/oauth2/token", form),
    ] {
        for coding in ["gzip", "br", "identity, GZIP", "x"] {
            let mut request = admin.request(method, path, Body::from(GZIP.to_vec()));
            request.headers_mut().insert("content-type", kind.parse().unwrap());
            request.headers_mut().insert("content-encoding", coding.parse().unwrap());
            let response = admin.send(request).await.expect(415);
            assert!(response.text.contains("Content-Encoding"), "{path}: {}", response.text);
            assert_eq!(response.headers["accept-encoding"], "identity");
        }
    }
    let browser = app.signed_in_browser("admin@example.com").await;
    for (browser, path) in [(&app.browser(), "/sign-in"), (&browser, "/preferences/access-tokens/delete-all")] {
        let mut request = browser.form_request(path, &[("email", "admin@example.com"), ("password", PASSWORD)]);
        request.headers_mut().insert("origin", HeaderValue::from_static("http://127.0.0.1:3005"));
        request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        let response = browser.send(request).await.expect(415);
        assert!(response.text.contains("Content-Encoding"), "{}", response.text);
    }
    assert!(bearer.is_accepted().await);
    // `identity` is no compression, and a proxy may forward the headers of a body that it does not
    // send.
    let mut plain_forms = admin.request("POST", PATH, Body::from(r#"{"lifetimeSeconds":1}"#));
    plain_forms.headers_mut().insert("content-encoding", HeaderValue::from_static("identity"));
    admin.send(plain_forms).await.expect(201);
    for (method, path, status) in [("GET", "/v4/auth", 200), ("POST", "/v4/auth/any", 200), ("GET", PATH, 200)] {
        let mut request = bearer.request(method, path, Body::empty());
        request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        bearer.send(request).await.expect(status);
    }
}
