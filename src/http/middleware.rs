//! The layers around the router: route, body, time limit, completion of writes. Everything that auth
//! checks need as well is in [`pipeline`](super::pipeline).

use std::{pin::pin, time::Duration};

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
use crate::{
    config::Config,
    domain::{barrier_wait::BarrierWait, event::RequestContext},
    service::completion::run_to_completion,
};

/// The time limit of a request beyond the lease that it waits for.
const BARRIER_MARGIN: Duration = Duration::from_secs(1);

/// Applies the layers to the routes. The first layer is the outermost.
pub(crate) fn apply_layers(routes: Router, config: &Config) -> Router {
    let limits = TimeLimits {
        request: config.http.request_timeout.get(),
        barrier: config.cache_limits().lease_duration + BARRIER_MARGIN,
    };
    let body_timeout = config.http.body_timeout.get();
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(record_route))
        .layer(middleware::from_fn_with_state(body_timeout, buffer_body))
        .layer(middleware::from_fn_with_state(limits, apply_timeout))
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

/// The time limits of a request.
#[derive(Clone, Copy)]
struct TimeLimits {
    /// Until the response begins, or the revocation barrier.
    request: Duration,
    /// The additional time of a request that waits for the revocation barrier. A node that does not
    /// respond delays it by a whole lease.
    barrier: Duration,
}

/// Limits the time to the first byte of the response.
async fn apply_timeout(State(limits): State<TimeLimits>, request: Request, next: Next) -> Response {
    let barrier_wait = request.extensions().get::<RequestContext>().map(|context| context.barrier_wait.clone());
    let mut response = pin!(next.run(request));
    if let Some(response) = with_timeout(limits.request, response.as_mut()).await {
        return response;
    }
    let in_time = match barrier_wait.filter(BarrierWait::has_begun) {
        Some(_) => with_timeout(limits.barrier, response).await,
        None => None,
    };
    in_time.unwrap_or_else(|| ApiError::TimedOut.into_response())
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
