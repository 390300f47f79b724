//! Clock floor: the latest time that any node has seen. No node's clock goes below it.

use super::{Pool, Result, Store, on_pool};
use crate::domain::time::Timestamp;

impl Store {
    /// Returns the clock floor, or `None` before the first write.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_clock_floor(&self) -> Result<Option<Timestamp>> {
        const SELECT: &str = "select at from clock_floor where id = 1";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_optional(pool).await)?)
    }

    /// Raises the clock floor to `at` unless it is already later, and returns the later of the two.
    /// PostgreSQL caps the value at two hours after its own clock, so that one node with a fast
    /// clock does not advance all others.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn raise_clock_floor(&self, at: Timestamp) -> Result<Timestamp> {
        const POSTGRES: &str = "insert into clock_floor (id, at) \
             values (1, date_trunc('milliseconds', least($1, clock_timestamp() + interval '2 hours'))) \
             on conflict (id) do update set at = greatest(clock_floor.at, excluded.at) returning at";
        const SQLITE: &str = "insert into clock_floor (id, at) values (1, $1) \
             on conflict (id) do update set at = max(clock_floor.at, excluded.at) returning at";
        let statement = match self.pool {
            Pool::Postgres(_) => POSTGRES,
            Pool::Sqlite(_) => SQLITE,
        };
        Ok(on_pool!(self, pool => sqlx::query_scalar(statement).bind(at).fetch_one(pool).await)?)
    }

    /// Sets the clock floor to `at`, even if that lowers it.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn reset_clock_floor(&self, at: Timestamp) -> Result<()> {
        const RESET: &str =
            "insert into clock_floor (id, at) values (1, $1) on conflict (id) do update set at = excluded.at";
        on_pool!(self, pool => sqlx::query(RESET).bind(at).execute(pool).await.map(|_| ()))?;
        Ok(())
    }
}
