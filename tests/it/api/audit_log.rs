//! The audit log: actor, client address, user agent and outcome of requests.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Database, Engine, PASSWORD, TestApp, TestResponse, basic_auth, both_databases};

async fn list_events(app: &TestApp, query: &str) -> Vec<Value> {
    app.state.denied_attempts().flush(false).await.unwrap();
    app.admin().get(&format!("/v4/events?allUsers=true&{query}")).await.expect(200).rows().clone()
}

async fn send_wrong_password(app: &TestApp, email: &str, from: &str) -> TestResponse {
    app.client_with_authorization(&[&basic_auth(email, "not the password")])
        .with_address(from)
        .get("/v4/people/current")
        .await
}

#[apply(both_databases)]
async fn events_record_client_address_user_agent_and_request_id(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    let client = app.client_with_authorization(&[&format!("Bearer {}", token.value)]).with_address("192.0.2.7");
    let mut request = client.request("DELETE", &token.token_path(), axum::body::Body::empty());
    request.headers_mut().insert("user-agent", format!("sweeper/1.0 {}", "x".repeat(300)).parse().unwrap());
    request.headers_mut().insert("x-request-id", "look-for-me".parse().unwrap());
    // Forwarding headers of untrusted peers are ignored.
    request.headers_mut().insert("x-forwarded-for", "203.0.113.1".parse().unwrap());
    client.send(request).await.expect(204);
    let event = &list_events(&app, "action=token.deleted").await[0];
    assert_eq!((&event["address"], &event["requestId"]), (&json!("192.0.2.7"), &json!("look-for-me")));
    assert_eq!(event["userAgent"].as_str().unwrap().len(), 200);
    assert_eq!((&event["outcome"], &event["actorTokenId"]), (&json!("success"), &json!(token.token_id)));
}

#[apply(both_databases)]
async fn failed_logins_are_aggregated(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    for _ in 0..3 {
        assert_eq!(send_wrong_password(&app, "ada@example.com", "192.0.2.1").await.status, 401);
    }
    assert_eq!(send_wrong_password(&app, "ada@example.com", "192.0.2.2").await.status, 401);
    assert_eq!(send_wrong_password(&app, "my secret password@x", "192.0.2.1").await.status, 401);
    let events = list_events(&app, "action=login.failed").await;
    let counted = |events: &[Value]| {
        let mut rows: Vec<(Value, Value, Value, Value)> = events
            .iter()
            .map(|e| (e["personId"].clone(), e["address"].clone(), e["details"]["count"].clone(), e["outcome"].clone()))
            .collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    };
    let mut expected = vec![
        (Value::Null, json!("192.0.2.1"), json!(1), json!("denied")),
        (json!(ada.id), json!("192.0.2.1"), json!(3), json!("denied")),
        (json!(ada.id), json!("192.0.2.2"), json!(1), json!("denied")),
    ];
    expected.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(counted(&events), expected);
    assert!(!format!("{events:?}").contains("my secret"), "the submitted e-mail of an unknown account is not recorded");
    assert_eq!(
        ada.get("/v4/events?action=login.failed").await.expect(200).rows().len(),
        2,
        "the account owner sees them"
    );
    // Within a minute the same failure adds no event; afterwards one event counts the failures.
    for _ in 0..2 {
        send_wrong_password(&app, "ada@example.com", "192.0.2.1").await;
    }
    assert_eq!(list_events(&app, "action=login.failed").await.len(), 3);
    app.advance_seconds(60);
    let events = list_events(&app, "action=login.failed").await;
    assert_eq!((events.len(), &events[0]["details"]["count"]), (4, &json!(2)));
    // After ten failures attempts are throttled without checking the password.
    for _ in 0..10 {
        send_wrong_password(&app, "ada@example.com", "192.0.2.1").await;
    }
    assert_eq!(send_wrong_password(&app, "ada@example.com", "192.0.2.1").await.status, 429);
    let events = list_events(&app, "action=login.throttled").await;
    assert_eq!(
        (events.len(), &events[0]["personId"], &events[0]["label"]),
        (1, &json!(ada.id), &json!("ada@example.com"))
    );
}

#[apply(both_databases)]
async fn use_of_a_deleted_or_expired_token_is_recorded(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (deleted, short) =
        (app.admin().create_token().await, app.admin().create_token_with(json!({"lifetimeSeconds": 60})).await);
    app.admin().delete(&deleted.token_path()).await.expect(204);
    app.advance_seconds(60);
    for value in [&deleted.value, &short.value] {
        let client = app.client_with_authorization(&[&format!("Bearer {value}")]).with_address("192.0.2.9");
        for path in ["/v4/auth", "/v4/people/current", "/v4/auth"] {
            assert_eq!(client.get(path).await.status, 401);
        }
    }
    let events = list_events(&app, "action=token.rejected_revoked").await;
    let of = |id: &str| events.iter().find(|event| event["target"] == id).unwrap();
    for (token, cause) in [(&deleted, "deleted"), (&short, "expired")] {
        let event = of(&token.token_id);
        assert_eq!((&event["details"]["cause"], &event["details"]["count"]), (&json!(cause), &json!(3)), "{event}");
        assert_eq!((&event["personId"], &event["address"]), (&json!(1), &json!("192.0.2.9")), "{event}");
        assert!(event["details"]["lastAt"].is_string());
    }
    let client = app.client_with_authorization(&[&format!("Bearer {}", deleted.value)]).with_address("192.0.2.9");
    client.get("/v4/auth").await;
    app.advance_seconds(3_599);
    assert_eq!(list_events(&app, "action=token.rejected_revoked").await.len(), 2, "at most one event an hour");
    app.advance_seconds(1);
    assert_eq!(list_events(&app, "action=token.rejected_revoked").await.len(), 3);
}

#[apply(both_databases)]
async fn denied_auth_checks_are_recorded_for_the_first_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    for _ in 0..4 {
        app.client_with_authorization(&["Bearer nonsense"]).get("/v4/auth").await;
    }
    app.anonymous().get("/v4/auth").await;
    let events = list_events(&app, "action=auth_check.denied").await;
    let count = |cause: &str| {
        let event = events.iter().find(|event| event["details"]["cause"].as_str().unwrap().contains(cause));
        event.map(|event| event["details"]["count"].clone())
    };
    assert_eq!((count("malformed credential"), count("no credential")), (Some(json!(4)), Some(json!(1))), "{events:?}");
    assert!(events.iter().all(|event| event["target"] == "/v4/auth"));
}

#[apply(both_databases)]
async fn successful_logins_of_a_script_are_recorded_once_a_minute(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    for _ in 0..3 {
        ada.get("/v4/people/current").await.expect(200);
    }
    assert_eq!(list_events(&app, &format!("action=login.succeeded&personId={}", ada.id)).await.len(), 1);
    app.advance_seconds(61);
    ada.get("/v4/people/current").await.expect(200);
    assert_eq!(list_events(&app, &format!("action=login.succeeded&personId={}", ada.id)).await.len(), 2);
    app.advance_seconds(61);
    app.signed_in_browser("ada@example.com").await;
    assert_eq!(
        list_events(&app, &format!("action=login.succeeded&personId={}", ada.id)).await.len(),
        2,
        "the sign-in page records an event of its own"
    );
}

#[apply(both_databases)]
async fn events_are_filtered(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    app.advance_seconds(10);
    app.admin().update_person(ada.id, json!({"name": "Ada L."})).await.expect(200);
    let all = list_events(&app, "").await;
    assert_eq!(list_events(&app, &format!("personId={}", ada.id)).await.len(), 2);
    assert_eq!(list_events(&app, "actorId=1").await.len(), all.len());
    assert_eq!(list_events(&app, "actorId=99").await.len(), 0);
    assert_eq!(list_events(&app, "since=2026-01-01T00:00:05Z").await.len(), 1);
    assert_eq!(list_events(&app, "until=2026-01-01T00:00:05Z").await.len(), all.len() - 1);
    for wrong in ["action=token.eaten", "since=yesterday", "until=2026-13-01T00:00:00Z", "personId=x"] {
        app.admin().get(&format!("/v4/events?{wrong}")).await.expect(400);
    }
    ada.get("/v4/events?personId=1").await.expect_error(403, "AccessControlException");
    assert_eq!(
        ada.get(&format!("/v4/events?personId={}&action=person.added", ada.id)).await.expect(200).rows().len(),
        1
    );
}

#[apply(both_databases)]
async fn workspace_creation_and_removal_are_recorded_in_the_first_workspace(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    let events: Vec<Value> = list_events(&app, "").await.iter().map(|event| event["action"].clone()).collect();
    assert_eq!(events[..2], [json!("workspace.removed"), json!("workspace.created")]);
}

#[apply(both_databases)]
async fn a_removed_workspace_does_not_block_other_denied_attempts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.create_workspace_with_admin("eve").await;
    send_wrong_password(&app, &other.email, "192.0.2.1").await;
    list_events(&app, "").await;
    send_wrong_password(&app, &other.email, "192.0.2.1").await;
    send_wrong_password(&app, "admin@example.com", "192.0.2.1").await;
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    app.advance_seconds(60);
    assert_eq!(list_events(&app, "action=login.failed&personId=1").await.len(), 1);
}

#[apply(both_databases)]
async fn a_flood_from_many_addresses_is_recorded_in_few_rows(engine: Engine) {
    let app = TestApp::start(engine).await;
    // First from one /64, then from many addresses.
    for n in 0..8 {
        send_wrong_password(&app, "admin@example.com", &format!("2001:db8::{n}")).await;
    }
    let events = list_events(&app, "action=login.failed").await;
    assert_eq!((events.len(), &events[0]["details"]["count"]), (1, &json!(8)));
    let attempts = 80;
    for n in 0..attempts {
        send_wrong_password(&app, "unknown@example.com", &format!("192.0.2.{n}")).await;
    }
    let counts = |events: &[Value]| -> Vec<i64> {
        events
            .iter()
            .filter(|event| event["personId"].is_null())
            .map(|event| event["details"]["count"].as_i64().unwrap())
            .collect()
    };
    let failed = counts(&list_events(&app, "action=login.failed").await);
    let throttled = counts(&list_events(&app, "action=login.throttled").await);
    // Every attempt is counted. At most fifty addresses have rows of their own per kind; the others
    // share one.
    assert_eq!(failed.iter().chain(&throttled).sum::<i64>(), attempts);
    assert_eq!(throttled.len(), 51, "{throttled:?}");
    assert_eq!(throttled.iter().filter(|count| **count == 1).count(), 50, "{throttled:?}");
    assert_eq!(failed.len(), 10, "{failed:?}");
}

#[apply(both_databases)]
async fn people_do_not_see_the_addresses_of_others(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.add_person("ada").await;
    let admin = app.admin().create_token().await;
    let acting = app.client_with_authorization(&[&format!("Bearer {}", admin.value)]).with_address("192.0.2.99");
    acting.patch(&format!("/v4/people/{}", ada.id), &json!({"name": "Ada L."})).await.expect(200);
    let visible_fields = |response: &TestResponse| {
        let event = response.rows()[0].clone();
        (event["actor"].clone(), event["address"].clone(), event["actorTokenId"].clone())
    };
    let own_events = ada.get("/v4/events?action=person.changed").await.expect(200);
    assert_eq!(visible_fields(&own_events), (json!("admin@example.com"), Value::Null, Value::Null));
    let all_events =
        app.admin().get(&format!("/v4/events?action=person.changed&personId={}", ada.id)).await.expect(200);
    assert_eq!(visible_fields(&all_events), (json!("admin@example.com"), json!("192.0.2.99"), json!(admin.token_id)));
}

/// The client address is that of the forwarding header of a trusted proxy.
#[tokio::test]
async fn client_address_comes_from_the_trusted_proxy() {
    let database = Database::migrated(Engine::Sqlite).await;
    let app =
        TestApp::start_with(database, |config| config.listen.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()])
            .await;
    let send = async |from: &str, forwarded: &str| {
        let client = app.client_with_authorization(&[&basic_auth("admin@example.com", "wrong")]).with_address(from);
        let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        client.send(request).await
    };
    send("10.1.1.1", "198.51.100.1, 203.0.113.5").await;
    send("203.0.113.77", "198.51.100.1").await;
    let mut events: Vec<Value> =
        list_events(&app, "action=login.failed").await.iter().map(|event| event["address"].clone()).collect();
    events.sort_by_key(ToString::to_string);
    assert_eq!(events, [json!("203.0.113.5"), json!("203.0.113.77")]);
    assert_eq!(app.admin().get("/v4/people/current").await.status, 200, "{PASSWORD}");
}
