//! The page of one token with its history, for its owner and for administrators.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use uuid::Uuid;

use super::{
    activity_rows::{ActivityDay, group_by_day},
    error::PageResult,
    extract::{PageForm, UuidPath},
    format::{TokenOwner, TokenRow, TokenState},
    layout::{Layout, NavItem, render},
    session_user::SessionUser,
    state::WebState,
    token_delete::{DeleteForm, delete_token, show_confirmation},
    token_list::is_feature_off,
    tokens::LIST_PATH,
};
use crate::{
    domain::token::{Token, TokenStatus},
    service::{
        Error,
        events::{EventCriteria, EventPageStart, EventScope},
    },
};

/// The number of events in the history on the page of a token.
const HISTORY_EVENTS: i64 = 20;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/preferences/access-tokens/{id}", get(show))
        .route("/preferences/access-tokens/{id}/delete", get(show_delete_form).post(delete))
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    layout: Layout,
    row: TokenRow,
    parent_id: Option<Uuid>,
    /// The viewer owns the token, which can be replaced.
    is_replaceable: bool,
    back_path: &'static str,
    back_label: &'static str,
    history: Vec<ActivityDay>,
    /// The path of all events of the token.
    activity_path: String,
}

/// The list from which the page of a token was opened: the navigation, its path and its label.
pub(super) struct TokenSection {
    pub nav_item: NavItem,
    pub list_path: &'static str,
    pub label: &'static str,
    pub activity_path: &'static str,
}

const OWN_TOKENS: TokenSection = TokenSection {
    nav_item: NavItem::Tokens,
    list_path: LIST_PATH,
    label: "Access Tokens",
    activity_path: "/preferences/activity",
};

/// Shows the page of a token.
pub(super) async fn show_token(
    user: &SessionUser,
    state: &WebState,
    token: Token,
    row: TokenRow,
    section: &TokenSection,
) -> PageResult<Response> {
    let is_own = token.person_id == user.person.id;
    let scope = match section.nav_item {
        NavItem::Tokens => EventScope::Own,
        _ => EventScope::Workspace { person_id: Some(token.person_id) },
    };
    let criteria = EventCriteria { token_id: Some(token.id), ..EventCriteria::default() };
    let events = state.events.list(&user.actor(), scope, criteria, EventPageStart::default(), HISTORY_EVENTS).await?;
    render(&TokenPage {
        layout: user.layout(section.nav_item),
        parent_id: token.parent_id,
        is_replaceable: is_own && row.is_replaceable(),
        back_path: section.list_path,
        back_label: section.label,
        history: group_by_day(events, section.activity_path),
        activity_path: format!("{}?token={}", section.activity_path, token.id),
        row,
    })
}

/// Finds a token of the user, and rejects those of other people, which the service returns to
/// administrators.
pub(super) async fn find_own(user: &SessionUser, state: &WebState, id: Uuid) -> PageResult<(Token, TokenRow)> {
    let (token, status): (Token, TokenStatus) = state.tokens.find(&user.actor(), id).await?;
    if token.person_id != user.person.id {
        return Err(Error::TokenNotFound.into());
    }
    let is_blocked = is_feature_off(state, &user.actor()).await? || !user.person.can_use_tokens();
    let token_state = TokenState::for_token(&token, status, is_blocked, state.tokens.now());
    Ok((token.clone(), TokenRow::new(token, token_state, None, LIST_PATH)))
}

/// Finds a token of the workspace, with its owner.
pub(super) async fn find_in_workspace(
    user: &SessionUser,
    state: &WebState,
    id: Uuid,
    list_path: &str,
) -> PageResult<(Token, TokenRow)> {
    let administrator = user.actor();
    let (token, status) = state.tokens.find(&administrator, id).await?;
    let owner = state.people.find(&administrator, token.person_id).await?;
    let is_blocked = !owner.can_use_tokens() || is_feature_off(state, &administrator).await?;
    let token_state = TokenState::for_token(&token, status, is_blocked, state.tokens.now());
    let owner = TokenOwner { id: owner.id, email: owner.email };
    Ok((token.clone(), TokenRow::new(token, token_state, Some(owner), list_path)))
}

async fn show(user: SessionUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    let (token, row) = find_own(&user, &state, id).await?;
    show_token(&user, &state, token, row, &OWN_TOKENS).await
}

async fn show_delete_form(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    UuidPath(id): UuidPath,
) -> PageResult<Response> {
    let (_, row) = find_own(&user, &state, id).await?;
    show_confirmation(&user, &headers, row, (NavItem::Tokens, LIST_PATH))
}

async fn delete(
    user: SessionUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
    PageForm(form): PageForm<DeleteForm>,
) -> PageResult<Response> {
    find_own(&user, &state, id).await?;
    delete_token(&user, &state, id, &form, LIST_PATH).await
}
