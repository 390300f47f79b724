//! Deletion of single tokens.

use uuid::Uuid;

use super::{OwnerScope, TokenLabel, is_in_scope, parse_digest};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        id::PersonId,
        invalidation::Invalidation,
        time::Timestamp,
    },
    store::{
        Committed, Result, Store,
        authority::begin,
        events::{EventDraft, record},
        from_row, on_pool,
    },
};
use tokenward_guard::token_format::TokenDigest;

/// Columns of a deleted token that its event needs.
pub(super) struct DeletedToken {
    pub(super) id: Uuid,
    pub(super) person_id: PersonId,
    pub(super) display_prefix: String,
    pub(super) description: String,
}

from_row!(DeletedToken { id, person_id, display_prefix, description });

pub(super) struct DeletedTokenWithDigest {
    pub(super) token: DeletedToken,
    pub(super) digest: Vec<u8>,
}

from_row!(DeletedTokenWithDigest { digest; token });

impl DeletedToken {
    fn details(&self) -> Details {
        Details::default().with_some("description", Some(self.description.as_str()).filter(|text| !text.is_empty()))
    }

    /// Returns the draft of an event about the token.
    pub(super) fn event<'a>(&'a self, action: Action, target: &'a str) -> EventDraft<'a> {
        EventDraft {
            action,
            person_id: Some(self.person_id),
            target,
            label: &self.display_prefix,
            details: self.details(),
        }
    }
}

impl Store {
    /// Deletes a token within the scope and returns its digest, or `None` if there is none. Of
    /// several concurrent calls, one deletes it.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn delete_token(
        &self,
        scope: OwnerScope,
        id: Uuid,
        mutation: &Mutation,
    ) -> Result<Committed<Option<TokenDigest>>> {
        const DELETE: &str = concat!(
            "delete from token where id = (select id from unrevoked_token where id = $1 and workspace_id = $2 and ",
            is_in_scope!(),
            ") returning id, person_id, display_prefix, description, digest"
        );
        let workspace_id = scope.workspace_id();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let deleted: Option<DeletedTokenWithDigest> = sqlx::query_as(DELETE)
                .bind(id).bind(workspace_id).bind(scope.person_id()).bind(scope.custodian())
                .fetch_optional(&mut *tx).await?;
            let Some(deleted) = deleted else { return Ok(Committed::unchanged(None)) };
            record!(tx, workspace_id, context, deleted.token.event(Action::TokenDeleted, &id.to_string()));
            tx.commit().await?;
            let digest = parse_digest(&deleted.digest)?;
            Ok(Committed::new(Some(digest), vec![Invalidation::Token(digest)]))
        })
    }

    /// Deletes the token with this digest. Returns false if there is none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn delete_by_digest(&self, digest: &TokenDigest, mutation: &Mutation) -> Result<Committed<bool>> {
        const DELETE: &str = "delete from token where id = (select id from unrevoked_token where digest = $1) \
             returning id, person_id, display_prefix, description";
        // The workspace is locked before the token, as in every mutation. A token never changes its
        // workspace.
        let Some(TokenLabel { workspace_id, .. }) = self.find_unrevoked(digest).await? else {
            return Ok(Committed::unchanged(false));
        };
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let deleted: Option<DeletedToken> =
                sqlx::query_as(DELETE).bind(digest.as_bytes().as_slice()).fetch_optional(&mut *tx).await?;
            let Some(token) = deleted else { return Ok(Committed::unchanged(false)) };
            record!(tx, workspace_id, context, token.event(Action::TokenDeleted, &token.id.to_string()));
            tx.commit().await?;
            Ok(Committed::new(true, vec![Invalidation::Token(*digest)]))
        })
    }

    /// Deletes up to `limit` tokens that expired before a time. Returns their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn delete_expired(&self, before: Timestamp, limit: i64) -> Result<Committed<u64>> {
        const DELETE: &str =
            "delete from token where id in (select id from token where expires_at < $1 limit $2) returning digest";
        let deleted: Vec<Vec<u8>> =
            on_pool!(self, pool => sqlx::query_scalar(DELETE).bind(before).bind(limit).fetch_all(pool).await)?;
        let digests = deleted.iter().map(|bytes| parse_digest(bytes)).collect::<Result<Vec<_>>>()?;
        let invalidations = digests.iter().copied().map(Invalidation::Token).collect();
        Ok(Committed::new(digests.len() as u64, invalidations))
    }
}
