//! Requests in the shapes that Okta and Entra ID send, as their documentation has them.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{ScimApp, USER, USERS, assert_error, id_of};
use crate::support::{Engine, both_databases};

#[apply(both_databases)]
async fn okta_assigns_updates_deactivates_and_reactivates(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let filter = "/scim/v2/Users?filter=userName%20eq%20%22ada%40example.com%22&startIndex=1&count=100";
    let found = scim.client.get(filter).await.expect(200).json;
    assert_eq!((&found["totalResults"], &found["Resources"]), (&json!(0), &json!([])));
    let user = |given: &str, active: bool| {
        json!({"schemas": [USER], "userName": "ada@example.com", "name": {"givenName": given, "familyName": "Lovelace"},
            "emails": [{"primary": true, "value": "ada@example.com", "type": "work"}], "displayName": "Ada Lovelace",
            "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": active})
    };
    let created = scim.client.post(USERS, &user("Ada", true)).await.expect(201);
    let id = id_of(&created);
    assert_error(&scim.client.post(USERS, &user("Ada", true)).await, 409, Some("uniqueness"));
    assert_eq!(scim.client.get(filter).await.json["Resources"][0]["id"], json!(id));
    // The profile is pushed with PUT, after a GET.
    let path = format!("{USERS}/{id}");
    scim.client.get(&path).await.expect(200);
    let updated = scim.client.put(&path, &user("Augusta", true)).await.expect(200);
    assert_eq!(updated.json["name"]["givenName"], "Augusta");
    let patch = |active: bool| json!([{"op": "replace", "value": {"active": active}}]);
    assert_eq!(scim.client.patch(&id, patch(false)).await.expect(200).json["active"], false);
    assert_eq!(scim.person(&id).await["isDisabled"], true);
    assert_eq!(scim.client.patch(&id, patch(true)).await.expect(200).json["active"], true);
    assert_eq!(scim.client.put(&path, &user("Ada", false)).await.expect(200).json["active"], false);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["scim"]));
    assert_eq!(scim.client.put(&path, &user("Ada", true)).await.expect(200).json["active"], true);
}

#[apply(both_databases)]
async fn entra_tests_the_connection_provisions_and_disables(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let find = async |name: &str| {
        let query = format!("{USERS}?filter=userName+eq+%22{name}%22");
        scim.client.get(&query).await.expect(200).json["totalResults"].clone()
    };
    assert_eq!(find("92ed9af3-7a4f-4a8e-b1d9-8b1c4a9c7f5e").await, 0);
    let body = json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "ada@example.com", "active": true,
        "addresses": [{"primary": false, "type": "work", "country": "GB", "formatted": null}], "displayName": "Ada",
        "emails": [{"primary": true, "type": "work", "value": "ada@example.com"}], "meta": {"resourceType": "User"},
        "name": {"formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"}, "title": "Countess",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Engines"}, "roles": []});
    let id = id_of(&scim.client.post(USERS, &body).await.expect(201));
    assert_eq!(find("ADA@example.com").await, 1);
    let patched = async |operations: Value| scim.client.patch(&id, operations).await.expect(200).json;
    // Several attributes at once, with attributes that this service does not have.
    let user = patched(json!([
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "lovelace@example.com"},
        {"op": "Replace", "path": "name.familyName", "value": "King"},
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "7"},
        {"op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "+44"},
    ]));
    let user = user.await;
    assert_eq!(
        (&user["emails"][0]["value"], &user["name"]["familyName"]),
        (&json!("lovelace@example.com"), &json!("King"))
    );
    assert_eq!(scim.person(&id).await["email"], "lovelace@example.com");
    let user =
        patched(json!([{"op": "Replace", "value": {"displayName": "A. King", "name.givenName": "Augusta"}}])).await;
    assert_eq!((&user["displayName"], &user["name"]["givenName"]), (&json!("A. King"), &json!("Augusta")));
    // The state as text, which only some settings avoid.
    assert_eq!(patched(json!([{"op": "Replace", "path": "active", "value": "False"}])).await["active"], false);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["scim"]));
    assert_eq!(patched(json!([{"op": "Replace", "path": "active", "value": "True"}])).await["active"], true);
    assert_eq!(patched(json!([{"op": "Add", "value": {"active": false}}])).await["active"], false);
    scim.client.delete(&format!("{USERS}/{id}")).await.expect(204);
    assert_eq!(find("ada@example.com").await, 0);
}
