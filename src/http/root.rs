//! Everything that answers requests: what is asked all the time first, then the router within its layers.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{Method, Request, Response},
    response::IntoResponse as _,
};
use http_body_util::{Either, Full};
use tower::ServiceExt as _;

use super::{host, path_normalization};
use crate::auth_check::fast_path::{self, Checks};
use crate::{
    auth_check::{ForwardAuth, INTROSPECT},
    http::{client_ip::Peer, request_id::RequestId},
};

/// The whole service. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    checks: Checks,
    router: Router,
}

/// What is answered: made in one piece, or by the router.
pub type Reply = Response<Either<Full<Bytes>, Body>>;

/// An answer that is there, or will be.
pub enum Answer {
    Now(Option<Reply>),
    Later(Pin<Box<dyn Future<Output = Reply> + Send>>),
}

impl Future for Answer {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            // A future is not polled again once it is ready.
            Self::Now(reply) => reply.take().map_or(Poll::Pending, |reply| Poll::Ready(Ok(reply))),
            Self::Later(reply) => reply.as_mut().poll(cx).map(Ok),
        }
    }
}

impl Service {
    pub(crate) fn new(checks: Checks, router: Router) -> Self {
        Self(Arc::new(Inner { checks, router }))
    }

    /// Answers a request as it comes from the network, from this other end.
    pub(crate) fn receive<B>(&self, mut request: Request<B>, peer: Peer) -> Answer
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        match host::settle(&mut request) {
            Ok(()) => self.answer(request, Some(peer)),
            Err(error) => {
                Answer::Now(Some(fast_path::refusal(error.into_response(), &RequestId::of(request.headers()))))
            }
        }
    }

    /// Answers a request that came from this other end.
    pub fn answer<B>(&self, mut request: Request<B>, peer: Option<Peer>) -> Answer
    where
        B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        if let Some(refused) = path_normalization::refusal(request.method(), request.uri(), request.headers()) {
            return Answer::Now(Some(fast_path::refusal(refused.into_response(), &RequestId::of(request.headers()))));
        }
        if let Some(uri) = path_normalization::canonical(request.uri()) {
            *request.uri_mut() = uri;
        }
        let path = request.uri().path();
        if ForwardAuth::answers(path) {
            if let Some(reply) = self.0.checks.forward_auth_at_once(&request) {
                return Answer::Now(Some(reply));
            }
            let inner = Arc::clone(&self.0);
            let parts = request.into_parts().0;
            return Answer::Later(Box::pin(async move { inner.checks.forward_auth(parts, peer).await }));
        }
        let inner = Arc::clone(&self.0);
        if path == INTROSPECT && request.method() == Method::POST {
            let (parts, body) = request.into_parts();
            return Answer::Later(Box::pin(async move { inner.checks.introspect(parts, body, peer).await }));
        }
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let routed = inner.router.clone().oneshot(request.map(Body::new));
        Answer::Later(Box::pin(async move {
            match routed.await {
                Ok(response) => response.map(Either::Right),
                Err(never) => match never {},
            }
        }))
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let peer = request.extensions().get::<Peer>().copied();
        self.answer(request, peer)
    }
}

/// Work that may panic; none where it does. What was panicked about is in the panic's own message on standard error; it is not
/// repeated, because nobody knows what is in it.
pub(crate) async fn unharmed<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => {
            tracing::error!("a request panicked");
            Poll::Ready(None)
        }
    })
    .await
}
