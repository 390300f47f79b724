//! One page of a token list, for a person's own tokens and those of the workspace.

use super::{
    error::PageResult,
    format::{TokenOwner, TokenRow, TokenState},
    pagination::{PAGE_SIZE, PageRange, PageRequest, Pager, page_path, path_with_fields},
    state::WebState,
    token_query::{ExpiryOption, SortColumn, StatusTab, TokenQuery},
};
use crate::{
    domain::{
        token::TokenStatus,
        token_query::{Cursor, Sort, TokenPageQuery},
    },
    http::cursor,
    service::{
        Error,
        tokens::{ListedToken, TokenScope},
    },
};
use tokenward_guard::Principal;

/// A page of a token list.
pub(super) struct TokenList {
    pub rows: Vec<TokenRow>,
    pub pager: Pager,
    pub tabs: [StatusTab; 2],
    pub columns: [SortColumn; 4],
    /// The table has a column with the owner.
    pub has_owners: bool,
    pub is_filtered: bool,
    pub search: String,
    /// The status of the selected tab, as the query string names it.
    pub status: &'static str,
    pub sort: String,
    pub unused_since: String,
    pub never_used: bool,
    pub expiry_options: [ExpiryOption; 3],
    /// The path of all rows as CSV.
    pub csv_path: String,
    /// The path of the page that deletes the rows, if they are a part of the tokens.
    pub delete_path: Option<String>,
    /// The number of rows on all pages.
    pub count: i64,
}

impl TokenList {
    /// Returns whether there is no token at all, whatever the tab.
    pub(super) fn has_no_tokens(&self) -> bool {
        !self.is_filtered && self.tabs.iter().all(|tab| tab.count == 0)
    }
}

/// Returns whether the workspace has API access tokens switched off.
pub(super) async fn is_feature_off(state: &WebState, caller: &Principal) -> PageResult<bool> {
    match state.tokens.ensure_enabled(caller).await {
        Ok(()) => Ok(false),
        Err(Error::FeatureOff) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Returns a page of a token list.
pub(super) async fn list_page(
    state: &WebState,
    caller: &Principal,
    scope: TokenScope,
    query: &TokenQuery,
    list_path: &str,
) -> PageResult<TokenList> {
    let page_request = query.page_request()?;
    let sort = query.sort();
    let reversed = Sort { descending: !sort.descending, ..sort };
    let (direction, after) = match &page_request {
        PageRequest::First => (sort, None),
        PageRequest::After(cursor) => (sort, Some(cursor.clone())),
        PageRequest::Before(cursor) => (reversed, Some(cursor.clone())),
    };
    let page = TokenPageQuery { sort: direction, limit: i64::try_from(PAGE_SIZE + 1).ok(), offset: 0, after };
    let filter = query.filter(state.tokens.now());
    let mut listed = state.tokens.list(caller, scope, filter.clone(), &page).await?;
    if direction != sort {
        listed.reverse();
    }
    let to_cursor = |listed: &ListedToken| cursor::encode(&Cursor::from_token(&listed.token, sort.key), sort);
    let pager =
        page_request.split(&mut listed, to_cursor, |direction, cursor| page_path(list_path, query, direction, &cursor));
    let counts = state.tokens.count_by_status(caller, scope, filter).await?;
    let count = if query.status() == TokenStatus::Active { counts.active } else { counts.expired };
    let range = PageRange::new(query.from(), listed.len(), count);
    let has_owners = matches!(scope, TokenScope::Workspace { .. });
    Ok(TokenList {
        rows: to_rows(state, caller, listed, has_owners, list_path).await?,
        pager: pager.with_range(range),
        tabs: query.tabs(list_path, counts),
        columns: query.columns(list_path),
        has_owners,
        is_filtered: query.is_filtered(),
        search: query.search().to_owned(),
        status: if query.status() == TokenStatus::Expired { "expired" } else { "" },
        sort: query.sort.clone().unwrap_or_default(),
        unused_since: query.unused_since().unwrap_or_default().to_owned(),
        never_used: query.never_used(),
        expiry_options: query.expiry_options(),
        csv_path: path_with_fields(&format!("{list_path}.csv"), query, &[]),
        delete_path: (count > 0 && query.is_selection())
            .then(|| path_with_fields(&format!("{list_path}/delete-matching"), query, &[])),
        count,
    })
}

async fn to_rows(
    state: &WebState,
    caller: &Principal,
    listed: Vec<ListedToken>,
    has_owners: bool,
    list_path: &str,
) -> PageResult<Vec<TokenRow>> {
    let now = state.tokens.now();
    let is_feature_off = is_feature_off(state, caller).await?;
    let row = |listed: ListedToken| {
        let token_state = TokenState::for_token(&listed.token, listed.status, is_feature_off || listed.is_blocked, now);
        let owner = TokenOwner { id: listed.token.person_id, email: listed.email };
        TokenRow::new(listed.token, token_state, has_owners.then_some(owner), list_path)
    };
    Ok(listed.into_iter().map(row).collect())
}
