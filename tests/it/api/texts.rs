//! Characters that are not allowed in single-line texts, at each entry point.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases, one_hour_token};

#[apply(both_databases)]
async fn bidirectional_controls_are_rejected_in_descriptions(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let create = async |description: &str| {
        let mut body = one_hour_token();
        body["description"] = json!(description);
        app.admin().post("/v4/apiAccessTokens", &body).await
    };
    let generate = async |description: &str| {
        let form = browser.fetch_form_id().await;
        let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", description)];
        browser.post("/preferences/access-tokens/generate", &fields).await
    };
    for c in [
        '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{2028}', '\u{2029}',
        '\u{85}',
    ] {
        let text = format!("invoice{c}gnp.exe");
        let details = create(&text).await.expect_error(400, "ValidationFailed");
        assert!(details.contains("reverse the writing direction"), "{details}");
        let page = generate(&text).await.expect(400).text;
        assert!(page.contains("reverse the writing direction"), "{page}");
    }
    // Arabic, Hebrew and emoji need these characters.
    for kept in ["\u{5d0}\u{200f}!", "a\u{200e}b", "\u{61c}x", "\u{1f468}\u{200d}\u{1f680}", " as sent "] {
        assert_eq!(create(kept).await.expect(201).json["tokenInfo"]["description"], kept);
        generate(kept).await.expect(200);
    }
}

#[apply(both_databases)]
async fn the_openapi_document_has_the_description_pattern(engine: Engine) {
    let app = TestApp::start(engine).await;
    let document = app.admin().get("/v4/open-api-spec").await.expect(200).json;
    let schemas = &document["components"]["schemas"];
    let pattern = &schemas["CreateToken"]["properties"]["description"]["pattern"];
    assert_eq!(pattern, &schemas["CreatePerson"]["properties"]["name"]["pattern"]);
    assert!(pattern.as_str().is_some_and(|pattern| pattern.contains("u202e")), "{pattern}");
}
