//! HTTP clients of the API: with a password, a token or any other credential.

use std::{net::IpAddr, ops::Deref};

use axum::{body::Body, http::Request};
use http::HeaderValue;
use serde_json::{Value, json};
use tokenward::http::{client_ip::PeerAddr, pipeline::HttpService};
use tower::ServiceExt as _;

use super::{PASSWORD, TestResponse, one_hour_token};

/// A client that sends the same `Authorization` fields with every request.
#[derive(Clone)]
pub struct ApiClient {
    service: HttpService,
    authorization: Vec<HeaderValue>,
    peer: Option<IpAddr>,
}

/// A person who authenticates with e-mail and password.
#[derive(Clone)]
pub struct PersonClient {
    client: ApiClient,
    pub id: i64,
    pub workspace_id: i64,
    pub email: String,
}

/// A client that authenticates with a token.
#[derive(Clone)]
pub struct TokenClient {
    client: ApiClient,
    pub value: String,
    pub token_id: String,
}

impl ApiClient {
    pub fn new(service: HttpService, fields: Vec<String>) -> Self {
        let authorization =
            fields.into_iter().map(|field| HeaderValue::from_bytes(field.as_bytes()).unwrap()).collect();
        Self { service, authorization, peer: None }
    }

    /// Returns this client with another client address.
    pub fn with_address(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(self.request("GET", path, Body::empty())).await
    }

    pub async fn delete(&self, path: &str) -> TestResponse {
        self.send(self.request("DELETE", path, Body::empty())).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json("POST", path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> TestResponse {
        self.send_json("PATCH", path, body.to_string()).await
    }

    pub async fn send_json(&self, method: &str, path: &str, body: impl Into<Body>) -> TestResponse {
        let mut request = self.request(method, path, body.into());
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        self.send(request).await
    }

    /// Returns a request with the credential of this client.
    pub fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        for field in &self.authorization {
            request.headers_mut().append("authorization", field.clone());
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        request
    }

    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        TestResponse::read(self.service.clone().oneshot(request).await.unwrap()).await
    }
}

impl PersonClient {
    pub fn new(service: HttpService, id: i64, workspace_id: i64, email: &str) -> Self {
        let client = ApiClient::new(service, vec![basic_auth(email, PASSWORD)]);
        Self { client, id, workspace_id, email: email.to_owned() }
    }

    /// Adds a person to the workspace of this person, and returns them.
    pub async fn add_person(&self, name: &str, is_admin: bool) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "name": name, "password": PASSWORD, "isAdmin": is_admin});
        let created = self.post("/v4/people", &body).await.expect(201);
        Self::new(self.client.service.clone(), created.json["id"].as_i64().unwrap(), self.workspace_id, &email)
    }

    /// Updates a person of the workspace of this person.
    pub async fn update_person(&self, id: i64, body: Value) -> TestResponse {
        self.patch(&format!("/v4/people/{id}"), &body).await
    }

    /// Creates a token with a lifetime of one hour, and returns a client that presents it.
    pub async fn create_token(&self) -> TokenClient {
        self.create_token_with(one_hour_token()).await
    }

    pub async fn create_token_with(&self, body: Value) -> TokenClient {
        let created = self.post("/v4/apiAccessTokens", &body).await.expect(201);
        TokenClient::from_response(&self.client, &created)
    }

    /// Returns this person with another password.
    pub fn with_password(&self, password: &str) -> Self {
        let client = ApiClient::new(self.client.service.clone(), vec![basic_auth(&self.email, password)]);
        Self { client, ..self.clone() }
    }
}

impl TokenClient {
    /// Returns a client with the token of a 201 response.
    pub fn from_response(client: &ApiClient, created: &TestResponse) -> Self {
        let value = created.json["tokenValue"].as_str().unwrap().to_owned();
        let token_id = created.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned();
        let client = ApiClient::new(client.service.clone(), vec![format!("Bearer {value}")]);
        Self { client, value, token_id }
    }

    /// Returns a client with this token. `client` must present the same value.
    pub fn new(client: ApiClient, value: &str, token_id: &str) -> Self {
        Self { client, value: value.to_owned(), token_id: token_id.to_owned() }
    }

    pub fn token_path(&self) -> String {
        format!("/v4/apiAccessTokens/{}", self.token_id)
    }

    /// Returns whether the API accepts the token.
    pub async fn is_accepted(&self) -> bool {
        match self.get("/v4/people/current").await.status {
            200 => true,
            401 => false,
            other => panic!("the API responded with {other}"),
        }
    }
}

impl Deref for PersonClient {
    type Target = ApiClient;

    fn deref(&self) -> &ApiClient {
        &self.client
    }
}

impl Deref for TokenClient {
    type Target = ApiClient;

    fn deref(&self) -> &ApiClient {
        &self.client
    }
}

/// Returns the `Authorization` field of Basic authentication (RFC 7617).
pub fn basic_auth(email: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{email}:{password}")))
}
