//! The layers around the router: route, body, time limit, completion of writes. Everything that auth
//! checks need as well is in [`pipeline`](super::pipeline).

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tracing::Span;

use super::{
    error::ApiError,
    request_body::{read_body, with_timeout},
};
use crate::{config::Config, service::completion::run_to_completion};

/// Applies the layers to the routes. The first layer is the outermost.
pub(crate) fn apply_layers(routes: Router, config: &Config) -> Router {
    let request_timeout = config.http.request_timeout.get();
    let body_timeout = config.http.body_timeout.get();
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(record_route))
        .layer(middleware::from_fn_with_state(body_timeout, buffer_body))
        .layer(middleware::from_fn_with_state(request_timeout, apply_timeout))
        .layer(DefaultBodyLimit::disable())
        // Innermost, so that a write finishes after an outer layer has abandoned the request.
        .layer(middleware::from_fn(finish_writes));
    routes.layer(layers)
}

/// Records the matched route in the request's span, and in the response for the pipeline.
async fn record_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    if let Some(route) = &route {
        Span::current().record("http.route", route.as_str());
    }
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Limits the time to the first byte of the response.
async fn apply_timeout(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    with_timeout(limit, next.run(request)).await.unwrap_or_else(|| ApiError::TimedOut.into_response())
}

/// Reads the whole body before authentication. Otherwise a credential could be checked, revoked
/// while the body arrives, and still be used.
async fn buffer_body(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read_body(body, limit).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => error.into_response(),
    }
}

/// Runs a request that may write to its end. A safe request starts no transaction of its own; a
/// sign-in that it causes runs to its end by itself.
async fn finish_writes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let response = run_to_completion(next.run(request)).await;
    response.unwrap_or_else(|| ApiError::TimedOut.into_response())
}
