//! The settings of a workspace.

use super::{Error, Result, Store, on_pool, workspaces};
use crate::domain::{
    setting::{Key, Value},
    time::Timestamp,
};

impl Store {
    /// The settings that a workspace has set; those it has not are not among them.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_settings(&self, workspace_id: i64) -> Result<Vec<(Key, Value)>> {
        let rows: Vec<(String, String)> =
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).fetch_all(pool).await)?;
        read(rows)
    }

    /// Sets all of the given settings or none; answers whether there is such a workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn set_settings(&self, workspace_id: i64, settings: &[(Key, Value)], now: Timestamp) -> Result<bool> {
        const UPSERT: &str = "insert into setting (workspace_id, key, value, updated_at) values ($1, $2, $3, $4) \
             on conflict (workspace_id, key) do update set value = excluded.value, updated_at = excluded.updated_at";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let held: Option<i64> =
                sqlx::query_scalar(workspaces::LOCK).bind(workspace_id).bind(now).fetch_optional(&mut *tx).await?;
            if held.is_none() {
                return Ok(false);
            }
            for (key, value) in settings {
                sqlx::query(UPSERT).bind(workspace_id).bind(key.as_str()).bind(value.to_text()).bind(now)
                    .execute(&mut *tx).await?;
            }
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Puts settings back to their defaults; answers how many had been set, or none where there is no such workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn reset_settings(&self, workspace_id: i64, keys: &[Key], now: Timestamp) -> Result<Option<u64>> {
        const DELETE: &str = "delete from setting where workspace_id = $1 and key = $2";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let held: Option<i64> =
                sqlx::query_scalar(workspaces::LOCK).bind(workspace_id).bind(now).fetch_optional(&mut *tx).await?;
            if held.is_none() {
                return Ok(None);
            }
            let mut deleted = 0;
            for key in keys {
                let done = sqlx::query(DELETE).bind(workspace_id).bind(key.as_str()).execute(&mut *tx).await?;
                deleted += done.rows_affected();
            }
            tx.commit().await?;
            Ok(Some(deleted))
        })
    }
}

pub(super) const SELECT: &str = "select key, value from setting where workspace_id = $1";

/// Reads rows of [`SELECT`]. A key that this program does not know belongs to a newer one and is passed over; a value that
/// its key does not take is an error, because guessing might open a door.
pub(super) fn read(rows: Vec<(String, String)>) -> Result<Vec<(Key, Value)>> {
    rows.into_iter()
        .filter_map(|(key, value)| Key::parse(&key).ok().map(|key| (key, value)))
        .map(|(key, value)| Ok((key, key.parse_value(&value).ok_or(Error::corrupt("setting.value"))?)))
        .collect()
}
