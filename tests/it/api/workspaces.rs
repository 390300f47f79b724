//! `/v4/workspaces`

use serde_json::json;

use crate::support::{PASSWORD, TestApp};

on_both!(
    members_read_their_own,
    platform_administrators_manage_workspaces_and_nobody_else_does,
    a_workspace_that_is_removed_takes_everything_along,
    bad_workspaces_are_refused_and_nothing_is_made,
);

async fn members_read_their_own(app: TestApp) {
    app.set("allowUsers", true).await;
    let ada = app.person("ada").await;
    ada.bearer().await;
    let seen = ada.get("/v4/workspaces/current").await.expect(200).json;
    let expected = json!({"id": 1, "name": "Workspace 1", "createdAt": "2026-01-01T00:00:00.000Z", "personCount": 2, "tokenCount": 1});
    assert_eq!(seen, expected);
}

async fn platform_administrators_manage_workspaces_and_nobody_else_does(app: TestApp) {
    let admin = app.admin();
    let body = json!({"name": "Lab", "admin": {"email": "eve@lab.example", "name": "Eve", "password": PASSWORD}});
    let made = admin.post("/v4/workspaces", &body).await.expect(201).json;
    assert_eq!(made["admin"]["email"], "eve@lab.example");
    let id = made["id"].as_i64().unwrap();
    assert!(id > 1 && made["createdAt"].is_string());
    let list = admin.get("/v4/workspaces?includeCount=true").await.expect(200);
    assert_eq!((list.rows().len(), &list.json["count"]), (2, &json!(2)));
    app.advance_seconds(1);
    let renamed = admin.patch(&format!("/v4/workspaces/{id}"), &json!({"name": "Laboratory"})).await.expect(200).json;
    assert_eq!(renamed, json!({"id": id, "updatedAt": "2026-01-01T00:00:01.000Z"}));
    admin.patch("/v4/workspaces/99", &json!({"name": "x"})).await.expect_error(404, "DataNotFoundException");

    let other = app.other_admin("mallory").await;
    let bob = admin.add("bob", true).await;
    for stranger in [&other, &bob] {
        stranger.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
        stranger.post("/v4/workspaces", &body).await.expect_error(403, "AccessControlException");
        stranger
            .patch(&format!("/v4/workspaces/{id}"), &json!({"name": "x"}))
            .await
            .expect_error(403, "AccessControlException");
        stranger.delete(&format!("/v4/workspaces/{id}")).await.expect_error(403, "AccessControlException");
    }
}

async fn a_workspace_that_is_removed_takes_everything_along(app: TestApp) {
    let other = app.other_admin("eve").await;
    let bearer = other.bearer().await;
    let path = format!("/v4/workspaces/{}", other.workspace_id);
    app.admin().delete(&path).await.expect(204);
    assert!(!bearer.works().await);
    other.get("/v4/people/current").await.expect(401);
    app.admin().delete(&path).await.expect_error(404, "DataNotFoundException");
    app.admin().delete("/v4/workspaces/1").await.expect_error(409, "ConflictException");
    assert!(app.other_admin("eve").await.workspace_id > other.workspace_id, "numbers are not given twice");
}

async fn bad_workspaces_are_refused_and_nothing_is_made(app: TestApp) {
    let admin = app.admin();
    let eve = json!({"email": "eve@x.example", "name": "", "password": PASSWORD});
    for (body, name) in [
        (json!({"name": "", "admin": eve}), "ValidationFailed"),
        (json!({"name": "a\0", "admin": eve}), "ValidationFailed"),
        (json!({"name": "x".repeat(256), "admin": eve}), "ValidationFailed"),
        (
            json!({"name": "x", "admin": {"email": "eve@x.example", "name": "", "password": "short"}}),
            "ValidationFailed",
        ),
        (json!({"name": "x"}), "ApiValidationFailed"),
        (json!({"name": "x", "admin": []}), "ApiValidationFailed"),
        (json!({"name": 1, "admin": eve}), "ApiValidationFailed"),
    ] {
        admin.post("/v4/workspaces", &body).await.expect_error(400, name);
    }
    let taken = json!({"name": "x", "admin": {"email": "ADMIN@example.com", "name": "", "password": PASSWORD}});
    admin.post("/v4/workspaces", &taken).await.expect_error(409, "ConflictException");
    assert_eq!(admin.get("/v4/workspaces").await.rows().len(), 1);
}
