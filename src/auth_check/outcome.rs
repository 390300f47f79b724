//! The outcomes of an auth check.

use super::{batch::BatchOutcome, denied::Denied, introspection::IntrospectionOutcome, oauth::OAuthError};
use crate::http::{authenticate::PendingAuthentication, error::ApiError};
use tokenward_guard::Principal;

/// The outcome of a check without waiting.
pub(crate) enum CachedCheck {
    Decided(CheckOutcome),
    Pending(PendingCheck),
}

/// A check that needs a lookup, a password hash or the request body.
pub(crate) enum PendingCheck {
    ForwardAuth(PendingAuthentication),
    Introspection,
    Batch,
}

/// The outcome of a check.
pub(crate) enum CheckOutcome {
    Allowed(Principal),
    Introspected(IntrospectionOutcome),
    Batch(BatchOutcome),
    Denied(Denied<ApiError>),
    /// An error in the format of the OAuth 2.0 endpoints.
    OAuthDenied(Denied<OAuthError>),
}
