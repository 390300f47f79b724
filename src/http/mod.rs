//! The HTTP front end: server, connections, middleware, authentication and errors, shared by API,
//! auth checks and pages.

pub(crate) mod access_log;
pub mod authenticate;
pub mod client_ip;
pub(crate) mod common_headers;
pub(crate) mod connection_limit;
pub mod content_encoding;
pub(crate) mod csv;
pub mod cursor;
pub mod error;
pub mod file_limit;
pub(crate) mod host;
pub(crate) mod io_timeout;
pub(crate) mod json;
pub(crate) mod json_body;
pub(crate) mod list_stream;
pub(crate) mod listener;
pub(crate) mod middleware;
mod path_normalization;
pub mod pipeline;
pub mod ports;
pub(crate) mod request_body;
pub(crate) mod request_id;
pub(crate) mod request_metrics;
pub mod response;
pub(crate) mod response_progress;
pub(crate) mod routes;
pub(crate) mod schema;
pub(crate) mod sentence;
pub mod server;
pub(crate) mod socket;
#[cfg(test)]
mod tests;
pub(crate) mod token_csv;
pub mod token_headers;

pub use error::{ApiError, BODY_LIMIT, HEADER_LIMIT, LoggedCause, URI_LIMIT};
