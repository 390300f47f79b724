//! People, and what they send.

use std::{net::IpAddr, ops::Deref};

use axum::{body::Body, http::Request};
use http::HeaderValue;
use serde_json::{Value, json};
use tokenward::http::{client_ip::Peer, root::Service};
use tower::ServiceExt as _;

use super::{PASSWORD, Reply, an_hour};

/// Whoever sends requests with one credential.
#[derive(Clone)]
pub struct Client {
    service: Service,
    authorization: Vec<HeaderValue>,
    peer: Option<IpAddr>,
}

/// Somebody with an account, who signs in by password.
#[derive(Clone)]
pub struct Person {
    client: Client,
    pub id: i64,
    pub workspace_id: i64,
    pub email: String,
}

/// Somebody who presents a token.
#[derive(Clone)]
pub struct Bearer {
    client: Client,
    pub value: String,
    pub token_id: String,
}

impl Client {
    pub fn new(service: Service, fields: Vec<String>) -> Self {
        let authorization =
            fields.into_iter().map(|field| HeaderValue::from_bytes(field.as_bytes()).unwrap()).collect();
        Self { service, authorization, peer: None }
    }

    /// The same from this address.
    pub fn from(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request("GET", path, Body::empty())).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request("DELETE", path, Body::empty())).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.with_json("POST", path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.with_json("PATCH", path, body.to_string()).await
    }

    pub async fn with_json(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let mut request = self.request(method, path, body.into());
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        self.send(request).await
    }

    /// A request with this client's credential, to be changed before it is sent.
    pub fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        for field in &self.authorization {
            request.headers_mut().append("authorization", field.clone());
        }
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(Peer(peer));
        }
        request
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        Reply::read(self.service.clone().oneshot(request).await.unwrap()).await
    }
}

impl Person {
    pub fn new(service: Service, id: i64, workspace_id: i64, email: &str) -> Self {
        let client = Client::new(service, vec![basic(email, PASSWORD)]);
        Self { client, id, workspace_id, email: email.to_owned() }
    }

    /// Adds somebody to the own workspace.
    pub async fn add(&self, name: &str, is_admin: bool) -> Self {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "name": name, "password": PASSWORD, "isAdmin": is_admin});
        let made = self.post("/v4/people", &body).await.expect(201);
        Self::new(self.client.service.clone(), made.json["id"].as_i64().unwrap(), self.workspace_id, &email)
    }

    /// Changes somebody of the own workspace.
    pub async fn change(&self, id: i64, body: Value) -> Reply {
        self.patch(&format!("/v4/people/{id}"), &body).await
    }

    /// Makes a token that lives for an hour, and presents it from then on.
    pub async fn bearer(&self) -> Bearer {
        self.bearer_for(an_hour()).await
    }

    pub async fn bearer_for(&self, body: Value) -> Bearer {
        let made = self.post("/v4/apiAccessTokens", &body).await.expect(201);
        Bearer::of(&self.client, &made)
    }

    /// The same person with another password.
    pub fn with_password(&self, password: &str) -> Self {
        let client = Client::new(self.client.service.clone(), vec![basic(&self.email, password)]);
        Self { client, ..self.clone() }
    }
}

impl Bearer {
    /// Whoever holds the token of a 201.
    pub fn of(client: &Client, made: &Reply) -> Self {
        let value = made.json["tokenValue"].as_str().unwrap().to_owned();
        let token_id = made.json["tokenInfo"]["tokenId"].as_str().unwrap().to_owned();
        let client = Client::new(client.service.clone(), vec![format!("Bearer {value}")]);
        Self { client, value, token_id }
    }

    /// A client that presents this value.
    pub fn new(client: Client, value: &str, token_id: &str) -> Self {
        Self { client, value: value.to_owned(), token_id: token_id.to_owned() }
    }

    pub fn path(&self) -> String {
        format!("/v4/apiAccessTokens/{}", self.token_id)
    }

    /// Whether the token opens the API.
    pub async fn works(&self) -> bool {
        match self.get("/v4/people/current").await.status {
            200 => true,
            401 => false,
            other => panic!("a check answered {other}"),
        }
    }
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Deref for Bearer {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The `Authorization` field of RFC 7617.
pub fn basic(email: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{email}:{password}")))
}
