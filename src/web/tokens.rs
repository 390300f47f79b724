//! The list of a person's own tokens, and the pages that delete one or all of them.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    error::{PageResult, see_other},
    extract::{LenientQuery, PageForm, UuidPath},
    form_error::FormError,
    format::{EXPIRES_SOON_SECONDS, TokenOwner, TokenRow, TokenState},
    layout::{Layout, NavItem, render, render_with_status},
    messages::for_error,
    pagination::{PAGE_SIZE, PageRequest, Pager, page_path},
    reauth::require_recent_password,
    session_user::SessionUser,
    state::WebState,
};
use crate::{
    domain::{
        time::Timestamp,
        token::{Token, TokenStatus},
        token_query::{Cursor, Sort, SortKey, TokenFilter, TokenPageQuery},
    },
    http::cursor,
    service::{
        Error,
        tokens::{ListedToken, TokenScope},
    },
};
use tokenward_guard::Principal;

/// The path of the list.
pub(super) const LIST_PATH: &str = "/preferences/access-tokens";
const NEWEST_FIRST: Sort = Sort { key: SortKey::CreatedAt, descending: true };
const OLDEST_FIRST: Sort = Sort { key: SortKey::CreatedAt, descending: false };

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/preferences", get(async || see_other(LIST_PATH)))
        .route("/preferences/access-tokens/{id}/delete", get(show_delete_form).post(delete))
        .route("/preferences/access-tokens/delete-all", get(show_delete_all_form).post(delete_all))
}

/// The query string of a token list: filters, cursors and notice.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct TokenQuery {
    pub search: Option<String>,
    pub status: Option<String>,
    pub unused_since: Option<String>,
    pub person: Option<String>,
    #[serde(skip_serializing)]
    pub after: Option<String>,
    #[serde(skip_serializing)]
    pub before: Option<String>,
    #[serde(skip_serializing)]
    pub done: Option<String>,
}

impl TokenQuery {
    /// Returns whether a filter is set.
    pub(super) fn is_filtered(&self) -> bool {
        [&self.search, &self.status, &self.unused_since]
            .into_iter()
            .any(|field| field.as_ref().is_some_and(|f| !f.is_empty()))
    }

    pub(super) fn search(&self) -> &str {
        self.search.as_deref().unwrap_or_default()
    }

    /// Returns the date since which tokens are unused, if it is valid.
    pub(super) fn unused_since(&self) -> Option<&str> {
        self.unused_since.as_deref().filter(|text| Timestamp::parse_date(text).is_some())
    }

    /// Returns the options of the status filter: value, label, and whether it is selected.
    pub(super) fn statuses(&self) -> [(&'static str, &'static str, bool); 4] {
        let selected = self.status.as_deref().unwrap_or_default();
        [("", "All"), ("active", "Active"), ("soon", "Expires soon"), ("expired", "Expired")]
            .map(|(value, label)| (value, label, value == selected))
    }

    pub(super) fn filter(&self, now: Timestamp) -> TokenFilter {
        let (status, expires_by) = match self.status.as_deref() {
            Some("active") => (Some(TokenStatus::Active), None),
            Some("soon") => (Some(TokenStatus::Active), Some(now.plus_seconds(EXPIRES_SOON_SECONDS))),
            Some("expired") => (Some(TokenStatus::Expired), None),
            _ => (None, None),
        };
        let search = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let search = search.map(|text| text.chars().take(255).collect());
        TokenFilter { status, expires_by, unused_since: self.unused_since().and_then(Timestamp::parse_date), search }
    }

    fn page_request(&self) -> PageResult<PageRequest<Cursor>> {
        let parse =
            |encoded: &Option<String>, sort| encoded.as_deref().map(|text| cursor::decode(text, sort)).transpose();
        Ok(PageRequest::from_cursors(parse(&self.after, NEWEST_FIRST)?, parse(&self.before, NEWEST_FIRST)?))
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

/// Returns a page of a token list, newest first.
pub(super) async fn list_page(
    state: &WebState,
    caller: &Principal,
    scope: TokenScope,
    query: &TokenQuery,
    list_path: &str,
) -> PageResult<(Vec<TokenRow>, Pager)> {
    let page_request = query.page_request()?;
    let (sort, after) = match &page_request {
        PageRequest::First => (NEWEST_FIRST, None),
        PageRequest::After(cursor) => (NEWEST_FIRST, Some(cursor.clone())),
        PageRequest::Before(cursor) => (OLDEST_FIRST, Some(cursor.clone())),
    };
    let page = TokenPageQuery { sort, limit: i64::try_from(PAGE_SIZE + 1).ok(), offset: 0, after };
    let now = state.tokens.now();
    let is_feature_off = is_feature_off(state, caller).await?;
    let mut rows = state.tokens.list(caller, scope, query.filter(now), &page).await?;
    if !page.sort.descending {
        rows.reverse();
    }
    let to_cursor =
        |listed: &ListedToken| cursor::encode(&Cursor::from_token(&listed.token, SortKey::CreatedAt), NEWEST_FIRST);
    let pager =
        page_request.split(&mut rows, to_cursor, |direction, cursor| page_path(list_path, query, direction, &cursor));
    let row = |listed: ListedToken| {
        let token_state = TokenState::for_token(&listed.token, listed.status, is_feature_off || listed.is_blocked, now);
        let owner = TokenOwner { id: listed.token.person_id, email: listed.email };
        TokenRow::new(
            listed.token,
            token_state,
            matches!(scope, TokenScope::Workspace { .. }).then_some(owner),
            list_path,
        )
    };
    Ok((rows.into_iter().map(row).collect(), pager))
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage<'a> {
    layout: Layout,
    is_feature_off: bool,
    /// The reason why the user may not generate tokens.
    denied_reason: Option<String>,
    /// The administrators to contact.
    contacts: String,
    rows: Vec<TokenRow>,
    pager: Pager,
    is_filtered: bool,
    search: &'a str,
    statuses: [(&'static str, &'static str, bool); 4],
}

async fn list(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    let error = state.tokens.check_may_issue(&user.person).await.err();
    let is_feature_off = matches!(error, Some(Error::FeatureOff));
    let denied_reason = match error {
        None => None,
        Some(error @ (Error::Unavailable(_) | Error::Internal(_) | Error::CallerRevoked)) => return Err(error.into()),
        Some(error) => Some(for_error(&error)),
    };
    let (rows, pager) = if is_feature_off {
        Default::default()
    } else {
        list_page(&state, &user.actor(), TokenScope::Own, &query, LIST_PATH).await?
    };
    let contacts = match denied_reason {
        None => String::new(),
        Some(_) => state.people.admin_contacts(user.person.workspace_id).await?.join(" or "),
    };
    render(&TokensPage {
        layout: user.layout(NavItem::Tokens).with_notice(query.done.as_deref()),
        is_feature_off,
        denied_reason,
        contacts,
        rows,
        pager,
        is_filtered: query.is_filtered(),
        search: query.search(),
        statuses: query.statuses(),
    })
}

/// The confirmation page for deleting a token.
#[derive(Template)]
#[template(path = "delete_token.html")]
pub(super) struct DeleteTokenPage {
    pub layout: Layout,
    pub row: TokenRow,
    pub back_path: &'static str,
    pub back_label: &'static str,
}

async fn show_delete_form(
    user: SessionUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
) -> PageResult<Response> {
    let (token, status) = ensure_own_token(state.tokens.find(&user.actor(), id).await?, &user)?;
    let is_blocked = is_feature_off(&state, &user.actor()).await? || !user.person.can_use_tokens();
    let token_state = TokenState::for_token(&token, status, is_blocked, state.tokens.now());
    let row = TokenRow::new(token, token_state, None, LIST_PATH);
    let layout = user.layout(NavItem::Tokens);
    render(&DeleteTokenPage { layout, row, back_path: LIST_PATH, back_label: "Access Tokens" })
}

/// Rejects tokens of other people, which the service returns to administrators.
fn ensure_own_token((token, status): (Token, TokenStatus), user: &SessionUser) -> PageResult<(Token, TokenStatus)> {
    if token.person_id == user.person.id { Ok((token, status)) } else { Err(Error::TokenNotFound.into()) }
}

async fn delete(user: SessionUser, State(state): State<WebState>, UuidPath(id): UuidPath) -> PageResult<Response> {
    let caller = user.actor();
    ensure_own_token(state.tokens.find(&caller, id).await?, &user)?;
    state.tokens.delete(&caller, id).await?;
    Ok(see_other("/preferences/access-tokens?done=deleted"))
}

/// The confirmation page for deleting all tokens of a person.
#[derive(Template)]
#[template(path = "delete_all.html")]
pub(super) struct DeleteAllPage<'a> {
    pub layout: Layout,
    pub error: Option<&'a str>,
    pub question: String,
    pub active_tokens: i64,
    pub action: String,
    pub back_path: String,
    pub back_label: &'a str,
    pub needs_reauth: bool,
}

/// A form that may require re-authentication.
#[derive(Deserialize)]
pub(super) struct ReauthForm {
    pub own_password: Option<Zeroizing<String>>,
}

impl ReauthForm {
    pub(super) fn password(&self) -> Option<&str> {
        self.own_password.as_ref().map(|password| password.as_str())
    }
}

async fn delete_all_page<'a>(
    user: &'a SessionUser,
    state: &WebState,
    error: Option<&'a str>,
) -> PageResult<DeleteAllPage<'a>> {
    let counts = state.tokens.count_holders(&user.actor(), Some(user.person.id)).await?;
    Ok(DeleteAllPage {
        layout: user.layout(NavItem::Tokens),
        error,
        question: "Delete all your tokens?".to_owned(),
        active_tokens: counts.tokens,
        action: "/preferences/access-tokens/delete-all".to_owned(),
        back_path: LIST_PATH.to_owned(),
        back_label: "Access Tokens",
        needs_reauth: user.needs_reauth(),
    })
}

async fn show_delete_all_form(user: SessionUser, State(state): State<WebState>) -> PageResult<Response> {
    render(&delete_all_page(&user, &state, None).await?)
}

async fn delete_all(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => {
            state.tokens.delete_all(&user.actor(), user.person.id).await?;
            Ok(see_other("/preferences/access-tokens?done=all-deleted"))
        }
        Err(FormError { status, message }) => {
            render_with_status(status, &delete_all_page(&user, &state, Some(&message)).await?)
        }
    }
}
