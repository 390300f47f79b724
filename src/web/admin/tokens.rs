//! The tokens of all people in the workspace.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

use crate::{
    domain::id::PersonId,
    service::{events::EventScope, tokens::TokenScope},
    web::{
        bulk_delete::{BulkDeleteForm, BulkDeleteSection, delete_rows, deletion_count_notice, show_bulk_delete},
        error::PageResult,
        extract::{LenientQuery, PageForm, UuidPath},
        format::TokenOwner,
        layout::{Layout, NavItem, render},
        session_user::AdminUser,
        state::WebState,
        token_csv::csv_response,
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
        .route("/admin/tokens.csv", get(export))
        .route("/admin/tokens/delete-matching", get(show_bulk_delete_form).post(delete_matching))
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
    let notice = notice.or_else(|| deletion_count_notice(&query));
    render(&AllTokensPage {
        layout: user.layout(NavItem::AllTokens).with_notice(query.done.as_deref()).with_text(notice),
        workspace: &user.workspace_name,
        person: person.map(|person| TokenOwner { id: person.id, email: person.email }),
        is_feature_off: is_feature_off(&state, &administrator).await?,
        list: list_page(&state, &administrator, scope, &query, LIST_PATH).await?,
    })
}

/// The list of all tokens, for bulk deletions.
const SECTION: BulkDeleteSection =
    BulkDeleteSection { nav_item: NavItem::AllTokens, list_path: LIST_PATH, label: "All tokens" };

/// Returns the scope of the query: the workspace, or one person of it.
fn scope_of(query: &TokenQuery) -> TokenScope {
    let person_id = query.person.as_deref().and_then(|text| text.parse().ok()).map(PersonId::new);
    TokenScope::Workspace { person_id }
}

async fn export(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    csv_response(&user, &state, scope_of(&query), &query).await
}

async fn show_bulk_delete_form(
    user: AdminUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    show_bulk_delete(&user, &state, scope_of(&query), &query, &SECTION).await
}

async fn delete_matching(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<BulkDeleteForm>,
) -> PageResult<Response> {
    let scope = scope_of(&form.query());
    delete_rows(&user, &state, &headers, scope, &form, &SECTION).await
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
