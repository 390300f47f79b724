//! Last uses of tokens, written in batches and only forward.

use sqlx::{QueryBuilder, SqlitePool};

use super::{Pool, Result, Store};
use crate::domain::{setting::SettingKey, token_use::TokenUse};

/// Maximum number of rows per statement, so that it does not block auth checks from a connection,
/// or from SQLite's only writer.
pub const LAST_USED_BATCH_SIZE: usize = 1_000;

/// The new values, up to the key of the setting. A workspace that does not record addresses has none.
const SET: &str = "update token set last_used_at = used.at, last_used_from = case when exists (select 1 from setting \
     where setting.workspace_id = token.workspace_id and setting.value = 'false' and setting.key = ";

/// A use that is later than the stored one replaces it. The address of the stored use may follow it.
const IS_NEWER: &str = " where token.id = used.id and (token.last_used_at is null or token.last_used_at < used.at or \
     (token.last_used_at = used.at and token.last_used_from is null and used.address is not null))";

impl Store {
    /// Updates last-used timestamps with the client addresses, each only if it is later than the stored
    /// one. Tokens that no longer exist are skipped.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached.
    /// The same call can then be retried.
    pub async fn update_last_used(&self, uses: &[TokenUse]) -> Result<()> {
        match &self.pool {
            Pool::Postgres(failover) => {
                let mut statement = QueryBuilder::new(SET);
                statement.push_bind(SettingKey::RecordAddresses.as_str());
                statement.push(") then null else used.address end from unnest(");
                statement.push_bind(uses.iter().map(|used| used.token_id).collect::<Vec<_>>()).push("::uuid[], ");
                statement.push_bind(uses.iter().map(|used| used.at).collect::<Vec<_>>()).push("::timestamptz[], ");
                statement.push_bind(uses.iter().map(address_text).collect::<Vec<_>>());
                statement.push("::text[]) as used (id, at, address)").push(IS_NEWER);
                statement.build().execute(&failover.pool()).await?;
                Ok(())
            }
            Pool::Sqlite(pool) => update_last_used_in_sqlite(pool, uses).await,
        }
    }
}

fn address_text(used: &TokenUse) -> Option<String> {
    used.address.map(|address| address.to_string())
}

/// SQLite has no arrays, so the rows are values of the statement: three bound values each, of at most
/// 32,766.
async fn update_last_used_in_sqlite(pool: &SqlitePool, uses: &[TokenUse]) -> Result<()> {
    for chunk in uses.chunks(LAST_USED_BATCH_SIZE) {
        let mut statement = QueryBuilder::new("with used (id, at, address) as (");
        statement.push_values(chunk, |mut row, used| {
            row.push_bind(used.token_id).push_bind(used.at).push_bind(address_text(used));
        });
        statement.push(") ").push(SET).push_bind(SettingKey::RecordAddresses.as_str());
        statement.push(") then null else used.address end from used").push(IS_NEWER);
        // The text depends on the number of rows, so a prepared statement would hardly ever be
        // reused.
        statement.build().persistent(false).execute(pool).await?;
    }
    Ok(())
}
