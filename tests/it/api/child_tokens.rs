//! Child tokens, the deletion of whole families, and idempotent creation.

use futures_util::future::join_all;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{ApiClient, Engine, TestApp, TestResponse, TokenClient, both_databases, one_hour_token};

const TOKENS: &str = "/v4/apiAccessTokens";

async fn set_child_token_policy(app: &TestApp, value: &str) {
    let setting = json!({"key": "tokenward.childTokens", "value": value});
    let body = json!({"configuration": [setting]});
    app.admin().patch("/v4/workspaces/current/configuration", &body).await.expect(200);
}

async fn create_child(parent: &TokenClient, lifetime: i64) -> TestResponse {
    parent.post(TOKENS, &json!({"lifetimeSeconds": lifetime})).await
}

#[apply(both_databases)]
async fn a_workspace_setting_limits_child_tokens(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let (short, unlimited) =
        (admin.create_token().await, admin.create_token_with(json!({"lifetimeSeconds": -1})).await);
    create_child(&short, -1).await.expect(201);
    set_child_token_policy(&app, "bounded").await;
    let details = create_child(&short, -1).await.expect_error(400, "ValidationFailed");
    assert!(details.contains("2026-01-01T01:00:00.000Z") && details.contains("tokenward.childTokens"), "{details}");
    create_child(&short, 3_601).await.expect_error(400, "ValidationFailed");
    create_child(&short, 3_600).await.expect(201);
    app.advance_seconds(1);
    create_child(&short, 3_600).await.expect_error(400, "ValidationFailed");
    create_child(&short, 3_599).await.expect(201);
    create_child(&unlimited, -1).await.expect(201);
    set_child_token_policy(&app, "forbidden").await;
    assert!(create_child(&unlimited, 1).await.expect_error(403, "AccessControlException").contains("password"));
    admin.post(TOKENS, &json!({"lifetimeSeconds": -1})).await.expect(201);
    assert!(short.is_accepted().await, "existing tokens stay valid");
    for invalid in [json!("maybe"), json!(true), json!(1)] {
        let body = json!({"configuration": [{"key": "tokenward.childTokens", "value": invalid}]});
        admin.patch("/v4/workspaces/current/configuration", &body).await.expect(400);
    }
    let schema = admin.get("/v4/workspaces/current/configuration-schema").await.expect(200);
    assert_eq!(schema.json[3]["enum"], json!(["allowed", "bounded", "forbidden"]));
}

#[apply(both_databases)]
async fn a_child_token_names_its_parent(engine: Engine) {
    let app = TestApp::start(engine).await;
    let parent = app.admin().create_token().await;
    let created = TokenClient::from_response(&parent, &create_child(&parent, 60).await.expect(201));
    assert_eq!(app.admin().get(&created.token_path()).await.expect(200).json["parentTokenId"], json!(parent.token_id));
    assert_eq!(app.admin().get(&parent.token_path()).await.expect(200).json.get("parentTokenId"), None);
}

#[apply(both_databases)]
async fn a_token_is_deleted_with_its_descendants(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (root, other) = (app.admin().create_token().await, app.admin().create_token().await);
    let middle = TokenClient::from_response(&root, &create_child(&root, 60).await.expect(201));
    let leaf = TokenClient::from_response(&middle, &create_child(&middle, 60).await.expect(201));
    app.admin().delete(&middle.token_path()).await.expect(204);
    assert!(root.is_accepted().await && leaf.is_accepted().await, "by default only the token itself is deleted");
    let other_person = app.add_person("ada").await;
    other_person
        .delete(&format!("{}?descendants=true", root.token_path()))
        .await
        .expect_error(404, "DataNotFoundException");
    app.admin().delete(&format!("{}?descendants=maybe", root.token_path())).await.expect(400);
    app.admin().delete(&format!("{}?descendants=true", root.token_path())).await.expect(204);
    assert!(!root.is_accepted().await && !leaf.is_accepted().await && other.is_accepted().await);
    app.admin()
        .delete(&format!("{}?descendants=true", root.token_path()))
        .await
        .expect_error(404, "DataNotFoundException");
}

#[apply(both_databases)]
async fn all_tokens_of_a_person_are_deleted_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let ada = app.admin().add_person("ada", true).await;
    let bob = app.add_person("bob").await;
    let other = app.create_workspace_with_admin("eve").await;
    let (ada_response, second, own) =
        (ada.create_token().await, ada.create_token().await, app.admin().create_token().await);
    let path = format!("{TOKENS}?personId={}", ada.id);
    bob.delete(&path).await.expect_error(403, "AccessControlException");
    other.delete(&path).await.expect_error(404, "DataNotFoundException");
    assert!(ada_response.is_accepted().await);
    app.admin().delete(&path).await.expect(204);
    assert!(!ada_response.is_accepted().await && !second.is_accepted().await && own.is_accepted().await);
    assert_eq!(ada.get(TOKENS).await.expect(200).rows().len(), 0);
    assert_eq!(ada.get(&ada_response.token_path()).await.status, 404);
    app.admin().delete(&path).await.expect(204);
    let again = ada.create_token().await;
    assert!(again.is_accepted().await, "tokens created afterwards are valid");
    // A token deletes all tokens of its owner.
    again.delete(TOKENS).await.expect(204);
    assert!(!again.is_accepted().await && own.is_accepted().await);
    app.admin().delete(&format!("{TOKENS}?personId=9999")).await.expect_error(404, "DataNotFoundException");
    app.admin().delete(&format!("{TOKENS}?personId=x")).await.expect(400);
    app.state.tokens().purge_revoked().await.unwrap();
    assert!(own.is_accepted().await);
}

#[apply(both_databases)]
async fn a_delete_request_without_an_id_deletes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let token = app.admin().create_token().await;
    for path in ["/v4/apiAccessTokens/", "/v4/apiaccesstokens/", "/v4/apiAccessTokens/?descendants=true"] {
        app.admin().delete(path).await.expect_error(404, "RouteNotFoundException");
    }
    assert!(token.is_accepted().await);
}

async fn create_idempotently(client: &ApiClient, key: &str, body: &Value) -> TestResponse {
    let mut request = client.request("POST", TOKENS, body.to_string().into());
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    client.send(request).await
}

const IDEMPOTENCY_KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

#[apply(both_databases)]
async fn an_idempotent_request_is_replayed_for_ten_minutes(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let first = create_idempotently(&admin, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201);
    app.advance_seconds(599);
    let again = create_idempotently(&admin, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201);
    assert_eq!(first.text, again.text, "including the value");
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 1);
    assert!(TokenClient::from_response(&admin, &again).is_accepted().await);
    app.advance_seconds(1);
    let other = create_idempotently(&admin, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201);
    assert_ne!(first.json["tokenValue"], other.json["tokenValue"]);
}

#[apply(both_databases)]
async fn an_idempotency_key_is_bound_to_body_person_and_credential(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (admin, ada) = (app.admin(), app.admin().add_person("ada", true).await);
    let first = create_idempotently(&admin, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201);
    for body in [json!({"lifetimeSeconds": 3601}), json!({"lifetimeSeconds": 3600, "description": "x"})] {
        assert!(
            create_idempotently(&admin, IDEMPOTENCY_KEY, &body)
                .await
                .expect_error(400, "ValidationFailed")
                .contains("different body")
        );
    }
    let same = json!({"description": null, "lifetimeSeconds": 3600.0, "unknown": 1});
    assert_eq!(
        create_idempotently(&admin, IDEMPOTENCY_KEY, &same).await.expect(201).text,
        first.text,
        "equivalent bodies are the same request"
    );
    let ada_response = create_idempotently(&ada, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201);
    let by_token = create_idempotently(&TokenClient::from_response(&admin, &first), IDEMPOTENCY_KEY, &one_hour_token())
        .await
        .expect(201);
    let values = [&first, &ada_response, &by_token].map(|response| response.json["tokenValue"].clone());
    assert!(values[0] != values[1] && values[0] != values[2] && values[1] != values[2]);
    for invalid in ["short", "with spaces in the key", ""] {
        create_idempotently(&admin, invalid, &one_hour_token()).await.expect_error(400, "ValidationFailed");
    }
    let mut two = admin.request("POST", TOKENS, one_hour_token().to_string().into());
    for key in [IDEMPOTENCY_KEY, "another-key-0123456789"] {
        two.headers_mut().append("idempotency-key", key.parse().unwrap());
    }
    admin.send(two).await.expect(400);
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 2);
}

#[apply(both_databases)]
async fn concurrent_identical_requests_create_one_token(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let responses = join_all((0..20).map(|_| {
        let admin = admin.clone();
        async move { create_idempotently(&admin, IDEMPOTENCY_KEY, &one_hour_token()).await.expect(201).text }
    }))
    .await;
    assert!(responses.iter().all(|text| *text == responses[0]));
    assert_eq!(admin.get(TOKENS).await.expect(200).rows().len(), 1);
}
