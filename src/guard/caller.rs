//! The caller as a parameter of an axum handler.

use std::ops::Deref;

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use super::{Denied, Principal, contract_refusal};

/// Whoever the [`GuardLayer`](super::GuardLayer) let in. On a route that forgot to stand behind the layer it refuses everybody.
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
        principal.map(Self).ok_or_else(|| contract_refusal::<axum_core::body::Body>(&Denied::Missing).into_response())
    }
}
