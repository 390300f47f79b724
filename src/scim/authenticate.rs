//! Authentication of provisioning clients.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::ScimError;
use crate::{
    domain::event::RequestContext,
    http::ApiError,
    service::{Error, Scim, scim::ScimClient},
};
use tokenward_guard::{AuthError, Credential, DenialReason, MalformedHeader};

/// An authenticated provisioning client.
pub(super) struct Client(pub(super) ScimClient);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ScimError> {
        // A route without the layer rejects every request.
        parts.extensions.get::<ScimClient>().cloned().map(Self).ok_or(ScimError::Api(ApiError::TokenRequired))
    }
}

/// Authenticates a request, and adds the client to its extensions.
pub(super) async fn authenticate(State(scim): State<Scim>, mut request: Request, next: Next) -> Response {
    // No earlier layer may assert a client.
    request.extensions_mut().remove::<ScimClient>();
    let context = request.extensions().get::<RequestContext>().cloned().unwrap_or_default();
    let denied = |reason| ScimError::Api(ApiError::Unauthenticated(AuthError::Denied(reason)));
    let result = match Credential::from_headers(request.headers()) {
        Ok(Credential::Bearer(value)) => match scim.authenticate(value, context).await {
            Ok(Some(client)) => Ok(client),
            Ok(None) => Err(denied(DenialReason::UnknownToken)),
            Err(Error::Unavailable(_)) => Err(ScimError::Api(ApiError::Unauthenticated(AuthError::Unavailable))),
            Err(error) => Err(error.into()),
        },
        Ok(Credential::InvalidBearer) => Err(denied(DenialReason::Malformed)),
        Ok(Credential::Missing | Credential::Basic(_)) => Err(ScimError::Api(ApiError::TokenRequired)),
        Err(MalformedHeader) => Err(ScimError::Api(ApiError::Unauthenticated(AuthError::Malformed))),
    };
    match result {
        Ok(client) => {
            tracing::Span::current().record("scim.credential", tracing::field::display(client.credential().id));
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}
