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
    assert_eq!(response.text.trim_end(), openapi::document_json_for("http://127.0.0.1:3005"));
    assert_eq!(response.json["servers"], serde_json::json!([{"url": "http://127.0.0.1:3005"}]));
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

/// Calls `visit` with the path, the method and the definition of each operation.
fn for_each_operation(document: &Value, mut visit: impl FnMut(&str, &str, &Value)) {
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            visit(path, method, operation);
        }
    }
}

#[test]
fn every_response_has_examples_of_the_operation() {
    let document: Value = serde_json::from_str(openapi::document_json()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = 0;
    for_each_operation(&document, |path, method, operation| {
        operations += 1;
        assert!(operation["operationId"].is_string() && operation["description"].is_string(), "{method} {path}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &response["content"]["application/json"];
            if status.starts_with('2') {
                assert!(content.is_null() || !content["example"].is_null(), "{method} {path} {status}");
                continue;
            }
            for (name, example) in content["examples"].as_object().unwrap() {
                let (code, text) = if operation["tags"][0] == "oauth2" {
                    (&example["value"]["error"], &example["value"]["error_description"])
                } else {
                    (&example["value"]["exception"]["name"], &example["value"]["exception"]["details"])
                };
                assert!(
                    code.is_string() && text.as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path} {name}"
                );
            }
        }
        for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(|content| content.values())
        {
            assert!(!content["example"].is_null(), "{method} {path}");
        }
    });
    assert_eq!(operations, 47);
}

#[test]
fn every_property_and_parameter_is_described() {
    fn check(name: &str, schema: &Value, missing: &mut Vec<String>) {
        for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
            let name = format!("{name}.{property}");
            // `oneOf` of a reference and null has the description in the reference.
            let parts = schema["oneOf"].as_array().into_iter().flatten().chain([schema]);
            if !parts.into_iter().any(|schema| schema["description"].is_string()) {
                missing.push(name.clone());
            }
            check(&name, schema, missing);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            check(name, part, missing);
        }
    }
    let document: Value = serde_json::from_str(openapi::document_json()).unwrap();
    let mut missing = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        check(name, schema, &mut missing);
    }
    for_each_operation(&document, |path, method, operation| {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if !parameter["description"].is_string() {
                missing.push(format!("{method} {path} {}", parameter["name"]));
            }
        }
    });
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn linters_find_nothing_in_the_document() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, openapi::document_json()).unwrap();
    let rules = |file: &str| root.join("tests/openapi").join(file);
    let (redocly, spectral) = (rules("redocly.yaml"), rules(".spectral.yaml"));
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let program = root.join("target/tools/openapi/node_modules/.bin").join(program);
        assert!(program.exists(), "this test needs {}: scripts/test installs it", program.display());
        let mut command = std::process::Command::new(program);
        // No reports of use and no search for updates.
        command.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
        let output = command.args(arguments).arg(&document).current_dir(folder.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        text.into_owned()
    };
    let text = run("redocly", &["lint".as_ref(), "--config".as_ref(), redocly.as_os_str()]);
    assert!(!text.contains("Warning") && text.contains("Your API description is valid"), "{text}");
    let fail_on_hints = ["lint", "--fail-severity", "hint", "--ruleset"].map(str::as_ref);
    run("spectral", &[fail_on_hints.as_slice(), &[spectral.as_os_str()]].concat());
}
