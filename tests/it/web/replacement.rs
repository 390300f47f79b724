//! The page that replaces a token by a newer one.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Browser, Engine, TestApp, TestResponse, both_databases};

const LIST: &str = "/preferences/access-tokens";
const DAY_SECONDS: i64 = 86_400;

/// Returns the token that was created last.
async fn newest(app: &TestApp) -> Value {
    app.admin().get("/v4/apiAccessTokens?sort=-createdAt").await.rows()[0].clone()
}

/// Returns the path of the page that replaces a token.
pub fn replace_path(token_id: &str) -> String {
    format!("{LIST}/{token_id}/replace")
}

/// Submits the form that replaces a token by one with the same lifetime.
pub async fn submit_replacement(browser: &Browser, token_id: &str, grace: &str) -> TestResponse {
    let form = browser.fetch_form_id().await;
    let fields = [("form", form.as_str()), ("lifetime", "same"), ("description", "newer"), ("grace", grace)];
    browser.post(&replace_path(token_id), &fields).await
}

#[apply(both_databases)]
async fn a_token_is_replaced_with_a_grace_period(engine: Engine) {
    let app = TestApp::start(engine).await;
    let limits = json!({
        "lifetimeSeconds": 3600, "description": "nightly", "scopes": ["reports:read"], "allowedNetworks": ["10.0.0.0/8"],
    });
    let old = app.admin().create_token_with(limits).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = replace_path(&old.token_id);
    assert!(
        admin
            .get(&format!("{LIST}/{}", old.token_id))
            .await
            .text
            .contains(&format!("href=\"{path}\">Replace this token…"))
    );
    assert!(admin.get(LIST).await.text.contains("<b>Active</b>"));
    let page = admin.get(&path).await.expect(200).text;
    for shown in [
        r#"value="nightly""#,
        r#"value="same" checked> <span>As before: 1 hour"#,
        r#"<option value="86400" selected>After 1 day"#,
        "<code>reports:read</code>",
        "<code>10.0.0.0/8</code>",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    app.advance_seconds(60);
    let page = submit_replacement(&admin, &old.token_id, "600").await.expect(200).text;
    assert!(
        page.contains("It cannot be shown again") && page.contains("works until <time data-exact>2026-01-01 00:11:00Z"),
        "{page}"
    );
    let new = newest(&app).await;
    assert_eq!((&new["description"], &new["scopes"]), (&json!("newer"), &json!(["reports:read"])));
    assert_eq!(new["allowedNetworks"], json!(["10.0.0.0/8"]));
    assert_eq!(new["expiredAt"], json!("2026-01-01T01:01:00.000Z"), "the same lifetime");
    let row = app.admin().get(&old.token_path()).await.json;
    assert_eq!((&row["deletesAt"], &row["replacedBy"]), (&json!("2026-01-01T00:11:00.000Z"), &new["tokenId"]));
    let newer = new["tokenId"].as_str().unwrap();
    for (list, relative) in [(LIST, "access-tokens"), ("/admin/tokens", "tokens")] {
        let page = admin.get(list).await.text;
        assert!(page.contains(&format!("Replaced</b><small>by <a href={relative}/{newer}>")), "{page}");
        assert!(page.contains("<i>Deleted </i><time>2026-01-01 00:11:00Z"), "{page}");
        // The script offers the replacement of active tokens only.
        assert_eq!(page.matches("<b>Active</b>").count(), 1, "{list}");
        let page = admin.get(&format!("{list}/{}", old.token_id)).await.text;
        assert!(
            page.contains(&format!("href=\"{list}/{newer}\">a newer token")) && !page.contains("Replace this token…")
        );
    }
    // It is replaced once, whatever form asks for it.
    for response in [admin.get(&path).await, submit_replacement(&admin, &old.token_id, "0").await] {
        assert!(response.expect(409).text.contains("It was replaced before."));
    }
    app.advance_seconds(600);
    for response in [admin.get(&path).await, submit_replacement(&admin, &old.token_id, "0").await] {
        assert!(matches!(response.status, 404 | 409), "{}", response.status);
    }
}

#[apply(both_databases)]
async fn a_token_is_replaced_at_once_by_one_of_another_lifetime(engine: Engine) {
    let app = TestApp::start(engine).await;
    let old = app.admin().create_token_with(json!({"lifetimeSeconds": 100 * DAY_SECONDS})).await;
    app.set_setting("maxLifetimeDays", 45).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = replace_path(&old.token_id);
    // The lifetime of the old token exceeds the maximum of today.
    let page = admin.get(&path).await.expect(200).text;
    assert!(!page.contains(r#"value="same""#) && page.contains(r#"value="30" checked"#), "{page}");
    let form = admin.fetch_form_id().await;
    let send = async |lifetime: &str, days: &str, grace: &str| {
        admin.post(&path, &[("form", form.as_str()), ("lifetime", lifetime), ("days", days), ("grace", grace)]).await
    };
    for (lifetime, days, grace, message) in [
        ("30", "", "", "Choose one of the grace periods."),
        ("30", "", "-1", "Choose one of the grace periods."),
        ("30", "", "2592001", "Choose one of the grace periods."),
        ("custom", "46", "0", "The maximum lifetime in this workspace is 45 days"),
        ("same", "", "0", "The maximum lifetime in this workspace is 45 days"),
        ("same", "7", "0", "You entered 7 days, but chose another lifetime"),
        ("custom", "x", "0", "Enter a whole number of days"),
    ] {
        let page = send(lifetime, days, grace).await.expect(400).text;
        assert!(page.contains(message) && page.contains(r#"aria-invalid="true""#), "{message}: {page}");
        assert!(page.contains(&old.token_id) && page.contains(&format!(r#"value="{days}""#)), "{page}");
    }
    assert!(old.is_accepted().await, "a rejected form changes nothing");
    let page = send("custom", "45", "0").await.expect(200).text;
    assert!(page.contains(&format!("<code>{}</code> was deleted. It no longer works.", old.token_id)), "{page}");
    assert!(!old.is_accepted().await);
    assert_eq!(app.admin().get("/v4/apiAccessTokens").await.rows().len(), 1);
    // The same form again.
    assert!(send("custom", "45", "0").await.expect(409).text.contains("The new token was shown once."));
    admin.get(&path).await.expect(404);
}

#[apply(both_databases)]
async fn only_own_active_tokens_are_replaced(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.create_token_with(json!({"lifetimeSeconds": 600, "description": "of ada"})).await;
    let other = app.create_workspace_with_admin("other").await;
    for email in ["admin@example.com", &other.email] {
        let browser = app.signed_in_browser(email).await;
        for id in [token.token_id.as_str(), "00000000-0000-7000-8000-000000000000", "x"] {
            for response in [browser.get(&replace_path(id)).await, submit_replacement(&browser, id, "0").await] {
                assert!(!response.expect(404).text.contains("of ada"), "{email} {id}");
            }
        }
        // A form of another session, or none.
        browser.post(&replace_path(&token.token_id), &[("lifetime", "same"), ("grace", "0")]).await.expect(404);
    }
    assert!(token.is_accepted().await);
    let own = app.signed_in_browser(&ada.email).await;
    let no_form = own.post(&replace_path(&token.token_id), &[("lifetime", "same"), ("grace", "0")]).await.expect(400);
    assert!(no_form.text.contains("Nothing was generated"));
    // Without the right to generate tokens there is none to replace.
    app.admin().update_person(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    own.get(&replace_path(&token.token_id)).await.expect(403);
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    app.advance_seconds(600);
    for response in
        [own.get(&replace_path(&token.token_id)).await, submit_replacement(&own, &token.token_id, "0").await]
    {
        assert!(response.expect(409).text.contains("It has expired."));
    }
    assert!(!own.get(&format!("{LIST}/{}", token.token_id)).await.text.contains("Replace this token…"));
    assert_eq!(ada.get("/v4/apiAccessTokens").await.rows().len(), 1);
}
