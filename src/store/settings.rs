//! Settings of a workspace.

use super::{
    Committed, Error, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    on_pool,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::WorkspaceId,
    invalidation::Invalidation,
    setting::{SettingKey, SettingValue},
};

impl Store {
    /// Returns the settings that a workspace has set.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached, and [`Error::Corrupt`] if
    /// a stored value is invalid.
    pub async fn find_settings(&self, workspace_id: WorkspaceId) -> Result<Vec<(SettingKey, SettingValue)>> {
        let rows: Vec<(String, String)> =
            on_pool!(self, pool => sqlx::query_as(SELECT_SETTINGS).bind(workspace_id).fetch_all(pool).await)?;
        parse_rows(rows)
    }

    /// Sets all the given settings or none. `None` resets a setting to its default. Returns false
    /// if there is no such workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn set_settings<V: Into<Option<SettingValue>> + Clone + Sync>(
        &self,
        workspace_id: WorkspaceId,
        settings: &[(SettingKey, V)],
        mutation: &Mutation,
    ) -> Result<Committed<bool>> {
        const UPSERT: &str = "insert into setting (workspace_id, key, value, updated_at) values ($1, $2, $3, $4) \
             on conflict (workspace_id, key) do update set value = excluded.value, updated_at = excluded.updated_at";
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, workspace_id, mutation);
            if !exists {
                return Ok(Committed::unchanged(false));
            }
            let previous: Vec<(String, String)> =
                sqlx::query_as(SELECT_SETTINGS).bind(workspace_id).fetch_all(&mut *tx).await?;
            for (key, value) in settings {
                let value: Option<SettingValue> = value.clone().into();
                let text = value.as_ref().map(SettingValue::to_text);
                let statement = match &text {
                    Some(text) => sqlx::query(UPSERT).bind(workspace_id).bind(key.as_str()).bind(text).bind(context.at),
                    None => sqlx::query(DELETE).bind(workspace_id).bind(key.as_str()),
                };
                if statement.execute(&mut *tx).await?.rows_affected() == 1 {
                    let to = text.as_deref().unwrap_or(DEFAULT_LABEL);
                    record!(tx, workspace_id, context, setting_event(*key, previous_value(&previous, *key), to));
                }
            }
            tx.commit().await?;
            Ok(Committed::new(true, vec![Invalidation::Workspace(workspace_id)]))
        })
    }

    /// Resets settings to their defaults. Returns the number that had been set, or `None` if there
    /// is no such workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn reset_settings(
        &self,
        workspace_id: WorkspaceId,
        keys: &[SettingKey],
        mutation: &Mutation,
    ) -> Result<Committed<Option<u64>>> {
        on_pool!(self, pool => {
            let (mut tx, context, exists) = begin!(self, pool, workspace_id, mutation);
            if !exists {
                return Ok(Committed::unchanged(None));
            }
            let previous: Vec<(String, String)> =
                sqlx::query_as(SELECT_SETTINGS).bind(workspace_id).fetch_all(&mut *tx).await?;
            let mut deleted = 0;
            for key in keys {
                let result = sqlx::query(DELETE).bind(workspace_id).bind(key.as_str()).execute(&mut *tx).await?;
                if result.rows_affected() == 1 {
                    deleted += 1;
                    record!(tx, workspace_id, context, setting_event(*key, previous_value(&previous, *key), DEFAULT_LABEL));
                }
            }
            tx.commit().await?;
            Ok(Committed::new(Some(deleted), vec![Invalidation::Workspace(workspace_id)]))
        })
    }
}

const DELETE: &str = "delete from setting where workspace_id = $1 and key = $2";

/// Value that events show for a setting that is not set.
const DEFAULT_LABEL: &str = "default";

/// Returns the previous value of a setting.
fn previous_value(previous: &[(String, String)], key: SettingKey) -> &str {
    previous.iter().find(|(name, _)| name == key.as_str()).map_or(DEFAULT_LABEL, |(_, value)| value)
}

fn setting_event(key: SettingKey, from: &str, to: &str) -> EventDraft<'static> {
    let details = Details::default().with("from", from).with("to", to);
    EventDraft { action: Action::SettingChanged, person_id: None, target: key.as_str(), label: key.label(), details }
}

pub(super) const SELECT_SETTINGS: &str = "select key, value from setting where workspace_id = $1";

/// Parses rows of [`SELECT_SETTINGS`]. Keys of a newer program are skipped. An invalid value is an
/// error, because a guess might allow what an administrator forbade.
pub(super) fn parse_rows(rows: Vec<(String, String)>) -> Result<Vec<(SettingKey, SettingValue)>> {
    rows.into_iter()
        .filter_map(|(key, value)| SettingKey::parse(&key).ok().map(|key| (key, value)))
        .map(|(key, value)| Ok((key, key.parse_value(&value).ok_or(Error::corrupt("setting.value"))?)))
        .collect()
}
