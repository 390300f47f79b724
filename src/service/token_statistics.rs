//! Numbers of tokens for the metrics port, read in the background.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::time::Clock,
    store::{self, Store, TokenCounts},
};

/// The time before its expiry in which a token counts as expiring: 7 days.
const EXPIRING_SECONDS: i64 = 7 * 86_400;

/// The numbers of tokens in the database. Cheap to clone; all clones share the last numbers.
#[derive(Clone)]
pub struct TokenStatistics {
    store: Store,
    clock: Clock,
    latest: Arc<Mutex<Option<TokenCounts>>>,
}

impl TokenStatistics {
    /// Creates the statistics. They are empty until the first [`Self::refresh`].
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, latest: Arc::default() }
    }

    /// Reads the numbers from the database. If that fails, there are none, because old ones would
    /// look current.
    ///
    /// # Errors
    /// [`store::Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn refresh(&self) -> Result<(), store::Error> {
        let now = self.clock.now();
        let counts = self.store.count_tokens_by_expiry(now, now.plus_seconds(EXPIRING_SECONDS)).await;
        *self.latest.lock() = counts.as_ref().ok().copied();
        counts.map(|_| ())
    }

    /// Returns the numbers of the last successful refresh; `None` if the last one failed.
    #[must_use]
    pub fn latest(&self) -> Option<TokenCounts> {
        *self.latest.lock()
    }
}
