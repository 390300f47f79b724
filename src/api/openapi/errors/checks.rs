//! The errors of auth checks, of the OAuth 2.0 endpoints and of leak reports.

use super::{NamedError, insufficient_scope, internal, join, password_change_required, service, with_body};
use crate::{
    api::ApiError,
    domain::{ValidationError, token_limits::reserved_scope},
    service::Error,
};
use tokenward_guard::{AuthError, DenialReason};

const TOKEN_MISSING: &str = "The form must contain the parameter token exactly once.";

pub(super) fn auth_check(operation: &str) -> Vec<NamedError> {
    let mut errors = vec![
        ("noCredential", ApiError::Unauthenticated(AuthError::Missing)),
        ("invalidCredential", ApiError::Unauthenticated(AuthError::Denied(DenialReason::UnknownToken))),
        password_change_required(),
        internal(),
        ("credentialNotChecked", ApiError::Unauthenticated(AuthError::Unavailable)),
    ];
    if operation == "checkRequirements" {
        errors.push(service("requirementsNotMet", Error::RequirementsNotMet));
        errors.push(service("invalidRequirements", Error::InvalidRequirement));
        errors.push(insufficient_scope("reports:read"));
    }
    errors
}

pub(super) fn report_leak() -> Vec<NamedError> {
    let too_many = ApiError::BadRequest("values has 101 elements; at most 100 elements are allowed.".to_owned());
    let own = vec![
        ("tooManyValues", too_many),
        service("tooManyReports", Error::RateLimited { retry_after_millis: 6_000 }),
        internal(),
        service("databaseUnavailable", Error::timed_out()),
    ];
    join([with_body(), own])
}

pub(super) fn oauth_form(invalid: &str) -> Vec<NamedError> {
    vec![
        ("invalidForm", ApiError::BadRequest(invalid.to_owned())),
        ("bodyTooLarge", ApiError::BodyTooLarge),
        ("compressedBody", ApiError::UnsupportedEncoding),
        internal(),
        service("databaseUnavailable", Error::timed_out()),
    ]
}

pub(super) fn introspect() -> Vec<NamedError> {
    let own = vec![
        ("noCredential", ApiError::Unauthenticated(AuthError::Missing)),
        ("invalidCredential", ApiError::Unauthenticated(AuthError::Denied(DenialReason::UnknownToken))),
        password_change_required(),
        insufficient_scope(reserved_scope::INTROSPECT),
        ("tooManyFailedLogins", ApiError::LoginThrottled { seconds: 8 }),
    ];
    join([oauth_form(TOKEN_MISSING), own])
}

pub(super) fn check_tokens() -> Vec<NamedError> {
    let count = "tokens has 101 entries; send from 1 to 100.".to_owned();
    let own = vec![
        ("tooManyTokens", ApiError::BadRequest(count)),
        ("noCredential", ApiError::Unauthenticated(AuthError::Missing)),
        ("invalidCredential", ApiError::Unauthenticated(AuthError::Denied(DenialReason::UnknownToken))),
        password_change_required(),
        insufficient_scope(reserved_scope::INTROSPECT),
        ("tooManyFailedLogins", ApiError::LoginThrottled { seconds: 8 }),
        internal(),
        ("tokenNotChecked", ApiError::Unauthenticated(AuthError::Unavailable)),
        service("hasherBusy", Error::HasherBusy),
    ];
    join([with_body(), own])
}

pub(super) fn revoke() -> Vec<NamedError> {
    join([
        oauth_form(TOKEN_MISSING),
        vec![service("tooManyUnknownTokens", Error::RateLimited { retry_after_millis: 1_000 })],
    ])
}

/// The errors of the beginning of a device authorization.
pub(super) fn begin_device_authorization() -> Vec<NamedError> {
    let too_many = service("tooManyRequests", Error::RateLimited { retry_after_millis: 6_000 });
    let lifetime = ("lifetime", ValidationError::Lifetime.into());
    join([oauth_form("A parameter must not be repeated."), vec![lifetime, too_many]])
}
