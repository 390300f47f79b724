//! Operations on tokens by the operator at the command line.

use uuid::Uuid;

use super::{ListedToken, Tokens};
use crate::{
    domain::{
        id::WorkspaceId,
        token_filter::TokenFilter,
        token_query::{Cursor, Sort, SortKey, TokenPageQuery},
    },
    service::{Error, Result, read_budget::ReadRequester},
    store::{OwnerScope, TokenListQuery},
};

/// The number of tokens per query.
const PAGE_SIZE: i64 = 1_000;

impl Tokens {
    /// Lists all tokens in `scope`, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database is unreachable or too slow.
    pub async fn list_as_operator(&self, scope: OwnerScope) -> Result<Vec<ListedToken>> {
        let list_query = TokenListQuery { scope, filter: TokenFilter::default(), now: self.clock.now() };
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let sort = Sort { key: SortKey::CreatedAt, descending: false };
            let page = TokenPageQuery { sort, limit: Some(PAGE_SIZE), offset: 0, after };
            let (store, query) = (self.store.clone(), list_query.clone());
            let rows = async move { store.list_tokens(&query, &page).await };
            let rows = self.read_budget.run(ReadRequester::operator(), rows).await?;
            let Some((last, _)) = rows.last() else { return Ok(listed) };
            after = Some(Cursor::from_token(last, SortKey::CreatedAt));
            listed.extend(rows.into_iter().map(|row| ListedToken::new(row, list_query.now)));
        }
    }

    /// Deletes a token of a workspace. When it returns, no auth check accepts the token.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`] if the workspace has no such token.
    pub async fn delete_as_operator(&self, workspace_id: WorkspaceId, id: Uuid) -> Result<()> {
        let mutation = self.mutations.by_operator();
        let deleted = self.store.delete_token(OwnerScope::Workspace(workspace_id), id, &mutation).await;
        let deleted = self.node.revoke_and_wait(&mutation.context.request, deleted).await?;
        if deleted.is_some() { Ok(()) } else { Err(Error::TokenNotFound) }
    }
}
