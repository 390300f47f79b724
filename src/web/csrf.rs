//! Forms from elsewhere are refused: by what the browser says of where a form comes from (Fetch metadata, `Origin`), which
//! tower-http compares, and by [`must_be_told`]. The cookie's `SameSite=Lax` is a second wall.

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

/// Refuses a form that says nothing of where it comes from: every browser of these years says it, and the layer would let it
/// through. An empty field says nothing.
pub(super) async fn must_be_told(request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    if !request.method().is_safe() && !says(headers, &ORIGIN) && !says(headers, &SEC_FETCH_SITE) {
        return elsewhere();
    }
    next.run(request).await
}

fn says(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get(name).is_some_and(|value| !value.is_empty())
}

/// What a form from elsewhere is answered.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(super) fn refuse(error: ProtectionError) -> Response<Body> {
    tracing::debug!(%error, "a form came from elsewhere");
    elsewhere()
}

fn elsewhere() -> Response<Body> {
    PageError::told(
        StatusCode::FORBIDDEN,
        "This form came from elsewhere",
        "It was not sent from a page of this service, so nothing was done. Open the page here and try again. If you did, a \
         proxy in between changes where requests seem to come from: its operator must pass on Host and Origin unchanged.",
    )
    .into_response()
}
