//! Cookies that are set on every response of a handler, errors included. A renewed session value must
//! reach the browser even if the operation that required it fails.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderValue, header::SET_COOKIE},
    middleware::Next,
    response::Response,
};
use parking_lot::Mutex;

/// The `Set-Cookie` values of one response. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ResponseCookies(Arc<Mutex<Vec<HeaderValue>>>);

impl ResponseCookies {
    /// Replaces the values that were set before.
    pub(super) fn set(&self, fields: impl IntoIterator<Item = HeaderValue>) {
        *self.0.lock() = fields.into_iter().collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Gives a request its [`ResponseCookies`], and adds them to the response.
pub(super) async fn attach(mut request: Request, next: Next) -> Response {
    let cookies = ResponseCookies::default();
    request.extensions_mut().insert(cookies.clone());
    let mut response = next.run(request).await;
    for field in cookies.0.lock().drain(..) {
        response.headers_mut().append(SET_COOKIE, field);
    }
    response
}
