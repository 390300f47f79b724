//! The page that replaces a token by a newer one with the same limits. The older token works until
//! the end of a grace period.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    draft::Draft,
    error::{PageError, PageResult},
    extract::{PageForm, UuidPath},
    form_error::FormError,
    format::{DisplayTime, TokenRow, TokenState},
    issue_form::{ReplacedToken, ReplacedTokenEnd, check_form, issue_settings, parse_description, show_generated},
    layout::{Layout, NavItem, render_form},
    lifetime_fields::{LifetimeChoices, LifetimeFields},
    reauth::Reauth,
    session_user::SessionUser,
    state::WebState,
    token_page::find_own,
};
use crate::{
    domain::{
        ValidationError,
        setting::Settings,
        token::{GracePeriod, Token},
    },
    service::{
        Error,
        tokens::{Idempotency, Replaces, TokenRequest},
    },
};
use tokenward_guard::token_format::TokenValue;

/// The grace periods to choose from, in seconds.
const GRACE_PERIODS: [(i64, &str); 5] = [
    (0, "At once"),
    (3_600, "After 1 hour"),
    (86_400, "After 1 day"),
    (604_800, "After 7 days"),
    (2_592_000, "After 30 days"),
];

const EXPIRED: &str = "It has expired. Generate a new token instead.";
const ALREADY_REPLACED: &str = "It was replaced before. Replace the newer token instead.";
const SCOPES_REQUIRED: &str =
    "It has full access, but this workspace requires scopes. Generate a new token with scopes instead.";
const SUBMITTED_BEFORE: &str =
    "You have replaced it already. The new token was shown once. Lost it? Delete it and generate a new one.";

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/preferences/access-tokens/{id}/replace", get(show_form).post(replace))
}

#[derive(Template)]
#[template(path = "replace.html")]
struct ReplacePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    form_id: Uuid,
    /// The token to replace.
    row: TokenRow,
    lifetime: LifetimeChoices<'a>,
    description: &'a str,
    grace: Vec<GraceChoice>,
    reauth: Reauth,
}

/// A grace period to choose.
struct GraceChoice {
    seconds: i64,
    label: &'static str,
    is_selected: bool,
}

#[derive(Deserialize)]
struct ReplaceForm {
    form: Option<Uuid>,
    #[serde(default)]
    description: String,
    /// A number of seconds.
    #[serde(default)]
    grace: String,
    own_password: Option<Zeroizing<String>>,
    #[serde(flatten)]
    lifetime: LifetimeFields,
}

impl ReplaceForm {
    /// Returns the form with the description and the lifetime of the replaced token.
    fn of_replaced(token: &Token, max_days: Option<i64>) -> Self {
        Self {
            form: None,
            description: token.description.clone(),
            grace: GracePeriod::DEFAULT.as_seconds().to_string(),
            own_password: None,
            lifetime: LifetimeFields::of_replaced(token, max_days),
        }
    }

    /// Returns the request for the new token. It inherits scopes and networks.
    ///
    /// # Errors
    /// The reason why the form is rejected.
    fn parse(&self, token_id: Uuid, max_days: Option<i64>) -> Result<TokenRequest, FormError> {
        // Text that is no number is no choice of the form.
        let grace = GracePeriod::from_seconds(self.grace.trim().parse().unwrap_or(-1));
        let grace = grace.map_err(|invalid| FormError::from_invalid(&invalid))?;
        let lifetime = if self.lifetime.is_same() { None } else { Some(self.lifetime.parse(max_days)?) };
        Ok(TokenRequest {
            lifetime,
            description: Some(parse_description(&self.description)?),
            replaces: Some(Replaces { token_id, grace }),
            ..TokenRequest::default()
        })
    }
}

async fn show_form(
    user: SessionUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
    draft: Draft,
) -> PageResult<Response> {
    let (token, row) = find_own(&user, &state, id).await?;
    let settings = issue_settings(&state, &user).await?;
    check_replaceable(&token, &row, &settings)?;
    let restored = draft.form::<ReplaceForm>();
    let is_restored = restored.is_some();
    let form = restored.unwrap_or_else(|| ReplaceForm::of_replaced(&token, settings.max_lifetime_days));
    show_page(&user, &state, (&token, row), (&settings, &form), None, is_restored)
}

/// Checks that a token can be replaced by one with the same limits.
///
/// # Errors
/// Returns an error page with the reason.
fn check_replaceable(token: &Token, row: &TokenRow, settings: &Settings) -> PageResult<()> {
    if row.state == TokenState::Expired {
        return Err(cannot_replace(EXPIRED));
    }
    if token.replacement.is_some() {
        return Err(cannot_replace(ALREADY_REPLACED));
    }
    if settings.require_scopes && token.limits.scopes.is_unrestricted() {
        return Err(cannot_replace(SCOPES_REQUIRED));
    }
    Ok(())
}

/// Returns the error page for a token that cannot be replaced.
fn cannot_replace(advice: &'static str) -> PageError {
    PageError::message(StatusCode::CONFLICT, "You cannot replace this token", advice)
}

fn show_page(
    user: &SessionUser,
    state: &WebState,
    (token, row): (&Token, TokenRow),
    (settings, form): (&Settings, &ReplaceForm),
    error: Option<&FormError>,
    is_restored: bool,
) -> PageResult<Response> {
    let choice = |(seconds, label): (i64, &'static str)| GraceChoice {
        seconds,
        label,
        is_selected: form.grace == seconds.to_string(),
    };
    let page = ReplacePage {
        layout: user.layout(NavItem::Tokens).with_restored_text(is_restored),
        error,
        form_id: state.sessions.generate_form_id(),
        row,
        lifetime: form.lifetime.choices(state.tokens.now(), settings.max_lifetime_days, Some(token)),
        description: &form.description,
        grace: GRACE_PERIODS.map(choice).into(),
        reauth: user.reauth_if(state.reauth_for_tokens),
    };
    render_form(&page, error)
}

async fn replace(
    user: SessionUser,
    State(state): State<WebState>,
    UuidPath(id): UuidPath,
    headers: HeaderMap,
    PageForm(form): PageForm<ReplaceForm>,
) -> PageResult<Response> {
    match issue_token(&state, &user, &headers, id, &form).await? {
        Ok(issued) => {
            let replaced = ReplacedToken { id, end: end_of_replaced(&state, &user, id).await };
            show_generated(&user, &state, &headers, &issued, (Some(replaced), None))
        }
        Err(error) => {
            let (token, row) = find_own(&user, &state, id).await?;
            let settings = issue_settings(&state, &user).await?;
            check_replaceable(&token, &row, &settings)?;
            show_page(&user, &state, (&token, row), (&settings, &form), Some(&error), false)
        }
    }
}

/// Returns when a token that was just replaced ends. An error must not hide the new token.
async fn end_of_replaced(state: &WebState, user: &SessionUser, id: Uuid) -> ReplacedTokenEnd {
    match state.tokens.find(&user.actor(), id).await {
        Ok((Token { replacement: Some(replacement), .. }, _)) => {
            ReplacedTokenEnd::At(DisplayTime(replacement.deletes_at))
        }
        Err(Error::TokenNotFound) => ReplacedTokenEnd::AtOnce,
        Ok(_) | Err(_) => ReplacedTokenEnd::Unknown,
    }
}

async fn issue_token(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    id: Uuid,
    form: &ReplaceForm,
) -> PageResult<Result<(TokenValue, Token), FormError>> {
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let consumed = match check_form(state, user, headers, form.form, own_password).await? {
        Ok(consumed) => consumed,
        Err(error) => return Ok(Err(error)),
    };
    let settings = issue_settings(state, user).await?;
    let request = match form.parse(id, settings.max_lifetime_days) {
        Ok(request) => request,
        Err(error) => return Ok(Err(error)),
    };
    match state.tokens.issue(&user.actor(), request, Idempotency::Form(consumed)).await {
        Ok(issued) => Ok(Ok(issued)),
        Err(Error::FormAlreadyUsed) => Err(cannot_replace(SUBMITTED_BEFORE)),
        Err(Error::AlreadyReplaced) => Err(cannot_replace(ALREADY_REPLACED)),
        Err(Error::ReplacedTokenExpired) => Err(cannot_replace(EXPIRED)),
        Err(Error::Invalid(ValidationError::ScopesRequired)) => Err(cannot_replace(SCOPES_REQUIRED)),
        Err(error) => Ok(Err(FormError::from_error(error)?)),
    }
}
