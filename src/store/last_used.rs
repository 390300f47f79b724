//! When tokens were last used: many at once, and never backwards.

use sqlx::{QueryBuilder, SqlitePool};
use uuid::Uuid;

use super::{Pool, Result, Store};
use crate::domain::time::Timestamp;

/// Rows worth writing with one statement: it must not keep a connection, or SQLite's only one, from those who check tokens.
pub const USES_AT_ONCE: usize = 1_000;

impl Store {
    /// Notes uses, each only if it is later than the one noted. A token that is gone is passed over.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable): then it is right to try again.
    pub async fn note_uses(&self, uses: &[(Uuid, Timestamp)]) -> Result<()> {
        const UPDATE: &str = "update token set last_used_at = used.at from unnest($1::uuid[], $2::timestamptz[]) as used (id, at) \
             where token.id = used.id and (token.last_used_at is null or token.last_used_at < used.at)";
        match &self.pool {
            Pool::Postgres(hosts) => {
                let (ids, moments): (Vec<Uuid>, Vec<Timestamp>) = uses.iter().copied().unzip();
                sqlx::query(UPDATE).bind(ids).bind(moments).execute(&hosts.pool()).await?;
                Ok(())
            }
            Pool::Sqlite(pool) => note_in_sqlite(pool, uses).await,
        }
    }
}

/// SQLite has no arrays: the rows are values of the statement, two bound values each, of which it takes 32,766.
async fn note_in_sqlite(pool: &SqlitePool, uses: &[(Uuid, Timestamp)]) -> Result<()> {
    for chunk in uses.chunks(USES_AT_ONCE) {
        let mut statement = QueryBuilder::new("with used (id, at) as (");
        statement.push_values(chunk, |mut row, (id, at)| {
            row.push_bind(id).push_bind(at);
        });
        statement.push(
            ") update token set last_used_at = used.at from used \
             where token.id = used.id and (token.last_used_at is null or token.last_used_at < used.at)",
        );
        // The text depends on the number of rows, so a prepared statement would hardly ever be used again.
        statement.build().persistent(false).execute(pool).await?;
    }
    Ok(())
}
