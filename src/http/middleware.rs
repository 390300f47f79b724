//! The layers around the router, in one place and in order.

use std::{
    any::Any,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument as _, Span, field::Empty};

use super::server::proxies;
use crate::{
    config::Config,
    http::{
        ApiError, BODY_LIMIT, Cause,
        client_ip::{Peer, Proxies},
        common_headers::finish,
        request_id::RequestId,
    },
    service::request_context,
    web,
};

/// How much of a body that is too large is read all the same: a client that is cut off while sending never sees the answer.
const PATIENCE_BYTES: usize = 8 * 1024 * 1024;

/// What the outermost layer knows of the service.
#[derive(Clone)]
struct Site {
    is_known_by_https: bool,
    proxies: Arc<Proxies>,
}

/// Puts the layers around the routes. The first is the outermost.
pub(crate) fn around(routes: Router, config: &Config) -> Router {
    let millis = Duration::from_millis;
    let (request_timeout, body_timeout) = (millis(config.http.request_timeout_ms), millis(config.http.body_timeout_ms));
    let site = Site {
        is_known_by_https: config.delegate.issuer().starts_with("https://"),
        proxies: Arc::new(proxies(config)),
    };
    let every = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(site, identify))
        .layer(middleware::from_fn(log))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(body_timeout, take_body))
        .layer(middleware::from_fn_with_state(request_timeout, limit_time))
        .layer(DefaultBodyLimit::disable())
        // Innermost, so that what is given up above still runs to its end.
        .layer(middleware::from_fn(finish_writes));
    routes.layer(every)
}

/// Gives the request its id, and the answer the headers that every answer has; what a browser is told instead of a page is made one.
async fn identify(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let is_page = web::is_page(request.uri().path(), request.headers());
    request.extensions_mut().insert(id.clone());
    let peer = request.extensions().get::<Peer>().copied();
    let origin = site.proxies.origin(peer, request.headers(), &id);
    let mut response = request_context::from(origin, next.run(request)).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = ApiError::internal(id.as_str());
    }
    if is_page {
        response = web::dress(response, id.as_str(), site.is_known_by_https);
    }
    finish(response.headers_mut(), &id);
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
    let mut request_span = RequestSpan { span: span.clone(), begun: Instant::now(), is_answered: false };
    let response = next.run(request).instrument(span.clone()).await;
    request_span.is_answered = true;
    span.in_scope(|| answered(&response, request_span.begun.elapsed()));
    // A body whose length is known is in memory already, and cannot fail.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(Streamed { body, span, sent_bytes: 0 }))
}

/// A body that is produced while it is sent. The time limit of requests ended with its first byte; an error after it ends the connection
/// without the last chunk, and has its line here: nothing else can report it.
struct Streamed {
    body: Body,
    span: Span,
    sent_bytes: u64,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let _inside = this.span.enter();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => this.sent_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                let sent_bytes = this.sent_bytes;
                tracing::error!(%error, sent_bytes, "broke off a response");
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request under way. Dropped before it is answered, it has lost its client: what it writes is written all the same, and the log says so.
struct RequestSpan {
    span: Span,
    begun: Instant,
    is_answered: bool,
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let duration_ms = self.begun.elapsed().as_secs_f64() * 1_000.0;
        self.span.in_scope(|| tracing::info!(duration_ms, "the client hung up; a write that had begun goes on"));
    }
}

pub(crate) fn answered<B>(response: &axum::http::Response<B>, took: Duration) {
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
pub(crate) fn known_method(method: &Method) -> &'static str {
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
    within(limit, next.run(request)).await.unwrap_or_else(|| ApiError::Slow.into_response())
}

/// Reads the whole body before anything is decided: a credential that is checked while its body is still to come could be
/// revoked in between, and used all the same.
async fn take_body(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match whole(body, limit).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => error.into_response(),
    }
}

/// A whole body, unless it is too large or takes longer than this. One that says it is too large is not waited for as long.
pub(crate) async fn whole<B: HttpBody<Data = Bytes> + Unpin>(body: B, limit: Duration) -> Result<Bytes, ApiError> {
    let is_large = body.size_hint().lower() > BODY_LIMIT as u64;
    let patience = if is_large { limit / 5 } else { limit };
    match within(patience, read(body)).await {
        Some(bytes) => bytes,
        None if is_large => Err(ApiError::TooLarge),
        None => Err(ApiError::Form("The body did not arrive in time.".to_owned())),
    }
}

/// Work that is done in time. Most of what is asked for is done at once, and then no timer is set.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    match std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::time::timeout(limit, work).await.ok(),
    }
}

async fn read<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) -> Result<Bytes, ApiError> {
    // Most bodies come in one piece, which is not copied.
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(ApiError::Form("The body broke off.".to_owned())) };
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > PATIENCE_BYTES {
            break;
        }
        if seen == data.len() {
            first = data;
        } else if seen <= BODY_LIMIT {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    match seen {
        _ if seen > BODY_LIMIT => Err(ApiError::TooLarge),
        _ if joined.is_empty() => Ok(first),
        _ => Ok(joined.into()),
    }
}

/// Lets a request that may write run to its end although the client hangs up or the time limit passes: a future dropped
/// between two statements can leave a connection inside a transaction (sqlx 0.9).
async fn finish_writes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(request_context::from(request_context::origin(), next.run(request)).instrument(Span::current()))
        .await
    {
        Ok(response) => response,
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_stopping) => ApiError::Slow.into_response(),
    }
}
