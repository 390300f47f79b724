//! SCIM provisioning: the protocol, the requests of identity providers, effects, and attacks.

mod attacks;
mod credentials;
mod effects;
mod identity_providers;
mod provider;
mod queries;
mod users;

use axum::body::Body;
use http::HeaderValue;
use serde_json::{Value, json};
use tokenward::{config::Config, domain::id::WorkspaceId};

use crate::support::{ApiClient, Database, Engine, PASSWORD, PersonClient, TestApp, TestResponse};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USERS: &str = "/scim/v2/Users";

/// The service with a provisioning client of workspace 1.
struct ScimApp {
    app: TestApp,
    client: ScimTestClient,
}

/// A provisioning client.
#[derive(Clone)]
struct ScimTestClient(ApiClient);

impl ScimApp {
    async fn start(engine: Engine) -> Self {
        let app = TestApp::start(engine).await;
        let client = credential(&app, 1, None, None).await;
        Self { app, client }
    }

    /// Starts the service with an identity provider `company`, which no test contacts.
    async fn with_provider(engine: Engine) -> Self {
        let app = TestApp::start_with(Database::migrated(engine).await, |config| {
            let toml = "[sso.company]\nkind = \"openldap\"\nurl = \"ldap://127.0.0.1:9\"\nstarttls = true\n\
                        bind = \"cn=search\"\nbind_password = \"search\"\nbase = \"dc=example,dc=org\"\n\
                        [[sso.company.allow]]\ngroup = \"cn=all,dc=example,dc=org\"\nworkspace = 1\n";
            let parsed: Config = toml::from_str(toml).unwrap();
            config.sso = parsed.sso;
        })
        .await;
        let client = credential(&app, 1, Some("company"), None).await;
        Self { app, client }
    }

    /// Creates a user with this e-mail as its name.
    async fn user(&self, email: &str) -> String {
        id_of(&self.client.post(USERS, &user_body(email)).await.expect(201))
    }

    /// Creates a user with a password and a token.
    async fn user_with_token(&self, email: &str) -> (String, ApiClient) {
        let id = self.user(email).await;
        let token = self.token_of(&id, email).await;
        (id, token)
    }

    /// Gives a user a password and creates a token.
    async fn token_of(&self, id: &str, email: &str) -> ApiClient {
        let admin = self.app.admin();
        let body = json!({"password": PASSWORD, "password2": PASSWORD, "tokenAccess": "enabled"});
        admin.patch(&format!("/v4/people/{id}"), &body).await.expect(200);
        let person = PersonClient::new(self.app.service.clone(), id.parse().unwrap(), 1, email);
        let token = person.create_token().await;
        self.app.client_with_authorization(&[&format!("Bearer {}", token.value)])
    }

    /// Returns a person as the administrator sees it.
    async fn person(&self, id: &str) -> Value {
        self.app.admin().get(&format!("/v4/people/{id}")).await.expect(200).json
    }

    /// Returns the actions and details of the events about a person, the oldest first.
    async fn events(&self, id: &str) -> Vec<(String, Value)> {
        let events =
            self.app.admin().get(&format!("/v4/events?allUsers=true&personId={id}&limit=100")).await.expect(200);
        let rows = events
            .rows()
            .iter()
            .rev()
            .filter(|event| event["actor"].as_str().is_some_and(|actor| actor.starts_with("scim:")));
        rows.map(|event| (event["action"].as_str().unwrap().to_owned(), event["details"].clone())).collect()
    }

    async fn actions(&self, id: &str) -> Vec<String> {
        self.events(id).await.into_iter().map(|(action, _)| action).collect()
    }
}

impl ScimTestClient {
    async fn get(&self, path: &str) -> TestResponse {
        checked(self.0.get(path).await)
    }

    async fn delete(&self, path: &str) -> TestResponse {
        checked(self.0.delete(path).await)
    }

    async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send("POST", path, body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> TestResponse {
        self.send("PUT", path, body.to_string()).await
    }

    /// Sends PATCH with these operations.
    async fn patch(&self, id: &str, operations: Value) -> TestResponse {
        let body = json!({"schemas": [PATCH_OP], "Operations": operations});
        self.send("PATCH", &format!("{USERS}/{id}"), body.to_string()).await
    }

    async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> TestResponse {
        let mut request = self.0.request(method, path, body.into());
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/scim+json"));
        checked(self.0.send(request).await)
    }

    async fn set_active(&self, id: &str, active: bool) -> TestResponse {
        self.patch(id, json!([{"op": "replace", "path": "active", "value": active}])).await
    }

    async fn find(&self, filter: &str) -> TestResponse {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("filter", filter).finish();
        self.get(&format!("{USERS}?{query}")).await
    }
}

/// Checks what every response has: the media type and no cache.
fn checked(response: TestResponse) -> TestResponse {
    if response.text.is_empty() {
        assert_eq!(response.status, 204);
    } else {
        assert_eq!(response.headers["content-type"], "application/scim+json", "{}", response.text);
    }
    assert_eq!(response.headers["cache-control"], "no-store");
    if response.status >= 400 {
        let (status, schemas) = (&response.json["status"], &response.json["schemas"]);
        assert_eq!(status.as_str(), Some(response.status.to_string().as_str()), "{}", response.text);
        assert_eq!(*schemas, json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert!(response.json["detail"].as_str().is_some_and(|text| text.ends_with('.')), "{}", response.text);
    }
    response
}

/// Creates a credential and returns its client.
async fn credential(app: &TestApp, workspace: i64, provider: Option<&str>, name: Option<&str>) -> ScimTestClient {
    let value = credential_value(app, workspace, provider, name).await;
    ScimTestClient(app.client_with_authorization(&[&format!("Bearer {value}")]))
}

async fn credential_value(app: &TestApp, workspace: i64, provider: Option<&str>, name: Option<&str>) -> String {
    let created = app.state.scim().create_credential(WorkspaceId::new(workspace), provider, name).await;
    created.unwrap().1.expose().to_owned()
}

fn user_body(email: &str) -> Value {
    json!({"schemas": [USER], "userName": email, "emails": [{"value": email, "primary": true}]})
}

fn id_of(response: &TestResponse) -> String {
    response.json["id"].as_str().unwrap().to_owned()
}

/// Asserts an error with this status and this kind.
#[track_caller]
fn assert_error(response: &TestResponse, status: u16, kind: Option<&str>) {
    assert_eq!((response.status, response.json["scimType"].as_str()), (status, kind), "{}", response.text);
}
