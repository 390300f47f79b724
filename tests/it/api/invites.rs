//! Invite links: a person sets the password; no administrator ever knows it.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{
    ApiClient, Browser, Database, Engine, PASSWORD, PersonClient, TestApp, TestResponse, basic_auth, both_databases,
};

const HOURS_72: i64 = 72 * 3_600;
const NEW_PASSWORD: &str = "a wholly different phrase of words";
const PASSWORD_FIELDS: [(&str, &str); 2] = [("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)];

/// Invites a person to the workspace of the client. Returns the ID and the path of the link.
async fn invite(client: &ApiClient, email: &str) -> (i64, String) {
    let body = json!({"email": email, "name": "Ada", "invite": true});
    let created = client.post("/v4/people", &body).await.expect(201);
    (created.json["id"].as_i64().unwrap(), link_path(&created.json))
}

/// Creates a link for an existing person, and returns its path.
async fn new_link(client: &ApiClient, id: i64) -> String {
    link_path(&client.post(&format!("/v4/people/{id}/invite"), &json!({})).await.expect(200).json)
}

fn link_path(response: &Value) -> String {
    let url = response["inviteUrl"].as_str().expect("a link");
    let path = url.strip_prefix("http://127.0.0.1:3005").expect("the public URL");
    assert!(path.starts_with("/invite/") && path.len() == "/invite/".len() + 43, "{path}");
    path.to_owned()
}

async fn set_password(browser: &Browser, path: &str) -> TestResponse {
    browser.post(path, &PASSWORD_FIELDS).await
}

async fn password_status(app: &TestApp, email: &str, password: &str) -> u16 {
    app.client_with_authorization(&[&basic_auth(email, password)]).get("/v4/people/current").await.status
}

/// Returns the parts of a response that a client can compare.
fn comparable(response: &TestResponse) -> (u16, String, Vec<(String, String)>) {
    let fields = response.headers.iter().filter(|(name, _)| !name.as_str().ends_with("request-id"));
    let fields = fields.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (response.status, response.text.clone(), fields.collect())
}

#[apply(both_databases)]
async fn an_invited_person_sets_the_password_and_signs_in(engine: Engine) {
    let app = TestApp::start(engine).await;
    let body = json!({"email": "ada@example.com", "name": "Ada", "invite": true, "isAdmin": true});
    let created = app.admin().post("/v4/people", &body).await.expect(201);
    assert_eq!(created.json["inviteExpiresAt"], "2026-01-04T00:00:00.000Z");
    let path = link_path(&created.json);
    let id = &created.json["id"];
    // The link appears in this response only.
    let person = app.admin().get(&format!("/v4/people/{id}")).await.expect(200);
    assert_eq!((&person.json["isAdmin"], &person.json["inviteUrl"]), (&json!(true), &Value::Null));
    assert_eq!(password_status(&app, "ada@example.com", PASSWORD).await, 401);

    let browser = app.browser();
    for method in ["GET", "HEAD", "GET"] {
        let page = browser.send(browser.request(method, &path, axum::body::Body::empty())).await.expect(200);
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        if method == "GET" {
            assert!(page.text.contains("ada@example.com") && page.text.contains("Workspace 1"), "{}", page.text);
            assert!(!page.text.contains(&path["/invite/".len()..]), "the page does not repeat the secret");
        }
    }
    for (fields, message) in [
        ([("new_password", "short"), ("repeated_password", "short")], "Password must have from 15"),
        ([("new_password", "ada@example.com1"), ("repeated_password", "ada@example.com1")], "too easy to guess"),
        ([("new_password", NEW_PASSWORD), ("repeated_password", PASSWORD)], "The two new passwords do not match"),
    ] {
        let response = browser.post(&path, &fields).await.expect(400);
        assert!(response.text.contains(message) && response.text.contains("aria-invalid"), "{}", response.text);
    }
    let used = set_password(&browser, &path).await.expect(303);
    assert_eq!(used.headers["location"], "/sign-in?set=yes");
    assert!(browser.get("/sign-in?set=yes").await.expect(200).text.contains("Your password is set."));
    browser.sign_in("ada@example.com", NEW_PASSWORD).await.expect(303);
    browser.get("/admin/users").await.expect(200);
    assert_eq!(password_status(&app, "ada@example.com", NEW_PASSWORD).await, 200);
}

#[apply(both_databases)]
async fn links_that_are_not_valid_get_one_response(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (_, expired) = invite(&admin, "late@example.com").await;
    app.advance_seconds(HOURS_72 - 1);
    app.browser().get(&expired).await.expect(200);
    app.advance_seconds(1);
    let (_, used) = invite(&admin, "ada@example.com").await;
    set_password(&app.browser(), &used).await.expect(303);
    let (id, replaced) = invite(&admin, "eve@example.com").await;
    new_link(&admin, id).await;
    let mut void = vec![expired, used, replaced];
    for (number, change) in [
        json!({"password": PASSWORD, "password2": PASSWORD}),
        json!({"email": "new@example.com"}),
        json!({"isDisabled": true}),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, path) = invite(&admin, &format!("void{number}@example.com")).await;
        admin.update_person(id, change).await.expect(200);
        void.push(path);
    }
    let (id, removed) = invite(&admin, "gone@example.com").await;
    admin.delete(&format!("/v4/people/{id}")).await.expect(204);
    let unknown = format!("/invite/{}", "a".repeat(43));
    void.extend([removed, unknown.clone()]);
    void.extend(["/invite/x", "/invite/%FF", "/invite/..%2Fadmin"].map(str::to_owned));
    let browser = app.browser();
    let shown = comparable(&browser.get(&unknown).await.expect(404));
    let submitted = comparable(&set_password(&browser, &unknown).await.expect(404));
    assert!(shown.1.contains("This link is not valid") && shown.1 == submitted.1, "{}", shown.1);
    for path in &void {
        assert_eq!(comparable(&browser.get(path).await), shown, "{path}");
        assert_eq!(comparable(&set_password(&browser, path).await), submitted, "{path}");
        let weak = browser.post(path, &[("new_password", "x"), ("repeated_password", "y")]).await;
        assert_eq!(comparable(&weak), submitted, "{path}");
    }
    assert_eq!(password_status(&app, "ada@example.com", NEW_PASSWORD).await, 200);
}

#[apply(both_databases)]
async fn one_of_many_concurrent_forms_sets_the_password(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, path) = invite(&app.admin(), "ada@example.com").await;
    let passwords: Vec<String> = (0..10).map(|number| format!("the phrase of sender number {number}")).collect();
    let send = async |password: &String| {
        let fields = [("new_password", password.as_str()), ("repeated_password", password.as_str())];
        app.browser().post(&path, &fields).await.status
    };
    let statuses = join_all(passwords.iter().map(send)).await;
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    for (status, password) in statuses.iter().zip(&passwords) {
        let accepted = password_status(&app, "ada@example.com", password).await == 200;
        assert_eq!((*status == 303), accepted, "{password}");
    }
}

#[apply(both_databases)]
async fn a_lost_password_works_until_the_link_is_used(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.create_token().await;
    let session = app.signed_in_browser("ada@example.com").await;
    app.admin().update_person(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    let path = new_link(&app.admin(), ada.id).await;
    // Failed sign-ins delay further ones. The link resets them.
    for _ in 0..10 {
        password_status(&app, "ada@example.com", "wrong").await;
    }
    assert_eq!(password_status(&app, "ada@example.com", PASSWORD).await, 429);
    app.advance_seconds(10);
    assert_eq!(password_status(&app, "ada@example.com", PASSWORD).await, 403, "the password must be changed");
    set_password(&app.browser(), &path).await.expect(303);
    assert_eq!(password_status(&app, "ada@example.com", NEW_PASSWORD).await, 200);
    assert_eq!(password_status(&app, "ada@example.com", PASSWORD).await, 401);
    assert_eq!(
        session.get("/change-password").await.expect(303).headers["location"],
        "/sign-in?next=%2Fchange%2Dpassword"
    );
    assert!(token.is_accepted().await, "a new password leaves tokens valid");
}

#[apply(both_databases)]
async fn administrators_invite_only_whom_they_may_administer(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let administrator = app.admin().add_person("administrator", true).await;
    let other = app.create_workspace_with_admin("eve").await;
    let path = |id: i64| format!("/v4/people/{id}/invite");
    let post = async |client: &PersonClient, id: i64| client.post(&path(id), &json!({})).await;
    post(&ada, administrator.id).await.expect_error(403, "AccessControlException");
    post(&ada, ada.id).await.expect_error(403, "AccessControlException");
    // An administrator of workspace 1 does not take over a platform administrator.
    let details = post(&administrator, 1).await.expect_error(403, "AccessControlException");
    assert!(details.contains("platform administrator"), "{details}");
    // A token does not change the password of its owner.
    let token = administrator.create_token().await;
    for client in [&*administrator, &*token] {
        let details =
            client.post(&path(administrator.id), &json!({})).await.expect_error(403, "AccessControlException");
        assert!(details.contains("your own account"), "{details}");
    }
    for id in [ada.id, 1, 99] {
        post(&other, id).await.expect_error(404, "DataNotFoundException");
    }
    post(&app.admin(), other.id).await.expect_error(404, "DataNotFoundException");
    token.post(&path(ada.id), &json!({})).await.expect(200);
    app.admin().update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    let details = post(&administrator, ada.id).await.expect_error(409, "ConflictException");
    assert!(details.contains("enable the account first"), "{details}");
}

#[apply(both_databases)]
async fn a_person_is_added_with_a_password_or_an_invite(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let add = async |fields: Value| {
        let mut body = json!({"email": "ada@example.com", "name": ""});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        admin.post("/v4/people", &body).await
    };
    for fields in [json!({}), json!({"invite": false}), json!({"password2": PASSWORD}), json!({"password": null})] {
        let details = add(fields).await.expect_error(400, "ValidationFailed");
        assert!(details.contains("send password") && details.contains("invite: true"), "{details}");
    }
    for field in ["password", "password2"] {
        let details = add(json!({"invite": true, field: PASSWORD})).await.expect_error(400, "ValidationFailed");
        assert!(details.contains("remove password"), "{details}");
    }
    add(json!({"invite": "yes"})).await.expect_error(400, "ApiValidationFailed");
    add(json!({"invited": true})).await.expect_error(400, "ApiValidationFailed");
    let added = add(json!({"password": PASSWORD, "invite": false})).await.expect(201);
    assert!(added.json.get("inviteUrl").is_none() && added.json.get("inviteExpiresAt").is_none());
    add(json!({"invite": true})).await.expect_error(409, "ConflictException");
}

#[apply(both_databases)]
async fn forms_for_unknown_links_count_as_failed_logins(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        config.rate_limits.failed_logins_per_ip = 3;
    })
    .await;
    let (_, path) = invite(&app.admin(), "ada@example.com").await;
    let browser = app.browser().with_address("192.0.2.1");
    let unknown = format!("/invite/{}", "a".repeat(43));
    // A request for the page costs nothing, because any website can make a browser send it.
    for _ in 0..5 {
        browser.get(&path).await.expect(200);
        browser.get(&unknown).await.expect(404);
    }
    set_password(&browser, &unknown).await.expect(404);
    set_password(&browser, "/invite/x").await.expect(404);
    browser.sign_in("ada@example.com", "wrong").await.expect(403);
    browser.get(&path).await.expect(200);
    for response in [set_password(&browser, &unknown).await, set_password(&browser, &path).await] {
        let response = response.expect(429);
        assert!(response.headers["retry-after"] == "6" && response.text.contains("Try again in 6 seconds."));
        assert_eq!(response.headers["referrer-policy"], "no-referrer");
    }
    assert_eq!(browser.sign_in("ada@example.com", "wrong").await.status, 429);
    set_password(&app.browser().with_address("192.0.2.2"), &path).await.expect(303);
}

#[apply(both_databases)]
async fn links_do_not_outlive_the_rights_of_their_creator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let changes = [("isAdmin", false, true), ("isDisabled", true, false)];
    for (number, (field, lost, regained)) in changes.into_iter().enumerate() {
        let creator = app.admin().add_person(&format!("creator{number}"), true).await;
        let (_, path) = invite(&creator, &format!("ada{number}@example.com")).await;
        app.admin().update_person(creator.id, json!({"name": "Augusta"})).await.expect(200);
        app.browser().get(&path).await.expect(200);
        for value in [lost, regained] {
            app.admin().update_person(creator.id, json!({field: value})).await.expect(200);
            app.browser().get(&path).await.expect(404);
            set_password(&app.browser(), &path).await.expect(404);
        }
    }
    let creator = app.admin().add_person("creator", true).await;
    let (_, path) = invite(&creator, "ada@example.com").await;
    app.admin().delete(&format!("/v4/people/{}", creator.id)).await.expect(204);
    app.browser().get(&path).await.expect(404);
}

#[apply(both_databases)]
async fn links_begin_with_the_public_url(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        config.set_public_url("https://example.com/tokens/");
    })
    .await;
    let body = json!({"email": "ada@example.com", "name": "", "invite": true});
    let admin = app.admin();
    let mut request = admin.request("POST", "/v4/people", body.to_string().into());
    for (name, value) in
        [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("origin", "https://evil.example")]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let url = admin.send(request).await.expect(201).json["inviteUrl"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://example.com/tokens/invite/"), "{url}");
}

#[apply(both_databases)]
async fn events_record_invite_links_without_the_link(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (id, first) = invite(&app.admin(), "ada@example.com").await;
    let second = new_link(&app.admin(), id).await;
    let browser = app.browser().with_address("192.0.2.7");
    set_password(&browser, &second).await.expect(303);
    let events = app.admin().get(&format!("/v4/events?personId={id}")).await.expect(200);
    let rows: Vec<(&Value, &Value, &Value)> =
        events.rows().iter().map(|event| (&event["action"], &event["actor"], &event["actorId"])).collect();
    let (holder, admin) = (json!("link holder"), json!("admin@example.com"));
    let expected = [
        ("password.changed", &holder, json!(null)),
        ("invite.used", &holder, json!(null)),
        ("invite.created", &admin, json!(1)),
        ("invite.created", &admin, json!(1)),
        ("person.added", &admin, json!(1)),
    ]
    .map(|(action, actor, id)| (json!(action), actor.clone(), id));
    assert_eq!(rows, expected.iter().map(|(action, actor, id)| (action, actor, id)).collect::<Vec<_>>());
    let used = &events.rows()[1];
    assert_eq!((&used["address"], &used["target"]), (&json!("192.0.2.7"), &json!(id.to_string())));
    assert_eq!(events.rows()[2]["details"], json!({"expiresAt": "2026-01-04T00:00:00.000Z"}));
    for path in [first, second] {
        assert!(!events.text.contains(&path["/invite/".len()..][..21]), "{}", events.text);
    }
    app.signed_in_browser("admin@example.com").await.get("/admin/activity").await.expect(200);
}

#[apply(both_databases)]
async fn using_a_link_signs_this_browser_out_of_another_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, path) = invite(&app.admin(), "ada@example.com").await;
    let browser = app.signed_in_browser("admin@example.com").await;
    set_password(&browser, &path).await.expect(303);
    assert!(browser.session_cookie().is_none());
    assert_eq!(browser.get("/admin/users").await.status, 303);
}

#[apply(both_databases)]
async fn an_outage_is_not_an_invalid_link(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (_, path) = invite(&app.admin(), "ada@example.com").await;
    app.store.close().await;
    app.browser().get(&path).await.expect(503);
    set_password(&app.browser(), &path).await.expect(503);
}
