//! Forms and errors of the OAuth 2.0 endpoints (RFC 6749, section 5.2).

use std::net::IpAddr;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::{
    http::{ApiError, LoggedCause, content_encoding, json::Json},
    service::Error,
};

/// An error of the OAuth 2.0 endpoints.
#[derive(Debug)]
pub(crate) enum OAuthError {
    /// The form is invalid.
    InvalidRequest(&'static str),
    /// No token is issued: the error code of RFC 6749, section 5.2, or of RFC 8628, section 3.5.
    Grant {
        error: &'static str,
        description: String,
        /// The cause for the log.
        cause: Option<String>,
    },
    /// The client is not authenticated or authorized, or the check could not be performed.
    Api(ApiError),
}

impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        Self::Api(error.into())
    }
}

/// The body of an OAuth 2.0 error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub struct OAuthErrorBody {
    #[schema(examples("invalid_request"))]
    pub(crate) error: &'static str,
    error_description: String,
}

impl OAuthError {
    /// Creates the error of a form that is invalid in a way that its text names.
    pub(super) fn invalid_request(description: String) -> Self {
        Self::grant("invalid_request", description)
    }

    /// Creates the error of a request for a token.
    pub(super) fn grant(error: &'static str, description: impl Into<String>) -> Self {
        Self::Grant { error, description: description.into(), cause: None }
    }

    /// Returns the body of the response.
    pub(crate) fn body(&self) -> OAuthErrorBody {
        let error = match self {
            Self::InvalidRequest(description) => {
                return OAuthErrorBody { error: "invalid_request", error_description: (*description).to_owned() };
            }
            Self::Grant { error, description, .. } => {
                return OAuthErrorBody { error, error_description: printable(description) };
            }
            Self::Api(error) => error,
        };
        let code = match error.status() {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN if matches!(error, ApiError::Service(Error::InsufficientScope { .. })) => {
                "insufficient_scope"
            }
            StatusCode::FORBIDDEN => "access_denied",
            StatusCode::TOO_MANY_REQUESTS => "slow_down",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "server_error",
            _ => "invalid_request",
        };
        OAuthErrorBody { error: code, error_description: printable(&error.details()) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = self.body();
        let error = match self {
            Self::Api(error) => error,
            Self::InvalidRequest(_) => return (StatusCode::BAD_REQUEST, Json(body)).into_response(),
            Self::Grant { cause, .. } => {
                let mut response = (StatusCode::BAD_REQUEST, Json(body)).into_response();
                if let Some(cause) = cause {
                    response.extensions_mut().insert(LoggedCause(cause));
                }
                return response;
            }
        };
        let mut response = (error.status(), Json(body)).into_response();
        // The headers and the logged cause of the error apply here as well.
        let api_response = error.into_response();
        for name in [WWW_AUTHENTICATE, RETRY_AFTER, ACCEPT_ENCODING] {
            for value in api_response.headers().get_all(&name) {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
        if let Some(cause) = api_response.extensions().get::<LoggedCause>() {
            response.extensions_mut().insert(cause.clone());
        }
        response
    }
}

/// Returns a text with only the characters that RFC 6749, section 5.2, allows in a description.
fn printable(text: &str) -> String {
    let replace = |c| match c {
        '"' | '\\' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().map(replace).collect()
}

/// Checks that a body is a form.
pub(super) fn ensure_form(headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
    if content_encoding::is_encoded(headers) && !body.is_empty() {
        return Err(ApiError::UnsupportedEncoding.into());
    }
    let is_form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(OAuthError::InvalidRequest("Send a form with Content-Type: application/x-www-form-urlencoded."));
    }
    Ok(())
}

/// Returns the parameter `token` of a form. Unknown parameters are ignored (RFC 6749, section 3.2).
pub(super) fn parse_token_form(headers: &HeaderMap, body: &[u8]) -> Result<Zeroizing<String>, OAuthError> {
    ensure_form(headers, body)?;
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(Zeroizing::new(token.into_owned())),
        _ => Err(OAuthError::InvalidRequest("The form must contain the parameter token exactly once.")),
    }
}

/// Returns the parameter `client_address` of a form: the address of the client that presented the
/// token.
pub(super) fn parse_client_address(body: &[u8]) -> Result<Option<IpAddr>, OAuthError> {
    let mut addresses = form_urlencoded::parse(body).filter(|(name, _)| name == "client_address");
    match (addresses.next(), addresses.next()) {
        (None, _) => Ok(None),
        (Some((_, address)), None) => address.parse().map(Some).map_err(|_| INVALID_CLIENT_ADDRESS),
        (Some(_), Some(_)) => Err(INVALID_CLIENT_ADDRESS),
    }
}

const INVALID_CLIENT_ADDRESS: OAuthError =
    OAuthError::InvalidRequest("client_address must be one IPv4 or IPv6 address, without a port; or leave it out.");

/// Extractor of the form parameter `token`.
pub(super) struct TokenForm(pub(super) Zeroizing<String>);

impl<S: Send + Sync> FromRequest<S> for TokenForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, state).await.map_err(|_| ApiError::BodyTooLarge)?;
        parse_token_form(&parts.headers, &bytes).map(Self)
    }
}

/// The form in the OpenAPI document.
#[derive(ToSchema)]
#[schema(as = TokenForm)]
#[expect(dead_code, reason = "parsed by hand, so that a repeated parameter is rejected")]
pub struct TokenRequest {
    /// The token value.
    token: String,
    /// Ignored: there is one kind of token.
    token_type_hint: Option<String>,
    /// The address of the client that presented the token, at introspection. Tokens with allowed networks are
    /// inactive without it.
    client_address: Option<String>,
}
