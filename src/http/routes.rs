//! Requests to the API and the pages: the router, with a span, the access log and metrics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::MatchedPath,
    http::{Request, StatusCode},
    response::IntoResponse as _,
};
use http_body_util::Either;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::{
    access_log::{self, DisconnectGuard, StreamedBody},
    client_ip::{PeerAddr, TrustedProxies},
    common_headers::insert_common_headers,
    error::ApiError,
    request_id::RequestId,
    request_metrics::RequestMetrics,
    response::HttpResponse,
};
use crate::{scim, web};

/// The router of the API and the pages.
pub(crate) struct Routes {
    pub(crate) router: Router,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) error_pages: web::ErrorPages,
    pub(crate) metrics: RequestMetrics,
}

impl Routes {
    /// Runs a request through the router.
    pub(crate) async fn respond(
        &self,
        mut request: Request<Body>,
        peer: Option<PeerAddr>,
        id: RequestId,
    ) -> HttpResponse {
        let method = request.method().clone();
        let context = self.trusted_proxies.request_context(peer, request.headers(), &id);
        let page = web::is_page(request.uri().path(), request.headers())
            .then(|| web::FailedRequest::new(request.headers(), request.uri(), context.client_ip));
        let is_scim = scim::is_scim_path(request.uri().path());
        let span = access_log::request_span(&id, &method, "-", context.client_ip);
        request.extensions_mut().insert(context);
        let guard = DisconnectGuard::new(span.clone());
        let routed = self.router.clone().oneshot(request).instrument(span.clone());
        let mut response = match catch_panic(routed).await {
            Some(Ok(response)) => response,
            Some(Err(infallible)) => match infallible {},
            None => ApiError::Internal.into_response(),
        };
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
            response = ApiError::internal_response(id.as_str());
        }
        let duration = guard.complete();
        span.in_scope(|| access_log::log_response(&response, duration));
        let route = response.extensions_mut().remove::<MatchedPath>();
        let route = route.as_ref().map_or("-", MatchedPath::as_str);
        self.metrics.record(access_log::method_name(&method), route, response.status(), duration);
        if is_scim {
            response = scim::convert_error(response).await;
        }
        if let Some(page) = page {
            response = self.error_pages.render(response, &page, id.as_str()).await;
        }
        insert_common_headers(response.headers_mut(), &id);
        // A body of known length is already in memory and cannot fail.
        if response.body().size_hint().exact().is_none() {
            response = response.map(|body| Body::new(StreamedBody::new(body, span)));
        }
        response.map(Either::Right)
    }
}

/// Runs work that may panic; `None` if it does. The panic message is on standard error; it is not
/// repeated, because it may contain any data.
pub(super) async fn catch_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => {
            tracing::error!("a request panicked");
            Poll::Ready(None)
        }
    })
    .await
}
