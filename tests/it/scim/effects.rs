//! The effects of disabling and deleting, and what SCIM cannot do.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{ScimApp, USERS, assert_error, credential, user_body};
use crate::support::{Engine, PASSWORD, both_databases};

#[apply(both_databases)]
async fn a_disabled_user_is_rejected_until_it_is_active_again(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let (id, token) = scim.user_with_token("ada@example.com").await;
    let browser = scim.app.signed_in_browser("ada@example.com").await;
    let status = async || token.get("/v4/auth").await.status;
    // The second check is answered from the cache.
    assert_eq!((status().await, status().await), (200, 200));
    browser.get("/preferences/access-tokens").await.expect(200);
    assert_eq!(scim.client.set_active(&id, false).await.expect(200).json["active"], false);
    assert_eq!(status().await, 401);
    browser.get("/preferences/access-tokens").await.expect(303);
    let password = scim.app.client_with_authorization(&[&crate::support::basic_auth("ada@example.com", PASSWORD)]);
    password.get("/v4/people/current").await.expect(401);
    assert_eq!(scim.client.set_active(&id, true).await.expect(200).json["active"], true);
    // As after every other kind of disabling, tokens work again. The session does not.
    assert_eq!(status().await, 200);
    browser.get("/preferences/access-tokens").await.expect(303);
    // A repeated request changes nothing and has no event.
    scim.client.set_active(&id, true).await.expect(200);
    assert_eq!(scim.actions(&id).await, ["person.added", "person.disabled", "person.enabled"]);
}

#[apply(both_databases)]
async fn a_deleted_user_loses_all_tokens_for_good(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body = json!({"userName": "ada@example.com", "externalId": "00u1"});
    let id = super::id_of(&scim.client.post(USERS, &body).await.expect(201));
    let token = scim.token_of(&id, "ada@example.com").await;
    token.get("/v4/auth").await.expect(200);
    scim.client.delete(&format!("{USERS}/{id}")).await.expect(204);
    token.get("/v4/auth").await.expect(401);
    let actions = scim.actions(&id).await;
    assert_eq!(actions[1..], ["person.disabled", "person.deprovisioned", "tokens.deleted"]);
    scim.client.post(USERS, &body).await.expect(201);
    token.get("/v4/auth").await.expect(401);
    // New tokens work.
    scim.token_of(&id, "ada@example.com").await.get("/v4/auth").await.expect(200);
}

#[apply(both_databases)]
async fn each_party_lifts_only_its_own(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let admin = scim.app.admin();
    let disable =
        async |is_disabled: bool| admin.patch(&format!("/v4/people/{id}"), &json!({"isDisabled": is_disabled})).await;
    disable(true).await.expect(200);
    // The state is that of the account.
    assert_eq!(scim.client.set_active(&id, true).await.expect(200).json["active"], false);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["administrator"]));
    scim.client.set_active(&id, false).await.expect(200);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["administrator", "scim"]));
    disable(false).await.expect(200);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["scim"]));
    let details = disable(false).await.expect_error(409, "ConflictException");
    assert!(details.contains("SCIM"), "{details}");
    let page = scim.app.signed_in_browser("admin@example.com").await;
    assert!(page.get(&format!("/admin/users/{id}")).await.text.contains("Disabled</b> by SCIM"));
    assert!(page.get("/admin/users").await.text.contains("<small>by SCIM</small>"));
    assert_eq!(scim.client.set_active(&id, true).await.expect(200).json["active"], true);
    assert_eq!(scim.person(&id).await["disabledBy"], json!([]));
    // Another credential of the workspace without a provider has the same users.
    let second = credential(&scim.app, 1, None, Some("second")).await;
    second.set_active(&id, false).await.expect(200);
    assert_eq!(scim.client.get(&format!("{USERS}/{id}")).await.json["active"], false);
}

#[apply(both_databases)]
async fn the_last_administrator_stays(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let boss = scim.app.create_workspace_with_admin("boss").await;
    let other = credential(&scim.app, boss.workspace_id, None, None).await;
    let id = super::id_of(&other.post(USERS, &user_body("ada@example.com")).await.expect(201));
    // An administrator makes the user an administrator, and is then removed by the operator.
    boss.update_person(id.parse().unwrap(), json!({"isAdmin": true})).await.expect(200);
    assert_eq!(other.set_active(&id, false).await.expect(200).json["active"], false);
    assert_eq!(other.set_active(&id, true).await.expect(200).json["active"], true);
    boss.update_person(boss.id, json!({"isAdmin": false})).await.expect(200);
    for response in [other.set_active(&id, false).await, other.delete(&format!("{USERS}/{id}")).await] {
        assert_error(&response, 409, None);
        assert!(response.json["detail"].as_str().unwrap().contains("last enabled administrator"), "{}", response.text);
    }
    assert_eq!(other.get(&format!("{USERS}/{id}")).await.json["active"], true);
}

/// The holder of the credential must not become an administrator through a reset link.
#[apply(both_databases)]
async fn the_address_of_an_administrator_with_a_password_stays(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let (id, _) = scim.user_with_token("ada@example.com").await;
    let admin = scim.app.admin();
    admin.patch(&format!("/v4/people/{id}"), &json!({"isAdmin": true})).await.expect(200);
    let path = format!("{USERS}/{id}");
    let renamed = user_body("evil@example.com");
    for response in [
        scim.client.put(&path, &renamed).await,
        scim.client
            .patch(
                &id,
                json!([{"op": "replace", "value": {"emails": [{"value": "evil@example.com", "primary": true}]}}]),
            )
            .await,
    ] {
        assert_error(&response, 409, None);
    }
    // Other attributes and the state can be changed.
    scim.client.patch(&id, json!([{"op": "replace", "path": "displayName", "value": "Ada"}])).await.expect(200);
    scim.client.set_active(&id, false).await.expect(200);
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["isAdmin"]), (&json!("ada@example.com"), &json!(true)));
}

#[apply(both_databases)]
async fn the_operator_enables_in_an_emergency(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    scim.client.set_active(&id, false).await.expect(200);
    let people = scim.app.state.people();
    let change = tokenward::service::people::UpdatePerson { is_disabled: Some(false), ..Default::default() };
    let operator = tokenward::service::people::ActorKind::Operator;
    people.update(operator, 1.into(), id.parse().unwrap(), &change).await.unwrap();
    assert_eq!(scim.person(&id).await["disabledBy"], json!([]));
    // The client repeats itself: its state counts again.
    scim.client.set_active(&id, false).await.expect(200);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["scim"]));
}
