//! Re-authentication for sensitive operations.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{NEW_PASSWORD, is_signed_in};
use crate::support::{Browser, Database, Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn sensitive_operations_require_reauthentication_after_15_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let token = app.admin().create_token().await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let (user, remove) = (format!("/admin/users/{}", ada.id), format!("/admin/users/{}/remove", ada.id));
    let delete = format!("/admin/users/{}/delete-tokens", ada.id);
    let password = format!("/admin/users/{}/password", ada.id);
    let body = json!({"url": "https://hooks.example.com/", "events": ["*"]});
    let webhook = app.admin().post("/v4/webhooks", &body).await.expect(201).json["id"].as_str().unwrap().to_owned();
    let webhook_api = format!("/v4/webhooks/{webhook}");
    let disable_webhook = format!("/admin/webhooks/{webhook}/disable");
    let delete_webhook = format!("/admin/webhooks/{webhook}/delete");
    let operations: [(&str, &[(&str, &str)]); 10] = [
        ("/preferences/access-tokens/delete-all", &[]),
        ("/admin/settings/feature.apiAccessTokens.enabled", &[("value", "false")]),
        (&user, &[("email", "ada@example.com"), ("role", "administrator"), ("token_access", "default")]),
        (&delete, &[]),
        (&disable_webhook, &[]),
        (&delete_webhook, &[]),
        (&password, &[("password", NEW_PASSWORD)]),
        ("/admin/users/new", &[("email", "eve@example.com"), ("password", PASSWORD), ("is_admin", "yes")]),
        ("/admin/workspaces/new", &[("name", "X"), ("admin_email", "x@example.com"), ("password", PASSWORD)]),
        (&remove, &[]),
    ];
    app.advance_seconds(15 * 60);
    for (path, fields) in operations {
        for wrong in [None, Some(""), Some("wrong")] {
            let mut fields = fields.to_vec();
            fields.extend(wrong.map(|password| ("own_password", password)));
            let response = admin.post(path, &fields).await.expect(400);
            assert!(response.text.contains(r#"name="own_password""#), "{path}");
        }
    }
    assert!(token.is_accepted().await);
    // The wrong passwords delay the next login.
    app.advance_seconds(10);
    assert_eq!(app.admin().get(&webhook_api).await.expect(200).json["isEnabled"], true);
    assert_eq!(app.admin().get("/v4/people?includeCount=true").await.json["count"], 2);
    assert_eq!(app.admin().get(&format!("/v4/people/{}", ada.id)).await.json["isAdmin"], false);
    for (path, fields) in operations {
        let admin = app.signed_in_browser("admin@example.com").await;
        app.advance_seconds(15 * 60);
        let fields: Vec<_> = fields.iter().copied().chain([("own_password", PASSWORD)]).collect();
        admin.post(path, &fields).await.expect(303);
        if path == disable_webhook {
            assert_eq!(app.admin().get(&webhook_api).await.expect(200).json["isEnabled"], false);
        }
    }
    assert!(!token.is_accepted().await);
    app.admin().get(&webhook_api).await.expect(404);
}

#[apply(both_databases)]
async fn generating_a_token_requires_reauthentication_after_15_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = "/preferences/access-tokens/generate";
    let form = admin.fetch_form_id().await;
    let generate = async |admin: &Browser, form: &str, password: Option<&str>| {
        let fields = [("form", form), ("lifetime", "30")];
        let fields: Vec<_> = fields.into_iter().chain(password.map(|text| ("own_password", text))).collect();
        admin.post(path, &fields).await
    };
    app.advance_seconds(15 * 60 - 1);
    assert!(!admin.get(path).await.text.contains("own_password"));
    app.advance_seconds(1);
    assert!(admin.get(path).await.text.contains(r#"name="own_password""#));
    for wrong in [None, Some(""), Some("wrong")] {
        let response = generate(&admin, &form, wrong).await.expect(400);
        assert!(response.text.contains(r#"aria-invalid="true" aria-errormessage="form-error""#), "{}", response.text);
    }
    assert!(app.admin().get("/v4/apiAccessTokens").await.rows().is_empty());
    generate(&admin, &form, Some(PASSWORD)).await.expect(200);
    // The operator can switch it off.
    let app =
        TestApp::start_with(Database::migrated(engine).await, |config| config.sessions.reauth_for_tokens = false).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let form = admin.fetch_form_id().await;
    generate(&admin, &form, None).await.expect(200);
}

#[apply(both_databases)]
async fn reauthentication_renews_the_session_value(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let stolen = admin.with_session_cookie(admin.session_cookie());
    app.advance_seconds(15 * 60);
    let fields = [("value", "true"), ("own_password", PASSWORD)];
    admin.post("/admin/settings/feature.apiAccessTokens.enabled", &fields).await.expect(303);
    assert!(is_signed_in(&admin).await && !is_signed_in(&stolen).await);
}

#[apply(both_databases)]
async fn reauthentication_counts_even_if_the_operation_is_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let add = |email| [("email", email), ("password", "another phrase of many words"), ("own_password", PASSWORD)];
    let response = admin.post("/admin/users/new", &add("admin@example.com")).await.expect(409);
    assert!(!response.text.contains("own_password"), "the password was entered just now");
    admin.post("/admin/users/new", &add("ada@example.com")[..2]).await.expect(303);
    assert!(is_signed_in(&admin).await);
    // Also if the operation fails.
    app.advance_seconds(15 * 60);
    admin.post("/admin/users/99/remove", &[("own_password", PASSWORD)]).await.expect(404);
    assert!(is_signed_in(&admin).await);
}
