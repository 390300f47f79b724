//! The OpenAPI document and the health checks.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::Value;
use tokenward::api::openapi;

use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn the_openapi_document_requires_authentication(engine: Engine) {
    let app = TestApp::start(engine).await;
    let response = app.admin().get("/v4/open-api-spec").await.expect(200);
    assert_eq!(response.text.trim_end(), openapi::document_json());
    app.anonymous().get("/v4/open-api-spec").await.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn health_endpoints_are_public(engine: Engine) {
    let app = TestApp::start(engine).await;
    for path in ["/health/live", "/health/ready"] {
        app.anonymous().get(path).await.expect(200);
    }
}

#[test]
fn openapi_document_matches_the_snapshot() {
    insta::assert_snapshot!("openapi", openapi::document_json());
}

#[test]
fn every_operation_is_described_and_every_error_has_an_example() {
    let document: Value = serde_json::from_str(openapi::document_json()).unwrap();
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
