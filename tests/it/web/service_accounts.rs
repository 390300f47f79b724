//! The pages of service accounts, for administrators and for custodians.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};

/// Creates the service account `ci` with the custodian Ada. Returns its ID.
async fn create_account(app: &TestApp) -> i64 {
    let ada = app.add_person("ada").await;
    let body = json!({"kind": "service", "name": "ci", "custodians": [ada.id]});
    app.admin().post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap()
}

/// Opens the form at a path, and submits it. Returns the page.
async fn generate(browser: &Browser, path: &str) -> String {
    let page = browser.get(path).await.expect(200).text;
    let form = page.split(r#"name="form" value=""#).nth(1).unwrap()[..36].to_owned();
    let fields = [("form", form.as_str()), ("lifetime", "30"), ("description", "job"), ("access", "full")];
    let shown = browser.post(path, &fields).await.expect(200).text;
    assert!(browser.post(path, &fields).await.expect(409).text.contains("created and shown once"));
    shown
}

#[apply(both_databases)]
async fn a_custodian_manages_the_tokens_of_an_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    let id = create_account(&app).await;
    let ada = app.signed_in_browser("ada@example.com").await;
    assert!(ada.get("/preferences/access-tokens").await.text.contains("/preferences/service-accounts"));
    let list = ada.get("/preferences/service-accounts").await.expect(200).text;
    let path = format!("/preferences/service-accounts/{id}");
    assert!(list.contains(&path) && !list.contains("Add service account"), "{list}");
    // `allowUsers` is off, which does not concern service accounts.
    ada.get("/preferences/access-tokens/generate").await.expect(403);
    let shown = generate(&ada, &format!("{path}/generate")).await;
    let value = shown.split(r#"id="token-value" translate="no">"#).nth(1).unwrap().split('<').next().unwrap();
    let client = app.client_with_authorization(&[&format!("Bearer {value}")]);
    assert_eq!(client.get("/v4/people/current").await.expect(200).json["id"], id);
    assert!(shown.contains("can use the API as ci") && shown.contains(&format!("href=\"{path}\">Done")), "{shown}");
    let page = ada.get(&path).await.expect(200).text;
    assert!(page.contains("job") && !page.contains(r#"name="custodians""#) && !page.contains("/remove"), "{page}");
    let token = page.split("delete-token?token=").nth(1).unwrap()[..36].to_owned();
    let delete = format!("{path}/delete-token");
    assert!(ada.get(&format!("{delete}?token={token}")).await.expect(200).text.contains("Delete this token?"));
    let deleted = ada.post(&delete, &[("token", &token)]).await.expect(303);
    assert_eq!(deleted.headers["location"], format!("{path}?done=deleted").as_str());
    client.get("/v4/people/current").await.expect(401);
}

#[apply(both_databases)]
async fn accounts_of_others_do_not_exist(engine: Engine) {
    let app = TestApp::start(engine).await;
    let id = create_account(&app).await;
    app.add_person("bob").await;
    app.create_workspace_with_admin("eve").await;
    let of_admin = app.admin().create_token().await.token_id;
    let bob = app.signed_in_browser("bob@example.com").await;
    let eve = app.signed_in_browser("eve@other.example").await;
    assert!(!bob.get("/preferences/access-tokens").await.text.contains("service-accounts"));
    for (browser, section) in [(&bob, "preferences"), (&eve, "preferences"), (&eve, "admin")] {
        let path = format!("/{section}/service-accounts/{id}");
        browser.get(&path).await.expect(404);
        browser.get(&format!("{path}/generate")).await.expect(404);
        browser.post(&format!("{path}/generate"), &[("lifetime", "30")]).await.expect(404);
        browser.post(&format!("{path}/delete-token"), &[("token", &of_admin)]).await.expect(404);
    }
    eve.post(&format!("/admin/service-accounts/{id}"), &[("operation", "disable")]).await.expect(404);
    eve.post(&format!("/admin/service-accounts/{id}/remove"), &[]).await.expect(404);
    bob.get("/admin/service-accounts").await.expect(403);
    // The page of an account deletes its own tokens only, and a person is no account.
    let ada = app.signed_in_browser("ada@example.com").await;
    let delete = format!("/preferences/service-accounts/{id}/delete-token");
    ada.post(&delete, &[("token", &of_admin)]).await.expect(404);
    let admin = app.signed_in_browser("admin@example.com").await;
    admin.post(&format!("/admin/service-accounts/{id}/delete-token"), &[("token", &of_admin)]).await.expect(404);
    admin.get("/admin/service-accounts/1").await.expect(404);
    admin.post("/admin/service-accounts/1", &[("operation", "disable")]).await.expect(404);
    let redirected = admin.get(&format!("/admin/users/{id}")).await.expect(303);
    assert_eq!(redirected.headers["location"], format!("/admin/service-accounts/{id}").as_str());
}

#[apply(both_databases)]
async fn an_administrator_adds_changes_and_removes_an_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let new = "/admin/service-accounts/new";
    for (name, custodians, message) in [
        ("No Name", "ada@example.com", "The name of a service account must have"),
        ("ci", "", "at least one custodian"),
        (
            "ci",
            "stranger@example.com",
            "No enabled user of this workspace has the e-mail address stranger@example.com.",
        ),
        ("ci", "ada@example.com, ADA@example.com", "each custodian once"),
    ] {
        let page = admin.post(new, &[("name", name), ("custodians", custodians)]).await.expect(400).text;
        assert!(page.contains(message) && page.contains("aria-invalid"), "{message}: {page}");
    }
    let fields = [("name", "ci"), ("custodians", "ada@example.com admin@example.com")];
    let added = admin.post(new, &fields).await.expect(303);
    let location = added.headers["location"].to_str().unwrap().to_owned();
    let path = location.split('?').next().unwrap().to_owned();
    assert!(admin.get(&location).await.expect(200).text.contains("The service account was added"));
    assert!(admin.post(new, &fields).await.expect(409).text.contains("nother service account has this name"));
    generate(&admin, &format!("{path}/generate")).await;
    let save = [("operation", "save"), ("name", "deploy"), ("custodians", "ada@example.com"), ("is_admin", "yes")];
    admin.post(&path, &save).await.expect(303);
    let page = admin.get(&path).await.expect(200).text;
    assert!(page.contains("service:deploy") && page.contains(r#"name="is_admin" value="yes" checked"#), "{page}");
    // The custodian of an administrator generates no tokens.
    let ada = app.signed_in_browser("ada@example.com").await;
    let own = path.replace("/admin/", "/preferences/");
    assert!(ada.get(&own).await.expect(200).text.contains("only administrators create its tokens"));
    ada.get(&format!("{own}/generate")).await.expect(403);
    // Without an enabled custodian it is marked.
    let ada = app.admin().get("/v4/people?email=ada@example.com").await.rows()[0]["id"].as_i64().unwrap();
    app.admin().update_person(ada, json!({"isDisabled": true})).await.expect(200);
    assert!(admin.get("/admin/service-accounts").await.text.contains("Unowned"));
    assert!(admin.get(&path).await.text.contains("This account is unowned."));
    let activity = admin.get("/admin/activity").await.text;
    assert!(activity.contains("Service account without custodian"), "{activity}");
    admin.post(&path, &[("operation", "disable")]).await.expect(303);
    assert!(admin.get(&path).await.text.contains("enable it before you create tokens"));
    admin.post(&path, &[("operation", "enable")]).await.expect(303);
    // Changes require the password again.
    app.advance_seconds(16 * 60);
    admin.post(&path, &save).await.expect(400);
    let remove = format!("{path}/remove");
    admin.post(&remove, &[]).await.expect(400);
    assert!(admin.get(&remove).await.expect(200).text.contains("Remove deploy?"));
    admin.post(&remove, &[("own_password", PASSWORD)]).await.expect(303);
    admin.get(&path).await.expect(404);
}

#[apply(both_databases)]
async fn a_saved_form_changes_only_edited_fields(engine: Engine) {
    let app = TestApp::start(engine).await;
    let id = create_account(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/service-accounts/{id}");
    let page = admin.get(&path).await.expect(200).text;
    assert!(page.contains(r#"name="shown_custodians" value="ada@example.com""#), "{page}");
    // Meanwhile another administrator makes it an administrator with another custodian.
    let change = json!({"custodians": [1], "isAdmin": true});
    app.admin().patch(&format!("/v4/people/{id}"), &change).await.expect(200);
    let form = [
        ("operation", "save"),
        ("name", "deploy"),
        ("custodians", "ada@example.com"),
        ("shown_name", "ci"),
        ("shown_custodians", "ada@example.com"),
        ("shown_is_admin", ""),
    ];
    admin.post(&path, &form).await.expect(303);
    let account = app.admin().get(&format!("/v4/people/{id}")).await.expect(200).json;
    assert_eq!((&account["name"], &account["isAdmin"]), (&json!("deploy"), &json!(true)));
    assert_eq!(account["custodians"], json!([1]));
    let many = "ada@example.com ".repeat(33);
    let page = admin.post(&path, &[("operation", "save"), ("name", "deploy"), ("custodians", &many)]).await;
    assert!(page.expect(400).text.contains("Enter at most 32 custodians."));
}
