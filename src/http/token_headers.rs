//! Headers that tell a client when its token ends.

use axum::http::{HeaderName, HeaderValue, Response};

use crate::domain::time::Timestamp;
use tokenward_guard::TokenInfo;

/// When the presented token stops authenticating: RFC 3339, or `never`.
pub const EXPIRES: HeaderName = HeaderName::from_static("x-tokenward-token-expires");
/// When a replaced token is deleted: an HTTP date (RFC 8594).
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Adds the end of the token that authenticated a request to a successful response, and the scheduled
/// deletion of a replaced one to any response.
pub fn add<B>(token: &TokenInfo, response: &mut Response<B>) {
    if response.status().is_success() {
        let expires = match token.expires_at {
            Some(end) => HeaderValue::try_from(Timestamp::from(end).to_string()),
            None => Ok(HeaderValue::from_static("never")),
        };
        response.headers_mut().extend(expires.ok().map(|value| (EXPIRES, value)));
    }
    response.headers_mut().extend(sunset(token).map(|value| (SUNSET, value)));
}

/// Returns the value of [`SUNSET`]; `None` if the token was not replaced.
#[must_use]
pub fn sunset(token: &TokenInfo) -> Option<HeaderValue> {
    let end = token.expires_at.filter(|_| token.is_replaced)?;
    HeaderValue::try_from(Timestamp::from(end).to_http_date()).ok()
}
