//! Deleting tokens, for good.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Owner, TokenLabel, digest};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        time::Timestamp,
    },
    store::{
        Result, Store,
        authority::begin,
        events::{Done, record},
        on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// What is told of a token that was made or deleted.
#[derive(FromRow)]
pub(super) struct Gone {
    pub(super) id: Uuid,
    pub(super) person_id: i64,
    pub(super) hint: String,
    pub(super) description: String,
}

#[derive(FromRow)]
struct GoneWithDigest {
    #[sqlx(flatten)]
    token: Gone,
    digest: Vec<u8>,
}

impl Gone {
    fn details(&self) -> Details {
        Details::default().with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()))
    }

    pub(super) fn told<'a>(&'a self, action: Action, target: &'a str) -> Done<'a> {
        Done { action, person_id: Some(self.person_id), target, label: &self.hint, details: self.details() }
    }
}

impl Store {
    /// Deletes a token within reach of an owner; answers its digest if this call did it. Of many at once, one does.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_token(&self, owner: Owner, id: Uuid, mutation: &Mutation) -> Result<Option<TokenDigest>> {
        const DELETE: &str = "delete from token where id = (select id from live_token \
             where id = $1 and workspace_id = $2 and person_id = coalesce($3, person_id)) \
             returning id, person_id, hint, description, digest";
        let workspace_id = owner.workspace_id();
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let deleted: Option<GoneWithDigest> = sqlx::query_as(DELETE)
                .bind(id).bind(workspace_id).bind(owner.person_id()).fetch_optional(&mut *tx).await?;
            let Some(deleted) = deleted else { return Ok(None) };
            record!(tx, workspace_id, act, deleted.token.told(Action::TokenDeleted, &id.to_string()));
            tx.commit().await?;
            Ok(Some(digest(&deleted.digest)?))
        })
    }

    /// Deletes the token of a digest; returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_by_digest(&self, digest: &TokenDigest, mutation: &Mutation) -> Result<bool> {
        const DELETE: &str = "delete from token where id = (select id from live_token where digest = $1) \
             returning id, person_id, hint, description";
        // The workspace is locked before the token, as everywhere; a token never changes its workspace.
        let Some(TokenLabel { workspace_id, .. }) = self.find_living(digest).await? else { return Ok(false) };
        on_pool!(self, pool => {
            let (mut tx, act, _) = begin!(self, pool, workspace_id, mutation);
            let deleted: Option<Gone> =
                sqlx::query_as(DELETE).bind(digest.as_bytes().as_slice()).fetch_optional(&mut *tx).await?;
            let Some(token) = deleted else { return Ok(false) };
            record!(tx, workspace_id, act, token.told(Action::TokenDeleted, &token.id.to_string()));
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Deletes up to `most` tokens that expired before a moment; answers their digests.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    pub async fn delete_expired(&self, before: Timestamp, most: i64) -> Result<Vec<TokenDigest>> {
        const DELETE: &str =
            "delete from token where id in (select id from token where expires_at < $1 limit $2) returning digest";
        let deleted: Vec<Vec<u8>> =
            on_pool!(self, pool => sqlx::query_scalar(DELETE).bind(before).bind(most).fetch_all(pool).await)?;
        deleted.iter().map(|bytes| digest(bytes)).collect()
    }
}
