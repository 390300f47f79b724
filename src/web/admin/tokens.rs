//! The tokens of all people in the workspace.

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};

use crate::{
    service::tokens::TokenScope,
    web::{
        error::{PageResult, see_other},
        extract::{LenientQuery, UuidPath},
        format::{TokenOwner, TokenRow, TokenState},
        layout::{Layout, NavItem, render},
        pagination::Pager,
        session_user::AdminUser,
        state::WebState,
        tokens::{DeleteTokenPage, TokenQuery, is_feature_off, list_page},
    },
};

const LIST_PATH: &str = "/admin/tokens";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(LIST_PATH, get(list)).route("/admin/tokens/{id}/delete", get(show_delete_form).post(delete))
}

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct AllTokensPage<'a> {
    layout: Layout,
    workspace: &'a str,
    person: Option<TokenOwner>,
    is_feature_off: bool,
    rows: Vec<TokenRow>,
    pager: Pager,
    is_filtered: bool,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
    unused_since: &'a str,
}

async fn list(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    let administrator = user.actor();
    let person = match query.person.as_deref().and_then(|text| text.parse().ok()) {
        Some(id) => Some(state.people.find(&administrator, id).await?),
        None => None,
    };
    let scope = TokenScope::Workspace { person_id: person.as_ref().map(|person| person.id) };
    let (rows, pager) = list_page(&state, &administrator, scope, &query, LIST_PATH).await?;
    render(&AllTokensPage {
        layout: user.layout(NavItem::AllTokens).with_notice(query.done.as_deref()),
        workspace: &user.workspace_name,
        person: person.map(|person| TokenOwner { id: person.id, email: person.email }),
        is_feature_off: is_feature_off(&state, &administrator).await?,
        rows,
        pager,
        is_filtered: query.is_filtered(),
        search: query.search(),
        statuses: query.statuses(),
        unused_since: query.unused_since().unwrap_or_default(),
    })
}

async fn show_delete_form(
    user: AdminUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
) -> PageResult<Response> {
    let administrator = user.actor();
    let (token, status) = state.tokens.find(&administrator, id).await?;
    let owner = state.people.find(&administrator, token.person_id).await?;
    let is_blocked = !owner.can_use_tokens() || is_feature_off(&state, &administrator).await?;
    let token_state = TokenState::for_token(&token, status, is_blocked, state.tokens.now());
    let row = TokenRow::new(token, token_state, Some(TokenOwner { id: owner.id, email: owner.email }), LIST_PATH);
    let layout = user.layout(NavItem::AllTokens);
    render(&DeleteTokenPage { layout, row, back_path: LIST_PATH, back_label: "All tokens" })
}

async fn delete(user: AdminUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    state.tokens.delete(&user.actor(), id).await?;
    Ok(see_other("/admin/tokens?done=deleted"))
}
