//! Workspaces.

use sqlx::FromRow;

use super::{
    Error, NewPerson, Result, Store,
    authority::begin,
    events::{Done, record},
    on_pool, on_readers, people, removal,
};
use crate::domain::{
    authority::Mutation,
    event::{Action, Details},
    person::Person,
    time::Timestamp,
    workspace::{self, Workspace, WorkspaceName},
};

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    created_at: Timestamp,
}

impl From<Row> for Workspace {
    fn from(row: Row) -> Self {
        Self { id: row.id, name: row.name, created_at: row.created_at }
    }
}

impl Store {
    /// Whether the first start has happened.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_set_up(&self) -> Result<bool> {
        Ok(self.find_workspace(workspace::FIRST).await?.is_some())
    }

    /// Makes workspace 1 and its first administrator, unless somebody has. Answers whether this call did it: of many
    /// nodes that try at once, one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn set_up(&self, name: &WorkspaceName, admin: &NewPerson, now: Timestamp) -> Result<bool> {
        const INSERT: &str =
            "insert into workspace (id, name, created_at, updated_at) values ($1, $2, $3, $3) on conflict do nothing";
        on_pool!(self, pool => {
            let mut tx = pool.begin().await?;
            let made = sqlx::query(INSERT).bind(workspace::FIRST).bind(name.as_str()).bind(now).execute(&mut *tx).await?;
            if made.rows_affected() == 0 {
                return Ok(false);
            }
            people::insert!(&mut *tx, workspace::FIRST, admin, now)?;
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Makes a workspace together with its first administrator; answers both.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the e-mail is taken; then nothing is made.
    pub async fn insert_workspace(
        &self,
        name: &WorkspaceName,
        admin: &NewPerson,
        mutation: &Mutation,
    ) -> Result<(Workspace, Person)> {
        const INSERT: &str =
            "insert into workspace (name, created_at, updated_at) values ($1, $2, $2) returning id, name, created_at";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace::FIRST, mutation);
            let row: Row = sqlx::query_as(INSERT).bind(name.as_str()).bind(act.at).fetch_one(&mut *tx).await?;
            let admin = people::insert!(&mut *tx, row.id, admin, act.at)?;
            let admin = admin.ok_or(Error::corrupt("a workspace vanished in its own transaction"))?;
            record!(tx, row.id, act, admin.told(Action::PersonAdded, &admin.id.to_string(), Details::default().with("role", "administrator")));
            record!(tx, workspace::FIRST, act, told(Action::WorkspaceCreated, &row.name, &row.id.to_string()));
            tx.commit().await?;
            Ok((row.into(), admin.try_into()?))
        })
    }

    /// Finds a workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find_workspace(&self, id: i64) -> Result<Option<Workspace>> {
        const SELECT: &str = "select id, name, created_at from workspace where id = $1 and removed_at is null";
        let row: Option<Row> = on_pool!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(Workspace::from))
    }

    /// Lists workspaces by id.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn list_workspaces(&self, limit: i64, offset: i64) -> Result<Vec<Workspace>> {
        const LIST: &str =
            "select id, name, created_at from workspace where removed_at is null order by id limit $1 offset $2";
        let rows: Vec<Row> =
            on_readers!(self, pool => sqlx::query_as(LIST).bind(limit).bind(offset).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Workspace::from).collect())
    }

    /// Renames a workspace; answers whether there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn rename_workspace(&self, id: i64, name: &WorkspaceName, mutation: &Mutation) -> Result<bool> {
        const UPDATE: &str = "update workspace set name = $2, updated_at = $3 where id = $1 and removed_at is null";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, id, mutation);
            let done = sqlx::query(UPDATE).bind(id).bind(name.as_str()).bind(act.at).execute(&mut *tx).await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            let (action, target) = (Action::WorkspaceRenamed, id.to_string());
            let done = Done { action, person_id: None, target: &target, label: name.as_str(), details: Details::default() };
            record!(tx, id, act, done);
            tx.commit().await?;
        });
        Ok(true)
    }

    /// Removes a workspace with its people, tokens, settings and events; the first one's events tell of it. Answers whether there was one.
    /// Where the rows are many they are removed afterwards by [`Store::remove_remains`]; until then no method finds them.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn delete_workspace(&self, id: i64, mutation: &Mutation) -> Result<bool> {
        const FIND: &str = "select name from workspace where id = $1 and removed_at is null";
        const DELETE: &str = "delete from workspace where id = $1";
        const REVOKE: &str = "update workspace set removed_at = $2, updated_at = $2 where id = $1";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, id, mutation);
            let name: Option<String> = sqlx::query_scalar(FIND).bind(id).fetch_optional(&mut *tx).await?;
            let Some(name) = name else { return Ok(false) };
            let rows: i64 = sqlx::query_scalar(removal::ROWS_OF_WORKSPACE).bind(id).bind(removal::MOST_AT_ONCE + 1)
                .fetch_one(&mut *tx).await?;
            if rows > removal::MOST_AT_ONCE {
                sqlx::query(REVOKE).bind(id).bind(act.at).execute(&mut *tx).await?;
            } else {
                sqlx::query(DELETE).bind(id).execute(&mut *tx).await?;
            }
            record!(tx, workspace::FIRST, act, told(Action::WorkspaceRemoved, &name, &id.to_string()));
            tx.commit().await?;
        });
        Ok(true)
    }
}

/// What was done to a workspace as a whole, as the first one's administrators read of it.
fn told<'a>(action: Action, label: &'a str, target: &'a str) -> Done<'a> {
    Done { action, person_id: None, target, label, details: Details::default() }
}
