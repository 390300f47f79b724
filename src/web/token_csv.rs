//! Export of the token lists as CSV.

use axum::response::Response;

use super::{error::PageResult, session_user::SessionUser, state::WebState, token_query::TokenQuery};
use crate::{
    domain::token_query::TokenPageQuery,
    http::{
        csv, list_stream,
        token_csv::{FILE_NAME, TokenCsv},
    },
    service::tokens::TokenScope,
};

/// Returns all tokens that match, on all pages, as a file to download.
pub(super) async fn csv_response(
    user: &SessionUser,
    state: &WebState,
    scope: TokenScope,
    query: &TokenQuery,
) -> PageResult<Response> {
    let caller = user.actor();
    if matches!(scope, TokenScope::Own) {
        state.tokens.ensure_enabled(&caller).await?;
    }
    let page = TokenPageQuery { sort: query.sort(), limit: None, offset: 0, after: None };
    let filter = query.filter(state.tokens.now());
    let (pages, _) = state.tokens.pages(&caller, scope, filter, &page, false).await?;
    let access = state.tokens.session_read_access(&caller).for_tokens(scope);
    let mut response = list_stream::respond(pages, access, TokenCsv).await?;
    csv::set_download_headers(response.headers_mut(), FILE_NAME);
    Ok(response)
}
