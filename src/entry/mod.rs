//! What every way in shares: who is let in ([`doors`]), and what is answered instead ([`error`]).

pub mod doors;
pub mod error;
pub(crate) mod schema;

pub use error::{ApiError, BODY_LIMIT, Cause};
