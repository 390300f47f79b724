//! `GET /v4/events`.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Engine, TestApp, TestResponse, both_databases};

/// Returns action and actor of the events, without logins.
fn actions_and_actors(response: &TestResponse) -> Vec<(&str, &str)> {
    let rows = response.rows().iter().filter(|row| row["action"] != "login.succeeded");
    rows.map(|row| (row["action"].as_str().unwrap(), row["actor"].as_str().unwrap())).collect()
}

#[apply(both_databases)]
async fn people_list_their_own_events_and_administrators_the_workspaces(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    let token = ada.create_token().await;
    let second = token.post("/v4/apiAccessTokens", &crate::support::one_hour_token()).await.expect(201);
    app.set_setting("maxLifetimeDays", 7).await;
    app.admin().delete(&token.token_path()).await.expect(204);
    let own = ada.get("/v4/events").await.expect(200);
    let (admin, ada_email) = ("admin@example.com", "ada@example.com");
    let expected = [
        ("token.deleted", admin),
        ("token.created", ada_email),
        ("token.created", ada_email),
        ("person.changed", admin),
        ("person.added", admin),
    ];
    assert_eq!(actions_and_actors(&own), expected);
    let [deleted, created, ..] = own.rows().as_slice() else { panic!() };
    assert_eq!((&deleted["target"], &deleted["personId"]), (&json!(token.token_id), &json!(ada.id)));
    // The event names the token that created the other.
    assert_eq!(
        (&created["actorTokenId"], &created["target"]),
        (&json!(token.token_id), &second.json["tokenInfo"]["tokenId"])
    );
    assert_eq!(deleted["actorTokenId"], Value::Null);
    ada.get("/v4/events?allUsers=true").await.expect_error(403, "AccessControlException");
    let all = app.admin().get("/v4/events?allUsers=true").await.expect(200);
    assert_eq!(actions_and_actors(&all)[1], ("setting.changed", admin));
    assert_eq!(all.rows()[1]["details"], json!({"from": "default", "to": "7"}));
    app.anonymous().get("/v4/events").await.expect_error(401, "MissingPersonException");
}

#[apply(both_databases)]
async fn events_are_paged_by_cursor(engine: Engine) {
    let app = TestApp::start(engine).await;
    for name in ["a", "b", "c"] {
        app.add_person(name).await;
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

#[apply(both_databases)]
async fn events_are_confined_to_their_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.add_person("ada").await;
    let other = app.create_workspace_with_admin("other").await;
    let response = other.get("/v4/events?allUsers=true").await.expect(200);
    assert_eq!(actions_and_actors(&response), [("person.added", "admin@example.com")]);
    assert!(!response.text.contains("ada@example.com"));
}

#[apply(both_databases)]
async fn no_event_contains_a_secret(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    app.signed_in_browser("admin@example.com").await;
    let all = app.admin().get("/v4/events?allUsers=true").await.expect(200);
    assert!(!all.text.contains(&token.value) && !all.text.contains(crate::support::PASSWORD));
}
