//! The answer to a request that is not let in.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::Denied;

/// Refuses as Tokenward's own API does: 401 with `WWW-Authenticate` (RFC 6750, section 3) or 503, and a JSON body.
///
/// The body is the same for every invalid token, so that an outsider learns nothing of the cause.
#[must_use]
pub fn contract_refusal<B: From<&'static str>>(denied: &Denied) -> Response<B> {
    let (status, body) = match denied {
        Denied::Missing => (StatusCode::UNAUTHORIZED, MISSING),
        Denied::Malformed => (StatusCode::UNAUTHORIZED, MALFORMED),
        Denied::Invalid(_) => (StatusCode::UNAUTHORIZED, INVALID),
        Denied::Forbidden => (StatusCode::FORBIDDEN, FORBIDDEN),
        Denied::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE),
    };
    let mut response = Response::new(B::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(challenge) = challenge(denied) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if *denied == Denied::Unavailable {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The `Bearer` challenge that belongs to a refusal; none where the refusal is no 401.
pub(crate) fn challenge(denied: &Denied) -> Option<&'static str> {
    match denied {
        Denied::Missing => Some(r#"Bearer realm="tokenward""#),
        Denied::Malformed => Some(r#"Bearer realm="tokenward", error="invalid_request""#),
        Denied::Invalid(_) => Some(r#"Bearer realm="tokenward", error="invalid_token""#),
        Denied::Forbidden | Denied::Unavailable => None,
    }
}

const MISSING: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication required","details":"Send the header Authorization: Bearer with a token value."}}"#;
const MALFORMED: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication required","details":"Send exactly one Authorization header with one credential in it."}}"#;
const INVALID: &str = r#"{"exception":{"name":"MissingPersonException","message":"Authentication failed","details":"The credential was not accepted. Check that it is complete, and make a new token if it may have expired or been deleted."}}"#;
const FORBIDDEN: &str = r#"{"exception":{"name":"AccessControlException","message":"Not permitted","details":"The credential is good, but its holder may not come here."}}"#;
const UNAVAILABLE: &str = r#"{"exception":{"name":"ServiceUnavailableException","message":"Service unavailable","details":"The credential could not be checked at the moment. It may well be good: try again."}}"#;
