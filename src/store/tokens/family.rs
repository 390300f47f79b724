//! A token with everything it made, and those made in turn: revoked by one row where they are many, removed in parts afterwards.

use std::collections::VecDeque;

use sqlx::FromRow;
use uuid::Uuid;

use super::{Gone, Owner, digest};
use crate::{
    domain::{authority::Mutation, event::Action},
    store::{
        Pool, Result, Store,
        authority::begin,
        events::{Done, record},
        on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// The most tokens that one statement deletes. Larger families are revoked by one row.
const MOST_AT_ONCE: i64 = 1_000;
/// How many descendants an event names; it counts the others.
const MOST_NAMED: usize = 100;
/// How many tokens a step of the removal expands.
const EXPANDED_AT_ONCE: usize = 100;

/// What the deletion of a family came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedFamily {
    /// The tokens whose rows are deleted.
    pub digests: Vec<TokenDigest>,
    /// The owner, where the family is revoked and its rows are removed by [`Store::remove_family`].
    pub revoked_of: Option<i64>,
}

impl DeletedFamily {
    /// Whether there was nothing to delete.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty() && self.revoked_of.is_none()
    }
}

/// Whether a person `p` has a revoked family whose rows are not removed yet, as a column.
macro_rules! in_doubt {
    () => {
        "exists (select 1 from revoked_family f where f.person_id = p.id)"
    };
}
pub(in crate::store) use in_doubt;

#[derive(FromRow)]
struct Member {
    #[sqlx(flatten)]
    token: Gone,
    digest: Vec<u8>,
}

/// The family of token `$1` within reach of owner `$2`, `$3`, followed by a statement about it. PostgreSQL takes one term that refers to
/// the family itself; SQLite takes several, and would read all tokens for one.
macro_rules! family {
    ($store:expr, $statement:literal) => {{
        macro_rules! of {
            ($children:literal) => {
                concat!(
                    "with recursive family (id) as ( \
                     select id from live_token where id = $1 and workspace_id = $2 and person_id = coalesce($3, person_id) \
                     union select id from deleted_token \
                     where id = $1 and workspace_id = $2 and person_id = coalesce($3, person_id) union ",
                    $children,
                    ") ",
                    $statement
                )
            };
        }
        match $store.pool {
            Pool::Postgres(_) => of!(
                "select child.id from family join ( \
                 select id, parent_id from token union all select id, parent_id from deleted_token \
                 ) child on child.parent_id = family.id"
            ),
            Pool::Sqlite(_) => of!(
                "select t.id from family join token t on t.parent_id = family.id \
                 union select d.id from family join deleted_token d on d.parent_id = family.id"
            ),
        }
    }};
}

/// Revokes a family by one row; gives its first token, whether that lives or is gone.
macro_rules! revoke {
    ($tx:expr, $id:expr, $workspace_id:expr) => {{
        const REVOKE: &str = "insert into revoked_family (root_id, workspace_id, person_id) values ($1, $2, $3)";
        const ROOT: &str = "select id, person_id, hint, description from token where id = $1 \
             union all select id, person_id, hint, '' from deleted_token where id = $1 limit 1";
        const DELETE: &str = "delete from token where id = $1";
        let root: Gone = sqlx::query_as(ROOT).bind($id).fetch_one(&mut *$tx).await?;
        sqlx::query(REVOKE).bind($id).bind($workspace_id).bind(root.person_id).execute(&mut *$tx).await?;
        sqlx::query(DELETE).bind($id).execute(&mut *$tx).await?;
        Ok::<Gone, sqlx::Error>(root)
    }};
}

impl Store {
    /// Deletes a token within reach of an owner with all that it has made, and that those have made, also where one in between is
    /// gone already. Where they are many the family is revoked by one row instead. Until this has returned, no token is created in the
    /// workspace.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_family(
        &self,
        owner: Owner,
        id: Uuid,
        action: Action,
        mutation: &Mutation,
    ) -> Result<DeletedFamily> {
        let workspace_id = owner.workspace_id();
        let count = family!(self, "select count(*) from (select id from family limit $4) few");
        let delete = family!(
            self,
            "delete from token where id in (select id from family) returning id, person_id, hint, description, digest"
        );
        const REVOKED: &str = "select count(*) from revoked_family where root_id = $1";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let revoked: i64 = sqlx::query_scalar(REVOKED).bind(id).fetch_one(&mut *tx).await?;
            if revoked > 0 {
                return Ok(DeletedFamily::default());
            }
            let size: i64 = sqlx::query_scalar(count).bind(id).bind(workspace_id).bind(owner.person_id())
                .bind(MOST_AT_ONCE + 1).fetch_one(&mut *tx).await?;
            if size > MOST_AT_ONCE {
                let root = revoke!(tx, id, workspace_id)?;
                let target = id.to_string();
                let mut done = root.told(action, &target);
                done.details = done.details.with("descendants", size - 1).with("areMore", true);
                record!(tx, workspace_id, act, done);
                tx.commit().await?;
                return Ok(DeletedFamily { digests: Vec::new(), revoked_of: Some(root.person_id) });
            }
            let deleted: Vec<Member> = sqlx::query_as(delete)
                .bind(id).bind(workspace_id).bind(owner.person_id()).fetch_all(&mut *tx).await?;
            let target = id.to_string();
            let Some(done) = told(&deleted, id, action, &target) else { return Ok(DeletedFamily::default()) };
            record!(tx, workspace_id, act, done);
            tx.commit().await?;
            let digests = deleted.iter().map(|member| digest(&member.digest)).collect::<Result<_>>()?;
            Ok(DeletedFamily { digests, revoked_of: None })
        })
    }

    /// The families that are revoked and not removed yet, by their first token.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn list_revoked_families(&self) -> Result<Vec<Uuid>> {
        const SELECT: &str = "select root_id from revoked_family order by root_id limit 1000";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_all(pool).await)?)
    }

    /// Removes the rows of a revoked family in small parts, from the first token on; returns how many. What an earlier process has
    /// begun is gone through again, because deleted tokens are remembered with the token that made them.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn remove_family(&self, root: Uuid) -> Result<u64> {
        const DELETE: &str = "delete from token where id = $1";
        const END: &str = "delete from revoked_family where root_id = $1";
        let mut removed = 0;
        let mut waiting = VecDeque::from([root]);
        while !waiting.is_empty() {
            let batch: Vec<Uuid> = waiting.drain(..waiting.len().min(EXPANDED_AT_ONCE)).collect();
            for parent in &batch {
                self.add_children(*parent, &mut waiting).await?;
            }
            removed += on_pool!(self, pool => {
                let mut tx = pool.begin().await?;
                let mut deleted = 0;
                for id in &batch {
                    deleted += sqlx::query(DELETE).bind(id).execute(&mut *tx).await?.rows_affected();
                }
                tx.commit().await?;
                deleted
            });
        }
        on_pool!(self, pool => sqlx::query(END).bind(root).execute(pool).await.map(|_| ()))?;
        Ok(removed)
    }

    async fn add_children(&self, parent: Uuid, waiting: &mut VecDeque<Uuid>) -> Result<()> {
        const CHILDREN: &str = "select id from token where parent_id = $1 and id > $2 \
             union select id from deleted_token where parent_id = $1 and id > $2 order by 1 limit $3";
        let mut last = Uuid::nil();
        loop {
            let children: Vec<Uuid> = on_pool!(self, pool => sqlx::query_scalar(CHILDREN)
                .bind(parent).bind(last).bind(MOST_AT_ONCE).fetch_all(pool).await)?;
            waiting.extend(&children);
            match children.last() {
                Some(id) if i64::try_from(children.len()).is_ok_and(|count| count == MOST_AT_ONCE) => last = *id,
                _ => return Ok(()),
            }
        }
    }

    /// Counts the revoked families that a token belongs to. Asked only where `in_doubt!` holds.
    pub(in crate::store) fn ancestry_statement(&self) -> &'static str {
        macro_rules! ancestry {
            ($parents:literal) => {
                concat!(
                    "with recursive up (id, parent_id) as (select id, parent_id from token where id = $1 union ",
                    $parents,
                    ") select count(*) from up join revoked_family f on f.root_id = up.id"
                )
            };
        }
        match self.pool {
            Pool::Postgres(_) => ancestry!(
                "select a.id, a.parent_id from up join ( \
                 select id, parent_id from token union all select id, parent_id from deleted_token) a on a.id = up.parent_id"
            ),
            Pool::Sqlite(_) => ancestry!(
                "select t.id, t.parent_id from up join token t on t.id = up.parent_id \
                 union select d.id, d.parent_id from up join deleted_token d on d.id = up.parent_id"
            ),
        }
    }
}

/// What the event says of a deleted family; `None` where nothing was deleted.
fn told<'a>(deleted: &'a [Member], id: Uuid, action: Action, target: &'a str) -> Option<Done<'a>> {
    let root = deleted.iter().find(|member| member.token.id == id).or(deleted.first())?;
    let descendants: Vec<&Member> = deleted.iter().filter(|member| member.token.id != id).collect();
    let ids: Vec<String> = descendants.iter().take(MOST_NAMED).map(|member| member.token.id.to_string()).collect();
    let mut done = root.token.told(action, target);
    done.details = done.details.with("descendants", descendants.len()).with("descendantIds", ids);
    Some(done)
}
