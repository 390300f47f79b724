//! The settings of a workspace.

use super::{
    Error, Result, Store,
    authority::begin,
    events::{Done, record},
    on_pool,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    setting::{Key, Value},
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
    pub async fn set_settings(
        &self,
        workspace_id: i64,
        settings: &[(Key, Value)],
        mutation: &Mutation,
    ) -> Result<bool> {
        const UPSERT: &str = "insert into setting (workspace_id, key, value, updated_at) values ($1, $2, $3, $4) \
             on conflict (workspace_id, key) do update set value = excluded.value, updated_at = excluded.updated_at";
        on_pool!(self, pool => {
            let (mut tx, act, exists) = begin!(self, pool, workspace_id, mutation);
            if !exists {
                return Ok(false);
            }
            let before: Vec<(String, String)> = sqlx::query_as(SELECT).bind(workspace_id).fetch_all(&mut *tx).await?;
            for (key, value) in settings {
                let new = value.to_text();
                sqlx::query(UPSERT).bind(workspace_id).bind(key.as_str()).bind(&new).bind(act.at).execute(&mut *tx).await?;
                record!(tx, workspace_id, act, changed(*key, former(&before, *key), &new));
            }
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Puts settings back to their defaults; answers how many had been set, or none where there is no such workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn reset_settings(&self, workspace_id: i64, keys: &[Key], mutation: &Mutation) -> Result<Option<u64>> {
        const DELETE: &str = "delete from setting where workspace_id = $1 and key = $2";
        on_pool!(self, pool => {
            let (mut tx, act, exists) = begin!(self, pool, workspace_id, mutation);
            if !exists {
                return Ok(None);
            }
            let before: Vec<(String, String)> = sqlx::query_as(SELECT).bind(workspace_id).fetch_all(&mut *tx).await?;
            let mut deleted = 0;
            for key in keys {
                let done = sqlx::query(DELETE).bind(workspace_id).bind(key.as_str()).execute(&mut *tx).await?;
                if done.rows_affected() == 1 {
                    deleted += 1;
                    record!(tx, workspace_id, act, changed(*key, former(&before, *key), DEFAULT));
                }
            }
            tx.commit().await?;
            Ok(Some(deleted))
        })
    }
}

/// What is said where a setting has not been set.
const DEFAULT: &str = "default";

/// The value that a setting had.
fn former(before: &[(String, String)], key: Key) -> &str {
    before.iter().find(|(name, _)| name == key.as_str()).map_or(DEFAULT, |(_, value)| value)
}

fn changed(key: Key, from: &str, to: &str) -> Done<'static> {
    let details = Details::default().with("from", from).with("to", to);
    Done { action: Action::SettingChanged, person_id: None, target: key.as_str(), label: key.label(), details }
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
