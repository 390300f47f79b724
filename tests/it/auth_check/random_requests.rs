//! Whatever a request is made of: a delegated check says 200 to a live token, alone in its field, and to nothing else.

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

/// Tokens that open everything, and tokens that open nothing any more.
struct Tokens {
    live: Vec<String>,
    dead: Vec<String>,
}

/// What is sent.
#[derive(Clone, Debug)]
struct Sent {
    method: Vec<u8>,
    path: Vec<u8>,
    authorization: Vec<Vec<u8>>,
    others: Vec<(String, Vec<u8>)>,
}

async fn tokens(app: &TestApp) -> Tokens {
    let admin = app.admin();
    let (one, two, gone) = (admin.bearer().await, admin.bearer().await, admin.bearer().await);
    let barred = admin.add("barred", true).await;
    let of_barred = barred.bearer().await;
    let expired = admin.bearer_for(json!({"lifetimeSeconds": 1})).await;
    admin.delete(&gone.path()).await.expect(204);
    admin.change(barred.id, json!({"tokenAccess": "disabled"})).await.expect(200);
    app.advance_seconds(1);
    Tokens { live: vec![one.value, two.value], dead: vec![gone.value, of_barred.value, expired.value] }
}

/// A byte that a field may hold, or now and then one that it may not.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![600 => b' '..=b'~', 60 => 0x80..=0xff_u8, 20 => Just(b'\t'), 1 => any::<u8>()]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(byte(), 0..80)
}

/// One slip of the hand, or none.
fn slipped(text: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (0..12_u8, any::<Index>(), byte()).prop_map(move |(slip, at, byte)| {
        let mut text = text.clone();
        let at = at.index(text.len());
        match slip {
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

/// An `Authorization` field: of a token, of a password that is wrong, or of anything.
fn field(tokens: &Tokens) -> impl Strategy<Value = Vec<u8>> + use<> {
    let value = prop_oneof![
        4 => prop::sample::select(tokens.live.clone()),
        2 => prop::sample::select(tokens.dead.clone()),
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
        8 => bearer.prop_flat_map(slipped),
        1 => basic.prop_flat_map(slipped),
        2 => soup(),
        1 => soup().prop_map(|soup| [b"Bearer ".as_slice(), &soup].concat()),
    ]
}

fn request(tokens: &Tokens) -> impl Strategy<Value = Sent> + use<> {
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
    // Where only some names would stand a live token is now and then sent in the wrong place.
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
    let values = [tokens.live.clone(), tokens.dead.clone()].concat();
    let stray = prop::sample::select(values).prop_map(|value| format!("Bearer {value}").into_bytes());
    let others = prop::collection::vec((name, prop_oneof![soup(), stray]), 0..4);
    let authorization = prop_oneof![
        6 => prop::collection::vec(field(tokens), 1),
        1 => prop::collection::vec(field(tokens), 0..3),
    ];
    (method, below, authorization, others).prop_map(|(method, below, authorization, others)| Sent {
        method: method.into_bytes(),
        path: format!("/v4/auth{below}").into_bytes(),
        authorization,
        others,
    })
}

impl Sent {
    /// The request, if HTTP can say it.
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

    /// Whether a live token is what it authenticates by, said in other words than the service's.
    fn has_live_token(&self, tokens: &Tokens) -> bool {
        let [field] = &self.authorization[..] else { return false };
        let Ok(text) = std::str::from_utf8(field) else { return false };
        if !text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer ")) {
            return false;
        }
        let value = text[7..].trim_start_matches(' ');
        let value = value.strip_prefix("secret-token:").unwrap_or(value);
        tokens.live.iter().any(|live| live == value)
    }

    /// Whether the path asks for nothing but somebody.
    fn asks_for_anybody(&self) -> bool {
        let path = self.path.split(|b| matches!(b, b'?' | b'#')).next().unwrap();
        path == b"/v4/auth" || path == b"/v4/auth/any" || path.starts_with(b"/v4/auth/any/")
    }
}

#[test]
fn a_check_lets_in_a_live_token_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::start(Engine::Sqlite));
    let tokens = runtime.block_on(tokens(&app));
    let [allowed, refused] = [Cell::new(0), Cell::new(0)];
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&request(&tokens), |sent| {
        let Some(request) = sent.request() else { return Ok(()) };
        let status = runtime.block_on(app.service.clone().oneshot(request)).unwrap().status().as_u16();
        let is_live = sent.has_live_token(&tokens);
        if status == 200 {
            allowed.set(allowed.get() + 1);
            prop_assert!(is_live, "let in without a live token");
        } else {
            refused.set(refused.get() + 1);
            prop_assert!(matches!(status, 401 | 403 | 404), "answered {}", status);
            prop_assert!(!(is_live && sent.asks_for_anybody()), "a live token was answered {}", status);
        }
        Ok(())
    });
    outcome.unwrap();
    let [allowed, refused] = [allowed.get(), refused.get()];
    // What is never let in would hold the first half of the promise, too.
    assert!(allowed > CASES / 20 && refused > CASES / 4, "{allowed} let in, {refused} refused");
    let good = runtime.block_on(app.presenting(&[&format!("Bearer {}", tokens.live[0])]).get("/v4/auth"));
    assert_eq!(good.status, 200);
}

#[tokio::test]
async fn what_no_token_looks_like_is_refused_without_the_store() {
    let app = TestApp::start(Engine::Sqlite).await;
    let value = TokenFormat::default().generate(|bytes| Random::system().fill(bytes)).expose().to_owned();
    app.store.close().await;
    let check = async |value: &str| app.presenting(&[&format!("Bearer {value}")]).get("/v4/auth").await;
    check(&value).await.expect_error(503, "ServiceUnavailableException");
    for at in 0..value.len() {
        let (before, rest) = value.split_at(at);
        let other = if rest.starts_with('0') { "1" } else { "0" };
        for wrong in [format!("{before}{}", &rest[1..]), format!("{before}{other}{}", &rest[1..])] {
            check(&wrong).await.expect_error(401, "MissingPersonException");
        }
    }
}
