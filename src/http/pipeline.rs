//! The request pipeline: what every request passes through, whether an auth check or a route.
//!
//! The pipeline normalizes the path, determines the request ID and the client address, catches
//! panics, adds the common headers, writes the access log and counts the request. An auth check that
//! the cache decides completes without waiting: it needs no span and no allocation for its future.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::Request,
    response::IntoResponse as _,
};
use tokio::time::Instant;

use super::{
    client_ip::PeerAddr,
    error::ApiError,
    host, path_normalization,
    request_id::RequestId,
    response::{HttpResponse, error_response},
    routes::{Routes, catch_panic},
};
use crate::auth_check::{AuthChecks, CachedCheck, CheckOutcome, CheckRequestInfo};

/// The root HTTP service. Cheap to clone.
#[derive(Clone)]
pub struct HttpService(Arc<Inner>);

struct Inner {
    auth_checks: AuthChecks,
    routes: Routes,
}

/// The future of a response. A check that the cache decides is ready and needs no allocation.
pub enum ResponseFuture {
    Ready(Option<HttpResponse>),
    Boxed(Pin<Box<dyn Future<Output = HttpResponse> + Send>>),
}

impl Future for ResponseFuture {
    type Output = Result<HttpResponse, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            // Callers do not poll a future again once it is ready.
            Self::Ready(response) => response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Self::Boxed(response) => response.as_mut().poll(cx).map(Ok),
        }
    }
}

impl HttpService {
    pub(crate) fn new(auth_checks: AuthChecks, routes: Routes) -> Self {
        Self(Arc::new(Inner { auth_checks, routes }))
    }

    /// Serves a request from the network: validates `Host`, then calls [`Self::handle`].
    pub(crate) fn handle_from_network<B>(&self, mut request: Request<B>, peer: PeerAddr) -> ResponseFuture
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        match host::normalize_host(&mut request) {
            Ok(()) => self.handle(request, Some(peer)),
            Err(error) => reject(error, &RequestId::from_headers(request.headers())),
        }
    }

    /// Serves a request of a peer.
    pub fn handle<B>(&self, mut request: Request<B>, peer: Option<PeerAddr>) -> ResponseFuture
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        let id = RequestId::from_headers(request.headers());
        if let Some(error) = path_normalization::rejection(request.method(), request.uri(), request.headers()) {
            return reject(error, &id);
        }
        let mut endpoint = AuthChecks::endpoint(request.method(), request.uri().path());
        // The path of an auth check is usually normal already.
        if endpoint.is_none() || request.uri().path().ends_with('/') {
            if let Some(uri) = path_normalization::normalize_uri(request.uri()) {
                *request.uri_mut() = uri;
            }
            endpoint = AuthChecks::endpoint(request.method(), request.uri().path());
        }
        let started = Instant::now();
        let inner = Arc::clone(&self.0);
        let Some(endpoint) = endpoint else {
            let request = request.map(Body::new);
            return ResponseFuture::Boxed(Box::pin(async move { inner.routes.respond(request, peer, id).await }));
        };
        let client_context = || inner.routes.trusted_proxies.client_context(peer, request.headers());
        // The address of a proxy is no client's.
        let client = || client_context().unshared_client_ip();
        let cached = catch_unwind(AssertUnwindSafe(|| inner.auth_checks.check_cached(endpoint, &request, &client)));
        match cached.unwrap_or(CachedCheck::Decided(CheckOutcome::Denied(ApiError::Internal.into()))) {
            CachedCheck::Decided(outcome) => {
                let client = || client_context().client_ip;
                let (method, duration) = (request.method(), started.elapsed());
                let info = CheckRequestInfo { endpoint, method, id: &id, duration, client: &client };
                ResponseFuture::Ready(Some(inner.auth_checks.finish(outcome, &info)))
            }
            CachedCheck::Pending(pending) => {
                let (parts, body) = request.into_parts();
                ResponseFuture::Boxed(Box::pin(async move {
                    let context = inner.routes.trusted_proxies.client_context(peer, &parts.headers);
                    let check = inner.auth_checks.complete(pending, &parts, body, &context);
                    let outcome = catch_panic(check).await.unwrap_or(CheckOutcome::Denied(ApiError::Internal.into()));
                    let duration = started.elapsed();
                    let client = || context.client_ip;
                    let info = CheckRequestInfo { endpoint, method: &parts.method, id: &id, duration, client: &client };
                    inner.auth_checks.finish(outcome, &info)
                }))
            }
        }
    }
}

impl<B> tower_service::Service<Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let peer = request.extensions().get::<PeerAddr>().copied();
        self.handle(request, peer)
    }
}

/// Rejects a request before it reaches a handler.
fn reject(error: ApiError, id: &RequestId) -> ResponseFuture {
    ResponseFuture::Ready(Some(error_response(error.into_response(), id)))
}
