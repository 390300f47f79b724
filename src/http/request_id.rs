//! Request IDs, which correlate the log lines of one request across services.

use std::cell::Cell;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::random::Random;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header that clients of the original API read.
pub(crate) const X_TRIFACTA_REQUEST_ID: HeaderName = HeaderName::from_static("x-trifacta-request-id");
/// The maximum length of an incoming ID.
const MAX_CHARS: usize = 128;

/// The ID of a request: the incoming one if it is well-formed, otherwise a new one.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    FromClient(HeaderValue),
    Generated([u8; 32]),
}

impl RequestId {
    /// Returns the incoming ID if it has 1 to 128 visible ASCII characters, otherwise a new one.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let incoming = headers.get(X_REQUEST_ID).filter(|value| {
            (1..=MAX_CHARS).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        incoming.map_or_else(|| Self::Generated(generate()), |value| Self::FromClient(value.clone()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::FromClient(value) => value.as_bytes(),
            Self::Generated(text) => text,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn to_header_value(&self) -> HeaderValue {
        match self {
            Self::FromClient(value) => value.clone(),
            Self::Generated(text) => HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("-")),
        }
    }
}

thread_local! {
    /// A random number of this thread and its count of generated IDs. Threads share no state, and
    /// no system call is needed.
    static SEQUENCE: Cell<(u64, u64)> = Cell::new((u64::from_le_bytes(Random::system().bytes()), 0));
}

/// Generates a unique ID of 32 hexadecimal digits. It is not a secret.
fn generate() -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (thread, count) = SEQUENCE.get();
    SEQUENCE.set((thread, count + 1));
    let number = (u128::from(thread) << 64 | u128::from(count)).to_be_bytes();
    let mut text = [0; 32];
    for (digits, byte) in text.chunks_exact_mut(2).zip(number) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
