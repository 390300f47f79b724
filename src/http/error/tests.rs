use super::*;
use crate::store;
use tokenward_guard::DenialReason as Because;

fn unavailable() -> store::Error {
    store::Error::Unavailable(sqlx::Error::PoolTimedOut)
}

#[test]
fn the_table_is_the_contracts() {
    let table = [
        (ApiError::Form("x".into()), 400, "ApiValidationFailed"),
        (Refusal::from(Invalid::Lifetime).into(), 400, "ValidationFailed"),
        (ApiError::Unauthenticated(AuthError::Missing), 401, "MissingPersonException"),
        (ApiError::TokenMissing, 401, "MissingPersonException"),
        (ApiError::Unauthenticated(AuthError::Malformed), 401, "MissingPersonException"),
        (ApiError::Unauthenticated(AuthError::Denied(Because::Expired)), 401, "MissingPersonException"),
        (ApiError::WrongPassword(AuthError::Denied(Because::WrongPassword)), 401, "MissingPersonException"),
        (Refusal::GeneratingIsForAdministrators.into(), 403, "AccessControlException"),
        (Refusal::TokenAccessDisabled.into(), 403, "AccessControlException"),
        (Refusal::TokensMakeNone.into(), 403, "AccessControlException"),
        (Refusal::NotAdministrator.into(), 403, "AccessControlException"),
        (Refusal::NotPlatformAdministrator.into(), 403, "AccessControlException"),
        (Refusal::ProtectedPerson.into(), 403, "AccessControlException"),
        (Refusal::PlatformAdministratorElsewhere.into(), 403, "AccessControlException"),
        (Refusal::FieldForAdministrators { field: "email" }.into(), 403, "AccessControlException"),
        (Refusal::FieldFixed { field: "id" }.into(), 403, "AccessControlException"),
        (Refusal::OwnPasswordNeedsPassword.into(), 403, "AccessControlException"),
        (Refusal::PasswordChangeRequired { person_id: 1 }.into(), 403, "AccessControlException"),
        (Refusal::OwnAccount.into(), 403, "AccessControlException"),
        (Refusal::RequirementsNotMet.into(), 403, "AccessControlException"),
        (Refusal::UnknownRequirement.into(), 403, "AccessControlException"),
        (ApiError::RouteNotFound, 404, "RouteNotFoundException"),
        (Refusal::FeatureOff.into(), 404, "RouteNotFoundException"),
        (Refusal::CallerGone.into(), 401, "MissingPersonException"),
        (Refusal::TokenNotFound.into(), 404, "DataNotFoundException"),
        (Refusal::PersonNotFound.into(), 404, "DataNotFoundException"),
        (Refusal::WorkspaceNotFound.into(), 404, "DataNotFoundException"),
        (Refusal::FormSpent.into(), 409, "ConflictException"),
        (Refusal::TooManyTokens { most: 3 }.into(), 409, "ConflictException"),
        (Refusal::RepeatedIsDeleted.into(), 409, "ConflictException"),
        (Refusal::EmailTaken.into(), 409, "ConflictException"),
        (Refusal::LastAdministrator.into(), 409, "ConflictException"),
        (Refusal::LastPlatformAdministrator.into(), 409, "ConflictException"),
        (Refusal::FirstWorkspace.into(), 409, "ConflictException"),
        (ApiError::TooLarge, 413, "PayloadTooLargeException"),
        (ApiError::HeaderTooLarge, 431, "HeaderFieldsTooLargeException"),
        (ApiError::UriTooLong, 414, "UriTooLongException"),
        (ApiError::NotJson, 415, "UnsupportedMediaTypeException"),
        (ApiError::Encoded, 415, "UnsupportedMediaTypeException"),
        (ApiError::Throttled { seconds: 8 }, 429, "TooManyRequestsException"),
        (Refusal::TooFast { millis: 900 }.into(), 429, "TooManyRequestsException"),
        (ApiError::Internal, 500, "InternalException"),
        (Refusal::Bug(store::Error::Conflict).into(), 500, "InternalException"),
        (ApiError::Unauthenticated(AuthError::Unavailable), 503, "ServiceUnavailableException"),
        (ApiError::WrongPassword(AuthError::Unavailable), 503, "ServiceUnavailableException"),
        (Refusal::Busy.into(), 503, "ServiceUnavailableException"),
        (Refusal::Unavailable(unavailable()).into(), 503, "ServiceUnavailableException"),
        (ApiError::NotReady(NotReady::Schema { database: 1, program: 2 }), 503, "ServiceUnavailableException"),
        (ApiError::Slow, 503, "ServiceUnavailableException"),
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
fn whatever_is_wrong_with_a_credential_the_body_is_the_same() {
    let body = |error: ApiError| serde_json::to_string(&error.body()).unwrap();
    let first = body(ApiError::Unauthenticated(AuthError::Denied(Because::UnknownToken)));
    for cause in
        [Because::Malformed, Because::Expired, Because::PersonDisabled, Because::AccessDisabled, Because::FeatureOff]
    {
        assert_eq!(body(ApiError::Unauthenticated(AuthError::Denied(cause))), first);
        assert_eq!(body(ApiError::WrongPassword(AuthError::Denied(cause))), first);
    }
}
