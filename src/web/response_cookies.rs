//! Cookies for the browser, whatever else it is answered: a session that was given another value must not be lost because what it was
//! proven for was refused.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::Request,
    http::{HeaderValue, header::SET_COOKIE},
    middleware::Next,
    response::Response,
};

/// What is to be set with the answer to one request. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<Vec<HeaderValue>>>);

impl Outbox {
    /// Sets these fields, instead of those put in before.
    pub(super) fn put(&self, fields: impl IntoIterator<Item = HeaderValue>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fields.into_iter().collect();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Gives a request its outbox, and delivers it.
pub(super) async fn deliver(mut request: Request, next: Next) -> Response {
    let outbox = Outbox::default();
    request.extensions_mut().insert(outbox.clone());
    let mut response = next.run(request).await;
    for field in outbox.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        response.headers_mut().append(SET_COOKIE, field);
    }
    response
}
