//! The OpenAPI document and the health checks.

use serde_json::Value;
use tokenward::api::openapi;

use crate::support::TestApp;

on_both!(the_document_is_served_to_whoever_is_let_in, health_is_told_to_anybody);

async fn the_document_is_served_to_whoever_is_let_in(app: TestApp) {
    let reply = app.admin().get("/v4/open-api-spec").await.expect(200);
    assert_eq!(reply.text, openapi::text());
    app.anonymous().get("/v4/open-api-spec").await.expect_error(401, "MissingPersonException");
}

async fn health_is_told_to_anybody(app: TestApp) {
    for path in ["/health/live", "/health/ready"] {
        app.anonymous().get(path).await.expect(200);
    }
}

#[test]
fn the_document_is_the_one_that_was_agreed() {
    insta::assert_snapshot!("openapi", openapi::text());
}

#[test]
fn every_operation_is_described_and_every_error_has_an_example() {
    let document: Value = serde_json::from_str(openapi::text()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            assert!(operation["operationId"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with(['4', '5']) {
                    let example = &response["content"]["application/json"]["example"];
                    let named = if path.starts_with("/oauth2") || path.starts_with("/.well-known/oauth") {
                        &example["error"]
                    } else {
                        &example["exception"]["name"]
                    };
                    assert!(named.is_string(), "{method} {path} {status}");
                }
            }
        }
    }
    assert_eq!(operations, 31);
}
