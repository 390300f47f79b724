//! Token families: a token with all its descendants. Large families are revoked by one row, and
//! their rows are deleted in batches afterwards.

use std::collections::VecDeque;

use uuid::Uuid;

use super::{DeletedToken, OwnerScope, is_in_scope, parse_digest};
use crate::{
    domain::{authority::Mutation, event::Action, id::PersonId, invalidation::Invalidation},
    store::{
        Committed, Pool, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        from_row, on_pool,
    },
};

/// Maximum number of tokens that one statement deletes. Larger families are revoked by one row.
const MAX_TOKENS_PER_STATEMENT: i64 = 1_000;
/// Maximum number of descendant IDs in an event, which also has their count.
const MAX_LISTED_DESCENDANTS: usize = 100;
/// Number of tokens whose children one step of the purge reads.
const EXPANSION_BATCH_SIZE: usize = 100;

/// Result of the deletion of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletedFamily {
    /// Number of tokens whose rows were deleted.
    pub deleted: usize,
    /// The family was revoked by one row. [`Store::purge_family`] deletes its rows.
    pub is_purge_pending: bool,
}

impl DeletedFamily {
    /// Returns true if nothing was deleted or revoked.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.deleted == 0 && !self.is_purge_pending
    }
}

struct Descendant {
    token: DeletedToken,
    digest: Vec<u8>,
}

from_row!(Descendant { digest; token });

/// Statement about the family of token `$1` within the scope `$2`, `$3`, `$4`. PostgreSQL accepts one
/// recursive term. SQLite accepts several, and would scan all tokens for a single combined term.
macro_rules! family {
    ($store:expr, $statement:literal) => {{
        macro_rules! of {
            ($children:literal) => {
                concat!(
                    "with recursive family (id) as ( select id from unrevoked_token where id = $1 and workspace_id = \
                     $2 and ",
                    is_in_scope!(),
                    " union select id from token_tombstone where id = $1 and workspace_id = $2 and ",
                    is_in_scope!(),
                    " union ",
                    $children,
                    ") ",
                    $statement
                )
            };
        }
        match $store.pool {
            Pool::Postgres(_) => of!("select child.id from family join ( \
                 select id, parent_id from token union all select id, parent_id from token_tombstone \
                 ) child on child.parent_id = family.id"),
            Pool::Sqlite(_) => of!("select t.id from family join token t on t.parent_id = family.id \
                 union select d.id from family join token_tombstone d on d.parent_id = family.id"),
        }
    }};
}

/// Revokes a family by one row. Evaluates to its root, whether that is a token or a tombstone.
macro_rules! revoke {
    ($tx:expr, $id:expr, $workspace_id:expr) => {{
        const REVOKE: &str = "insert into revoked_family (root_id, workspace_id, person_id) values ($1, $2, $3)";
        const ROOT: &str = "select id, person_id, display_prefix, description from token where id = $1 \
             union all select id, person_id, display_prefix, '' from token_tombstone where id = $1 limit 1";
        const DELETE: &str = "delete from token where id = $1";
        let root: DeletedToken = sqlx::query_as(ROOT).bind($id).fetch_one(&mut *$tx).await?;
        sqlx::query(REVOKE).bind($id).bind($workspace_id).bind(root.person_id).execute(&mut *$tx).await?;
        sqlx::query(DELETE).bind($id).execute(&mut *$tx).await?;
        Ok::<DeletedToken, sqlx::Error>(root)
    }};
}

impl Store {
    /// Deletes a token within the scope with all its descendants, also those below an already
    /// deleted token. A family of more than `MAX_TOKENS_PER_STATEMENT` tokens is revoked by one
    /// row instead. No token is created in the workspace before this returns.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn delete_family(
        &self,
        scope: OwnerScope,
        id: Uuid,
        action: Action,
        mutation: &Mutation,
    ) -> Result<Committed<DeletedFamily>> {
        let workspace_id = scope.workspace_id();
        let count = family!(self, "select count(*) from (select id from family limit $5) few");
        let delete = family!(
            self,
            "delete from token where id in (select id from family) returning id, person_id, display_prefix, \
             description, digest"
        );
        const ACCOUNTS: &str = "select id from person where workspace_id = $1 and kind = 'service'";
        const REVOKED: &str = "select count(*) from revoked_family where root_id = $1";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let revoked: i64 = sqlx::query_scalar(REVOKED).bind(id).fetch_one(&mut *tx).await?;
            if revoked > 0 {
                return Ok(Committed::unchanged(DeletedFamily::default()));
            }
            let size: i64 = sqlx::query_scalar(count).bind(id).bind(workspace_id).bind(scope.person_id())
                .bind(scope.custodian()).bind(MAX_TOKENS_PER_STATEMENT + 1).fetch_one(&mut *tx).await?;
            if size > MAX_TOKENS_PER_STATEMENT {
                let root = revoke!(tx, id, workspace_id)?;
                let accounts: Vec<PersonId> =
                    sqlx::query_scalar(ACCOUNTS).bind(workspace_id).fetch_all(&mut *tx).await?;
                let target = id.to_string();
                let mut event = root.event(action, &target);
                event.details = event.details.with("descendants", size - 1).with("areMore", true);
                record!(tx, workspace_id, context, event);
                tx.commit().await?;
                // Tokens of service accounts may be in the family.
                let owners = accounts.into_iter().chain([root.person_id]);
                let invalidations = owners.map(Invalidation::Person).collect();
                return Ok(Committed::new(DeletedFamily { deleted: 0, is_purge_pending: true }, invalidations));
            }
            let deleted: Vec<Descendant> = sqlx::query_as(delete)
                .bind(id).bind(workspace_id).bind(scope.person_id()).bind(scope.custodian()).fetch_all(&mut *tx).await?;
            let target = id.to_string();
            let Some(event) = family_event(&deleted, id, action, &target) else {
                return Ok(Committed::unchanged(DeletedFamily::default()));
            };
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            let digests = deleted.iter().map(|row| parse_digest(&row.digest)).collect::<Result<Vec<_>>>()?;
            let family = DeletedFamily { deleted: digests.len(), is_purge_pending: false };
            Ok(Committed::new(family, digests.into_iter().map(Invalidation::Token).collect()))
        })
    }

    /// Lists the roots of up to 1000 revoked families whose rows still exist.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn list_revoked_families(&self) -> Result<Vec<Uuid>> {
        const SELECT: &str = "select root_id from revoked_family order by root_id limit 1000";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).fetch_all(pool).await)?)
    }

    /// Deletes the rows of a revoked family in batches, from the root down. Returns their number. A
    /// purge that an earlier process began starts over, which is safe because tombstones keep the
    /// ID of the parent.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn purge_family(&self, root: Uuid) -> Result<u64> {
        const DELETE: &str = "delete from token where id = $1";
        const DELETE_FAMILY: &str = "delete from revoked_family where root_id = $1";
        let mut removed = 0;
        let mut pending = VecDeque::from([root]);
        while !pending.is_empty() {
            let batch: Vec<Uuid> = pending.drain(..pending.len().min(EXPANSION_BATCH_SIZE)).collect();
            for parent in &batch {
                self.enqueue_children(*parent, &mut pending).await?;
            }
            removed += on_pool!(self, pool => {
                let mut tx = pool.begin().await?;
                let mut deleted = 0;
                for id in &batch {
                    deleted += sqlx::query(DELETE).bind(id).execute(&mut *tx).await?.rows_affected();
                }
                tx.commit().await?;
                Ok::<_, crate::store::Error>(deleted)
            })?;
        }
        on_pool!(self, pool => sqlx::query(DELETE_FAMILY).bind(root).execute(pool).await.map(|_| ()))?;
        Ok(removed)
    }

    async fn enqueue_children(&self, parent: Uuid, pending: &mut VecDeque<Uuid>) -> Result<()> {
        const CHILDREN: &str = "select id from token where parent_id = $1 and id > $2 \
             union select id from token_tombstone where parent_id = $1 and id > $2 order by 1 limit $3";
        let mut last_id = Uuid::nil();
        loop {
            let children: Vec<Uuid> = on_pool!(self, pool => sqlx::query_scalar(CHILDREN)
                .bind(parent).bind(last_id).bind(MAX_TOKENS_PER_STATEMENT).fetch_all(pool).await)?;
            pending.extend(&children);
            match children.last() {
                Some(id) if i64::try_from(children.len()).is_ok_and(|count| count == MAX_TOKENS_PER_STATEMENT) => {
                    last_id = *id;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Returns the statement that counts the revoked families a token belongs to. It is needed only
    /// if `in_doubt!` is true.
    pub(in crate::store) fn ancestry_sql(&self) -> &'static str {
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
                "select a.id, a.parent_id from up join ( select id, parent_id from token union all select id, \
                 parent_id from token_tombstone) a on a.id = up.parent_id"
            ),
            Pool::Sqlite(_) => ancestry!(
                "select t.id, t.parent_id from up join token t on t.id = up.parent_id \
                 union select d.id, d.parent_id from up join token_tombstone d on d.id = up.parent_id"
            ),
        }
    }
}

/// Returns the event of a deleted family, or `None` if nothing was deleted.
fn family_event<'a>(deleted: &'a [Descendant], id: Uuid, action: Action, target: &'a str) -> Option<EventDraft<'a>> {
    let root = deleted.iter().find(|row| row.token.id == id).or(deleted.first())?;
    let descendants: Vec<&Descendant> = deleted.iter().filter(|row| row.token.id != id).collect();
    let ids: Vec<String> =
        descendants.iter().take(MAX_LISTED_DESCENDANTS).map(|row| row.token.id.to_string()).collect();
    let mut event = root.token.event(action, target);
    event.details = event.details.with("descendants", descendants.len()).with("descendantIds", ids);
    Some(event)
}
