//! The access log: one line per request, and the span of its other log lines.

use std::{
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::MatchedPath,
    http::{Method, StatusCode},
};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;
use tracing::{Span, field::Empty};

use super::{error::LoggedCause, request_id::RequestId};

/// The route of style sheets, scripts and images. A page needs several.
const ASSET_ROUTE: &str = "/assets/{file}";

/// Creates the span of a request. `route` is the template of the path, because the path itself
/// contains arbitrary client text. Handlers record the caller.
pub(crate) fn request_span(id: &RequestId, method: &Method, route: &str, client: Option<IpAddr>) -> Span {
    tracing::info_span!(
        "request",
        request.id = id.as_str(),
        http.method = method_name(method),
        http.route = route,
        person.id = Empty,
        token.id = Empty,
        scim.credential = Empty,
        client.address = client.map(tracing::field::display),
    )
}

/// Writes the access log line of a response in the current span. Server errors have a higher level,
/// assets a lower one.
pub(crate) fn log_response<B>(response: &axum::http::Response<B>, duration: Duration) {
    let status = response.status();
    let cause = response.extensions().get::<LoggedCause>().map(|cause| cause.0.as_str());
    let duration_ms = to_millis(duration);
    let is_asset = response.extensions().get::<MatchedPath>().is_some_and(|route| route.as_str() == ASSET_ROUTE);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(http.status = status.as_u16(), duration_ms, cause, "responded");
    } else if status.is_server_error() {
        tracing::warn!(http.status = status.as_u16(), duration_ms, cause, "responded");
    } else if is_asset && !status.is_client_error() {
        tracing::debug!(http.status = status.as_u16(), duration_ms, cause, "responded");
    } else {
        tracing::info!(http.status = status.as_u16(), duration_ms, cause, "responded");
    }
}

/// Returns milliseconds with three digits after the point.
fn to_millis(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}

/// Returns the name of a method for logs and metrics. Unknown methods are `other`, because they are
/// arbitrary client text.
pub(crate) fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Logs a request whose client disconnects before the response. A write in progress still
/// completes.
pub(crate) struct DisconnectGuard {
    span: Span,
    started: Instant,
    is_completed: bool,
}

impl DisconnectGuard {
    pub(crate) fn new(span: Span) -> Self {
        Self { span, started: Instant::now(), is_completed: false }
    }

    /// Marks the request as completed. Returns its duration.
    pub(crate) fn complete(mut self) -> Duration {
        self.is_completed = true;
        self.started.elapsed()
    }
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        if self.is_completed {
            return;
        }
        let duration_ms = to_millis(self.started.elapsed());
        self.span.in_scope(|| tracing::info!(duration_ms, "the client disconnected; a write in progress continues"));
    }
}

/// A response body that is produced while it is sent.
///
/// The request time limit ended with its first byte. A later error closes the connection without
/// the last chunk. It is logged here, because the access log line is already written.
pub(crate) struct StreamedBody {
    body: Body,
    span: Span,
    sent_bytes: u64,
}

impl StreamedBody {
    pub(crate) fn new(body: Body, span: Span) -> Self {
        Self { body, span, sent_bytes: 0 }
    }
}

impl HttpBody for StreamedBody {
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
                tracing::error!(%error, sent_bytes, "aborted a response");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_after_the_point() {
        assert_eq!(to_millis(Duration::from_nanos(117_003)), 0.117);
        assert_eq!(to_millis(Duration::from_micros(1_210)), 1.21);
    }
}
