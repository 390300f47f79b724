//! Revocation of all tokens of a person by one row, and the tombstones of deleted tokens.

use uuid::Uuid;

use super::parse_digest;
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        id::{PersonId, WorkspaceId},
        invalidation::Invalidation,
        time::Timestamp,
    },
    store::{
        Committed, Pool, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        from_row, on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// Identification of a token in lists and events, whether it still exists or only its tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLabel {
    pub id: Uuid,
    pub workspace_id: WorkspaceId,
    pub person_id: PersonId,
    pub display_prefix: String,
}

from_row!(TokenLabel { id, workspace_id, person_id, display_prefix });

impl Store {
    /// Revokes all existing tokens of a person, however many. Returns the number of tokens revoked,
    /// or `None` if there is no such person. No token is created in the workspace before this
    /// returns. [`Store::purge_revoked`] deletes the rows.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn revoke_all_tokens(
        &self,
        workspace_id: WorkspaceId,
        person_id: PersonId,
        mutation: &Mutation,
    ) -> Result<Committed<Option<u64>>> {
        const COUNT: &str = "select count(*) from unrevoked_token where workspace_id = $1 and person_id = $2";
        // Not only up to now, because another node's clock may be ahead of this one's. An unrevoked
        // token was created after the previous value, so the value only moves forward.
        const REVOKE: &str = "update person set tokens_revoked_before = coalesce((select max(created_at) from token \
             where workspace_id = $1 and person_id = $2 and created_at > $3), $3) where workspace_id = $1 and id = $2";
        const EXISTS: &str = "select count(*) from person where workspace_id = $1 and id = $2 and removed_at is null";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let matching: i64 =
                sqlx::query_scalar(EXISTS).bind(workspace_id).bind(person_id).fetch_one(&mut *tx).await?;
            if matching == 0 {
                return Ok(Committed::unchanged(None));
            }
            let count: i64 = sqlx::query_scalar(COUNT).bind(workspace_id).bind(person_id).fetch_one(&mut *tx).await?;
            if count == 0 {
                return Ok(Committed::unchanged(Some(0)));
            }
            sqlx::query(REVOKE).bind(workspace_id).bind(person_id).bind(context.at).execute(&mut *tx).await?;
            let plural = if count == 1 { "" } else { "s" };
            let target = person_id.to_string();
            let label = format!("{count} token{plural}");
            let details = Details::default().with("count", count);
            let action = Action::TokensDeleted;
            let event = EventDraft { action, person_id: Some(person_id), target: &target, label: &label, details };
            record!(tx, workspace_id, context, event);
            tx.commit().await?;
            let count = u64::try_from(count).unwrap_or(0);
            Ok(Committed::new(Some(count), vec![Invalidation::Person(person_id)]))
        })
    }

    /// Deletes the rows of up to `limit` revoked tokens. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn purge_revoked(&self, limit: i64) -> Result<u64> {
        const DELETE: &str = "delete from token where id in (select t.id from person p join token t on t.person_id = \
             p.id and t.workspace_id = p.workspace_id and t.created_at <= p.tokens_revoked_before where \
             p.tokens_revoked_before is not null limit $1)";
        Ok(
            on_pool!(self, pool => sqlx::query(DELETE).bind(limit).execute(pool).await.map(|result| result.rows_affected()))?,
        )
    }

    /// Finds the unrevoked token with this digest.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn find_unrevoked(&self, digest: &TokenDigest) -> Result<Option<TokenLabel>> {
        const SELECT: &str =
            "select id, workspace_id, person_id, display_prefix from unrevoked_token where digest = $1";
        Ok(
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(digest.as_bytes().as_slice()).fetch_optional(pool).await)?,
        )
    }

    /// Finds those of the digests that belong to deleted tokens, or to revoked tokens whose rows
    /// still exist. Tokens of deleted workspaces are omitted.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn find_revoked(&self, digests: &[TokenDigest]) -> Result<Vec<(TokenDigest, TokenLabel)>> {
        macro_rules! deleted {
            ($condition:literal) => {
                concat!(
                    "select id, workspace_id, person_id, display_prefix, digest from token_tombstone \
                     where workspace_id in (select id from workspace where removed_at is null) and digest ",
                    $condition,
                    " union all select t.id, t.workspace_id, t.person_id, t.display_prefix, t.digest from token t \
                     join person p on p.id = t.person_id and t.created_at <= p.tokens_revoked_before where t.digest \
                     ",
                    $condition
                )
            };
        }
        struct Row {
            token: TokenLabel,
            digest: Vec<u8>,
        }
        from_row!(Row { digest; token });
        let rows: Vec<Row> = match &self.pool {
            Pool::Postgres(failover) => {
                let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
                sqlx::query_as(deleted!("= any($1)")).bind(digests).fetch_all(&failover.pool()).await?
            }
            Pool::Sqlite(pool) => {
                let mut rows = Vec::new();
                for digest in digests {
                    let bytes = digest.as_bytes().as_slice();
                    rows.extend(sqlx::query_as(deleted!("= $1")).bind(bytes).fetch_optional(pool).await?);
                }
                rows
            }
        };
        rows.into_iter().map(|row| Ok((parse_digest(&row.digest)?, row.token))).collect()
    }

    /// Deletes the tombstones of tokens deleted before a time, except those that an existing token
    /// or another tombstone descends from. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn purge_tombstones(&self, before: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from token_tombstone where deleted_at < $1 \
             and not exists (select 1 from token t where t.parent_id = token_tombstone.id) \
             and not exists (select 1 from token_tombstone d where d.parent_id = token_tombstone.id)";
        Ok(
            on_pool!(self, pool => sqlx::query(DELETE).bind(before).execute(pool).await.map(|result| result.rows_affected()))?,
        )
    }
}
