//! The layer on an axum router and on a plain tower service, with a verifier that knows three tokens.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed precondition fails the test")]

use std::{convert::Infallible, net::IpAddr, time::SystemTime};

use axum::{Extension, Router, body::Body, routing::get};
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::BodyExt as _;
use tokenward_guard::{
    AuthError, BearerToken, DenialReason, GuardLayer, Identity, Principal, Scopes, TokenInfo, Verify,
};
use tower::{Layer as _, ServiceExt as _, service_fn};

#[derive(Clone)]
struct ThreeTokens;

impl Verify for ThreeTokens {
    async fn verify(&self, token: BearerToken<'_>, _: Option<IpAddr>) -> Result<Principal, AuthError> {
        match token.expose() {
            "good" => Ok(Principal::for_tests(7, "ada@example.com")),
            "outage" => Err(AuthError::Unavailable),
            "expired" => Err(AuthError::Denied(DenialReason::Expired)),
            _ => Err(AuthError::Denied(DenialReason::UnknownToken)),
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
        .layer(GuardLayer::new(ThreeTokens));
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
    GuardLayer::new(ThreeTokens).layer(inner).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_with_its_principal() {
    let (status, _, body) = on_axum(request(&["Bearer good"])).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ada@example.com"));
    let response = on_tower(request(&["bearer   good"])).await;
    assert_eq!((response.status(), response.body().as_str()), (StatusCode::OK, "7 1"));
}

#[tokio::test]
async fn all_other_requests_are_rejected_with_a_challenge() {
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
async fn the_reason_is_in_the_extensions_and_not_in_the_response() {
    let expired = on_tower(request(&["Bearer expired"])).await;
    let unknown = on_tower(request(&["Bearer unknown"])).await;
    assert_eq!(expired.body(), unknown.body());
    assert_eq!(expired.extensions().get(), Some(&AuthError::Denied(DenialReason::Expired)));
    assert_eq!(unknown.extensions().get(), Some(&AuthError::Denied(DenialReason::UnknownToken)));
}

#[tokio::test]
async fn a_forged_principal_is_removed_before_the_check() {
    let mut forged = request(&["Bearer good"]);
    forged.extensions_mut().insert(Principal::for_tests(1, "root@example.com"));
    assert_eq!(on_axum(forged).await.2, "ada@example.com");
    let mut forged = request(&[]);
    forged.extensions_mut().insert(Principal::for_tests(1, "root@example.com"));
    assert_eq!(on_tower(forged).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_service_may_render_its_own_rejection() {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let rejection = |denied: &AuthError| Response::builder().status(418).body(denied.to_string()).unwrap();
    let guarded = GuardLayer::with_rejection(ThreeTokens, rejection).layer(inner);
    let response = guarded.oneshot(request(&[])).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().as_str()), (418, "no credential was presented"));
    assert_eq!(response.extensions().get(), Some(&AuthError::Missing));
}

#[tokio::test]
async fn the_layer_calls_the_instance_that_was_polled_ready() {
    // tower's concurrency limit panics if a clone is called that was not polled ready.
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1);
    let guarded = GuardLayer::new(ThreeTokens).layer(limited);
    for _ in 0..3 {
        let response = guarded.clone().oneshot(request(&["Bearer good"])).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn the_layer_requires_a_workspace_or_an_administrator() {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    // The verifier returns an ordinary person of workspace 1.
    let layers = [
        (GuardLayer::new(ThreeTokens).require_workspace(1), 200),
        (GuardLayer::new(ThreeTokens).require_workspace(2), 403),
        (GuardLayer::new(ThreeTokens).require_admin(), 403),
    ];
    for (layer, expected) in layers {
        let response = layer.layer(inner).oneshot(request(&["Bearer good"])).await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
        assert_eq!(layer.layer(inner).oneshot(request(&[])).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}

/// Accepts `good` from 192.0.2.1 only, with the scope `read`.
#[derive(Clone)]
struct Limited;

impl Verify for Limited {
    async fn verify(&self, token: BearerToken<'_>, client: Option<IpAddr>) -> Result<Principal, AuthError> {
        if token.expose() != "good" || client != Some([192, 0, 2, 1].into()) {
            return Err(AuthError::Denied(DenialReason::OutsideNetworks));
        }
        let token = TokenInfo::new(uuid::Uuid::nil(), SystemTime::UNIX_EPOCH, None, Scopes::parse("read"));
        Ok(Principal::new(Identity::new(7, 1, "ada@example.com"), Some(token)))
    }
}

async fn with_limits(layer: GuardLayer<Limited, Response<Body>>) -> (StatusCode, String) {
    let router = Router::new().route("/", get(|| async { "" })).layer(layer);
    let (status, challenge, _) = shown(router.oneshot(request(&["Bearer good"])).await.unwrap()).await;
    (status, challenge)
}

#[tokio::test]
async fn a_layer_requires_scopes_and_passes_the_client_address() {
    let layer = || GuardLayer::new(Limited).client_address(|_, _| Some([192, 0, 2, 1].into()));
    assert_eq!(with_limits(GuardLayer::new(Limited)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(with_limits(layer()).await.0, StatusCode::OK);
    assert_eq!(with_limits(layer().require_scope("read")).await.0, StatusCode::OK);
    let challenge = |scope: &str| format!(r#"Bearer realm="tokenward", error="insufficient_scope"{scope}"#);
    let (status, shown) = with_limits(layer().require_scope("read").require_scope("write")).await;
    assert_eq!((status, shown), (StatusCode::FORBIDDEN, challenge(r#", scope="read write""#)));
    for layer in [layer().require_unrestricted(), layer().require_admin()] {
        assert_eq!(with_limits(layer).await, (StatusCode::FORBIDDEN, challenge("")));
    }
    assert_eq!(with_limits(layer().require_workspace(2)).await, (StatusCode::FORBIDDEN, String::new()));
}
