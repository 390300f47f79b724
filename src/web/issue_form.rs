//! Forms that create a token: who may submit one, and the page that shows the token.
//!
//! Only the response to the form contains the token value: no URL, cookie or session ever does.
//! Submitting the form again creates no second token.

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode, header::ORIGIN},
    response::Response,
};
use uuid::Uuid;

use super::{
    display_limits::DisplayLimits,
    error::{PageError, PageResult},
    form_error::FormError,
    format::DisplayTime,
    layout::{Layout, NavItem, render},
    reauth::require_recent_password,
    session_user::SessionUser,
    state::WebState,
    tokens::LIST_PATH,
};
use crate::{
    domain::{
        setting::Settings,
        token::{Description, Token},
    },
    service::{Error, tokens::ConsumedForm},
};
use tokenward_guard::token_format::TokenValue;

/// The page that shows a new token, once.
#[derive(Template)]
#[template(path = "generated.html")]
struct GeneratedPage<'a> {
    layout: Layout,
    value: &'a str,
    id: Uuid,
    description: &'a str,
    expires: Option<DisplayTime>,
    limits: DisplayLimits,
    replaced: Option<ReplacedToken>,
    account: Option<TokenAccount<'a>>,
    base_url: String,
}

/// The service account that owns a new token, with its page.
pub(super) struct TokenAccount<'a> {
    pub name: &'a str,
    pub nav_item: NavItem,
    pub path: &'a str,
}

/// The token that a new one has replaced.
pub(super) struct ReplacedToken {
    pub id: Uuid,
    pub end: ReplacedTokenEnd,
}

/// The end of a replaced token.
#[derive(Clone, Copy)]
pub(super) enum ReplacedTokenEnd {
    /// It was deleted in the same transaction.
    AtOnce,
    At(DisplayTime),
    /// The token could not be read after its replacement.
    Unknown,
}

/// Returns the settings that limit a new token.
///
/// # Errors
/// Returns an error page if the user may not generate tokens, and a redirect to the token list if the
/// feature is off.
pub(super) async fn issue_settings(state: &WebState, user: &SessionUser) -> PageResult<Settings> {
    state.tokens.check_may_issue(&user.person).await.map_err(|error| match error {
        Error::TokenCreationRestricted | Error::TokenAccessDisabled => PageError::message(
            StatusCode::FORBIDDEN,
            "You cannot generate tokens",
            "An administrator of the workspace can allow it. Your Access Tokens page shows whom to contact.",
        ),
        // The list shows the reason.
        Error::FeatureOff => PageError::Redirect(LIST_PATH),
        error => error.into(),
    })
}

/// Checks that a form was shown to this session, and that the password was entered recently, now or
/// before.
///
/// # Errors
/// The inner error is shown in the form, the outer one on a page of its own.
pub(super) async fn check_form(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    form: Option<Uuid>,
    own_password: Option<&str>,
) -> PageResult<Result<ConsumedForm, FormError>> {
    let is_own_form = |id: &Uuid| state.sessions.is_form_for(&user.session, *id);
    let Some(id) = form.filter(is_own_form) else {
        return Ok(Err(FormError::new(
            "Your session has changed since this page was opened. Nothing was generated. Submit the form again.",
        )));
    };
    if state.reauth_for_tokens
        && let Err(error) = require_recent_password(state, user, headers, own_password).await?
    {
        return Ok(Err(error));
    }
    Ok(Ok(ConsumedForm { session_id: user.session.id, id }))
}

/// Parses the description of a new token.
pub(super) fn parse_description(text: &str) -> Result<Description, FormError> {
    Description::parse(text.to_owned()).map_err(|invalid| FormError::from_invalid(&invalid))
}

/// Shows a new token, with the token that it replaces and the service account that owns it, if any.
pub(super) fn show_generated(
    user: &SessionUser,
    state: &WebState,
    headers: &HeaderMap,
    (value, token): &(TokenValue, Token),
    (replaced, account): (Option<ReplacedToken>, Option<TokenAccount<'_>>),
) -> PageResult<Response> {
    render(&GeneratedPage {
        layout: user.layout(account.as_ref().map_or(NavItem::Tokens, |account| account.nav_item)),
        value: value.expose(),
        id: token.id,
        description: &token.description,
        expires: token.expires_at.map(DisplayTime),
        limits: (&token.limits).into(),
        replaced,
        account,
        base_url: state.public_url.for_origin(headers.get(ORIGIN).and_then(|origin| origin.to_str().ok())),
    })
}
