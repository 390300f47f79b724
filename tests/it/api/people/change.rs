//! `PATCH /v4/people/{id}`

use serde_json::json;

use crate::support::{PASSWORD, TestApp, an_hour};

const NEW: &str = "an entirely new password";

on_both!(
    people_change_their_own_name_and_password,
    changing_ones_own_password_needs_the_password,
    fields_that_one_may_not_set_are_refused_and_nothing_is_changed,
    administrators_change_everybody_of_their_workspace_only,
    a_forced_password_change_opens_nothing_but_itself,
    the_last_administrator_stays,
    two_administrators_who_disable_each_other_leave_one,
    nobody_becomes_platform_administrator_by_way_of_another_account,
    an_e_mail_that_is_taken_is_refused,
);

async fn people_change_their_own_name_and_password(app: TestApp) {
    let ada = app.person("ada").await;
    app.advance_seconds(5);
    let changed = ada.change(ada.id, json!({"name": "Ada L."})).await.expect(200);
    assert_eq!(changed.json, json!({"id": ada.id, "updatedAt": "2026-01-01T00:00:05.000Z"}));
    assert_eq!(ada.get("/v4/people/current").await.json["name"], "Ada L.");
    ada.change(ada.id, json!({"password": NEW, "password2": NEW})).await.expect(200);
    ada.get("/v4/people/current").await.expect(401);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
    for weak in [
        json!({"password": "short", "password2": "short"}),
        json!({"password": NEW}),
        json!({"password2": NEW}),
        json!({"password": NEW, "password2": "another one entirely"}),
    ] {
        ada.with_password(NEW).change(ada.id, weak).await.expect_error(400, "ValidationFailed");
    }
}

async fn changing_ones_own_password_needs_the_password(app: TestApp) {
    let bearer = app.admin().bearer().await;
    let body = json!({"password": NEW, "password2": NEW});
    bearer.patch("/v4/people/1", &body).await.expect_error(403, "AccessControlException");
    app.admin().get("/v4/people/current").await.expect(200);
    let ada = app.person("ada").await;
    bearer.patch(&format!("/v4/people/{}", ada.id), &body).await.expect(200);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
}

async fn fields_that_one_may_not_set_are_refused_and_nothing_is_changed(app: TestApp) {
    let ada = app.person("ada").await;
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
        ada.change(ada.id, body).await.expect_error(403, "AccessControlException");
    }
    for field in
        ["id", "workspaceId", "isPlatformAdmin", "state", "createdAt", "updatedAt", "lastLoginTime", "ssoPrincipal"]
    {
        app.admin()
            .change(ada.id, json!({"name": "changed", field: 1}))
            .await
            .expect_error(403, "AccessControlException");
    }
    ada.change(1, json!({"name": "changed"})).await.expect_error(403, "AccessControlException");
    assert_eq!(ada.get("/v4/people/current").await.json["name"], "ada");
    ada.change(ada.id, json!({"unknown": 1})).await.expect(200);
}

async fn administrators_change_everybody_of_their_workspace_only(app: TestApp) {
    let ada = app.person("ada").await;
    let other = app.other_admin("eve").await;
    for id in [1, ada.id] {
        other.change(id, json!({"isDisabled": true})).await.expect_error(404, "DataNotFoundException");
    }
    let body = json!({"email": "ada.l@example.com", "name": "A", "isAdmin": true, "tokenAccess": "enabled"});
    app.admin().change(ada.id, body).await.expect(200);
    let seen = app.admin().get(&format!("/v4/people/{}", ada.id)).await.json;
    assert_eq!(
        (&seen["email"], &seen["isAdmin"], &seen["tokenAccess"]),
        (&json!("ada.l@example.com"), &json!(true), &json!("enabled"))
    );
    for wrong in [json!({"tokenAccess": "maybe"}), json!({"email": "x"}), json!({"name": "a\nb"})] {
        app.admin().change(ada.id, wrong).await.expect_error(400, "ValidationFailed");
    }
    for wrong in [json!({"isAdmin": "yes"}), json!({"tokenAccess": 1}), json!({"isDisabled": 0})] {
        app.admin().change(ada.id, wrong).await.expect_error(400, "ApiValidationFailed");
    }
}

async fn a_forced_password_change_opens_nothing_but_itself(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    let bearer = ada.bearer().await;
    app.admin().change(ada.id, json!({"forcePasswordChange": true})).await.expect(200);
    for path in ["/v4/people/current", "/v4/apiAccessTokens", "/v4/auth", "/v4/open-api-spec", "/v4/workspaces/current"]
    {
        let details = ada.get(path).await.expect_error(403, "AccessControlException");
        assert!(details.contains(&format!("PATCH /v4/people/{}", ada.id)), "{details}");
    }
    ada.post("/v4/apiAccessTokens", &an_hour()).await.expect_error(403, "AccessControlException");
    ada.change(ada.id, json!({"name": "x"})).await.expect_error(403, "AccessControlException");
    ada.change(ada.id, json!({"name": "x", "password": NEW, "password2": NEW}))
        .await
        .expect_error(403, "AccessControlException");
    assert!(bearer.works().await, "tokens are unaffected");
    ada.change(ada.id, json!({"password": PASSWORD, "password2": PASSWORD}))
        .await
        .expect_error(400, "ValidationFailed");
    ada.change(ada.id, json!({"password": NEW, "password2": NEW})).await.expect(200);
    ada.with_password(NEW).get("/v4/people/current").await.expect(200);
}

async fn the_last_administrator_stays(app: TestApp) {
    let admin = app.admin();
    for body in [json!({"isDisabled": true}), json!({"isAdmin": false})] {
        admin.change(1, body).await.expect_error(409, "ConflictException");
    }
    admin.delete("/v4/people/1").await.expect_error(409, "ConflictException");
    // A disabled administrator does not count.
    let bob = admin.add("bob", true).await;
    admin.change(bob.id, json!({"isDisabled": true})).await.expect(200);
    admin.change(1, json!({"isAdmin": false})).await.expect_error(409, "ConflictException");
    // Bob may be administrator, but nobody else is platform administrator.
    admin.change(bob.id, json!({"isDisabled": false})).await.expect(200);
    admin.change(1, json!({"isDisabled": true})).await.expect_error(409, "ConflictException");
    assert_eq!(admin.get("/v4/people/current").await.expect(200).json["isAdmin"], true);
}

async fn two_administrators_who_disable_each_other_leave_one(app: TestApp) {
    for round in 0..5 {
        let other = app.other_admin(&format!("eve{round}")).await;
        let bob = other.add(&format!("bob{round}"), true).await;
        let (one, two) = tokio::join!(
            tokio::spawn({
                let (a, b) = (other.clone(), bob.id);
                async move { a.change(b, json!({"isDisabled": true})).await.status }
            }),
            tokio::spawn({
                let (a, b) = (bob.clone(), other.id);
                async move { a.change(b, json!({"isDisabled": true})).await.status }
            }),
        );
        let mut statuses = [one.unwrap(), two.unwrap()];
        statuses.sort_unstable();
        // The loser was refused as the last administrator, or was disabled already when asking.
        assert!(statuses[0] == 200 && [401, 409].contains(&statuses[1]), "{statuses:?}");
    }
}

async fn nobody_becomes_platform_administrator_by_way_of_another_account(app: TestApp) {
    let bob = app.admin().add("bob", true).await;
    for body in
        [json!({"password": NEW, "password2": NEW}), json!({"email": "bob2@example.com"}), json!({"isDisabled": true})]
    {
        bob.change(1, body).await.expect_error(403, "AccessControlException");
    }
    bob.delete("/v4/people/1").await.expect_error(403, "AccessControlException");
    bob.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
    app.admin().get("/v4/workspaces").await.expect(200);
}

async fn an_e_mail_that_is_taken_is_refused(app: TestApp) {
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"email": "ADMIN@example.com"})).await.expect_error(409, "ConflictException");
    app.admin().change(ada.id, json!({"email": "ADA@example.com"})).await.expect(200);
}
