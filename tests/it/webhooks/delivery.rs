//! The delivery of events: content and signature, failures and retries.

use std::time::Duration;

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::config::ConfigDuration;

use super::{create_webhook, deliver_all, deliveries, millis_to_real_time, start, verified_actions};
use crate::support::{
    Database, Engine, TestApp, both_databases,
    receiver::{Reaction, Receiver},
};

#[apply(both_databases)]
async fn an_event_arrives_as_the_event_list_shows_it_and_its_signature_is_valid(engine: Engine) {
    let app = start(engine).await;
    app.advance_millis(millis_to_real_time());
    let mut receiver = Receiver::start().await;
    let admin = app.admin();
    let (id, secret) = create_webhook(&admin, &receiver.url(), &["token.created", "token.leaked"]).await;
    let token = admin.create_token().await;
    app.anonymous().post("/v4/leaks", &json!({"values": [token.value]})).await.expect(202);
    admin.post(&format!("/v4/webhooks/{id}/test"), &json!({})).await.expect(202);
    assert_eq!(deliver_all(&app).await, 3);
    let mut requests = receiver.received();
    requests.sort_by_key(|request| serde_json::from_str::<Value>(&request.body).unwrap()["id"].as_i64());
    assert_eq!(verified_actions(&secret, &requests), ["token.created", "token.leaked", "webhook.tested"]);
    let events = admin.get("/v4/events?allUsers=true&limit=1000").await.expect(200);
    for request in &requests {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let listed = events.rows().iter().find(|event| event["id"] == body["id"]).unwrap();
        assert_eq!(&body, listed);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?key=secret-of-the-url"));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["webhook-id"], format!("evt_{}", body["id"]));
        assert!(request.headers["user-agent"].starts_with("Tokenward/") && !request.body.contains(&token.value));
    }
    for row in deliveries(&admin, &id).await {
        assert_eq!(
            (&row["status"], &row["responseStatus"], &row["attempts"]),
            (&json!("succeeded"), &json!(204), &json!(1))
        );
        assert!(row["durationMillis"].is_u64() && row["nextAttemptAt"].is_null(), "{row}");
    }
    assert_eq!(deliver_all(&app).await, 0);
}

#[apply(both_databases)]
async fn responses_other_than_2xx_are_failures_and_redirects_are_not_followed(engine: Engine) {
    let app = start(engine).await;
    let mut receiver = Receiver::start().await;
    let admin = app.admin();
    let (id, _) = create_webhook(&admin, &receiver.url(), &["token.leaked"]).await;
    let elsewhere = format!("http://{}/elsewhere", receiver.address);
    for (reaction, status, outcome) in [
        (Reaction::Status(500), 500, "rejected"),
        (Reaction::Status(404), 404, "rejected"),
        (Reaction::Redirect(elsewhere), 307, "rejected"),
        (Reaction::Redirect("http://169.254.169.254/latest/meta-data".to_owned()), 307, "rejected"),
        (Reaction::EndlessBody, 200, "succeeded"),
    ] {
        receiver.react(reaction);
        admin.post(&format!("/v4/webhooks/{id}/test"), &json!({})).await.expect(202);
        app.advance_seconds(2 * 3_600);
        app.state.webhooks().deliver_due().await.unwrap();
        assert_eq!(super::paths(&mut receiver), ["/hook?key=secret-of-the-url"]);
        let rows = deliveries(&admin, &id).await;
        let last = rows.iter().max_by_key(|row| row["attemptedAt"].as_str().map(str::to_owned)).unwrap();
        assert_eq!((&last["responseStatus"], &last["outcome"]), (&json!(status), &json!(outcome)), "{rows:?}");
        assert!(!rows.iter().any(|row| row.to_string().contains("meta-data")));
    }
}

#[apply(both_databases)]
async fn a_receiver_that_is_down_for_an_hour_gets_every_event(engine: Engine) {
    let app = start(engine).await;
    let mut receiver = Receiver::start().await;
    receiver.react(Reaction::Status(503));
    let admin = app.admin();
    let (id, _) = create_webhook(&admin, &receiver.url(), &["token.created"]).await;
    let mut attempts = 0;
    for _ in 0..60 {
        if attempts < 10 {
            admin.create_token().await;
        }
        attempts += deliver_all(&app).await;
        app.advance_seconds(60);
    }
    // The delays grow, and a webhook that fails gets one request at a time.
    assert!((5..=20).contains(&attempts), "{attempts}");
    let failing = admin.get(&format!("/v4/webhooks/{id}")).await.expect(200);
    assert!(failing.json["failingSince"].is_string() && failing.json["isEnabled"] == true);
    let events = deliveries(&admin, &id).await.len();
    let waiting = deliveries(&admin, &id).await;
    assert!(waiting.iter().all(|row| row["status"] == "pending" && row["nextAttemptAt"].is_string()));
    receiver.received();
    receiver.react(Reaction::Status(200));
    app.advance_seconds(2 * 3_600);
    assert_eq!(deliver_all(&app).await, events);
    let mut ids: Vec<String> =
        receiver.received().iter().map(|request| request.headers["webhook-id"].clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events);
    assert!(deliveries(&admin, &id).await.iter().all(|row| row["status"] == "succeeded"));
    assert!(admin.get(&format!("/v4/webhooks/{id}")).await.expect(200).json["failingSince"].is_null());
}

#[apply(both_databases)]
async fn a_webhook_that_accepts_nothing_for_three_days_is_disabled_with_an_event(engine: Engine) {
    let app = start(engine).await;
    let receiver = Receiver::start().await;
    receiver.react(Reaction::Status(500));
    let mut other = Receiver::start().await;
    let admin = app.admin();
    let (id, _) = create_webhook(&admin, &receiver.url(), &["token.created"]).await;
    create_webhook(&admin, &other.url(), &["webhook.disabled"]).await;
    admin.create_token().await;
    for _ in 0..3 * 24 {
        deliver_all(&app).await;
        assert!(other.received().is_empty());
        app.advance_seconds(3_600);
    }
    app.advance_seconds(3_600);
    deliver_all(&app).await;
    let webhook = admin.get(&format!("/v4/webhooks/{id}")).await.expect(200);
    assert_eq!(webhook.json["isEnabled"], false);
    let [notice] = &other.received()[..] else { panic!("one request") };
    let event: Value = serde_json::from_str(&notice.body).unwrap();
    assert_eq!(
        (&event["action"], &event["target"], &event["actor"]),
        (&json!("webhook.disabled"), &json!(id), &json!("system"))
    );
    assert_eq!(event["label"], format!("http://{}", receiver.address));
    // Events are not queued for a disabled webhook.
    let before = deliveries(&admin, &id).await.len();
    admin.create_token().await;
    assert_eq!(deliveries(&admin, &id).await.len(), before);
    admin.post(&format!("/v4/webhooks/{id}/test"), &json!({})).await.expect_error(409, "ConflictException");
    app.advance_seconds(12 * 86_400);
    assert_eq!(app.state.webhooks().purge_deliveries().await.unwrap(), 1);
}

#[apply(both_databases)]
async fn requests_do_not_wait_for_a_receiver_that_hangs(engine: Engine) {
    let app = start(engine).await;
    let (mut hanging, mut other) = (Receiver::start().await, Receiver::start().await);
    hanging.react(Reaction::Hang);
    let admin = app.admin();
    create_webhook(&admin, &hanging.url(), &["token.created"]).await;
    create_webhook(&admin, &other.url(), &["token.deleted"]).await;
    let job = tokio::spawn(app.state.webhooks().clone().run());
    let token = admin.create_token().await;
    hanging.next().await;
    admin.delete(&token.token_path()).await.expect(204);
    assert!(other.next().await.body.contains("token.deleted"));
    job.abort();
}

#[apply(both_databases)]
async fn private_addresses_are_not_connected_to_without_a_setting(engine: Engine) {
    let app = start(engine).await;
    let mut receiver = Receiver::start().await;
    let admin = app.admin();
    let port = receiver.address.port();
    let urls = [receiver.url(), format!("http://localhost:{port}/"), format!("http://localhost.:{port}/")];
    let mut ids = Vec::new();
    for url in &urls {
        ids.push(create_webhook(&admin, url, &["token.created"]).await.0);
    }
    // The operator removes the setting.
    app.store.close().await;
    let app = TestApp::start_with(app.database, |_| ()).await;
    let admin = app.admin();
    admin.create_token().await;
    assert_eq!(app.state.webhooks().deliver_due().await.unwrap(), 3);
    for id in &ids {
        assert_eq!(deliveries(&admin, id).await[0]["outcome"], "address_not_allowed");
    }
    assert!(receiver.received().is_empty());
    for url in urls {
        let body = json!({"url": url, "events": ["*"]});
        let details = admin.post("/v4/webhooks", &body).await.expect_error(400, "ValidationFailed");
        assert!(details.contains("outbound.allow_private"), "{details}");
    }
}

/// A batch holds the only connection that writes to SQLite for moments, and another look at the outbox
/// waits for it. If the batch waited for that look, both would wait until the connection's time limit.
#[apply(both_databases)]
async fn deliveries_go_on_while_the_outbox_is_read(engine: Engine) {
    let app = TestApp::start_with(Database::migrated(engine).await, |config| {
        config.outbound.allow_private = true;
        config.database.acquire_timeout = ConfigDuration::from_secs(600);
    })
    .await;
    let admin = app.admin();
    let mut receiver = Receiver::start().await;
    for _ in 0..6 {
        create_webhook(&admin, &receiver.url(), &["setting.changed"]).await;
    }
    for n in 1..=30 {
        let body = json!({"configuration": [{"key": "feature.apiAccessTokens.maxLifetimeDays", "value": n}]});
        admin.patch("/v4/workspaces/current/configuration", &body).await.expect(200);
    }
    let delivery = tokio::spawn(app.state.webhooks().clone().run());
    let all = async {
        for _ in 0..180 {
            receiver.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), all).await.unwrap();
    delivery.abort();
}
