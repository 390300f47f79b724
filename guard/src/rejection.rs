//! Responses to requests that are not authenticated.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::AuthError;

/// Returns the response that Tokenward's own API sends: 401 with a `WWW-Authenticate` challenge (RFC 6750, section 3), 403 or 503, and a
/// JSON body.
///
/// The body is the same for every denied token, so that it discloses nothing about the reason.
#[must_use]
pub fn json_rejection<B: From<&'static str>>(error: &AuthError) -> Response<B> {
    let (status, body) = match error {
        AuthError::Missing => (StatusCode::UNAUTHORIZED, MISSING),
        AuthError::Malformed => (StatusCode::UNAUTHORIZED, MALFORMED),
        AuthError::Denied(_) => (StatusCode::UNAUTHORIZED, DENIED),
        AuthError::Forbidden => (StatusCode::FORBIDDEN, FORBIDDEN),
        AuthError::InsufficientScope => (StatusCode::FORBIDDEN, INSUFFICIENT_SCOPE),
        AuthError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
    };
    let mut response = Response::new(B::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(challenge) = challenge(error) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if *error == AuthError::Unavailable {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Returns the `Bearer` challenge of an error (RFC 6750, section 3); `None` if the response has none.
#[must_use]
pub fn challenge(error: &AuthError) -> Option<&'static str> {
    match error {
        AuthError::Missing => Some(r#"Bearer realm="tokenward""#),
        AuthError::Malformed => Some(r#"Bearer realm="tokenward", error="invalid_request""#),
        AuthError::Denied(_) => Some(r#"Bearer realm="tokenward", error="invalid_token""#),
        AuthError::InsufficientScope => Some(r#"Bearer realm="tokenward", error="insufficient_scope""#),
        AuthError::Forbidden | AuthError::Unavailable => None,
    }
}

const MISSING: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication failed","details":"Send the header Authorization: Bearer with a token value."}}"#;
const MALFORMED: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication failed","details":"Send exactly one Authorization header with one credential in it."}}"#;
const DENIED: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication failed","details":"The credential was not accepted. Check that it is complete; a token may have expired or been deleted."}}"#;
const FORBIDDEN: &str = r#"{"exception":{"name":"AccessControlException","message":"Not permitted","details":"The credential is valid, but it does not permit this request."}}"#;
const INSUFFICIENT_SCOPE: &str = r#"{"exception":{"name":"AccessControlException","message":"Not permitted","details":"The token is valid, but its scopes do not permit this request. Use a token with the scopes that the header WWW-Authenticate names, or an unrestricted one."}}"#;
const UNAVAILABLE: &str = r#"{"exception":{"name":"ServiceUnavailableException","message":"Service unavailable","details":"The credential could not be checked at the moment. It may be valid: try again."}}"#;
