//! `POST /v4/auth/batch`: many checks in one request.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{ApiClient, Engine, TestApp, both_databases};

const PATH: &str = "/v4/auth/batch";

fn active(data: &Value) -> Vec<bool> {
    data.as_array().unwrap().iter().map(|entry| entry["active"].as_bool().unwrap()).collect()
}

#[apply(both_databases)]
async fn tokens_are_checked_in_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let full = admin.create_token().await;
    let scoped = admin.create_token_with(json!({"lifetimeSeconds": 60, "scopes": ["reports:read"]})).await;
    let limited = json!({"lifetimeSeconds": 60, "scopes": [], "allowedNetworks": ["10.0.0.0/8"]});
    let limited = admin.create_token_with(limited).await;
    let other = app.create_workspace_with_admin("eve").await;
    let others = other.create_token().await;
    let body = json!({"requirements": "scope=reports:read", "tokens": [
        full.value, "twd_nonsense", scoped.value, limited.value,
        {"token": limited.value, "clientAddress": "10.1.2.3"}, {"token": limited.value, "clientAddress": "192.0.2.1"},
        full.value, {"token": others.value}, "",
    ]});
    for caller in [ApiClient::clone(&admin), ApiClient::clone(&full)] {
        let response = caller.post(PATH, &body).await.expect(200);
        let data = &response.json["data"];
        // The first administrator manages all workspaces, so that the other workspace's token is visible.
        assert_eq!(active(data), [true, false, true, false, true, false, true, true, false]);
        let permitted: Vec<_> = data.as_array().unwrap().iter().map(|entry| entry.get("permitted").cloned()).collect();
        let (yes, no) = (Some(json!(true)), Some(json!(false)));
        assert_eq!(permitted, [yes.clone(), None, yes.clone(), None, no, None, yes.clone(), yes, None]);
        assert_eq!(data[1], json!({"active": false}));
        assert_eq!((&data[2]["scope"], &data[2]["jti"]), (&json!("reports:read"), &json!(scoped.token_id)));
    }
    let seen = other.post(PATH, &json!({"tokens": [full.value, others.value]})).await.expect(200);
    assert_eq!(active(&seen.json["data"]), [false, true]);
    let asker = admin.create_token_with(json!({"lifetimeSeconds": 60, "scopes": ["tokenward:introspect"]})).await;
    let seen = asker.post(PATH, &json!({"tokens": [full.value, others.value]})).await.expect(200);
    assert_eq!(active(&seen.json["data"]), [true, false], "a token with scopes does not manage other workspaces");
    scoped.post(PATH, &body).await.expect_error(403, "AccessControlException");
    app.anonymous().post(PATH, &body).await.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn invalid_batches_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let many = |count: usize| json!({"tokens": vec!["x"; count]});
    for invalid in [
        json!({}),
        many(0),
        many(101),
        json!({"tokens": "x"}),
        json!({"tokens": [1]}),
        json!({"tokens": ["x"], "other": 1}),
        json!({"tokens": [{"token": "x", "address": "10.0.0.1"}]}),
        json!({"tokens": [{"token": "x", "clientAddress": "x"}]}),
        json!({"tokens": ["x"], "requirements": "root"}),
        json!([["x"]]),
    ] {
        bearer.post(PATH, &invalid).await.expect_error(400, "ApiValidationFailed");
    }
    for secret in [
        json!({"tokens": bearer.value}),
        json!({"tokens": [{bearer.value.clone(): 1}]}),
        json!({bearer.value.clone(): 1}),
        json!({"tokens": [], "requirements": [bearer.value]}),
        json!(bearer.value),
    ] {
        let details = bearer.post(PATH, &secret).await.expect_error(400, "ApiValidationFailed");
        assert!(!details.contains(&bearer.value), "the error repeats a token value");
    }
    bearer.post(PATH, &many(100)).await.expect(200);
    for method in ["GET", "PUT", "DELETE"] {
        bearer.send_json(method, PATH, "{}").await.expect(403);
    }
}

/// The body is read by the rules of the other JSON bodies, and the path by those of the other paths.
#[apply(both_databases)]
async fn body_and_path_follow_the_common_rules(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let text = json!({"tokens": [bearer.value]}).to_string();
    let send = async |path: &str, content_type: &str, body: String| {
        let mut request = bearer.request("POST", path, Body::from(body));
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        bearer.send(request).await
    };
    for content_type in ["application/json", "application/vnd.example+json; charset=utf-8"] {
        let response = send(PATH, content_type, format!("\u{feff}{text}")).await.expect(200);
        assert_eq!(active(&response.json["data"]), [true]);
    }
    send(PATH, "text/plain", text.clone()).await.expect_error(415, "UnsupportedMediaTypeException");
    for path in ["/v4/auth/batch/", "/V4/AUTH/Batch"] {
        let response = send(path, "application/json", text.clone()).await.expect(200);
        assert_eq!(active(&response.json["data"]), [true], "{path}");
    }
    for (body, part) in [
        (json!({"tokens": ["x"], "requirements": 1}), "requirements must be a string"),
        (json!({"tokens": ["x", 1]}), "tokens[1]"),
        (json!({"tokens": []}), "0 entries"),
    ] {
        let details = bearer.post(PATH, &body).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains(part), "{details}");
    }
}
