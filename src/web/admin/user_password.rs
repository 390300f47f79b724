//! The page on which an administrator sets a temporary password for a person.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    domain::id::{PersonId, WorkspaceId},
    service::people::{ActorKind, UpdatePerson},
    web::{
        error::{PageError, PageResult, see_other},
        extract::{IdPath, PageForm},
        form_error::FormError,
        format::display_name,
        layout::{Layout, NavItem, render_form},
        reauth::{Reauth, require_recent_password},
        session_user::AdminUser,
        state::WebState,
    },
};

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/admin/users/{id}/password", get(show_form).post(set_password))
}

#[derive(Template)]
#[template(path = "admin/user_password.html")]
struct UserPasswordPage<'a> {
    layout: Layout,
    error: Option<&'a FormError>,
    id: PersonId,
    display_name: &'a str,
    email: &'a str,
    min_chars: usize,
    reauth: Reauth,
}

#[derive(Deserialize)]
struct TemporaryPasswordForm {
    #[serde(default)]
    password: Zeroizing<String>,
    own_password: Option<Zeroizing<String>>,
}

/// Rejects the administrator's own account, whose password the profile page changes.
fn ensure_other_person(user: &AdminUser, id: PersonId) -> PageResult<()> {
    if user.person.id == id { Err(PageError::Redirect("/preferences/profile")) } else { Ok(()) }
}

async fn show_form(
    user: AdminUser,
    State(state): State<WebState>,
    IdPath(id): IdPath<PersonId>,
) -> PageResult<Response> {
    ensure_other_person(&user, id)?;
    page(&user, &state, id, None).await
}

async fn page(user: &AdminUser, state: &WebState, id: PersonId, error: Option<&FormError>) -> PageResult<Response> {
    let person = state.people.find(&user.actor(), id).await?;
    let page = UserPasswordPage {
        layout: user.layout(NavItem::Users),
        error,
        id,
        display_name: display_name(&person.name, &person.email),
        email: &person.email,
        min_chars: state.min_password_length,
        reauth: user.reauth(),
    };
    render_form(&page, error)
}

/// Sets the password. The person must choose another one at the next sign-in.
async fn set_password(
    user: AdminUser,
    State(state): State<WebState>,
    headers: HeaderMap,
    IdPath(id): IdPath<PersonId>,
    PageForm(form): PageForm<TemporaryPasswordForm>,
) -> PageResult<Response> {
    ensure_other_person(&user, id)?;
    let actor = user.actor();
    let own_password = form.own_password.as_ref().map(|password| password.as_str());
    let change =
        UpdatePerson { password: Some(&form.password), force_password_change: Some(true), ..UpdatePerson::default() };
    let error = match require_recent_password(&state, &user, &headers, own_password).await? {
        Ok(()) => match state.people.update(ActorKind::Person(&actor), WorkspaceId::of(&actor), id, &change).await {
            Ok(_) => return Ok(see_other(&format!("/admin/users/{id}?done=password-set"))),
            Err(error) => FormError::from_error(error)?,
        },
        Err(error) => error,
    };
    page(&user, &state, id, Some(&error)).await
}
