//! Forms: their effect, and the messages when they are rejected.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::domain::id::WorkspaceId;

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

const GENERATE: &str = "/preferences/access-tokens/generate";

async fn submit_generate_form(browser: &Browser, form: &str) -> crate::support::TestResponse {
    browser.post(GENERATE, &[("form", form), ("lifetime", "30"), ("description", "x")]).await
}

async fn count_tokens(app: &TestApp) -> usize {
    app.admin().get("/v4/apiAccessTokens").await.rows().len()
}

/// Returns the token value on the page that shows it.
fn token_value_in(page: &str) -> Option<&str> {
    page.split(r#"id="token-value" translate="no">"#).nth(1)?.split('<').next()
}

#[apply(both_databases)]
async fn a_form_creates_one_token_however_often_it_is_sent(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let form = admin.fetch_form_id().await;
    let many = futures_util::future::join_all((0..20).map(|_| submit_generate_form(&admin, &form))).await;
    let (created, rejected): (Vec<_>, Vec<_>) = many.iter().partition(|response| response.status == 200);
    assert_eq!((created.len(), count_tokens(&app).await), (1, 1));
    let value = token_value_in(&created[0].text).unwrap();
    assert_eq!(
        app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/people/current").await.status,
        200
    );
    assert_eq!(created[0].headers["cache-control"], "no-store");
    for response in rejected {
        assert_eq!(response.status, 409);
        assert!(
            response.text.contains("Your token was created and shown once. Lost it?") && !response.text.contains(value)
        );
    }
    let again = submit_generate_form(&admin, &form).await.expect(409);
    let id = app.admin().get("/v4/apiAccessTokens").await.rows()[0]["tokenId"].as_str().unwrap().to_owned();
    assert!(again.text.contains(&format!("Your newest token: <a href=\"/preferences/access-tokens/{id}\">")));
    submit_generate_form(&admin, &admin.fetch_form_id().await).await.expect(200);
    assert_eq!(count_tokens(&app).await, 2);
}

#[apply(both_databases)]
async fn a_form_of_another_session_creates_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let first = app.signed_in_browser("admin@example.com").await;
    let old = first.fetch_form_id().await;
    app.advance_seconds(1);
    let second = app.signed_in_browser("admin@example.com").await;
    // Form IDs that are invented, older than the session, far in the future, of another UUID
    // version, malformed or empty.
    let ahead = "0ffffffffff0-7000-8000-000000000000".to_owned();
    for form in [
        old,
        ahead,
        "00000000-0000-4000-8000-000000000000".into(),
        "00000000-0000-1000-8000-000000000000".into(),
        "x".into(),
        String::new(),
    ] {
        let response = submit_generate_form(&second, &form).await;
        assert!(matches!(response.status, 400 | 409), "{form}: {}", response.status);
    }
    let response = second.post(GENERATE, &[("lifetime", "30")]).await;
    assert_eq!((response.status, count_tokens(&app).await), (400, 0));
    assert!(response.text.contains("Nothing was generated"));
}

#[apply(both_databases)]
async fn rejected_forms_show_the_reason_and_keep_the_input(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let form = admin.fetch_form_id().await;
    for (lifetime, days, description, message) in [
        ("custom", "0", "kept <as> it is", "whole number of days from 1 to 36500, or -1"),
        ("custom", "", "kept <as> it is", "whole number of days"),
        ("custom", "1.5", "kept <as> it is", "whole number of days"),
        ("custom", "9223372036854775807", "kept <as> it is", "whole number of days"),
        ("30", "7", "kept <as> it is", "You entered 7 days, but chose another lifetime"),
        ("", "", "kept <as> it is", "whole number of days"),
        ("30", "", "a\u{7}b", "must not contain control characters"),
    ] {
        let fields = [("form", form.as_str()), ("lifetime", lifetime), ("days", days), ("description", description)];
        let response = admin.post(GENERATE, &fields).await.expect(400);
        assert!(
            response.text.contains(message)
                && response.text.contains(r#"role="alert""#)
                && response.text.contains(r#"aria-invalid="true""#),
            "{lifetime} {days}: {}",
            response.text
        );
        if description.starts_with("kept") {
            assert!(response.text.contains(r#"value="kept &#60;as&#62; it is""#), "{}", response.text);
        }
    }
    let too_long = "é".repeat(256);
    let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", too_long.as_str())];
    assert!(admin.post(GENERATE, &fields).await.expect(400).text.contains("at most 255 characters"));
    // A rejected form can be sent again.
    let longest = "🚀".repeat(255);
    let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", longest.as_str())];
    admin.post(GENERATE, &fields).await.expect(200);
}

#[apply(both_databases)]
async fn rejected_administrator_forms_show_the_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.add_person("ada").await;
    let fields = [("email", "ADA@example.com"), ("name", "Other Ada"), ("password", PASSWORD), ("must_change", "yes")];
    let response = admin.post("/admin/users/new", &fields).await.expect(409);
    assert!(
        response.text.contains("An account with this e-mail address already exists")
            && response.text.contains("Other Ada")
    );
    assert!(!response.text.contains(PASSWORD), "the page does not repeat the password");
    for (path, fields, message) in [
        (
            "/admin/users/1",
            [("email", "not an address"), ("role", "platform-administrator")],
            "Enter an e-mail address",
        ),
        ("/admin/users/1", [("email", "admin@example.com"), ("role", "member")], "last enabled administrator"),
        (
            "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
            [("value", "custom"), ("days", "0")],
            "whole number of days",
        ),
        (
            "/admin/settings/feature.apiAccessTokens.enabled",
            [("value", "maybe"), ("days", "")],
            "Choose one of the values",
        ),
    ] {
        let response = admin.post(path, &[fields[0], fields[1], ("token_access", "default"), ("name", "A")]).await;
        assert!(
            matches!(response.status, 400 | 409) && response.text.contains(message),
            "{path}: {} {}",
            response.status,
            response.text
        );
    }
    // A request that is not a form.
    let mut request = admin.request("POST", "/preferences/profile", axum::body::Body::from("{}"));
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    admin.send(request).await.expect(415);
}

#[apply(both_databases)]
async fn a_choice_and_its_text_field_must_agree(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = "/admin/settings/feature.apiAccessTokens.maxLifetimeDays";
    let set = async |value: &str, days: &str, shown: &str| {
        admin.post(path, &[("value", value), ("days", days), ("shown_days", shown)]).await
    };
    set("custom", "60", "").await.expect(303);
    assert!(set("unlimited", "90", "60").await.expect(400).text.contains("You entered 90 days, but chose Unlimited"));
    assert!(admin.get("/admin/settings").await.text.contains("60 days"));
    // The value that the page prefilled is not an input.
    set("unlimited", "60", "60").await.expect(303);
    assert!(admin.get("/admin/settings").await.text.contains("Unlimited"));
    let settings = admin.get("/admin/settings").await.text;
    assert!(settings.contains("Unlimited") && settings.matches("(default)").count() == 7, "{settings}");
    assert!(admin.get(path).await.text.contains("Reset to default (Unlimited)"));
    admin.post(path, &[("value", "custom"), ("days", "5"), ("reset", "yes")]).await.expect(303);
    assert_eq!(admin.get("/admin/settings").await.text.matches("(default)").count(), 8);
    assert!(!admin.get(path).await.text.contains("Reset to default"));
    assert!(set("nothing", "60", "60").await.expect(400).text.contains("whole number of days"));
}

#[apply(both_databases)]
async fn lifetimes_are_entered_in_days(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    for (lifetime, days, seconds) in [
        ("90", "", Some(90 * 86_400)),
        ("custom", "1", Some(86_400)),
        ("-1", "", None),
        ("custom", "-1", None),
        ("custom", "36500", Some(3_153_600_000_i64)),
    ] {
        let form = admin.fetch_form_id().await;
        admin.post(GENERATE, &[("form", &form), ("lifetime", lifetime), ("days", days)]).await.expect(200);
        app.advance_seconds(1);
        let list = app.admin().get("/v4/apiAccessTokens").await;
        let token = list.rows().last().unwrap().clone();
        let moment =
            |field: &str| token[field].as_str().map(|text| chrono::DateTime::parse_from_rfc3339(text).unwrap());
        let lived = moment("expiredAt").map(|end| (end - moment("createdAt").unwrap()).num_seconds());
        assert_eq!(lived, seconds, "{lifetime} {days}");
    }
    app.set_setting("maxLifetimeDays", 45).await;
    let page = admin.get(GENERATE).await.expect(200);
    assert!(page.text.contains("At most 45 days") && page.text.contains(r#"value="30" checked"#));
    assert!(!page.text.contains(r#"value="90""#) && !page.text.contains(r#"value="-1""#));
    let form = admin.fetch_form_id().await;
    let response = admin.post(GENERATE, &[("form", &form), ("lifetime", "-1")]).await.expect(400);
    assert!(response.text.contains("The maximum lifetime in this workspace is 45 days"));
    admin.post(GENERATE, &[("form", &form), ("lifetime", "custom"), ("days", "45")]).await.expect(200);
    app.set_setting("maxLifetimeDays", 7).await;
    assert!(admin.get(GENERATE).await.text.contains(r#"value="custom" id="lifetime-custom" checked"#));
}

#[apply(both_databases)]
async fn a_forced_password_change_redirects_every_page(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"forcePasswordChange": true, "isAdmin": true})).await.expect(200);
    let browser = app.signed_in_browser("ada@example.com").await;
    for path in ["/preferences/access-tokens", "/admin/users", "/preferences/profile", "/admin/activity"] {
        assert_eq!(browser.get(path).await.expect(303).headers["location"], "/change-password", "{path}");
    }
    for (path, fields) in [
        (GENERATE, &[("lifetime", "30")] as &[(&str, &str)]),
        ("/admin/settings/feature.apiAccessTokens.enabled", &[("value", "false")]),
        ("/preferences/profile/password", &[("old_password", PASSWORD)]),
    ] {
        assert_eq!(browser.post(path, fields).await.expect(303).headers["location"], "/change-password", "{path}");
    }
    let change = async |old: &str, new: &str| {
        browser
            .post("/change-password", &[("old_password", old), ("new_password", new), ("repeated_password", new)])
            .await
    };
    assert!(
        change("wrong", "another phrase of many words")
            .await
            .expect(400)
            .text
            .contains("current password is incorrect")
    );
    assert!(change(PASSWORD, PASSWORD).await.expect(400).text.contains("must differ from the current one"));
    change(PASSWORD, "another phrase of many words").await.expect(303);
    browser.get("/admin/users").await.expect(200);
    assert_eq!(browser.get("/change-password").await.expect(303).headers["location"], "/preferences/profile");
}

#[apply(both_databases)]
async fn a_denied_user_sees_why_tokens_cannot_be_generated(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let browser = app.signed_in_browser("ada@example.com").await;
    let list = async || browser.get("/preferences/access-tokens").await.expect(200).text;
    assert!(
        list().await.contains("Only administrators may generate") && list().await.contains("Ask admin@example.com")
    );
    assert!(!list().await.contains("Generate New Token"));
    browser.get(GENERATE).await.expect(403);
    app.set_setting("allowUsers", true).await;
    assert!(list().await.contains("Generate New Token"));
    let form = browser.fetch_form_id().await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    assert!(list().await.contains("Your token access is disabled"));
    submit_generate_form(&browser, &form).await.expect(403);
    app.admin().update_person(ada.id, json!({"tokenAccess": "default"})).await.expect(200);
    app.set_setting("enabled", false).await;
    assert!(list().await.contains("switched off in this workspace"));
    assert_eq!(
        submit_generate_form(&browser, &form).await.expect(303).headers["location"],
        "/preferences/access-tokens"
    );
    assert_eq!(app.store.count_people_and_tokens(WorkspaceId::FIRST).await.unwrap().1, 0);
}

#[apply(both_databases)]
async fn a_stale_form_does_not_undo_later_changes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.admin().add_person("ada", true).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{}", ada.id);
    let page = admin.get(&path).await.expect(200).text;
    let hidden: Vec<(String, String)> = page
        .split(r#"<input type="hidden" name=""#)
        .skip(1)
        .map(|rest| {
            let mut parts = rest.split('"');
            (parts.next().unwrap().to_owned(), parts.nth(1).unwrap().to_owned())
        })
        .collect();
    assert_eq!(hidden.len(), 4);
    app.admin().update_person(ada.id, json!({"isAdmin": false, "tokenAccess": "disabled"})).await.expect(200);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend([
        ("email", "ada@example.com"),
        ("name", "Ada L."),
        ("role", "administrator"),
        ("token_access", "default"),
    ]);
    admin.post(&path, &fields).await.expect(303);
    let now = app.admin().get(&format!("/v4/people/{}", ada.id)).await.json;
    assert_eq!(
        (&now["name"], &now["isAdmin"], &now["tokenAccess"]),
        (&json!("Ada L."), &json!(false), &json!("disabled"))
    );
    // A form without a role is rejected and changes nothing.
    admin.post(&path, &[("email", "ada@example.com"), ("name", "A")]).await.expect(400);
}
