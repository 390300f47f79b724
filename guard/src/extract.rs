//! The authenticated caller as a parameter of an axum handler.

use std::ops::Deref;

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use crate::{AuthError, Principal, json_rejection};

/// The principal that [`GuardLayer`](crate::GuardLayer) authenticated. Rejects every request on a route without the layer.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl Deref for Caller {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let principal = parts.extensions.get::<Principal>().cloned();
        principal.map(Self).ok_or_else(|| json_rejection::<axum_core::body::Body>(&AuthError::Missing).into_response())
    }
}
