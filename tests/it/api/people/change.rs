//! `PATCH /v4/people/{id}`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, both_databases, one_hour_token};

const NEW: &str = "an entirely new password";

#[apply(both_databases)]
async fn people_change_their_own_name_and_password(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.advance_seconds(5);
    let changed = ada.update_person(ada.id, json!({"name": "Ada L."})).await.expect(200);
    assert_eq!(changed.json, json!({"id": ada.id, "updatedAt": "2026-01-01T00:00:05.000Z"}));
    assert_eq!(ada.get("/v4/people/current").await.json["name"], "Ada L.");
    ada.update_person(ada.id, json!({"password": NEW, "password2": NEW})).await.expect(200);
    ada.get("/v4/people/current").await.expect(401);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
    for weak in [
        json!({"password": "short", "password2": "short"}),
        json!({"password": NEW}),
        json!({"password2": NEW}),
        json!({"password": NEW, "password2": "another one entirely"}),
    ] {
        ada.with_password(NEW).update_person(ada.id, weak).await.expect_error(400, "ValidationFailed");
    }
}

#[apply(both_databases)]
async fn changing_the_own_password_requires_basic_auth(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let body = json!({"password": NEW, "password2": NEW});
    bearer.patch("/v4/people/1", &body).await.expect_error(403, "AccessControlException");
    app.admin().get("/v4/people/current").await.expect(200);
    let ada = app.add_person("ada").await;
    bearer.patch(&format!("/v4/people/{}", ada.id), &body).await.expect(200);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn forbidden_fields_are_rejected_and_nothing_changes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    for field in [
        json!({"email": "x@example.com"}),
        json!({"isAdmin": true}),
        json!({"isAdmin": false}),
        json!({"isDisabled": false}),
        json!({"tokenAccess": "enabled"}),
        json!({"forcePasswordChange": false}),
    ] {
        let mut body = field.clone();
        body["name"] = json!("changed");
        ada.update_person(ada.id, body).await.expect_error(403, "AccessControlException");
    }
    for field in [
        "id",
        "workspaceId",
        "isPlatformAdmin",
        "disabledBy",
        "state",
        "createdAt",
        "updatedAt",
        "lastLoginTime",
        "ssoPrincipal",
    ] {
        app.admin()
            .update_person(ada.id, json!({"name": "changed", field: 1}))
            .await
            .expect_error(403, "AccessControlException");
    }
    ada.update_person(1, json!({"name": "changed"})).await.expect_error(403, "AccessControlException");
    assert_eq!(ada.get("/v4/people/current").await.json["name"], "ada");
    ada.update_person(ada.id, json!({"unknown": 1})).await.expect(200);
}

#[apply(both_databases)]
async fn administrators_update_only_people_of_their_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let other = app.create_workspace_with_admin("eve").await;
    for id in [1, ada.id] {
        other.update_person(id, json!({"isDisabled": true})).await.expect_error(404, "DataNotFoundException");
    }
    let body = json!({"email": "ada.l@example.com", "name": "A", "isAdmin": true, "tokenAccess": "enabled"});
    app.admin().update_person(ada.id, body).await.expect(200);
    let updated = app.admin().get(&format!("/v4/people/{}", ada.id)).await.json;
    assert_eq!(
        (&updated["email"], &updated["isAdmin"], &updated["tokenAccess"]),
        (&json!("ada.l@example.com"), &json!(true), &json!("enabled"))
    );
    for wrong in [json!({"tokenAccess": "maybe"}), json!({"email": "x"}), json!({"name": "a\nb"})] {
        app.admin().update_person(ada.id, wrong).await.expect_error(400, "ValidationFailed");
    }
    for wrong in [json!({"isAdmin": "yes"}), json!({"tokenAccess": 1}), json!({"isDisabled": 0})] {
        app.admin().update_person(ada.id, wrong).await.expect_error(400, "ApiValidationFailed");
    }
}

#[apply(both_databases)]
async fn a_forced_password_change_blocks_everything_else(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    let bearer = ada.create_token().await;
    app.admin().update_person(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    for path in ["/v4/people/current", "/v4/apiAccessTokens", "/v4/auth", "/v4/open-api-spec", "/v4/workspaces/current"]
    {
        let details = ada.get(path).await.expect_error(403, "AccessControlException");
        assert!(details.contains(&format!("PATCH /v4/people/{}", ada.id)), "{details}");
    }
    ada.post("/v4/apiAccessTokens", &one_hour_token()).await.expect_error(403, "AccessControlException");
    ada.update_person(ada.id, json!({"name": "x"})).await.expect_error(403, "AccessControlException");
    ada.update_person(ada.id, json!({"name": "x", "password": NEW, "password2": NEW}))
        .await
        .expect_error(403, "AccessControlException");
    assert!(bearer.is_accepted().await, "tokens are not affected");
    ada.update_person(ada.id, json!({"password": PASSWORD, "password2": PASSWORD}))
        .await
        .expect_error(400, "ValidationFailed");
    ada.update_person(ada.id, json!({"password": NEW, "password2": NEW})).await.expect(200);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
}

#[apply(both_databases)]
async fn the_last_administrator_cannot_be_removed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    for body in [json!({"isDisabled": true}), json!({"isAdmin": false})] {
        admin.update_person(1, body).await.expect_error(409, "ConflictException");
    }
    admin.delete("/v4/people/1").await.expect_error(409, "ConflictException");
    // Disabled administrators do not count.
    let bob = admin.add_person("bob", true).await;
    admin.update_person(bob.id, json!({"isDisabled": true})).await.expect(200);
    admin.update_person(1, json!({"isAdmin": false})).await.expect_error(409, "ConflictException");
    // Bob is an administrator, but there is no other platform administrator.
    admin.update_person(bob.id, json!({"isDisabled": false})).await.expect(200);
    admin.update_person(1, json!({"isDisabled": true})).await.expect_error(409, "ConflictException");
    assert_eq!(admin.get("/v4/people/current").await.expect(200).json["isAdmin"], true);
}

#[apply(both_databases)]
async fn two_administrators_disabling_each_other_leave_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    for round in 0..5 {
        let other = app.create_workspace_with_admin(&format!("eve{round}")).await;
        let bob = other.add_person(&format!("bob{round}"), true).await;
        let (one, two) = tokio::join!(
            tokio::spawn({
                let (a, b) = (other.clone(), bob.id);
                async move { a.update_person(b, json!({"isDisabled": true})).await.status }
            }),
            tokio::spawn({
                let (a, b) = (bob.clone(), other.id);
                async move { a.update_person(b, json!({"isDisabled": true})).await.status }
            }),
        );
        let mut statuses = [one.unwrap(), two.unwrap()];
        statuses.sort_unstable();
        // The second request is rejected: its caller is the last administrator, or is disabled
        // already.
        assert!(statuses[0] == 200 && [401, 409].contains(&statuses[1]), "{statuses:?}");
    }
}

#[apply(both_databases)]
async fn administrators_cannot_take_over_a_platform_administrator(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bob = app.admin().add_person("bob", true).await;
    for body in
        [json!({"password": NEW, "password2": NEW}), json!({"email": "bob2@example.com"}), json!({"isDisabled": true})]
    {
        bob.update_person(1, body).await.expect_error(403, "AccessControlException");
    }
    bob.delete("/v4/people/1").await.expect_error(403, "AccessControlException");
    bob.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
    app.admin().get("/v4/workspaces").await.expect(200);
}

#[apply(both_databases)]
async fn a_taken_email_is_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin()
        .update_person(ada.id, json!({"email": "ADMIN@example.com"}))
        .await
        .expect_error(409, "ConflictException");
    app.admin().update_person(ada.id, json!({"email": "ADA@example.com"})).await.expect(200);
}
