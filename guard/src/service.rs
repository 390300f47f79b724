//! The service that [`GuardLayer`](crate::GuardLayer) creates.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::{
    AuthError, Credential, DenialReason, MalformedHeader, Principal, Requirements, Verify, layer::RejectionFn,
};

/// A service behind a [`GuardLayer`](crate::GuardLayer).
pub struct Guard<S, V, R> {
    pub(crate) inner: S,
    pub(crate) verifier: V,
    pub(crate) rejection: RejectionFn<R>,
    pub(crate) requirements: Requirements,
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
        // Call the instance that was polled ready, and keep its clone for the next request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let verifier = self.verifier.clone();
        let rejection = Arc::clone(&self.rejection);
        let requirements = self.requirements;
        Box::pin(async move {
            request.extensions_mut().remove::<Principal>();
            let credential = Credential::from_headers(request.headers());
            match authenticate(&verifier, credential).await {
                Ok(principal) if requirements.are_met_by(&principal) => {
                    request.extensions_mut().insert(principal);
                    inner.call(request).await
                }
                Ok(_) => Ok(reject(&rejection, AuthError::Forbidden)),
                Err(error) => Ok(reject(&rejection, error)),
            }
        })
    }
}

fn reject<R>(rejection: &RejectionFn<Response<R>>, error: AuthError) -> Response<R> {
    let mut response = rejection(&error);
    response.extensions_mut().insert(error);
    response
}

async fn authenticate(
    verifier: &impl Verify,
    credential: Result<Credential<'_>, MalformedHeader>,
) -> Result<Principal, AuthError> {
    match credential {
        Ok(Credential::Bearer(token)) => verifier.verify(token).await,
        Ok(Credential::InvalidBearer) => Err(AuthError::Denied(DenialReason::Malformed)),
        Ok(Credential::Missing | Credential::Basic(_)) => Err(AuthError::Missing),
        Err(MalformedHeader) => Err(AuthError::Malformed),
    }
}

impl<S: Clone, V: Clone, R> Clone for Guard<S, V, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            verifier: self.verifier.clone(),
            rejection: Arc::clone(&self.rejection),
            requirements: self.requirements,
        }
    }
}

impl<S, V, R> fmt::Debug for Guard<S, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("requirements", &self.requirements).finish_non_exhaustive()
    }
}
