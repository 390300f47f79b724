//! The catalog of scopes, the preview of settings, and the notice of tokens that expire soon, on pages.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, TestApp, both_databases};

const GENERATE: &str = "/preferences/access-tokens/generate";
const CATALOG: &str = "/admin/settings/tokenward.scopes";
const MAX_LIFETIME: &str = "/admin/settings/feature.apiAccessTokens.maxLifetimeDays";

#[apply(both_databases)]
async fn the_catalog_is_edited_as_lines_and_offered_as_checkboxes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    assert!(admin.get(GENERATE).await.text.contains(r#"name="scopes""#));
    let rejected = admin.post(CATALOG, &[("value", "reports:read Read\nReports")]).await.expect(400).text;
    assert!(rejected.contains("is invalid") && rejected.contains("reports:read Read\nReports"), "nothing is lost");
    // A scope may have the name of another field.
    let lines = "reports:read Read <all> reports\r\n\r\naccess\r\n";
    admin.post(CATALOG, &[("value", lines)]).await.expect(303);
    assert!(admin.get("/admin/settings").await.text.contains("<strong>2 scopes</strong>"));
    assert!(admin.get(CATALOG).await.text.contains("reports:read Read &#60;all&#62; reports\naccess</textarea>"));
    let page = admin.get(GENERATE).await.text;
    assert!(!page.contains(r#"name="scopes""#) && page.contains(r#"name="scope.access""#));
    assert!(page.contains("Read &#60;all&#62; reports"));
    let submit = async |fields: &[(&str, &str)]| {
        let form = admin.fetch_form_id().await;
        admin.post(GENERATE, &[&[("form", form.as_str()), ("lifetime", "30")], fields].concat()).await
    };
    let chosen = [("access", "scopes"), ("scope.access", "yes"), ("scope.tokenward:introspect", "yes")];
    submit(&chosen).await.expect(200);
    let newest = app.admin().get("/v4/apiAccessTokens?sort=-createdAt").await.rows()[0].clone();
    assert_eq!(newest["scopes"], json!(["access", "tokenward:introspect"]));
    let invented = submit(&[("access", "scopes"), ("scope.reports:write", "yes")]).await.expect(400).text;
    assert!(invented.contains("not in the workspace") && invented.contains("reports:read"), "{invented}");
}

#[apply(both_databases)]
async fn a_setting_shows_its_effect_before_it_is_saved(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    assert!(admin.get(MAX_LIFETIME).await.text.contains(r#"name="preview""#));
    assert!(!admin.get(CATALOG).await.text.contains(r#"name="preview""#));
    let ada = app.admin().add_person("ada", true).await;
    for n in 0..24 {
        ada.create_token_with(json!({"lifetimeSeconds": -1, "description": format!("nightly {n}")})).await;
    }
    app.admin().create_token_with(json!({"lifetimeSeconds": 8_640_000})).await;
    let preview = [("value", "custom"), ("days", "30"), ("preview", "yes")];
    let page = admin.post(MAX_LIFETIME, &preview).await.expect(200).text;
    assert!(page.contains("25 active tokens of 2 owners conflict with this value. They keep working."), "{page}");
    assert!(
        page.contains("nightly") && page.contains("of ada@example.com, never expires") && page.contains("and 5 more")
    );
    assert!(page.contains(r#"value="30""#), "the entered value stays in the form");
    let none = admin.post(MAX_LIFETIME, &[("value", "unlimited"), ("preview", "yes")]).await.expect(200).text;
    assert!(none.contains("No active token conflicts with this value."));
    admin.post(MAX_LIFETIME, &[("value", "custom"), ("days", "x"), ("preview", "yes")]).await.expect(400);
    let settings = app.admin().get("/v4/workspaces/current/configuration").await.json;
    assert!(settings.as_array().unwrap().iter().all(|setting| setting["value"].is_null()), "nothing was saved");
}

#[apply(both_databases)]
async fn pages_tell_the_owner_of_tokens_that_expire_within_a_week(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for (days, description) in [(10, "nightly <b>"), (11, "weekly"), (12, "monthly"), (30, "later"), (7, "short")] {
        let lifetime = days * 86_400;
        admin.create_token_with(json!({"lifetimeSeconds": lifetime, "description": description})).await;
    }
    let notice = "Your token <a href=\"/preferences/access-tokens/";
    app.advance_seconds(86_400);
    let browser = app.signed_in_browser("admin@example.com").await;
    assert!(!browser.get("/preferences/profile").await.text.contains(notice));
    app.advance_seconds(3 * 86_400);
    let browser = app.signed_in_browser("admin@example.com").await;
    for path in ["/preferences/profile", "/admin/users"] {
        let page = browser.get(path).await.expect(200).text;
        assert!(page.contains("nightly &#60;b&#62;</bdi></a> expires"), "{page}");
        assert!(page.contains("Another one expires within 7 days."), "{page}");
    }
    let id = admin.get("/v4/apiAccessTokens?description=nightly").await.rows()[0]["tokenId"].clone();
    admin.post("/v4/apiAccessTokens", &json!({"replaces": id})).await.expect(201);
    let page = browser.get("/preferences/profile").await.text;
    assert!(page.contains("weekly</bdi></a> expires") && !page.contains("within 7 days"), "{page}");
    app.add_person("ada").await;
    let other = app.signed_in_browser("ada@example.com").await;
    assert!(!other.get("/preferences/profile").await.text.contains(notice));
}
