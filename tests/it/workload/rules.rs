//! The API of trust rules.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use super::{Workload, issuer::AUDIENCE, start_app};
use crate::support::{Engine, TestApp, both_databases, both_databases_multi_thread};

#[apply(both_databases)]
async fn a_rule_is_created_listed_and_deleted(engine: Engine) {
    let workload = Workload::start(engine).await;
    let admin = workload.app.admin();
    let body = workload.rule(&json!({
        "conditions": [{"claim": "sub", "value": "job-1"}, {"claim": "ref", "glob": "refs/heads/*"}],
        "maxLifetimeSeconds": 900.0, "scopes": ["read", "deploy"]
    }));
    let created = admin.post(&workload.rules_path(), &body).await.expect(201);
    let id = created.json["id"].as_str().unwrap();
    assert_eq!(created.header_values("location"), [format!("{}/{id}", workload.rules_path())]);
    let expected = json!({
        "id": id, "issuer": workload.issuer.url, "audience": AUDIENCE, "conditions": body["conditions"],
        "maxLifetimeSeconds": 900, "scopes": ["deploy", "read"], "singleUse": true,
        "createdAt": "2026-01-01T00:00:00.000Z", "lastUsed": null, "issuedTokens": 0
    });
    assert_eq!((&created.json, workload.rules().await), (&expected, vec![expected.clone()]));
    let keys = json!({"keys": [workload.issuer.key.jwk("1")]});
    let uid = json!([{"claim": "/kubernetes.io/serviceaccount/uid", "value": "0e2f"}]);
    workload.app.advance_seconds(1);
    let pod = workload.trust(&json!({"jwks": keys, "conditions": uid, "singleUse": false})).await;
    let rules = workload.rules().await;
    assert_eq!((&rules[1]["jwks"], &rules[1]["singleUse"]), (&keys, &json!(false)));
    assert_eq!((rules[1].get("scopes"), &rules[1]["maxLifetimeSeconds"]), (None, &json!(3_600)));
    admin.delete(&format!("{}/{id}", workload.rules_path())).await.expect(204);
    admin.delete(&format!("{}/{id}", workload.rules_path())).await.expect_error(404, "DataNotFoundException");
    assert_eq!(workload.rules().await[0]["id"], json!(pod));
    let events = admin.get("/v4/events?allUsers=true").await.expect(200);
    let actions: Vec<&Value> = events.rows().iter().map(|event| &event["action"]).take(3).collect();
    assert_eq!(actions, ["trust_rule.deleted", "trust_rule.created", "trust_rule.created"]);
    assert_eq!(events.rows()[0]["details"], json!({"issuer": workload.issuer.url, "tokens": 0}));
}

#[apply(both_databases)]
async fn a_rule_that_is_not_acceptable_is_rejected_with_its_reason(engine: Engine) {
    let workload = Workload::start(engine).await;
    let admin = workload.app.admin();
    let github = "https://token.actions.githubusercontent.com";
    for (more, text) in [
        (json!({"issuer": "issuer.example"}), "issuer must be"),
        (json!({"issuer": "http://issuer.example"}), "issuer must be"),
        (json!({"issuer": "https://169.254.169.254"}), "issuer cannot be reached"),
        (json!({"audience": ""}), "audience must have"),
        (json!({"audience": workload.issuer.url}), "is a default of this issuer"),
        (json!({"issuer": github, "conditions": [{"claim": "sub", "value": "repo:a/b:ref:c"}]}), "repository_id"),
        (json!({"conditions": []}), "conditions has 0 entries"),
        (json!({"conditions": [{"claim": "sub"}]}), "either value"),
        (json!({"conditions": [{"claim": "sub", "glob": "job-*"}]}), "the exact value of sub"),
        (json!({"maxLifetimeSeconds": 3601}), "maxLifetimeSeconds is 3601"),
        (json!({"singleUse": false}), "singleUse can be false only"),
        (json!({"scopes": ["Upper"]}), "scope"),
        (json!({"jwks": {}}), "jwks must be"),
        (json!({"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}), "must be considered leaked"),
    ] {
        let response = admin.post(&workload.rules_path(), &workload.rule(&more)).await;
        let details = response.expect_error(400, "ValidationFailed");
        assert!(details.to_lowercase().contains(&text.to_lowercase()), "{more}: {details}");
    }
    for more in [
        json!({"audience": 1}),
        json!({"audiences": []}),
        json!({"singleUse": null}),
        json!({"scopes": null}),
        json!({"conditions": [{"claim": "sub", "value": "a", "regex": "b"}]}),
        json!({"conditions": "sub"}),
    ] {
        let response = admin.post(&workload.rules_path(), &workload.rule(&more)).await;
        response.expect_error(400, "ApiValidationFailed");
    }
    assert_eq!(workload.rules().await, Vec::<Value>::new());
}

#[apply(both_databases)]
async fn private_issuers_need_the_consent_of_the_operator(engine: Engine) {
    let workload = Workload::start(engine).await;
    workload.trust(&json!({})).await;
    let strict = TestApp::start_with(workload.app.database, |_| ()).await;
    let rule = json!({
        "issuer": workload.issuer.url, "audience": AUDIENCE, "conditions": [{"claim": "sub", "value": "job-1"}]
    });
    let path = format!("/v4/people/{}/trust", workload.account_id);
    let details = strict.admin().post(&path, &rule).await.expect_error(400, "ValidationFailed");
    assert!(details.contains("outbound.allow_private"), "{details}");
    // A rule from before is not connected to either.
    let jwt = workload.issuer.token(&json!({}));
    super::exchange(&strict, &jwt, &[("audience", "ci")]).await.expect(503);
    assert_eq!(workload.issuer.key_requests(), 0);
}

#[apply(both_databases)]
async fn an_account_has_at_most_20_rules(engine: Engine) {
    let workload = Workload::start(engine).await;
    for _ in 0..20 {
        workload.trust(&json!({})).await;
    }
    let response = workload.app.admin().post(&workload.rules_path(), &workload.rule(&json!({}))).await;
    response.expect_error(409, "ConflictException");
}

#[apply(both_databases)]
async fn only_administrators_with_full_access_manage_rules_of_service_accounts(engine: Engine) {
    let workload = Workload::start(engine).await;
    let id = workload.trust(&json!({})).await;
    let admin = workload.app.admin();
    let custodian = admin.add_person("ada", false).await;
    admin.update_person(workload.account_id, json!({"custodians": [custodian.id]})).await.expect(200);
    let scoped = admin.create_token_with(json!({"lifetimeSeconds": 60, "scopes": ["tokenward:people:write"]})).await;
    let rule_path = format!("{}/{id}", workload.rules_path());
    for client in [&*custodian, &*scoped] {
        client.get(&workload.rules_path()).await.expect_error(403, "AccessControlException");
        let created = client.post(&workload.rules_path(), &workload.rule(&json!({}))).await;
        created.expect_error(403, "AccessControlException");
        client.delete(&rule_path).await.expect_error(403, "AccessControlException");
    }
    let other = workload.app.create_workspace_with_admin("grace").await;
    other.get(&workload.rules_path()).await.expect_error(404, "DataNotFoundException");
    other.delete(&rule_path).await.expect_error(404, "DataNotFoundException");
    let person = format!("/v4/people/{}/trust", custodian.id);
    admin.post(&person, &workload.rule(&json!({}))).await.expect_error(409, "ConflictException");
    for path in [format!("{}/x", workload.rules_path()), format!("/v4/people/0{}/trust/{id}", workload.account_id)] {
        admin.delete(&path).await.expect_error(404, "DataNotFoundException");
    }
    let token = admin.create_token().await;
    token.delete(&rule_path).await.expect(204);
}

#[apply(both_databases_multi_thread)]
async fn the_tokens_of_a_deleted_rule_are_revoked_on_every_node(engine: Engine) {
    let workload = Workload::start(engine).await;
    let first = workload.trust(&json!({})).await;
    let tokens = [workload.token(&json!({})).await, workload.token(&json!({})).await];
    let branch = json!([{"claim": "sub", "value": "job-2"}]);
    workload.trust(&json!({"conditions": branch})).await;
    let kept = workload.token(&json!({"sub": "job-2"})).await;
    let second = match engine {
        Engine::Postgres => Some(start_app(workload.app.database.for_another_node()).await),
        Engine::Sqlite => None,
    };
    let node = second.as_ref().unwrap_or(&workload.app);
    let on_node = |value: &str| node.client_with_authorization(&[&format!("Bearer {value}")]);
    for token in tokens.iter().chain([&kept]) {
        on_node(&token.value).get("/v4/auth/any").await.expect(200);
    }
    workload.app.admin().delete(&format!("{}/{first}", workload.rules_path())).await.expect(204);
    for token in &tokens {
        on_node(&token.value).get("/v4/auth/any").await.expect(401);
        assert!(!token.is_accepted().await);
    }
    on_node(&kept.value).get("/v4/auth/any").await.expect(200);
    let events = workload.app.admin().get("/v4/events?action=trust_rule.deleted&allUsers=true").await.expect(200);
    assert_eq!(events.rows()[0]["details"]["tokens"], 2);
}
