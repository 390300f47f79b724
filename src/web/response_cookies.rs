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
pub(super) struct ResponseCookies(Arc<Mutex<Values>>);

#[derive(Default)]
struct Values {
    session: Vec<HeaderValue>,
    others: Vec<HeaderValue>,
}

impl ResponseCookies {
    /// Sets the values of the session cookie, and replaces those that were set before.
    pub(super) fn set(&self, fields: impl IntoIterator<Item = HeaderValue>) {
        self.0.lock().session = fields.into_iter().collect();
    }

    /// Adds values of other cookies.
    pub(super) fn append(&self, fields: impl IntoIterator<Item = HeaderValue>) {
        self.0.lock().others.extend(fields);
    }

    /// Returns whether the session cookie is unchanged.
    pub(super) fn is_session_unchanged(&self) -> bool {
        self.0.lock().session.is_empty()
    }
}

/// Gives a request its [`ResponseCookies`], and adds them to the response.
pub(super) async fn attach(mut request: Request, next: Next) -> Response {
    let cookies = ResponseCookies::default();
    request.extensions_mut().insert(cookies.clone());
    let mut response = next.run(request).await;
    let mut values = cookies.0.lock();
    let Values { session, others } = std::mem::take(&mut *values);
    for field in session.into_iter().chain(others) {
        response.headers_mut().append(SET_COOKIE, field);
    }
    response
}
