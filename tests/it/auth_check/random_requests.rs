//! Generated requests: forward auth responds with 200 to a valid token that is the only credential,
//! and to nothing else.

use std::cell::Cell;

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::json;
use tokenward::domain::random::Random;
use tokenward_guard::token_format::TokenFormat;
use tower::ServiceExt as _;

use crate::support::{Engine, TestApp};

const CASES: u32 = 8_000;

/// Valid token values, and values of tokens that are deleted, disabled or expired.
struct Tokens {
    valid: Vec<String>,
    invalid: Vec<String>,
}

/// A generated request.
#[derive(Clone, Debug)]
struct GeneratedRequest {
    method: Vec<u8>,
    path: Vec<u8>,
    authorization: Vec<Vec<u8>>,
    others: Vec<(String, Vec<u8>)>,
}

async fn create_tokens(app: &TestApp) -> Tokens {
    let admin = app.admin();
    let (first, second, deleted) = (admin.create_token().await, admin.create_token().await, admin.create_token().await);
    let barred = admin.add_person("barred", true).await;
    let of_barred = barred.create_token().await;
    let expired = admin.create_token_with(json!({"lifetimeSeconds": 1})).await;
    admin.delete(&deleted.token_path()).await.expect(204);
    admin.update_person(barred.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    app.advance_seconds(1);
    Tokens { valid: vec![first.value, second.value], invalid: vec![deleted.value, of_barred.value, expired.value] }
}

/// Generates a byte that a header field may contain, and rarely one that it may not.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![600 => b' '..=b'~', 60 => 0x80..=0xff_u8, 20 => Just(b'\t'), 1 => any::<u8>()]
}

fn random_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(byte(), 0..80)
}

/// Applies at most one typing error.
fn with_typo(text: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (0..12_u8, any::<Index>(), byte()).prop_map(move |(typo, at, byte)| {
        let mut text = text.clone();
        let at = at.index(text.len());
        match typo {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            2 => text.push(byte),
            3 => drop(text.remove(at)),
            4 => text.truncate(at),
            5 => {
                if let [one, next, ..] = &mut text[at..] {
                    std::mem::swap(one, next);
                }
            }
            6 => text[at] = text[at].to_ascii_uppercase() ^ 0x20,
            _ => {}
        }
        text
    })
}

/// Generates an `Authorization` field with a token, a wrong password, or random bytes.
fn authorization_field(tokens: &Tokens) -> impl Strategy<Value = Vec<u8>> + use<> {
    let value = prop_oneof![
        4 => prop::sample::select(tokens.valid.clone()),
        2 => prop::sample::select(tokens.invalid.clone()),
    ];
    let before = prop::sample::select(vec![
        "Bearer ",
        "Bearer ",
        "bearer   ",
        "BEARER secret-token:",
        "Token ",
        "Basic ",
        "",
        "Bearer x,",
    ]);
    let bearer = (before, value).prop_map(|(before, value)| format!("{before}{value}").into_bytes());
    let basic =
        "admin@example.com:[ -~]{0,20}".prop_map(|pair| format!("Basic {}", STANDARD.encode(pair)).into_bytes());
    prop_oneof![
        8 => bearer.prop_flat_map(with_typo),
        1 => basic.prop_flat_map(with_typo),
        2 => random_bytes(),
        1 => random_bytes().prop_map(|bytes| [b"Bearer ".as_slice(), &bytes].concat()),
    ]
}

fn request(tokens: &Tokens) -> impl Strategy<Value = GeneratedRequest> + use<> {
    let method = prop_oneof![
        prop::sample::select(vec!["GET", "POST", "TRACE", "x"]).prop_map(String::from),
        "[A-Za-z!$%&*+.^_|~-]{1,8}"
    ];
    let below = prop_oneof![
        3 => Just(String::new()),
        2 => "/any(/[a-z/.%]{0,9})?".prop_map(String::from),
        1 => "/(any|admin|workspace=[0-9]{1,3}|,|/|%2f|\\.\\.){0,4}".prop_map(String::from),
        1 => "[!-~]{0,30}".prop_map(String::from),
    ];
    // Other fields contain a valid token from time to time.
    let name = prop_oneof![
        "[a-z-]{1,20}",
        prop::sample::select(vec![
            "cookie",
            "proxy-authorization",
            "x-forwarded-user",
            "x-forwarded-uri",
            "x-request-id",
            "host"
        ])
        .prop_map(String::from),
    ];
    let values = [tokens.valid.clone(), tokens.invalid.clone()].concat();
    let stray = prop::sample::select(values).prop_map(|value| format!("Bearer {value}").into_bytes());
    let others = prop::collection::vec((name, prop_oneof![random_bytes(), stray]), 0..4);
    let authorization = prop_oneof![
        6 => prop::collection::vec(authorization_field(tokens), 1),
        1 => prop::collection::vec(authorization_field(tokens), 0..3),
    ];
    (method, below, authorization, others).prop_map(|(method, below, authorization, others)| GeneratedRequest {
        method: method.into_bytes(),
        path: format!("/v4/auth{below}").into_bytes(),
        authorization,
        others,
    })
}

impl GeneratedRequest {
    /// Returns the request, or nothing if it is not valid HTTP.
    fn request(&self) -> Option<Request<Body>> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::from_bytes(&self.method).ok()?;
        *request.uri_mut() = Uri::try_from(self.path.as_slice()).ok()?;
        for (name, value) in &self.others {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
        }
        for field in &self.authorization {
            request.headers_mut().append("authorization", HeaderValue::from_bytes(field).ok()?);
        }
        Some(request)
    }

    /// Returns whether the only credential is a valid token. The implementation is independent of
    /// that of the service.
    fn has_valid_token(&self, tokens: &Tokens) -> bool {
        let [field] = &self.authorization[..] else { return false };
        let Ok(text) = std::str::from_utf8(field) else { return false };
        if !text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
            return false;
        }
        let value = text[7..].trim_start_matches(' ');
        let value = value.strip_prefix("secret-token:").unwrap_or(value);
        tokens.valid.iter().any(|valid| valid == value)
    }

    /// Returns whether the path has no requirement beyond a valid credential.
    fn accepts_any_owner(&self) -> bool {
        let path = self.path.split(|b| matches!(b, b'?' | b'#')).next().unwrap();
        path == b"/v4/auth" || path == b"/v4/auth/any" || path.starts_with(b"/v4/auth/any/")
    }
}

#[test]
fn a_check_allows_a_valid_token_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::start(Engine::Sqlite));
    let tokens = runtime.block_on(create_tokens(&app));
    let [allowed, rejected] = [Cell::new(0), Cell::new(0)];
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&request(&tokens), |generated| {
        let Some(request) = generated.request() else { return Ok(()) };
        let status = runtime.block_on(app.service.clone().oneshot(request)).unwrap().status().as_u16();
        let is_valid = generated.has_valid_token(&tokens);
        if status == 200 {
            allowed.set(allowed.get() + 1);
            prop_assert!(is_valid, "allowed without a valid token");
        } else {
            rejected.set(rejected.get() + 1);
            prop_assert!(matches!(status, 401 | 403 | 404), "unexpected status {}", status);
            prop_assert!(!(is_valid && generated.accepts_any_owner()), "a valid token was rejected with {}", status);
        }
        Ok(())
    });
    outcome.unwrap();
    let [allowed, rejected] = [allowed.get(), rejected.get()];
    // A service that rejects everything would pass the first assertion.
    assert!(allowed > CASES / 20 && rejected > CASES / 4, "{allowed} allowed, {rejected} rejected");
    let reply =
        runtime.block_on(app.client_with_authorization(&[&format!("Bearer {}", tokens.valid[0])]).get("/v4/auth"));
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn malformed_tokens_are_rejected_without_the_store() {
    let app = TestApp::start(Engine::Sqlite).await;
    let value = TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned();
    app.store.close().await;
    let check = async |value: &str| app.client_with_authorization(&[&format!("Bearer {value}")]).get("/v4/auth").await;
    check(&value).await.expect_error(503, "ServiceUnavailableException");
    for at in 0..value.len() {
        let (before, rest) = value.split_at(at);
        let replacement = if rest.starts_with('0') { "1" } else { "0" };
        for malformed in [format!("{before}{}", &rest[1..]), format!("{before}{replacement}{}", &rest[1..])] {
            check(&malformed).await.expect_error(401, "MissingPersonException");
        }
    }
}
