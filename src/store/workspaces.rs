//! Workspaces: bootstrap, creation, listing, renaming and deletion.

use super::{
    Committed, Error, NewPerson, Result, Store,
    authority::begin,
    events::{EventDraft, record},
    from_row, on_pool, on_readers, people, removal,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    id::WorkspaceId,
    invalidation::Invalidation,
    person::Person,
    time::Timestamp,
    workspace::{Workspace, WorkspaceName},
};

struct Row {
    id: WorkspaceId,
    name: String,
    created_at: Timestamp,
}

from_row!(Row { id, name, created_at });

impl From<Row> for Workspace {
    fn from(row: Row) -> Self {
        Self { id: row.id, name: row.name, created_at: row.created_at }
    }
}

impl Store {
    /// Returns true if the first workspace exists.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn is_bootstrapped(&self) -> Result<bool> {
        Ok(self.find_workspace(WorkspaceId::FIRST).await?.is_some())
    }

    /// Creates the first workspace and its administrator, unless the workspace exists. Returns
    /// whether this call created it. Of several nodes that start concurrently, one does.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn bootstrap(&self, name: &WorkspaceName, admin: &NewPerson, now: Timestamp) -> Result<bool> {
        const INSERT: &str =
            "insert into workspace (id, name, created_at, updated_at) values ($1, $2, $3, $3) on conflict do nothing";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let result =
                sqlx::query(INSERT).bind(WorkspaceId::FIRST).bind(name.as_str()).bind(now).execute(&mut *tx).await?;
            if result.rows_affected() == 0 {
                return Ok(false);
            }
            people::insert!(&mut *tx, WorkspaceId::FIRST, admin, now)?;
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Creates a workspace with its first administrator.
    ///
    /// # Errors
    /// Returns [`Error::Conflict`] if the e-mail is taken, and nothing is created. Returns
    /// [`Error::AuthorizationLost`] if the caller was revoked meanwhile, and [`Error::Unavailable`] if
    /// the database cannot be reached.
    pub async fn insert_workspace(
        &self,
        name: &WorkspaceName,
        admin: &NewPerson,
        mutation: &Mutation,
    ) -> Result<(Workspace, Person)> {
        const INSERT: &str =
            "insert into workspace (name, created_at, updated_at) values ($1, $2, $2) returning id, name, created_at";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, WorkspaceId::FIRST, mutation);
            let row: Row = sqlx::query_as(INSERT).bind(name.as_str()).bind(context.at).fetch_one(&mut *tx).await?;
            let admin = people::insert!(&mut *tx, row.id, admin, context.at)?;
            let admin = admin.ok_or(Error::corrupt("a workspace vanished in its own transaction"))?;
            let details = Details::default().with("role", "administrator");
            record!(tx, row.id, context, admin.event(Action::PersonAdded, &admin.id.to_string(), details));
            let target = row.id.to_string();
            let event = workspace_event(Action::WorkspaceCreated, &row.name, &target);
            record!(tx, WorkspaceId::FIRST, context, event);
            tx.commit().await?;
            Ok((row.into(), admin.try_into()?))
        })
    }

    /// Finds a workspace.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>> {
        const SELECT: &str = "select id, name, created_at from workspace where id = $1 and removed_at is null";
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(Workspace::from))
    }

    /// Lists workspaces in the order of their IDs.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_workspaces(&self, limit: i64, offset: i64) -> Result<Vec<Workspace>> {
        const LIST: &str =
            "select id, name, created_at from workspace where removed_at is null order by id limit $1 offset $2";
        let rows: Vec<Row> =
            on_readers!(self, pool => sqlx::query_as(LIST).bind(limit).bind(offset).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Workspace::from).collect())
    }

    /// Renames a workspace. Returns false if there is none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn rename_workspace(&self, id: WorkspaceId, name: &WorkspaceName, mutation: &Mutation) -> Result<bool> {
        const UPDATE: &str = "update workspace set name = $2, updated_at = $3 where id = $1 and removed_at is null";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, id, mutation);
            let result = sqlx::query(UPDATE).bind(id).bind(name.as_str()).bind(context.at).execute(&mut *tx).await?;
            if result.rows_affected() == 0 {
                return Ok(false);
            }
            let target = id.to_string();
            let event = workspace_event(Action::WorkspaceRenamed, name.as_str(), &target);
            record!(tx, id, context, event);
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Deletes a workspace with its people, tokens, settings and events. Returns false if there is
    /// none. The event is recorded in the first workspace. If the rows are many,
    /// [`Store::purge_removed`] deletes them afterwards. No method finds them in the meantime.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time, and [`Error::AuthorizationLost`] if the caller lost its right meanwhile.
    pub async fn delete_workspace(&self, id: WorkspaceId, mutation: &Mutation) -> Result<Committed<bool>> {
        const SELECT: &str = "select name from workspace where id = $1 and removed_at is null";
        const DELETE: &str = "delete from workspace where id = $1";
        const REVOKE: &str = "update workspace set removed_at = $2, updated_at = $2 where id = $1";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, id, mutation);
            let name: Option<String> = sqlx::query_scalar(SELECT).bind(id).fetch_optional(&mut *tx).await?;
            let Some(name) = name else { return Ok(Committed::unchanged(false)) };
            let rows: i64 = sqlx::query_scalar(removal::COUNT_WORKSPACE_ROWS)
                .bind(id)
                .bind(removal::MAX_ROWS_PER_STATEMENT + 1)
                .fetch_one(&mut *tx).await?;
            if rows > removal::MAX_ROWS_PER_STATEMENT {
                sqlx::query(REVOKE).bind(id).bind(context.at).execute(&mut *tx).await?;
            } else {
                sqlx::query(DELETE).bind(id).execute(&mut *tx).await?;
            }
            record!(tx, WorkspaceId::FIRST, context, workspace_event(Action::WorkspaceRemoved, &name, &id.to_string()));
            tx.commit().await?;
            Ok(Committed::new(true, vec![Invalidation::Workspace(id)]))
        })
    }
}

/// Returns the draft of an event about a workspace as a whole, which is recorded in the first
/// workspace.
fn workspace_event<'a>(action: Action, label: &'a str, target: &'a str) -> EventDraft<'a> {
    EventDraft { action, person_id: None, target, label, details: Details::default() }
}
