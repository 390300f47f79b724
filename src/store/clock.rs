//! The latest time that a node has seen, which no node goes back behind.

use super::{Pool, Result, Store, on_pool};
use crate::domain::time::Timestamp;

impl Store {
    /// The latest time that was written; none before the first.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn find_clock_floor(&self) -> Result<Option<Timestamp>> {
        const SELECT: &str = "select at from clock_floor where id = 1";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_optional(pool).await)?)
    }

    /// Writes a moment unless a later one is written; answers the later of the two. A PostgreSQL whose own clock says that it is not
    /// yet two hours before that moment writes no more than that: one node whose clock is ahead must not take all others along.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
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

    /// Writes a moment, even if a later one is written.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn reset_clock_floor(&self, at: Timestamp) -> Result<()> {
        const RESET: &str =
            "insert into clock_floor (id, at) values (1, $1) on conflict (id) do update set at = excluded.at";
        on_pool!(self, pool => sqlx::query(RESET).bind(at).execute(pool).await.map(|_| ()))?;
        Ok(())
    }
}
