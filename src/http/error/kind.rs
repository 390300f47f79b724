//! Status, exception name and message of every error of the API.

use axum::http::StatusCode;

use super::ApiError;
use crate::service::Error;
use tokenward_guard::AuthError;

/// Status, exception name and message of an error response.
pub(super) type ErrorKind = (StatusCode, &'static str, &'static str);

const VALIDATION_FAILED: ErrorKind = (StatusCode::BAD_REQUEST, "ValidationFailed", "Input validation failed");
const BAD_REQUEST: ErrorKind = (StatusCode::BAD_REQUEST, "ApiValidationFailed", "Malformed request");
const UNAUTHENTICATED: ErrorKind = (StatusCode::UNAUTHORIZED, "MissingPersonException", "Authentication failed");
const FORBIDDEN: ErrorKind = (StatusCode::FORBIDDEN, "AccessControlException", "Not permitted");
const ROUTE_NOT_FOUND: ErrorKind = (StatusCode::NOT_FOUND, "RouteNotFoundException", "Route doesn't exist");
const DATA_NOT_FOUND: ErrorKind = (StatusCode::NOT_FOUND, "DataNotFoundException", "Not found");
const CONFLICT: ErrorKind = (StatusCode::CONFLICT, "ConflictException", "Conflict");
const BODY_TOO_LARGE: ErrorKind = (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "The body is too large");
const HEADER_TOO_LARGE: ErrorKind =
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "HeaderFieldsTooLargeException", "The header fields are too large");
const URI_TOO_LONG: ErrorKind = (StatusCode::URI_TOO_LONG, "UriTooLongException", "The URI is too long");
const UNSUPPORTED_MEDIA_TYPE: ErrorKind =
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", "Unsupported media type");
const TOO_MANY_REQUESTS: ErrorKind = (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Too many requests");
const UNAVAILABLE: ErrorKind = (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "Service unavailable");
const INTERNAL: ErrorKind = (StatusCode::INTERNAL_SERVER_ERROR, "InternalException", "Internal error");

impl ApiError {
    /// Returns status, exception name and message. No other code chooses the status of an API
    /// error.
    #[expect(clippy::too_many_lines, reason = "one table has all errors")]
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::BadRequest(_) => BAD_REQUEST,
            Self::NotJson | Self::UnsupportedEncoding => UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => BODY_TOO_LARGE,
            Self::UriTooLong => URI_TOO_LONG,
            Self::HeaderTooLarge => HEADER_TOO_LARGE,
            Self::Unauthenticated(AuthError::Unavailable) | Self::PasswordAuthFailed(AuthError::Unavailable) => {
                UNAVAILABLE
            }
            Self::Unauthenticated(AuthError::Forbidden | AuthError::InsufficientScope)
            | Self::PasswordAuthFailed(AuthError::Forbidden | AuthError::InsufficientScope) => FORBIDDEN,
            Self::TokenRequired
            | Self::Unauthenticated(_)
            | Self::PasswordAuthFailed(_)
            | Self::DirectoryAuthFailed(_)
            | Self::LocalAuthFailed(_) => UNAUTHENTICATED,
            Self::LoginThrottled { .. } => TOO_MANY_REQUESTS,
            Self::RouteNotFound => ROUTE_NOT_FOUND,
            Self::NotReady(_) | Self::TimedOut => UNAVAILABLE,
            Self::Internal => INTERNAL,
            Self::Service(error) => match error {
                Error::Invalid(_)
                | Error::InvalidWebhookUrl(_)
                | Error::ScimExternalIdImmutable { .. }
                | Error::ScimNoTarget => VALIDATION_FAILED,
                Error::FeatureOff => ROUTE_NOT_FOUND,
                Error::CallerRevoked => UNAUTHENTICATED,
                Error::TokenCreationRestricted
                | Error::ChildTokensDisabled
                | Error::ExchangedTokenCreates
                | Error::TokenAccessDisabled
                | Error::TokenForAnotherPerson
                | Error::NotCustodian
                | Error::AdministratorAccount
                | Error::NotAdministrator
                | Error::NotPlatformAdministrator
                | Error::ProtectedPerson
                | Error::PlatformAdministratorOutsideFirstWorkspace
                | Error::AdminOnlyField { .. }
                | Error::ReadOnlyField { .. }
                | Error::PasswordCredentialRequired
                | Error::PasswordChangeRequired { .. }
                | Error::CannotRemoveSelf
                | Error::CannotInviteSelf
                | Error::InsufficientScope { .. }
                | Error::UnrestrictedOnlyField { .. }
                | Error::RequirementsNotMet
                | Error::InvalidRequirement => FORBIDDEN,
                Error::TokenNotFound
                | Error::PersonNotFound
                | Error::WorkspaceNotFound
                | Error::WebhookNotFound
                | Error::TrustRuleNotFound
                | Error::ScimUserNotFound
                | Error::ScimCredentialNotFound => DATA_NOT_FOUND,
                Error::EmailTaken
                | Error::ServiceNameTaken
                | Error::ServiceAccountDisabled
                | Error::PersonDisabled
                | Error::TooManyTokens { .. }
                | Error::IdempotentTokenDeleted
                | Error::ReplacedTokenExpired
                | Error::AlreadyReplaced
                | Error::FormAlreadyUsed
                | Error::DeviceAuthorizationSpent
                | Error::LastAdministrator
                | Error::LastPlatformAdministrator
                | Error::LastLocalAdministrator
                | Error::DisabledByDirectory
                | Error::DisabledByScim
                | Error::ScimUserTaken
                | Error::ScimAdministratorEmail
                | Error::ScimCredentialNameTaken
                | Error::AdministratorByDirectory
                | Error::PasswordOfProvider { .. }
                | Error::IdentityTaken
                | Error::SyncInProgress
                | Error::TooManyWebhooks { .. }
                | Error::TooManyTrustRules { .. }
                | Error::NotServiceAccount
                | Error::WebhookDisabled
                | Error::CannotRemoveFirstWorkspace => CONFLICT,
                Error::RateLimited { .. } => TOO_MANY_REQUESTS,
                Error::HasherBusy | Error::OlderNodes | Error::IssuerUnavailable(_) | Error::Unavailable(_) => {
                    UNAVAILABLE
                }
                Error::Internal(_) => INTERNAL,
            },
        }
    }
}
