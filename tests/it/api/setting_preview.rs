//! The preview of settings: the existing tokens that conflict with a value.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases};

const PREVIEW: &str = "/v4/workspaces/current/configuration/preview";
const MAX_LIFETIME: &str = "feature.apiAccessTokens.maxLifetimeDays";
const DAY: i64 = 86_400;

#[apply(both_databases)]
async fn a_preview_lists_the_tokens_that_exceed_a_value_and_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let ada = admin.add_person("ada", true).await;
    app.create_workspace_with_admin("eve").await.create_token_with(json!({"lifetimeSeconds": -1})).await;
    for (lifetime, description) in [(30 * DAY, "exactly"), (30 * DAY + 1, "longer"), (DAY, "expired")] {
        admin.create_token_with(json!({"lifetimeSeconds": lifetime, "description": description})).await;
    }
    let forever = ada.create_token_with(json!({"lifetimeSeconds": -1, "description": "forever"})).await;
    app.advance_seconds(2 * DAY);
    let preview = async |query: &str| admin.get(&format!("{PREVIEW}?{query}")).await.expect(200).json;
    let found = preview(&format!("key={MAX_LIFETIME}&value=30")).await;
    assert_eq!((&found["tokenCount"], &found["personCount"]), (&json!(2), &json!(2)));
    assert_eq!((&found["key"], &found["value"]), (&json!(MAX_LIFETIME), &json!("30")));
    let listed = found["data"].as_array().unwrap();
    let descriptions: Vec<_> = listed.iter().map(|token| token["description"].as_str().unwrap()).collect();
    assert_eq!(descriptions, ["forever", "longer"]);
    assert_eq!(listed[0]["email"], json!("ada@example.com"));
    let second = preview(&format!("key={MAX_LIFETIME}&value=30&limit=1&offset=1")).await;
    assert_eq!((&second["tokenCount"], second["data"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(preview(&format!("key={MAX_LIFETIME}&value=-1")).await["tokenCount"], json!(0));
    assert_eq!(preview("key=feature.apiAccessTokens.enabled&value=false").await["tokenCount"], json!(3));
    assert_eq!(preview("key=feature.apiAccessTokens.enabled&value=true").await["tokenCount"], json!(0));
    admin.create_token_with(json!({"lifetimeSeconds": DAY, "scopes": []})).await;
    assert_eq!(preview("key=tokenward.requireScopes&value=true").await["tokenCount"], json!(3));
    let settings = admin.get("/v4/workspaces/current/configuration").await.expect(200);
    assert!(settings.json.as_array().unwrap().iter().all(|setting| setting["value"].is_null()));
    assert!(forever.is_accepted().await);
}

#[apply(both_databases)]
async fn a_preview_needs_an_administrator_and_a_valid_value(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for (query, part) in [
        ("", "key"),
        (&format!("key={MAX_LIFETIME}"), "value"),
        (&format!("key={MAX_LIFETIME}&value=0"), "1 to 36500"),
        (&format!("key={MAX_LIFETIME}&value=x"), "1 to 36500"),
        ("key=nothing&value=1", "Unknown setting"),
        ("key=tokenward.childTokens&value=forbidden", "o value of tokenward.childTokens"),
        (&format!("key={MAX_LIFETIME}&value=1&limit=0"), "limit"),
        (&format!("key={MAX_LIFETIME}&value=1&offset=-1"), "offset"),
        (&format!("key={MAX_LIFETIME}&value=1&days=3"), "days"),
    ] {
        let response = admin.get(&format!("{PREVIEW}?{query}")).await.expect(400);
        assert!(response.text.contains(part), "{query}: {}", response.text);
    }
    let query = format!("key={MAX_LIFETIME}&value=30");
    app.add_person("ada").await.get(&format!("{PREVIEW}?{query}")).await.expect(403);
    let eve = app.create_workspace_with_admin("eve").await;
    eve.get(&format!("/v4/workspaces/1/configuration/preview?{query}")).await.expect(404);
}
