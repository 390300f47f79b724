//! `GET /v4/events`.

use serde_json::{Value, json};

use crate::support::{Reply, TestApp};

on_both!(
    people_see_what_happened_to_them_and_administrators_the_workspaces,
    a_list_goes_on_by_its_cursor,
    another_workspaces_events_are_its_own,
    no_event_holds_a_value,
);

/// Without those that tell of the requests themselves.
fn told(reply: &Reply) -> Vec<(&str, &str)> {
    let rows = reply.rows().iter().filter(|row| row["action"] != "password.accepted");
    rows.map(|row| (row["action"].as_str().unwrap(), row["actor"].as_str().unwrap())).collect()
}

async fn people_see_what_happened_to_them_and_administrators_the_workspaces(app: TestApp) {
    let ada = app.person("ada").await;
    app.admin().change(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.bearer().await;
    let second = token.post("/v4/apiAccessTokens", &crate::support::an_hour()).await.expect(201);
    app.set("maxLifetimeDays", 7).await;
    app.admin().delete(&token.path()).await.expect(204);
    let own = ada.get("/v4/events").await.expect(200);
    let (admin, ada_email) = ("admin@example.com", "ada@example.com");
    let expected = [
        ("token.deleted", admin),
        ("token.created", ada_email),
        ("token.created", ada_email),
        ("person.changed", admin),
        ("person.added", admin),
    ];
    assert_eq!(told(&own), expected);
    let [deleted, made, ..] = own.rows().as_slice() else { panic!() };
    assert_eq!((&deleted["target"], &deleted["personId"]), (&json!(token.token_id), &json!(ada.id)));
    // Which token made the other, and that it was one.
    assert_eq!(
        (&made["actorTokenId"], &made["target"]),
        (&json!(token.token_id), &second.json["tokenInfo"]["tokenId"])
    );
    assert_eq!(deleted["actorTokenId"], Value::Null);
    ada.get("/v4/events?allUsers=true").await.expect_error(403, "AccessControlException");
    let all = app.admin().get("/v4/events?allUsers=true").await.expect(200);
    assert_eq!(told(&all)[1], ("setting.changed", admin));
    assert_eq!(all.rows()[1]["details"], json!({"from": "default", "to": "7"}));
    app.anonymous().get("/v4/events").await.expect_error(401, "MissingPersonException");
}

async fn a_list_goes_on_by_its_cursor(app: TestApp) {
    for name in ["a", "b", "c"] {
        app.person(name).await;
    }
    let admin = app.admin();
    let all = admin.get("/v4/events?allUsers=true").await.expect(200);
    assert_eq!((all.rows().len(), all.json.get("nextCursor")), (4, None));
    let first = admin.get("/v4/events?allUsers=true&limit=2").await.expect(200);
    let cursor = first.json["nextCursor"].as_str().unwrap();
    let second = admin.get(&format!("/v4/events?allUsers=true&limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!([first.rows().as_slice(), second.rows()].concat(), all.rows()[..4]);
    for wrong in ["cursor=x", "cursor=-1", "cursor=01", "limit=0", "limit=1001", "allUsers=maybe"] {
        admin.get(&format!("/v4/events?{wrong}")).await.expect(400);
    }
}

async fn another_workspaces_events_are_its_own(app: TestApp) {
    app.person("ada").await;
    let other = app.other_admin("other").await;
    let reply = other.get("/v4/events?allUsers=true").await.expect(200);
    assert_eq!(told(&reply), [("person.added", "admin@example.com")]);
    assert!(!reply.text.contains("ada@example.com"));
}

async fn no_event_holds_a_value(app: TestApp) {
    let token = app.admin().bearer().await;
    app.signed_in("admin@example.com").await;
    let all = app.admin().get("/v4/events?allUsers=true").await.expect(200);
    assert!(!all.text.contains(&token.value) && !all.text.contains(crate::support::PASSWORD));
}
