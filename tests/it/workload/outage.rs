//! Issuers that are unreachable, slow or wrong.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Workload, error_of, exchange, issuer::Mode};
use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn an_issuer_that_does_not_work_is_503_and_the_jwt_stays_valid(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let jwt = workload.issuer.token(&json!({}));
    for mode in [Mode::Broken, Mode::Redirect, Mode::Huge, Mode::OtherIssuer] {
        workload.issuer.set_mode(mode);
        let response = workload.exchange(&jwt).await.expect(503);
        assert_eq!(response.json["error"], "temporarily_unavailable", "{mode:?}");
        assert_eq!(response.header_values("retry-after"), ["1"], "{mode:?}");
        let text = response.json["error_description"].as_str().unwrap();
        assert!(text.starts_with("The issuer of the token is unreachable") && !text.contains("127.0.0.1"), "{text}");
    }
    workload.issuer.set_mode(Mode::Normal);
    workload.exchange(&jwt).await.expect(200);
    // Loaded keys are kept.
    workload.issuer.set_mode(Mode::Broken);
    workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
}

#[apply(both_databases)]
async fn a_silent_issuer_delays_no_other_exchange(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    // It accepts connections and never responds.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    workload.trust(&json!({"issuer": silent})).await;
    let database = workload.app.database;
    let app = TestApp::start_with(database, |config| {
        config.outbound.allow_private = true;
        config.http.request_timeout = tokenward::config::ConfigDuration::from_millis(1_200);
    })
    .await;
    let waiting = workload.issuer.token(&json!({"iss": silent}));
    let good = workload.issuer.token(&json!({}));
    let (waited, issued) = tokio::join!(exchange(&app, &waiting, &[("audience", "ci")]), async {
        let issued = exchange(&app, &good, &[("audience", "ci")]).await;
        (issued, std::time::Instant::now())
    },);
    let ended = std::time::Instant::now();
    waited.expect(503);
    issued.0.expect(200);
    assert!(issued.1 < ended, "the other exchange waited");
}

#[apply(both_databases)]
async fn a_rule_with_stored_keys_works_beside_an_issuer_that_is_down(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    workload.issuer.set_mode(Mode::Broken);
    let keys = json!({"keys": [workload.issuer.key.jwk("1")]});
    workload.trust(&json!({"jwks": keys})).await;
    workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
    let expired = workload.issuer.token(&json!({"exp": super::issuer::NOW - 100}));
    error_of(&workload.exchange(&expired).await, "invalid_request");
}

/// The rule that the unreachable issuer belongs to might accept the JWT that the others do not.
#[apply(both_databases)]
async fn a_mismatch_beside_an_issuer_that_is_down_is_an_outage(engine: Engine) {
    let workload = Workload::start(engine).await;
    let keys = json!({"keys": [workload.issuer.key.jwk("1")]});
    workload.trust(&json!({"jwks": keys, "conditions": [{"claim": "sub", "value": "another"}]})).await;
    workload.trust(&json!({})).await;
    workload.issuer.set_mode(Mode::Broken);
    let jwt = workload.issuer.token(&json!({}));
    workload.exchange(&jwt).await.expect(503);
    workload.issuer.set_mode(Mode::Normal);
    workload.exchange(&jwt).await.expect(200);
}
