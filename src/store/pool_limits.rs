//! Sizes and timeouts of the connection pools.

use std::time::Duration;

/// Pool size and timeouts. An operation that exceeds a timeout fails with
/// [`Error::Unavailable`](super::Error::Unavailable).
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Maximum number of connections to PostgreSQL, read pool included. SQLite has one writer and
    /// `SQLITE_READ_CONNECTIONS` readers.
    pub max_connections: u32,
    /// Maximum time that a request waits for a connection.
    pub acquire_timeout: Duration,
    /// Maximum time that PostgreSQL works on one statement.
    pub statement_timeout: Duration,
}

impl PoolLimits {
    /// Returns the size of the PostgreSQL pool that serves only lists and counts: a quarter of all
    /// connections, at least one.
    pub(super) fn read_connections(self) -> u32 {
        (self.max_connections / 4).max(1)
    }

    /// Returns the size of the PostgreSQL pool that serves everything else, at least one.
    pub(super) fn main_connections(self) -> u32 {
        self.max_connections.saturating_sub(self.read_connections()).max(1)
    }
}
