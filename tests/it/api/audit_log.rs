//! What is written down of a request: who, from where, with what, and how it ended.

use serde_json::{Value, json};

use crate::support::{Database, Engine, PASSWORD, Reply, TestApp, basic};

on_both!(
    a_request_leaves_its_address_its_program_and_its_id,
    refused_sign_ins_are_told_together,
    a_token_that_is_used_after_its_death_is_told,
    checks_that_let_nobody_in_are_told_to_those_who_run_the_service,
    a_script_that_signs_in_all_the_time_is_told_once_a_minute,
    events_are_filtered,
    workspaces_that_come_and_go_are_told_to_the_first_one,
    a_workspace_that_is_gone_keeps_no_refusal_from_being_told,
    a_flood_from_many_addresses_is_told_in_few_rows,
    people_do_not_see_from_where_others_act,
);

async fn events(app: &TestApp, query: &str) -> Vec<Value> {
    app.app.refusals().flush(false).await.unwrap();
    app.admin().get(&format!("/v4/events?allUsers=true&{query}")).await.expect(200).rows().clone()
}

async fn wrong(app: &TestApp, email: &str, from: &str) -> Reply {
    app.presenting(&[&basic(email, "not the password")]).from(from).get("/v4/people/current").await
}

async fn a_request_leaves_its_address_its_program_and_its_id(app: TestApp) {
    let token = app.admin().bearer().await;
    let client = app.presenting(&[&format!("Bearer {}", token.value)]).from("192.0.2.7");
    let mut request = client.request("DELETE", &token.path(), axum::body::Body::empty());
    request.headers_mut().insert("user-agent", format!("sweeper/1.0 {}", "x".repeat(300)).parse().unwrap());
    request.headers_mut().insert("x-request-id", "look-for-me".parse().unwrap());
    // Nobody who is not trusted says whence others come.
    request.headers_mut().insert("x-forwarded-for", "203.0.113.1".parse().unwrap());
    client.send(request).await.expect(204);
    let event = &events(&app, "action=token.deleted").await[0];
    assert_eq!((&event["address"], &event["requestId"]), (&json!("192.0.2.7"), &json!("look-for-me")));
    assert_eq!(event["userAgent"].as_str().unwrap().len(), 200);
    assert_eq!((&event["outcome"], &event["actorTokenId"]), (&json!("done"), &json!(token.token_id)));
}

async fn refused_sign_ins_are_told_together(app: TestApp) {
    let ada = app.person("ada").await;
    for _ in 0..3 {
        assert_eq!(wrong(&app, "ada@example.com", "192.0.2.1").await.status, 401);
    }
    assert_eq!(wrong(&app, "ada@example.com", "192.0.2.2").await.status, 401);
    assert_eq!(wrong(&app, "my secret password@x", "192.0.2.1").await.status, 401);
    let told = events(&app, "action=password.refused").await;
    let counted = |told: &[Value]| {
        let mut rows: Vec<(Value, Value, Value, Value)> = told
            .iter()
            .map(|e| (e["personId"].clone(), e["address"].clone(), e["details"]["count"].clone(), e["outcome"].clone()))
            .collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    };
    let mut expected = vec![
        (Value::Null, json!("192.0.2.1"), json!(1), json!("refused")),
        (json!(ada.id), json!("192.0.2.1"), json!(3), json!("refused")),
        (json!(ada.id), json!("192.0.2.2"), json!(1), json!("refused")),
    ];
    expected.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(counted(&told), expected);
    assert!(!format!("{told:?}").contains("my secret"), "what strangers type is not kept");
    assert_eq!(ada.get("/v4/events?action=password.refused").await.expect(200).rows().len(), 2, "she is told, too");
    // Within a minute the same is not told again; afterwards it is, with how often.
    for _ in 0..2 {
        wrong(&app, "ada@example.com", "192.0.2.1").await;
    }
    assert_eq!(events(&app, "action=password.refused").await.len(), 3);
    app.advance_seconds(60);
    let told = events(&app, "action=password.refused").await;
    assert_eq!((told.len(), &told[0]["details"]["count"]), (4, &json!(2)));
    // Ten are free; then they are not even looked at.
    for _ in 0..10 {
        wrong(&app, "ada@example.com", "192.0.2.1").await;
    }
    assert_eq!(wrong(&app, "ada@example.com", "192.0.2.1").await.status, 429);
    let told = events(&app, "action=password.throttled").await;
    assert_eq!((told.len(), &told[0]["personId"], &told[0]["label"]), (1, &json!(ada.id), &json!("ada@example.com")));
}

async fn a_token_that_is_used_after_its_death_is_told(app: TestApp) {
    let (deleted, short) = (app.admin().bearer().await, app.admin().bearer_for(json!({"lifetimeSeconds": 60})).await);
    app.admin().delete(&deleted.path()).await.expect(204);
    app.advance_seconds(60);
    for value in [&deleted.value, &short.value] {
        let dead = app.presenting(&[&format!("Bearer {value}")]).from("192.0.2.9");
        for path in ["/v4/auth", "/v4/people/current", "/v4/auth"] {
            assert_eq!(dead.get(path).await.status, 401);
        }
    }
    let told = events(&app, "action=token.used_after_death").await;
    let of = |id: &str| told.iter().find(|event| event["target"] == id).unwrap();
    for (token, cause) in [(&deleted, "deleted"), (&short, "expired")] {
        let event = of(&token.token_id);
        assert_eq!((&event["details"]["cause"], &event["details"]["count"]), (&json!(cause), &json!(3)), "{event}");
        assert_eq!((&event["personId"], &event["address"]), (&json!(1), &json!("192.0.2.9")), "{event}");
        assert!(event["details"]["lastAt"].is_string());
    }
    let dead = app.presenting(&[&format!("Bearer {}", deleted.value)]).from("192.0.2.9");
    dead.get("/v4/auth").await;
    app.advance_seconds(3_599);
    assert_eq!(events(&app, "action=token.used_after_death").await.len(), 2, "not more often than every hour");
    app.advance_seconds(1);
    assert_eq!(events(&app, "action=token.used_after_death").await.len(), 3);
}

async fn checks_that_let_nobody_in_are_told_to_those_who_run_the_service(app: TestApp) {
    for _ in 0..4 {
        app.presenting(&["Bearer nonsense"]).get("/v4/auth").await;
    }
    app.anonymous().get("/v4/auth").await;
    let told = events(&app, "action=checks.refused").await;
    let count = |cause: &str| {
        let event = told.iter().find(|event| event["details"]["cause"].as_str().unwrap().contains(cause));
        event.map(|event| event["details"]["count"].clone())
    };
    assert_eq!((count("not a credential"), count("no credential")), (Some(json!(4)), Some(json!(1))), "{told:?}");
    assert!(told.iter().all(|event| event["target"] == "/v4/auth"));
}

async fn a_script_that_signs_in_all_the_time_is_told_once_a_minute(app: TestApp) {
    let ada = app.person("ada").await;
    for _ in 0..3 {
        ada.get("/v4/people/current").await.expect(200);
    }
    assert_eq!(events(&app, &format!("action=password.accepted&personId={}", ada.id)).await.len(), 1);
    app.advance_seconds(61);
    ada.get("/v4/people/current").await.expect(200);
    assert_eq!(events(&app, &format!("action=password.accepted&personId={}", ada.id)).await.len(), 2);
    app.advance_seconds(61);
    app.signed_in("ada@example.com").await;
    assert_eq!(
        events(&app, &format!("action=password.accepted&personId={}", ada.id)).await.len(),
        2,
        "a page says so itself"
    );
}

async fn events_are_filtered(app: TestApp) {
    let ada = app.person("ada").await;
    app.advance_seconds(10);
    app.admin().change(ada.id, json!({"name": "Ada L."})).await.expect(200);
    let all = events(&app, "").await;
    assert_eq!(events(&app, &format!("personId={}", ada.id)).await.len(), 2);
    assert_eq!(events(&app, "actorId=1").await.len(), all.len());
    assert_eq!(events(&app, "actorId=99").await.len(), 0);
    assert_eq!(events(&app, "since=2026-01-01T00:00:05Z").await.len(), 1);
    assert_eq!(events(&app, "until=2026-01-01T00:00:05Z").await.len(), all.len() - 1);
    for wrong in ["action=token.eaten", "since=yesterday", "until=2026-13-01T00:00:00Z", "personId=x"] {
        app.admin().get(&format!("/v4/events?{wrong}")).await.expect(400);
    }
    ada.get("/v4/events?personId=1").await.expect_error(403, "AccessControlException");
    assert_eq!(
        ada.get(&format!("/v4/events?personId={}&action=person.added", ada.id)).await.expect(200).rows().len(),
        1
    );
}

async fn workspaces_that_come_and_go_are_told_to_the_first_one(app: TestApp) {
    let other = app.other_admin("eve").await;
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    let told: Vec<Value> = events(&app, "").await.iter().map(|event| event["action"].clone()).collect();
    assert_eq!(told[..2], [json!("workspace.removed"), json!("workspace.created")]);
}

async fn a_workspace_that_is_gone_keeps_no_refusal_from_being_told(app: TestApp) {
    let other = app.other_admin("eve").await;
    wrong(&app, &other.email, "192.0.2.1").await;
    events(&app, "").await;
    wrong(&app, &other.email, "192.0.2.1").await;
    wrong(&app, "admin@example.com", "192.0.2.1").await;
    app.admin().delete(&format!("/v4/workspaces/{}", other.workspace_id)).await.expect(204);
    app.advance_seconds(60);
    assert_eq!(events(&app, "action=password.refused&personId=1").await.len(), 1);
}

async fn a_flood_from_many_addresses_is_told_in_few_rows(app: TestApp) {
    // Of one /64, and then of many.
    for n in 0..8 {
        wrong(&app, "admin@example.com", &format!("2001:db8::{n}")).await;
    }
    let told = events(&app, "action=password.refused").await;
    assert_eq!((told.len(), &told[0]["details"]["count"]), (1, &json!(8)));
    let tries = 80;
    for n in 0..tries {
        wrong(&app, "nobody@example.com", &format!("192.0.2.{n}")).await;
    }
    let counts = |told: &[Value]| -> Vec<i64> {
        told.iter()
            .filter(|event| event["personId"].is_null())
            .map(|event| event["details"]["count"].as_i64().unwrap())
            .collect()
    };
    let refused = counts(&events(&app, "action=password.refused").await);
    let throttled = counts(&events(&app, "action=password.throttled").await);
    // None is lost, and of one kind no more than fifty addresses have rows of their own; the others share one.
    assert_eq!(refused.iter().chain(&throttled).sum::<i64>(), tries);
    assert_eq!(throttled.len(), 51, "{throttled:?}");
    assert_eq!(throttled.iter().filter(|count| **count == 1).count(), 50, "{throttled:?}");
    assert_eq!(refused.len(), 10, "{refused:?}");
}

async fn people_do_not_see_from_where_others_act(app: TestApp) {
    let ada = app.person("ada").await;
    let admin = app.admin().bearer().await;
    let acting = app.presenting(&[&format!("Bearer {}", admin.value)]).from("192.0.2.99");
    acting.patch(&format!("/v4/people/{}", ada.id), &json!({"name": "Ada L."})).await.expect(200);
    let seen = |reply: &Reply| {
        let event = reply.rows()[0].clone();
        (event["actor"].clone(), event["address"].clone(), event["actorTokenId"].clone())
    };
    let hers = ada.get("/v4/events?action=person.changed").await.expect(200);
    assert_eq!(seen(&hers), (json!("admin@example.com"), Value::Null, Value::Null));
    let theirs = app.admin().get(&format!("/v4/events?action=person.changed&personId={}", ada.id)).await.expect(200);
    assert_eq!(seen(&theirs), (json!("admin@example.com"), json!("192.0.2.99"), json!(admin.token_id)));
}

/// A trusted proxy says whence its clients come.
#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let database = Database::migrated(Engine::Sqlite).await;
    let app =
        TestApp::with(database, |config| config.listen.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let ask = async |from: &str, forwarded: &str| {
        let client = app.presenting(&[&basic("admin@example.com", "wrong")]).from(from);
        let mut request = client.request("GET", "/v4/people/current", axum::body::Body::empty());
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        client.send(request).await
    };
    ask("10.1.1.1", "198.51.100.1, 203.0.113.5").await;
    ask("203.0.113.77", "198.51.100.1").await;
    let mut told: Vec<Value> =
        events(&app, "action=password.refused").await.iter().map(|event| event["address"].clone()).collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [json!("203.0.113.5"), json!("203.0.113.77")]);
    assert_eq!(app.admin().get("/v4/people/current").await.status, 200, "{PASSWORD}");
}
