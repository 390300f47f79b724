//! The page that generates a token.
//!
//! Only the response to the form contains the token value: no URL, cookie or session ever does.
//! Submitting the form again creates no second token.

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::ORIGIN},
    response::Response,
    routing::get,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    error::{PageError, PageResult},
    extract::PageForm,
    form_error::FormError,
    format::DisplayTime,
    layout::{Layout, NavItem, render, render_with_status},
    messages::for_invalid,
    session_user::SessionUser,
    state::WebState,
    tokens::LIST_PATH,
};
use crate::{
    domain::{
        ValidationError,
        token::{Description, Lifetime, Token},
    },
    service::{
        Error,
        tokens::{ConsumedForm, Idempotency},
    },
};
use tokenward_guard::token_format::TokenValue;

/// The suggested lifetimes in days.
const LIFETIME_PRESETS: [i64; 3] = [30, 90, 365];
const DAY_SECONDS: i64 = 86_400;

struct LifetimePreset {
    days: i64,
    end: DisplayTime,
    is_selected: bool,
}

#[derive(Template)]
#[template(path = "generate.html")]
struct GeneratePage<'a> {
    layout: Layout,
    error: Option<&'a str>,
    form_id: Uuid,
    max_days: Option<i64>,
    presets: Vec<LifetimePreset>,
    is_never_selected: bool,
    is_custom_selected: bool,
    days: &'a str,
    description: &'a str,
}

#[derive(Template)]
#[template(path = "generated.html")]
struct GeneratedPage<'a> {
    layout: Layout,
    value: &'a str,
    id: Uuid,
    description: &'a str,
    expires: Option<DisplayTime>,
    base_url: String,
}

#[derive(Default, Deserialize)]
struct GenerateForm {
    form: Option<Uuid>,
    /// A number of days, or `custom`.
    #[serde(default)]
    lifetime: String,
    /// The number of days if `lifetime` is `custom`.
    #[serde(default)]
    days: String,
    #[serde(default)]
    description: String,
}

impl GenerateForm {
    /// Returns the requested lifetime. `max_days` is the maximum of the workspace.
    fn parse_lifetime(&self, max_days: Option<i64>) -> Result<Lifetime, FormError> {
        let selected = self.lifetime.trim();
        let entered = self.days.trim();
        let text = match (selected, entered) {
            ("custom" | "", entered) => entered,
            (selected, "") => selected,
            (selected, entered) if selected == entered => selected,
            (_, entered) => {
                return Err(FormError::new(format!(
                    "You entered {entered} days, but chose another lifetime. Choose Custom, or clear the field."
                )));
            }
        };
        let invalid = || match max_days {
            Some(max) => FormError::new(format!("Enter a whole number of days from 1 to {max}.")),
            None => FormError::new(for_invalid(&ValidationError::Lifetime)),
        };
        let days: i64 = text.parse().map_err(|_| invalid())?;
        let seconds = if days == -1 { -1 } else { days.checked_mul(DAY_SECONDS).ok_or_else(invalid)? };
        Lifetime::from_seconds(seconds).map_err(|_| invalid())
    }
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/preferences/access-tokens/generate", get(show_form).post(generate))
}

async fn show_form(user: SessionUser, State(state): State<WebState>) -> PageResult<Response> {
    let max_days = max_lifetime_days(&state, &user).await?;
    let first = LIFETIME_PRESETS.into_iter().find(|days| max_days.is_none_or(|max| *days <= max));
    let form = match first {
        Some(days) => GenerateForm { lifetime: days.to_string(), ..GenerateForm::default() },
        None => GenerateForm {
            lifetime: "custom".to_owned(),
            days: max_days.unwrap_or(1).to_string(),
            ..GenerateForm::default()
        },
    };
    render(&page(&user, &state, max_days, &form, None))
}

/// Returns the maximum lifetime of a new token in days, or `None` if it is unlimited.
///
/// # Errors
/// Returns an error page if the user may not generate tokens, and a redirect to the token list if the
/// feature is off.
async fn max_lifetime_days(state: &WebState, user: &SessionUser) -> PageResult<Option<i64>> {
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

fn page<'a>(
    user: &SessionUser,
    state: &WebState,
    max_days: Option<i64>,
    form: &'a GenerateForm,
    error: Option<&'a str>,
) -> GeneratePage<'a> {
    let now = state.tokens.now();
    let has_days = !form.days.trim().is_empty();
    let preset = |days: i64| LifetimePreset {
        days,
        end: DisplayTime(now.plus_seconds(days * DAY_SECONDS)),
        is_selected: !has_days && form.lifetime == days.to_string(),
    };
    let allowed = LIFETIME_PRESETS.into_iter().filter(|days| max_days.is_none_or(|max| *days <= max));
    GeneratePage {
        layout: user.layout(NavItem::Tokens),
        error,
        form_id: state.sessions.generate_form_id(),
        max_days,
        presets: allowed.map(preset).collect(),
        is_never_selected: !has_days && form.lifetime == "-1",
        is_custom_selected: form.lifetime == "custom" || has_days,
        days: &form.days,
        description: &form.description,
    }
}

async fn generate(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<GenerateForm>,
) -> PageResult<Response> {
    match issue_token(&state, &user, &form).await? {
        Ok((value, token)) => render(&GeneratedPage {
            layout: user.layout(NavItem::Tokens),
            value: value.expose(),
            id: token.id,
            description: &token.description,
            expires: token.expires_at.map(DisplayTime),
            base_url: state.public_url.for_origin(headers.get(ORIGIN).and_then(|origin| origin.to_str().ok())),
        }),
        Err(error) => {
            let max_days = max_lifetime_days(&state, &user).await?;
            render_with_status(error.status, &page(&user, &state, max_days, &form, Some(&error.message)))
        }
    }
}

async fn issue_token(
    state: &WebState,
    user: &SessionUser,
    form: &GenerateForm,
) -> PageResult<Result<(TokenValue, Token), FormError>> {
    let is_own_form = |id: &Uuid| state.sessions.is_form_for(&user.session, *id);
    let Some(id) = form.form.filter(is_own_form) else {
        return Ok(Err(FormError::new(
            "Your session has changed since this page was opened. Nothing was generated. Select Generate again.",
        )));
    };
    let lifetime = match form.parse_lifetime(max_lifetime_days(state, user).await?) {
        Ok(lifetime) => lifetime,
        Err(error) => return Ok(Err(error)),
    };
    let description = match Description::parse(form.description.clone()) {
        Ok(description) => description,
        Err(invalid) => return Ok(Err(FormError::from_error(invalid.into())?)),
    };
    let form = ConsumedForm { session_id: user.session.id, id };
    match state.tokens.issue(&user.actor(), lifetime, description, Idempotency::Form(form)).await {
        Ok(issued) => Ok(Ok(issued)),
        Err(error) => Ok(Err(FormError::from_error(error)?)),
    }
}
