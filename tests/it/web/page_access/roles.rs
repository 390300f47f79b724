//! Roles on the page of a user: who sees and changes which.

use rstest::rstest;
use rstest_reuse::apply;
use tokenward::{
    domain::id::WorkspaceId,
    service::people::{ActorKind, CreatePerson},
};

use crate::support::{Engine, PASSWORD, TestApp, TestResponse, both_databases};

/// Adds a second platform administrator, as the operator does. Returns the ID.
async fn add_platform_administrator(app: &TestApp) -> i64 {
    let add = CreatePerson {
        email: "root@example.com",
        name: "Root",
        password: PASSWORD,
        is_admin: true,
        is_platform_admin: true,
        force_password_change: false,
    };
    app.state.people().add(ActorKind::Operator, WorkspaceId::FIRST, add).await.unwrap().id.get()
}

/// Returns the value, the availability and the selection of each role in the form.
fn role_choices(page: &TestResponse) -> Vec<(String, bool, bool)> {
    let inputs = page.text.split(r#"<input type="radio" name="role" value=""#).skip(1);
    inputs
        .map(|input| {
            let (value, rest) = input.split_once('"').unwrap();
            let attributes = rest.split('>').next().unwrap();
            (value.to_owned(), !attributes.contains("disabled"), attributes.contains("checked"))
        })
        .collect()
}

fn choice(value: &str, is_available: bool, is_selected: bool) -> (String, bool, bool) {
    (value.to_owned(), is_available, is_selected)
}

/// Returns the fields of the form with a role.
fn with_role<'a>(email: &'a str, role: &'a str) -> [(&'a str, &'a str); 4] {
    [("email", email), ("name", "N"), ("role", role), ("token_access", "default")]
}

async fn role_in_api(app: &TestApp, id: i64) -> (bool, bool) {
    let person = app.admin().get(&format!("/v4/people/{id}")).await.expect(200).json;
    (person["isAdmin"].as_bool().unwrap(), person["isPlatformAdmin"].as_bool().unwrap())
}

#[apply(both_databases)]
async fn a_platform_administrator_takes_and_gives_back_the_platform_role(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = add_platform_administrator(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let path = format!("/admin/users/{root}");
    let page = admin.get(&path).await.expect(200);
    let available = [("member", true), ("administrator", false), ("platform-administrator", true)];
    let choices = |selected: &str| -> Vec<_> {
        available.iter().map(|(value, is_available)| choice(value, *is_available, *value == selected)).collect()
    };
    assert_eq!(role_choices(&page), choices("platform-administrator"));
    // The API has no role between the two: `isPlatformAdmin` is read-only.
    let response = admin.post(&path, &with_role("root@example.com", "administrator")).await.expect(400);
    assert!(response.text.contains("Choose Member instead") && response.text.contains(r#"role="alert""#));
    assert_eq!(role_in_api(&app, root).await, (true, true));
    admin.post(&path, &with_role("root@example.com", "member")).await.expect(303);
    assert_eq!(role_in_api(&app, root).await, (false, false));
    assert_eq!(role_choices(&admin.get(&path).await), choices("member"));
    // A former platform administrator stays protected from other administrators.
    app.admin().add_person("other", true).await;
    let other = app.signed_in_browser("other@example.com").await;
    assert!(role_choices(&other.get(&path).await.expect(200)).is_empty());
    other.post(&path, &with_role("root@example.com", "platform-administrator")).await.expect(403);
    assert_eq!(role_in_api(&app, root).await, (false, false));
    admin.post(&path, &with_role("root@example.com", "platform-administrator")).await.expect(303);
    assert_eq!(role_in_api(&app, root).await, (true, true));
}

#[apply(both_databases)]
async fn no_page_makes_a_platform_administrator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let path = format!("/admin/users/{}", ada.id);
    let admin = app.signed_in_browser("admin@example.com").await;
    let choices = [
        choice("member", true, true),
        choice("administrator", true, false),
        choice("platform-administrator", false, false),
    ];
    let page = admin.get(&path).await.expect(200);
    assert_eq!(role_choices(&page), choices);
    assert!(page.text.contains("Only the operator adds them"));
    let response = admin.post(&path, &with_role("ada@example.com", "platform-administrator")).await.expect(400);
    assert!(response.text.contains("Only the operator of the service adds platform administrators"));
    admin.post(&path, &with_role("ada@example.com", "platform")).await.expect(400);
    assert_eq!(role_in_api(&app, ada.id).await, (false, false));
    admin.post(&path, &with_role("ada@example.com", "administrator")).await.expect(303);
    assert_eq!(role_in_api(&app, ada.id).await, (true, false));
    // As an administrator, Ada cannot give the role to anyone, herself included.
    let browser = app.signed_in_browser("ada@example.com").await;
    assert_eq!(
        role_choices(&browser.get(&path).await),
        [choice("member", true, false), choice("administrator", true, true)]
    );
    browser.post(&path, &with_role("ada@example.com", "platform-administrator")).await.expect(400);
    assert_eq!(role_in_api(&app, ada.id).await, (true, false));
}

#[apply(both_databases)]
async fn the_last_platform_administrator_keeps_the_role(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin().add_person("other", true).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    let response = admin.post("/admin/users/1", &with_role("admin@example.com", "member")).await.expect(409);
    assert!(response.text.contains("last enabled platform administrator"));
    assert_eq!(role_in_api(&app, 1).await, (true, true));
    // With another one, the own role may be given up. The session ends with it.
    add_platform_administrator(&app).await;
    admin.post("/admin/users/1", &with_role("admin@example.com", "member")).await.expect(303);
    admin.get("/admin/users/1").await.expect(303);
    let root = app.signed_in_browser("root@example.com").await;
    assert!(root.get("/admin/users/1").await.expect(200).text.contains(r#"value="member" checked"#));
}

#[apply(both_databases)]
async fn other_administrators_see_a_platform_administrator_read_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.admin().add_person("other", true).await;
    let other = app.signed_in_browser("other@example.com").await;
    let page = other.get("/admin/users/1").await.expect(200).text;
    assert!(page.contains("<dt>Role</dt><dd>Platform administrator</dd>"), "{page}");
    assert!(page.contains("Only platform administrators may change this account."));
    for absent in
        [r#"name="role""#, r#"name="email""#, "/1/disable", "/1/remove", "/1/password", "/1/invite", "/1/end-sessions"]
    {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("/admin/users/1/delete-tokens"), "tokens of the workspace can be deleted");
    assert!(other.get("/admin/users").await.text.contains("<td>Platform administrator</td>"));
}

#[apply(both_databases)]
async fn an_administrator_of_another_workspace_reaches_no_platform_administrator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let foreign = app.create_workspace_with_admin("other").await;
    let browser = app.signed_in_browser("other@other.example").await;
    browser.get("/admin/users/1").await.expect(404);
    for role in ["member", "platform-administrator"] {
        browser.post("/admin/users/1", &with_role("admin@example.com", role)).await.expect(404);
    }
    assert_eq!(role_in_api(&app, 1).await, (true, true));
    let path = format!("/admin/users/{}", foreign.id);
    assert_eq!(
        role_choices(&browser.get(&path).await.expect(200)),
        [choice("member", true, false), choice("administrator", true, true)]
    );
    browser.post(&path, &with_role("other@other.example", "platform-administrator")).await.expect(400);
    assert_eq!(foreign.get("/v4/people/current").await.json["isPlatformAdmin"], false);
    browser.get("/admin/workspaces").await.expect(403);
}

#[apply(both_databases)]
async fn a_change_of_the_platform_role_requires_reauthentication(engine: Engine) {
    let app = TestApp::start(engine).await;
    let root = add_platform_administrator(&app).await;
    let admin = app.signed_in_browser("admin@example.com").await;
    app.advance_seconds(15 * 60);
    let path = format!("/admin/users/{root}");
    let fields = with_role("root@example.com", "member");
    admin.post(&path, &fields).await.expect(400);
    assert_eq!(role_in_api(&app, root).await, (true, true));
    let fields: Vec<_> = fields.into_iter().chain([("own_password", PASSWORD)]).collect();
    admin.post(&path, &fields).await.expect(303);
    assert_eq!(role_in_api(&app, root).await, (false, false));
}
