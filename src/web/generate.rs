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
use zeroize::Zeroizing;

use super::{
    draft::Draft,
    error::{PageError, PageResult},
    extract::{LenientQuery, PageForm},
    form_error::FormError,
    format::{DisplayTime, TokenRow},
    layout::{Layout, NavItem, render, render_with_status},
    messages::for_invalid,
    reauth::require_recent_password,
    session_user::SessionUser,
    state::WebState,
    token_list::list_page,
    token_query::TokenQuery,
    tokens::LIST_PATH,
};
use crate::{
    domain::{
        ValidationError,
        token::{Description, Lifetime, Token},
    },
    service::{
        Error,
        tokens::{ConsumedForm, Idempotency, TokenScope},
    },
};
use tokenward_guard::token_format::TokenValue;

/// The suggested lifetimes in days.
const LIFETIME_PRESETS: [i64; 3] = [30, 90, 365];
const DAY_SECONDS: i64 = 86_400;
const REPLACEMENT_NOTICE: &str = "The old token keeps working. Delete it as soon as the new one is in use.";

struct LifetimePreset {
    days: i64,
    end: DisplayTime,
    is_selected: bool,
}

#[derive(Template)]
#[template(path = "generate.html")]
struct GeneratePage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    form_id: Uuid,
    max_days: Option<i64>,
    presets: Vec<LifetimePreset>,
    is_never_selected: bool,
    is_custom_selected: bool,
    days: &'a str,
    description: &'a str,
    needs_reauth: bool,
    /// Shown if the form has generated a token already.
    newest_token: Option<TokenRow>,
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
    own_password: Option<Zeroizing<String>>,
}

impl GenerateForm {
    /// Returns the form for a token with the description and the lifetime of another one, or with this
    /// lifetime if that one exceeds the maximum.
    fn replacing(&self, token: &Token, max_days: Option<i64>) -> Self {
        let millis = token.expires_at.map(|end| end.as_millis() - token.created_at.as_millis());
        let days = millis.map_or(-1, |millis| (millis / (DAY_SECONDS * 1_000)).max(1));
        let description = token.description.clone();
        if max_days.is_some_and(|max| days == -1 || days > max) {
            let (lifetime, days) = (self.lifetime.clone(), self.days.clone());
            return Self { lifetime, days, description, ..Self::default() };
        }
        let is_preset = days == -1 || LIFETIME_PRESETS.contains(&days);
        let (lifetime, days) =
            if is_preset { (days.to_string(), String::new()) } else { ("custom".to_owned(), days.to_string()) };
        Self { lifetime, days, description, ..Self::default() }
    }

    /// Returns the requested lifetime. `max_days` is the maximum of the workspace.
    fn parse_lifetime(&self, max_days: Option<i64>) -> Result<Lifetime, FormError> {
        let selected = self.lifetime.trim();
        let entered = self.days.trim();
        let text = match (selected, entered) {
            ("custom" | "", entered) => entered,
            (selected, "") => selected,
            (selected, entered) if selected == entered => selected,
            (_, entered) => {
                let message = format!(
                    "You entered {entered} days, but chose another lifetime. Choose Custom, or clear the field."
                );
                return Err(FormError::of_field("days", message));
            }
        };
        let invalid = || match max_days {
            Some(max) => FormError::of_field("days", format!("Enter a whole number of days from 1 to {max}.")),
            None => FormError::of_field("days", for_invalid(&ValidationError::Lifetime)),
        };
        let days: i64 = text.parse().map_err(|_| invalid())?;
        let seconds = if days == -1 { -1 } else { days.checked_mul(DAY_SECONDS).ok_or_else(invalid)? };
        Lifetime::from_seconds(seconds).map_err(|_| invalid())
    }
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/preferences/access-tokens/generate", get(show_form).post(generate))
}

/// The query string of the form.
#[derive(Default, Deserialize)]
struct GenerateQuery {
    /// The token that the new one replaces.
    replaces: Option<Uuid>,
}

async fn show_form(
    user: SessionUser,
    State(state): State<WebState>,
    draft: Draft,
    LenientQuery(query): LenientQuery<GenerateQuery>,
) -> PageResult<Response> {
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
    let restored = draft.form::<GenerateForm>();
    let replaced = match query.replaces {
        Some(id) => Some(state.tokens.find(&user.actor(), id).await?.0),
        None => None,
    };
    let replacement = replaced
        .as_ref()
        .filter(|token| token.person_id == user.person.id)
        .map(|token| form.replacing(token, max_days));
    let shown = restored.as_ref().or(replacement.as_ref()).unwrap_or(&form);
    let page = page(&user, &state, max_days, shown, None);
    let notice = replacement.as_ref().map(|_| REPLACEMENT_NOTICE.to_owned());
    let layout = page.layout.with_text(notice).with_restored_text(restored.is_some());
    render(&GeneratePage { layout, ..page })
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
    error: Option<&'a FormError>,
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
        needs_reauth: state.reauth_for_tokens && user.needs_reauth(),
        newest_token: None,
    }
}

async fn generate(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<GenerateForm>,
) -> PageResult<Response> {
    match issue_token(&state, &user, &headers, &form).await? {
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
            let newest_token = if error.is_resubmission { newest_token(&state, &user).await } else { None };
            let page = page(&user, &state, max_days, &form, Some(&error));
            render_with_status(error.status, &GeneratePage { newest_token, ..page })
        }
    }
}

/// Returns the user's newest active token, or `None` if it cannot be read.
async fn newest_token(state: &WebState, user: &SessionUser) -> Option<TokenRow> {
    let list = list_page(state, &user.actor(), TokenScope::Own, &TokenQuery::default(), LIST_PATH).await;
    list.ok()?.rows.into_iter().next()
}

async fn issue_token(
    state: &WebState,
    user: &SessionUser,
    headers: &HeaderMap,
    form: &GenerateForm,
) -> PageResult<Result<(TokenValue, Token), FormError>> {
    let is_own_form = |id: &Uuid| state.sessions.is_form_for(&user.session, *id);
    let Some(id) = form.form.filter(is_own_form) else {
        return Ok(Err(FormError::new(
            "Your session has changed since this page was opened. Nothing was generated. Select Generate again.",
        )));
    };
    let password = form.own_password.as_ref().map(|password| password.as_str());
    if state.reauth_for_tokens
        && let Err(error) = require_recent_password(state, user, headers, password).await?
    {
        return Ok(Err(error));
    }
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
