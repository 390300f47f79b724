//! What the OAuth 2.0 endpoints share: their forms and their errors (RFC 6749, section 5.2).

use axum::{
    Json,
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
    http::{ApiError, Cause, content_encoding},
    service::Refusal,
};

/// An error of these endpoints.
#[derive(Debug)]
pub(crate) enum OAuthError {
    /// The request's form is wrong.
    InvalidRequest(&'static str),
    /// Whoever asks is not let in, or may not ask; or it could not be found out.
    Asker(ApiError),
}

impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        Self::Asker(error)
    }
}

impl From<Refusal> for OAuthError {
    fn from(refusal: Refusal) -> Self {
        Self::Asker(refusal.into())
    }
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub struct OAuthErrorBody {
    #[schema(examples("invalid_request"))]
    pub(crate) error: &'static str,
    error_description: String,
}

impl OAuthErrorBody {
    /// An example of each status, for the document.
    pub fn example(status: &str) -> Option<Self> {
        let (error, description) = match status {
            "400" => ("invalid_request", "the form must have the parameter token once"),
            "401" => (
                "invalid_client",
                "Send an Authorization header: Bearer with a token value, or Basic with e-mail and password.",
            ),
            "403" => ("access_denied", "the password must be changed before anything else"),
            "413" => ("invalid_request", "A body has at most 65536 bytes."),
            "415" => ("invalid_request", "The body has a Content-Encoding that is not accepted; send it uncompressed."),
            "429" => ("slow_down", "that is too much at once; wait 8 s"),
            "500" => ("server_error", "01a20a6a-c1b5-7dc2-aeac-0281c48408b8"),
            "503" => ("temporarily_unavailable", "the store cannot be reached or is too slow; try again"),
            _ => return None,
        };
        Some(Self { error, error_description: description.to_owned() })
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let error = match self {
            Self::InvalidRequest(what) => {
                let body = OAuthErrorBody { error: "invalid_request", error_description: what.to_owned() };
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            Self::Asker(error) => error,
        };
        let status = error.status();
        let word = match status {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN => "access_denied",
            StatusCode::TOO_MANY_REQUESTS => "slow_down",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "server_error",
            _ => "invalid_request",
        };
        let body = OAuthErrorBody { error: word, error_description: error.details() };
        let mut response = (status, Json(body)).into_response();
        // What the error says in headers and to the log holds here, too.
        let told = error.into_response();
        for name in [WWW_AUTHENTICATE, RETRY_AFTER, ACCEPT_ENCODING] {
            for value in told.headers().get_all(&name) {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
        if let Some(cause) = told.extensions().get::<Cause>() {
            response.extensions_mut().insert(cause.clone());
        }
        response
    }
}

/// The parameter `token` of a form; the other parameters are ignored.
pub(super) fn token_of_form(headers: &HeaderMap, body: &[u8]) -> Result<Zeroizing<String>, OAuthError> {
    if content_encoding::is_encoded(headers) && !body.is_empty() {
        return Err(ApiError::Encoded.into());
    }
    let is_form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(OAuthError::InvalidRequest("send a form, with Content-Type: application/x-www-form-urlencoded"));
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => Ok(Zeroizing::new(token.into_owned())),
        _ => Err(OAuthError::InvalidRequest("the form must have the parameter token once")),
    }
}

/// That parameter, as a parameter of a handler.
pub(super) struct TokenForm(pub(super) Zeroizing<String>);

impl<S: Send + Sync> FromRequest<S> for TokenForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(request, state).await.map_err(|_| ApiError::TooLarge)?;
        token_of_form(&parts.headers, &bytes).map(Self)
    }
}

/// The form as the document describes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by hand, so that a parameter sent twice is refused")]
pub struct TokenRequest {
    /// The token value.
    token: String,
    /// Ignored: there is one kind of token.
    token_type_hint: Option<String>,
}
