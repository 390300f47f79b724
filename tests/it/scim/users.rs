//! Creating, reading, replacing, changing and deleting users.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;

use super::{ScimApp, USER, USERS, assert_error, id_of, user_body};
use crate::support::{Engine, both_databases};

#[apply(both_databases)]
async fn a_user_is_created_and_read(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body = json!({"schemas": [USER], "userName": "Ada@Example.com", "externalId": "00u1", "displayName": "Ada",
        "name": {"givenName": "Ada", "familyName": "Lovelace"}, "active": true, "password": "never stored",
        "emails": [{"value": "ada@example.com", "type": "work", "primary": true}, {"value": "home@example.com"}],
        "roles": [{"value": "admin"}], "isAdmin": true, "groups": []});
    let created = scim.client.post(USERS, &body).await.expect(201);
    let id = id_of(&created);
    let location = format!("http://127.0.0.1:3005/scim/v2/Users/{id}");
    assert_eq!(created.headers["location"], location.as_str());
    assert_eq!(
        created.json,
        json!({"schemas": [USER], "id": id, "userName": "Ada@Example.com", "externalId": "00u1", "displayName": "Ada",
            "name": {"givenName": "Ada", "familyName": "Lovelace"}, "active": true,
            "emails": [{"value": "ada@example.com", "type": "work", "primary": true}, {"value": "home@example.com"}],
            "meta": {"resourceType": "User", "created": "2026-01-01T00:00:00.000Z",
                "lastModified": "2026-01-01T00:00:00.000Z", "location": location}})
    );
    assert_eq!(scim.client.get(&format!("{USERS}/{id}")).await.expect(200).json, created.json);
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["name"]), (&json!("ada@example.com"), &json!("Ada")));
    assert_eq!(
        (&person["isAdmin"], &person["isDisabled"], &person["kind"]),
        (&json!(false), &json!(false), &json!("person"))
    );
    let (action, details) = scim.events(&id).await.remove(0);
    assert_eq!((action.as_str(), details), ("person.added", json!({"by": "scim", "role": "user"})));
    let events = scim.app.admin().get("/v4/events?allUsers=true&action=person.added").await.expect(200);
    assert_eq!(events.rows()[0]["actor"], "scim:scim");
}

#[apply(both_databases)]
async fn the_address_of_the_account_is_the_primary_email_or_the_user_name(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let nameless = scim.client.post(USERS, &json!({"userName": "ada"})).await;
    assert_error(&nameless, 400, Some("invalidValue"));
    let several = json!({"userName": "ada", "emails": [{"value": "a@example.com"}, {"value": "b@example.com"}]});
    assert_error(&scim.client.post(USERS, &several).await, 400, Some("invalidValue"));
    let only = json!({"userName": "only", "emails": [{"value": "only@example.com", "primary": false}]});
    let created = scim.client.post(USERS, &only).await.expect(201);
    assert_eq!(scim.person(&id_of(&created)).await["email"], "only@example.com");
    let created = scim.client.post(USERS, &json!({"userName": "eve@example.com"})).await.expect(201);
    assert_eq!(scim.person(&id_of(&created)).await["email"], "eve@example.com");
    assert_eq!(created.json["active"], true);
}

#[apply(both_databases)]
async fn a_taken_name_id_or_address_is_a_conflict_and_never_adopted(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let local = scim.app.add_person("local").await;
    let with_id = |email: &str| json!({"userName": email, "externalId": "00u1"});
    scim.client.post(USERS, &with_id("ada@example.com")).await.expect(201);
    for body in [
        user_body("ADA@example.com"),
        with_id("other@example.com"),
        json!({"userName": "other", "emails": [{"value": "ada@example.com", "primary": true}]}),
        user_body("local@example.com"),
        user_body("admin@example.com"),
    ] {
        let conflict = scim.client.post(USERS, &body).await;
        assert_error(&conflict, 409, Some("uniqueness"));
    }
    // The account that a request named is not visible either.
    let path = format!("{USERS}/{}", local.id);
    assert_error(&scim.client.get(&path).await, 404, None);
    local.get("/v4/people/current").await.expect(200);
    let eve = scim.user("eve@example.com").await;
    let path = format!("{USERS}/{eve}");
    assert_error(&scim.client.put(&path, &user_body("local@example.com")).await, 409, Some("uniqueness"));
    assert_error(&scim.client.put(&path, &with_id("eve@example.com")).await, 409, Some("uniqueness"));
    assert_eq!(scim.person(&eve).await["email"], "eve@example.com");
}

#[apply(both_databases)]
async fn a_user_is_replaced(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body =
        json!({"userName": "ada@example.com", "externalId": "00u1", "displayName": "Ada", "name": {"givenName": "A"}});
    let id = id_of(&scim.client.post(USERS, &body).await.expect(201));
    let path = format!("{USERS}/{id}");
    let body = json!({"userName": "ada", "id": "999", "emails": [{"value": "lovelace@example.com", "primary": true}]});
    let replaced = scim.client.put(&path, &body).await.expect(200);
    assert_eq!((&replaced.json["id"], &replaced.json["userName"]), (&json!(id), &json!("ada")));
    // Attributes that are not sent are gone. The external ID and the state stay.
    assert_eq!((&replaced.json["displayName"], &replaced.json["name"]), (&json!(null), &json!(null)));
    assert_eq!((&replaced.json["externalId"], &replaced.json["active"]), (&json!("00u1"), &json!(true)));
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["name"]), (&json!("lovelace@example.com"), &json!("")));
    scim.client.set_active(&id, false).await.expect(200);
    assert_eq!(scim.client.put(&path, &body).await.expect(200).json["active"], false);
    assert_eq!(scim.client.put(&path, &json!({"userName": "ada"})).await.status, 400);
    let changed = scim.events(&id).await.into_iter().find(|(action, _)| action == "person.changed").unwrap().1;
    let expected = json!({"by": "scim", "email": "lovelace@example.com", "previousEmail": "ada@example.com", "name": "",
        "attributes": "userName, displayName, name, emails"});
    assert_eq!(changed, expected);
}

#[apply(both_databases)]
async fn attributes_are_changed_one_by_one(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let patched = scim.client.patch(&id, json!([
        {"op": "add", "path": "displayName", "value": "Ada"},
        {"op": "Add", "path": "emails[type eq \"home\"].value", "value": "home@example.com"},
        {"op": "REPLACE", "path": "name", "value": {"familyName": "Lovelace"}},
        {"op": "replace", "value": {"externalId": "00u1", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {}}},
    ]));
    let patched = patched.await.expect(200).json;
    assert_eq!((&patched["displayName"], &patched["externalId"]), (&json!("Ada"), &json!("00u1")));
    assert_eq!(patched["emails"][1], json!({"value": "home@example.com", "type": "home"}));
    assert_eq!(patched["name"], json!({"familyName": "Lovelace"}));
    assert_eq!(scim.person(&id).await["name"], "Ada");
    let removed = scim.client.patch(&id, json!([
        {"op": "remove", "path": "displayName"}, {"op": "remove", "path": "externalId"}, {"op": "remove", "path": "name"},
    ]));
    let removed = removed.await.expect(200).json;
    assert_eq!(
        (&removed["displayName"], &removed["externalId"], &removed["name"]),
        (&json!(null), &json!(null), &json!(null))
    );
    // All operations of a request or none.
    let failing = json!([{"op": "replace", "path": "displayName", "value": "Eve"},
        {"op": "replace", "path": "emails[type eq \"none\"].value", "value": "x@example.com"}]);
    assert_error(&scim.client.patch(&id, failing).await, 400, Some("noTarget"));
    assert_eq!(scim.client.get(&format!("{USERS}/{id}")).await.json["displayName"], json!(null));
    for (operations, kind) in [
        (json!([{"op": "replace", "path": "actve", "value": false}]), "invalidPath"),
        (json!([{"op": "replace", "path": "active", "value": 7}]), "invalidValue"),
        (json!([{"op": "replace", "path": "id", "value": "1"}]), "mutability"),
        (json!([{"op": "move", "path": "active"}]), "invalidSyntax"),
        (json!([]), "invalidSyntax"),
        (
            json!([{"op": "remove", "path": "emails"}, {"op": "replace", "path": "userName", "value": "ada"}]),
            "invalidValue",
        ),
    ] {
        assert_error(&scim.client.patch(&id, operations).await, 400, Some(kind));
    }
}

/// What an administrator has changed stays until the client changes the attribute itself.
#[apply(both_databases)]
async fn a_change_keeps_what_an_administrator_has_set(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let id = scim.user("ada@example.com").await;
    let body = json!({"email": "renamed@example.com", "name": "Renamed"});
    scim.app.admin().patch(&format!("/v4/people/{id}"), &body).await.expect(200);
    scim.client.patch(&id, json!([{"op": "replace", "path": "name.givenName", "value": ""}])).await.expect(200);
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["name"]), (&json!("renamed@example.com"), &json!("Renamed")));
    scim.client.patch(&id, json!([{"op": "replace", "path": "displayName", "value": "Ada"}])).await.expect(200);
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["name"]), (&json!("renamed@example.com"), &json!("Ada")));
}

#[apply(both_databases)]
async fn a_deleted_user_is_gone_and_found_again_by_its_external_id(engine: Engine) {
    let scim = ScimApp::start(engine).await;
    let body = json!({"userName": "ada@example.com", "externalId": "00u1"});
    let id = id_of(&scim.client.post(USERS, &body).await.expect(201));
    let path = format!("{USERS}/{id}");
    scim.client.delete(&path).await.expect(204);
    for response in [
        scim.client.get(&path).await,
        scim.client.delete(&path).await,
        scim.client.put(&path, &body).await,
        scim.client.set_active(&id, true).await,
    ] {
        assert_error(&response, 404, None);
    }
    assert_eq!(scim.client.find("userName eq \"ada@example.com\"").await.json["totalResults"], 0);
    assert_eq!(scim.client.find("externalId eq \"00u1\"").await.json["totalResults"], 0);
    assert_eq!(scim.person(&id).await["disabledBy"], json!(["scim"]));
    assert_eq!(scim.actions(&id).await, ["person.added", "person.disabled", "person.deprovisioned"]);
    // The address is still that of the old account. Only the external ID finds it again.
    assert_error(&scim.client.post(USERS, &user_body("ada@example.com")).await, 409, Some("uniqueness"));
    let other = json!({"userName": "ada@example.com", "externalId": "00u2"});
    assert_error(&scim.client.post(USERS, &other).await, 409, Some("uniqueness"));
    let body = json!({"userName": "lovelace@example.com", "externalId": "00u1"});
    let linked = scim.client.post(USERS, &body).await.expect(201);
    assert_eq!((id_of(&linked), &linked.json["active"]), (id.clone(), &json!(true)));
    let person = scim.person(&id).await;
    assert_eq!((&person["email"], &person["disabledBy"]), (&json!("lovelace@example.com"), &json!([])));
    let actions = scim.actions(&id).await;
    assert_eq!(actions[3..], ["person.enabled", "person.changed", "person.provisioned"]);
    // An administrator who removes the account frees all of it.
    scim.app.admin().delete(&format!("/v4/people/{id}")).await.expect(204);
    assert_error(&scim.client.get(&path).await, 404, None);
    let again = scim.client.post(USERS, &body).await.expect(201);
    assert_ne!(id_of(&again), id);
}
