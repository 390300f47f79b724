//! Query parameters: unknown ones are reported and nothing is changed. The tests cover every
//! operation of the OpenAPI document.

use axum::body::Body;
use rstest::rstest;
use rstest_reuse::apply;
use serde_json::{Value, json};
use tokenward::api::openapi;

use crate::support::{
    ApiClient, Engine, PASSWORD, PersonClient, TestApp, TestResponse, TokenClient, both_databases, one_hour_token,
};

const TOKENS: &str = "/v4/apiAccessTokens";

/// Parameters that clients of the compatible API may send with any GET request.
const IGNORED: &str =
    "fields=id&embed=owner&embed=x&includeDeleted=true&includePrivileges=true&filter=x&workspaceId=7&uuid=x&noLimit";

/// An operation under `/v4`, except auth checks.
struct Operation {
    method: String,
    path: String,
    query: Vec<String>,
    is_public: bool,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(openapi::document_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if path.starts_with("/v4/") && !path.starts_with("/v4/auth") {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let names = parameters.filter(|p| p["in"] == "query").map(|p| p["name"].as_str().unwrap().to_owned());
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    query: names.collect(),
                    is_public: operation["security"] == json!([]),
                });
            }
        }
    }
    assert!(operations.len() >= 23, "{}", operations.len());
    operations
}

/// Objects that the operations could change.
struct QueryFixture {
    app: TestApp,
    admin: PersonClient,
    ada: PersonClient,
    token: TokenClient,
    webhook_id: String,
    account_id: i64,
    rule_id: String,
}

impl QueryFixture {
    async fn new(app: TestApp) -> Self {
        let admin = app.admin();
        let ada = admin.add_person("ada", true).await;
        app.create_workspace_with_admin("eve").await;
        let token = ada.create_token().await;
        let webhook = admin.post("/v4/webhooks", &webhook()).await.expect(201);
        let webhook_id = webhook.json["id"].as_str().unwrap().to_owned();
        let account = json!({"kind": "service", "name": "ci", "custodians": [admin.id]});
        let account = admin.post("/v4/people", &account).await.expect(201);
        let account_id = account.json["id"].as_i64().unwrap();
        let rule = admin.post(&format!("/v4/people/{account_id}/trust"), &trust_rule()).await.expect(201);
        let rule_id = rule.json["id"].as_str().unwrap().to_owned();
        Self { app, admin, ada, token, webhook_id, account_id, rule_id }
    }

    /// Returns everything that a request could change.
    async fn state(&self) -> Vec<String> {
        let mut responses = Vec::new();
        let rules = format!("/v4/people/{}/trust", self.account_id);
        for path in [
            rules.as_str(),
            "/v4/apiAccessTokens?allUsers=true",
            "/v4/people",
            "/v4/workspaces",
            "/v4/webhooks",
            "/v4/workspaces/current/configuration",
            "/v4/events?allUsers=true",
        ] {
            responses.push(self.admin.get(path).await.expect(200).text);
        }
        responses
    }

    /// Sends an operation with this query and a valid body.
    async fn send(&self, client: &ApiClient, operation: &Operation, query: &str) -> TestResponse {
        let id = if operation.path.contains("people") { self.ada.id.to_string() } else { "current".to_owned() };
        let id = if operation.path == "/v4/workspaces/{id}" { "2".to_owned() } else { id };
        let id = if operation.path.contains("webhooks") { self.webhook_id.clone() } else { id };
        let id = if operation.path.contains("/trust") { self.account_id.to_string() } else { id };
        let required = "key=tokenward.requireScopes&value=true";
        let query = match operation.path.ends_with("/preview") {
            true if query.is_empty() => required.to_owned(),
            true => format!("{required}&{query}"),
            false => query.to_owned(),
        };
        let path = operation.path.replace("{tokenId}", &self.token.token_id).replace("{id}", &id);
        let path = path.replace("{ruleId}", &self.rule_id);
        let body = match (operation.method.as_str(), operation.path.as_str()) {
            ("POST", TOKENS) => one_hour_token(),
            ("POST", "/v4/people") => json!({"email": "new@example.com", "name": "New", "password": PASSWORD}),
            ("POST", "/v4/people/{id}/invite" | "/v4/webhooks/{id}/test") => json!({}),
            ("POST", "/v4/webhooks") => webhook(),
            ("POST", "/v4/people/{id}/trust") => trust_rule(),
            ("PATCH", "/v4/webhooks/{id}") => json!({"isEnabled": false}),
            ("PATCH", "/v4/people/{id}") => json!({"isDisabled": true}),
            ("POST", "/v4/leaks") => json!({"values": [self.token.value]}),
            ("POST", "/v4/apiAccessTokens/delete") => json!({"all": true, "allUsers": true, "dryRun": false}),
            ("POST", "/v4/workspaces") => {
                json!({"name": "W", "admin": {"email": "w@example.com", "name": "W", "password": PASSWORD}})
            }
            ("PATCH", "/v4/workspaces/{id}") => json!({"name": "Renamed"}),
            ("PATCH", "/v4/workspaces/{id}/configuration") => {
                json!({"configuration": [{"key": "feature.apiAccessTokens.enabled", "value": false}]})
            }
            ("POST", "/v4/workspaces/{id}/delete-configuration") => {
                json!({"settings": ["feature.apiAccessTokens.enabled"]})
            }
            ("GET" | "DELETE", _) => {
                return client.send(client.request(&operation.method, &format!("{path}?{query}"), Body::empty())).await;
            }
            other => panic!("{other:?} has no body in this test"),
        };
        client.send_json(&operation.method, &format!("{path}?{query}"), body.to_string()).await
    }
}

/// Returns the body that creates a trust rule.
fn trust_rule() -> Value {
    json!({
        "issuer": "https://issuer.example.com", "audience": "https://tokens.example.com",
        "conditions": [{"claim": "sub", "value": "job-1"}]
    })
}

/// Returns the body that creates a webhook.
fn webhook() -> Value {
    json!({"url": "https://hooks.example.com/", "events": ["token.leaked"]})
}

#[apply(both_databases)]
async fn unknown_parameters_are_reported_and_change_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    let before = fixture.state().await;
    for operation in operations() {
        for query in ["dryRun=true", "unknown", "status2=expired", "limit%20=1"] {
            let response = fixture.send(&fixture.admin, &operation, query).await;
            let details = response.expect_error(400, "ApiValidationFailed");
            let what = format!("{} {}: {details}", operation.method, operation.path);
            assert!(
                details.ends_with('.') && (query.contains('%') || details.contains(query.split('=').next().unwrap())),
                "{what}"
            );
            let names_one =
                operation.query.iter().any(|known| details.contains(&format!("this operation is {known}.")));
            assert_eq!(names_one, !operation.query.is_empty(), "{what}");
            // An anonymous caller gets 401 first.
            let anonymous_status = fixture.send(&fixture.app.anonymous(), &operation, query).await.status;
            assert_eq!(anonymous_status, if operation.is_public { 400 } else { 401 }, "{what}");
        }
        let head = fixture.app.admin().request("HEAD", "/v4/people/current?x=1", Body::empty());
        assert_eq!(fixture.admin.send(head).await.status, 400);
    }
    assert_eq!(fixture.state().await, before);
    assert!(fixture.token.is_accepted().await);
}

/// Returns other spellings of a name: `personId` as `person_id`, `personid`, `PersonId`, `PERSONID`
/// and `personId[]`, as far as they differ.
fn spellings(name: &str) -> Vec<String> {
    let snake = name.chars().flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] });
    let capital = name[..1].to_uppercase() + &name[1..];
    let all = [snake.collect(), name.to_lowercase(), capital, name.to_uppercase(), format!("{name}[]")];
    all.into_iter().filter(|spelled: &String| spelled != name).collect()
}

#[apply(both_databases)]
async fn parameter_names_are_matched_exactly(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    let before = fixture.state().await;
    for operation in operations() {
        for known in &operation.query {
            for spelled in spellings(known) {
                let response = fixture.send(&fixture.admin, &operation, &format!("{spelled}=1")).await;
                let details = response.expect_error(400, "ApiValidationFailed");
                assert!(
                    details.contains(&spelled) && details.contains(&format!("this operation is {known}.")),
                    "{details}"
                );
            }
        }
    }
    assert_eq!(fixture.state().await, before);
}

/// A documented parameter that no handler reads would be ignored silently. A duplicate is an error
/// wherever the parameter is read.
#[apply(both_databases)]
async fn every_documented_parameter_is_read(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    let before = fixture.state().await;
    let mut parameter_count = 0;
    for operation in operations() {
        for known in &operation.query {
            let value = match known.as_str() {
                "limit" | "offset" | "personId" | "actorId" => "1",
                "sort" => "createdAt",
                "kind" => "service",
                "status" | "state" => "active",
                "includeCount" | "allUsers" | "isDisabled" | "descendants" | "neverUsed" => "true",
                known if known.ends_with("Before") || known.ends_with("After") => "2026-01-01T00:00:00Z",
                _ => "x",
            };
            let response = fixture.send(&fixture.admin, &operation, &format!("{known}={value}&{known}={value}")).await;
            let details = response.expect_error(400, "ApiValidationFailed");
            assert!(details.contains("duplicate") && details.contains(known), "{}: {details}", operation.path);
            parameter_count += 1;
        }
    }
    assert!(parameter_count >= 25, "{parameter_count}");
    assert_eq!(fixture.state().await, before);
}

#[apply(both_databases)]
async fn deletions_reject_unsupported_filters(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    let own_token = fixture.admin.create_token().await;
    for query in [
        "status=expired",
        "person_id=2",
        "personid=2",
        "userId=2",
        "tokenId=00000000-0000-0000-0000-000000000000",
        "dryRun=true",
        "allUsers=true",
        "descendants=true",
        "limit=1",
        "fields=id",
        "workspaceId=2",
        "personId=2&status=expired",
        "=2",
        "%70erson_id=2",
    ] {
        let details = fixture.admin.delete(&format!("{TOKENS}?{query}")).await.expect_error(400, "ApiValidationFailed");
        assert!(details.contains("this operation is personId."), "{query}: {details}");
        if !query.starts_with("descendants") {
            fixture
                .admin
                .delete(&format!("{}?{query}", own_token.token_path()))
                .await
                .expect_error(400, "ApiValidationFailed");
        }
        assert!(own_token.is_accepted().await && fixture.token.is_accepted().await, "{query}");
    }
    fixture.admin.delete(&format!("{TOKENS}?personId={}", fixture.ada.id)).await.expect(204);
    assert!(own_token.is_accepted().await && !fixture.token.is_accepted().await);
    fixture.admin.delete(&format!("{TOKENS}?")).await.expect(204);
    assert!(!own_token.is_accepted().await);
}

#[apply(both_databases)]
async fn compatibility_parameters_of_get_requests_are_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    for operation in operations() {
        if operation.method == "GET" {
            let plain_forms = fixture.send(&fixture.admin, &operation, "").await.text;
            for name in IGNORED.split('&') {
                let response = fixture.send(&fixture.admin, &operation, name).await;
                assert!(
                    response.status != 400 && response.text == plain_forms,
                    "{} {name}: {}",
                    operation.path,
                    response.text
                );
            }
            assert_eq!(fixture.send(&fixture.admin, &operation, IGNORED).await.text, plain_forms, "{}", operation.path);
        } else {
            for name in IGNORED.split('&') {
                fixture.send(&fixture.admin, &operation, name).await.expect_error(400, "ApiValidationFailed");
            }
        }
    }
    assert!(fixture.token.is_accepted().await);
}

#[apply(both_databases)]
async fn bulk_deletion_accepts_no_body(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    let own_token = fixture.admin.create_token().await;
    for body in [r#"{"status":"expired"}"#, "personId=2", "[]", "x"] {
        fixture.admin.send_json("DELETE", TOKENS, body).await.expect_error(400, "ApiValidationFailed");
        fixture.app.anonymous().send_json("DELETE", TOKENS, body).await.expect(401);
    }
    assert!(own_token.is_accepted().await && fixture.token.is_accepted().await);
    // If the path names the token, the body is ignored: some clients always send an empty object.
    let other = fixture.admin.create_token().await;
    fixture.admin.send_json("DELETE", &other.token_path(), r#"{"x":1}"#).await.expect(204);
    assert!(own_token.is_accepted().await && !other.is_accepted().await);
    for body in ["", "{}", " null\n"] {
        fixture.admin.send_json("DELETE", TOKENS, body).await.expect(204);
    }
    assert!(!own_token.is_accepted().await && fixture.token.is_accepted().await);
}

#[apply(both_databases)]
async fn disabled_token_routes_return_404_for_any_query(engine: Engine) {
    let app = TestApp::start(engine).await;
    let fixture = QueryFixture::new(app).await;
    fixture.app.set_setting("enabled", false).await;
    for operation in operations().iter().filter(|operation| operation.path.starts_with(TOKENS)) {
        for client in [&*fixture.admin, &*fixture.token] {
            fixture.send(client, operation, "unknown=1").await.expect_error(404, "RouteNotFoundException");
        }
        fixture.send(&fixture.app.anonymous(), operation, "unknown=1").await.expect(401);
    }
    fixture.admin.send_json("DELETE", TOKENS, "x").await.expect_error(404, "RouteNotFoundException");
}

#[apply(both_databases)]
async fn people_are_listed_by_state(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.admin();
    let ada = app.add_person("ada").await;
    admin.update_person(ada.id, json!({"isDisabled": true})).await.expect(200);
    let all = admin.get("/v4/people?state=active&includeCount=true").await.expect(200);
    assert_eq!((all.rows().len(), &all.json["count"]), (2, &json!(2)));
    assert_eq!(admin.get("/v4/people?state=active&isDisabled=true").await.expect(200).rows().len(), 1);
    let none = admin.get("/v4/people?state=hidden&includeCount=true").await.expect(200).json;
    assert_eq!(none, json!({"data": [], "count": 0}));
    for wrong in ["state=Active", "state=", "state=x", "state=active&state=active", "state=hidden&limit=0"] {
        admin.get(&format!("/v4/people?{wrong}")).await.expect(400);
    }
    let bob = app.add_person("bob").await;
    bob.get("/v4/people?state=active").await.expect_error(403, "AccessControlException");
}

/// Proxies append the query of the original request to auth checks.
#[apply(both_databases)]
async fn queries_of_proxied_requests_are_ignored(engine: Engine) {
    let app = TestApp::start(engine).await;
    let bearer = app.admin().create_token().await;
    let form = "application/x-www-form-urlencoded";
    for query in
        ["unknown=1", "person_id=2&status=expired", "limit=x", "limit=1&limit=1", "%FF&=&&", "a=b?c=/v4/auth/admin"]
    {
        for path in ["/v4/auth", "/v4/auth/", "/v4/auth/any", "/v4/auth/workspace=1,admin/v4/people", "/v4/auth/any/"] {
            for method in ["GET", "HEAD", "POST", "DELETE", "PATCH"] {
                let sent = bearer.request(method, &format!("{path}?{query}"), Body::empty());
                assert_eq!(bearer.send(sent).await.status, 200, "{method} {path}?{query}");
            }
            app.anonymous().get(&format!("{path}?{query}")).await.expect(401);
        }
        for path in ["/health/live", "/health/ready", "/.well-known/api-token-format", "/sign-in"] {
            app.browser().get(&format!("{path}?{query}")).await.expect(200);
        }
        let body = format!("token={}&unknown=1&unknown=2&Token=x&resource=y", bearer.value);
        let mut request = bearer.request("POST", &format!("/oauth2/introspect?{query}"), Body::from(body));
        request.headers_mut().insert("content-type", form.parse().unwrap());
        assert_eq!(bearer.send(request).await.expect(200).json["active"], true);
    }
    let mut request =
        app.anonymous().request("POST", "/oauth2/revoke?x=1", format!("x=1&token={}&y", bearer.value).into());
    request.headers_mut().insert("content-type", form.parse().unwrap());
    app.anonymous().send(request).await.expect(200);
    assert!(!bearer.is_accepted().await);
}
