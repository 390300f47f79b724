//! The guard at work.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{Cause, Credential, Denied, Malformed, Principal, Verify, layer::Refuse, requirements::Requirements};

/// A service behind a [`GuardLayer`](super::GuardLayer).
pub struct Guard<S, V, R> {
    pub(super) inner: S,
    pub(super) verify: V,
    pub(super) refuse: Refuse<R>,
    pub(super) asked: Requirements,
}

impl<S, V, B, R> Service<Request<B>> for Guard<S, V, Response<R>>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    V: Verify,
    B: Send + 'static,
    R: 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call; its fresh clone waits for the next request.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let verify = self.verify.clone();
        let refuse = Arc::clone(&self.refuse);
        let asked = self.asked;
        Box::pin(async move {
            request.extensions_mut().remove::<Principal>();
            let presented = Credential::read(request.headers());
            match authenticate(&verify, presented).await {
                Ok(principal) if asked.are_met_by(&principal) => {
                    request.extensions_mut().insert(principal);
                    ready.call(request).await
                }
                Ok(_) => Ok(refused(&refuse, Denied::Forbidden)),
                Err(denied) => Ok(refused(&refuse, denied)),
            }
        })
    }
}

fn refused<R>(refuse: &Refuse<Response<R>>, denied: Denied) -> Response<R> {
    let mut response = refuse(&denied);
    response.extensions_mut().insert(denied);
    response
}

async fn authenticate(verify: &impl Verify, read: Result<Credential<'_>, Malformed>) -> Result<Principal, Denied> {
    match read {
        Ok(Credential::Bearer(presented)) => verify.verify(presented).await,
        Ok(Credential::BadBearer) => Err(Denied::Invalid(Cause::Shape)),
        Ok(Credential::Missing | Credential::Basic(_)) => Err(Denied::Missing),
        Err(Malformed) => Err(Denied::Malformed),
    }
}

impl<S: Clone, V: Clone, R> Clone for Guard<S, V, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            verify: self.verify.clone(),
            refuse: Arc::clone(&self.refuse),
            asked: self.asked,
        }
    }
}

impl<S, V, R> fmt::Debug for Guard<S, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
