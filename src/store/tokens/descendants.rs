//! All tokens of a person at once, by one row, and what is remembered of tokens that are gone.

use sqlx::FromRow;
use uuid::Uuid;

use super::digest;
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        time::Timestamp,
    },
    store::{
        Pool, Result, Store,
        authority::begin,
        events::{Done, record},
        on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// By what people know a token, whether it lives or is gone: its id, whose it is, and the hint.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct TokenLabel {
    pub id: Uuid,
    pub workspace_id: i64,
    pub person_id: i64,
    pub hint: String,
}

impl Store {
    /// Makes all tokens of a person dead that are there, however many; answers how many of them lived, and none where there is no such
    /// person. Until it has answered, no token is made in the workspace. Their rows are removed by [`Store::delete_dead`].
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn kill_tokens(&self, workspace_id: i64, person_id: i64, mutation: &Mutation) -> Result<Option<u64>> {
        const COUNT: &str = "select count(*) from live_token where workspace_id = $1 and person_id = $2";
        // Not only until now: another node's clock may be ahead of this one's. Where a token lives it began behind the moment until
        // which all were dead, so that moment only moves forward.
        const KILL: &str = "update person set tokens_dead_until = coalesce((select max(created_at) from token \
             where workspace_id = $1 and person_id = $2 and created_at > $3), $3) where workspace_id = $1 and id = $2";
        const EXISTS: &str = "select count(*) from person where workspace_id = $1 and id = $2 and removed_at is null";
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let people: i64 = sqlx::query_scalar(EXISTS).bind(workspace_id).bind(person_id).fetch_one(&mut *tx).await?;
            if people == 0 {
                return Ok(None);
            }
            let living: i64 = sqlx::query_scalar(COUNT).bind(workspace_id).bind(person_id).fetch_one(&mut *tx).await?;
            if living == 0 {
                return Ok(Some(0));
            }
            sqlx::query(KILL).bind(workspace_id).bind(person_id).bind(act.at).execute(&mut *tx).await?;
            let plural = if living == 1 { "" } else { "s" };
            let (target, label) = (person_id.to_string(), format!("{living} token{plural}"));
            let details = Details::default().with("count", living);
            let done = Done { action: Action::TokensDeleted, person_id: Some(person_id), target: &target, label: &label, details };
            record!(tx, workspace_id, act, done);
            tx.commit().await?;
            Ok(Some(u64::try_from(living).unwrap_or(0)))
        })
    }

    /// Removes the rows of up to `most` tokens that are dead; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_dead(&self, most: i64) -> Result<u64> {
        const DELETE: &str = "delete from token where id in (select t.id from person p join token t on t.person_id = p.id \
             and t.workspace_id = p.workspace_id and t.created_at <= p.tokens_dead_until \
             where p.tokens_dead_until is not null limit $1)";
        Ok(on_pool!(self, pool => sqlx::query(DELETE).bind(most).execute(pool).await.map(|done| done.rows_affected()))?)
    }

    /// The token of a digest, where it lives.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn find_living(&self, digest: &TokenDigest) -> Result<Option<TokenLabel>> {
        const SELECT: &str = "select id, workspace_id, person_id, hint from live_token where digest = $1";
        Ok(
            on_pool!(self, pool => sqlx::query_as(SELECT).bind(digest.as_bytes().as_slice()).fetch_optional(pool).await)?,
        )
    }

    /// Which of these digests were tokens that are gone, or dead with their rows not removed yet, of workspaces that are there.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn find_deleted(&self, digests: &[TokenDigest]) -> Result<Vec<(TokenDigest, TokenLabel)>> {
        macro_rules! deleted {
            ($condition:literal) => {
                concat!(
                    "select id, workspace_id, person_id, hint, digest from deleted_token \
                     where workspace_id in (select id from workspace where removed_at is null) and digest ",
                    $condition,
                    " union all select t.id, t.workspace_id, t.person_id, t.hint, t.digest \
                     from token t join person p on p.id = t.person_id and t.created_at <= p.tokens_dead_until where t.digest ",
                    $condition
                )
            };
        }
        #[derive(FromRow)]
        struct Row {
            #[sqlx(flatten)]
            token: TokenLabel,
            digest: Vec<u8>,
        }
        let rows: Vec<Row> = match &self.pool {
            Pool::Postgres(hosts) => {
                let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
                sqlx::query_as(deleted!("= any($1)")).bind(digests).fetch_all(&hosts.pool()).await?
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
        rows.into_iter().map(|row| Ok((digest(&row.digest)?, row.token))).collect()
    }

    /// Forgets tokens that are gone since before a moment, unless something that they have made lives; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn forget_deleted(&self, before: Timestamp) -> Result<u64> {
        const DELETE: &str = "delete from deleted_token where deleted_at < $1 \
             and not exists (select 1 from token t where t.parent_id = deleted_token.id) \
             and not exists (select 1 from deleted_token d where d.parent_id = deleted_token.id)";
        Ok(
            on_pool!(self, pool => sqlx::query(DELETE).bind(before).execute(pool).await.map(|done| done.rows_affected()))?,
        )
    }
}
