//! `POST /v4/apiAccessTokens/delete`

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::{domain::time::Timestamp, service::audit_verify::verify};

use crate::support::{Engine, PersonClient, TestApp, TokenClient, both_databases, insert_tokens_sql};

const PATH: &str = "/v4/apiAccessTokens/delete";

async fn delete(client: &PersonClient, body: Value) -> (u64, u64) {
    let response = client.post(PATH, &body).await.expect(200);
    (response.json["matched"].as_u64().unwrap(), response.json["deleted"].as_u64().unwrap())
}

async fn create(person: &PersonClient, description: &str) -> TokenClient {
    person.create_token_with(json!({"lifetimeSeconds": 3_600, "description": description})).await
}

#[apply(both_databases)]
async fn matching_tokens_are_counted_first_and_then_deleted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (old, kept) = (create(&admin, "old job").await, create(&admin, "new job").await);
    let expired = admin.create_token_with(json!({"lifetimeSeconds": 1, "description": "OLD"})).await;
    app.advance_seconds(1);
    assert!(old.is_accepted().await && kept.is_accepted().await);
    assert_eq!(delete(&admin, json!({"description": "old", "dryRun": true})).await, (2, 0));
    assert!(old.is_accepted().await, "a dry run deletes nothing");
    assert_eq!(delete(&admin, json!({"description": "old", "dryRun": false})).await, (2, 2));
    assert!(!old.is_accepted().await && kept.is_accepted().await);
    admin.get(&expired.token_path()).await.expect(404);
    assert_eq!(delete(&admin, json!({"description": "old", "dryRun": false})).await, (0, 0));
    let events = admin.get("/v4/events?limit=3").await.expect(200);
    let summary = &events.rows()[0];
    assert_eq!((&summary["action"], &summary["label"]), (&json!("tokens.bulk_deleted"), &json!("2 tokens")));
    assert_eq!(summary["details"], json!({"count": 2, "filter": {"description": "old"}}));
    assert_eq!((&summary["target"], &summary["personId"]), (&json!("1"), &json!(1)));
    let mut deleted: Vec<_> = events.rows()[1..].iter().map(|event| event["target"].as_str().unwrap()).collect();
    deleted.sort_unstable();
    let mut expected = [old.token_id.as_str(), expired.token_id.as_str()];
    expected.sort_unstable();
    assert_eq!(deleted, expected);
    assert!(events.rows()[1..].iter().all(|event| event["action"] == "token.deleted"));
    assert!(verify(&app.store).await.unwrap().findings.is_empty());
}

#[apply(both_databases)]
async fn members_delete_their_own_tokens_only(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.set_setting("allowUsers", true).await;
    let admin = app.admin();
    let (ada, bob) = (app.add_person("ada").await, app.add_person("bob").await);
    let other = app.create_workspace_with_admin("eve").await;
    let tokens = [create(&ada, "job").await, create(&bob, "job").await, create(&admin, "job").await];
    let foreign = create(&other, "job").await;
    for body in [
        json!({"description": "job", "allUsers": true, "dryRun": false}),
        json!({"description": "job", "allUsers": true, "dryRun": true}),
        json!({"description": "job", "personId": bob.id, "dryRun": false}),
        json!({"all": true, "personId": bob.id, "dryRun": false}),
    ] {
        ada.post(PATH, &body).await.expect_error(403, "AccessControlException");
    }
    assert_eq!(delete(&ada, json!({"description": "job", "personId": ada.id, "dryRun": false})).await, (1, 1));
    assert!(!tokens[0].is_accepted().await && tokens[1].is_accepted().await);
    // People of other workspaces have no tokens, as in lists.
    assert_eq!(delete(&admin, json!({"all": true, "personId": other.id, "dryRun": false})).await, (0, 0));
    assert_eq!(delete(&admin, json!({"description": "job", "personId": bob.id, "dryRun": false})).await, (1, 1));
    assert!(!tokens[1].is_accepted().await && tokens[2].is_accepted().await);
    create(&ada, "job").await;
    assert_eq!(delete(&admin, json!({"description": "JOB", "allUsers": true, "dryRun": false})).await, (2, 2));
    assert!(!tokens[2].is_accepted().await && foreign.is_accepted().await);
    let event = &admin.get("/v4/events?allUsers=true&limit=1").await.expect(200).rows()[0].clone();
    assert_eq!((&event["target"], &event["personId"]), (&json!("1"), &Value::Null));
}

#[apply(both_databases)]
async fn all_tokens_are_deleted_only_on_request(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let token = create(&admin, "job").await;
    for (body, word) in [
        (json!({"dryRun": false}), "all"),
        (json!({"dryRun": true}), "all"),
        (json!({"all": false, "dryRun": false}), "all"),
        (json!({"allUsers": true, "dryRun": false}), "all"),
        (json!({"personId": 1, "dryRun": false}), "all"),
        (json!({"all": true, "status": "active", "dryRun": false}), "all"),
        (json!({"description": "", "dryRun": false}), "description"),
        (json!({"description": "x".repeat(256), "dryRun": false}), "description"),
        (json!({"all": true}), "dryRun"),
        (json!({"neverUsed": true, "lastUsedAfter": "2026-01-01T00:00:00Z", "dryRun": false}), "neverUsed"),
    ] {
        let details = admin.post(PATH, &body).await.expect_error(400, "ValidationFailed");
        assert!(details.contains(word), "{body}: {details}");
    }
    assert!(token.is_accepted().await);
    assert_eq!(delete(&admin, json!({"all": true, "dryRun": true})).await, (1, 0));
    assert_eq!(delete(&admin, json!({"all": true, "dryRun": false})).await, (1, 1));
    assert!(!token.is_accepted().await);
}

#[apply(both_databases)]
async fn the_body_is_strict(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let token = create(&admin, "job").await;
    for (field, value, expected) in [
        ("limit", json!(5), "limit is unknown"),
        ("descripton", json!("x"), "did you mean description"),
        ("dry_run", json!(true), "did you mean dryRun"),
        ("unusedSince", json!("2026-01-01T00:00:00Z"), "unusedSince is unknown"),
        ("status", Value::Null, "status must be a value other than null"),
        ("description", Value::Null, "description must be a value other than null"),
        ("createdBefore", Value::Null, "createdBefore must be a value other than null"),
        ("neverUsed", Value::Null, "neverUsed must be a value other than null"),
        ("allUsers", Value::Null, "allUsers must be a value other than null"),
        ("personId", Value::Null, "personId must be a value other than null"),
        ("personId", json!("1"), "personId must be a whole number"),
        ("personId", json!(1.5), "personId must be a whole number"),
        ("createdBefore", json!("2026-01-01"), "createdBefore must be a time"),
        ("expiresAfter", json!(1_767_225_600), "expiresAfter must be a time"),
        ("lastUsedBefore", json!("yesterday"), "lastUsedBefore must be a time"),
        ("neverUsed", json!("true"), "neverUsed must be a boolean"),
        ("status", json!("dead"), "status"),
        ("all", json!(1), "all must be a boolean"),
    ] {
        let mut body = json!({"dryRun": false});
        body[field] = value;
        let details = admin.post(PATH, &body).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains(expected), "{body}: {details}");
    }
    for body in [json!({"all": true, "dryRun": null}), json!({"all": null, "dryRun": false}), json!([])] {
        admin.post(PATH, &body).await.expect_error(400, "ApiValidationFailed");
    }
    for path in [PATH, "/v4/apiaccesstokens/DELETE/"] {
        admin.post(&format!("{path}?dryRun=true"), &json!({"all": true, "dryRun": true})).await.expect(400);
        admin.post(path, &json!({"all": true, "dryRun": true})).await.expect(200);
        admin.get(path).await.expect_error(404, "RouteNotFoundException");
    }
    assert!(token.is_accepted().await);
}

#[apply(both_databases)]
async fn the_token_that_authenticates_is_deleted_too(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = create(&app.admin(), "job").await;
    let response = token.post(PATH, &json!({"all": true, "dryRun": false})).await.expect(200);
    assert_eq!(response.json, json!({"matched": 1, "deleted": 1}));
    token.post(PATH, &json!({"all": true, "dryRun": false})).await.expect_error(401, "MissingPersonException");
}

/// The use of the token is in memory, and is written before the filter is applied.
#[apply(both_databases)]
async fn a_token_that_was_just_used_is_not_unused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (used, unused) = (create(&admin, "a").await, create(&admin, "b").await);
    assert!(used.is_accepted().await);
    assert_eq!(delete(&admin, json!({"neverUsed": true, "dryRun": false})).await, (1, 1));
    assert!(used.is_accepted().await && !unused.is_accepted().await);
}

#[apply(both_databases)]
async fn a_request_deletes_at_most_1000_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fill = insert_tokens_sql(app.database.engine, 1_500, "", Timestamp::from_millis(1_767_225_600_000), None);
    app.store.close().await;
    app.database.execute_sql(&fill).await;
    // The second deletion waits for the first one, which takes seconds on a busy machine.
    let app = TestApp::start_with(app.database, |config| {
        config.http.request_timeout = tokenward::config::ConfigDuration::from_millis(600_000);
    });
    let app = app.await;
    let admin = app.admin();
    let body = json!({"neverUsed": true, "dryRun": false});
    let (first, second) = tokio::join!(delete(&admin, body.clone()), delete(&admin, body.clone()));
    let mut results = [first, second];
    results.sort_unstable();
    assert_eq!(results, [(500, 500), (1_500, 1_000)], "two deletions at once");
    assert_eq!(delete(&admin, body).await, (0, 0));
    assert!(verify(&app.store).await.unwrap().findings.is_empty());
}

#[apply(both_databases)]
async fn nothing_is_deleted_while_the_feature_is_off(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let token = create(&admin, "job").await;
    app.set_setting("enabled", false).await;
    let body = json!({"all": true, "dryRun": false});
    admin.post(PATH, &body).await.expect_error(404, "RouteNotFoundException");
    app.set_setting("enabled", true).await;
    assert!(token.is_accepted().await);
}
