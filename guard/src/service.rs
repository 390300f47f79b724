//! The service that [`GuardLayer`](crate::GuardLayer) creates.

use std::{
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, header::WWW_AUTHENTICATE};
use tower_service::Service;

use crate::{
    AuthError, Credential, DenialReason, MalformedHeader, Principal, Requirements, UnmetRequirement, Verify,
    layer::{ClientAddressFn, RejectionFn},
};

/// A service behind a [`GuardLayer`](crate::GuardLayer).
pub struct Guard<S, V, R> {
    pub(crate) inner: S,
    pub(crate) verifier: V,
    pub(crate) rejection: RejectionFn<R>,
    pub(crate) client_address: ClientAddressFn,
    pub(crate) requirements: Arc<Requirements>,
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
        let requirements = Arc::clone(&self.requirements);
        let client = (self.client_address)(request.headers(), request.extensions());
        Box::pin(async move {
            request.extensions_mut().remove::<Principal>();
            let credential = Credential::from_headers(request.headers());
            let principal = match authenticate(&verifier, credential, client).await {
                Ok(principal) => principal,
                Err(error) => return Ok(reject(&rejection, error)),
            };
            match requirements.check(&principal) {
                Ok(()) => {
                    request.extensions_mut().insert(principal);
                    inner.call(request).await
                }
                Err(UnmetRequirement::Owner) => Ok(reject(&rejection, AuthError::Forbidden)),
                Err(UnmetRequirement::Scope) => {
                    let mut response = reject(&rejection, AuthError::InsufficientScope);
                    name_scopes(&mut response, &requirements);
                    Ok(response)
                }
            }
        })
    }
}

fn reject<R>(rejection: &RejectionFn<Response<R>>, error: AuthError) -> Response<R> {
    let mut response = rejection(&error);
    response.extensions_mut().insert(error);
    response
}

/// Adds the required scopes to the challenge of a response (RFC 6750, section 3), unless the application renders its own.
fn name_scopes<R>(response: &mut Response<R>, requirements: &Requirements) {
    let Some(challenge) = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Some(scopes) = requirements.scope_attribute().filter(|_| !challenge.contains("scope=")) else { return };
    if let Ok(value) = HeaderValue::try_from(format!(r#"{challenge}, scope="{scopes}""#)) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
}

async fn authenticate(
    verifier: &impl Verify,
    credential: Result<Credential<'_>, MalformedHeader>,
    client: Option<IpAddr>,
) -> Result<Principal, AuthError> {
    match credential {
        Ok(Credential::Bearer(token)) => verifier.verify(token, client).await,
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
            client_address: Arc::clone(&self.client_address),
            requirements: Arc::clone(&self.requirements),
        }
    }
}

impl<S, V, R> fmt::Debug for Guard<S, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("requirements", &self.requirements).finish_non_exhaustive()
    }
}
