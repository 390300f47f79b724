//! An issuer on loopback that signs any claims, and the requests of its workloads.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse as _, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The time of the services under test, in seconds since 1970.
pub const NOW: i64 = 1_767_225_600;
/// The audience of the rules under test.
pub const AUDIENCE: &str = "https://tokens.example.com";

/// The behavior of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Normal,
    Broken,
    /// Redirects to itself.
    Redirect,
    /// Ten megabytes.
    Huge,
    /// The discovery document names another issuer.
    OtherIssuer,
}

/// A key pair that signs JWTs.
pub struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap())
    }

    /// Returns the public key as a JWK with this ID.
    pub fn jwk(&self, id: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let part = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id, "x": part(1..33), "y": part(33..65)})
    }

    /// Signs a payload, which need not be JSON.
    pub fn sign(&self, header: &Value, payload: &str) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A running issuer. It stops when it is dropped.
pub struct Issuer {
    pub url: String,
    pub key: SigningKey,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Value,
    mode: Mutex<Mode>,
    key_requests: AtomicUsize,
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = SigningKey::generate();
        let keys = json!({"keys": [key.jwk("1")]});
        let key_requests = AtomicUsize::new(0);
        let shared = Arc::new(Shared { url: url.clone(), keys, mode: Mutex::new(Mode::Normal), key_requests });
        let app = Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/keys", routing::get(keys_of))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, key, shared, server }
    }

    /// Changes the behavior.
    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// Returns how often the keys were requested.
    pub fn key_requests(&self) -> usize {
        self.shared.key_requests.load(Ordering::SeqCst)
    }

    /// Returns the claims of an ordinary token with these claims; null removes one.
    pub fn claims(&self, claims: &Value) -> Value {
        let mut all = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "job-1", "iat": NOW, "exp": NOW + 300,
            "jti": format!("{:x}", rand::random::<u64>()),
        });
        let object = all.as_object_mut().unwrap();
        object.extend(claims.as_object().unwrap().clone());
        object.retain(|_, value| !value.is_null());
        all
    }

    /// Signs an ordinary token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.key.sign(&json!({"alg": "ES256", "kid": "1", "typ": "JWT"}), &self.claims(claims).to_string())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn failure(&self) -> Option<Response> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Normal | Mode::OtherIssuer => None,
            Mode::Broken => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Mode::Redirect => Some((StatusCode::FOUND, [(LOCATION, self.url.clone())]).into_response()),
            Mode::Huge => Some(vec![b' '; 10_000_000].into_response()),
        }
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(failure) = shared.failure() {
        return failure;
    }
    let url = &shared.url;
    let is_other = *shared.mode.lock().unwrap() == Mode::OtherIssuer;
    let issuer = if is_other { format!("{url}/") } else { url.clone() };
    Json(json!({"issuer": issuer, "jwks_uri": format!("{url}/keys")})).into_response()
}

async fn keys_of(State(shared): State<Arc<Shared>>) -> Response {
    shared.key_requests.fetch_add(1, Ordering::SeqCst);
    shared.failure().unwrap_or_else(|| Json(shared.keys.clone()).into_response())
}
