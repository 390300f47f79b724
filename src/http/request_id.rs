//! The id by which one request is found again in every log it passes.

use std::cell::Cell;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::random::Random;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What old clients read.
pub(crate) const X_TRIFACTA_REQUEST_ID: HeaderName = HeaderName::from_static("x-trifacta-request-id");
const MAX_CHARS: usize = 128;

/// The id of a request: the one it came with, if well-formed, else a new one.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    Kept(HeaderValue),
    Made([u8; 32]),
}

impl RequestId {
    /// Keeps an incoming id of 1 to 128 visible ASCII characters.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let incoming = headers.get(X_REQUEST_ID).filter(|value| {
            (1..=MAX_CHARS).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        incoming.map_or_else(|| Self::Made(new()), |kept| Self::Kept(kept.clone()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Kept(value) => value.as_bytes(),
            Self::Made(text) => text,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> HeaderValue {
        match self {
            Self::Kept(value) => value.clone(),
            Self::Made(text) => HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("-")),
        }
    }
}

thread_local! {
    /// A beginning of this thread's own, and how many ids it has made: nothing is shared, and nothing asked of the system.
    static MADE: Cell<(u64, u64)> = Cell::new((u64::from_le_bytes(Random::system().bytes()), 0));
}

/// 32 hexadecimal digits that no other request has. A name for the log, no secret.
fn new() -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (thread, made) = MADE.get();
    MADE.set((thread, made + 1));
    let number = (u128::from(thread) << 64 | u128::from(made)).to_be_bytes();
    let mut text = [0; 32];
    for (digits, byte) in text.chunks_exact_mut(2).zip(number) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
