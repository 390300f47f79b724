//! Tokens of service accounts: the pages that generate and delete them, for custodians and for
//! administrators.

use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    draft::Draft,
    error::{PageError, PageResult, see_other},
    extract::{IdPath, LenientQuery, PageForm},
    format::{TokenRow, TokenState},
    generate::{GenerateForm, GenerateTarget, generate_for, show_form_for},
    layout::render,
    service_accounts::{AccountSection, OWN_ACCOUNTS},
    session_user::SessionUser,
    state::WebState,
    token_delete::DeleteTokenPage,
    token_list::is_feature_off,
};
use crate::{
    domain::{
        id::{PersonId, parse_uuid},
        person::Person,
        token::{Token, TokenStatus},
    },
    service::Error,
};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/preferences/service-accounts/{id}/generate", get(show_generate_form).post(generate))
        .route("/preferences/service-accounts/{id}/delete-token", get(show_delete_form).post(delete))
}

/// Returns the page that generates a token for an account.
///
/// # Errors
/// Returns an error page if the user may not.
pub(super) async fn generate_target(
    user: &SessionUser,
    state: &WebState,
    id: PersonId,
    section: &AccountSection,
) -> PageResult<GenerateTarget> {
    let account = state.people.find_service_account(&user.actor(), id).await?;
    let path = section.path(id);
    Ok(GenerateTarget {
        nav_item: section.nav_item,
        form_path: format!("{path}/generate"),
        back_path: path,
        back_label: account.name.clone(),
        account: Some(account),
    })
}

async fn show_generate_form(
    user: SessionUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    draft: Draft,
) -> PageResult<Response> {
    let target = generate_target(&user, &state, id, &OWN_ACCOUNTS).await?;
    show_form_for(&user, &state, &draft, &target).await
}

async fn generate(
    user: SessionUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<GenerateForm>,
) -> PageResult<Response> {
    let target = generate_target(&user, &state, id, &OWN_ACCOUNTS).await?;
    generate_for(&user, &state, &headers, &form, &target).await
}

/// The token that a form or a query string names.
#[derive(Default, Deserialize)]
pub(super) struct NamedToken {
    #[serde(default)]
    token: String,
}

impl NamedToken {
    fn id(&self) -> PageResult<Uuid> {
        parse_uuid(&self.token).ok_or(Error::TokenNotFound.into())
    }
}

/// Shows the confirmation page for a token of an account.
pub(super) async fn confirm_deletion(
    user: &SessionUser,
    state: &WebState,
    id: PersonId,
    named: &NamedToken,
    section: &AccountSection,
) -> PageResult<Response> {
    let account = state.people.find_service_account(&user.actor(), id).await?;
    let (token, status) = find_token(user, state, &account, named).await?;
    let is_blocked = !account.can_use_tokens() || is_feature_off(state, &user.actor()).await?;
    let token_state = TokenState::for_token(&token, status, is_blocked, state.tokens.now());
    let path = section.path(id);
    let row = TokenRow::new(token, token_state, None, &path);
    render(&DeleteTokenPage {
        layout: user.layout(section.nav_item),
        owner: Some(account.name.clone()),
        action: format!("{path}/delete-token"),
        field: ("token", row.id.to_string()),
        row,
        back_path: path,
        back_label: account.name,
    })
}

/// Finds the named token of an account.
async fn find_token(
    user: &SessionUser,
    state: &WebState,
    account: &Person,
    named: &NamedToken,
) -> PageResult<(Token, TokenStatus)> {
    let found = state.tokens.find(&user.actor(), named.id()?).await?;
    if found.0.person_id == account.id { Ok(found) } else { Err(PageError::from(Error::TokenNotFound)) }
}

/// Deletes a token of an account, and returns to its page.
pub(super) async fn delete_token(
    user: &SessionUser,
    state: &WebState,
    id: PersonId,
    named: &NamedToken,
    section: &AccountSection,
) -> PageResult<Response> {
    let account = state.people.find_service_account(&user.actor(), id).await?;
    let (token, _) = find_token(user, state, &account, named).await?;
    state.tokens.delete(&user.actor(), token.id).await?;
    Ok(see_other(&format!("{}?done=deleted", section.path(id))))
}

async fn show_delete_form(
    user: SessionUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    LenientQuery(named): LenientQuery<NamedToken>,
) -> PageResult<Response> {
    confirm_deletion(&user, &state, id, &named, &OWN_ACCOUNTS).await
}

async fn delete(
    user: SessionUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
    PageForm(named): PageForm<NamedToken>,
) -> PageResult<Response> {
    delete_token(&user, &state, id, &named, &OWN_ACCOUNTS).await
}
