//! Deletion of the tokens that match a filter.

use super::{TokenScope, Tokens, map_feature_off};
use crate::{
    domain::{ValidationError, id::PersonId, token_filter::TokenFilter},
    service::{Actor, Result, read_budget::ReadRequester},
    store::BulkDeletion,
};

/// The maximum number of tokens that one request deletes.
pub const MAX_BULK_DELETIONS: i64 = 1_000;

impl Tokens {
    /// Deletes at most [`MAX_BULK_DELETIONS`] of the tokens in `scope` that match the filter. With
    /// `is_dry_run` it only counts them. When it returns, no auth check accepts a deleted token.
    ///
    /// A filter without a condition selects all tokens, which the caller must confirm by `all`.
    /// Uses that other nodes have not written yet do not count as uses.
    ///
    /// # Errors
    /// [`Error::NotAdministrator`](crate::service::Error::NotAdministrator) if the scope requires an
    /// administrator, [`Error::Invalid`](crate::service::Error::Invalid) for an empty filter without
    /// `all` or a filter with it, [`Error::RateLimited`](crate::service::Error::RateLimited) if the
    /// caller has too many reads in progress.
    pub async fn delete_matching(
        &self,
        caller: &Actor,
        scope: TokenScope,
        filter: TokenFilter,
        all: bool,
        is_dry_run: bool,
    ) -> Result<BulkDeletion> {
        match (filter.is_empty(), all) {
            (true, false) => return Err(ValidationError::EmptyDeletionFilter.into()),
            (false, true) => return Err(ValidationError::AllWithFilter.into()),
            (true, true) | (false, false) => {}
        }
        let query = self.build_list_query(caller, scope, filter).await?;
        self.flush_last_used().await?;
        if is_dry_run {
            let (store, requester) = (self.store.clone(), ReadRequester::person(PersonId::of(caller)));
            let count = async move { store.count_tokens(&query).await };
            let matched = self.read_budget.run(requester, count).await?;
            return Ok(BulkDeletion { matched: u64::try_from(matched).unwrap_or(0), deleted: 0 });
        }
        let role = self.required_role(caller, scope).await?;
        let mutation = self.mutations.by_actor(caller, role);
        let deleted = self.store.delete_tokens(&query, MAX_BULK_DELETIONS, &mutation).await;
        self.node.revoke_and_wait(&mutation.context.request, deleted).await.map_err(map_feature_off)
    }
}
