//! Last-used timestamps of tokens, written in batches and only forward.

use sqlx::{QueryBuilder, SqlitePool};
use uuid::Uuid;

use super::{Pool, Result, Store};
use crate::domain::time::Timestamp;

/// Maximum number of rows per statement, so that it does not block auth checks from a connection,
/// or from SQLite's only writer.
pub const LAST_USED_BATCH_SIZE: usize = 1_000;

impl Store {
    /// Updates last-used timestamps, each only if it is later than the stored one. Tokens that no
    /// longer exist are skipped.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached.
    /// The same call can then be retried.
    pub async fn update_last_used(&self, uses: &[(Uuid, Timestamp)]) -> Result<()> {
        const UPDATE: &str = "update token set last_used_at = used.at from unnest($1::uuid[], $2::timestamptz[]) as \
             used (id, at) where token.id = used.id and (token.last_used_at is null or token.last_used_at < \
             used.at)";
        match &self.pool {
            Pool::Postgres(failover) => {
                let (ids, times): (Vec<Uuid>, Vec<Timestamp>) = uses.iter().copied().unzip();
                sqlx::query(UPDATE).bind(ids).bind(times).execute(&failover.pool()).await?;
                Ok(())
            }
            Pool::Sqlite(pool) => update_last_used_in_sqlite(pool, uses).await,
        }
    }
}

/// SQLite has no arrays, so the rows are values of the statement: two bound values each, of at most
/// 32,766.
async fn update_last_used_in_sqlite(pool: &SqlitePool, uses: &[(Uuid, Timestamp)]) -> Result<()> {
    for chunk in uses.chunks(LAST_USED_BATCH_SIZE) {
        let mut statement = QueryBuilder::new("with used (id, at) as (");
        statement.push_values(chunk, |mut row, (id, at)| {
            row.push_bind(id).push_bind(at);
        });
        statement.push(
            ") update token set last_used_at = used.at from used \
             where token.id = used.id and (token.last_used_at is null or token.last_used_at < used.at)",
        );
        // The text depends on the number of rows, so a prepared statement would hardly ever be
        // reused.
        statement.build().persistent(false).execute(pool).await?;
    }
    Ok(())
}
