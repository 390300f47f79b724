//! Workload identity: trust rules of service accounts, and the exchange of JWTs for tokens.

mod attacks;
mod ci_systems;
mod exchange;
pub mod issuer;
mod openid_provider;
mod outage;
mod rules;

use serde_json::{Value, json};

use crate::support::{ApiClient, Database, Engine, TestApp, TestResponse, TokenClient};
use issuer::{AUDIENCE, Issuer};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The service with the service account `ci`, and an issuer on loopback.
struct Workload {
    app: TestApp,
    issuer: Issuer,
    account_id: i64,
}

impl Workload {
    async fn start(engine: Engine) -> Self {
        Self::start_on(Database::migrated(engine).await).await
    }

    async fn start_on(database: Database) -> Self {
        let app = start_app(database).await;
        let account_id = create_account(&app, "ci").await;
        Self { app, issuer: Issuer::start().await, account_id }
    }

    /// Returns the path of the trust rules.
    fn rules_path(&self) -> String {
        format!("/v4/people/{}/trust", self.account_id)
    }

    /// Returns the body of a rule for the subject `job-1`, with more fields.
    fn rule(&self, more: &Value) -> Value {
        let mut rule = json!({
            "issuer": self.issuer.url, "audience": AUDIENCE, "conditions": [{"claim": "sub", "value": "job-1"}]
        });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    }

    /// Creates a rule, and returns its ID.
    async fn trust(&self, more: &Value) -> String {
        let created = self.app.admin().post(&self.rules_path(), &self.rule(more)).await.expect(201);
        created.json["id"].as_str().unwrap().to_owned()
    }

    /// Exchanges a JWT for a token of `ci`.
    async fn exchange(&self, jwt: &str) -> TestResponse {
        exchange(&self.app, jwt, &[("audience", "ci")]).await
    }

    /// Exchanges an ordinary JWT with these claims, and returns a client with the token.
    async fn token(&self, claims: &Value) -> TokenClient {
        self.client(&self.exchange(&self.issuer.token(claims)).await.expect(200)).await
    }

    /// Returns a client with the token of a response.
    async fn client(&self, issued: &TestResponse) -> TokenClient {
        let value = issued.json["access_token"].as_str().unwrap();
        let client = self.app.client_with_authorization(&[&format!("Bearer {value}")]);
        let check = client.get("/v4/auth/any").await.expect(200);
        TokenClient::new(client, value, check.json["tokenId"].as_str().unwrap())
    }

    /// Returns the rules.
    async fn rules(&self) -> Vec<Value> {
        self.app.admin().get(&self.rules_path()).await.expect(200).rows().clone()
    }
}

/// Starts the service with issuers on loopback.
async fn start_app(database: Database) -> TestApp {
    TestApp::start_with(database, |config| config.outbound.allow_private = true).await
}

/// Creates a service account, and returns its ID.
async fn create_account(app: &TestApp, name: &str) -> i64 {
    let admin = app.admin();
    let body = json!({"kind": "service", "name": name, "custodians": [admin.id]});
    admin.post("/v4/people", &body).await.expect(201).json["id"].as_i64().unwrap()
}

/// Exchanges a JWT, with more parameters.
async fn exchange(app: &TestApp, jwt: &str, more: &[(&str, &str)]) -> TestResponse {
    let mut fields = vec![("grant_type", EXCHANGE), ("subject_token", jwt), ("subject_token_type", JWT)];
    fields.extend(more);
    send_form(&app.anonymous(), &fields).await
}

/// Sends a form to the token endpoint.
async fn send_form(client: &ApiClient, fields: &[(&str, &str)]) -> TestResponse {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = client.request("POST", "/oauth2/token", form.into());
    request.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    client.send(request).await
}

/// Checks the error of a response, and returns its description.
fn error_of(response: &TestResponse, code: &str) -> String {
    assert_eq!((response.status, &response.json["error"]), (400, &json!(code)), "{}", response.text);
    response.json["error_description"].as_str().unwrap().to_owned()
}

/// The text of every JWT that no rule verifies.
const NOT_ACCEPTED: &str = "No trust rule of the service account verifies the token; check the parameter audience, and \
                            the issuer, the audience and the signature of the token.";
