//! Credentials of provisioning clients, their events and leak reports.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{domain::id::WorkspaceId, service::Error};

use super::{ScimApp, USERS, assert_error, credential, credential_value};
use crate::support::{Engine, both_databases};

#[apply(both_databases)]
async fn a_revoked_credential_is_rejected_at_once(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let service = scim.app.state.scim();
    scim.client.get(USERS).await.expect(200);
    let credentials = service.list_credentials(WorkspaceId::FIRST).await.unwrap();
    let [own] = &credentials[..] else { panic!("{credentials:?}") };
    assert_eq!((own.name.as_str(), &own.provider), ("scim", &None));
    assert!(own.display_prefix.starts_with("twdscim_") && own.last_used_at.is_some(), "{own:?}");
    let other = scim.app.create_workspace_with_admin("boss").await.workspace_id;
    let revoke = async |workspace: i64| service.revoke_credential(WorkspaceId::new(workspace), own.id).await;
    assert!(matches!(revoke(other).await, Err(Error::ScimCredentialNotFound)));
    revoke(1).await.unwrap();
    assert!(matches!(revoke(1).await, Err(Error::ScimCredentialNotFound)));
    let denied = scim.client.get(USERS).await;
    assert_error(&denied, 401, None);
    assert_eq!(denied.headers["www-authenticate"], "Bearer realm=\"tokenward\", error=\"invalid_token\"");
    let events = scim.app.admin().get("/v4/events?allUsers=true&limit=2").await.expect(200);
    let facts: Vec<_> =
        events.rows().iter().map(|event| (&event["action"], &event["actor"], &event["label"])).collect();
    let (operator, name) = (json!("operator"), json!("scim"));
    let [revoked, created] = ["scim_credential.revoked", "scim_credential.created"].map(|action| json!(action));
    // A workspace was created in between, with a chain of its own.
    assert_eq!(facts[0], (&revoked, &operator, &name));
    let events = scim.app.admin().get("/v4/events?allUsers=true&action=scim_credential.created").await.expect(200);
    assert_eq!((&events.rows()[0]["action"], &events.rows()[0]["target"]), (&created, &json!(own.id.to_string())));
}

#[apply(both_databases)]
async fn names_are_unique_in_a_workspace(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let service = scim.app.state.scim();
    let create = async |workspace: i64, name: Option<&str>| {
        service.create_credential(WorkspaceId::new(workspace), None, name).await.map(|(credential, _)| credential.name)
    };
    assert!(matches!(create(1, None).await, Err(Error::ScimCredentialNameTaken)));
    assert_eq!(create(1, Some("okta")).await.unwrap(), "okta");
    assert!(matches!(create(1, Some("Okta")).await, Err(Error::Invalid(_))));
    assert!(matches!(create(77, None).await, Err(Error::WorkspaceNotFound)));
    let other = scim.app.create_workspace_with_admin("boss").await.workspace_id;
    assert_eq!(create(other, None).await.unwrap(), "scim");
}

#[apply(both_databases)]
async fn a_leaked_credential_is_revoked(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let value = credential_value(&scim.app, 1, None, Some("leaked")).await;
    let client = scim.app.client_with_authorization(&[&format!("Bearer {value}")]);
    client.get(USERS).await.expect(200);
    let damaged = format!("{}x", &value[..value.len() - 1]);
    scim.app.anonymous().post("/v4/leaks", &json!({"values": [damaged, "twdscim_x"]})).await.expect(202);
    client.get(USERS).await.expect(200);
    scim.app.anonymous().post("/v4/leaks", &json!({"values": [value]})).await.expect(202);
    client.get(USERS).await.expect(401);
    scim.client.get(USERS).await.expect(200);
    let events = scim.app.admin().get("/v4/events?allUsers=true&action=scim_credential.revoked").await.expect(200);
    let event = &events.rows()[0];
    assert_eq!((&event["actor"], &event["details"]), (&json!("token holder"), &json!({"reason": "leaked"})));
    assert!(!events.text.contains(&value));
}

#[apply(both_databases)]
async fn a_credential_of_a_deleted_workspace_is_rejected(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let workspace = scim.app.create_workspace_with_admin("boss").await.workspace_id;
    let client = credential(&scim.app, workspace, None, None).await;
    client.get(USERS).await.expect(200);
    scim.app.admin().delete(&format!("/v4/workspaces/{workspace}")).await.expect(204);
    assert_error(&client.get(USERS).await, 401, None);
}
