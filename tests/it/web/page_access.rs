//! Access to pages and forms: every page and every form, for every role.

use crate::support::{Browser, Engine, PASSWORD, TestApp, both_databases};
use rstest::rstest;
use rstest_reuse::apply;
use tokenward::domain::id::{PersonId, WorkspaceId};

/// The roles, in ascending order of rights.
const ROLES: [&str; 4] = ["anonymous", "person", "administrator", "platform administrator"];

/// Each page, with the lowest role that may open it.
pub const PAGES: [(&str, &str); 28] = [
    ("/sign-in", "anonymous"),
    ("/preferences/access-tokens", "person"),
    ("/preferences/access-tokens/generate", "administrator"),
    ("/preferences/access-tokens/delete-all", "person"),
    ("/preferences/profile", "person"),
    ("/preferences/activity", "person"),
    ("/preferences/activity.csv", "person"),
    ("/api-reference", "person"),
    ("/api-reference/apiAccessTokens", "person"),
    ("/api-reference/people", "person"),
    ("/admin/users", "administrator"),
    ("/admin/users/new", "administrator"),
    ("/admin/users/{person}", "administrator"),
    ("/admin/users/{person}/password", "administrator"),
    ("/admin/users/{person}/disable", "administrator"),
    ("/admin/users/{person}/remove", "administrator"),
    ("/admin/users/{person}/delete-tokens", "administrator"),
    ("/admin/settings", "administrator"),
    ("/admin/settings/feature.apiAccessTokens.enabled", "administrator"),
    ("/admin/tokens", "administrator"),
    ("/admin/tokens?person={person}", "administrator"),
    ("/admin/tokens/{token}", "administrator"),
    ("/admin/tokens/{token}/delete", "administrator"),
    ("/admin/activity", "administrator"),
    ("/admin/activity.csv", "administrator"),
    ("/admin/workspaces", "platform administrator"),
    ("/admin/workspaces/new", "platform administrator"),
    ("/admin/workspaces/{workspace}", "platform administrator"),
];

/// Names and values of form fields.
type Fields = &'static [(&'static str, &'static str)];

const NEW_PASSWORD: &str = "a wholly different phrase of words";
/// A placeholder for the ID of a form that was shown to its sender.
const FORM_ID: &str = "{form}";

/// Returns the fields with the placeholder replaced by a form ID.
fn fill_form_id<'a>(fields: &[(&'a str, &'a str)], form: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, if *value == FORM_ID { form } else { *value })).collect()
}

/// Each form, the lowest role that may send it, valid fields, and the location of the redirect on
/// success; empty if the response is a page. The order allows one role to send all of its forms.
const FORMS: [(&str, &str, Fields, &str); 24] = [
    (
        "/preferences/access-tokens/generate",
        "administrator",
        &[("form", FORM_ID), ("lifetime", "30"), ("description", "of a form")],
        "",
    ),
    ("/preferences/access-tokens/{token}/delete", "none", &[], ""),
    ("/preferences/access-tokens/{own}/delete", "person", &[], "/preferences/access-tokens?done=deleted"),
    ("/preferences/access-tokens/delete-all", "person", &[], "/preferences/access-tokens?done=all-deleted"),
    ("/preferences/profile", "person", &[("name", "Other")], "/preferences/profile?done=saved"),
    ("/preferences/profile/sessions/{session}/end", "person", &[], "/preferences/profile?done=ended"),
    ("/preferences/profile/sessions/end-others", "person", &[], "/preferences/profile?done=others-ended"),
    (
        "/preferences/profile/password",
        "person",
        &[("old_password", PASSWORD), ("new_password", NEW_PASSWORD), ("repeated_password", NEW_PASSWORD)],
        "/preferences/profile?done=password",
    ),
    (
        "/change-password",
        "person",
        &[("old_password", NEW_PASSWORD), ("new_password", PASSWORD), ("repeated_password", PASSWORD)],
        "/preferences/access-tokens",
    ),
    (
        "/admin/users/new",
        "administrator",
        &[("email", "new@example.com"), ("name", "New"), ("password", PASSWORD)],
        "/admin/users?done=added",
    ),
    (
        "/admin/users/{person}",
        "administrator",
        &[("email", "target@example.com"), ("name", "Target"), ("role", "user"), ("token_access", "enabled")],
        "/admin/users/{person}?done=saved",
    ),
    ("/admin/users/{person}/disable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/enable", "administrator", &[], "/admin/users/{person}?done="),
    ("/admin/users/{person}/force-password-change", "administrator", &[], "/admin/users/{person}?done="),
    (
        "/admin/users/{person}/password",
        "administrator",
        &[("password", NEW_PASSWORD)],
        "/admin/users/{person}?done=password-set",
    ),
    ("/admin/users/{person}/end-sessions", "administrator", &[], "/admin/users/{person}?done=sessions-ended"),
    ("/admin/tokens/{token}/delete", "administrator", &[], "/admin/tokens?done=deleted"),
    ("/admin/users/{person}/delete-tokens", "administrator", &[], "/admin/users/{person}?done=all-deleted"),
    (
        "/admin/settings/feature.apiAccessTokens.maxLifetimeDays",
        "administrator",
        &[("value", "custom"), ("days", "7")],
        "/admin/settings?done=setting",
    ),
    ("/admin/users/{person}/remove", "administrator", &[], "/admin/users?done=removed"),
    (
        "/admin/workspaces/new",
        "platform administrator",
        &[("name", "Third"), ("admin_email", "third@example.com"), ("password", PASSWORD)],
        "/admin/workspaces?done=workspace-added",
    ),
    (
        "/admin/workspaces/{workspace}",
        "platform administrator",
        &[("name", "Renamed")],
        "/admin/workspaces/{workspace}?done=saved",
    ),
    (
        "/admin/workspaces/{workspace}/remove",
        "platform administrator",
        &[("confirm", "Renamed")],
        "/admin/workspaces?done=workspace-removed",
    ),
    ("/sign-out", "anonymous", &[], "/sign-in?out=yes"),
];

/// A workspace with a person for each role, and the objects that paths name.
pub struct PageFixture {
    path_ids: Vec<(&'static str, String)>,
    actors: Vec<(&'static str, Browser)>,
    /// The person ID of each role.
    person_ids: Vec<i64>,
    pub target: i64,
}

impl PageFixture {
    pub async fn new(app: &TestApp) -> Self {
        let target = app.add_person("target").await;
        app.admin().update_person(target.id, serde_json::json!({"tokenAccess": "enabled"})).await.expect(200);
        let token = target.create_token().await.token_id;
        let other = app.create_workspace_with_admin("other").await;
        let person = app.add_person("person").await;
        let administrator = app.admin().add_person("administrator", true).await;
        let actors = vec![
            ("anonymous", app.browser()),
            ("person", app.signed_in_browser("person@example.com").await),
            ("administrator", app.signed_in_browser("administrator@example.com").await),
            ("platform administrator", app.signed_in_browser("admin@example.com").await),
        ];
        let path_ids = vec![
            ("{person}", target.id.to_string()),
            ("{token}", token),
            ("{workspace}", other.workspace_id.to_string()),
        ];
        Self { path_ids, actors, person_ids: vec![0, person.id, administrator.id, 1], target: target.id }
    }

    /// Returns a path with the IDs of the fixture.
    pub fn path(&self, template: &str) -> String {
        self.path_ids.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value))
    }

    /// Creates a token and a second session for a role, and adds both to the IDs of paths.
    async fn add_token_and_session(&mut self, app: &TestApp, role: usize) {
        let (id, email) = (self.person_ids[role], ["", "person", "administrator", "admin"][role]);
        if role == 0 {
            return;
        }
        let access = |word: &str| serde_json::json!({"tokenAccess": word});
        app.admin().update_person(id, access("enabled")).await.expect(200);
        let account =
            app.client_with_authorization(&[&crate::support::basic_auth(&format!("{email}@example.com"), PASSWORD)]);
        let created = account.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201);
        app.admin().update_person(id, access("default")).await.expect(200);
        let before = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(id)).await.unwrap();
        app.signed_in_browser(&format!("{email}@example.com")).await;
        let sessions = app.store.list_sessions(WorkspaceId::FIRST, PersonId::new(id)).await.unwrap();
        let second = sessions.iter().find(|session| before.iter().all(|other| other.id != session.id)).unwrap();
        self.path_ids.push(("{own}", created.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned()));
        self.path_ids.push(("{session}", second.id.to_string()));
    }
}

fn is_permitted(role: &str, least: &str) -> bool {
    let rank = |name: &str| ROLES.iter().position(|role| *role == name).unwrap_or(ROLES.len());
    rank(role) >= rank(least)
}

#[apply(both_databases)]
async fn every_page_is_shown_to_the_permitted_roles_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    for (template, least) in PAGES {
        let path = fixture.path(template);
        for (role, browser) in &fixture.actors {
            let response = browser.get(&path).await;
            let expected: &[u16] = match (is_permitted(role, least), *role) {
                (_, "person" | "administrator" | "platform administrator") if template == "/sign-in" => &[303],
                (true, _) => &[200],
                (false, "anonymous") => &[303],
                (false, _) => &[403],
            };
            assert!(expected.contains(&response.status), "{role} at {path}: {}", response.status);
            if *role == "anonymous" && response.status == 303 {
                assert!(response.headers["location"].to_str().unwrap().starts_with("/sign-in?next=%2F"), "{path}");
            }
        }
    }
}

#[apply(both_databases)]
async fn every_form_is_accepted_from_the_permitted_roles_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    for (template, least, fields, _) in FORMS {
        let path = fixture.path(template);
        for (role, browser) in &fixture.actors {
            if is_permitted(role, least) {
                continue;
            }
            let response = browser.post(&path, &fill_form_id(fields, "00000000-0000-7000-8000-000000000000")).await;
            match *role {
                "anonymous" => assert_eq!(
                    (response.status, &response.headers["location"]),
                    (303, &"/sign-in?ended=yes".parse().unwrap()),
                    "{path}"
                ),
                // The list of own tokens does not contain tokens of other people.
                _ if least == "none" => assert_eq!(response.status, 404, "{role} at {path}"),
                _ => assert_eq!(response.status, 403, "{role} at {path}"),
            }
        }
    }
    let token = app.admin().get(&fixture.path("/v4/apiAccessTokens/{token}")).await;
    assert_eq!(token.status, 200, "a rejected form changes nothing");
}

/// Sends all forms that a role may send, one after the other, for each role on a service of its
/// own.
#[apply(both_databases)]
async fn every_form_works_for_the_permitted_roles(engine: Engine) {
    let app = TestApp::start(engine).await;
    for (number, role) in ROLES.into_iter().enumerate() {
        let app = TestApp::start(app.database.engine).await;
        let mut fixture = PageFixture::new(&app).await;
        fixture.add_token_and_session(&app, number).await;
        let browser = &fixture.actors[number].1;
        for (template, _, fields, then) in FORMS.into_iter().filter(|(_, least, ..)| is_permitted(role, least)) {
            let needs_form = fields.iter().any(|(_, value)| *value == FORM_ID);
            let form = if needs_form { browser.fetch_form_id().await } else { String::new() };
            let response = browser.post(&fixture.path(template), &fill_form_id(fields, &form)).await;
            if then.is_empty() {
                assert_eq!(response.status, 200, "{role} at {template}: {}", response.text);
                continue;
            }
            assert_eq!(response.status, 303, "{role} at {template}: {}", response.text);
            let location = response.headers["location"].to_str().unwrap().to_owned();
            assert!(location.starts_with(&fixture.path(then)), "{role} at {template} is redirected to {location}");
        }
        // The deletions at the end have taken effect.
        let is_left = app.admin().get(&fixture.path("/v4/people/{person}")).await.status;
        assert_eq!(is_left, if number < 2 { 200 } else { 404 }, "{role}");
        let workspaces = app.admin().get("/v4/workspaces").await.text;
        assert_eq!((workspaces.contains("Third"), workspaces.contains("Renamed")), (number == 3, false), "{role}");
    }
}

#[apply(both_databases)]
async fn cross_origin_forms_are_rejected_at_every_path(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let admin = &fixture.actors[3].1;
    let forged: [&[(&str, &str)]; 10] = [
        &[],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", ""), ("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:3006")],
        &[("sec-fetch-site", "nonsense"), ("origin", "http://127.0.0.1.evil.example:3005")],
    ];
    let sign_in: Fields = &[("email", "admin@example.com"), ("password", PASSWORD)];
    for (template, _, fields, _) in FORMS.iter().chain(&[("/sign-in", "", sign_in, "")]) {
        for headers in forged {
            let mut request = admin.form_request(&fixture.path(template), fields);
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            let response = admin.send(request).await;
            assert_eq!(response.status, 403, "{template} with {headers:?}");
            assert!(
                response.text.contains("This form came from another site")
                    && response.header_values("set-cookie").is_empty()
            );
        }
    }
    // Nothing was changed: the target still has the token, and the administrator is signed in.
    assert_eq!(app.admin().get(&format!("/v4/apiAccessTokens/{}", fixture.path("{token}"))).await.status, 200);
    admin.get("/admin/workspaces").await.expect(200);
    // A matching `Origin` is enough for browsers without Fetch metadata.
    let mut request = admin.form_request("/preferences/profile", &[("name", "Admin")]);
    request.headers_mut().insert("origin", "http://127.0.0.1:3005".parse().unwrap());
    admin.send(request).await.expect(303);
}

#[apply(both_databases)]
async fn pages_ignore_authorization_and_the_api_ignores_cookies(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    let basic = crate::support::basic_auth("admin@example.com", PASSWORD);
    for credential in [format!("Bearer {}", token.value), basic] {
        let browser = app.browser();
        let mut request = browser.request("GET", "/preferences/access-tokens", axum::body::Body::empty());
        request.headers_mut().insert("authorization", credential.parse().unwrap());
        let response = browser.send(request).await.expect(303);
        assert!(response.header_values("www-authenticate").is_empty());
    }
    let signed_in_browser = app.signed_in_browser("admin@example.com").await;
    for path in ["/v4/people/current", "/v4/auth", "/v4/apiAccessTokens"] {
        assert_eq!(signed_in_browser.get(path).await.status, 401, "{path}");
    }
    // A session value is not accepted as a token.
    let value = signed_in_browser.session_cookie().unwrap().split_once('=').unwrap().1.to_owned();
    assert_eq!(
        app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/people/current").await.status,
        401
    );
}

#[apply(both_databases)]
async fn administrators_cannot_access_other_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let other = app.signed_in_browser("other@other.example").await;
    for template in [
        "/admin/users/{person}",
        "/admin/users/{person}/password",
        "/admin/users/{person}/disable",
        "/admin/users/{person}/remove",
        "/admin/users/{person}/delete-tokens",
        "/admin/tokens?person={person}",
        "/admin/tokens/{token}",
        "/admin/tokens/{token}/delete",
        "/preferences/access-tokens/{token}",
        "/preferences/access-tokens/{token}/delete",
    ] {
        assert_eq!(other.get(&fixture.path(template)).await.status, 404, "{template}");
    }
    for (template, least, fields, _) in FORMS {
        if template.contains("{person}") || template.contains("{token}") {
            assert_eq!(other.post(&fixture.path(template), fields).await.status, 404, "{template}");
        } else if least == "platform administrator" {
            assert_eq!(other.post(&fixture.path(template), fields).await.status, 403, "{template}");
        }
    }
    let list = other.get("/admin/users").await.expect(200);
    assert!(list.text.contains("other@other.example") && !list.text.contains("person@example.com"));
    assert!(!other.get("/admin/activity").await.text.contains("target@example.com"));
    assert!(!other.get("/admin/tokens").await.text.contains("target@example.com"));
}

#[apply(both_databases)]
async fn an_administrator_cannot_change_a_platform_administrator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = PageFixture::new(&app).await;
    let (_, administrator) = &fixture.actors[2];
    for (path, fields) in [
        (
            "/admin/users/1",
            &[("email", "mine@example.com"), ("role", "administrator"), ("token_access", "default")] as &[_],
        ),
        ("/admin/users/1/disable", &[]),
        ("/admin/users/1/force-password-change", &[]),
        ("/admin/users/1/password", &[("password", NEW_PASSWORD)]),
        ("/admin/users/1/remove", &[]),
    ] {
        let response = administrator.post(path, fields).await;
        assert_eq!(response.status, 403, "{path}");
        assert!(response.text.contains("Only a platform administrator may"), "{path}");
    }
}
