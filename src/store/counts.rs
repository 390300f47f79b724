//! Maintained counts of workspaces, and the current rights of a person whose list is being sent.

use uuid::Uuid;

use super::{Result, Store, from_row, on_pool, on_readers};
use crate::domain::{
    id::{PersonId, WorkspaceId},
    time::Timestamp,
    workspace::Workspace,
};

/// Workspace with its numbers of people and unrevoked tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceWithCounts {
    pub workspace: Workspace,
    pub people: i64,
    pub tokens: i64,
}

/// Current rights and password hash of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct ReaderRights {
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    /// `None`: no password.
    pub password_hash: Option<String>,
    /// The credential is an external identity that is still the person's.
    pub has_identity: bool,
    /// The credential is a web session of the person that has not been ended.
    pub has_session: bool,
}

from_row!(ReaderRights { is_admin, is_platform_admin, is_disabled, password_hash, has_identity, has_session });

/// Numbers of unrevoked tokens in the whole database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens that have not expired.
    pub active: i64,
    /// Tokens that have expired and are not deleted yet.
    pub expired: i64,
    /// Active tokens that expire soon.
    pub expiring: i64,
}

struct WorkspaceCountRow {
    id: WorkspaceId,
    name: String,
    created_at: Timestamp,
    people: i64,
    tokens: i64,
}

from_row!(WorkspaceCountRow { id, name, created_at, people, tokens });

impl From<WorkspaceCountRow> for WorkspaceWithCounts {
    fn from(row: WorkspaceCountRow) -> Self {
        let WorkspaceCountRow { id, name, created_at, people, tokens } = row;
        Self { workspace: Workspace { id, name, created_at }, people, tokens }
    }
}

macro_rules! counted {
    ($clause:literal) => {
        concat!(
            "select w.id, w.name, w.created_at, c.people, c.tokens \
             from workspace w join workspace_count c on c.workspace_id = w.id ",
            $clause
        )
    };
}

impl Store {
    /// Returns the numbers of people and unrevoked tokens of a workspace, in this order. Triggers
    /// maintain the counts, so the cost does not depend on their size.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_people_and_tokens(&self, workspace_id: WorkspaceId) -> Result<(i64, i64)> {
        const SELECT: &str = "select coalesce(max(people), 0), coalesce(max(tokens), 0) \
                              from workspace_count where workspace_id = $1";
        Ok(on_readers!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).fetch_one(pool).await)?)
    }

    /// Counts the tokens of all workspaces at `now`. Those that expire until `soon` count as
    /// expiring. The total is maintained by triggers; tokens with an expiry until `soon` are read
    /// from an index.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_tokens_by_expiry(&self, now: Timestamp, soon: Timestamp) -> Result<TokenCounts> {
        const COUNT: &str = "select \
             (select cast(coalesce(sum(c.tokens), 0) as bigint) from workspace_count c \
              join workspace w on w.id = c.workspace_id where w.removed_at is null), \
             (select count(*) from unrevoked_token t join workspace w on w.id = t.workspace_id \
              where t.expires_at <= $1 and w.removed_at is null), \
             (select count(*) from unrevoked_token t join workspace w on w.id = t.workspace_id \
              where t.expires_at > $1 and t.expires_at <= $2 and w.removed_at is null)";
        let (total, expired, expiring): (i64, i64, i64) =
            on_readers!(self, pool => sqlx::query_as(COUNT).bind(now).bind(soon).fetch_one(pool).await)?;
        Ok(TokenCounts { active: total - expired, expired, expiring })
    }

    /// Finds a workspace with its counts.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_workspace_with_counts(&self, id: WorkspaceId) -> Result<Option<WorkspaceWithCounts>> {
        const SELECT: &str = counted!("where w.id = $1 and w.removed_at is null");
        let row: Option<WorkspaceCountRow> =
            on_readers!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(WorkspaceWithCounts::from))
    }

    /// Lists workspaces with their counts, in the order of their IDs.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn list_workspaces_with_counts(&self, limit: i64, offset: i64) -> Result<Vec<WorkspaceWithCounts>> {
        const LIST: &str = counted!("where w.removed_at is null order by w.id limit $1 offset $2");
        let rows: Vec<WorkspaceCountRow> =
            on_readers!(self, pool => sqlx::query_as(LIST).bind(limit).bind(offset).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(WorkspaceWithCounts::from).collect())
    }

    /// Counts all workspaces.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_workspaces(&self) -> Result<i64> {
        const COUNT: &str = "select count(*) from workspace where removed_at is null";
        Ok(on_readers!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }

    /// Counts the people of all workspaces.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn count_all_people(&self) -> Result<i64> {
        const COUNT: &str = "select cast(coalesce(sum(c.people), 0) as bigint) from workspace_count c \
                             join workspace w on w.id = c.workspace_id where w.removed_at is null";
        Ok(on_readers!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }

    /// Finds the current rights of a person, for a list that is still being sent. `credential_id` is the ID
    /// of the external identity or the web session that authenticated the reader.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](super::Error::Unavailable) if the database cannot be reached
    /// or does not respond in time.
    pub async fn find_reader_rights(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        credential_id: Option<Uuid>,
    ) -> Result<Option<ReaderRights>> {
        const SELECT: &str = "select is_admin, is_platform_admin, is_disabled, password_hash, \
                              exists (select 1 from external_identity i where i.id = $3 and i.person_id = person.id) \
                              as has_identity, exists (select 1 from web_session s where s.id = $3 \
                              and s.person_id = person.id) as has_session from person \
                              where workspace_id = $1 and id = $2 and removed_at is null";
        Ok(on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(person_id)
            .bind(credential_id).fetch_optional(pool).await)?)
    }
}
