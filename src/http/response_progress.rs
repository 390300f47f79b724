//! Tracking of responses: records in the connection's phase that the last byte was produced, and
//! announces the close of the connection during shutdown.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::http::{HeaderValue, header::CONNECTION};
use hyper::{
    Response,
    body::{Body, Frame, SizeHint},
};

use super::io_timeout::ConnectionPhase;

/// Set once the service shuts down. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShutdownFlag(Arc<AtomicBool>);

impl ShutdownFlag {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The future of a response that updates the connection's phase.
pub(crate) struct PhaseFuture<F> {
    response: F,
    phase: ConnectionPhase,
    shutdown: ShutdownFlag,
}

impl<F> PhaseFuture<F> {
    pub(crate) fn new(response: F, phase: ConnectionPhase, shutdown: ShutdownFlag) -> Self {
        Self { response, phase, shutdown }
    }
}

impl<F, B> Future for PhaseFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<TrackedBody<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.response).poll(cx).map_ok(|mut response| {
            if self.shutdown.is_set() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let phase = self.phase.clone();
            response.map(|body| TrackedBody { body, phase })
        })
    }
}

/// A response body that updates the connection's phase. When it is dropped, the response is
/// complete unless it failed.
pub(crate) struct TrackedBody<B> {
    body: B,
    phase: ConnectionPhase,
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(Err(_)))) {
            self.phase.abort_response();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        // A panic while the body was produced is a failure as well.
        if std::thread::panicking() {
            self.phase.abort_response();
        } else {
            self.phase.finish_response();
        }
    }
}
