//! The page that generates a token, for the user or for a service account.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    access_fields::{AccessChoices, AccessFields},
    draft::Draft,
    error::PageResult,
    extract::PageForm,
    form_error::FormError,
    format::TokenRow,
    issue_form::{TokenAccount, check_form, issue_settings, parse_description, show_generated},
    layout::{Layout, NavItem, render, render_with_status},
    lifetime_fields::{LifetimeChoices, LifetimeFields},
    reauth::Reauth,
    session_user::SessionUser,
    state::WebState,
    token_list::list_page,
    token_query::TokenQuery,
    tokens::LIST_PATH,
};
use crate::{
    domain::{person::Person, setting::Settings, token::Token},
    service::tokens::{Idempotency, TokenRequest, TokenScope},
};
use tokenward_guard::token_format::TokenValue;

/// The path of the form for the user's own tokens.
const FORM_PATH: &str = "/preferences/access-tokens/generate";

#[derive(Template)]
#[template(path = "generate.html")]
struct GeneratePage<'a> {
    layout: Layout,
    target: &'a GenerateTarget,
    error: Option<&'a FormError>,
    form_id: Uuid,
    lifetime: LifetimeChoices<'a>,
    access: AccessChoices<'a>,
    description: &'a str,
    reauth: Reauth,
    /// Shown if the form has generated a token already.
    newest_token: Option<TokenRow>,
}

/// The future owner of a token, and the pages around the form.
pub(super) struct GenerateTarget {
    pub nav_item: NavItem,
    /// The path of the form.
    pub form_path: String,
    pub back_path: String,
    pub back_label: String,
    /// The service account that will own the token; `None`: the user.
    pub account: Option<Person>,
}

impl GenerateTarget {
    /// Returns the target of a user's own tokens.
    fn own() -> Self {
        Self {
            nav_item: NavItem::Tokens,
            form_path: FORM_PATH.to_owned(),
            back_path: LIST_PATH.to_owned(),
            back_label: "Access Tokens".to_owned(),
            account: None,
        }
    }

    /// Returns the settings that limit the token.
    ///
    /// # Errors
    /// Returns an error page if the user may not generate it.
    async fn settings(&self, state: &WebState, user: &SessionUser) -> PageResult<Settings> {
        match &self.account {
            None => issue_settings(state, user).await,
            Some(account) => Ok(state.tokens.check_may_issue_for(&user.person, account).await?),
        }
    }
}

#[derive(Default, Deserialize)]
pub(super) struct GenerateForm {
    form: Option<Uuid>,
    #[serde(default)]
    description: String,
    own_password: Option<Zeroizing<String>>,
    #[serde(flatten)]
    lifetime: LifetimeFields,
    #[serde(flatten)]
    access: AccessFields,
}

pub(super) fn routes() -> Router<WebState> {
    Router::new().route(FORM_PATH, get(show_form).post(generate))
}

async fn show_form(user: SessionUser, State(state): State<WebState>, draft: Draft) -> PageResult<Response> {
    show_form_for(&user, &state, &draft, &GenerateTarget::own()).await
}

/// Shows the form.
pub(super) async fn show_form_for(
    user: &SessionUser,
    state: &WebState,
    draft: &Draft,
    target: &GenerateTarget,
) -> PageResult<Response> {
    let settings = target.settings(state, user).await?;
    let restored = draft.form::<GenerateForm>();
    let is_restored = restored.is_some();
    let lifetime = LifetimeFields::first(settings.max_lifetime_days);
    let form = restored.unwrap_or_else(|| GenerateForm { lifetime, ..GenerateForm::default() });
    let page = page((user, state, target), &settings, &form, None);
    let layout = page.layout.with_restored_text(is_restored);
    render(&GeneratePage { layout, ..page })
}

fn page<'a>(
    (user, state, target): (&SessionUser, &WebState, &'a GenerateTarget),
    settings: &'a Settings,
    form: &'a GenerateForm,
    error: Option<&'a FormError>,
) -> GeneratePage<'a> {
    GeneratePage {
        layout: user.layout(target.nav_item),
        target,
        error,
        form_id: state.sessions.generate_form_id(),
        lifetime: form.lifetime.choices(state.tokens.now(), settings.max_lifetime_days, None),
        access: form.access.choices(settings, &user.request),
        description: &form.description,
        reauth: user.reauth_if(state.reauth_for_tokens),
        newest_token: None,
    }
}

async fn generate(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    PageForm(form): PageForm<GenerateForm>,
) -> PageResult<Response> {
    generate_for(&user, &state, &headers, &form, &GenerateTarget::own()).await
}

/// Generates a token, and shows it.
pub(super) async fn generate_for(
    user: &SessionUser,
    state: &WebState,
    headers: &HeaderMap,
    form: &GenerateForm,
    target: &GenerateTarget,
) -> PageResult<Response> {
    match issue_token(state, user, headers, form, target).await? {
        Ok(issued) => {
            let owner = target.account.as_ref().map(|account| TokenAccount {
                name: &account.name,
                nav_item: target.nav_item,
                path: &target.back_path,
            });
            show_generated(user, state, headers, &issued, (None, owner))
        }
        Err(error) => {
            let settings = target.settings(state, user).await?;
            let is_own = target.account.is_none();
            let newest_token = if error.is_resubmission && is_own { newest_token(state, user).await } else { None };
            let page = page((user, state, target), &settings, form, Some(&error));
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
    target: &GenerateTarget,
) -> PageResult<Result<(TokenValue, Token), FormError>> {
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let consumed = match check_form(state, user, headers, form.form, own_password).await? {
        Ok(consumed) => consumed,
        Err(error) => return Ok(Err(error)),
    };
    let settings = target.settings(state, user).await?;
    let request = match form.parse(&settings) {
        Ok(request) => TokenRequest { owner: target.account.as_ref().map(|account| account.id), ..request },
        Err(error) => return Ok(Err(error)),
    };
    match state.tokens.issue(&user.actor(), request, Idempotency::Form(consumed)).await {
        Ok(issued) => Ok(Ok(issued)),
        Err(error) => Ok(Err(FormError::from_error(error)?)),
    }
}

impl GenerateForm {
    /// Returns the request for the token.
    ///
    /// # Errors
    /// The reason why the form is rejected.
    fn parse(&self, settings: &Settings) -> Result<TokenRequest, FormError> {
        Ok(TokenRequest {
            lifetime: Some(self.lifetime.parse(settings.max_lifetime_days)?),
            description: Some(parse_description(&self.description)?),
            limits: self.access.parse()?,
            ..TokenRequest::default()
        })
    }
}
