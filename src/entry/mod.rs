//! What every way in shares: who is let in ([`doors`]), what is answered instead ([`error`]), where a list goes on ([`cursor`]),
//! whence a request comes
//! ([`address`]), which bodies are compressed ([`content_encoding`]), and the headers of all answers.

pub mod address;
pub mod content_encoding;
pub mod cursor;
pub mod doors;
pub mod error;
pub(crate) mod head;
pub(crate) mod request_id;
pub(crate) mod schema;

pub use error::{ApiError, BODY_LIMIT, Cause, HEADER_LIMIT, URI_LIMIT};
