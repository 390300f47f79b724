//! From a refusal to what is answered: one table.

use axum::{
    Json,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::Invalid,
    service::{Refusal, health::NotReady, sign_in::NotSignedIn},
};
use tokenward_guard::{AuthError, DenialReason, challenge};

/// Everything that the API answers instead of what was asked for.
#[derive(Debug)]
pub enum ApiError {
    /// The request's form is wrong: not JSON, not an object, a wrong type.
    Form(String),
    /// A body in another format than JSON.
    NotJson,
    /// A compressed body.
    Encoded,
    TooLarge,
    /// A URI of more bytes than [`URI_LIMIT`].
    UriTooLong,
    /// Header fields of more bytes than [`HEADER_LIMIT`].
    HeaderTooLarge,
    /// Nobody is let in. `AuthError` is the bearer's refusal.
    Unauthenticated(AuthError),
    /// There is no token, and nothing else is taken here.
    TokenMissing,
    /// Nobody is let in by this e-mail and password.
    WrongPassword(AuthError),
    /// Too many wrong passwords came before; how many seconds to wait.
    Throttled {
        seconds: u64,
    },
    RouteNotFound,
    Refused(Refusal),
    NotReady(NotReady),
    /// The time a request may take is over.
    Slow,
    /// A panic, or anything else that is a bug.
    Internal,
}

/// The same as `retry-after`, for old clients.
const X_RETRY_AFTER: HeaderName = HeaderName::from_static("x-retry-after");

/// The largest body that is taken, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The longest path with its query that is taken, in bytes.
pub const URI_LIMIT: usize = 8 * 1024;

/// The most that header fields may take together, in bytes, each with its colon, space and line end.
pub const HEADER_LIMIT: usize = 32 * 1024;

/// What went wrong behind an answer, for the log; rides in the response's extensions.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

impl From<NotSignedIn> for ApiError {
    fn from(error: NotSignedIn) -> Self {
        match error {
            NotSignedIn::Denied(denied) => Self::WrongPassword(denied),
            NotSignedIn::Throttled { seconds } => Self::Throttled { seconds },
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::FeatureOff => Self::RouteNotFound,
            // A moment later the credential would have been refused.
            Refusal::CallerGone => Self::Unauthenticated(AuthError::Denied(DenialReason::PersonDisabled)),
            refusal => Self::Refused(refusal),
        }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}

/// Status, exception name and message of an answer.
type Kind = (StatusCode, &'static str, &'static str);

const VALIDATION: Kind = (StatusCode::BAD_REQUEST, "ValidationFailed", "Input validation failed");
const FORM: Kind = (StatusCode::BAD_REQUEST, "ApiValidationFailed", "The request has the wrong form");
const MISSING_PERSON: Kind = (StatusCode::UNAUTHORIZED, "MissingPersonException", "Authentication failed");
const ACCESS: Kind = (StatusCode::FORBIDDEN, "AccessControlException", "Not permitted");
const ROUTE: Kind = (StatusCode::NOT_FOUND, "RouteNotFoundException", "Route doesn't exist");
const DATA: Kind = (StatusCode::NOT_FOUND, "DataNotFoundException", "Not found");
const CONFLICT: Kind = (StatusCode::CONFLICT, "ConflictException", "Conflict");
const TOO_LARGE: Kind = (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "The body is too large");
const HEADER: Kind =
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "HeaderFieldsTooLargeException", "The header is too large");
const URI: Kind = (StatusCode::URI_TOO_LONG, "UriTooLongException", "The address is too long");
const MEDIA_TYPE: Kind =
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", "Unsupported media type");
const TOO_MANY: Kind = (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Too many requests");
const UNAVAILABLE: Kind = (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", "Service unavailable");
const INTERNAL: Kind = (StatusCode::INTERNAL_SERVER_ERROR, "InternalException", "Something went wrong");

impl ApiError {
    /// The table of the contract, section 1.1. Nobody else writes a status.
    fn kind(&self) -> Kind {
        match self {
            Self::Form(_) => FORM,
            Self::NotJson | Self::Encoded => MEDIA_TYPE,
            Self::TooLarge => TOO_LARGE,
            Self::UriTooLong => URI,
            Self::HeaderTooLarge => HEADER,
            Self::Unauthenticated(AuthError::Unavailable) | Self::WrongPassword(AuthError::Unavailable) => UNAVAILABLE,
            Self::Unauthenticated(AuthError::Forbidden) | Self::WrongPassword(AuthError::Forbidden) => ACCESS,
            Self::TokenMissing | Self::Unauthenticated(_) | Self::WrongPassword(_) => MISSING_PERSON,
            Self::Throttled { .. } => TOO_MANY,
            Self::RouteNotFound => ROUTE,
            Self::NotReady(_) | Self::Slow => UNAVAILABLE,
            Self::Internal => INTERNAL,
            Self::Refused(refusal) => match refusal {
                Refusal::Invalid(_) => VALIDATION,
                Refusal::FeatureOff => ROUTE,
                Refusal::CallerGone => MISSING_PERSON,
                Refusal::GeneratingIsForAdministrators
                | Refusal::TokensMakeNone
                | Refusal::TokenAccessDisabled
                | Refusal::NotAdministrator
                | Refusal::NotPlatformAdministrator
                | Refusal::ProtectedPerson
                | Refusal::PlatformAdministratorElsewhere
                | Refusal::FieldForAdministrators { .. }
                | Refusal::FieldFixed { .. }
                | Refusal::OwnPasswordNeedsPassword
                | Refusal::PasswordChangeRequired { .. }
                | Refusal::OwnAccount
                | Refusal::RequirementsNotMet
                | Refusal::UnknownRequirement => ACCESS,
                Refusal::TokenNotFound | Refusal::PersonNotFound | Refusal::WorkspaceNotFound => DATA,
                Refusal::EmailTaken
                | Refusal::TooManyTokens { .. }
                | Refusal::RepeatedIsDeleted
                | Refusal::FormSpent
                | Refusal::LastAdministrator
                | Refusal::LastPlatformAdministrator
                | Refusal::FirstWorkspace => CONFLICT,
                Refusal::TooFast { .. } => TOO_MANY,
                Refusal::Busy | Refusal::Unavailable(_) => UNAVAILABLE,
                Refusal::Bug(_) => INTERNAL,
            },
        }
    }

    /// A sentence that helps. Clients show it first.
    pub(crate) fn details(&self) -> String {
        match self {
            Self::Form(what) => what.clone(),
            Self::NotJson => "Send the body as JSON, with Content-Type: application/json.".to_owned(),
            Self::Encoded => "The body has a Content-Encoding that is not accepted; send it uncompressed.".to_owned(),
            Self::TooLarge => format!("A body has at most {BODY_LIMIT} bytes."),
            Self::HeaderTooLarge => format!("The header fields have together at most {HEADER_LIMIT} bytes."),
            Self::UriTooLong => format!("Path and query have together at most {URI_LIMIT} bytes."),
            Self::Unauthenticated(AuthError::Unavailable) | Self::WrongPassword(AuthError::Unavailable) => {
                "The credential could not be checked at the moment. It may well be good: try again.".to_owned()
            }
            Self::TokenMissing => "Send an Authorization header: Bearer with a token value.".to_owned(),
            Self::Unauthenticated(AuthError::Missing) => {
                "Send an Authorization header: Bearer with a token value, or Basic with e-mail and password.".to_owned()
            }
            Self::Unauthenticated(AuthError::Forbidden) => {
                "The credential is good, but its holder may not come here.".to_owned()
            }
            Self::Unauthenticated(AuthError::Malformed) => {
                "Send exactly one Authorization header with one credential in it.".to_owned()
            }
            // The same for unknown, deleted, expired and disabled, by token and by password: an outsider learns nothing.
            Self::Unauthenticated(AuthError::Denied(_)) | Self::WrongPassword(_) => {
                "The credential was not accepted. Check that it is complete; a token may have expired or been deleted."
                    .to_owned()
            }
            Self::Throttled { seconds } => format!(
                "Too many wrong passwords were tried for this e-mail or from this address. Wait {seconds} seconds, then try again; tokens go on working."
            ),
            Self::RouteNotFound => {
                "There is nothing at this path for this method, or the workspace has it switched off. \
                 GET /v4/open-api-spec lists what there is."
                    .to_owned()
            }
            Self::Refused(refusal) => refusal.to_string(),
            Self::NotReady(reason) => reason.to_string(),
            Self::Slow => {
                "The request took too long. It may have been done all the same: look before you repeat it.".to_owned()
            }
            Self::Internal => String::new(),
        }
    }

    /// What is behind the answer, for the log; nothing where the answer says it all.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(denied) | Self::WrongPassword(denied) => Some(denied.to_string()),
            Self::Refused(Refusal::Unavailable(source) | Refusal::Bug(source)) => Some(chain(source)),
            Self::NotReady(reason) => Some(chain(reason)),
            Self::Slow => Some("time limit".to_owned()),
            Self::Throttled { .. } => Some("too many wrong passwords".to_owned()),
            Self::Refused(Refusal::Busy) => Some("password queue full".to_owned()),
            _ => None,
        }
    }

    /// One example of each status, for the document.
    pub(crate) fn examples() -> Vec<Self> {
        vec![
            Self::Refused(Refusal::Invalid(Invalid::Lifetime)),
            Self::Unauthenticated(AuthError::Missing),
            Self::Refused(Refusal::NotAdministrator),
            Self::Refused(Refusal::TokenNotFound),
            Self::Refused(Refusal::EmailTaken),
            Self::TooLarge,
            Self::NotJson,
            Self::Throttled { seconds: 8 },
            Self::Internal,
            Self::Refused(Refusal::Busy),
        ]
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    pub(crate) fn body(&self) -> ErrorBody {
        let (_, name, message) = self.kind();
        ErrorBody { exception: Exception { name, message, details: self.details() } }
    }

    /// The answer to a bug: its details are the request id and nothing else.
    #[must_use]
    pub fn internal(request_id: &str) -> Response {
        let mut body = Self::Internal.body();
        body.exception.details = request_id.to_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
    }

    /// How many seconds to wait, where somebody was too fast.
    fn wait(&self) -> Option<u64> {
        match self {
            Self::Throttled { seconds } => Some(*seconds),
            Self::Refused(Refusal::TooFast { millis }) => Some(millis.div_ceil(1_000)),
            _ => None,
        }
    }

    fn add_headers(&self, response: &mut Response) {
        const BASIC: &str = r#"Basic realm="tokenward", charset="UTF-8""#;
        const BEARER: &str = r#"Bearer realm="tokenward""#;
        let headers = response.headers_mut();
        let mut challenges: Vec<&'static str> = Vec::new();
        match self {
            Self::Unauthenticated(denied) => {
                challenges.extend(challenge(denied));
                challenges.extend((*denied == AuthError::Missing).then_some(BASIC));
            }
            Self::TokenMissing => challenges.push(BEARER),
            Self::WrongPassword(AuthError::Denied(_)) => challenges.extend([BEARER, BASIC]),
            _ => {}
        }
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if matches!(self, Self::Encoded) {
            // RFC 9110, section 15.5.16.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(seconds) = self.wait() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert(X_RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        self.add_headers(&mut response);
        if let Some(cause) = self.cause() {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Every error looks like this.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    exception: Exception,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
struct Exception {
    /// The kind of error; stable.
    #[schema(examples("ValidationFailed"))]
    name: &'static str,
    message: &'static str,
    /// What to do about it.
    details: String,
}

/// A handler's result.
pub type ApiResult<T> = Result<T, ApiError>;

#[cfg(test)]
mod tests;
