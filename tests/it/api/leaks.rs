//! `/v4/leaks` and `/.well-known/api-token-format`: reports are anonymous and reveal nothing.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn a_reported_token_is_revoked_and_its_owner_sees_the_event(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.admin().add_person("ada", true).await;
    let (leaked, second, kept) = (ada.create_token().await, ada.create_token().await, ada.create_token().await);
    let body = json!({"values": [leaked.value, "nonsense", format!(" {} ", second.value)]});
    app.anonymous().with_address("192.0.2.5").post("/v4/leaks", &body).await.expect(202);
    assert!(!leaked.is_accepted().await && !second.is_accepted().await && kept.is_accepted().await);
    let events = ada.get("/v4/events?action=token.leaked").await.expect(200);
    let targets: Vec<&Value> = events.rows().iter().map(|event| &event["target"]).collect();
    assert_eq!(targets, [&json!(second.token_id), &json!(leaked.token_id)]);
    let event = &events.rows()[0];
    assert_eq!((&event["actor"], &event["address"]), (&json!("leak reporter"), &json!("192.0.2.5")));
    assert!(!events.text.contains(&leaked.value));
}

#[apply(both_databases)]
async fn descendants_of_a_leaked_token_are_revoked(engine: Engine) {
    let app = TestApp::start(engine).await;
    let leaked = app.admin().create_token().await;
    let created = crate::support::TokenClient::from_response(
        &leaked,
        &leaked.post("/v4/apiAccessTokens", &json!({"lifetimeSeconds": -1})).await,
    );
    assert!(created.is_accepted().await);
    app.anonymous().post("/v4/leaks", &json!({"values": [leaked.value]})).await.expect(202);
    assert!(!created.is_accepted().await);
}

#[apply(both_databases)]
async fn a_leak_report_does_not_reveal_which_tokens_existed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    let mut responses = Vec::new();
    for value in [&token.value, &token.value, &"twd_nothing".to_owned(), &String::new()] {
        let response = app.anonymous().post("/v4/leaks", &json!({"values": [value]})).await.expect(202);
        let mut headers = response.headers.clone();
        // The responses differ in the request ID only, which has two names.
        for name in ["x-request-id", "x-trifacta-request-id"] {
            assert!(headers.remove(name).is_some(), "{name}");
        }
        responses.push((response.text.clone(), headers));
    }
    assert!(responses.iter().all(|response| *response == responses[0]), "{responses:?}");
}

#[apply(both_databases)]
async fn malformed_leak_reports_are_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    for body in [json!({}), json!({"values": "x"}), json!({"values": [1]}), json!({"values": vec!["x"; 101]})] {
        app.anonymous().post("/v4/leaks", &body).await.expect_error(400, "ApiValidationFailed");
    }
    app.anonymous().post("/v4/leaks", &json!({"values": []})).await.expect(202);
    app.anonymous().get("/v4/leaks").await.expect_error(404, "RouteNotFoundException");
}

#[apply(both_databases)]
async fn the_token_format_describes_token_values(engine: Engine) {
    let app = TestApp::start(engine).await;
    let format = app.anonymous().get("/.well-known/api-token-format").await.expect(200).json;
    assert_eq!((&format["prefix"], &format["regularExpression"]), (&json!("twd_"), &json!("twd_[0-9A-Za-z]{49}")));
    assert_eq!(format["reportTo"], "http://127.0.0.1:3005/v4/leaks");
    assert_eq!(format["checksum"]["characters"], 6);
}
