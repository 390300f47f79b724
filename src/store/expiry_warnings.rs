//! Events of tokens that expire soon. A row for each token and warning excludes a second event, on any
//! node.

use uuid::Uuid;

use super::{
    Pool, Result, Store,
    authority::Authorized,
    events::{EventDraft, record},
    from_row, on_pool, on_readers,
};
use crate::domain::{
    event::{Action, AuditContext, Details},
    id::{PersonId, WorkspaceId},
    setting::SettingKey,
    time::Timestamp,
};

/// Warning that is due for a range of remaining times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarningQuery {
    /// `None`: all workspaces that have not set the days themselves.
    pub workspace_id: Option<WorkspaceId>,
    /// Days of the warning: the greatest remaining time, and less than the lifetime.
    pub days: i64,
    /// The remaining time is greater than this number of days.
    pub more_than_days: i64,
    pub now: Timestamp,
}

/// Token that expires soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringToken {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub display_prefix: String,
    pub description: String,
    pub expires_at: Timestamp,
}

from_row!(ExpiringToken { id, workspace_id, person_id, display_prefix, description, expires_at });

/// Statement of the tokens for which a warning is due. A token of a disabled person, or one that was
/// revoked with its ancestor, does not authenticate, so it needs none. Neither does a replaced one.
macro_rules! list {
    ($end_of_short_life:literal) => {
        concat!(
            "select t.id, t.workspace_id, t.person_id, t.display_prefix, t.description, t.expires_at \
             from unrevoked_token t join person p on p.id = t.person_id join workspace w on w.id = t.workspace_id \
             where t.expires_at > $1 and t.expires_at <= $2 and t.expires_at > ",
            $end_of_short_life,
            " and t.deletes_at is null and not p.is_disabled and p.removed_at is null and w.removed_at is null \
             and case when cast($4 as bigint) is null then not exists (select 1 from setting s \
             where s.workspace_id = t.workspace_id and s.key = $5) else t.workspace_id = $4 end \
             and not exists (select 1 from token_expiry_warning x where x.token_id = t.id and x.days <= $6) \
             order by t.expires_at, t.id limit $7"
        )
    };
}

/// The next tokens of a person to expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextExpiry {
    /// The one that expires first.
    pub id: Uuid,
    pub display_prefix: String,
    pub description: String,
    pub expires_at: Timestamp,
    /// The number of tokens that expire in the same period, this one included.
    pub count: i64,
}

from_row!(NextExpiry { id, display_prefix, description, expires_at, count });

/// Statement of the tokens of a person that expire in a period that is shorter than their lifetime.
macro_rules! next_expiry {
    ($end_of_short_life:literal) => {
        concat!(
            "select t.id, t.display_prefix, t.description, t.expires_at, count(*) over () as count from unrevoked_token t \
             where t.workspace_id = $1 and t.person_id = $2 and t.expires_at > $3 and t.expires_at <= $4 and t.expires_at > ",
            $end_of_short_life,
            " and t.deletes_at is null order by t.expires_at, t.id limit 1"
        )
    };
}

impl Store {
    /// Finds the token of a person that expires first, if it does so within a number of days after `now`.
    /// Tokens whose lifetime is not longer than that do not count, and neither do replaced ones.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn find_next_expiry(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        now: Timestamp,
        days: i64,
    ) -> Result<Option<NextExpiry>> {
        let (statement, period) = match self.pool {
            Pool::Postgres(_) => (next_expiry!("t.created_at + $5 * interval '1 second'"), days * 86_400),
            Pool::Sqlite(_) => (next_expiry!("t.created_at + $5"), days * 86_400_000),
        };
        Ok(on_pool!(self, pool => sqlx::query_as(statement).bind(workspace_id).bind(person_id).bind(now)
            .bind(now.plus_seconds(days * 86_400)).bind(period).fetch_optional(pool).await)?)
    }

    /// Lists tokens for which a warning is due and has not been sent, those that expire first first.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn list_expiring_tokens(&self, query: &WarningQuery, limit: i64) -> Result<Vec<ExpiringToken>> {
        let (statement, days) = match self.pool {
            Pool::Postgres(_) => (list!("t.created_at + $3 * interval '1 second'"), query.days * 86_400),
            Pool::Sqlite(_) => (list!("t.created_at + $3"), query.days * 86_400_000),
        };
        let after = |days: i64| query.now.plus_seconds(days * 86_400);
        Ok(
            on_readers!(self, pool => sqlx::query_as(statement).bind(after(query.more_than_days)).bind(after(query.days))
            .bind(days).bind(query.workspace_id).bind(SettingKey::ExpiryWarningDays.as_str()).bind(query.days).bind(limit)
            .fetch_all(pool).await)?,
        )
    }

    /// Records that a token expires soon, with an event, unless it was recorded before. Returns whether
    /// it was not.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn warn_of_expiry(&self, token: &ExpiringToken, days: i64, context: &AuditContext) -> Result<bool> {
        const INSERT: &str = "insert into token_expiry_warning (token_id, days) \
             select id, $2 from token where id = $1 on conflict do nothing";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let inserted = sqlx::query(INSERT).bind(token.id).bind(days).execute(&mut *tx).await?;
            if inserted.rows_affected() == 0 {
                return Ok(false);
            }
            let target = token.id.to_string();
            record!(tx, token.workspace_id, Authorized::without_caller(context), token.event(days, &target));
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Lists the workspaces that have set a setting, with the stored text.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached or does not respond in time.
    pub async fn list_setting_overrides(&self, key: SettingKey) -> Result<Vec<(WorkspaceId, String)>> {
        const SELECT: &str = "select s.workspace_id, s.value from setting s join workspace w on w.id = s.workspace_id \
             where s.key = $1 and w.removed_at is null order by s.workspace_id";
        Ok(on_pool!(self, pool => sqlx::query_as(SELECT).bind(key.as_str()).fetch_all(pool).await)?)
    }
}

impl ExpiringToken {
    fn event<'a>(&'a self, days: i64, target: &'a str) -> EventDraft<'a> {
        let details = Details::default()
            .with("days", days)
            .with("expiresAt", self.expires_at.to_string())
            .with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()));
        EventDraft {
            action: Action::TokenExpiring,
            person_id: Some(self.person_id),
            target,
            label: &self.display_prefix,
            details,
        }
    }
}
