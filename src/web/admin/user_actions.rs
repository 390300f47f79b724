//! Actions of an administrator on a person's account: disable, enable, end sessions, delete tokens,
//! remove.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

use super::user::show_with_error;
use crate::{
    domain::id::{PersonId, WorkspaceId},
    service::people::{ActorKind, UpdatePerson},
    web::{
        error::{PageResult, see_other},
        extract::{IdPath, PageForm},
        form_error::FormError,
        format::display_name,
        layout::{Layout, NavItem, render, render_form},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
        tokens::{DeleteAllPage, ReauthForm},
    },
};

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/admin/users/{id}/disable", get(show_disable_form).post(disable))
        .route("/admin/users/{id}/enable", get(redirect_to_user).post(enable))
        .route("/admin/users/{id}/force-password-change", get(redirect_to_user).post(force_password_change))
        .route("/admin/users/{id}/end-sessions", get(redirect_to_user).post(end_sessions))
        .route("/admin/users/{id}/delete-tokens", get(show_delete_tokens_form).post(delete_tokens))
        .route("/admin/users/{id}/remove", get(show_remove_form).post(remove))
}

/// Shows the person's page if the user reloads the error page of an action.
async fn redirect_to_user(_: AdminUser, IdPath(id): IdPath<PersonId>) -> Response {
    see_other(&format!("/admin/users/{id}"))
}

/// The confirmation page for disabling an account.
#[derive(Template)]
#[template(path = "admin/disable_user.html")]
struct DisableUserPage<'a> {
    layout: Layout,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    /// The number of tokens that stop working.
    stopping_tokens: i64,
}

async fn show_disable_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    let administrator = user.actor();
    let person = state.people.find(&administrator, id).await?;
    let active_tokens = state.tokens.count_holders(&administrator, Some(id)).await?.tokens;
    render(&DisableUserPage {
        layout: user.layout(NavItem::Users),
        id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        stopping_tokens: if person.can_use_tokens() { active_tokens } else { 0 },
    })
}

async fn disable(user: AdminUser, State(state): State<WebState>, IdPath(id): IdPath<PersonId>) -> PageResult<Response> {
    let change = UpdatePerson { is_disabled: Some(true), ..UpdatePerson::default() };
    apply_change(&user, &state, id, &change, "disabled").await
}

async fn enable(user: AdminUser, State(state): State<WebState>, IdPath(id): IdPath<PersonId>) -> PageResult<Response> {
    let change = UpdatePerson { is_disabled: Some(false), ..UpdatePerson::default() };
    apply_change(&user, &state, id, &change, "enabled").await
}

async fn force_password_change(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    let change = UpdatePerson { force_password_change: Some(true), ..UpdatePerson::default() };
    apply_change(&user, &state, id, &change, "forced").await
}

async fn apply_change(
    user: &AdminUser,
    state: &WebState,
    id: PersonId,
    change: &UpdatePerson<'_>,
    notice: &str,
) -> PageResult<Response> {
    let actor = user.actor();
    match state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), id, change).await {
        Ok(_) => Ok(see_other(&format!("/admin/users/{id}?done={notice}"))),
        Err(error) => {
            let error = FormError::from_error(error)?;
            show_with_error(user, state, &state.people.find(&actor, id).await?, &error).await
        }
    }
}

async fn end_sessions(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    let administrator = user.actor();
    let person = state.people.find(&administrator, id).await?;
    state.sessions.end_all(&administrator, &person).await?;
    Ok(see_other(&format!("/admin/users/{id}?done=sessions-ended")))
}

async fn show_delete_tokens_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    delete_tokens_page(&user, &state, id, None).await
}

async fn delete_tokens_page(
    user: &AdminUser,
    state: &WebState,
    id: PersonId,
    error: Option<&FormError>,
) -> PageResult<Response> {
    let administrator = user.actor();
    let person = state.people.find(&administrator, id).await?;
    let name = display_name(&person.name, &person.email);
    let page = DeleteAllPage {
        layout: user.layout(NavItem::Users),
        error,
        question: format!("Delete all tokens of {name}?"),
        active_tokens: state.tokens.count_holders(&administrator, Some(id)).await?.tokens,
        action: format!("/admin/users/{id}/delete-tokens"),
        back_path: format!("/admin/users/{id}"),
        back_label: name,
        reauth: user.reauth(),
    };
    render_form(&page, error)
}

async fn delete_tokens(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    let administrator = user.actor();
    state.people.find(&administrator, id).await?;
    match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => {
            state.tokens.delete_all(&administrator, id).await?;
            Ok(see_other(&format!("/admin/users/{id}?done=all-deleted")))
        }
        Err(error) => delete_tokens_page(&user, &state, id, Some(&error)).await,
    }
}

#[derive(Template)]
#[template(path = "admin/remove_user.html")]
struct RemoveUserPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    active_tokens: i64,
    reauth: Reauth,
}

async fn show_remove_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    remove_page(&user, &state, id, None).await
}

async fn remove_page(
    user: &AdminUser,
    state: &WebState,
    id: PersonId,
    error: Option<&FormError>,
) -> PageResult<Response> {
    let administrator = user.actor();
    let person = state.people.find(&administrator, id).await?;
    let page = RemoveUserPage {
        layout: user.layout(NavItem::Users),
        error,
        id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        active_tokens: state.tokens.count_holders(&administrator, Some(id)).await?.tokens,
        reauth: user.reauth(),
    };
    render_form(&page, error)
}

async fn remove(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<ReauthForm>,
) -> PageResult<Response> {
    let error = match require_recent_password(&state, &user, &headers, form.password()).await? {
        Ok(()) => match state.people.remove(&user.actor(), id).await {
            Ok(()) => return Ok(see_other("/admin/users?done=removed")),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    remove_page(&user, &state, id, Some(&error)).await
}
