//! The API reference: every operation of the OpenAPI document with its examples.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::Value;
use tokenward::api::openapi;

use crate::support::{Browser, Database, Engine, TestApp, both_databases};

/// Returns the operations as tag, method, path and definition.
fn operations() -> Vec<(String, String, String, Value)> {
    let document: Value = serde_json::from_str(openapi::document_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap().to_owned();
            operations.push((tag, method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// Returns the section of an operation on the page of its tag.
async fn section_of(browser: &Browser, tag: &str, operation: &Value) -> String {
    let id = operation["operationId"].as_str().unwrap();
    let page = browser.get(&format!("/api-reference/{tag}")).await.expect(200).text;
    let start = page.find(&format!("<section class=\"card pad operation\" id=\"{id}\"")).expect(id);
    page[start..].split("</section>").next().unwrap().to_owned()
}

/// Returns a text as templates escape it.
fn escaped(text: &str) -> String {
    text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;").replace('\'', "&#39;")
}

#[apply(both_databases)]
async fn every_operation_is_shown_with_its_examples(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("person").await;
    let browser = app.signed_in_browser("person@example.com").await;
    let overview = browser.get("/api-reference").await.expect(200).text;
    for (tag, method, path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(overview.contains(&format!("href=\"/api-reference/{tag}#{id}\"")), "{id}");
        let section = section_of(&browser, &tag, &operation).await;
        assert!(section.contains(&format!(">{method}</b> <code>{path}</code>")), "{id}: {section}");
        assert!(section.contains(&escaped(operation["summary"].as_str().unwrap())), "{id}");
        assert!(section.contains("<pre class=\"block\">curl "), "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(section.contains(&format!("<code>{}</code>", parameter["name"].as_str().unwrap())), "{id}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(section.contains(&format!("<summary><code>{status}</code>")), "{id} {status}");
            let content = &response["content"]["application/json"];
            let named =
                content["examples"].as_object().into_iter().flat_map(|all| all.values().map(|one| &one["value"]));
            for example in named.chain(content.get("example")) {
                let json = serde_json::to_string_pretty(example).unwrap();
                assert!(section.contains(&escaped(&json)), "{id} {status}: {json}");
            }
        }
        assert_eq!(section.contains("Bearer $TOKEN"), operation["security"].is_null(), "{id}");
    }
}

#[apply(both_databases)]
async fn fields_of_bodies_are_resolved(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let page = browser.get("/api-reference/apiAccessTokens").await.expect(200).text;
    for row in ["tokenInfo.tokenId", "data[].status", "lifetimeSeconds", "Idempotency-Key"] {
        assert!(page.contains(&format!("<th scope=\"row\"><code>{row}</code></th>")), "{row}");
    }
    // Types, ranges and words of the document.
    for text in ["string (date-time) or null", "1 to 3153600000", "16 to 255 characters", "<code>-createdAt</code>"] {
        assert!(page.contains(text), "{text}");
    }
}

#[apply(both_databases)]
async fn descriptions_are_escaped_and_pages_need_no_script(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let page = browser.get("/api-reference/auth").await.expect(200).text;
    assert!(page.contains("<code>workspace=&lt;id&gt;</code>") && !page.contains("<id>"));
    for path in ["/api-reference", "/api-reference/auth"] {
        let page = browser.get(path).await.expect(200).text;
        for file in page.split('"').filter(|text| text.starts_with("/assets/")) {
            browser.get(file).await.expect(200);
        }
        assert!(!page.contains("<script") && page.contains("href=\"/api-reference\""), "{path}");
    }
    for path in ["/api-reference/nothing", "/api-reference/people/x", "/api-reference/%3Cscript%3E"] {
        let page = browser.get(path).await.expect(404).text;
        assert!(page.contains("Page not found") && !page.contains("script>alert"), "{path}");
    }
}

#[apply(both_databases)]
async fn examples_have_the_public_url(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        config.set_public_url("http://localhost:8080/tokens/");
    })
    .await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let page = browser.get("/api-reference/health").await.expect(200).text;
    assert!(page.contains("curl http://localhost:8080/tokens/health/live"), "{page}");
}
