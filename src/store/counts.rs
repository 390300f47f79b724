//! What long lists need beside their rows: counts that are kept up, pages, and whether the reader may still read.

use sqlx::FromRow;

use super::{Result, Store, on_pool, on_readers};
use crate::domain::{time::Timestamp, workspace::Workspace};

/// A workspace with its number of people and of live tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceCount {
    pub workspace: Workspace,
    pub people: i64,
    pub tokens: i64,
}

/// A person's rights at the moment, and the hash that a password is verified against.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct Reader {
    pub is_admin: bool,
    pub is_platform_admin: bool,
    pub is_disabled: bool,
    pub password_hash: String,
}

#[derive(FromRow)]
struct CountRow {
    id: i64,
    name: String,
    created_at: Timestamp,
    people: i64,
    tokens: i64,
}

impl From<CountRow> for WorkspaceCount {
    fn from(row: CountRow) -> Self {
        let CountRow { id, name, created_at, people, tokens } = row;
        Self { workspace: Workspace { id, name, created_at }, people, tokens }
    }
}

macro_rules! counted {
    ($rest:literal) => {
        concat!(
            "select w.id, w.name, w.created_at, c.people, c.tokens \
             from workspace w join workspace_count c on c.workspace_id = w.id ",
            $rest
        )
    };
}

impl Store {
    /// Counts a workspace's people and live tokens, in this order. The counts are kept up by the writes and cost the same however many
    /// there are.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn count_members(&self, workspace_id: i64) -> Result<(i64, i64)> {
        const SELECT: &str = "select coalesce(max(people), 0), coalesce(max(tokens), 0) \
                              from workspace_count where workspace_id = $1";
        Ok(on_readers!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).fetch_one(pool).await)?)
    }

    /// Finds a workspace together with its counts.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn find_workspace_count(&self, id: i64) -> Result<Option<WorkspaceCount>> {
        const SELECT: &str = counted!("where w.id = $1 and w.removed_at is null");
        let row: Option<CountRow> =
            on_readers!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(WorkspaceCount::from))
    }

    /// Lists workspaces by ID, each with its counts.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn list_workspace_counts(&self, limit: i64, offset: i64) -> Result<Vec<WorkspaceCount>> {
        const LIST: &str = counted!("where w.removed_at is null order by w.id limit $1 offset $2");
        let rows: Vec<CountRow> =
            on_readers!(self, pool => sqlx::query_as(LIST).bind(limit).bind(offset).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(WorkspaceCount::from).collect())
    }

    /// Counts all workspaces.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn count_workspaces(&self) -> Result<i64> {
        const COUNT: &str = "select count(*) from workspace where removed_at is null";
        Ok(on_readers!(self, pool => sqlx::query_scalar(COUNT).fetch_one(pool).await)?)
    }

    /// Finds the rights that a person has now, for a list that is still being sent.
    ///
    /// # Errors
    /// [`Error::Unavailable`](super::Error::Unavailable).
    pub async fn find_reader(&self, workspace_id: i64, person_id: i64) -> Result<Option<Reader>> {
        const SELECT: &str = "select is_admin, is_platform_admin, is_disabled, password_hash from person \
                              where workspace_id = $1 and id = $2 and removed_at is null";
        Ok(on_pool!(self, pool => sqlx::query_as(SELECT).bind(workspace_id).bind(person_id)
            .fetch_optional(pool).await)?)
    }
}
