//! When tokens were last used: many at once, and never backwards.

use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{Result, Store, on_pool};
use crate::domain::time::Timestamp;

/// Rows of one statement: two bound values each, and SQLite takes 32,766.
const CHUNK: usize = 10_000;

impl Store {
    /// Notes uses, each only if it is later than the one noted. A token that is gone is passed over.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable); then some chunks of 10,000 may be noted, and it is right to
    /// try all of them again.
    pub async fn note_uses(&self, uses: &[(Uuid, Timestamp)]) -> Result<()> {
        for chunk in uses.chunks(CHUNK) {
            on_pool!(self, pool => {
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
            });
        }
        Ok(())
    }
}
