//! Deletion of replaced tokens whose grace period has ended.

use super::{DeletedTokenWithDigest, parse_digest};
use crate::{
    domain::{authority::Mutation, event::Action, id::WorkspaceId, invalidation::Invalidation, time::Timestamp},
    store::{Committed, Result, Store, authority::begin, event_batch::record_all, events::EventDraft, on_pool},
};

impl Store {
    /// Returns up to `limit` workspaces with replaced tokens that are to be deleted by a time.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn find_workspaces_with_due_tokens(&self, now: Timestamp, limit: i64) -> Result<Vec<WorkspaceId>> {
        const SELECT: &str = "select distinct workspace_id from unrevoked_token where deletes_at <= $1 \
                              order by workspace_id limit $2";
        Ok(on_pool!(self, pool => sqlx::query_scalar(SELECT).bind(now).bind(limit).fetch_all(pool).await)?)
    }

    /// Deletes up to `limit` replaced tokens of a workspace that are to be deleted by the time of the
    /// mutation, those that are due first. The audit log gets one event for each. Concurrent calls delete
    /// each token once. Returns the number of tokens.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time.
    pub async fn delete_due_tokens(
        &self,
        workspace_id: WorkspaceId,
        limit: i64,
        mutation: &Mutation,
    ) -> Result<Committed<u64>> {
        const DELETE: &str = "delete from token where id in (select id from unrevoked_token where workspace_id = $1 \
                              and deletes_at <= $2 order by deletes_at, id limit $3) \
                              returning id, person_id, display_prefix, description, digest";
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let deleted: Vec<DeletedTokenWithDigest> =
                sqlx::query_as(DELETE).bind(workspace_id).bind(context.at).bind(limit).fetch_all(&mut *tx).await?;
            if deleted.is_empty() {
                return Ok(Committed::unchanged(0));
            }
            let digests = deleted.iter().map(|row| parse_digest(&row.digest)).collect::<Result<Vec<_>>>()?;
            let ids: Vec<String> = deleted.iter().map(|row| row.token.id.to_string()).collect();
            let events: Vec<EventDraft<'_>> =
                deleted.iter().zip(&ids).map(|(row, id)| row.token.event(Action::TokenDeleted, id)).collect();
            record_all!(tx, workspace_id, context, events);
            tx.commit().await?;
            let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            Ok(Committed::new(count, digests.into_iter().map(Invalidation::Token).collect()))
        })
    }
}
