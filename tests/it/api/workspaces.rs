//! `/v4/workspaces`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use crate::support::{Engine, PASSWORD, TestApp, both_databases};

#[apply(both_databases)]
async fn members_read_their_own_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let ada = app.add_person("ada").await;
    ada.create_token().await;
    let workspace = ada.get("/v4/workspaces/current").await.expect(200).json;
    let expected = json!({"id": 1, "name": "Workspace 1", "createdAt": "2026-01-01T00:00:00.000Z", "personCount": 2, "tokenCount": 1});
    assert_eq!(workspace, expected);
}

#[apply(both_databases)]
async fn only_platform_administrators_manage_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let body = json!({"name": "Lab", "admin": {"email": "eve@lab.example", "name": "Eve", "password": PASSWORD}});
    let created = admin.post("/v4/workspaces", &body).await.expect(201);
    let location = created.headers["location"].to_str().unwrap().to_owned();
    let created = created.json;
    assert_eq!(location, format!("/v4/workspaces/{}", created["id"]));
    assert_eq!(created["admin"]["email"], "eve@lab.example");
    let id = created["id"].as_i64().unwrap();
    assert!(id > 1 && created["createdAt"].is_string());
    let list = admin.get("/v4/workspaces?includeCount=true").await.expect(200);
    assert_eq!((list.rows().len(), &list.json["count"]), (2, &json!(2)));
    app.advance_seconds(1);
    let renamed = admin.patch(&format!("/v4/workspaces/{id}"), &json!({"name": "Laboratory"})).await.expect(200).json;
    assert_eq!(renamed, json!({"id": id, "updatedAt": "2026-01-01T00:00:01.000Z"}));
    admin.patch("/v4/workspaces/99", &json!({"name": "x"})).await.expect_error(404, "DataNotFoundException");

    let other = app.create_workspace_with_admin("mallory").await;
    let bob = admin.add_person("bob", true).await;
    for client in [&other, &bob] {
        client.get("/v4/workspaces").await.expect_error(403, "AccessControlException");
        client.post("/v4/workspaces", &body).await.expect_error(403, "AccessControlException");
        client
            .patch(&format!("/v4/workspaces/{id}"), &json!({"name": "x"}))
            .await
            .expect_error(403, "AccessControlException");
        client.delete(&format!("/v4/workspaces/{id}")).await.expect_error(403, "AccessControlException");
    }
}

#[apply(both_databases)]
async fn deleting_a_workspace_deletes_everything_in_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    let bearer = other.create_token().await;
    let path = format!("/v4/workspaces/{}", other.workspace_id);
    app.admin().delete(&path).await.expect(204);
    assert!(!bearer.is_accepted().await);
    other.get("/v4/people/current").await.expect(401);
    app.admin().delete(&path).await.expect_error(404, "DataNotFoundException");
    app.admin().delete("/v4/workspaces/1").await.expect_error(409, "ConflictException");
    assert!(app.create_workspace_with_admin("eve").await.workspace_id > other.workspace_id, "IDs are not reused");
}

#[apply(both_databases)]
async fn invalid_workspaces_are_rejected_and_nothing_is_created(engine: Engine) {
    let app = TestApp::start(engine).await;
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
