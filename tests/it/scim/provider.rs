//! Credentials with an identity provider: the external ID is the subject of an identity.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokenward::{
    domain::{external_identity::DIRECTORY_ISSUER, id::WorkspaceId, person::TokenAccess, random::Random},
    store::{NewExternalIdentity, NewExternalPerson},
};
use uuid::Uuid;

use super::{PATCH_OP, ScimApp, USERS, assert_error, credential, id_of};
use crate::{
    store::{new_person, operator_mutation},
    support::{Engine, both_databases},
};

/// Adds a person who signed in through a provider.
async fn linked_person(scim: &ScimApp, workspace: i64, provider: &str, subject: &str, is_admin: bool) -> String {
    let mut person = new_person(&format!("{subject}@example.com"));
    (person.password_hash, person.is_admin) = (None, is_admin);
    let identity = NewExternalIdentity {
        id: Uuid::from_bytes(Random::system().bytes()),
        provider: provider.to_owned(),
        issuer: DIRECTORY_ISSUER.to_owned(),
        subject: subject.to_owned(),
        label: subject.to_owned(),
    };
    let new = NewExternalPerson { person, token_access: TokenAccess::Enabled, identity };
    let inserted = scim.app.store.insert_external_person(WorkspaceId::new(workspace), &new, &operator_mutation()).await;
    inserted.unwrap().unwrap().id.to_string()
}

#[apply(both_databases)]
async fn a_new_user_is_linked_to_the_provider(engine: Engine) {
    let scim = ScimApp::with_provider(engine).await;
    let nameless = scim.client.post(USERS, &json!({"userName": "ada@example.com"})).await;
    assert_error(&nameless, 400, Some("invalidValue"));
    assert!(nameless.json["detail"].as_str().unwrap().contains("company"), "{}", nameless.text);
    let body = json!({"userName": "ada@example.com", "externalId": "guid-1"});
    let id = id_of(&scim.client.post(USERS, &body).await.expect(201));
    let found = scim.app.store.find_identity("company", DIRECTORY_ISSUER, "guid-1").await.unwrap().unwrap();
    assert_eq!((found.person.id.to_string(), found.identity.label.as_str()), (id.clone(), "ada@example.com"));
    assert_eq!(scim.person(&id).await["ssoPrincipal"], "ada@example.com");
    let details = scim.events(&id).await.remove(0).1;
    assert_eq!(details, json!({"by": "scim", "provider": "company", "role": "user"}));
    // The subject never changes.
    let path = format!("{USERS}/{id}");
    let other = json!({"userName": "ada@example.com", "externalId": "guid-2"});
    assert_error(&scim.client.put(&path, &other).await, 400, Some("mutability"));
    let remove = json!([{"op": "remove", "path": "externalId"}]);
    assert_error(&scim.client.patch(&id, remove).await, 400, Some("mutability"));
    let kept = scim.client.put(&path, &json!({"userName": "ada@example.com"})).await.expect(200);
    assert_eq!(kept.json["externalId"], "guid-1");
    // Another user with the subject is a conflict, also with another name.
    let again = json!({"userName": "eve@example.com", "externalId": "guid-1"});
    assert_error(&scim.client.post(USERS, &again).await, 409, Some("uniqueness"));
}

#[apply(both_databases)]
async fn people_who_signed_in_through_the_provider_are_visible(engine: Engine) {
    let scim = ScimApp::with_provider(engine).await;
    let ada = linked_person(&scim, 1, "company", "ada", true).await;
    let eve = linked_person(&scim, 1, "other", "eve", false).await;
    let boss = scim.app.create_workspace_with_admin("boss").await;
    let bob = linked_person(&scim, boss.workspace_id, "company", "bob", false).await;
    for hidden in [&eve, &bob, &"1".to_owned(), &boss.id.to_string()] {
        let path = format!("{USERS}/{hidden}");
        assert_error(&scim.client.get(&path).await, 404, None);
        assert_error(&scim.client.delete(&path).await, 404, None);
        assert_error(&scim.client.set_active(hidden, false).await, 404, None);
    }
    let listed = scim.client.get(USERS).await.expect(200).json;
    assert_eq!((&listed["totalResults"], &listed["Resources"][0]["id"]), (&json!(1), &json!(ada)));
    for filter in ["userName eq \"ADA@example.com\"", "externalId eq \"ada\""] {
        let found = scim.client.find(filter).await.expect(200).json;
        assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&json!(1), &json!(ada)), "{filter}");
    }
    let user = scim.client.get(&format!("{USERS}/{ada}")).await.expect(200).json;
    assert_eq!((&user["userName"], &user["externalId"]), (&json!("ada@example.com"), &json!("ada")));
    // The subject of a person of another workspace is taken.
    let body = json!({"userName": "bob@example.com", "externalId": "bob"});
    assert_error(&scim.client.post(USERS, &body).await, 409, Some("uniqueness"));
    assert_eq!(scim.client.set_active(&ada, false).await.expect(200).json["active"], false);
    let person = scim.person(&ada).await;
    assert_eq!((&person["disabledBy"], &person["isAdmin"]), (&json!(["scim"]), &json!(true)));
    // A person without a local password may get another address: it opens no way in.
    let renamed =
        json!([{"op": "replace", "path": "emails", "value": [{"value": "countess@example.com", "primary": true}]}]);
    scim.client.patch(&ada, renamed).await.expect(200);
    assert_eq!(scim.person(&ada).await["email"], "countess@example.com");
    // After the first change, the name is that of the client.
    assert_eq!(scim.client.find("userName eq \"ada@example.com\"").await.json["totalResults"], 1);
    assert_eq!(scim.client.find("userName eq \"countess@example.com\"").await.json["totalResults"], 0);
}

#[apply(both_databases)]
async fn a_post_takes_over_a_linked_person_once(engine: Engine) {
    let scim = ScimApp::with_provider(engine).await;
    let ada = linked_person(&scim, 1, "company", "ada", false).await;
    let body = json!({"userName": "lovelace@example.com", "externalId": "ada", "displayName": "Ada"});
    assert_eq!(id_of(&scim.client.post(USERS, &body).await.expect(201)), ada);
    assert_error(&scim.client.post(USERS, &body).await, 409, Some("uniqueness"));
    let person = scim.person(&ada).await;
    assert_eq!((&person["email"], &person["name"]), (&json!("lovelace@example.com"), &json!("Ada")));
    assert_eq!(scim.actions(&ada).await, ["person.changed", "person.provisioned"]);
    scim.client.delete(&format!("{USERS}/{ada}")).await.expect(204);
    // The identity stays with the account, so no other account gets the subject.
    assert!(scim.app.store.find_identity("company", DIRECTORY_ISSUER, "ada").await.unwrap().is_some());
    assert_error(&scim.client.get(&format!("{USERS}/{ada}")).await, 404, None);
    assert_eq!(id_of(&scim.client.post(USERS, &body).await.expect(201)), ada);
    assert_eq!(scim.person(&ada).await["isDisabled"], false);
}

#[apply(both_databases)]
async fn credentials_with_another_provider_have_other_users(engine: Engine) {
    let scim = ScimApp::with_provider(engine).await;
    let plain = credential(&scim.app, 1, None, Some("plain")).await;
    let body = json!({"userName": "ada@example.com", "externalId": "x"});
    let ada = id_of(&scim.client.post(USERS, &body).await.expect(201));
    let body = json!({"userName": "eve@example.com", "externalId": "x"});
    let eve = id_of(&plain.post(USERS, &body).await.expect(201));
    assert_error(&plain.get(&format!("{USERS}/{ada}")).await, 404, None);
    assert_error(&scim.client.get(&format!("{USERS}/{eve}")).await, 404, None);
    // The account of the other client's user is not adopted by its address.
    let body = json!({"userName": "ada@example.com", "externalId": "y"});
    assert_error(&plain.post(USERS, &body).await, 409, Some("uniqueness"));
}

/// Without the link, the provider has no say. What its client disabled stays disabled.
#[apply(both_databases)]
async fn an_unlinked_person_is_hidden_from_the_client(engine: Engine) {
    let scim = ScimApp::with_provider(engine).await;
    let ada = linked_person(&scim, 1, "company", "ada", false).await;
    scim.client.set_active(&ada, false).await.expect(200);
    let person = scim.app.state.people().find_by_email("ada@example.com").await.unwrap();
    assert!(scim.app.state.identities().unlink(&person).await.unwrap());
    assert_error(&scim.client.get(&format!("{USERS}/{ada}")).await, 404, None);
    assert_eq!(scim.person(&ada).await["disabledBy"], json!(["administrator"]));
    let body = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": true}]});
    let path = format!("{USERS}/{ada}");
    assert_error(&scim.client.send("PATCH", &path, body.to_string()).await, 404, None);
}
