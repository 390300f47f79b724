use super::*;
use crate::{domain::id::PersonId, store};
use tokenward_guard::DenialReason;

fn unavailable() -> store::Error {
    store::Error::Unavailable(store::Outage::TimedOut)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_error_has_its_status_and_exception_name() {
    let table = [
        (ApiError::BadRequest("x".into()), 400, "ApiValidationFailed"),
        (Error::from(ValidationError::Lifetime).into(), 400, "ValidationFailed"),
        (ApiError::Unauthenticated(AuthError::Missing), 401, "MissingPersonException"),
        (ApiError::TokenRequired, 401, "MissingPersonException"),
        (ApiError::Unauthenticated(AuthError::Malformed), 401, "MissingPersonException"),
        (ApiError::Unauthenticated(AuthError::Denied(DenialReason::Expired)), 401, "MissingPersonException"),
        (ApiError::PasswordAuthFailed(AuthError::Denied(DenialReason::WrongPassword)), 401, "MissingPersonException"),
        (Error::TokenCreationRestricted.into(), 403, "AccessControlException"),
        (Error::TokenAccessDisabled.into(), 403, "AccessControlException"),
        (Error::ChildTokensDisabled.into(), 403, "AccessControlException"),
        (Error::NotAdministrator.into(), 403, "AccessControlException"),
        (Error::NotPlatformAdministrator.into(), 403, "AccessControlException"),
        (Error::ProtectedPerson.into(), 403, "AccessControlException"),
        (Error::PlatformAdministratorOutsideFirstWorkspace.into(), 403, "AccessControlException"),
        (Error::AdminOnlyField { field: "email" }.into(), 403, "AccessControlException"),
        (Error::ReadOnlyField { field: "id" }.into(), 403, "AccessControlException"),
        (Error::PasswordCredentialRequired.into(), 403, "AccessControlException"),
        (Error::PasswordChangeRequired { person_id: PersonId::new(1) }.into(), 403, "AccessControlException"),
        (Error::CannotRemoveSelf.into(), 403, "AccessControlException"),
        (Error::CannotInviteSelf.into(), 403, "AccessControlException"),
        (Error::RequirementsNotMet.into(), 403, "AccessControlException"),
        (Error::InvalidRequirement.into(), 403, "AccessControlException"),
        (ApiError::RouteNotFound, 404, "RouteNotFoundException"),
        (Error::FeatureOff.into(), 404, "RouteNotFoundException"),
        (Error::CallerRevoked.into(), 401, "MissingPersonException"),
        (Error::TokenNotFound.into(), 404, "DataNotFoundException"),
        (Error::PersonNotFound.into(), 404, "DataNotFoundException"),
        (Error::WorkspaceNotFound.into(), 404, "DataNotFoundException"),
        (Error::FormAlreadyUsed.into(), 409, "ConflictException"),
        (Error::DeviceAuthorizationSpent.into(), 409, "ConflictException"),
        (Error::TooManyTokens { max: 3 }.into(), 409, "ConflictException"),
        (Error::IdempotentTokenDeleted.into(), 409, "ConflictException"),
        (Error::EmailTaken.into(), 409, "ConflictException"),
        (Error::PersonDisabled.into(), 409, "ConflictException"),
        (Error::LastAdministrator.into(), 409, "ConflictException"),
        (Error::LastPlatformAdministrator.into(), 409, "ConflictException"),
        (Error::CannotRemoveFirstWorkspace.into(), 409, "ConflictException"),
        (ApiError::BodyTooLarge, 413, "PayloadTooLargeException"),
        (ApiError::HeaderTooLarge, 431, "HeaderFieldsTooLargeException"),
        (ApiError::UriTooLong, 414, "UriTooLongException"),
        (ApiError::NotJson, 415, "UnsupportedMediaTypeException"),
        (ApiError::UnsupportedEncoding, 415, "UnsupportedMediaTypeException"),
        (ApiError::LoginThrottled { seconds: 8 }, 429, "TooManyRequestsException"),
        (Error::RateLimited { retry_after_millis: 900 }.into(), 429, "TooManyRequestsException"),
        (ApiError::Internal, 500, "InternalException"),
        (Error::Internal(store::Error::Conflict).into(), 500, "InternalException"),
        (ApiError::Unauthenticated(AuthError::Unavailable), 503, "ServiceUnavailableException"),
        (ApiError::PasswordAuthFailed(AuthError::Unavailable), 503, "ServiceUnavailableException"),
        (Error::HasherBusy.into(), 503, "ServiceUnavailableException"),
        (Error::Unavailable(unavailable()).into(), 503, "ServiceUnavailableException"),
        (ApiError::NotReady(NotReady::Schema { database: 1, program: 2 }), 503, "ServiceUnavailableException"),
        (ApiError::TimedOut, 503, "ServiceUnavailableException"),
    ];
    for (error, status, name) in table {
        let body = error.body().exception;
        assert_eq!((error.status().as_u16(), body.name), (status, name), "{error:?}");
        assert!(!body.details.is_empty() || status == 500, "{error:?}");
        let response = error.into_response();
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401, "{name}");
        assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503 || status == 429, "{name}");
    }
}

#[test]
fn all_rejected_credentials_get_the_same_body() {
    let body = |error: ApiError| serde_json::to_string(&error.body()).unwrap();
    let first = body(ApiError::Unauthenticated(AuthError::Denied(DenialReason::UnknownToken)));
    for cause in [
        DenialReason::Malformed,
        DenialReason::Expired,
        DenialReason::PersonDisabled,
        DenialReason::AccessDisabled,
        DenialReason::FeatureOff,
    ] {
        assert_eq!(body(ApiError::Unauthenticated(AuthError::Denied(cause))), first);
        assert_eq!(body(ApiError::PasswordAuthFailed(AuthError::Denied(cause))), first);
    }
}
