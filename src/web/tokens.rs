//! The list of a person's own tokens, and the page that deletes all of them.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    bulk_delete::{BulkDeleteForm, BulkDeleteSection, delete_rows, deletion_count_notice, show_bulk_delete},
    error::{PageResult, see_other},
    extract::{LenientQuery, PageForm},
    form_error::FormError,
    format::DisplayTime,
    layout::{Layout, NavItem, render, render_with_status},
    messages::for_error,
    reauth::{Reauth, require_recent_password},
    session_user::SessionUser,
    state::WebState,
    token_csv::csv_response,
    token_delete::deletion_notice,
    token_list::{TokenList, list_page},
    token_query::TokenQuery,
};
use crate::service::{
    Error,
    events::EventScope,
    tokens::{TokenPause, TokenScope},
};

/// The path of the list.
pub(super) const LIST_PATH: &str = "/preferences/access-tokens";
pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route(LIST_PATH, get(list))
        .route("/preferences/access-tokens.csv", get(export))
        .route("/preferences/access-tokens/delete-matching", get(show_bulk_delete_form).post(delete_matching))
        .route("/preferences", get(async || see_other(LIST_PATH)))
        .route("/preferences/access-tokens/delete-all", get(show_delete_all_form).post(delete_all))
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    layout: Layout,
    is_feature_off: bool,
    /// The reason why the user may not generate tokens.
    denied_reason: Option<String>,
    /// The administrators to contact.
    contacts: String,
    /// The user is a custodian of service accounts.
    has_service_accounts: bool,
    /// The time at which the tokens of the user pause, and the provider.
    pause: Option<Pause>,
    /// `None` if the feature is off.
    list: Option<TokenList>,
}

/// The pausing of tokens without a sign-in through the provider.
struct Pause {
    provider: String,
    at: DisplayTime,
    is_paused: bool,
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
    let list = match is_feature_off {
        true => None,
        false => Some(list_page(&state, &user.actor(), TokenScope::Own, &query, LIST_PATH).await?),
    };
    let contacts = match denied_reason {
        None => String::new(),
        Some(_) => state.people.admin_contacts(user.person.workspace_id).await?.join(" or "),
    };
    let notice = deletion_notice(&state, &user.actor(), EventScope::Own, &query).await?;
    let notice = notice.or_else(|| deletion_count_notice(&query));
    let layout = user.layout(NavItem::Tokens).with_notice(query.done.as_deref()).with_text(notice);
    let has_service_accounts = state.people.has_own_service_accounts(&user.actor()).await?;
    let pause = state.tokens.pause_of(&user.person).await?;
    let pause = pause.map(|TokenPause { provider, at, is_paused }| Pause { provider, at: DisplayTime(at), is_paused });
    render(&TokensPage { layout, is_feature_off, denied_reason, contacts, has_service_accounts, pause, list })
}

/// The list of own tokens, for bulk deletions.
const SECTION: BulkDeleteSection =
    BulkDeleteSection { nav_item: NavItem::Tokens, list_path: LIST_PATH, label: "Access Tokens" };

async fn export(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    csv_response(&user, &state, TokenScope::Own, &query).await
}

async fn show_bulk_delete_form(
    user: SessionUser,
    State(state): State<WebState>,
    LenientQuery(query): LenientQuery<TokenQuery>,
) -> PageResult<Response> {
    show_bulk_delete(&user, &state, TokenScope::Own, &query, &SECTION).await
}

async fn delete_matching(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<BulkDeleteForm>,
) -> PageResult<Response> {
    delete_rows(&user, &state, &headers, TokenScope::Own, &form, &SECTION).await
}

/// The confirmation page for deleting all tokens of a person.
#[derive(Template)]
#[template(path = "delete_all.html")]
pub(super) struct DeleteAllPage<'a> {
    pub layout: Layout,
    pub error: Option<&'a FormError>,
    pub question: String,
    pub active_tokens: i64,
    pub action: String,
    pub back_path: String,
    pub back_label: &'a str,
    pub reauth: Reauth,
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
    error: Option<&'a FormError>,
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
        reauth: user.reauth(),
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
        Err(error) => render_with_status(error.status, &delete_all_page(&user, &state, Some(&error)).await?),
    }
}
