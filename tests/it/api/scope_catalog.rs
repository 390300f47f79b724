//! The catalog of scopes of a workspace.

use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};

use crate::support::{ApiClient, Engine, TestApp, TestResponse, TokenClient, both_databases};

const TOKENS: &str = "/v4/apiAccessTokens";
const CONFIGURATION: &str = "/v4/workspaces/current/configuration";

async fn set_catalog(admin: &ApiClient, catalog: Value) -> TestResponse {
    let body = json!({"configuration": [{"key": "tokenward.scopes", "value": catalog}]});
    admin.patch(CONFIGURATION, &body).await
}

async fn create(client: &ApiClient, scopes: Value) -> TestResponse {
    client.post(TOKENS, &json!({"lifetimeSeconds": 3_600, "scopes": scopes})).await
}

#[apply(both_databases)]
async fn new_tokens_have_scopes_of_the_catalog_reserved_ones_and_inherited_ones(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let older =
        TokenClient::from_response(&admin, &create(&admin, json!(["old", "tokenward:tokens:write"])).await.expect(201));
    let catalog =
        json!([{"name": "reports:read", "description": "Read reports"}, {"name": "deploy", "description": ""}]);
    set_catalog(&admin, catalog.clone()).await.expect(200);
    let settings = admin.get(&format!("{CONFIGURATION}?key=tokenward.scopes")).await.expect(200);
    assert_eq!(settings.json[0]["effectiveValue"], catalog);
    for accepted in [json!([]), json!(["deploy"]), json!(["reports:read", "tokenward:introspect"])] {
        create(&admin, accepted).await.expect(201);
    }
    admin.post(TOKENS, &json!({"lifetimeSeconds": 3_600})).await.expect(201);
    for rejected in [json!(["report:read"]), json!(["deploy", "old"])] {
        let error = create(&admin, rejected.clone()).await.expect_error(400, "ValidationFailed");
        assert!(error.contains("nearest scope is"), "{rejected}: {error}");
    }
    assert!(create(&admin, json!(["report:read"])).await.text.contains("reports:read"));
    // What the maker or the replaced token has is inherited, by name or without.
    create(&older, json!(["old"])).await.expect(201);
    let kept = older.post(TOKENS, &json!({"lifetimeSeconds": 60})).await.expect(201);
    assert_eq!(kept.json["tokenInfo"]["scopes"], json!(["old", "tokenward:tokens:write"]));
    let renewed = admin.post(TOKENS, &json!({"replaces": older.token_id, "scopes": ["old"]})).await.expect(201);
    assert_eq!(renewed.json["tokenInfo"]["scopes"], json!(["old"]));
    assert!(older.is_accepted().await, "existing tokens are not affected");
    // Without a catalog, every scope is accepted again.
    set_catalog(&admin, json!([])).await.expect(200);
    create(&admin, json!(["anything"])).await.expect(201);
    set_catalog(&admin, json!(null)).await.expect(200);
    create(&admin, json!(["anything"])).await.expect(201);
}

#[apply(both_databases)]
async fn an_invalid_catalog_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let many: Vec<_> = (0..101).map(|n| json!({"name": format!("s{n}"), "description": ""})).collect();
    for (catalog, part) in [
        (json!([{"name": "A", "description": ""}]), "A\\\" is invalid"),
        (json!([{"name": "a"}, {"name": "a"}]), "more than once"),
        (json!([{"name": "tokenward:introspect"}]), "always accepted"),
        (json!([{"name": "a", "description": "x".repeat(201)}]), "at most 200 characters"),
        (json!([{"name": "a", "description": "b\u{202e}c"}]), "control characters"),
        (json!(many), "at most 100 entries"),
        (json!([{"name": "a", "access": "all"}]), "name and description"),
        (json!([{"description": "a"}]), "name and description"),
        (json!("a"), "tokenward.scopes must be"),
        (json!([1]), "tokenward.scopes must be"),
    ] {
        let response = set_catalog(&admin, catalog).await.expect(400);
        assert!(response.text.contains(part), "{part}: {}", response.text);
    }
    create(&admin, json!(["anything"])).await.expect(201);
    let member = app.add_person("ada").await;
    set_catalog(&member, json!([])).await.expect(403);
}
