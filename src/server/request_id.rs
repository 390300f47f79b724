//! The id by which one request is found again in every log it passes.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What old clients read.
const X_TRIFACTA_REQUEST_ID: HeaderName = HeaderName::from_static("x-trifacta-request-id");
const MAX_CHARS: usize = 128;

/// The id of a request: the one it came with, if well-formed, else a new one.
#[derive(Clone, Debug)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// Keeps an incoming id of 1 to 128 visible ASCII characters.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let incoming = headers.get(X_REQUEST_ID).filter(|value| {
            (1..=MAX_CHARS).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        Self(incoming.cloned().unwrap_or_else(new))
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Puts the id on an answer, under both names.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        headers.insert(X_TRIFACTA_REQUEST_ID, self.0.clone());
        headers.insert(X_REQUEST_ID, self.0);
    }
}

fn new() -> HeaderValue {
    #[expect(clippy::disallowed_methods, reason = "a name for the log, no secret and no fact")]
    let id = Uuid::now_v7();
    HeaderValue::from_str(&id.to_string()).unwrap_or(HeaderValue::from_static("-"))
}
