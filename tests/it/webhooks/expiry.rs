//! Events of tokens that expire soon.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{create_webhook, deliver_all, start};
use crate::support::{Engine, TestApp, TokenClient, both_databases, receiver::Receiver};

const DAY: i64 = 86_400;

async fn create_token(app: &TestApp, days: i64) -> TokenClient {
    app.admin().create_token_with(json!({"lifetimeSeconds": days * DAY, "description": "nightly"})).await
}

/// Returns the days of all warnings of a token, in the order in which they were recorded.
async fn warnings(app: &TestApp, token: &TokenClient) -> Vec<i64> {
    let events = app.admin().get("/v4/events?allUsers=true&action=token.expiring&limit=1000").await.expect(200);
    let of_token = events.rows().iter().rev().filter(|row| row["target"] == token.token_id);
    of_token.map(|row| row["details"]["days"].as_i64().unwrap()).collect()
}

async fn record(app: &TestApp) -> u64 {
    app.state.expiry_warnings().record_due().await.unwrap()
}

#[apply(both_databases)]
async fn a_token_has_one_event_30_7_and_1_days_before_its_expiry(engine: Engine) {
    let app = start(engine).await;
    let mut receiver = Receiver::start().await;
    create_webhook(&app.admin(), &receiver.url(), &["token.expiring"]).await;
    let (long, month, week, day) = (
        create_token(&app, 60).await,
        create_token(&app, 30).await,
        create_token(&app, 7).await,
        create_token(&app, 1).await,
    );
    let forever = app.admin().create_token_with(json!({"lifetimeSeconds": -1})).await;
    assert_eq!(record(&app).await, 0);
    for _ in 0..61 {
        app.advance_seconds(DAY - 1);
        record(&app).await;
        app.advance_seconds(1);
        record(&app).await;
        assert_eq!(record(&app).await, 0, "each event is recorded once");
    }
    assert_eq!(warnings(&app, &long).await, [30, 7, 1]);
    assert_eq!(warnings(&app, &month).await, [7, 1]);
    assert_eq!(warnings(&app, &week).await, [1]);
    assert!(warnings(&app, &day).await.is_empty() && warnings(&app, &forever).await.is_empty());
    assert_eq!(deliver_all(&app).await, 6);
    let body: Value = serde_json::from_str(&receiver.next().await.body).unwrap();
    assert_eq!((&body["actor"], &body["personId"]), (&json!("system"), &json!(1)));
    assert_eq!((&body["details"]["description"], body["label"].as_str().unwrap().len()), (&json!("nightly"), 8));
    assert!(body["details"]["expiresAt"].is_string());
}

#[apply(both_databases)]
async fn after_an_outage_only_the_nearest_warning_is_recorded(engine: Engine) {
    let app = start(engine).await;
    let token = create_token(&app, 60).await;
    app.advance_seconds(55 * DAY);
    assert_eq!(record(&app).await, 1);
    assert_eq!(warnings(&app, &token).await, [7]);
    let expired = create_token(&app, 2).await;
    app.advance_seconds(10 * DAY);
    assert_eq!(record(&app).await, 0);
    assert!(warnings(&app, &expired).await.is_empty());
}

#[apply(both_databases)]
async fn tokens_that_do_not_authenticate_have_no_warning(engine: Engine) {
    let app = start(engine).await;
    let ada = app.add_person("ada").await;
    app.admin().update_person(ada.id, json!({"tokenAccess": "enabled"})).await.expect(200);
    ada.create_token_with(json!({"lifetimeSeconds": 20 * DAY})).await;
    app.admin().update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    let deleted = create_token(&app, 20).await;
    app.admin().delete(&deleted.token_path()).await.expect(204);
    app.advance_seconds(14 * DAY);
    assert_eq!(record(&app).await, 0);
    app.admin().update_person(ada.id, json!({"isDisabled": false})).await.expect(200);
    assert_eq!(record(&app).await, 1);
}

#[apply(both_databases)]
async fn a_workspace_sets_the_days(engine: Engine) {
    let app = start(engine).await;
    let set = async |value: Value, status: u16| {
        let body = json!({"configuration": [{"key": "tokenward.expiryWarningDays", "value": value}]});
        app.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(status)
    };
    for invalid in [json!([0]), json!([3651]), json!([1, 2, 3, 4, 5, 6, 7, 8, 9]), json!(30), json!("30"), json!([1.5])]
    {
        set(invalid, 400).await;
    }
    set(json!([14, 60, 14]), 200).await;
    let path = "/v4/workspaces/current/configuration?key=tokenward.expiryWarningDays";
    let read = app.admin().get(path).await.expect(200);
    assert_eq!((&read.json[0]["value"], &read.json[0]["default"]), (&json!([60, 14]), &json!([30, 7, 1])));
    let other = app.create_workspace_with_admin("other").await;
    other.create_token_with(json!({"lifetimeSeconds": 90 * DAY})).await;
    let token = create_token(&app, 90).await;
    for _ in 0..90 {
        app.advance_seconds(DAY);
        record(&app).await;
    }
    assert_eq!(warnings(&app, &token).await, [60, 14]);
    let elsewhere = other.get("/v4/events?allUsers=true&action=token.expiring").await.expect(200);
    assert_eq!(elsewhere.rows().len(), 3);
    set(json!([]), 200).await;
    create_token(&app, 90).await;
    app.advance_seconds(89 * DAY);
    assert_eq!(record(&app).await, 0);
}

#[apply(both_databases)]
async fn several_nodes_record_each_warning_once(engine: Engine) {
    let app = start(engine).await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(create_token(&app, 60).await);
    }
    app.advance_seconds(31 * DAY);
    let runs = futures_util::future::join_all((0..4).map(|_| record(&app))).await;
    assert_eq!(runs.iter().sum::<u64>(), 20);
    for token in tokens {
        assert_eq!(warnings(&app, &token).await, [30]);
    }
}
