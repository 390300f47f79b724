//! A response on its way through a connection: tells the connection's phase when the last byte was produced, and announces the end of
//! the connection while the service stops.

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

use super::io_timeout::Phase;

/// Whether the service is to stop. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopping(Arc<AtomicBool>);

impl Stopping {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A response that is being made.
pub(crate) struct Answering<F> {
    answer: F,
    phase: Phase,
    stopping: Stopping,
}

impl<F> Answering<F> {
    pub(crate) fn new(answer: F, phase: Phase, stopping: Stopping) -> Self {
        Self { answer, phase, stopping }
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
{
    type Output = Result<Response<Sent<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map_ok(|mut response| {
            if self.stopping.has_begun() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let phase = self.phase.clone();
            response.map(|body| Sent { body, phase })
        })
    }
}

/// The body of a response. Dropped, it is complete, unless it failed.
pub(crate) struct Sent<B> {
    body: B,
    phase: Phase,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(Some(Err(_)))) {
            self.phase.break_off();
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

impl<B> Drop for Sent<B> {
    fn drop(&mut self) {
        // A panic while the body was being produced is a failure, too.
        if std::thread::panicking() {
            self.phase.break_off();
        } else {
            self.phase.end();
        }
    }
}
