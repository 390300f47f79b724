//! A fake OpenID provider whose responses are set by the test.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

use crate::{Client, ClientSettings, cache::MonotonicClock};

use super::{TestKey, settings};

/// A time limit for responses that arrive: the limit of the service.
const LONG: Duration = Duration::from_secs(5);
/// A time limit for responses that never arrive.
pub const SHORT: Duration = Duration::from_millis(150);

/// The response of an endpoint.
#[derive(Clone)]
pub enum Reply {
    Json(u16, Value),
    Text(String),
    Redirect(String),
    /// No response at all.
    Silence,
    /// The head of a response and a part of its body, then nothing more.
    Stall,
    /// This many spaces.
    Padding(usize),
    /// Waits for a permit, and responds with JSON.
    Gated(Arc<Semaphore>, u16, Value),
}

/// A request that the provider received.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub authorization: Option<String>,
    pub body: String,
}

/// A provider on a loopback address. It stops when dropped.
pub struct FakeProvider {
    pub issuer: String,
    shared: Arc<Mutex<Shared>>,
    clock: Arc<Mutex<Instant>>,
    server: JoinHandle<()>,
}

struct Shared {
    discovery: Reply,
    keys: Reply,
    token: Reply,
    received: Vec<Received>,
}

impl FakeProvider {
    /// Starts a provider with all keys, whose token endpoint accepts no code.
    pub async fn start() -> Self {
        Self::start_at("").await
    }

    /// Starts a provider whose issuer ends in a path.
    pub async fn start_at(path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}{path}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared {
            discovery: Reply::Json(200, discovery(&issuer)),
            keys: Reply::Json(200, key_set(&TestKey::ALL.map(TestKey::jwk))),
            token: Reply::Json(400, json!({ "error": "invalid_grant" })),
            received: Vec::new(),
        }));
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { issuer, shared, clock: Arc::new(Mutex::new(Instant::now())), server }
    }

    pub fn client(&self) -> Client {
        self.client_with(settings(&self.issuer), LONG)
    }

    pub fn client_with(&self, settings: ClientSettings, timeout: Duration) -> Client {
        Client::with_limits(settings, timeout, self.clock()).unwrap()
    }

    pub fn clock(&self) -> MonotonicClock {
        let clock = Arc::clone(&self.clock);
        MonotonicClock::new(move || *clock.lock().unwrap())
    }

    pub fn advance(&self, duration: Duration) {
        *self.clock.lock().unwrap() += duration;
    }

    /// Lets the token endpoint respond with an ID token.
    pub fn issue(&self, id_token: &str) {
        let body = json!({ "access_token": "unused", "token_type": "Bearer", "id_token": id_token });
        self.shared().token = Reply::Json(200, body);
    }

    pub fn set_token(&self, reply: Reply) {
        self.shared().token = reply;
    }

    pub fn set_keys(&self, reply: Reply) {
        self.shared().keys = reply;
    }

    pub fn publish(&self, keys: &[Value]) {
        self.set_keys(Reply::Json(200, key_set(keys)));
    }

    pub fn set_discovery(&self, reply: Reply) {
        self.shared().discovery = reply;
    }

    /// Sets members of the discovery document; `null` removes one.
    pub fn announce(&self, members: &Value) {
        let mut document = discovery(&self.issuer);
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.set_discovery(Reply::Json(200, document));
    }

    pub fn received(&self, end_of_path: &str) -> Vec<Received> {
        self.shared().received.iter().filter(|request| request.path.ends_with(end_of_path)).cloned().collect()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns the discovery document of an issuer.
fn discovery(issuer: &str) -> Value {
    let base = issuer.trim_end_matches('/');
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "end_session_endpoint": format!("{base}/end-session"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn key_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

async fn handle(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let authorization = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    let reply = {
        let mut shared = shared.lock().unwrap();
        shared.received.push(Received { path: path.clone(), authorization, body });
        match path.rsplit('/').next().unwrap() {
            "openid-configuration" => shared.discovery.clone(),
            "keys" => shared.keys.clone(),
            "token" => shared.token.clone(),
            _ => Reply::Json(404, json!({})),
        }
    };
    respond(reply).await
}

async fn respond(reply: Reply) -> Response {
    let response = |status: u16, body: Body| {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match reply {
        Reply::Json(status, body) => response(status, Body::from(body.to_string())),
        Reply::Text(body) => response(200, Body::from(body)),
        Reply::Redirect(target) => {
            let mut response = response(302, Body::empty());
            response.headers_mut().insert(header::LOCATION, target.parse().unwrap());
            response
        }
        Reply::Silence => std::future::pending().await,
        Reply::Stall => response(200, Body::new(StalledBody { is_started: false })),
        Reply::Padding(bytes) => response(200, Body::from(" ".repeat(bytes))),
        Reply::Gated(gate, status, body) => {
            gate.acquire().await.unwrap().forget();
            response(status, Body::from(body.to_string()))
        }
    }
}

/// A body that begins and never ends.
struct StalledBody {
    is_started: bool,
}

impl HttpBody for StalledBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        if self.is_started {
            // Nothing wakes it again.
            return Poll::Pending;
        }
        self.is_started = true;
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"{")))))
    }
}
