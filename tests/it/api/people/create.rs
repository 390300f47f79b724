//! `POST /v4/people`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, both_databases};

const PATH: &str = "/v4/people";

#[apply(both_databases)]
async fn an_administrator_adds_people_to_their_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let body = json!({"email": " Ada@Example.com ", "name": " Ada ", "password": PASSWORD, "password2": PASSWORD, "accept": "accept",
        "isPlatformAdmin": true, "workspaceId": 2});
    let created = app.admin().post(PATH, &body).await.expect(201);
    let location = created.headers["location"].to_str().unwrap();
    assert_eq!(app.admin().get(location).await.expect(200).json, created.json);
    let created = created.json;
    assert_eq!((&created["email"], &created["name"]), (&json!("Ada@Example.com"), &json!("Ada")));
    assert_eq!(
        (&created["isAdmin"], &created["isPlatformAdmin"], &created["workspaceId"]),
        (&json!(false), &json!(false), &json!(1))
    );
    let other = app.create_workspace_with_admin("eve").await;
    let bob = other.add_person("bob", true).await;
    assert_eq!(bob.get("/v4/people/current").await.json["workspaceId"], other.workspace_id);
}

#[apply(both_databases)]
async fn an_email_has_one_account_in_any_spelling(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let body = |email: &str| json!({"email": email, "name": "", "password": PASSWORD});
    admin.post(PATH, &body("jos\u{e9}@example.com")).await.expect(201);
    let other = app.create_workspace_with_admin("eve").await;
    for again in ["jos\u{e9}@example.com", "JOSE\u{301}@EXAMPLE.COM", " jos\u{c9}@example.com".trim_start()] {
        for client in [&admin, &other] {
            client.post(PATH, &body(again)).await.expect_error(409, "ConflictException");
        }
    }
}

#[apply(both_databases)]
async fn concurrent_creation_with_one_email_creates_one_account(engine: Engine) {
    let app = TestApp::start(engine).await;
    let requests: Vec<_> = (0..10)
        .map(|_| {
            let admin = app.admin();
            let body = json!({"email": "twin@example.com", "name": "", "password": PASSWORD});
            tokio::spawn(async move { admin.post(PATH, &body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, [409; 9].as_slice()));
}

#[apply(both_databases)]
async fn weak_passwords_and_malformed_emails_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for (email, name, password) in [
        ("ada@example.com", "Ada", "fourteen chars"),
        ("ada@example.com", "Ada", "passwordpassword"),
        ("ada@example.com", "Ada", "ada@example.com1"),
        ("ada@example.com", "Ada", "tab\tin a password"),
        ("ada@example.com", "Ada", "nul\0in a password"),
        ("ada", "Ada", PASSWORD),
        ("a@b@c", "Ada", PASSWORD),
        ("a:b@c", "Ada", PASSWORD),
        ("a\0@b", "Ada", PASSWORD),
        ("", "Ada", PASSWORD),
        ("ada@example.com", "A\0da", PASSWORD),
    ] {
        let body = json!({"email": email, "name": name, "password": password});
        admin.post(PATH, &body).await.expect_error(400, "ValidationFailed");
    }
    let long = json!({"email": "ada@example.com", "name": "n".repeat(256), "password": PASSWORD});
    admin.post(PATH, &long).await.expect_error(400, "ValidationFailed");
    let unequal =
        json!({"email": "ada@example.com", "name": "", "password": PASSWORD, "password2": "another one entirely"});
    admin.post(PATH, &unequal).await.expect_error(400, "ValidationFailed");
    for missing in ["email", "name"] {
        let mut body = json!({"email": "ada@example.com", "name": "", "password": PASSWORD});
        body.as_object_mut().unwrap().remove(missing);
        assert!(admin.post(PATH, &body).await.expect_error(400, "ApiValidationFailed").contains(missing));
    }
    assert_eq!(admin.get(PATH).await.rows().len(), 1);
}

#[apply(both_databases)]
async fn only_administrators_add_people(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let body = json!({"email": "bob@example.com", "name": "", "password": PASSWORD, "isAdmin": true});
    ada.post(PATH, &body).await.expect_error(403, "AccessControlException");
    app.anonymous().post(PATH, &body).await.expect_error(401, "MissingPersonException");
}
