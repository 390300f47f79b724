//! Error responses of the HTTP API: status, exception name, message and details of every error.

mod kind;

use axum::{
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{json::Json, sentence::sentence};
use crate::{
    domain::ValidationError,
    service::{Error, health::NotReady, sign_in::SignInError},
};
use tokenward_guard::{AuthError, DenialReason, challenge};

/// An error response of the API.
#[derive(Debug)]
pub enum ApiError {
    /// The request is malformed, with the details: not JSON, not an object, or a wrong type.
    BadRequest(String),
    /// The body is not JSON.
    NotJson,
    /// The body is compressed.
    UnsupportedEncoding,
    /// The body has more than [`BODY_LIMIT`] bytes.
    BodyTooLarge,
    /// Path and query have more than [`URI_LIMIT`] bytes.
    UriTooLong,
    /// The header fields have more than [`HEADER_LIMIT`] bytes.
    HeaderTooLarge,
    /// The credential is missing, or the bearer token does not authenticate.
    Unauthenticated(AuthError),
    /// No token was sent, and passwords are not accepted here.
    TokenRequired,
    /// The e-mail and password do not authenticate.
    PasswordAuthFailed(AuthError),
    /// Name and password authenticate neither a local account nor one of a directory.
    DirectoryAuthFailed(DenialReason),
    /// Name and password authenticate no local account, and people also sign in through `OpenID` providers,
    /// without a password.
    LocalAuthFailed(DenialReason),
    /// Too many failed logins preceded this one.
    LoginThrottled {
        /// The delay until the next attempt.
        seconds: u64,
    },
    /// No route matches path and method, or the feature is disabled.
    RouteNotFound,
    /// An error of a service.
    Service(Error),
    /// The readiness check failed.
    NotReady(NotReady),
    /// The request exceeded its time limit.
    TimedOut,
    /// A panic or another bug.
    Internal,
}

/// The value of `retry-after` under the name that clients of the original API read.
const X_RETRY_AFTER: HeaderName = HeaderName::from_static("x-retry-after");

/// The maximum size of a request body, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The maximum length of path and query, in bytes.
pub const URI_LIMIT: usize = 8 * 1024;

/// The maximum size of all header fields, in bytes. Each counts with its colon, space and line end.
pub const HEADER_LIMIT: usize = 32 * 1024;

/// The internal cause of an error response, for the log. Passed in the response's extensions.
#[derive(Clone, Debug)]
pub struct LoggedCause(pub String);

impl ApiError {
    /// Returns the error for a reverse proxy. Proxies treat every status except 401 and 403 as a failure
    /// of this service, so a throttled login is 401.
    #[must_use]
    pub(crate) fn for_proxy(self) -> Self {
        match self {
            Self::LoginThrottled { .. } => Self::PasswordAuthFailed(AuthError::Denied(DenialReason::Throttled)),
            error => error,
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Denied(denied) => Self::PasswordAuthFailed(denied),
            SignInError::Throttled { seconds } => Self::LoginThrottled { seconds },
            SignInError::DirectoryUnavailable => Self::PasswordAuthFailed(AuthError::Unavailable),
            // The same response as to a wrong password. Only the pages tell the person.
            SignInError::DirectoryPasswordExpired => {
                Self::PasswordAuthFailed(AuthError::Denied(DenialReason::PasswordExpired))
            }
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::FeatureOff => Self::RouteNotFound,
            // The caller was revoked during the request; a later request would have been rejected.
            Error::CallerRevoked => Self::Unauthenticated(AuthError::Denied(DenialReason::PersonDisabled)),
            error => Self::Service(error),
        }
    }
}

impl From<ValidationError> for ApiError {
    fn from(invalid: ValidationError) -> Self {
        Self::Service(invalid.into())
    }
}

impl ApiError {
    /// Returns a sentence that says what to do. Clients display it first.
    pub(crate) fn details(&self) -> String {
        match self {
            Self::BadRequest(details) => details.clone(),
            Self::NotJson => "Send the body as JSON, with Content-Type: application/json.".to_owned(),
            Self::UnsupportedEncoding => {
                "Compressed bodies are not accepted. Send the body without Content-Encoding.".to_owned()
            }
            Self::BodyTooLarge => format!("The body may have at most {BODY_LIMIT} bytes."),
            Self::HeaderTooLarge => format!("The header fields may have at most {HEADER_LIMIT} bytes in total."),
            Self::UriTooLong => format!("Path and query may have at most {URI_LIMIT} bytes in total."),
            Self::Unauthenticated(AuthError::Unavailable) | Self::PasswordAuthFailed(AuthError::Unavailable) => {
                "The credential could not be checked. It may be valid: try again.".to_owned()
            }
            Self::TokenRequired => "Send an Authorization header: Bearer with a token value.".to_owned(),
            Self::Unauthenticated(AuthError::Missing) => {
                "Send an Authorization header: Bearer with a token value, or Basic with e-mail and password.".to_owned()
            }
            Self::Unauthenticated(AuthError::Forbidden | AuthError::InsufficientScope) => {
                "The caller is authenticated but not authorized for this resource.".to_owned()
            }
            Self::Unauthenticated(AuthError::Malformed) => {
                "Send exactly one Authorization header with one credential in it.".to_owned()
            }
            // The same text for unknown, deleted, expired and disabled credentials, so that it
            // reveals nothing about them.
            Self::Unauthenticated(AuthError::Denied(_)) | Self::PasswordAuthFailed(_) => {
                "The credential was not accepted. Check that it is complete; a token may have expired or been deleted."
                    .to_owned()
            }
            // The same for all names, so that it does not tell which accounts exist, or where.
            Self::LocalAuthFailed(_) => {
                "The credential was not accepted. Send the e-mail and password of a local account. If your account signs in \
                 through an identity provider, generate a token on the pages of this service."
                    .to_owned()
            }
            Self::DirectoryAuthFailed(_) => {
                "The credential was not accepted. Send the e-mail and password of a local account, or the login and \
                 password of the directory. If both are right, ask your administrator whether you may sign in."
                    .to_owned()
            }
            Self::LoginThrottled { seconds } => format!(
                "Too many failed logins for this e-mail or from this address. Try again in {seconds} seconds. Tokens are not affected."
            ),
            Self::RouteNotFound => {
                "No route matches this path and method, or the feature is disabled in the workspace. \
                 GET /v4/open-api-spec lists all routes."
                    .to_owned()
            }
            Self::Service(error) => sentence(&error.to_string()),
            Self::NotReady(reason) => sentence(&reason.to_string()),
            Self::TimedOut => {
                "The request took too long. It may have taken effect: check before you repeat it.".to_owned()
            }
            Self::Internal => String::new(),
        }
    }

    /// Returns the internal cause for the log; `None` if the response already states it.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(denied) | Self::PasswordAuthFailed(denied) => Some(denied.to_string()),
            Self::DirectoryAuthFailed(reason) | Self::LocalAuthFailed(reason) => Some(reason.to_string()),
            Self::Service(Error::Unavailable(source) | Error::Internal(source)) => Some(error_chain(source)),
            Self::Service(Error::IssuerUnavailable(source)) => Some(error_chain(source.as_ref())),
            Self::NotReady(reason) => Some(error_chain(reason)),
            Self::TimedOut => Some("time limit".to_owned()),
            Self::LoginThrottled { .. } => Some("too many failed logins".to_owned()),
            Self::Service(Error::HasherBusy) => Some("password queue full".to_owned()),
            _ => None,
        }
    }

    /// Returns the status of the response.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind().0
    }

    /// Returns the body of the response.
    pub(crate) fn body(&self) -> ErrorBody {
        let (_, name, message) = self.kind();
        ErrorBody { exception: Exception { name, message, details: self.details() } }
    }

    /// Returns the response to a bug. Its details are the request ID only.
    #[must_use]
    pub fn internal_response(request_id: &str) -> Response {
        let mut body = Self::Internal.body();
        body.exception.details = request_id.to_owned();
        (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
    }

    /// Returns the delay of a rate-limited request in seconds.
    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::LoginThrottled { seconds } => Some(*seconds),
            Self::Service(Error::RateLimited { retry_after_millis: millis }) => Some(millis.div_ceil(1_000)),
            _ => None,
        }
    }

    /// Adds the headers of the status: challenge, accepted encoding and delay.
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
            Self::TokenRequired => challenges.push(BEARER),
            Self::PasswordAuthFailed(AuthError::Denied(_))
            | Self::DirectoryAuthFailed(_)
            | Self::LocalAuthFailed(_) => {
                challenges.extend([BEARER, BASIC]);
            }
            _ => {}
        }
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::Service(Error::InsufficientScope { required }) = self {
            // Scopes are visible ASCII without quotation marks.
            headers.extend(insufficient_scope(required.as_deref()).map(|value| (WWW_AUTHENTICATE, value)));
        }
        if matches!(self, Self::UnsupportedEncoding) {
            // RFC 9110, section 15.5.16.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(seconds) = self.retry_after_seconds() {
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
            response.extensions_mut().insert(LoggedCause(cause));
        }
        response
    }
}

/// Returns the challenge of a token that lacks these scopes (RFC 6750, section 3.1).
fn insufficient_scope(required: Option<&str>) -> Option<HeaderValue> {
    const CHALLENGE: &str = r#"Bearer realm="tokenward", error="insufficient_scope""#;
    let scope = required.map(|scopes| format!(r#", scope="{scopes}""#)).unwrap_or_default();
    HeaderValue::try_from(format!("{CHALLENGE}{scope}")).ok()
}

/// Returns an error and its sources in one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    exception: Exception,
}

/// Describes the error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorInfo)]
struct Exception {
    /// The kind of error; stable.
    #[schema(examples("ValidationFailed"))]
    name: &'static str,
    /// The kind of error for people.
    message: &'static str,
    /// The remedy.
    details: String,
}

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

#[cfg(test)]
mod tests;
