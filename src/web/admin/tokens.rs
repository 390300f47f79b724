//! The tokens of all people in the workspace.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

use crate::{
    service::{events::EventScope, tokens::TokenScope},
    web::{
        error::PageResult,
        extract::{LenientQuery, PageForm, UuidPath},
        format::TokenOwner,
        layout::{Layout, NavItem, render},
        session_user::AdminUser,
        state::WebState,
        token_delete::{DeleteForm, delete_token, deletion_notice, show_confirmation},
        token_list::{TokenList, is_feature_off, list_page},
        token_page::{TokenSection, find_in_workspace, show_token},
        token_query::TokenQuery,
    },
};

const LIST_PATH: &str = "/admin/tokens";
const ALL_TOKENS: TokenSection = TokenSection {
    nav_item: NavItem::AllTokens,
    list_path: LIST_PATH,
    label: "All tokens",
    activity_path: "/admin/activity",
};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/admin/tokens/{id}", get(show))
        .route("/admin/tokens/{id}/delete", get(show_delete_form).post(delete))
}

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct AllTokensPage<'a> {
    layout: Layout,
    workspace: &'a str,
    person: Option<TokenOwner>,
    is_feature_off: bool,
    list: TokenList,
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
    let notice = deletion_notice(&state, &administrator, EventScope::Workspace { person_id: None }, &query).await?;
    render(&AllTokensPage {
        layout: user.layout(NavItem::AllTokens).with_notice(query.done.as_deref()).with_text(notice),
        workspace: &user.workspace_name,
        person: person.map(|person| TokenOwner { id: person.id, email: person.email }),
        is_feature_off: is_feature_off(&state, &administrator).await?,
        list: list_page(&state, &administrator, scope, &query, LIST_PATH).await?,
        unused_since: query.unused_since().unwrap_or_default(),
    })
}

async fn show(user: AdminUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    let (token, row) = find_in_workspace(&user, &state, id, LIST_PATH).await?;
    show_token(&user, &state, token, row, &ALL_TOKENS).await
}

async fn show_delete_form(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    UuidPath(id): UuidPath,
) -> PageResult<Response> {
    let (_, row) = find_in_workspace(&user, &state, id, LIST_PATH).await?;
    show_confirmation(&user, &headers, row, (NavItem::AllTokens, LIST_PATH))
}

async fn delete(
    user: AdminUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
    PageForm(form): PageForm<DeleteForm>,
) -> PageResult<Response> {
    delete_token(&user, &state, id, &form, LIST_PATH).await
}
