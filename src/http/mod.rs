//! What every way in shares: who is let in ([`doors`]), what is answered instead ([`error`]), where a list goes on ([`cursor`]),
//! whence a request comes
//! ([`address`]), which bodies are compressed ([`content_encoding`]), and the headers of all answers.

pub mod authenticate;
pub mod client_ip;
pub(crate) mod common_headers;
pub(crate) mod connection_limit;
pub mod content_encoding;
pub mod cursor;
pub mod error;
pub mod file_limit;
pub(crate) mod host;
pub(crate) mod io_timeout;
pub(crate) mod listener;
pub(crate) mod middleware;
mod path_normalization;
pub mod ports;
pub(crate) mod request_id;
pub(crate) mod response_progress;
mod reusable_timer;
pub mod root;
pub(crate) mod schema;
pub mod server;
#[cfg(test)]
mod tests;

pub use error::{ApiError, BODY_LIMIT, Cause, HEADER_LIMIT, URI_LIMIT};
