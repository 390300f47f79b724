//! The exchange: its response, single use, and the rules that its transaction reads again.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{
    EXCHANGE, JWT, NOT_ACCEPTED, Workload, create_account, error_of, exchange,
    issuer::{Issuer, NOW},
    send_form, start_app,
};
use crate::support::{Engine, TestApp, both_databases};

#[apply(both_databases)]
async fn a_jwt_is_exchanged_for_a_token_of_the_service_account(engine: Engine) {
    let workload = Workload::start(engine).await;
    let rule = workload.trust(&json!({"maxLifetimeSeconds": 900, "scopes": ["deploy", "read"]})).await;
    let issued = workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
    for (field, value) in [
        ("issued_token_type", json!("urn:ietf:params:oauth:token-type:access_token")),
        ("token_type", json!("Bearer")),
        ("expires_in", json!(900)),
        ("scope", json!("deploy read")),
    ] {
        assert_eq!(issued.json[field], value, "{field}");
    }
    assert_eq!(issued.header_values("cache-control"), ["no-store"]);
    let token = workload.client(&issued).await;
    let check = token.get("/v4/auth/any").await.expect(200);
    assert_eq!(check.json["personId"], workload.account_id);
    assert_eq!(check.header_values("x-tokenward-scopes"), ["deploy read"]);
    let path = format!("/v4/apiAccessTokens?personId={}", workload.account_id);
    let listed = workload.app.admin().get(&path).await.expect(200);
    let row = &listed.rows()[0];
    assert_eq!((&row["trustRuleId"], &row["description"]), (&json!(rule), &json!("job-1")));
    let rules = workload.rules().await;
    assert_eq!((&rules[0]["issuedTokens"], &rules[0]["lastUsed"]), (&json!(1), &json!("2026-01-01T00:00:00.000Z")));
    let events = workload.app.admin().get("/v4/events?action=token.created&allUsers=true").await.expect(200);
    let event = &events.rows()[0];
    assert_eq!(event["details"]["trustRule"], json!(rule));
    assert_eq!((&event["details"]["by"], &event["details"]["description"]), (&json!("exchange"), &json!("job-1")));
    assert_eq!(event["details"]["issuer"], json!(workload.issuer.url));
}

#[apply(both_databases)]
async fn a_jwt_is_accepted_once(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    for claims in [json!({}), json!({"jti": null})] {
        let jwt = workload.issuer.token(&claims);
        workload.exchange(&jwt).await.expect(200);
        let text = error_of(&workload.exchange(&jwt).await, "invalid_request");
        assert!(text.contains("exchanged before"), "{text}");
    }
    // Another signature of the same text, which the algorithm allows, is no new token.
    let claims = workload.issuer.claims(&json!({"jti": null})).to_string();
    let header = json!({"alg": "ES256", "kid": "1"});
    workload.exchange(&workload.issuer.key.sign(&header, &claims)).await.expect(200);
    error_of(&workload.exchange(&workload.issuer.key.sign(&header, &claims)).await, "invalid_request");
    // The JWT of one account is not accepted for another one.
    let jwt = workload.issuer.token(&json!({"jti": "shared"}));
    workload.exchange(&jwt).await.expect(200);
    let other = create_account(&workload.app, "other").await;
    let path = format!("/v4/people/{other}/trust");
    workload.app.admin().post(&path, &workload.rule(&json!({}))).await.expect(201);
    error_of(&exchange(&workload.app, &jwt, &[("audience", "other")]).await, "invalid_request");
}

#[apply(both_databases)]
async fn of_many_exchanges_of_a_jwt_at_once_one_issues_a_token(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let second = match engine {
        Engine::Postgres => Some(start_app(workload.app.database.for_another_node()).await),
        Engine::Sqlite => None,
    };
    for _ in 0..5 {
        let jwt = workload.issuer.token(&json!({}));
        let exchanges = (0..8).map(|n| {
            let app: &TestApp = second.as_ref().filter(|_| n % 2 == 1).unwrap_or(&workload.app);
            exchange(app, &jwt, &[("audience", "ci")])
        });
        let statuses: Vec<u16> =
            futures_util::future::join_all(exchanges).await.iter().map(|response| response.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 400)), "{statuses:?}");
    }
    assert_eq!(workload.rules().await[0]["issuedTokens"], 5);
}

#[apply(both_databases)]
async fn a_jwt_whose_exchange_fails_is_not_used(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({"scopes": ["deploy"]})).await;
    let jwt = workload.issuer.token(&json!({}));
    workload.app.set_setting("enabled", false).await;
    error_of(&workload.exchange(&jwt).await, "invalid_target");
    workload.app.set_setting("enabled", true).await;
    let text =
        error_of(&exchange(&workload.app, &jwt, &[("audience", "ci"), ("scope", "admin")]).await, "invalid_scope");
    assert!(text.contains("admin"), "{text}");
    workload.exchange(&jwt).await.expect(200);
}

#[apply(both_databases)]
async fn the_rule_and_the_account_are_read_again(engine: Engine) {
    let workload = Workload::start(engine).await;
    let rule = workload.trust(&json!({})).await;
    let admin = workload.app.admin();
    admin.update_person(workload.account_id, json!({"isDisabled": true})).await.expect(200);
    let text = error_of(&workload.exchange(&workload.issuer.token(&json!({}))).await, "invalid_target");
    assert!(text.contains("disabled"), "{text}");
    admin.update_person(workload.account_id, json!({"isDisabled": false})).await.expect(200);
    admin.update_person(workload.account_id, json!({"tokenAccess": "disabled"})).await.expect(200);
    error_of(&workload.exchange(&workload.issuer.token(&json!({}))).await, "invalid_target");
    admin.update_person(workload.account_id, json!({"tokenAccess": "default"})).await.expect(200);
    workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
    admin.delete(&format!("{}/{rule}", workload.rules_path())).await.expect(204);
    let text = error_of(&workload.exchange(&workload.issuer.token(&json!({}))).await, "invalid_request");
    assert_eq!(text, NOT_ACCEPTED);
    workload.trust(&json!({})).await;
    admin.delete(&format!("/v4/people/{}", workload.account_id)).await.expect(204);
    let text = error_of(&workload.exchange(&workload.issuer.token(&json!({}))).await, "invalid_request");
    assert_eq!(text, NOT_ACCEPTED);
}

#[apply(both_databases)]
async fn the_settings_of_the_workspace_apply(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    workload.app.set_setting("allowUsers", false).await;
    workload.app.set_setting("maxLifetimeDays", 1).await;
    let issued = workload.exchange(&workload.issuer.token(&json!({}))).await.expect(200);
    assert_eq!((&issued.json["expires_in"], &issued.json["scope"]), (&json!(3_600), &Value::Null));
    let setting = json!({"configuration": [{"key": "tokenward.requireScopes", "value": true}]});
    workload.app.admin().patch("/v4/workspaces/current/configuration", &setting).await.expect(200);
    let jwt = workload.issuer.token(&json!({}));
    error_of(&workload.exchange(&jwt).await, "invalid_scope");
    let scoped = exchange(&workload.app, &jwt, &[("audience", "ci"), ("scope", "deploy")]).await.expect(200);
    assert_eq!(scoped.json["scope"], "deploy");
    let catalog = json!([{"name": "report", "description": ""}]);
    let setting = json!({"configuration": [{"key": "tokenward.scopes", "value": catalog}]});
    workload.app.admin().patch("/v4/workspaces/current/configuration", &setting).await.expect(200);
    let jwt = workload.issuer.token(&json!({}));
    error_of(&exchange(&workload.app, &jwt, &[("audience", "ci"), ("scope", "deploy")]).await, "invalid_scope");
    exchange(&workload.app, &jwt, &[("audience", "ci"), ("scope", "report")]).await.expect(200);
}

#[apply(both_databases)]
async fn a_token_issued_by_exchange_creates_and_replaces_none(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let token = workload.token(&json!({})).await;
    for body in [json!({"lifetimeSeconds": 60}), json!({"lifetimeSeconds": 60, "replaces": token.token_id})] {
        let text = token.post("/v4/apiAccessTokens", &body).await.expect_error(403, "AccessControlException");
        assert!(text.contains("exchange"), "{text}");
    }
    token.get("/v4/apiAccessTokens").await.expect(200);
    // It deletes itself, as a job does at its end.
    token.delete(&token.token_path()).await.expect(204);
    assert!(!token.is_accepted().await);
}

#[apply(both_databases)]
async fn the_number_of_active_tokens_is_limited(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({"maxLifetimeSeconds": 60})).await;
    let database = workload.app.database.url.clone();
    let limited = TestApp::start_with(workload.app.database, |config| {
        config.outbound.allow_private = true;
        config.tokens.max_active_per_person = Some(1);
    })
    .await;
    assert_eq!(limited.database.url, database);
    let jwt = || workload.issuer.token(&json!({}));
    exchange(&limited, &jwt(), &[("audience", "ci")]).await.expect(200);
    let refused = jwt();
    error_of(&exchange(&limited, &refused, &[("audience", "ci")]).await, "invalid_target");
    limited.advance_seconds(61);
    exchange(&limited, &refused, &[("audience", "ci")]).await.expect(200);
}

#[apply(both_databases)]
async fn tokens_are_purged_one_day_after_their_expiry(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({"maxLifetimeSeconds": 60})).await;
    let token = workload.token(&json!({})).await;
    workload.app.admin().create_token_with(json!({"lifetimeSeconds": 60})).await;
    let day = std::time::Duration::from_secs(86_400);
    let tokens = workload.app.state.tokens();
    workload.app.advance_seconds(61);
    assert!(!token.is_accepted().await);
    assert_eq!(tokens.purge_exchanged(day).await.unwrap(), 0);
    workload.app.advance_seconds(86_400);
    assert_eq!(tokens.purge_exchanged(day).await.unwrap(), 1);
    assert_eq!(workload.rules().await[0]["issuedTokens"], 1);
}

#[apply(both_databases)]
async fn requests_that_are_no_exchange_get_the_errors_of_oauth(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let jwt = workload.issuer.token(&json!({}));
    let valid =
        [("grant_type", EXCHANGE), ("subject_token", jwt.as_str()), ("subject_token_type", JWT), ("audience", "ci")];
    for (name, _) in valid {
        let fields: Vec<_> = valid.into_iter().filter(|(other, _)| *other != name).collect();
        let text = error_of(&send_form(&workload.app.anonymous(), &fields).await, "invalid_request");
        assert!(text.starts_with(&format!("The parameter {name} is missing")), "{text}");
        let twice: Vec<_> = valid.into_iter().chain([(name, "x")]).collect();
        error_of(&send_form(&workload.app.anonymous(), &twice).await, "invalid_request");
    }
    for (name, value, code) in [
        ("grant_type", "client_credentials", "unsupported_grant_type"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "invalid_request"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("resource", "https://api.example.com", "invalid_target"),
        ("actor_token", "x", "invalid_request"),
        ("scope", "Upper", "invalid_scope"),
        ("scope", "a a", "invalid_scope"),
        ("scope", "tokenward:everything", "invalid_scope"),
    ] {
        let fields: Vec<_> = valid.into_iter().filter(|(other, _)| *other != name).chain([(name, value)]).collect();
        error_of(&send_form(&workload.app.anonymous(), &fields).await, code);
    }
    let client = workload.app.anonymous();
    let json = client.send_json("POST", "/oauth2/token", r#"{"grant_type": "x"}"#).await;
    error_of(&json, "invalid_request");
    // Unknown parameters and those without a value are ignored (RFC 6749, section 3.2).
    let more: Vec<_> = valid.into_iter().chain([("client_id", "x"), ("scope", ""), ("resource", "")]).collect();
    send_form(&client, &more).await.expect(200);
    let metadata = client.get("/.well-known/oauth-authorization-server").await.expect(200).json;
    let device_code = "urn:ietf:params:oauth:grant-type:device_code";
    assert_eq!(metadata["grant_types_supported"], json!([device_code, EXCHANGE]));
    assert!(metadata["token_endpoint"].as_str().unwrap().ends_with("/oauth2/token"));
}

#[apply(both_databases)]
async fn the_first_rule_that_permits_the_request_issues_the_token(engine: Engine) {
    let workload = Workload::start(engine).await;
    let branch = |name: &str| json!([{"claim": "sub", "value": "job-1"}, {"claim": "ref", "value": name}]);
    let first = workload.trust(&json!({"conditions": branch("a"), "scopes": ["read"]})).await;
    workload.app.advance_seconds(1);
    let second = workload.trust(&json!({"conditions": branch("a"), "scopes": ["read", "deploy"]})).await;
    let jwt = || workload.issuer.token(&json!({"ref": "a"}));
    let used = async |scope: &str| {
        let issued = exchange(&workload.app, &jwt(), &[("audience", "ci"), ("scope", scope)]).await.expect(200);
        let token = workload.client(&issued).await;
        let path = token.token_path();
        workload.app.admin().get(&path).await.expect(200).json["trustRuleId"].as_str().unwrap().to_owned()
    };
    assert_eq!((used("").await, used("read").await), (first.clone(), first));
    assert_eq!(used("deploy").await, second);
    error_of(&exchange(&workload.app, &jwt(), &[("audience", "ci"), ("scope", "admin")]).await, "invalid_scope");
    let text = error_of(&workload.exchange(&workload.issuer.token(&json!({"ref": "b"}))).await, "invalid_request");
    assert_eq!(text, "No trust rule permits the token: the claim ref is 'b'.");
}

#[apply(both_databases)]
async fn the_jwts_of_stored_keys_need_no_issuer(engine: Engine) {
    let workload = Workload::start(engine).await;
    let keys = json!({"keys": [workload.issuer.key.jwk("1")]});
    let issuer = "https://cluster.internal.example";
    workload.trust(&json!({"issuer": issuer, "jwks": keys})).await;
    workload.exchange(&workload.issuer.token(&json!({"iss": issuer, "jti": "1"}))).await.expect(200);
    error_of(&workload.exchange(&workload.issuer.token(&json!({"iss": issuer, "jti": "1"}))).await, "invalid_request");
    let stranger = Issuer::start().await;
    let text = error_of(&workload.exchange(&stranger.token(&json!({"iss": issuer}))).await, "invalid_request");
    assert_eq!((text.as_str(), workload.issuer.key_requests()), (NOT_ACCEPTED, 0));
}

#[apply(both_databases)]
async fn a_used_jwt_is_remembered_until_it_has_expired(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let jwt = workload.issuer.token(&json!({"exp": NOW + 300}));
    workload.exchange(&jwt).await.expect(200);
    // Clocks may differ by a minute, so the JWT is valid for another minute.
    workload.app.advance_seconds(359);
    workload.app.state.sign_in().purge_sign_in_flows().await.unwrap();
    assert!(error_of(&workload.exchange(&jwt).await, "invalid_request").contains("exchanged before"));
    workload.app.advance_seconds(2);
    assert!(error_of(&workload.exchange(&jwt).await, "invalid_request").contains("expired"));
}
