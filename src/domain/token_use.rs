//! Uses of tokens.

use std::net::IpAddr;

use uuid::Uuid;

use super::time::Timestamp;

/// A use of a token that is not written to the database yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    pub token_id: Uuid,
    pub at: Timestamp,
    /// The client address. `None`: unknown, or not noted.
    pub address: Option<IpAddr>,
}
