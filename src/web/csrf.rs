//! Protection against cross-site request forgery.
//!
//! tower-http's `CsrfLayer` compares Fetch metadata and `Origin`. [`require_origin`] rejects forms
//! that have neither. The session cookie's `SameSite=Lax` is a second line of defense.

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, Response, StatusCode,
        header::{HeaderName, ORIGIN},
    },
    middleware::Next,
    response::IntoResponse as _,
};
use tower_http::csrf::ProtectionError;

use super::error::PageError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects forms without `Origin` and `Sec-Fetch-Site`. All current browsers send at least one of
/// them, and `CsrfLayer` would allow such a form. An empty header counts as missing.
pub(super) async fn require_origin(request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    if !request.method().is_safe() && !has_value(headers, &ORIGIN) && !has_value(headers, &SEC_FETCH_SITE) {
        return cross_origin_page();
    }
    next.run(request).await
}

fn has_value(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get(name).is_some_and(|value| !value.is_empty())
}

/// Returns the response to a form that `CsrfLayer` rejected.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(super) fn reject(error: ProtectionError) -> Response<Body> {
    tracing::debug!(%error, "rejected cross-origin form");
    cross_origin_page()
}

fn cross_origin_page() -> Response<Body> {
    PageError::message(
        StatusCode::FORBIDDEN,
        "This form came from another site",
        "The form was not sent from a page of this service, so nothing was changed. Open the page here and try again. \
         If this message appears again, a proxy changes the request: its operator must forward Host and Origin unchanged.",
    )
    .into_response()
}
