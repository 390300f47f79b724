//! `/v4/leaks` and `/.well-known/api-token-format`: anybody may report a value, and learns nothing by it.

use serde_json::{Value, json};

use crate::support::TestApp;

on_both!(
    a_reported_token_is_dead_and_its_owner_is_told,
    what_a_leaked_token_has_made_dies_with_it,
    a_report_says_nothing_about_what_lived,
    what_is_no_report_is_refused,
    the_format_says_what_a_value_looks_like,
);

async fn a_reported_token_is_dead_and_its_owner_is_told(app: TestApp) {
    let ada = app.admin().add("ada", true).await;
    let (leaked, second, kept) = (ada.bearer().await, ada.bearer().await, ada.bearer().await);
    let body = json!({"values": [leaked.value, "nonsense", format!(" {} ", second.value)]});
    app.anonymous().from("192.0.2.5").post("/v4/leaks", &body).await.expect(202);
    assert!(!leaked.works().await && !second.works().await && kept.works().await);
    let told = ada.get("/v4/events?action=token.leaked").await.expect(200);
    let targets: Vec<&Value> = told.rows().iter().map(|event| &event["target"]).collect();
    assert_eq!(targets, [&json!(second.token_id), &json!(leaked.token_id)]);
    let event = &told.rows()[0];
    assert_eq!((&event["actor"], &event["address"]), (&json!("whoever reported the leak"), &json!("192.0.2.5")));
    assert!(!told.text.contains(&leaked.value));
}

async fn what_a_leaked_token_has_made_dies_with_it(app: TestApp) {
    let leaked = app.admin().bearer().await;
    let made =
        crate::support::Bearer::of(&leaked, &leaked.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": -1})).await);
    assert!(made.works().await);
    app.anonymous().post("/v4/leaks", &json!({"values": [leaked.value]})).await.expect(202);
    assert!(!made.works().await);
}

async fn a_report_says_nothing_about_what_lived(app: TestApp) {
    let token = app.admin().bearer().await;
    let mut replies = Vec::new();
    for value in [&token.value, &token.value, &"twd_nothing".to_owned(), &String::new()] {
        let reply = app.anonymous().post("/v4/leaks", &json!({"values": [value]})).await.expect(202);
        let mut headers = reply.headers.clone();
        // The id of the request, by both its names, is the one thing in which two answers differ.
        for name in ["x-request-id", "x-trifacta-request-id"] {
            assert!(headers.remove(name).is_some(), "{name}");
        }
        replies.push((reply.text.clone(), headers));
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
}

async fn what_is_no_report_is_refused(app: TestApp) {
    for body in [json!({}), json!({"values": "x"}), json!({"values": [1]}), json!({"values": vec!["x"; 101]})] {
        app.anonymous().post("/v4/leaks", &body).await.expect_error(400, "ApiValidationFailed");
    }
    app.anonymous().post("/v4/leaks", &json!({"values": []})).await.expect(202);
    app.anonymous().get("/v4/leaks").await.expect_error(404, "RouteNotFoundException");
}

async fn the_format_says_what_a_value_looks_like(app: TestApp) {
    let format = app.anonymous().get("/.well-known/api-token-format").await.expect(200).json;
    assert_eq!((&format["prefix"], &format["regularExpression"]), (&json!("twd_"), &json!("twd_[0-9A-Za-z]{49}")));
    assert_eq!(format["reportTo"], "http://127.0.0.1:3005/v4/leaks");
    assert_eq!(format["checksum"]["characters"], 6);
}
