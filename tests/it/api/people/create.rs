//! `POST /v4/people`

use serde_json::json;

use crate::support::{PASSWORD, TestApp};

const PATH: &str = "/v4/people";

on_both!(
    an_administrator_adds_people_to_the_own_workspace,
    an_e_mail_has_one_account_however_it_is_spelled,
    the_same_e_mail_twice_at_once_makes_one_account,
    weak_passwords_and_bad_addresses_are_refused,
    only_administrators_add_people,
);

async fn an_administrator_adds_people_to_the_own_workspace(app: TestApp) {
    let body = json!({"email": " Ada@Example.com ", "name": " Ada ", "password": PASSWORD, "password2": PASSWORD, "accept": "accept",
        "isPlatformAdmin": true, "workspaceId": 2});
    let made = app.admin().post(PATH, &body).await.expect(201).json;
    assert_eq!((&made["email"], &made["name"]), (&json!("Ada@Example.com"), &json!("Ada")));
    assert_eq!(
        (&made["isAdmin"], &made["isPlatformAdmin"], &made["workspaceId"]),
        (&json!(false), &json!(false), &json!(1))
    );
    let other = app.other_admin("eve").await;
    let bob = other.add("bob", true).await;
    assert_eq!(bob.get("/v4/people/current").await.json["workspaceId"], other.workspace_id);
}

async fn an_e_mail_has_one_account_however_it_is_spelled(app: TestApp) {
    let admin = app.admin();
    let body = |email: &str| json!({"email": email, "name": "", "password": PASSWORD});
    admin.post(PATH, &body("jos\u{e9}@example.com")).await.expect(201);
    let other = app.other_admin("eve").await;
    for again in ["jos\u{e9}@example.com", "JOSE\u{301}@EXAMPLE.COM", " jos\u{c9}@example.com".trim_start()] {
        for who in [&admin, &other] {
            who.post(PATH, &body(again)).await.expect_error(409, "ConflictException");
        }
    }
}

async fn the_same_e_mail_twice_at_once_makes_one_account(app: TestApp) {
    let tries: Vec<_> = (0..10)
        .map(|_| {
            let admin = app.admin();
            let body = json!({"email": "twin@example.com", "name": "", "password": PASSWORD});
            tokio::spawn(async move { admin.post(PATH, &body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for attempt in tries {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, [409; 9].as_slice()));
}

async fn weak_passwords_and_bad_addresses_are_refused(app: TestApp) {
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
    for missing in ["email", "name", "password"] {
        let mut body = json!({"email": "ada@example.com", "name": "", "password": PASSWORD});
        body.as_object_mut().unwrap().remove(missing);
        assert!(admin.post(PATH, &body).await.expect_error(400, "ApiValidationFailed").contains(missing));
    }
    assert_eq!(admin.get(PATH).await.rows().len(), 1);
}

async fn only_administrators_add_people(app: TestApp) {
    let ada = app.person("ada").await;
    let body = json!({"email": "bob@example.com", "name": "", "password": PASSWORD, "isAdmin": true});
    ada.post(PATH, &body).await.expect_error(403, "AccessControlException");
    app.anonymous().post(PATH, &body).await.expect_error(401, "MissingPersonException");
}
