//! The rules for new tokens, checked when the program fetches its token.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{approve, begin, enter, expect_oauth_error, poll, shown_lifetime};
use crate::support::{Engine, PASSWORD, TestApp, both_databases};

async fn patch_settings(app: &TestApp, settings: serde_json::Value) {
    let body = json!({"configuration": settings});
    app.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
}

/// Everything that takes a right away between approval and poll has an effect.
#[apply(both_databases)]
async fn a_right_that_was_lost_after_the_approval_gives_no_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    for (n, change) in [
        json!({"isDisabled": true}),
        json!({"tokenAccess": "disabled"}),
        json!({"forcePasswordChange": true}),
        json!({"password": "another phrase of words", "password2": "another phrase of words"}),
        json!({"removed": true}),
    ]
    .into_iter()
    .enumerate()
    {
        let person = app.add_person(&format!("person{n}")).await;
        let codes = begin(&app, "").await;
        approve(&app.signed_in_browser(&person.email).await, &codes).await;
        if change.get("removed").is_some() {
            app.admin().delete(&format!("/v4/people/{}", person.id)).await.expect(204);
        } else {
            app.admin().update_person(person.id, change.clone()).await.expect(200);
        }
        expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
        // The denial is final, also if the right comes back.
        if change.get("removed").is_none() {
            let back = json!({"isDisabled": false, "tokenAccess": "enabled", "forcePasswordChange": false});
            app.admin().update_person(person.id, back).await.expect(200);
        }
        expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
    }
    let all = app.admin().get("/v4/apiAccessTokens?allUsers=true").await.expect(200);
    assert!(all.rows().is_empty(), "{}", all.text);
}

#[apply(both_databases)]
async fn a_session_that_ended_after_the_approval_gives_no_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let codes = begin(&app, "").await;
    let browser = app.signed_in_browser("admin@example.com").await;
    approve(&browser, &codes).await;
    browser.post("/sign-out", &[]).await.expect(303);
    expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
}

#[apply(both_databases)]
async fn a_setting_that_was_changed_after_the_approval_is_in_force(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.set_setting("allowUsers", true).await;
    let browser = app.signed_in_browser(&ada.email).await;
    for (key, value, back, text) in [
        ("feature.apiAccessTokens.enabled", json!(false), json!(true), "disabled"),
        ("feature.apiAccessTokens.allowUsers", json!(false), json!(true), "only administrators"),
        ("feature.apiAccessTokens.maxLifetimeDays", json!(1), json!(-1), "maximum"),
        ("tokenward.requireScopes", json!(true), json!(false), "scopes"),
    ] {
        let codes = begin(&app, "lifetime=172800").await;
        approve(&browser, &codes).await;
        patch_settings(&app, json!([{"key": key, "value": value}])).await;
        let description = expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
        assert!(description.to_lowercase().contains(text), "{key}: {description}");
        patch_settings(&app, json!([{"key": key, "value": back}])).await;
        expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
    }
    let catalog = json!([{"key": "tokenward.scopes", "value": [{"name": "reports:read", "description": ""}]}]);
    let codes = begin(&app, "scope=other").await;
    approve(&browser, &codes).await;
    patch_settings(&app, catalog).await;
    let description = expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
    assert!(description.contains("reports:read"), "{description}");
    assert!(ada.get("/v4/apiAccessTokens").await.rows().is_empty());
}

#[apply(both_databases)]
async fn the_limits_on_the_number_of_tokens_apply(engine: Engine) {
    let app = TestApp::start_with(crate::support::Database::migrated(engine).await, |config| {
        config.rate_limits.token_creation_per_minute = 1;
        config.tokens.max_active_per_person = Some(2);
    })
    .await;
    let browser = app.signed_in_browser("admin@example.com").await;
    let all = [begin(&app, "").await, begin(&app, "").await, begin(&app, "").await];
    for codes in &all {
        approve(&browser, codes).await;
    }
    poll(&app, &all[0]).await.expect(200);
    // A rate limit ends. The approval stays.
    let limited = poll(&app, &all[1]).await;
    expect_oauth_error(&limited, 429, "slow_down");
    assert!(limited.headers.contains_key("retry-after"));
    app.advance_seconds(60);
    poll(&app, &all[1]).await.expect(200);
    app.advance_seconds(60);
    let description = expect_oauth_error(&poll(&app, &all[2]).await, 400, "access_denied");
    assert!(description.contains("2 active tokens"), "{description}");
}

#[apply(both_databases)]
async fn the_page_says_beforehand_that_a_token_is_not_allowed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let browser = app.signed_in_browser(&ada.email).await;
    let restricted = begin(&app, "").await;
    let path = enter(&browser, &restricted.user).await;
    let page = browser.get(&path).await.expect(200).text;
    assert!(page.contains("You cannot approve this login") && !page.contains("/approve\""), "{page}");
    let rejected = browser.post(&format!("{path}/approve"), &[]).await.expect(403);
    assert!(rejected.text.contains("You cannot approve this login"), "{}", rejected.text);
    expect_oauth_error(&poll(&app, &restricted).await, 400, "authorization_pending");
    // It can be denied.
    browser.post(&format!("{path}/deny"), &[]).await.expect(303);
    expect_oauth_error(&poll(&app, &restricted).await, 400, "access_denied");
    app.set_setting("allowUsers", true).await;
    app.set_setting("maxLifetimeDays", 1).await;
    let long = begin(&app, "lifetime=86401").await;
    let page = browser.get(&enter(&browser, &long.user).await).await.expect(200).text;
    assert!(page.contains("You cannot approve this login"), "{page}");
}

#[apply(both_databases)]
async fn an_approval_needs_a_fresh_proof(engine: Engine) {
    let app = TestApp::start(engine).await;
    let browser = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(901);
    let codes = begin(&app, "").await;
    let path = enter(&browser, &codes.user).await;
    assert!(browser.get(&path).await.expect(200).text.contains("name=\"own_password\""));
    let approve = format!("{path}/approve");
    browser.post(&approve, &[]).await.expect(400);
    let wrong = browser.post(&approve, &[("own_password", "wrong")]).await.expect(400);
    assert!(wrong.text.contains("The password is incorrect."), "{}", wrong.text);
    expect_oauth_error(&poll(&app, &codes).await, 400, "authorization_pending");
    let before = browser.session_cookie();
    let lifetime = shown_lifetime(&browser, &path).await;
    browser.post(&approve, &[("own_password", PASSWORD), ("lifetime", &lifetime)]).await.expect(303);
    assert_ne!(browser.session_cookie(), before);
    poll(&app, &codes).await.expect(200);
    // A denial needs none.
    app.advance_seconds(901);
    let codes = begin(&app, "").await;
    let path = enter(&browser, &codes.user).await;
    browser.post(&format!("{path}/deny"), &[]).await.expect(303);
    expect_oauth_error(&poll(&app, &codes).await, 400, "access_denied");
}
