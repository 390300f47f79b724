//! Access to pages and forms: every page and every form, for every role.

mod fixture;
mod foreign;
mod roles;
mod tables;

use crate::support::{Engine, TestApp, both_databases};
use rstest::rstest;
use rstest_reuse::apply;

pub use fixture::PageFixture;
pub use tables::PAGES;
use tables::{FORM_ID, FORMS, ROLES, fill_form_id, is_permitted};

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
