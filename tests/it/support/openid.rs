//! An OpenID provider on loopback whose ID tokens the test writes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Form, Json, Router, extract::State, http::StatusCode, response::IntoResponse as _, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The client ID of the service at the provider.
pub const CLIENT_ID: &str = "tokenward";

/// The behavior of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Normal,
    /// Every response is an error.
    Broken,
    /// No response.
    Silent,
}

/// A running provider. It stops when it is dropped.
pub struct OpenIdProvider {
    pub issuer: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    issuer: String,
    key: EcdsaKeyPair,
    /// The claims and the code challenge of each code that was not redeemed.
    codes: Mutex<HashMap<String, (Value, String)>>,
    mode: Mutex<Mode>,
}

impl OpenIdProvider {
    /// Starts a provider.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let codes = Mutex::default();
        let shared = Arc::new(Shared { issuer: issuer.clone(), key, codes, mode: Mutex::new(Mode::Normal) });
        let app = Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/keys", routing::get(keys))
            .route("/token", routing::post(redeem))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { issuer, shared, server }
    }

    /// Returns the section of the configuration for this provider.
    pub fn to_toml(&self, more: &str) -> String {
        format!(
            "public_url = \"http://127.0.0.1:3005\"\n[sso.login]\nkind = \"openid-connect\"\nissuer = \"{}\"\n\
             client_id = \"{CLIENT_ID}\"\nclient_secret = \"secret\"\n{more}",
            self.issuer
        )
    }

    /// Changes the behavior.
    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// Issues a code for the person with these claims, for the sign-in that began with this URL.
    pub fn issue_code(&self, authorization_url: &str, claims: &Value) -> String {
        let url: reqwest::Url = authorization_url.parse().unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let mut all = json!({"nonce": query["nonce"]});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let code = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, query["state"].as_bytes()));
        let challenge = query["code_challenge"].clone();
        self.shared.codes.lock().unwrap().insert(code.clone(), (all, challenge));
        code
    }

    /// Signs a logout token with these claims.
    pub fn logout_token(&self, claims: &Value) -> String {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let mut all = json!({"events": event, "jti": format!("{:x}", rand::random::<u64>())});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.shared.sign(&all)
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// Returns the response of a provider that does not work.
    async fn failure(&self) -> Option<axum::response::Response> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Normal => None,
            Mode::Broken => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Mode::Silent => std::future::pending().await,
        }
    }

    /// Signs a JWT. The claims may replace those that every token has.
    fn sign(&self, claims: &Value) -> String {
        let now = TEST_TIME;
        let mut all = json!({"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&json!({"alg": "ES256", "kid": "1", "typ": "JWT"})), encode(&all));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The time of the services under test, in seconds since 1970.
const TEST_TIME: i64 = 1_767_225_600;

async fn discovery(State(shared): State<Arc<Shared>>) -> axum::response::Response {
    if let Some(failure) = shared.failure().await {
        return failure;
    }
    let issuer = &shared.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "end_session_endpoint": format!("{issuer}/end"),
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
    .into_response()
}

async fn keys(State(shared): State<Arc<Shared>>) -> axum::response::Response {
    if let Some(failure) = shared.failure().await {
        return failure;
    }
    let point = shared.key.public_key().as_ref();
    let part = |range| URL_SAFE_NO_PAD.encode(&point[range]);
    Json(json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
        "x": part(1..33), "y": part(33..65)}]}))
    .into_response()
}

/// Redeems a code once, with its verifier.
async fn redeem(
    State(shared): State<Arc<Shared>>,
    Form(form): Form<HashMap<String, String>>,
) -> axum::response::Response {
    if let Some(failure) = shared.failure().await {
        return failure;
    }
    let verifier = form.get("code_verifier").map(String::as_str).unwrap_or_default();
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    let found = form.get("code").and_then(|code| shared.codes.lock().unwrap().remove(code));
    match found.filter(|(_, expected)| *expected == challenge) {
        Some((claims, _)) => {
            let body = json!({"access_token": "unused", "token_type": "Bearer", "id_token": shared.sign(&claims)});
            Json(body).into_response()
        }
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response(),
    }
}
