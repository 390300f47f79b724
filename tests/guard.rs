//! The layer, on an axum router and on a bare tower service, with a verifier that knows three tokens.

#![cfg(feature = "guard")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;

use axum::{Extension, Router, body::Body, routing::get};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use tokenward::{
    guard::{Cause, Denied, GuardLayer, Principal, Verify},
    value::Presented,
};
use tower::{Layer as _, ServiceExt as _, service_fn};

#[derive(Clone)]
struct Known;

impl Verify for Known {
    async fn verify(&self, presented: Presented<'_>) -> Result<Principal, Denied> {
        match presented.expose() {
            "good" => Ok(Principal::for_tests(7, "ada@example.com")),
            "outage" => Err(Denied::Unavailable),
            "expired" => Err(Denied::Invalid(Cause::Expired)),
            _ => Err(Denied::Invalid(Cause::UnknownToken)),
        }
    }
}

fn request(authorization: &[&str]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    for value in authorization {
        request.headers_mut().append(AUTHORIZATION, value.parse().unwrap());
    }
    request
}

async fn on_axum(request: Request<Body>) -> (StatusCode, String, String) {
    let router = Router::new()
        .route("/", get(|Extension(principal): Extension<Principal>| async move { principal.email.clone() }))
        .layer(GuardLayer::new(Known));
    shown(router.oneshot(request).await.unwrap()).await
}

async fn shown(response: Response<Body>) -> (StatusCode, String, String) {
    let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, challenge, String::from_utf8(body.to_vec()).unwrap())
}

async fn on_tower(request: Request<Body>) -> Response<String> {
    let inner = service_fn(|request: Request<Body>| async move {
        let principal = request.extensions().get::<Principal>().expect("the guard puts it there");
        Ok::<_, Infallible>(Response::new(format!("{} {}", principal.person_id, principal.workspace_id)))
    });
    GuardLayer::new(Known).layer(inner).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_with_its_principal() {
    let (status, _, body) = on_axum(request(&["Bearer good"])).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ada@example.com"));
    let response = on_tower(request(&["bearer   good"])).await;
    assert_eq!((response.status(), response.body().as_str()), (StatusCode::OK, "7 1"));
}

#[tokio::test]
async fn everything_else_is_refused_with_its_challenge() {
    let table: [(&[&str], u16, &str); 7] = [
        (&[], 401, r#"Bearer realm="tokenward""#),
        (&["Basic eDp5"], 401, r#"Bearer realm="tokenward""#),
        (&["Bearer unknown"], 401, r#"Bearer realm="tokenward", error="invalid_token""#),
        (&["Bearer a b"], 401, r#"Bearer realm="tokenward", error="invalid_token""#),
        (&["Bearer good", "Bearer good"], 401, r#"Bearer realm="tokenward", error="invalid_request""#),
        (&["Bearer good,good"], 401, r#"Bearer realm="tokenward", error="invalid_request""#),
        (&["Bearer outage"], 503, ""),
    ];
    for (authorization, status, challenge) in table {
        let (seen, header, body) = on_axum(request(authorization)).await;
        assert_eq!((seen.as_u16(), header.as_str()), (status, challenge), "{authorization:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["exception"]["details"].is_string());
        assert_eq!(on_tower(request(authorization)).await.status(), seen, "{authorization:?}");
    }
}

#[tokio::test]
async fn the_answer_to_an_invalid_token_does_not_tell_why_but_the_extensions_do() {
    let expired = on_tower(request(&["Bearer expired"])).await;
    let unknown = on_tower(request(&["Bearer unknown"])).await;
    assert_eq!(expired.body(), unknown.body());
    assert_eq!(expired.extensions().get(), Some(&Denied::Invalid(Cause::Expired)));
    assert_eq!(unknown.extensions().get(), Some(&Denied::Invalid(Cause::UnknownToken)));
}

#[tokio::test]
async fn a_principal_from_outside_is_removed_before_anything_is_decided() {
    let mut forged = request(&["Bearer good"]);
    forged.extensions_mut().insert(Principal::for_tests(1, "root@example.com"));
    assert_eq!(on_axum(forged).await.2, "ada@example.com");
    let mut forged = request(&[]);
    forged.extensions_mut().insert(Principal::for_tests(1, "root@example.com"));
    assert_eq!(on_tower(forged).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_service_may_refuse_in_its_own_words() {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let refuse = |denied: &Denied| Response::builder().status(418).body(denied.to_string()).unwrap();
    let guarded = GuardLayer::with_refusal(Known, refuse).layer(inner);
    let response = guarded.oneshot(request(&[])).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_str()), (418, "no credential was presented"));
    assert_eq!(response.extensions().get(), Some(&Denied::Missing));
}

#[tokio::test]
async fn the_layer_waits_until_the_inner_service_is_ready() {
    // tower's concurrency limit panics if a clone is called that was not polled ready.
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let guarded = GuardLayer::new(Known).layer(limited);
    for _ in 0..3 {
        let response = guarded.clone().oneshot(request(&["Bearer good"])).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn the_layer_may_ask_for_a_workspace_or_an_administrator() {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    // Whoever the verifier knows is an ordinary person of workspace 1.
    let layers = [
        (GuardLayer::new(Known).require_workspace(1), 200),
        (GuardLayer::new(Known).require_workspace(2), 403),
        (GuardLayer::new(Known).require_admin(), 403),
    ];
    for (layer, expected) in layers {
        let response = layer.layer(inner).oneshot(request(&["Bearer good"])).await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
        assert_eq!(layer.layer(inner).oneshot(request(&[])).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}
