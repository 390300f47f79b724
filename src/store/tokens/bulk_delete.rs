//! Deletion of all tokens that match a filter.

use sqlx::{Database, Encode, QueryBuilder, Type};
use uuid::Uuid;

use super::{DeletedTokenWithDigest, OwnerScope, TokenListQuery, list::filtered_query, parse_digest};
use crate::{
    domain::{
        authority::Mutation,
        event::{Action, Details},
        invalidation::Invalidation,
        time::Timestamp,
    },
    store::{Committed, Result, Store, authority::begin, event_batch::record_all, events::EventDraft, on_pool},
};

/// Result of a bulk deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkDeletion {
    /// Number of tokens that matched the filter.
    pub matched: u64,
    /// Number of tokens that were deleted.
    pub deleted: u64,
}

const COUNT: &str = "select count(*) from unrevoked_token t";
const DELETE: &str = "delete from token where id in (select t.id from unrevoked_token t";
const RETURNING: &str = ") returning id, person_id, display_prefix, description, digest";

impl Store {
    /// Deletes up to `limit` of the tokens that match the query, those with the lowest IDs first. The
    /// audit log gets one event for each token, and one with the filter and the count. Concurrent calls
    /// delete each token once.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`](crate::store::Error::Unavailable) if the database cannot be
    /// reached or does not respond in time, and
    /// [`Error::AuthorizationLost`](crate::store::Error::AuthorizationLost) if the caller lost its right
    /// meanwhile.
    pub async fn delete_tokens(
        &self,
        query: &TokenListQuery,
        limit: i64,
        mutation: &Mutation,
    ) -> Result<Committed<BulkDeletion>> {
        let workspace_id = query.scope.workspace_id();
        on_pool!(self, pool => {
            let (mut tx, context, _) = begin!(self, pool, workspace_id, mutation);
            let matched: i64 = filtered_query(COUNT, query).build_query_scalar().fetch_one(&mut *tx).await?;
            let deleted: Vec<DeletedTokenWithDigest> =
                limited_deletion(query, limit).build_query_as().fetch_all(&mut *tx).await?;
            let matched = u64::try_from(matched).unwrap_or(0);
            if deleted.is_empty() {
                return Ok(Committed::unchanged(BulkDeletion { matched, deleted: 0 }));
            }
            let digests = deleted.iter().map(|row| parse_digest(&row.digest)).collect::<Result<Vec<_>>>()?;
            let ids: Vec<String> = deleted.iter().map(|row| row.token.id.to_string()).collect();
            let target = scope_text(query.scope);
            let label = format!("{} token{}", ids.len(), if ids.len() == 1 { "" } else { "s" });
            let mut events: Vec<EventDraft<'_>> =
                deleted.iter().zip(&ids).map(|(row, id)| row.token.event(Action::TokenDeleted, id)).collect();
            events.push(summary_event(query, ids.len(), &target, &label));
            record_all!(tx, workspace_id, context, events);
            tx.commit().await?;
            let deletion = BulkDeletion { matched, deleted: u64::try_from(ids.len()).unwrap_or(0) };
            Ok(Committed::new(deletion, digests.into_iter().map(Invalidation::Token).collect()))
        })
    }
}

fn limited_deletion<DB>(query: &TokenListQuery, limit: i64) -> QueryBuilder<DB>
where
    DB: Database<Arguments: Default>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    Timestamp: for<'q> Encode<'q, DB> + Type<DB>,
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut statement = filtered_query(DELETE, query);
    statement.push(" order by t.id limit ").push_bind(limit).push(RETURNING);
    statement
}

/// Returns the target of the summary event: the person or the workspace.
fn scope_text(scope: OwnerScope) -> String {
    match scope {
        OwnerScope::Person { person_id, .. } | OwnerScope::Custody { person_id, .. } => person_id.to_string(),
        OwnerScope::Workspace(workspace_id) => workspace_id.to_string(),
    }
}

fn summary_event<'a>(query: &TokenListQuery, count: usize, target: &'a str, label: &'a str) -> EventDraft<'a> {
    let details = Details::default().with("count", count).with("filter", query.filter.to_fields());
    let person_id = query.scope.person_id();
    EventDraft { action: Action::TokensBulkDeleted, person_id, target, label, details }
}
