//! The layers around the router, in one place and in order.

use std::{any::Any, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, VARY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument as _, Span, field::Empty};

use super::{path::Tolerant, request_id::RequestId};
use crate::api::{ApiError, Cause};

/// The router within its layers.
pub type Service = Tolerant<Router>;

/// The largest body, in bytes.
const BODY_LIMIT: u64 = 64 * 1024;
/// How much of a body that is too large is read all the same: a client that is cut off while sending never sees the answer.
const PATIENCE_BYTES: u64 = 8 * 1024 * 1024;

/// Puts the layers around a router. The first is the outermost.
pub(super) fn around(router: Router, request_timeout: Duration) -> Service {
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(identify))
        .layer(middleware::from_fn(log))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(request_timeout, limit_time))
        .layer(middleware::from_fn(limit_body))
        .layer(DefaultBodyLimit::max(64 * 1024))
        // Innermost, so that what is given up above still runs to its end.
        .layer(middleware::from_fn(finish_writes));
    Tolerant::new(router.layer(layers))
}

/// Gives the request its id, and the answer the headers that every answer has.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = ApiError::internal(id.as_str());
    }
    let headers = response.headers_mut();
    id.add_to(headers);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(VARY).or_insert(HeaderValue::from_static("authorization"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Writes one line per request, inside a span that other lines about the request share. The route is the template, not the
/// path: a path is a stranger's text.
async fn log(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let request_id = request.extensions().get::<RequestId>().map_or("-", RequestId::as_str).to_owned();
    let method = known_method(request.method());
    let span = tracing::info_span!(
        "request",
        request.id = request_id,
        http.method = method,
        http.route = route,
        person.id = Empty,
        token.id = Empty
    );
    let begun = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| answered(&response, begun.elapsed()));
    response
}

fn answered(response: &Response, took: Duration) {
    let status = response.status();
    let cause = response.extensions().get::<Cause>().map(|cause| cause.0.as_str());
    let duration_ms = took.as_secs_f64() * 1_000.0;
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(http.status = status.as_u16(), duration_ms, cause, "answered");
    } else if status.is_server_error() {
        tracing::warn!(http.status = status.as_u16(), duration_ms, cause, "answered");
    } else {
        tracing::info!(http.status = status.as_u16(), duration_ms, cause, "answered");
    }
}

/// A method's name for the log: one that a client made up is not repeated.
fn known_method(method: &Method) -> &'static str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    known.iter().position(|known| known == method).map_or("other", |n| names[n])
}

/// A panic is one request's 500, and nobody else's. What was panicked about is in the panic's own message on standard error;
/// it is not repeated, because nobody knows what is in it.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request panicked");
    ApiError::Internal.into_response()
}

async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Slow.into_response(),
    }
}

/// Refuses a body that says it is too large; one that does not say so is stopped while it is read.
async fn limit_body(request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() <= BODY_LIMIT {
        return next.run(request).await;
    }
    discard(request.into_body()).await;
    ApiError::TooLarge.into_response()
}

async fn discard(mut body: Body) {
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, |data| data.len() as u64);
        if seen > PATIENCE_BYTES {
            return;
        }
    }
}

/// Lets a request that may write run to its end although the client hangs up or the time limit passes: a future dropped
/// between two statements can leave a connection inside a transaction (sqlx 0.9).
async fn finish_writes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).instrument(Span::current())).await {
        Ok(response) => response,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_stopping) => ApiError::Slow.into_response(),
    }
}
